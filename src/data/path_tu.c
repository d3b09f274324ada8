/* SPDX-License-Identifier: Apache-2.0 */
/* path_tu.c: collections of graphs in the form of TU Dortmund (Morris et al. 2020, TUDataset), a folder or a .zip:
 *
 *   DS_A.txt                  an edge a line, two nodes; nodes of all graphs are counted from 1
 *   DS_graph_indicator.txt    a line a node: its graph, counted from 1
 *   DS_graph_labels.txt       a line a graph: its class, a whole number
 *   DS_node_labels.txt        a line a node, where there is one: a whole number; each value is a feature
 *   DS_node_attributes.txt    a line a node, where there is one: numbers, which are standardised
 *
 * What is known of edges is not read. */
#include "data/numbers.h"
#include "data/sets.h"

#include <math.h>
#include <stdlib.h>

enum { EDGES, INDICATOR, CLASSES, TAGS, ATTRIBUTES, PARTS };
static const char *const endings[PARTS] = {"_A.txt", "_graph_indicator.txt", "_graph_labels.txt", "_node_labels.txt",
                                           "_node_attributes.txt"};
enum { MOST_VALUES = 4096 };
#define MOST_BYTES ((size_t)1 << 30)

typedef struct values { /* rising */
  int64_t n, v[MOST_VALUES];
} values;

typedef struct collection {
  const fv_data_open *o;
  fv_dataset *d;
  char *text[PARTS];
  const char *name[PARTS];
  int64_t nodes, edges, graphs, attributes;
  int32_t *graph; /* of each node */
  values classes, tags;
  fv_edge_list *list;
  fv_graph_set set;
} collection;

/* ---- files ------------------------------------------------------------------------------------------------------- */
static int part_of(const char *name) {
  for (int i = 0; i < PARTS; i++)
    if (fv_ends_with(name, endings[i])) return i;
  return -1;
}

static fv_status name_part(collection *c, int i, const char *name) {
  FV_REQUIRE(!c->text[i], FV_ERR_REQUEST, "%s: expected one file *%s, got '%s' and '%s'", c->o->path, endings[i],
             c->name[i], name);
  c->name[i] = fv_arena_strdup(c->d->arena, name);
  FV_REQUIRE(c->name[i], FV_ERR_MEMORY, "dataset (%s): no memory", c->o->path);
  return FV_OK;
}

static fv_status read_folder(collection *c) {
  char **names;
  size_t n, bytes;
  FV_TRY(fv_dir_list(c->o->path, c->d->arena, &names, &n));
  for (size_t k = 0; k < n; k++) {
    const int i = part_of(names[k]);
    const char *path = i < 0 ? NULL : fv_path_join(c->d->arena, c->o->path, names[k]);
    if (!path) continue;
    FV_TRY(name_part(c, i, path));
    FV_TRY(fv_file_read(path, MOST_BYTES, (uint8_t **)&c->text[i], &bytes));
  }
  return FV_OK;
}

static fv_status read_archive(collection *c) {
  fv_archive *a;
  const char *name;
  fv_status status = FV_OK;
  FV_TRY(fv_archive_open(c->o->path, &a));
  for (;;) {
    FV_TRY_DONE(fv_archive_next(a, &name));
    if (!name) break;
    const int i = part_of(name);
    if (i < 0) continue;
    FV_TRY_DONE(name_part(c, i, name));
    FV_TRY_DONE(fv_archive_read_text(a, name, MOST_BYTES, &c->text[i]));
  }
done:
  fv_archive_close(a);
  return status;
}

static fv_status read_files(collection *c) {
  FV_TRY(fv_path_is_dir(c->o->path) ? read_folder(c) : read_archive(c));
  for (int i = 0; i < TAGS; i++)
    FV_REQUIRE(c->text[i], FV_ERR_REQUEST, "%s: expected a file *%s, as collections of TU Dortmund have it, got none",
               c->o->path, endings[i]);
  return FV_OK;
}

static fv_numbers begin(const collection *c, int part) { return (fv_numbers){c->name[part], c->text[part], 1}; }

/* A line for each of `wanted`, and no more. */
static fv_status expect_lines(const fv_numbers *s, int64_t got, int64_t wanted, const char *what) {
  FV_REQUIRE(got == wanted, FV_ERR_CORRUPT, "%s:%lld: expected a line for each of %lld %s, got %s", s->what,
             (long long)s->line, (long long)wanted, what, got < wanted ? "the end" : "more");
  return FV_OK;
}

/* ---- nodes and graphs -------------------------------------------------------------------------------------------- */
static int64_t count_lines(const char *text) {
  int64_t n = 1;
  while ((text = strchr(text, '\n'))) n++, text++;
  return n;
}

