/* SPDX-License-Identifier: Apache-2.0 */
/* planetoid.c: citation networks in the files that came with Planetoid (Yang, Cohen, Salakhutdinov, ICML 2016), pickles
 * of Python 2, with the split that everybody uses: the nodes of y for training, the 500 behind them for validation, the
 * 1000 of test.index for testing. allx and ally are the nodes in order but for those for testing, whose rows of tx and
 * ty come in the order of test.index; nodes that are in neither (15 of Citeseer) have no words and no label. */
#include "data/sets.h"

enum { Y, ALLX, ALLY, TX, TY, GRAPH, TEST, FILES, VALIDATION = 500 };

typedef struct source {
  const fv_data_open *o;
  fv_dataset *d;
  fv_arena *arena;
  uint8_t *bytes[FILES];
  const char *what[FILES];
  const fv_pickle *root[FILES];
  int32_t *test; /* nodes for testing, in the order of tx */
  int64_t n_test;
} source;

/* ---- files ------------------------------------------------------------------------------------------------------- */
static fv_status read_test(source *s, const char *text) {
  const int64_t room = (int64_t)strlen(text) / 2 + 1;
  s->test = fv_arena_alloc(s->arena, (size_t)room * sizeof *s->test);
  FV_REQUIRE(s->test, FV_ERR_MEMORY, "dataset (%s): no memory", s->d->name);
  for (const char *line = text; *line;) {
    const size_t n = strcspn(line, "\r\n");
    char word[24] = "";
    int64_t node = -1;
    if (n < sizeof word) memcpy(word, line, n);
    FV_REQUIRE(fv_parse_int(word, &node) && node >= 0 && node < INT32_MAX, FV_ERR_CORRUPT,
               "%s (line %lld): expected a node's number, got '%s'", s->what[TEST], (long long)s->n_test + 1,
               fv_show(line, n));
    s->test[s->n_test++] = (int32_t)node;
    line += n + strspn(line + n, "\r\n");
  }
  return FV_OK;
}

