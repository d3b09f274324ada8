/* SPDX-License-Identifier: Apache-2.0 */
/* test_graphs.c: what becomes of edges and features as they are found, graphs of one's own and what is wrong with them,
 * pickles, and the citation networks read from the files of Planetoid and from tables of the same data made
 * elsewhere. */
#include "test_io.h"

#include "data/sets.h"

#include <math.h>

static const int32_t *numbers(const fv_dataset *d, const char *name) {
  return d->field[fv_dataset_field(d, name)].all;
}

static fv_dataset *open_pair(const char *nodes, const char *edges, fv_reading *reading) {
  char a[256], b[256], both[520];
  fv_dataset *d;
  snprintf(a, sizeof a, "%s", in_scratch("nodes.csv"));
  snprintf(b, sizeof b, "%s", in_scratch("edges.csv"));
  OK(fv_file_write(a, nodes, strlen(nodes)));
  OK(fv_file_write(b, edges, strlen(edges)));
  snprintf(both, sizeof both, "%s,%s", a, b);
  return fv_dataset_open(both, reading, 1, NULL, NULL, NULL, &d) == FV_OK ? d : NULL;
}

#define NODES                                                              \
  "node,label,split,features\na,x,train,0 2:3\nb,y,train,1\nc,x,val,\nd,y," \
  "test,3\ne,x,test,0\nf,,,4\n"

static void expect_rows(const fv_dataset *d, const int32_t *degree, const int32_t *neighbour) {
  int64_t n = 0;
  for (int64_t i = 0; i < d->adj->nodes; i++) n += degree[i];
  assert_memory_equal(numbers(d, "degree"), degree, (size_t)d->adj->nodes * 4);
  assert_int_equal(d->adj->edges, n);
  assert_memory_equal(numbers(d, "neighbour"), neighbour, (size_t)n * 4);
}

/* Twice, both ways, and to itself: once. */
static void test_edges(void **state) {
  (void)state;
  static const char edges[] = "from,to\na,b\nb,a\na,b\nc,c\nd,a\n";
  fv_dataset *d = open_pair(NODES, edges, NULL);
  assert_non_null(d);
  expect_rows(d, (int32_t[]){3, 2, 1, 2, 1, 1}, (int32_t[]){0, 1, 3, 0, 1, 2, 0, 3, 4, 5});
  fv_dataset_close(d);
  d = open_pair(NODES, edges, &(fv_reading){.directed = true});
  expect_rows(d, (int32_t[]){3, 2, 1, 1, 1, 1}, (int32_t[]){0, 1, 3, 0, 1, 2, 3, 4, 5});
  fv_dataset_close(d);
}

static void test_fields(void **state) {
  (void)state;
  int32_t label[6];
  void *out[FV_MAX_FIELDS] = {NULL};
  fv_dataset *d = open_pair(NODES, "a,b\n", NULL);
  const int words = fv_dataset_field(d, "word");
  assert_int_equal(d->features, 5);
  assert_int_equal(d->field[words].shape.dim[1], 2);
  assert_memory_equal(numbers(d, "word"), ((int32_t[]){0, 2, 1, 0, 0, 0, 3, 0, 0, 0, 4, 0}), 48);
  assert_memory_equal(d->field[words + 1].all, ((float[]){0.25f, 0.75f, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0}), 48);
  out[d->n_fields - 1] = label;
  d->read(d, FV_SPLIT_TRAIN, 0, 0, out);
  assert_memory_equal(label, ((int32_t[]){0, 1, -1, -1, -1, -1}), sizeof label);
  d->read(d, FV_SPLIT_TEST, 0, 0, out);
  assert_memory_equal(label, ((int32_t[]){-1, -1, -1, 1, 0, -1}), sizeof label);
  assert_string_equal(d->adj->name[3], "d");
  fv_dataset_close(d);
}

/* Columns of numbers, no split: standardised; a fifth is for testing, and a fifth of the others for validation. */
static void test_numbers(void **state) {
  (void)state;
  char nodes[4096] = "id,kind,height,weight\n";
  int64_t count[FV_SPLITS + 1] = {0};
  for (int i = 0; i < 50; i++)
    snprintf(nodes + strlen(nodes), sizeof nodes - strlen(nodes), "n%d,%d,%d,7\n", i, i % 2 ? 10 : 9, i % 2 ? 4 : 8);
  fv_dataset *d = open_pair(nodes, "n0,n1\n", &(fv_reading){.label = "kind"});
  assert_non_null(d);
  assert_string_equal(d->classes[0], "9");
  const float *x = d->field[fv_dataset_field(d, "feature")].all;
  assert_memory_equal(x, ((float[]){1, 0, -1, 0}), 16);
  for (int i = 0; i < 50; i++) count[d->adj->split[i]]++;
  assert_int_equal(count[FV_SPLIT_TEST], 10);
  assert_int_equal(count[FV_SPLIT_VALIDATION], 8);
  fv_dataset_close(d);
}

