/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c: how far a run is. On a terminal one line that is written over, and a lasting one for each epoch;
 * elsewhere plain lines, one an epoch and one now and then within a long one; of epochs that follow each other fast one
 * each few seconds, and the last. */
#include "cli.h"

#include <stdlib.h>
#include <time.h>

#define LIVE_SECONDS 0.1
#define PLAIN_SECONDS 15.0
#define EPOCH_SECONDS 3.0

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

cli_progress cli_progress_new(const cli_args *args) {
  const char *term = getenv("TERM");
  return (cli_progress){.silent = args->json || args->quiet,
                        .live = cli_is_terminal() && term && strcmp(term, "dumb") != 0,
                        .last = now(),
                        .verb = "fetching"};
}

static void clear(cli_progress *p) {
  if (p->drawn) fputs("\r\033[K", stdout);
  p->drawn = false;
}

static void keep_line(cli_progress *p, const char *text) {
  clear(p);
  puts(text);
  fflush(stdout);
  p->last = now();
}

static void show_held(cli_progress *p) {
  if (p->held[0]) keep_line(p, p->held);
  p->held[0] = '\0';
}

static void show_epoch(cli_progress *p, const char *line) {
  snprintf(p->held, sizeof p->held, "%s", line);
  if (!p->live && now() - p->epoch_shown < EPOCH_SECONDS) return;
  show_held(p);
  p->epoch_shown = p->last;
}

/* Colour only where it is welcome: https://no-color.org */
static void draw(cli_progress *p, const char *text) {
  const char *plain = getenv("NO_COLOR");
  bool colour = !plain || !*plain;
  printf("\r%s%.*s%s\033[K", colour ? "\033[36m" : "", cli_columns() - 1, text, colour ? "\033[0m" : "");
  fflush(stdout);
  p->drawn = true;
  p->last = now();
}

static bool due(const cli_progress *p) { return now() - p->last >= (p->live ? LIVE_SECONDS : PLAIN_SECONDS); }

/* ---- a run ------------------------------------------------------------------------------------------------------- */
static const char *clock_text(double s, cli_text text) {
  long long whole = (long long)(s + 0.5);
  if (whole >= 3600) snprintf(text, sizeof(cli_text), "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  else snprintf(text, sizeof(cli_text), "%lld:%02lld", whole / 60, whole % 60);
  return text;
}

static size_t add_metric(const fv_train_event *e, char *line, size_t size) {
  if (!e->metric_name) return 0;
  bool share = strstr(e->metric_name, "accuracy") != NULL;
  return (size_t)snprintf(line, size, share ? "  %s %.2f %%" : "  %s %.4f", e->metric_name,
                          share ? 100 * e->metric : e->metric);
}

static void describe(const fv_train_event *e, char *line, size_t size) {
  cli_text a, b;
  size_t n = e->run ? (size_t)snprintf(line, size, "%d/%d done  %s  ", e->runs_done, e->runs, e->run) : 0;
  n += (size_t)snprintf(line + n, size - n, "epoch %lld/%lld  step %s", (long long)e->epoch, (long long)e->epochs,
                        cli_count((double)e->step, a));
  n += (size_t)snprintf(line + n, size - n, "/%s  loss %.4f", cli_count((double)e->steps, a), e->loss);
  n += add_metric(e, line + n, size - n);
  n += (size_t)snprintf(line + n, size - n, "  lr %.2g", e->rate);
  if (e->samples_per_second > 0)
    n += (size_t)snprintf(line + n, size - n, "  %s/s", cli_count(e->samples_per_second, a));
  if (e->seconds_left > 0) snprintf(line + n, size - n, "  %s left", clock_text(e->seconds_left, b));
}

static void describe_run(const fv_train_event *e, char *line, size_t size) {
  cli_text a, b;
  size_t n = (size_t)snprintf(line, size, "%s", e->run);
  n += add_metric(e, line + n, size - n);
  snprintf(line + n, size - n, "  epochs %s  %s  (%d of %d)", cli_count((double)e->epoch, a),
           cli_duration(e->seconds, b), e->runs_done, e->runs);
}

static bool is_phase(const fv_train_event *e, const char *phase) { return e->phase && strcmp(e->phase, phase) == 0; }

void cli_progress_report(void *arg, const fv_train_event *e) {
  cli_progress *p = arg;
  char line[512];
  const bool lasting = is_phase(e, "epoch"), training = lasting || is_phase(e, "train");
  if (p->silent) return;
  if (!training) show_held(p);
  if (is_phase(e, "data")) {
    cli_progress_data(p, e->text ? e->text : "data", e->step, e->steps);
    return;
  }
  if (e->text) {
    snprintf(line, sizeof line, "%s%s%s", e->run ? e->run : "", e->run ? ": " : "", e->text);
    keep_line(p, line);
  } else if (is_phase(e, "run")) {
    describe_run(e, line, sizeof line);
    keep_line(p, line);
  } else if (lasting || (training && due(p))) {
    describe(e, line, sizeof line);
    if (lasting) show_epoch(p, line);
    else if (p->live) draw(p, line);
    else keep_line(p, line);
  } else if (is_phase(e, "evaluate") && p->live && (due(p) || e->steps == 0)) {
    cli_text a, b;
    snprintf(line, sizeof line, "evaluating  batch %s/%s", cli_count((double)e->step, a),
             cli_count((double)e->steps, b));
    draw(p, e->steps ? line : "evaluating");
  }
}

/* ---- a download -------------------------------------------------------------------------------------------------- */
bool cli_progress_data(void *arg, const char *what, int64_t done, int64_t total) {
  cli_progress *p = arg;
  char line[512];
  cli_text a, b;
  bool same = strcmp(p->what, what) == 0;
  snprintf(p->what, sizeof p->what, "%s", what);
  if (!p->silent && (!same || due(p))) {
    snprintf(line, sizeof line, total > 0 ? "%s %s  %s of %s" : "%s %s  %s", p->verb, what,
             cli_bytes((double)done, a), cli_bytes((double)total, b));
    if (p->live) draw(p, line);
    else keep_line(p, line);
  }
  return !fv_stop_requested();
}

void cli_progress_end(cli_progress *p) {
  show_held(p);
  clear(p);
  fflush(stdout);
}
