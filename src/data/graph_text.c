/* SPDX-License-Identifier: Apache-2.0 */
/* graph_text.c: collections of graphs as text, in the form that came with DGCNN (Zhang et al. 2018,
 * github.com/muhanzhang/pytorch_DGCNN). The text is gone through twice: once to count, once to take. */
#include "data/numbers.h"
#include "data/sets.h"

enum { MOST_TAGS = 4096, MOST_CLASSES = 1000 };

typedef struct scan {
  fv_numbers text;
  bool taking; /* the second time */
  fv_edge_list *list;
  fv_graph_set graphs;
  int64_t n, nodes, edges, entries, tags, more; /* more: other numbers of a node */
  int64_t classes;
} scan;

/* ---- a node ------------------------------------------------------------------------------------------------------ */
static void take_entry(scan *s, int64_t column, double value) {
  if (s->taking) {
    s->list->column[s->entries] = (int32_t)column;
    s->list->value[s->entries] = (float)value;
  }
  s->entries++;
}

static fv_status other_numbers(scan *s) {
  char word[FV_NUMBERS_WORD];
  int64_t n = 0;
  double v;
  for (; fv_numbers_word(&s->text, word); n++) {
    FV_REQUIRE(fv_parse_real(word, &v), FV_ERR_CORRUPT, "%s:%lld: expected a number, got '%s'", s->text.what,
               (long long)s->text.line, fv_show(word, strlen(word)));
    take_entry(s, s->tags + n, v); /* tags: known the second time */
  }
  if (s->more < 0) s->more = n;
  FV_REQUIRE(n == s->more, FV_ERR_CORRUPT, "%s:%lld: expected %lld numbers behind the neighbours, got %lld",
             s->text.what, (long long)s->text.line, (long long)s->more, (long long)n);
  return FV_OK;
}

static fv_status take_node(scan *s, int64_t node, int64_t first, int64_t size) {
  int64_t tag, degree, other;
  FV_TRY(fv_numbers_whole(&s->text, "tag", 0, MOST_TAGS - 1, &tag));
  FV_TRY(fv_numbers_whole(&s->text, "number of neighbours", 0, INT32_MAX / 4, &degree));
  if (!s->taking) s->tags = FV_MAX(s->tags, tag + 1);
  take_entry(s, tag, 1);
  for (int64_t k = 0; k < degree; k++, s->edges++) {
    FV_TRY(fv_numbers_whole(&s->text, "neighbour", 0, size - 1, &other));
    if (!s->taking) continue;
    s->list->to[s->edges] = (int32_t)node;
    s->list->from[s->edges] = (int32_t)(first + other);
  }
  FV_TRY(other_numbers(s));
  if (s->taking) s->list->begin[node + 1] = s->entries;
  return fv_numbers_line(&s->text);
}

static fv_status take_graph(scan *s, int64_t g) {
  int64_t size, label;
  FV_TRY(fv_numbers_whole(&s->text, "number of nodes", 1, INT32_MAX / 4, &size));
  FV_TRY(fv_numbers_whole(&s->text, "label", 0, MOST_CLASSES - 1, &label));
  FV_TRY(fv_numbers_line(&s->text));
  s->classes = FV_MAX(s->classes, label + 1);
  const int64_t first = s->nodes;
  for (; s->nodes < first + size; s->nodes++) FV_TRY(take_node(s, s->nodes, first, size));
  if (!s->taking) return FV_OK;
  s->graphs.label[g] = (int32_t)label;
  s->graphs.first[g + 1] = s->nodes;
  return FV_OK;
}

static fv_status scan_all(scan *s, const char *text) {
  s->text.at = text;
  s->text.line = 1;
  s->nodes = s->edges = s->entries = 0;
  FV_TRY(fv_numbers_whole(&s->text, "number of graphs", 1, INT32_MAX / 4, &s->n));
  FV_TRY(fv_numbers_line(&s->text));
  for (int64_t g = 0; g < s->n; g++) FV_TRY(take_graph(s, g));
  FV_REQUIRE(fv_numbers_end(&s->text), FV_ERR_CORRUPT, "%s:%lld: expected the end after %lld graphs, got more",
             s->text.what, (long long)s->text.line, (long long)s->n);
  return FV_OK;
}

static fv_status take_fold(scan *s, const char *what, const char *text) {
  int64_t g;
  fv_numbers list = {what, text, 1};
  while (!fv_numbers_end(&list)) {
    FV_TRY(fv_numbers_whole(&list, "graph", 0, s->n - 1, &g));
    FV_TRY(fv_numbers_line(&list));
    s->graphs.split[g] = FV_SPLIT_TEST;
  }
  return FV_OK;
}

fv_status fv_graph_text_hold(const fv_data_open *o, fv_dataset *d, const char *what, char *text, const char *fold_what,
                             char *fold) {
  scan s = {.text = {.what = what}, .more = -1};
  fv_status status = FV_OK;
  FV_TRY_DONE(scan_all(&s, text));
  FV_TRY_DONE(fv_edge_list_new(s.nodes, s.edges, s.entries, &s.list));
  FV_TRY_DONE(fv_graph_set_new(s.n, &s.graphs));
  s.taking = true;
  s.list->columns = s.tags + s.more;
  FV_TRY_DONE(scan_all(&s, text));
  if (fold) FV_TRY_DONE(take_fold(&s, fold_what, fold));
  if (!d->n_classes) FV_TRY_DONE(fv_data_number_classes(d, (int)s.classes));
  FV_TRY_DONE(fv_graph_set_hold(o, d, s.list, &s.graphs));
done:
  fv_edge_list_free(s.list);
  fv_graph_set_free(&s.graphs);
  return status;
}
