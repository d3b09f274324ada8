/* SPDX-License-Identifier: Apache-2.0 */
/* path_graph.c: a graph of one's own, "NODES,EDGES", two tables (.csv or .tsv, also .gz).
 *
 * The first row of NODES names its columns: "node" or "id" (otherwise the first), "label" (the setting label=COLUMN;
 * empty, "-", "?" or "-1" where it is not known), "split" if there is one (train, test, val or validation; anything
 * else: none), and what is known of a node: either "features", the numbers of the words in it with blanks between ("17"
 * or "17:0.5"), or all the other columns, which are then numbers and are standardised. EDGES has two columns of nodes,
 * from and to; a first row that names neither is a row of names.
 *
 * X.content,X.cites are those of LINQS: a node, its words as 0 or 1, its class; and a paper and one that cites it. */
#include "data/sets.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_CLASSES = 1000 };

typedef struct node_row {
  const char *id, *label;
  int64_t line;
  int32_t node; /* its place in the table */
  uint8_t split;
} node_row;

typedef struct tables {
  const fv_data_open *o;
  fv_dataset *d;
  const char *nodes, *edges;
  bool linqs;
  fv_csv *csv; /* of NODES: rows point into it */
  size_t width;
  int64_t id, label, split, words; /* columns; -1: none */
  node_row *row, *sorted;          /* sorted: by id */
  int64_t n, room;
  int64_t *begin, begins_room;
  int32_t *column;
  float *value;
  int64_t entries, columns_room, values_room, columns; /* columns: of features */
  int32_t *from, *to;
  int64_t n_edges, from_room, to_room;
} tables;

static fv_status grow(void *array, int64_t *room, int64_t need, size_t size) {
  void **v = array;
  if (need <= *room) return FV_OK;
  const int64_t more = FV_MAX(2 * *room, need + 1024);
  void *grown = fv_realloc(*v, (size_t)more * size);
  FV_REQUIRE(grown, FV_ERR_MEMORY, "dataset: no memory for %lld numbers", (long long)more);
  *v = grown;
  *room = more;
  return FV_OK;
}

static void free_tables(tables *t) {
  void *all[] = {t->row, t->sorted, t->begin, t->column, t->value, t->from, t->to};
  for (size_t i = 0; i < FV_COUNT(all); i++) fv_free(all[i]);
  fv_csv_close(t->csv);
}

static fv_csv_options options_of(const char *path) {
  const bool commas = fv_path_ends(path, ".csv");
  return (fv_csv_options){.separator = commas ? ',' : '\t', .no_quotes = !commas};
}

/* ---- features ---------------------------------------------------------------------------------------------------- */
static fv_status add_entry(tables *t, int64_t column, double value) {
  FV_TRY(grow(&t->column, &t->columns_room, t->entries + 1, sizeof *t->column));
  FV_TRY(grow(&t->value, &t->values_room, t->entries + 1, sizeof *t->value));
  t->column[t->entries] = (int32_t)column;
  t->value[t->entries++] = (float)value;
  t->columns = FV_MAX(t->columns, column + 1);
  return FV_OK;
}

/* "17 20:0.5" */
static fv_status add_words(tables *t, char *text, int64_t line) {
  enum { MOST_WORDS = 1 << 24 };
  char *save = NULL;
  for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
    char *colon = strchr(word, ':');
    int64_t column = -1;
    double value = 1;
    if (colon) *colon = 0;
    FV_REQUIRE(fv_parse_int(word, &column) && column >= 0 && column < MOST_WORDS &&
                   (!colon || (fv_parse_real(colon + 1, &value) && fabs(value) < 1e30)),
               FV_ERR_CORRUPT, "%s:%lld: features: expected numbers of words from 0 to %d, got '%s'", t->nodes,
               (long long)line, MOST_WORDS - 1, fv_show(word, strlen(word)));
    FV_TRY(add_entry(t, column, value));
  }
  return FV_OK;
}

static bool is_feature(const tables *t, int64_t k) {
  return t->words < 0 && k != t->id && k != t->label && k != t->split;
}

