/* SPDX-License-Identifier: Apache-2.0 */
/* bench_op.c: fovea bench attention, lstm, gru: one shape, or a table of those that models have. */
#include "cli.h"

enum { MOST_SIZES = 5 };
typedef struct kind { /* of what is measured */
  const char *verb, *doc;
  int n_sizes;
  const char *sizes, *number; /* "B,T,S,H,D", "five" */
  const char *const *usual;
  fv_status (*measure)(const cli_args *a, const int64_t *shape, char **json);
} kind;

static fv_status measure_attention(const cli_args *a, const int64_t *shape, char **json) {
  fv_attention_request request = {.groups = a->groups,
                                  .window = a->window,
                                  .top_k = a->top_k,
                                  .dropout = a->dropout,
                                  .causal = a->causal,
                                  .backward = a->backward,
                                  .bias = a->bias,
                                  .totals = a->totals,
                                  .entropy = a->entropy,
                                  .threads = (int)a->threads,
                                  .runs = a->samples,
                                  .memory_limit = fv_machine_bytes(),
                                  .out = a->out};
  memcpy(request.shape, shape, sizeof request.shape);
  return fv_bench_attention(&request, json);
}

static fv_status measure_recurrent(const cli_args *a, const int64_t *shape, char **json) {
  fv_recurrent_request request = {.kind = strcmp(a->names[0], "lstm") ? FV_RECURRENT_GRU : FV_RECURRENT_LSTM,
                                  .bidirectional = a->bidirectional,
                                  .backward = a->backward,
                                  .threads = (int)a->threads,
                                  .runs = a->samples,
                                  .memory_limit = fv_machine_bytes(),
                                  .out = a->out};
  memcpy(request.shape, shape, sizeof request.shape);
  return fv_bench_recurrent(&request, json);
}

/* Short sentences, images as patches, windows of a picture, paragraphs, pages; one new token against a cache. */
static const char *const attention_usual[] = {"32,64,64,8,32",    "8,197,197,12,64",  "64,49,49,4,32",
                                              "8,128,128,8,64",   "1,512,512,8,64",   "1,2048,2048,8,32",
                                              "1,2048,2048,8,64", "1,2048,2048,8,128", "1,4096,4096,8,64",
                                              "1,1,4096,8,64",    NULL};
/* Sentences in batches and in shards of a batch, short series, one long one; a decoder's step, alone and as a beam. */
static const char *const recurrent_usual[] = {"32,64,256,256", "8,64,256,256", "8,40,128,128", "8,20,64,64",
                                              "1,60,128,128",  "1,512,256,256", "32,1,256,256", "5,1,512,512",
                                              "1,1,256,256",   "1,1,512,512",  NULL};
static const kind kinds[] = {
    {"attention", "attention", 5, "B,T,S,H,D", "five", attention_usual, measure_attention},
    {"lstm", "LSTM", 4, "B,T,I,H", "four", recurrent_usual, measure_recurrent},
    {"gru", "GRU", 4, "B,T,I,H", "four", recurrent_usual, measure_recurrent},
};

static const kind *kind_of(const cli_args *a) {
  for (size_t i = 0; i + 1 < CLI_COUNT_OF(kinds); i++)
    if (strcmp(kinds[i].verb, a->names[0]) == 0) return &kinds[i];
  return &kinds[CLI_COUNT_OF(kinds) - 1];
}

static bool parse_shape(const kind *k, const char *text, int64_t *shape) {
  for (int i = 0; i < k->n_sizes; i++) {
    char number[24];
    size_t n = strcspn(text, ",");
    bool last = i == k->n_sizes - 1;
    if (n >= sizeof number || (text[n] == ',') == last) return false;
    snprintf(number, sizeof number, "%.*s", (int)n, text);
    if (!fv_parse_int(number, &shape[i])) return false;
    text += n + !last;
  }
  return true;
}

static int measure(const cli_args *a, const char *text, char **json) {
  const kind *k = kind_of(a);
  int64_t shape[MOST_SIZES];
  if (!parse_shape(k, text, shape))
    return cli_refuse("option --shape (fovea bench %s): expected %s whole numbers %s, got '%s'", k->verb, k->number,
                      k->sizes, text);
  fv_status status = k->measure(a, shape, json);
  return status == FV_OK ? 0 : cli_failed(status);
}

/* ---- for people -------------------------------------------------------------------------------------------------- */
static double real(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }
static const char *text_of(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }

static void print_head(const cli_args *a, const json_t *o) {
  const kind *k = kind_of(a);
  printf("%s%s%s, %s, %lld %s, %s\n\n", k->doc, a->causal ? ", causal" : "", a->bidirectional ? ", bidirectional" : "",
         a->backward ? "forward and gradient" : "forward", (long long)json_integer_value(json_object_get(o, "threads")),
         real(o, "threads") == 1 ? "thread" : "threads", text_of(o, "isa"));
  printf("  %-19s %-10s %10s", k->sizes, "kernel", "forward");
  if (a->backward) printf(" %10s", "gradient");
  printf(" %9s %9s %8s %10s\n", "GFLOP/s", "at best", "of it", "scratch");
}

static void print_row(const cli_args *a, const char *shape, const json_t *o) {
  cli_text text;
  printf("  %-19s %-10s", shape, text_of(o, "kernel"));
  printf(" %10s", cli_duration(real(o, "milliseconds_forward") * 1e-3, text));
  if (a->backward) printf(" %10s", cli_duration(real(o, "milliseconds_backward") * 1e-3, text));
  printf(" %9.4g %9.1f %6.1f %%", real(o, "gflops"), real(o, "peak_gflops"), 100 * real(o, "fraction_of_peak"));
  printf(" %10s\n", cli_bytes(real(o, "bytes_scratch"), text));
  fflush(stdout);
}

static int show(const cli_args *a, const char *shape, const char *json, bool first) {
  json_error_t error;
  json_t *o = json_loads(json, 0, &error);
  if (!o) return cli_out_of_memory();
  if (first) print_head(a, o);
  print_row(a, shape, o);
  json_decref(o);
  return 0;
}

/* With --json a table is one object, {"shapes": [...]}, printed when all of it is there. */
static int bench_usual(const cli_args *a) {
  const char *const *usual = kind_of(a)->usual;
  json_error_t error;
  json_t *all = json_array();
  int code = 0;
  for (int i = 0; usual[i] && code == 0; i++) {
    char *json = NULL;
    code = measure(a, usual[i], &json);
    if (code == 0 && !a->json) code = show(a, usual[i], json, i == 0);
    else if (code == 0 && json_array_append_new(all, json_loads(json, 0, &error)) != 0) code = cli_out_of_memory();
    fv_string_free(json);
  }
  if (code == 0 && a->json) return cli_print_json(json_pack("{so}", "shapes", all));
  json_decref(all);
  return code;
}

int cli_bench_op(const cli_args *a) {
  char *json = NULL;
  if (!a->shape && a->out)
    return cli_refuse("option --out (fovea bench %s): expected with --shape, got it without", a->names[0]);
  if (!a->shape) return bench_usual(a);
  int code = measure(a, a->shape, &json);
  if (code == 0 && a->json) puts(json);
  else if (code == 0) code = show(a, a->shape, json, true);
  fv_string_free(json);
  return code;
}
