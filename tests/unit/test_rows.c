/* SPDX-License-Identifier: Apache-2.0 */
/* test_rows.c: a table trained in the rows that were looked up (FV_GROUP_ROWS) beside the same table with a gradient of
 * its full size: under plain SGD with a limited norm they must stay equal; rows nobody looked up never change; and the
 * bits do not depend on the number of threads. */
#include "test_io.h"
#include "nn/nn.h"
#include "ops/lookup.h"
#include "ops/reduce.h"
#include "train/optimizer.h"

enum { ROWS = 300, WIDTH = 7, SHARDS = 3, LOOKUPS = 50, STEPS = 5 };

typedef struct run {
  fv_params *params;
  fv_graph *g;
  fv_program *program;
  fv_exec *exec;
  fv_optimizer o;
  float *slab;
  double norm[STEPS];
} run;

/* loss = mean over lookups of sum((E[id] - place)^2) */
static void build(run *r, fv_group group) {
  const fv_init normal = {.kind = FV_INIT_NORMAL, .a = 1};
  OK(fv_params_new(&r->params));
  OK(fv_graph_new(r->params, FV_F32, &r->g));
  fv_value *ids = fv_input(r->g, "ids", FV_I32, FV_SHAPE(LOOKUPS));
  fv_value *table = fv_param(r->g, "table", FV_SHAPE(ROWS, WIDTH), normal, group);
  fv_value *x = fv_op(r->g, "embedding", &(fv_embedding_attrs){.padding_idx = 0}, table, ids);
  x = fv_op(r->g, "sub", NULL, x, fv_param(r->g, "shift", FV_SHAPE(WIDTH), normal, FV_GROUP_NO_DECAY));
  fv_value *loss = fv_op(r->g, "mean", NULL, fv_op(r->g, "square", NULL, x));
  fv_output(r->g, "loss", loss);
  OK(fv_graph_check(r->g));
  OK(fv_params_layout(r->params));
  OK(fv_graph_differentiate(r->g, loss, true, 0, NULL, NULL));
}

static void start(run *r, fv_group group, const fv_train_settings *settings) {
  static fv_ledger ledger;
  *r = (run){0};
  build(r, group);
  OK(fv_slab_new(&ledger, FV_ACCOUNT_PARAMETERS, r->params->size * 4, (void **)&r->slab));
  fv_params_init(r->params, 1, r->slab);
  OK(fv_program_new(r->g, &r->program));
  OK(fv_exec_new(r->program, &ledger, r->slab, NULL, &r->exec));
  OK(fv_optimizer_new(&ledger, r->params, settings, SHARDS, &r->o));
  OK(fv_optimizer_add_tables(&r->o, &ledger, r->g));
}

static void finish(run *r) {
  fv_optimizer_free(&r->o);
  fv_exec_free(r->exec);
  fv_program_free(r->program);
  fv_graph_free(r->g);
  fv_slab_free(r->slab);
  fv_params_free(r->params);
}

/* Rows 0 to 199 of 300, many of them often; 0 is padding. */
static void draw(int step, int shard, int32_t ids[LOOKUPS]) {
  fv_rng rng = fv_rng_new((uint64_t)(step * SHARDS + shard), fv_stream_of("rows"));
  for (int i = 0; i < LOOKUPS; i++) ids[i] = (int32_t)fv_rng_below(&rng, i % 2 ? 200 : 20);
}

static void steps(run *r, int threads, int n) {
  fv_pool *pool;
  OK(fv_pool_new(threads, &pool));
  for (int step = 0; step < n; step++) {
    for (int shard = 0; shard < SHARDS; shard++) {
      int32_t ids[LOOKUPS];
      draw(step, shard, ids);
      fv_exec_bind_input(r->exec, fv_exec_input(r->exec, "ids"), ids);
      fv_exec_bind_gradients(r->exec, r->o.gradients + shard * r->o.dense);
      fv_exec_run(r->exec);
      fv_optimizer_take_rows(&r->o, r->exec, shard);
    }
    OK(fv_optimizer_step(&r->o, r->slab, step, 0.5, pool, &r->norm[step]));
  }
  fv_pool_free(pool);
}

static void train(run *r, int threads) { steps(r, threads, STEPS); }

static const float *table_of(const run *r) { return r->slab + r->params->v[fv_params_find(r->params, "table")].offset; }