static void test_mistakes(void **state) {
  (void)state;
  static const struct {
    const char *nodes, *edges, *words;
  } bad[] = {
      {NODES, "a,nobody\n", "edges.csv:1: expected a node of"},
      {NODES, "from,to\na,b\n-1,a\n", "edges.csv:3: expected a node of"},
      {NODES, "a,b\na\n", "edges.csv:2: expected two nodes, got one"},
      {NODES "a,x,train,1\n", "a,b\n", "nodes.csv:8: expected every node once, got 'a' again, which is in line 2"},
      {"node,label,features\na,x,seven\n", "", "nodes.csv:2: features: expected numbers of words"},
      {"node,label,features\na,x,-7\n", "", "nodes.csv:2: features: expected numbers of words"},
      {"node,label,features\na,x,1:inf\n", "", "nodes.csv:2: features: expected numbers of words"},
      {"node,label,v\na,x,1\nb,y,tall\n", "", "nodes.csv:3: column 3: expected a number, got 'tall'"},
      {"node,label,v\na,x,1\nb,y\n", "", "nodes.csv:3: expected 3 columns, got 2"},
      {"node,kind,v\na,x,1\n", "", "expected a column 'label'"},
      {"node,label,v\na,x,1\nb,x,1\n", "", "expected at least 2 classes, got 1"},
      {"node,label,v\n", "", "expected nodes, got none"},
      {"node,label\na,x\nb,y\n", "", "expected features of nodes, got none"},
      {"node,label,split,v\na,x,test,1\nb,y,test,1\n", "", "expected nodes with a label for train, got none"},
  };
  for (size_t i = 0; i < FV_COUNT(bad); i++) {
    if (open_pair(bad[i].nodes, bad[i].edges, NULL)) fail_msg("%zu: expected a refusal", i);
    if (!strstr(fv_error_message(), bad[i].words))
      fail_msg("expected '%s' in: %s", bad[i].words, fv_error_message());
  }
  fv_dataset *d = open_pair(NODES, "a,b\na,nobody\nb,c\nx,y\n", &(fv_reading){.skip_bad = true});
  assert_int_equal(d->skipped, 2);
  assert_int_equal(d->adj->edges, 6 + 4);
  fv_dataset_close(d);
}

/* ---- many graphs ------------------------------------------------------------------------------------------------- */
/* The busiest node of one kind of graph has more edges than that of the other. */
static void test_many(void **state) {
  (void)state;
  double busiest[2] = {0};
  fv_dataset *d;
  OK(fv_dataset_open("motifs", NULL, 1, NULL, NULL, NULL, &d));
  for (int64_t i = 0; i < d->count[FV_SPLIT_TRAIN]; i++) {
    int32_t degree[20] = {0}, neighbour[400] = {0}, label = -1, most = 0;
    float feature[40];
    const int64_t n = d->length(d, FV_SPLIT_TRAIN, i);
    d->read(d, FV_SPLIT_TRAIN, i, 0, (void *[FV_MAX_FIELDS]){degree, neighbour, feature, &label});
    for (int64_t k = 0, e = 0; k < n; k++) {
      bool itself = false;
      most = FV_MAX(most, degree[k]);
      for (const int64_t end = e + degree[k]; e < end; e++) {
        assert_in_range(neighbour[e], 0, n - 1);
        itself |= neighbour[e] == k;
      }
      assert_true(itself);
    }
    busiest[label] += (double)most / (double)(d->count[FV_SPLIT_TRAIN] / 2);
  }
  assert_true(busiest[1] > busiest[0] + 1);
  fv_dataset_close(d);
}

static fv_status hold_text(const char *text, const char *fold, fv_dataset **d) {
  static const fv_dataset_def def = {.info = {.name = "graphs", .folds = 2}};
  static fv_reading reading;
  char copy[256], list[64];
  snprintf(copy, sizeof copy, "%s", text);
  snprintf(list, sizeof list, "%s", fold ? fold : "");
  OK(FV_NEW(d, 1));
  OK(fv_arena_new(&(*d)->arena));
  (*d)->name = "graphs";
  return fv_graph_text_hold(&(fv_data_open){.def = &def, .reading = &reading}, *d, "graphs.txt", copy, "fold.txt",
                            fold ? list : NULL);
}

