/* SPDX-License-Identifier: Apache-2.0 */
/* nodes.c: what a model of a graph says of its nodes. The network reads the whole graph at once, so that asking for one
 * node or for all costs the same. */
#include "train/train.h"

const char *fv_adjacency_name(const fv_adjacency *adj, int64_t node) {
  static _Thread_local char text[8][24];
  static _Thread_local int next;
  if (adj->name) return adj->name[node];
  char *to = text[next++ % 8];
  snprintf(to, sizeof text[0], "%lld", (long long)node);
  return to;
}

/* ---- which nodes ------------------------------------------------------------------------------------------------- */
static int64_t find_node(const fv_adjacency *adj, fv_bytes id) {
  char word[24] = "";
  int64_t number;
  for (int64_t i = 0; adj->name && i < adj->nodes; i++)
    if (strlen(adj->name[i]) == id.n && !memcmp(adj->name[i], id.s, id.n)) return i;
  if (adj->name || id.n >= sizeof word) return -1;
  memcpy(word, id.s, id.n);
  return fv_parse_int(word, &number) && number >= 0 && number < adj->nodes ? number : -1;
}

static fv_status add_node(fv_asked *a, fv_bytes id) {
  const int64_t node = find_node(a->adj, id);
  FV_REQUIRE(node >= 0, FV_ERR_REQUEST, "node '%s': expected one of the graph's %lld nodes, as '%s', got none such",
             fv_show(id.s, id.n), (long long)a->adj->nodes, fv_adjacency_name(a->adj, 0));
  a->node[a->n++] = (int32_t)node;
  return FV_OK;
}

static fv_status add_list(fv_asked *a, const char *list) {
  int64_t most = 1;
  for (const char *c = list; *c; c++) most += *c == ',';
  FV_TRY(FV_NEW(&a->node, most));
  for (const char *at = list;; at++) {
    const size_t n = strcspn(at, ",");
    FV_TRY(add_node(a, (fv_bytes){at, n}));
    at += n;
    if (!*at) return FV_OK;
  }
}

static fv_status add_tested(fv_asked *a, const char *number) {
  int64_t wanted, n = 0;
  FV_TRY(FV_NEW(&a->node, 1));
  const bool good = fv_parse_int(number, &wanted) && wanted >= 0;
  for (int64_t i = 0; i < a->adj->nodes; i++)
    if (a->adj->split[i] == FV_SPLIT_TEST && n++ == wanted && good) a->node[a->n++] = (int32_t)i;
  FV_REQUIRE(a->n, FV_ERR_REQUEST, "test:%s: expected a number from 0 to %lld", number, (long long)n - 1);
  return FV_OK;
}

static fv_status add_lines(fv_asked *a, const char *input) {
  fv_text_table *lines;
  fv_status status = FV_OK;
  FV_TRY(fv_lines_read(input, &lines));
  FV_TRY_DONE(FV_NEW(&a->node, fv_text_table_rows(lines)));
  for (int64_t i = 0; i < fv_text_table_rows(lines); i++) FV_TRY_DONE(add_node(a, fv_text_table_get(lines, i, 0)));
done:
  fv_text_table_free(lines);
  return status;
}

static fv_status add_input(fv_asked *a, const char *input) {
  if (!input) return FV_OK;
  if (!strncmp(input, "node:", 5)) return add_list(a, input + 5);
  return strncmp(input, "test:", 5) ? add_lines(a, input) : add_tested(a, input + 5);
}

bool fv_model_of_nodes(const fv_model *m) { return m->task.nodes || m->task.block; }

fv_status fv_asked_open(fv_model *m, const char *input, const char *data, fv_asked *a) {
  *a = (fv_asked){.m = m};
  m->reading.neighbours.n = 0;
  FV_TRY(fv_model_open_data(m, data, &a->data));
  FV_REQUIRE(a->data->adj, FV_ERR_REQUEST, "dataset '%s': expected a graph whose nodes have classes, got others",
             a->data->name);
  const int64_t n = fv_model_answers(m);
  a->adj = a->data->adj;
  FV_TRY(add_input(a, input));
  FV_TRY(FV_NEW(&a->p, 2 * n));
  a->score = a->p + n;
  return fv_model_classify(m, a->data, FV_SPLIT_TEST, NULL, 1, a->p, a->score);
}

void fv_asked_close(fv_asked *a) {
  fv_dataset_close(a->data);
  fv_free(a->node);
  fv_free(a->p);
}

/* ---- predict ----------------------------------------------------------------------------------------------------- */
fv_status fv_nodes_predict(fv_model *m, const char *input, int k, char **json) {
  fv_asked a;
  int64_t *best = NULL;
  fv_json j = {0};
  fv_status status = FV_OK;
  k = (int)FV_MIN((int64_t)k, m->task.n_classes);
  FV_TRY_DONE(fv_asked_open(m, input, NULL, &a));
  FV_TRY_DONE(FV_NEW(&best, k));
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "input", input);
  fv_json_begin(&j, "predictions", '[');
  for (int64_t i = 0; i < a.n; i++) {
    const int64_t at = a.node[i] * m->task.n_classes;
    const char *name = fv_adjacency_name(a.adj, a.node[i]);
    fv_prediction_json(&j, m, "node", (fv_bytes){name, strlen(name)}, a.p + at, a.score + at, k, best);
  }
  fv_json_end(&j, ']');
  fv_json_end(&j, '}');
done:
  fv_asked_close(&a);
  fv_free(best);
  return fv_json_give(&j, status, "predict", json);
}