static void test_equal(void **state) {
  (void)state;
  const fv_train_settings settings = {.optimizer = FV_OPTIMIZER_SGD, .clip = 0.3};
  run rows, dense;
  start(&rows, FV_GROUP_ROWS, &settings);
  start(&dense, FV_GROUP_NO_DECAY, &settings);
  assert_true(rows.o.dense < WIDTH * 100 && dense.o.dense >= WIDTH * ROWS);
  float before[ROWS * WIDTH];
  memcpy(before, table_of(&rows), sizeof before);
  train(&rows, 1);
  train(&dense, 1);
  const float *a = table_of(&rows), *b = table_of(&dense);
  int moved = 0;
  for (int i = 0; i < ROWS * WIDTH; i++) {
    if (!(fabs((double)a[i] - (double)b[i]) < 1e-6)) fail_msg("row %d: expected %g, got %g", i / WIDTH, b[i], a[i]);
    moved += a[i] != before[i];
    if (i < WIDTH || i >= 200 * WIDTH) assert_true(a[i] == before[i]);
  }
  assert_true(moved > 100 * WIDTH);
  for (int s = 0; s < STEPS; s++) assert_true(fabs(rows.norm[s] - dense.norm[s]) < 1e-6 * dense.norm[s]);
  finish(&rows);
  finish(&dense);
}

static void test_threads(void **state) {
  (void)state;
  const fv_train_settings settings = {.optimizer = FV_OPTIMIZER_ADAMW, .momentum = 0.9, .beta2 = 0.99, .eps = 1e-8,
                                      .clip = 1, .weight_decay = 0.1};
  run one, seven;
  start(&one, FV_GROUP_ROWS, &settings);
  start(&seven, FV_GROUP_ROWS, &settings);
  train(&one, 1);
  train(&seven, 7);
  assert_memory_equal(one.slab, seven.slab, (size_t)one.params->size * sizeof(float));
  finish(&one);
  finish(&seven);
}

/* A row loses its share when it is looked up, beside its gradient, and nothing otherwise. */
static void test_decay(void **state) {
  (void)state;
  const fv_train_settings plain = {.optimizer = FV_OPTIMIZER_SGD, .lr = 0.5},
                          decayed = {.optimizer = FV_OPTIMIZER_SGD, .lr = 0.5, .rows_decay = 1};
  run a, b;
  int lost = 0;
  start(&a, FV_GROUP_ROWS, &plain);
  start(&b, FV_GROUP_ROWS, &decayed);
  assert_null(a.o.table[0].decay);
  for (int i = 0; i < ROWS; i++) b.o.table[0].decay[i] = i % 2 ? 0.25f : 0;
  float before[ROWS * WIDTH];
  memcpy(before, table_of(&a), sizeof before);
  steps(&a, 1, 1);
  steps(&b, 1, 1);
  for (int i = 0; i < ROWS * WIDTH; i++) {
    const bool touched = table_of(&a)[i] != before[i], loses = touched && i / WIDTH % 2;
    assert_near((double)table_of(&a)[i] - (double)table_of(&b)[i], loses ? 0.25 * (double)before[i] : 0, 1e-6);
    lost += loses;
  }
  assert_true(lost > 10 * WIDTH);
  finish(&a);
  finish(&b);
}

/* A table with a second use is refused by name. */
static void test_second_use(void **state) {
  (void)state;
  run r = {0};
  OK(fv_params_new(&r.params));
  OK(fv_graph_new(r.params, FV_F32, &r.g));
  fv_value *ids = fv_input(r.g, "ids", FV_I32, FV_SHAPE(LOOKUPS));
  fv_value *table = fv_param(r.g, "tied", FV_SHAPE(ROWS, WIDTH), (fv_init){.kind = FV_INIT_ZEROS}, FV_GROUP_ROWS);
  fv_value *x = fv_op(r.g, "embedding", NULL, table, ids);
  fv_value *loss = fv_op(r.g, "add", NULL, fv_op(r.g, "mean", NULL, x), fv_op(r.g, "mean", NULL, table));
  OK(fv_params_layout(r.params));
  assert_int_equal(fv_graph_differentiate(r.g, loss, true, 0, NULL, NULL), FV_ERR_REQUEST);
  assert_non_null(strstr(fv_error_message(), "'tied'"));
  fv_graph_free(r.g);
  fv_params_free(r.params);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_equal), cmocka_unit_test(test_threads),
                                     cmocka_unit_test(test_decay), cmocka_unit_test(test_second_use)};
  if (fv_cpu_init() != FV_OK) return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