#define TWO "2\n3 0\n0 2 1 2\n1 1 0\n0 1 0\n2 1\n1 0\n1 0\n"

static void test_text(void **state) {
  (void)state;
  static const struct {
    const char *text, *fold, *words;
  } bad[] = {
      {"", NULL, "graphs.txt:1: number of graphs: expected a whole number from 1"},
      {"2\n1 0\n0 0\n", NULL, "graphs.txt:4: number of nodes: expected a whole number from 1 to"},
      {"1\n2 0\n0 2 1\n0 0\n", NULL, "graphs.txt:3: neighbour: expected a whole number from 0 to 1, got 'nothing'"},
      {"1\n2 0\n0 1 1 1\n0 0\n", NULL, "graphs.txt:4: expected 1 numbers behind the neighbours, got 0"},
      {"1\n2 0\n0 1 2\n0 0\n", NULL, "graphs.txt:3: neighbour: expected a whole number from 0 to 1, got '2'"},
      {"1\n2 0\n0 1 -1\n0 0\n", NULL, "graphs.txt:3: neighbour: expected a whole number from 0 to 1, got '-1'"},
      {"1\n2 0\n0 0 x\n0 0 1\n", NULL, "graphs.txt:3: expected a number, got 'x'"},
      {"1\n2 0 9\n0 0\n0 0\n", NULL, "graphs.txt:2: expected the end of the line, got '9'"},
      {"1\n1 0\n0 0\n1 0\n0 0\n", NULL, "graphs.txt:4: expected the end after 1 graphs, got more"},
      {TWO, "2\n", "fold.txt:1: graph: expected a whole number from 0 to 1, got '2'"},
  };
  fv_dataset *d;
  OK(hold_text(TWO, "1\n", &d));
  assert_int_equal(d->count[FV_SPLIT_TRAIN], 1);
  assert_int_equal(d->field[0].shape.dim[0], 3);
  assert_int_equal(d->features, 2);
  fv_dataset_close(d);
  for (size_t i = 0; i < FV_COUNT(bad); i++) {
    FAILS(FV_ERR_CORRUPT, bad[i].words, hold_text(bad[i].text, bad[i].fold, &d));
    fv_dataset_close(d);
  }
}

/* ---- collections of TU Dortmund ---------------------------------------------------------------------------------- */
enum { TU_FILES = 5 };
static const char *const tu_names[TU_FILES] = {"DS_A.txt", "DS_graph_indicator.txt", "DS_graph_labels.txt",
                                               "DS_node_labels.txt", "DS_node_attributes.txt"};
/* Ten graphs: a path of three nodes and a pair, five times. */
typedef struct tu_files {
  char text[TU_FILES][2048];
} tu_files;
static tu_files tu_good(void) {
  tu_files f = {{""}};
  for (int g = 0, node = 1; g < 10; g++) {
    const int nodes = g % 2 ? 2 : 3;
    for (int i = 0; i < nodes; i++, node++) {
      if (i > 0) snprintf(strchr(f.text[0], 0), 64, "%d, %d\n%d,%d\n", node - 1, node, node, node - 1);
      snprintf(strchr(f.text[1], 0), 64, "%d\n", g + 1);
      snprintf(strchr(f.text[3], 0), 64, "%d\n", i == 0 ? -4 : 7);
      snprintf(strchr(f.text[4], 0), 64, "%d, 0.5\n", i);
    }
    snprintf(strchr(f.text[2], 0), 64, "%d\n", g % 2 ? 1 : -1);
  }
  return f;
}

static fv_status open_tu(const tu_files *f, fv_dataset **d) {
  for (int i = 0; i < TU_FILES; i++) {
    char name[64];
    snprintf(name, sizeof name, "tu/%s", tu_names[i]);
    OK(fv_dir_make(in_scratch("tu")));
    if (*f->text[i]) OK(fv_file_write(in_scratch(name), f->text[i], strlen(f->text[i])));
    else OK(fv_file_remove(in_scratch(name)));
  }
  return fv_dataset_open(in_scratch("tu"), NULL, 1, NULL, NULL, NULL, d);
}