static fv_status read_files(source *s) {
  size_t n;
  for (int i = 0; i < FILES; i++) {
    FV_TRY(fv_data_need(s->o, &s->o->def->info.files[i], s->d->arena, &s->what[i]));
    FV_TRY(fv_file_read(s->what[i], (size_t)64 << 20, &s->bytes[i], &n));
    if (i != TEST) FV_TRY(fv_pickle_parse(s->bytes[i], n, s->what[i], s->arena, &s->root[i]));
  }
  return read_test(s, (const char *)s->bytes[TEST]);
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */
static fv_status one_hot(const source *s, int file, fv_array *a, int32_t **label) {
  int32_t *v = NULL;
  fv_status status = FV_OK;
  *label = NULL;
  FV_TRY(fv_pickle_array(s->root[file], s->what[file], a));
  FV_REQUIRE(a->ndim == 2 && a->dim[1] >= 2, FV_ERR_CORRUPT, "%s: expected [nodes, classes], got %s", s->what[file],
             fv_dims_text(a->dim, a->ndim));
  FV_TRY_DONE(FV_NEW(&v, a->count));
  FV_TRY_DONE(FV_NEW(label, a->dim[0]));
  FV_TRY_DONE(fv_array_to_i32(a, v));
  for (int64_t i = 0; i < a->dim[0]; i++) {
    (*label)[i] = -1;
    for (int64_t c = a->dim[1] - 1; c >= 0; c--)
      if (v[i * a->dim[1] + c]) (*label)[i] = (int32_t)c;
  }
done:
  fv_free(v);
  return status;
}

static fv_status set_labels(const source *s, fv_edge_list *n, int64_t n_train) {
  fv_status status = FV_OK;
  fv_array all, test;
  int32_t *of_all = NULL, *of_test = NULL;
  FV_TRY_DONE(one_hot(s, ALLY, &all, &of_all));
  FV_TRY_DONE(one_hot(s, TY, &test, &of_test));
  FV_REQUIRE_DONE(all.dim[0] <= n->nodes && n_train + VALIDATION <= all.dim[0] && test.dim[0] == s->n_test &&
                      all.dim[1] == test.dim[1],
                  FV_ERR_CORRUPT, "dataset (%s): expected files that belong together, got %lld and %lld labels",
                  s->d->name, (long long)all.dim[0], (long long)test.dim[0]);
  for (int64_t i = 0; i < all.dim[0]; i++) n->label[i] = of_all[i];
  for (int64_t i = 0; i < n_train + VALIDATION; i++) n->split[i] = i < n_train ? FV_SPLIT_TRAIN : FV_SPLIT_VALIDATION;
  for (int64_t k = 0; k < s->n_test; k++) {
    n->label[s->test[k]] = of_test[k];
    n->split[s->test[k]] = FV_SPLIT_TEST;
  }
  if (!s->d->n_classes) status = fv_data_number_classes(s->d, (int)all.dim[1]);
done:
  fv_free(of_all);
  fv_free(of_test);
  return status;
}

/* ---- features ---------------------------------------------------------------------------------------------------- */
typedef struct matrix { /* CSR, of SciPy */
  int64_t rows, columns;
  int32_t *begin, *column;
  float *value;
} matrix;

static void free_matrix(matrix *m) {
  fv_free(m->begin);
  fv_free(m->column);
  fv_free(m->value);
}

static fv_status read_matrix(const source *s, int file, matrix *m) {
  const fv_pickle *v = s->root[file], *state = fv_pickle_is(v, "scipy.sparse.csr.csr_matrix") ? v->state : NULL;
  fv_array begin, column, value;
  const char *what = s->what[file];
  FV_TRY(fv_pickle_array(fv_pickle_get(state, "indptr"), what, &begin));
  FV_TRY(fv_pickle_array(fv_pickle_get(state, "indices"), what, &column));
  FV_TRY(fv_pickle_array(fv_pickle_get(state, "data"), what, &value));
  const fv_pickle *shape = fv_pickle_get(state, "_shape");
  m->rows = begin.count - 1;
  m->columns = shape && shape->kind == FV_PICKLE_LIST && shape->n == 2 ? shape->item[1]->number : 0;
  FV_REQUIRE(begin.ndim == 1 && m->rows >= 0 && m->columns > 0 && column.count == value.count, FV_ERR_CORRUPT,
             "%s: expected a sparse matrix, got another", what);
  FV_TRY(FV_NEW(&m->begin, begin.count));
  FV_TRY(FV_NEW(&m->column, column.count));
  FV_TRY(FV_NEW(&m->value, value.count));
  FV_TRY(fv_array_to_i32(&begin, m->begin));
  FV_TRY(fv_array_to_i32(&column, m->column));
  FV_TRY(fv_array_to_f32(&value, m->value));
  for (int64_t i = 0; i < m->rows; i++)
    FV_REQUIRE(m->begin[i] >= 0 && m->begin[i] <= m->begin[i + 1] && m->begin[m->rows] == column.count, FV_ERR_CORRUPT,
               "%s: expected rows of %lld entries, got others", what, (long long)column.count);
  return FV_OK;
}

/* The row of a matrix that a node's features are; NULL: none. */
static const matrix *row_of(const matrix all[2], const int64_t *test_row, int64_t node, int64_t *row) {
  const bool tested = test_row[node] >= 0;
  *row = tested ? test_row[node] : node;
  return *row < all[tested].rows ? &all[tested] : NULL;
}

static void set_features(const matrix all[2], const int64_t *test_row, fv_edge_list *n) {
  int64_t row, at = 0;
  for (int64_t i = 0; i < n->nodes; i++) {
    const matrix *m = row_of(all, test_row, i, &row);
    for (int64_t e = m ? m->begin[row] : 0; m && e < m->begin[row + 1]; e++, at++) {
      n->column[at] = m->column[e];
      n->value[at] = m->value[e];
    }
    n->begin[i + 1] = at;
  }
}

/* ---- the graph --------------------------------------------------------------------------------------------------- */
/* {node: [neighbours]} */
static fv_status check_graph(const source *s, int64_t *nodes, int64_t *edges) {
  const fv_pickle *g = s->root[GRAPH];
  FV_REQUIRE(g->kind == FV_PICKLE_DICT && g->n >= 2, FV_ERR_CORRUPT,
             "%s: expected a dictionary of neighbours, got none", s->what[GRAPH]);
  *nodes = g->n / 2;
  *edges = 0;
  for (int64_t i = 0; i < g->n; i += 2) {
    const fv_pickle *node = g->item[i], *list = g->item[i + 1];
    FV_REQUIRE(node->kind == FV_PICKLE_NUMBER && node->number >= 0 && node->number < *nodes &&
                   list->kind == FV_PICKLE_LIST,
               FV_ERR_CORRUPT, "%s: expected neighbours of nodes 0 to %lld, got others", s->what[GRAPH],
               (long long)*nodes - 1);
    for (int64_t k = 0; k < list->n; k++)
      FV_REQUIRE(
          list->item[k]->kind == FV_PICKLE_NUMBER && list->item[k]->number >= 0 && list->item[k]->number < *nodes,
          FV_ERR_CORRUPT, "%s (node %lld): expected neighbours from 0 to %lld, got %lld", s->what[GRAPH],
          (long long)node->number, (long long)*nodes - 1, (long long)list->item[k]->number);
    *edges += list->n;
  }
  for (int64_t k = 0; k < s->n_test; k++)
    FV_REQUIRE(s->test[k] < *nodes, FV_ERR_CORRUPT, "%s (line %lld): expected a node from 0 to %lld, got %d",
               s->what[TEST], (long long)k + 1, (long long)*nodes - 1, s->test[k]);
  return FV_OK;
}

static void set_edges(const fv_pickle *g, fv_edge_list *n) {
  int64_t e = 0;
  for (int64_t i = 0; i < g->n; i += 2)
    for (int64_t k = 0; k < g->item[i + 1]->n; k++, e++) {
      n->to[e] = (int32_t)g->item[i]->number;
      n->from[e] = (int32_t)g->item[i + 1]->item[k]->number;
    }
}

static fv_status hold(const source *s, const matrix all[2], int64_t n_train) {
  fv_status status = FV_OK;
  int64_t nodes, edges, *test_row = NULL;
  fv_edge_list *n = NULL;
  FV_TRY_DONE(check_graph(s, &nodes, &edges));
  FV_TRY_DONE(FV_NEW(&test_row, nodes));
  for (int64_t i = 0; i < nodes; i++) test_row[i] = -1;
  for (int64_t k = 0; k < s->n_test; k++) test_row[s->test[k]] = k;
  FV_TRY_DONE(fv_edge_list_new(nodes, edges, all[0].begin[all[0].rows] + all[1].begin[all[1].rows], &n));
  n->columns = all[0].columns;
  set_edges(s->root[GRAPH], n);
  FV_TRY_DONE(set_labels(s, n, n_train));
  set_features(all, test_row, n);
  fv_edge_list_normalise(n);
  FV_TRY_DONE(fv_edge_list_hold(s->o, s->d, n));
done:
  fv_edge_list_free(n);
  fv_free(test_row);
  return status;
}

fv_status fv_planetoid_open_row(const fv_data_open *o, fv_dataset *d) {
  source s = {.o = o, .d = d};
  matrix all[2] = {{0}, {0}};
  fv_array y;
  fv_status status = FV_OK;
  FV_TRY_DONE(fv_arena_new(&s.arena));
  FV_TRY_DONE(read_files(&s));
  FV_TRY_DONE(fv_pickle_array(s.root[Y], s.what[Y], &y));
  FV_TRY_DONE(read_matrix(&s, ALLX, &all[0]));
  FV_TRY_DONE(read_matrix(&s, TX, &all[1]));
  FV_TRY_DONE(hold(&s, all, y.dim[0]));
done:
  for (int i = 0; i < 2; i++) free_matrix(&all[i]);
  for (int i = 0; i < FILES; i++) fv_free(s.bytes[i]);
  fv_arena_free(s.arena);
  return status;
}