static fv_status add_features(tables *t, char **field, int64_t line) {
  int64_t at = 0;
  if (t->words >= 0) return add_words(t, field[t->words], line);
  for (int64_t k = 0; k < (int64_t)t->width; k++) {
    double value;
    if (!is_feature(t, k)) continue;
    FV_REQUIRE(fv_parse_real(field[k], &value) && fabs(value) < 1e30, FV_ERR_CORRUPT,
               "%s:%lld: column %lld: expected a number, got '%s'", t->nodes, (long long)line, (long long)k + 1,
               fv_show(field[k], strlen(field[k])));
    if (value != 0 || !t->linqs) FV_TRY(add_entry(t, at, value));
    at++;
  }
  t->columns = FV_MAX(t->columns, at);
  return FV_OK;
}

/* Each column to mean 0 and deviation 1 over the nodes; all have a number in every column. */
static void standardise(const tables *t) {
  for (int64_t k = 0; k < t->columns; k++) {
    double sum = 0, square = 0;
    for (int64_t e = k; e < t->entries; e += t->columns) sum += (double)t->value[e];
    const double mean = sum / (double)t->n;
    for (int64_t e = k; e < t->entries; e += t->columns) square += pow((double)t->value[e] - mean, 2);
    const double deviation = sqrt(square / (double)t->n);
    for (int64_t e = k; e < t->entries; e += t->columns)
      t->value[e] = deviation > 0 ? (float)(((double)t->value[e] - mean) / deviation) : 0;
  }
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */
static int64_t column_of(char **field, size_t n, const char *name) {
  for (size_t k = 0; k < n; k++)
    if (!strcmp(field[k] + (k == 0 && *field[k] == '#'), name)) return (int64_t)k;
  return -1;
}

static fv_status read_header(tables *t) {
  const char *label = t->o->reading->label ? t->o->reading->label : "label";
  char **field;
  FV_TRY(fv_csv_next(t->csv, &field, &t->width));
  t->id = FV_MAX(column_of(field, t->width, "node"), column_of(field, t->width, "id"));
  t->id = FV_MAX(t->id, 0);
  t->label = column_of(field, t->width, label);
  t->split = column_of(field, t->width, "split");
  t->words = column_of(field, t->width, "features");
  FV_REQUIRE(t->label >= 0, FV_ERR_REQUEST, "%s: expected a column '%s' in the first row (label=COLUMN), got none",
             t->nodes, label);
  return FV_OK;
}

static bool unknown(const char *label) {
  return !*label || !strcmp(label, "-") || !strcmp(label, "?") || !strcmp(label, "-1");
}

static uint8_t split_of(const char *text) {
  static const struct { const char *name; fv_split split;
  } names[] = {{"train", FV_SPLIT_TRAIN},
               {"test", FV_SPLIT_TEST},
               {"val", FV_SPLIT_VALIDATION},
               {"validation", FV_SPLIT_VALIDATION}};
  for (size_t i = 0; i < FV_COUNT(names); i++)
    if (!strcmp(text, names[i].name)) return (uint8_t)names[i].split;
  return FV_SPLITS;
}

static fv_status add_node(tables *t, char **field) {
  const int64_t line = fv_csv_line(t->csv);
  FV_REQUIRE(t->n < INT32_MAX - 1, FV_ERR_REQUEST, "%s: expected fewer nodes", t->nodes);
  FV_TRY(grow(&t->row, &t->room, t->n + 1, sizeof *t->row));
  FV_TRY(grow(&t->begin, &t->begins_room, t->n + 2, sizeof *t->begin));
  t->row[t->n] = (node_row){.id = field[t->id],
                            .label = unknown(field[t->label]) ? NULL : field[t->label],
                            .line = line,
                            .node = (int32_t)t->n,
                            .split = t->split < 0 ? FV_SPLITS : split_of(field[t->split])};
  t->begin[t->n++] = t->entries;
  FV_TRY(add_features(t, field, line));
  t->begin[t->n] = t->entries;
  return FV_OK;
}

static int by_id(const void *a, const void *b) { return strcmp(((const node_row *)a)->id, ((const node_row *)b)->id); }

static fv_status sort_nodes(tables *t) {
  FV_TRY(FV_NEW(&t->sorted, t->n));
  memcpy(t->sorted, t->row, (size_t)t->n * sizeof *t->row);
  qsort(t->sorted, (size_t)t->n, sizeof *t->sorted, by_id);
  for (int64_t i = 1; i < t->n; i++)
    FV_REQUIRE(by_id(&t->sorted[i - 1], &t->sorted[i]) != 0, FV_ERR_CORRUPT,
               "%s:%lld: expected every node once, got '%s' again, which is in line %lld", t->nodes,
               (long long)FV_MAX(t->sorted[i].line, t->sorted[i - 1].line),
               fv_show(t->sorted[i].id, strlen(t->sorted[i].id)),
               (long long)FV_MIN(t->sorted[i].line, t->sorted[i - 1].line));
  return FV_OK;
}

static fv_status read_nodes(tables *t) {
  const fv_csv_options options = options_of(t->nodes);
  char **field;
  size_t n;
  FV_TRY(fv_csv_open(t->nodes, &options, &t->csv));
  if (!t->linqs) FV_TRY(read_header(t));
  for (;;) {
    FV_TRY(fv_csv_next(t->csv, &field, &n));
    if (n == 0) break;
    if (t->linqs && t->n == 0) t->width = n, t->label = (int64_t)n - 1;
    FV_REQUIRE(n == t->width && n >= 2, FV_ERR_CORRUPT, "%s:%lld: expected %zu columns, got %zu", t->nodes,
               (long long)fv_csv_line(t->csv), FV_MAX(t->width, (size_t)2), n);
    FV_TRY(add_node(t, field));
  }
  FV_REQUIRE(t->n > 0, FV_ERR_REQUEST, "%s: expected nodes, got none", t->nodes);
  FV_REQUIRE(t->columns > 0, FV_ERR_REQUEST, "%s: expected features of nodes, got none", t->nodes);
  return sort_nodes(t);
}

/* ---- edges ------------------------------------------------------------------------------------------------------- */
static int32_t node_of(const tables *t, const char *id) {
  const node_row key = {.id = id}, *found = bsearch(&key, t->sorted, (size_t)t->n, sizeof key, by_id);
  return found ? found->node : -1;
}

/* A row with a mistake: left out when such may be. */
static fv_status skip_edge(tables *t, fv_status status) {
  if (!t->o->reading->skip_bad || status != FV_ERR_CORRUPT) return status;
  if (t->d->skipped++ == 0) t->d->first_bad = fv_arena_strdup(t->d->arena, fv_error_message());
  return FV_OK;
}

static fv_status add_edge(tables *t, const fv_csv *csv, char **field, size_t n) {
  FV_REQUIRE(n >= 2, FV_ERR_CORRUPT, "%s:%lld: expected two nodes, got one", t->edges, (long long)fv_csv_line(csv));
  const int32_t end[2] = {node_of(t, field[0]), node_of(t, field[1])};
  for (int k = 0; k < 2; k++)
    FV_REQUIRE(end[k] >= 0, FV_ERR_CORRUPT, "%s:%lld: expected a node of %s, got '%s'", t->edges,
               (long long)fv_csv_line(csv), t->nodes, fv_show(field[k], strlen(field[k])));
  FV_TRY(grow(&t->from, &t->from_room, t->n_edges + 1, sizeof *t->from));
  FV_TRY(grow(&t->to, &t->to_room, t->n_edges + 1, sizeof *t->to));
  t->from[t->n_edges] = end[0];
  t->to[t->n_edges++] = end[1];
  return FV_OK;
}

static fv_status read_edges(tables *t) {
  const fv_csv_options options = options_of(t->edges);
  fv_status status = FV_OK;
  fv_csv *csv;
  char **field;
  size_t n;
  FV_TRY(fv_csv_open(t->edges, &options, &csv));
  for (int64_t row = 0;; row++) {
    FV_TRY_DONE(fv_csv_next(csv, &field, &n));
    if (n == 0) break;
    const bool names = row == 0 && !t->linqs && n >= 2 && node_of(t, field[0]) < 0 && node_of(t, field[1]) < 0;
    if (!names) FV_TRY_DONE(skip_edge(t, add_edge(t, csv, field, n)));
  }
done:
  fv_csv_close(csv);
  return status;
}

/* ---- classes ----------------------------------------------------------------------------------------------------- */
/* Numbers by their value, before others. */
static int by_label(const void *a, const void *b) {
  const char *x = *(const char *const *)a, *y = *(const char *const *)b;
  int64_t i, k;
  const bool numbers[2] = {fv_parse_int(x, &i), fv_parse_int(y, &k)};
  if (numbers[0] && numbers[1] && i != k) return i < k ? -1 : 1;
  if (numbers[0] != numbers[1]) return numbers[0] ? -1 : 1;
  return strcmp(x, y);
}

static fv_status set_classes(const tables *t, fv_edge_list *list) {
  const char **name = fv_arena_alloc(t->d->arena, (size_t)(MOST_CLASSES + 1) * sizeof *name);
  int n = 0;
  FV_REQUIRE(name, FV_ERR_MEMORY, "dataset (%s): no memory", t->d->name);
  for (int64_t i = 0; i < t->n; i++) {
    const char *label = t->row[i].label;
    if (!label || (n && bsearch(&label, name, (size_t)n, sizeof *name, by_label))) continue;
    FV_REQUIRE(n < MOST_CLASSES, FV_ERR_REQUEST,
               "%s: expected at most %d labels, got more: is this the column of labels?", t->nodes, MOST_CLASSES);
    name[n++] = fv_arena_strdup(t->d->arena, label);
    FV_REQUIRE(name[n - 1], FV_ERR_MEMORY, "dataset (%s): no memory", t->d->name);
    qsort(name, (size_t)n, sizeof *name, by_label);
  }
  for (int64_t i = 0; i < t->n; i++) {
    const char *label = t->row[i].label;
    const char **at = label ? bsearch(&label, name, (size_t)n, sizeof *name, by_label) : NULL;
    list->label[i] = at ? (int32_t)(at - name) : -1;
  }
  FV_REQUIRE(n >= 2, FV_ERR_REQUEST, "%s: expected at least 2 classes, got %d", t->nodes, n);
  t->d->classes = name;
  t->d->n_classes = n;
  return FV_OK;
}

static fv_status set_names(const tables *t, fv_edge_list *list) {
  const char **name = fv_arena_alloc(t->d->arena, (size_t)t->n * sizeof *name);
  for (int64_t i = 0; name && i < t->n; i++)
    if (!(name[i] = fv_arena_strdup(t->d->arena, t->row[i].id))) name = NULL;
  FV_REQUIRE(name, FV_ERR_MEMORY, "dataset (%s): no memory", t->d->name);
  list->name = name;
  return FV_OK;
}

static fv_status hold(tables *t) {
  fv_edge_list *list;
  fv_status status = FV_OK;
  FV_TRY(fv_edge_list_new(t->n, t->n_edges, t->entries, &list));
  list->columns = t->columns;
  if (t->words < 0 && !t->linqs) standardise(t);
  if (t->n_edges) memcpy(list->from, t->from, (size_t)t->n_edges * sizeof *list->from);
  if (t->n_edges) memcpy(list->to, t->to, (size_t)t->n_edges * sizeof *list->to);
  if (t->entries) memcpy(list->column, t->column, (size_t)t->entries * sizeof *list->column);
  if (t->entries) memcpy(list->value, t->value, (size_t)t->entries * sizeof *list->value);
  memcpy(list->begin, t->begin, (size_t)(t->n + 1) * sizeof *list->begin);
  for (int64_t i = 0; i < t->n; i++) list->split[i] = t->row[i].split;
  FV_TRY_DONE(set_classes(t, list));
  FV_TRY_DONE(set_names(t, list));
  if (t->words >= 0 || t->linqs) fv_edge_list_normalise(list);
  FV_TRY_DONE(fv_edge_list_hold(t->o, t->d, list));
done:
  fv_edge_list_free(list);
  return status;
}

bool fv_path_is_graph(const char *path) {
  const char *comma = strchr(path, ',');
  if (!comma || !fv_path_is_parallel(path)) return false;
  return fv_path_ends(path, ".cites") || fv_path_is_table(path);
}

fv_status fv_path_open_graph(const fv_data_open *o, fv_dataset *d) {
  const char *comma = strchr(o->path, ',');
  tables t = {.o = o, .d = d, .edges = comma + 1, .linqs = fv_path_ends(o->path, ".cites"), .split = -1, .words = -1};
  fv_status status = FV_OK;
  t.nodes = fv_arena_printf(d->arena, "%.*s", (int)(comma - o->path), o->path);
  FV_REQUIRE(t.nodes, FV_ERR_MEMORY, "dataset (%s): no memory for a name", o->path);
  FV_TRY_DONE(read_nodes(&t));
  FV_TRY_DONE(read_edges(&t));
  FV_TRY_DONE(hold(&t));
done:
  free_tables(&t);
  return status;
}