static void test_tu(void **state) {
  (void)state;
  tu_files f = tu_good();
  fv_dataset *d;
  OK(open_tu(&f, &d));
  assert_int_equal(d->features, 4); /* two labels, two numbers */
  assert_int_equal(d->count[FV_SPLIT_TRAIN] + d->count[FV_SPLIT_TEST], 10);
  assert_string_equal(d->classes[0], "-1");
  for (int64_t i = 0; i < d->count[FV_SPLIT_TRAIN]; i++) {
    int32_t degree[3] = {0}, neighbour[9] = {0}, label;
    float x[12];
    const int64_t n = d->length(d, FV_SPLIT_TRAIN, i);
    d->read(d, FV_SPLIT_TRAIN, i, 0, (void *[FV_MAX_FIELDS]){degree, neighbour, x, &label});
    assert_int_equal(label, n == 2);
    assert_memory_equal(degree, n == 2 ? ((int32_t[]){2, 2, 0}) : ((int32_t[]){2, 3, 2}), sizeof degree);
    assert_true(x[0] == 1 && x[1] == 0 && x[4] == 0 && x[5] == 1 && x[2] < x[6] && x[3] == 0);
  }
  fv_dataset_close(d);
  f.text[3][0] = f.text[4][0] = 0; /* nothing is known of nodes: a 1 for each */
  OK(open_tu(&f, &d));
  assert_int_equal(d->features, 1);
  fv_dataset_close(d);
}

static void test_tu_mistakes(void **state) {
  (void)state;
  static const struct {
    int file;
    const char *text, *words; /* text: in the place of the file's first bytes; NULL: no file */
  } bad[] = {
      {0, "0, 2", "DS_A.txt:1: node: expected a whole number from 1 to 25, got '0'"},
      {0, "1,99", "DS_A.txt:1: node: expected a whole number from 1 to 25, got '99'"},
      {0, "1, 4", "DS_A.txt:1: expected two nodes of one graph, got one of graph 1 and one of graph 2"},
      {0, "1\n23", "DS_A.txt:1: node: expected a whole number from 1 to 25, got 'nothing'"},
      {0, "1 2 3", "DS_A.txt:1: expected the end of the line, got"},
      {1, "2", "DS_graph_indicator.txt:1: graph: expected a whole number from 1 to 1, got '2'"},
      {1, "1\n3", "DS_graph_indicator.txt:2: graph: expected a whole number from 1 to 2, got '3'"},
      {1, "x", "DS_graph_indicator.txt:1: graph: expected a whole number from 1 to 1, got 'x'"},
      {1, NULL, "expected"},
      {2, "1.", "DS_graph_labels.txt:1: class: expected a whole number"},
      {2, "\n\n", "DS_graph_labels.txt:13: expected a line for each of 10 graphs, got the end"},
      {2, "1\n1\n1\n", "DS_graph_labels.txt:12: expected a line for each of 10 graphs, got more"},
      {2, NULL, "expected a file *_graph_labels.txt"},
      {3, "xx", "DS_node_labels.txt:1: label: expected a whole number"},
      {3, "7\n7\n7\n7\n", "DS_node_labels.txt:27: expected a line for each of 25 nodes, got more"},
      {4, "0     ", "DS_node_attributes.txt:2: expected 1 numbers as in the first line, got 2"},
      {4, "x", "DS_node_attributes.txt:1: expected a number, got 'x'"},
      {4, "inf   ", "DS_node_attributes.txt:1: expected a number, got 'inf'"},
  };
  for (size_t i = 0; i < FV_COUNT(bad); i++) {
    tu_files f = tu_good();
    fv_dataset *d = NULL;
    if (bad[i].text) memcpy(f.text[bad[i].file], bad[i].text, strlen(bad[i].text));
    else f.text[bad[i].file][0] = 0;
    if (open_tu(&f, &d) == FV_OK) fail_msg("%zu: expected a refusal: %s", i, bad[i].words);
    if (!strstr(fv_error_message(), bad[i].words)) fail_msg("expected '%s' in: %s", bad[i].words, fv_error_message());
  }
}

/* Any bytes anywhere: a dataset or one line. */
static void test_tu_damaged(void **state) {
  (void)state;
  static const char bytes[] = "0123456789-.,\n \tex\xff";
  fv_rng rng = fv_rng_new(7, 1);
  for (int round = 0; round < 400; round++) {
    tu_files f = tu_good();
    fv_dataset *d = NULL;
    for (uint32_t k = fv_rng_below(&rng, 4) + 1; k > 0; k--) {
      char *text = f.text[fv_rng_below(&rng, TU_FILES)];
      text[fv_rng_below(&rng, (uint32_t)strlen(text))] = bytes[fv_rng_below(&rng, sizeof bytes - 1)];
    }
    if (open_tu(&f, &d) == FV_OK) fv_dataset_close(d);
    else assert_null(strchr(fv_error_message(), '\n'));
  }
}