static fv_status read_indicator(collection *c) {
  int64_t g, last = 0;
  fv_numbers s = begin(c, INDICATOR);
  FV_TRY(FV_NEW(&c->graph, count_lines(s.at)));
  for (; !fv_numbers_end(&s); last = g) {
    FV_TRY(fv_numbers_whole(&s, "graph", FV_MAX(last, 1), FV_MIN(last + 1, INT32_MAX / 4), &g));
    FV_TRY(fv_numbers_line(&s));
    c->graph[c->nodes++] = (int32_t)(g - 1);
  }
  c->graphs = last;
  FV_REQUIRE(c->graphs > 0, FV_ERR_CORRUPT, "%s:1: expected nodes, got none", s.what);
  return FV_OK;
}

static int64_t place_of(const values *v, int64_t value) {
  int64_t low = 0, high = v->n;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (v->v[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* The values of a file of whole numbers, one a line. */
static fv_status collect(const collection *c, int part, const char *name, int64_t lines, const char *of, values *v) {
  int64_t value, n = 0;
  fv_numbers s = begin(c, part);
  for (; !fv_numbers_end(&s) && n <= lines; n++) {
    FV_TRY(fv_numbers_whole(&s, name, INT32_MIN, INT32_MAX, &value));
    const int64_t at = place_of(v, value);
    if (at == v->n || v->v[at] != value) {
      FV_REQUIRE(v->n < MOST_VALUES, FV_ERR_CORRUPT, "%s:%lld: expected at most %d different numbers", s.what,
                 (long long)s.line, MOST_VALUES);
      memmove(v->v + at + 1, v->v + at, (size_t)(v->n++ - at) * sizeof *v->v);
      v->v[at] = value;
    }
    FV_TRY(fv_numbers_line(&s));
  }
  return expect_lines(&s, n, lines, of);
}

/* How many numbers a node has; all have as many. */
static fv_status count_attributes(collection *c) {
  char word[FV_NUMBERS_WORD];
  double v;
  int64_t n = 0;
  fv_numbers s = begin(c, ATTRIBUTES);
  for (; !fv_numbers_end(&s) && n <= c->nodes; n++) {
    int64_t k = 0;
    for (; fv_numbers_word(&s, word); k++)
      FV_REQUIRE(fv_parse_real(word, &v) && fabs(v) < 1e30, FV_ERR_CORRUPT, "%s:%lld: expected a number, got '%s'",
                 s.what, (long long)s.line, fv_show(word, strlen(word)));
    if (n == 0) c->attributes = k;
    FV_REQUIRE(k == c->attributes, FV_ERR_CORRUPT, "%s:%lld: expected %lld numbers as in the first line, got %lld",
               s.what, (long long)s.line, (long long)c->attributes, (long long)k);
    FV_TRY(fv_numbers_line(&s));
  }
  return expect_lines(&s, n, c->nodes, "nodes");
}

static fv_status read_edges(collection *c, bool take) {
  int64_t end[2], n = 0;
  fv_numbers s = begin(c, EDGES);
  for (; !fv_numbers_end(&s); n++) {
    for (int k = 0; k < 2; k++) FV_TRY(fv_numbers_whole(&s, "node", 1, c->nodes, &end[k]));
    FV_REQUIRE(c->graph[end[0] - 1] == c->graph[end[1] - 1], FV_ERR_CORRUPT,
               "%s:%lld: expected two nodes of one graph, got one of graph %d and one of graph %d", s.what,
               (long long)s.line, c->graph[end[0] - 1] + 1, c->graph[end[1] - 1] + 1);
    FV_TRY(fv_numbers_line(&s));
    if (!take) continue;
    c->list->to[n] = (int32_t)(end[0] - 1);
    c->list->from[n] = (int32_t)(end[1] - 1);
  }
  c->edges = n;
  return FV_OK;
}

/* ---- features ---------------------------------------------------------------------------------------------------- */
static int64_t features_of(const collection *c) { return (c->tags.n > 0) + c->attributes; }

static void set_entry(const collection *c, int64_t node, int64_t k, int64_t column, double value) {
  const int64_t at = node * FV_MAX(features_of(c), 1) + k;
  c->list->column[at] = (int32_t)column;
  c->list->value[at] = (float)value;
}

/* A node's tag as 1 in its column, then its numbers; where nothing is known of nodes, a 1. What was read before is read
 * again, without mistakes. */
static fv_status fill_features(collection *c) {
  const int64_t each = FV_MAX(features_of(c), 1), first = c->tags.n > 0;
  fv_numbers tags = begin(c, TAGS), numbers = begin(c, ATTRIBUTES);
  char word[FV_NUMBERS_WORD];
  int64_t tag;
  double v = 0;
  for (int64_t i = 0; i < c->nodes; i++) {
    c->list->begin[i + 1] = (i + 1) * each;
    if (features_of(c) == 0) set_entry(c, i, 0, 0, 1);
    if (first) {
      fv_numbers_end(&tags);
      FV_TRY(fv_numbers_whole(&tags, "label", INT32_MIN, INT32_MAX, &tag));
      FV_TRY(fv_numbers_line(&tags));
      set_entry(c, i, 0, place_of(&c->tags, tag), 1);
    }
    if (c->attributes) fv_numbers_end(&numbers);
    for (int64_t k = 0; k < c->attributes; k++) {
      FV_REQUIRE(fv_numbers_word(&numbers, word) && fv_parse_real(word, &v), FV_ERR_CORRUPT,
                 "%s:%lld: expected a number", numbers.what, (long long)numbers.line);
      set_entry(c, i, first + k, c->tags.n + k, v);
    }
    if (c->attributes) FV_TRY(fv_numbers_line(&numbers));
  }
  return FV_OK;
}

static void standardise(const collection *c) {
  const int64_t each = features_of(c), first = c->tags.n > 0;
  for (int64_t k = first; k < each; k++) {
    float *v = c->list->value + k;
    double sum = 0, square = 0;
    for (int64_t i = 0; i < c->nodes; i++) sum += (double)v[i * each];
    const double mean = sum / (double)c->nodes;
    for (int64_t i = 0; i < c->nodes; i++) square += pow((double)v[i * each] - mean, 2);
    const double deviation = sqrt(square / (double)c->nodes);
    for (int64_t i = 0; i < c->nodes; i++)
      v[i * each] = deviation > 0 ? (float)(((double)v[i * each] - mean) / deviation) : 0;
  }
}

/* ---- the dataset ------------------------------------------------------------------------------------------------- */
static fv_status set_graphs(collection *c) {
  const char **name = fv_arena_alloc(c->d->arena, (size_t)c->classes.n * sizeof *name);
  int64_t label;
  fv_numbers s = begin(c, CLASSES);
  FV_TRY(fv_graph_set_new(c->graphs, &c->set));
  for (int64_t g = 0; g < c->graphs; g++) {
    fv_numbers_end(&s);
    FV_TRY(fv_numbers_whole(&s, "class", INT32_MIN, INT32_MAX, &label));
    FV_TRY(fv_numbers_line(&s));
    c->set.label[g] = (int32_t)place_of(&c->classes, label);
  }
  for (int64_t i = 0; i < c->nodes; i++) c->set.first[c->graph[i] + 1] = i + 1;
  for (int64_t k = 0; name && k < c->classes.n; k++)
    if (!(name[k] = fv_arena_printf(c->d->arena, "%lld", (long long)c->classes.v[k]))) name = NULL;
  FV_REQUIRE(name, FV_ERR_MEMORY, "dataset (%s): no memory", c->o->path);
  c->d->classes = name;
  c->d->n_classes = (int)c->classes.n;
  return FV_OK;
}

static fv_status hold(collection *c) {
  const int64_t entries = c->nodes * FV_MAX(features_of(c), 1);
  FV_TRY(fv_edge_list_new(c->nodes, c->edges, entries, &c->list));
  c->list->columns = FV_MAX(c->tags.n + c->attributes, 1);
  FV_TRY(read_edges(c, true));
  FV_TRY(fill_features(c));
  standardise(c);
  FV_TRY(set_graphs(c));
  return fv_graph_set_hold(c->o, c->d, c->list, &c->set);
}

static fv_status read_all(collection *c) {
  FV_TRY(read_files(c));
  FV_TRY(read_indicator(c));
  FV_TRY(collect(c, CLASSES, "class", c->graphs, "graphs", &c->classes));
  FV_REQUIRE(c->classes.n >= 2, FV_ERR_REQUEST, "%s: expected at least 2 classes, got %lld", c->name[CLASSES],
             (long long)c->classes.n);
  if (c->text[TAGS]) FV_TRY(collect(c, TAGS, "label", c->nodes, "nodes", &c->tags));
  if (c->text[ATTRIBUTES]) FV_TRY(count_attributes(c));
  FV_TRY(read_edges(c, false));
  return hold(c);
}

bool fv_path_is_tu(const char *path, fv_arena *arena) {
  char **names;
  size_t n;
  if (fv_ends_with(path, ".zip")) return fv_path_exists(path);
  if (!fv_path_is_dir(path) || fv_dir_list(path, arena, &names, &n) != FV_OK) return false;
  for (size_t k = 0; k < n; k++)
    if (part_of(names[k]) == INDICATOR) return true;
  return false;
}

fv_status fv_path_open_tu(const fv_data_open *o, fv_dataset *d) {
  collection *c; /* too large for a thread's stack */
  FV_TRY(FV_NEW(&c, 1));
  c->o = o;
  c->d = d;
  const fv_status status = read_all(c);
  for (int i = 0; i < PARTS; i++) fv_free(c->text[i]);
  fv_free(c->graph);
  fv_edge_list_free(c->list);
  fv_graph_set_free(&c->set);
  fv_free(c);
  return status;
}
