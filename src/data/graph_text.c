/* SPDX-License-Identifier: Apache-2.0 */
/* graph_text.c: collections of graphs as text, in the form that came with DGCNN (Zhang et al. 2018,
 * github.com/muhanzhang/pytorch_DGCNN). The text is gone through twice: once to count, once to take. */
#include "data/sets.h"

#include <stdlib.h>

enum { MOST_TAGS = 4096, MOST_CLASSES = 1000 };

typedef struct scan {
  const char *what, *at;
  int64_t line;
  bool taking; /* the second time */
  fv_edge_list *list;
  fv_graph_set graphs;
  int64_t n, nodes, edges, entries, tags, more; /* more: other numbers of a node */
  int64_t classes;
} scan;

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
/* The next word of this line, ended by a NUL; false: there is none. */
static bool next_word(scan *s, char word[32]) {
  s->at += strspn(s->at, " \t\r");
  const size_t n = strcspn(s->at, " \t\r\n");
  if (n == 0) return false;
  snprintf(word, 32, "%.*s", (int)FV_MIN(n, 31u), s->at);
  s->at += n;
  return true;
}

static fv_status next_line(scan *s) {
  char word[32];
  FV_REQUIRE(!next_word(s, word), FV_ERR_CORRUPT, "%s:%lld: expected the end of the line, got '%s'", s->what,
             (long long)s->line, fv_show(word, strlen(word)));
  if (*s->at) s->at++;
  s->line++;
  return FV_OK;
}

static fv_status whole(scan *s, const char *name, int64_t least, int64_t most, int64_t *v) {
  char word[32];
  const bool there = next_word(s, word);
  FV_REQUIRE(there && fv_parse_int(word, v) && *v >= least && *v <= most, FV_ERR_CORRUPT,
             "%s:%lld: %s: expected a whole number from %lld to %lld, got '%s'", s->what, (long long)s->line, name,
             (long long)least, (long long)most, there ? fv_show(word, strlen(word)) : "nothing");
  return FV_OK;
}

/* ---- a node ------------------------------------------------------------------------------------------------------ */
static void take_entry(scan *s, int64_t column, double value) {
  if (s->taking) {
    s->list->column[s->entries] = (int32_t)column;
    s->list->value[s->entries] = (float)value;
  }
  s->entries++;
}

static fv_status other_numbers(scan *s) {
  char word[32];
  int64_t n = 0;
  double v;
  for (; next_word(s, word); n++) {
    FV_REQUIRE(fv_parse_real(word, &v), FV_ERR_CORRUPT, "%s:%lld: expected a number, got '%s'", s->what,
               (long long)s->line, fv_show(word, strlen(word)));
    take_entry(s, s->tags + n, v); /* tags: known the second time */
  }
  if (s->more < 0) s->more = n;
  FV_REQUIRE(n == s->more, FV_ERR_CORRUPT, "%s:%lld: expected %lld numbers behind the neighbours, got %lld", s->what,
             (long long)s->line, (long long)s->more, (long long)n);
  return FV_OK;
}

static fv_status take_node(scan *s, int64_t node, int64_t first, int64_t size) {
  int64_t tag, degree, other;
  FV_TRY(whole(s, "tag", 0, MOST_TAGS - 1, &tag));
  FV_TRY(whole(s, "number of neighbours", 0, INT32_MAX / 4, &degree));
  if (!s->taking) s->tags = FV_MAX(s->tags, tag + 1);
  take_entry(s, tag, 1);
  for (int64_t k = 0; k < degree; k++, s->edges++) {
    FV_TRY(whole(s, "neighbour", 0, size - 1, &other));
    if (!s->taking) continue;
    s->list->to[s->edges] = (int32_t)node;
    s->list->from[s->edges] = (int32_t)(first + other);
  }
  FV_TRY(other_numbers(s));
  if (s->taking) s->list->begin[node + 1] = s->entries;
  return next_line(s);
}

static fv_status take_graph(scan *s, int64_t g) {
  int64_t size, label;
  FV_TRY(whole(s, "number of nodes", 1, INT32_MAX / 4, &size));
  FV_TRY(whole(s, "label", 0, MOST_CLASSES - 1, &label));
  FV_TRY(next_line(s));
  s->classes = FV_MAX(s->classes, label + 1);
  const int64_t first = s->nodes;
  for (; s->nodes < first + size; s->nodes++) FV_TRY(take_node(s, s->nodes, first, size));
  if (!s->taking) return FV_OK;
  s->graphs.label[g] = (int32_t)label;
  s->graphs.first[g + 1] = s->nodes;
  return FV_OK;
}

static fv_status scan_all(scan *s, const char *text) {
  char word[32];
  s->at = text;
  s->line = 1;
  s->nodes = s->edges = s->entries = 0;
  FV_TRY(whole(s, "number of graphs", 1, INT32_MAX / 4, &s->n));
  FV_TRY(next_line(s));
  for (int64_t g = 0; g < s->n; g++) FV_TRY(take_graph(s, g));
  while (*s->at == '\n' || *s->at == '\r') s->at++;
  FV_REQUIRE(!next_word(s, word), FV_ERR_CORRUPT, "%s:%lld: expected the end after %lld graphs, got more", s->what,
             (long long)s->line, (long long)s->n);
  return FV_OK;
}

static fv_status take_fold(scan *s, const char *what, const char *text) {
  int64_t g;
  scan list = {.what = what, .at = text, .line = 1};
  while (*list.at) {
    FV_TRY(whole(&list, "graph", 0, s->n - 1, &g));
    FV_TRY(next_line(&list));
    s->graphs.split[g] = FV_SPLIT_TEST;
  }
  return FV_OK;
}

fv_status fv_graph_text_hold(const fv_data_open *o, fv_dataset *d, const char *what, char *text, const char *fold_what,
                             char *fold) {
  scan s = {.what = what, .more = -1};
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