/* ---- pickles ----------------------------------------------------------------------------------------------------- */
static fv_status parse(const char *bytes, size_t n, fv_arena *arena, const fv_pickle **root) {
  return fv_pickle_parse(bytes, n, "test", arena, root);
}
#define PICKLE(text) text, sizeof(text) - 1

static void test_pickle(void **state) {
  (void)state;
  fv_arena *arena;
  const fv_pickle *v;
  OK(fv_arena_new(&arena));
  OK(parse(PICKLE("\x80\x02}q\x00(U\x01" "aK\x07U\x01" "b]q\x01(M\x01\x01J\xff\xff\xff\xff" "eu."), arena, &v));
  assert_int_equal(fv_pickle_get(v, "a")->number, 7);
  const fv_pickle *list = fv_pickle_get(v, "b");
  assert_int_equal(list->n, 2);
  assert_int_equal(list->item[0]->number, 257);
  assert_int_equal(list->item[1]->number, -1);
  assert_null(fv_pickle_get(v, "c"));
  OK(parse(PICKLE("\x80\x02" "cos\nsystem\nU\x02ls\x85R."), arena, &v)); /* named, not called */
  assert_true(fv_pickle_is(v, "os.system"));
  FAILS(FV_ERR_REQUEST, "instruction 0x47", parse(PICKLE("\x80\x02G01234567."), arena, &v));
  FAILS(FV_ERR_CORRUPT, "expected an end", parse(PICKLE("\x80\x02N"), arena, &v));
  FAILS(FV_ERR_CORRUPT, "expected a value", parse(PICKLE("\x80\x02."), arena, &v));
  FAILS(FV_ERR_CORRUPT, "expected a mark", parse(PICKLE("\x80\x02Ne."), arena, &v));
  FAILS(FV_ERR_CORRUPT, "expected more bytes", parse(PICKLE("\x80\x02T\xff\xff\xff\x7fx."), arena, &v));
  FAILS(FV_ERR_CORRUPT, "expected a value kept before", parse(PICKLE("\x80\x02h\x05."), arena, &v));
  FAILS(FV_ERR_CORRUPT, "expected a list or dictionary", parse(PICKLE("\x80\x02NNa."), arena, &v));
  FAILS(FV_ERR_CORRUPT, "expected protocol 2", parse(PICKLE("\x80\x04N."), arena, &v));
  fv_arena_free(arena);
}

/* ---- the citation networks --------------------------------------------------------------------------------------- */
/* From the pickles and from the tables: the same graph, words, labels and splits. */
static void compare(const char *name) {
  const char *mirror = getenv("FOVEA_DATA_MIRROR");
  char path[1024];
  fv_dataset *a, *b;
  if (!mirror) skip();
  OK(fv_dataset_open(name, NULL, 1, NULL, NULL, NULL, &a));
  snprintf(path, sizeof path, "%s/planetoid/%s.nodes.tsv.gz,%s/planetoid/%s.edges.tsv.gz", mirror, name, mirror, name);
  OK(fv_dataset_open(path, NULL, 1, NULL, NULL, NULL, &b));
  assert_int_equal(a->n_classes, b->n_classes);
  assert_int_equal(a->features, b->features);
  for (int f = 0; f < a->n_fields; f++) {
    const size_t bytes = (size_t)fv_shape_count(a->field[f].shape) * 4;
    assert_string_equal(a->field[f].name, b->field[f].name);
    assert_true(fv_shape_equal(a->field[f].shape, b->field[f].shape));
    if (a->field[f].shared) assert_memory_equal(a->field[f].all, b->field[f].all, bytes);
  }
  assert_memory_equal(a->adj->label, b->adj->label, (size_t)a->adj->nodes * 4);
  assert_memory_equal(a->adj->split, b->adj->split, (size_t)a->adj->nodes);
  fv_dataset_close(a);
  fv_dataset_close(b);
}
static void test_cora(void **state) {
  (void)state;
  compare("cora");
}
static void test_citeseer(void **state) {
  (void)state;
  compare("citeseer");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_edges),      cmocka_unit_test(test_fields), cmocka_unit_test(test_numbers),
      cmocka_unit_test(test_mistakes),   cmocka_unit_test(test_pickle), cmocka_unit_test(test_many),
      cmocka_unit_test(test_text),       cmocka_unit_test(test_tu),     cmocka_unit_test(test_tu_mistakes),
      cmocka_unit_test(test_tu_damaged), cmocka_unit_test(test_cora),   cmocka_unit_test(test_citeseer)};
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
