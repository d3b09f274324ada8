/* SPDX-License-Identifier: Apache-2.0 */
/* output.c: results for people. A result is a JSON object; how a number is shown follows from its name, so that what
 * the library adds is shown without a word here. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool cli_is_terminal(void) { return isatty(STDOUT_FILENO) == 1; }

int cli_columns(void) {
  struct winsize size;
  if (!cli_is_terminal() || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40) return CLI_COLUMNS;
  return size.ws_col;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
const char *cli_count(double n, cli_text text) {
  char digits[32];
  int length = snprintf(digits, sizeof digits, "%.0f", fabs(n)), at = 0;
  if (n < 0) text[at++] = '-';
  for (int i = 0; i < length; i++) {
    if (i && (length - i) % 3 == 0) text[at++] = ',';
    text[at++] = digits[i];
  }
  text[at] = 0;
  return text;
}

/* n in the largest unit that leaves at least 1. */
static const char *scaled(double n, double base, const char *const *units, cli_text text) {
  while (fabs(n) >= base && units[1]) n /= base, units++;
  snprintf(text, sizeof(cli_text), n == floor(n) && n < base ? "%.0f %s" : "%.1f %s", n, *units);
  return text;
}

const char *cli_bytes(double n, cli_text text) {
  static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", NULL};
  return scaled(n, 1024, units, text);
}

static const char *flops(double n, cli_text text) {
  static const char *const units[] = {"FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", NULL};
  return scaled(n, 1000, units, text);
}

const char *cli_duration(double s, cli_text text) {
  if (s < 0.001) snprintf(text, sizeof(cli_text), "%.0f us", s * 1e6);
  else if (s < 1) snprintf(text, sizeof(cli_text), "%.1f ms", s * 1e3);
  else if (s < 60) snprintf(text, sizeof(cli_text), "%.1f s", s);
  else if (s < 3600) snprintf(text, sizeof(cli_text), "%d min %02d s", (int)(s / 60), (int)fmod(s, 60));
  else snprintf(text, sizeof(cli_text), "%d h %02d min", (int)(s / 3600), (int)fmod(s / 60, 60));
  return text;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */
/* The length in columns of UTF-8 text. */
static int width_of(const char *s, size_t n) {
  int width = 0;
  for (size_t i = 0; i < n; i++) width += ((unsigned char)s[i] & 0xc0) != 0x80;
  return width;
}

/* Words folded at the edge; the cursor is in column `at` and comes back to it. */
static void fold(int at, const char *text) {
  int edge = cli_columns(), room = edge - at < 20 ? 20 : edge - at, used = 0;
  for (size_t n; *text; text += n) {
    text += strspn(text, " ");
    n = strcspn(text, " ");
    int w = width_of(text, n);
    if (used && used + 1 + w > room) {
      printf("\n%*s", at, "");
      used = 0;
    }
    printf(used ? " %.*s" : "%.*s", (int)n, text);
    used += w + (used > 0);
  }
  putchar('\n');
}

void cli_wrap(const char *label, int width, const char *text) {
  int label_width = width_of(label, strlen(label));
  if (label_width > width) printf("  %s\n%*s", label, width + 4, "");
  else printf("  %s%*s", label, width - label_width + 2, "");
  fold(width + 4, text);
}

void cli_paragraph(const char *text) { fold(0, text); }

static bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && strcmp(s + n - m, end) == 0;
}

static bool is_share(const char *key) {
  return ends_with(key, "accuracy") || ends_with(key, "accuracy_interval") || ends_with(key, "share") ||
         ends_with(key, "of_alone") || strncmp(key, "pointing_game", 13) == 0 ||
         strncmp(key, "fraction", 8) == 0;
}

/* "step_milliseconds": shown in the unit that suits the number. */
static double unit_of(const char *key) {
  return ends_with(key, "milliseconds") ? 1e-3 : ends_with(key, "microseconds") ? 1e-6 : 1;
}

static const char *label_of(const char *key, cli_text label) {
  static const struct {
    const char *key, *label;
  } own[] = {{"peak_bytes", "memory"},
             {"resident_bytes", "resident memory"},
             {"samples_per_second", "speed"},
             {"seconds", "time"},
             {"weights_sha256", "weights SHA-256"},
             {"bytes_total", "memory in all"},
             {"flops_forward", "forward, a sample"},
             {"flops_step", "a training step"},
             {"out", "directory"}};
  for (size_t i = 0; i < CLI_COUNT_OF(own); i++)
    if (strcmp(own[i].key, key) == 0) return own[i].label;
  bool bytes = strncmp(key, "bytes_", 6) == 0;
  snprintf(label, sizeof(cli_text), "%s%s", bytes ? "memory: " : "", bytes ? key + 6 : key);
  if (unit_of(key) < 1 && strrchr(label, '_')) *strrchr(label, '_') = 0;
  for (char *c = label; *c; c++)
    if (*c == '_') *c = ' ';
  return label;
}

static const char *number(const char *key, double v, bool whole, cli_text text) {
  if (is_share(key)) snprintf(text, sizeof(cli_text), "%.2f %%", 100 * v);
  else if (strstr(key, "bytes") || strcmp(key, "limit") == 0) cli_bytes(v, text);
  else if (ends_with(key, "per_second")) snprintf(text + strlen(cli_count(v, text)), 16, " a second");
  else if (ends_with(key, "seconds")) cli_duration(v * unit_of(key), text);
  else if (strncmp(key, "flops", 5) == 0) flops(v, text);
  else if (whole) cli_count(v, text);
  else snprintf(text, sizeof(cli_text), "%.4g", v);
  return text;
}

static const char *scalar(const char *key, const json_t *v, cli_text text) {
  if (json_is_string(v)) return json_string_value(v);
  if (json_is_true(v)) return "yes";
  if (json_is_false(v)) return "no";
  if (json_is_null(v)) return "none";
  return number(key, json_number_value(v), json_is_integer(v), text);
}

/* {mean, sd, min, max} of many runs. */
static bool is_spread(const json_t *v) { return json_object_get(v, "mean") && json_object_get(v, "sd"); }

static int label_width(const json_t *object) {
  const char *key;
  json_t *value;
  cli_text label;
  int width = 0;
  json_object_foreach((json_t *)(uintptr_t)object, key, value) {
    int w = json_is_object(value) && !is_spread(value) ? label_width(value) : (int)strlen(label_of(key, label));
    if (!json_is_array(value) && w > width) width = w;
  }
  return width;
}

static void print_spread(const char *key, const json_t *v, int width) {
  static const char *const parts[] = {"mean", "sd", "min", "max"};
  cli_text label, text[4];
  for (int i = 0; i < 4; i++) number(key, json_number_value(json_object_get(v, parts[i])), false, text[i]);
  printf("  %-*s  %s, sd %s (%s to %s)\n", width, label_of(key, label), text[0], text[1], text[2], text[3]);
}

static void print_rows(const json_t *object, int width) {
  const char *key;
  json_t *value;
  cli_text label, text;
  json_object_foreach((json_t *)(uintptr_t)object, key, value) {
    if (is_spread(value)) print_spread(key, value, width);
    else if (json_is_object(value)) print_rows(value, width);
    else if (!json_is_array(value)) printf("  %-*s  %s\n", width, label_of(key, label), scalar(key, value, text));
  }
}

void cli_print_table(const json_t *object) { print_rows(object, label_width(object)); }

/* ---- results ----------------------------------------------------------------------------------------------------- */
int cli_print_json(json_t *object) {
  char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
  json_decref(object);
  if (!text) return cli_out_of_memory();
  puts(text);
  free(text);
  return 0;
}

int cli_print_result(const cli_args *args, char *json) {
  json_error_t error;
  int code = 0;
  if (args->json) puts(json);
  else if (!args->quiet) {
    json_t *result = json_loads(json, 0, &error);
    if (!result) code = cli_out_of_memory();
    else cli_print_table(result);
    json_decref(result);
  }
  fv_string_free(json);
  return code;
}
