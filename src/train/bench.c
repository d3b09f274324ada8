/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c: where the time of a training step goes: by operation and kernel, products against everything else, each
 * product inside the step against the same call alone, and the executor's own share. */
#include "cpu/ceiling.h"
#include "train/generate.h"
#include "train/trainer.h"

#include <stdlib.h>

typedef struct line { /* steps of one operation and kernel */
  const char *op, *kernel;
  bool product;
  int nodes;
  double seconds, alone, flops, bytes; /* of one shard */
} line;

typedef struct bench {
  line *lines;
  int n;
  double product, other, alone;
} bench;

static line *line_of(bench *b, const fv_profile_row *row) {
  for (int i = 0; i < b->n; i++)
    if (!strcmp(b->lines[i].op, row->op) && !strcmp(b->lines[i].kernel, row->kernel)) return &b->lines[i];
  b->lines[b->n] = (line){.op = row->op, .kernel = row->kernel, .product = row->product};
  return &b->lines[b->n++];
}

static void gather(fv_runner *r, bench *b, const fv_profile_row *rows, int n) {
  for (int s = 0; s < n; s++) {
    line *l = line_of(b, &rows[s]);
    double mean = rows[s].calls ? rows[s].seconds / (double)rows[s].calls : 0;
    double alone = rows[s].product ? fv_exec_time_step(r->exec[0], s, 20) : 0;
    l->nodes++;
    l->seconds += mean;
    l->alone += alone;
    l->flops += rows[s].flops;
    l->bytes += rows[s].bytes;
    *(rows[s].product ? &b->product : &b->other) += mean;
    b->alone += alone;
  }
}

static int slowest_first(const void *a, const void *b) {
  double x = ((const line *)a)->seconds, y = ((const line *)b)->seconds;
  return (x < y) - (x > y);
}

static void lines_json(const bench *b, fv_json *j) {
  fv_json_begin(j, "nodes", '[');
  for (int i = 0; i < b->n; i++) {
    const line *l = &b->lines[i];
    fv_json_begin(j, NULL, '{');
    fv_json_text(j, "op", l->op);
    fv_json_text(j, "kernel", l->kernel);
    fv_json_int(j, "count", l->nodes);
    fv_json_real(j, "milliseconds", l->seconds * 1e3);
    fv_json_real(j, "share", l->seconds / (b->product + b->other));
    fv_json_real(j, "gflops", l->flops / l->seconds / 1e9);
    fv_json_real(j, "gigabytes_per_second", l->bytes / l->seconds / 1e9);
    if (l->product) fv_json_real(j, "of_alone", l->alone / l->seconds);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
}

/* Milliseconds from one sample to its probabilities: the median of many, on one thread. */
static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

typedef struct answer { /* room for one */
  float *p;
  fv_writer *writer;
  fv_written written;
} answer;

static fv_status make_answer(fv_model *m, answer *a) {
  if (!m->recipe->writes) return FV_NEW(&a->p, fv_model_answers(m));
  FV_TRY(fv_model_writer(m, NULL, true, &a->writer));
  return fv_written_new(a->writer, 1, false, &a->written);
}

static fv_status answer_first(fv_trainer *t, answer *a) {
  if (!a->writer) return fv_model_classify(t->m, t->data, FV_SPLIT_TEST, NULL, 1, a->p, NULL);
  return fv_writer_run(a->writer, t->m->slab, t->data, FV_SPLIT_TEST, NULL, false, &a->written, NULL, NULL);
}

static fv_status measure_predict(fv_trainer *t, fv_json *j) {
  enum { TIMES = 201 };
  double seconds[TIMES];
  answer a = {0};
  fv_status status = FV_OK;
  FV_TRY_DONE(make_answer(t->m, &a));
  for (int i = 0; i < TIMES; i++) {
    double before = fv_seconds();
    FV_TRY_DONE(answer_first(t, &a));
    seconds[i] = fv_seconds() - before;
  }
  qsort(seconds, TIMES, sizeof *seconds, ascending);
  fv_json_real(j, "predict_milliseconds", seconds[TIMES / 2] * 1e3);
done:
  fv_free(a.p);
  fv_written_free(&a.written);
  return status;
}

/* Steps, timed; *flops of all of them. */
static fv_status run_steps(fv_trainer *t, int steps, double *flops) {
  *flops = 0;
  for (int i = 0; i < steps; i++) {
    FV_TRY(fv_trainer_step(t));
    *flops += fv_program_get_info(t->run.of[t->run.fresh].program).flops * (double)t->shards;
  }
  return FV_OK;
}

/* Of the lengths of batches, the one that took most of the time. */
static void busiest(fv_trainer *t, fv_profile_row *rows, int most, fv_runner **r) {
  double longest = -1;
  for (int k = 0; k < t->run.n; k++) {
    double seconds = 0;
    int n = FV_MIN(fv_exec_profile_rows(t->run.of[k].exec[0], rows, most), most);
    for (int i = 0; i < n; i++) seconds += rows[i].seconds;
    if (seconds > longest) *r = &t->run.of[k];
    longest = FV_MAX(longest, seconds);
  }
}

static fv_status measure(fv_trainer *t, int steps, bench *b, fv_json *j) {
  int n = 0;
  double flops;
  fv_runner *r = NULL;
  fv_profile_row *rows = NULL;
  fv_status status = FV_OK;
  for (int k = 0; k < t->run.n; k++) n = FV_MAX(n, fv_program_get_info(t->run.of[k].program).n_steps);
  FV_TRY_DONE(FV_NEW(&rows, n + 1));
  FV_TRY_DONE(FV_NEW(&b->lines, n + 1));
  FV_TRY_DONE(run_steps(t, 3, &flops));
  double began = fv_seconds();
  FV_TRY_DONE(run_steps(t, steps, &flops));
  double step = (fv_seconds() - began) / steps;
  flops /= steps;
  for (int k = 0; k < t->run.n; k++)
    for (int i = 0; i < t->run.of[k].n_exec; i++) fv_exec_profile(t->run.of[k].exec[i], true);
  double ignored;
  FV_TRY_DONE(run_steps(t, steps, &ignored));
  busiest(t, rows, n, &r);
  fv_exec *exec = r->exec[0];
  n = fv_exec_profile_rows(exec, rows, n);
  gather(r, b, rows, n);
  qsort(b->lines, (size_t)b->n, sizeof *b->lines, slowest_first);
  double peak = fv_ceiling_gflops(fv_cpu_isa());
  int threads = fv_pool_threads(t->m->pool);
  fv_json_real(j, "step_milliseconds", step * 1e3);
  fv_json_real(j, "samples_per_second", (double)t->m->train.batch / step);
  fv_json_real(j, "shard_milliseconds", (b->product + b->other) * 1e3);
  fv_json_real(j, "product_milliseconds", b->product * 1e3);
  fv_json_real(j, "other_share", b->other / (b->product + b->other));
  fv_json_real(j, "product_of_alone", b->alone / b->product);
  fv_json_real(j, "overhead_microseconds", fv_exec_overhead(exec, 100) * 1e6);
  fv_json_real(j, "gflops", flops / step / 1e9);
  fv_json_real(j, "peak_gflops", peak * threads);
  fv_json_real(j, "fraction_of_peak", flops / step / 1e9 / (peak * threads));
  FV_TRY_DONE(measure_predict(t, j));
  lines_json(b, j);
done:
  fv_free(rows);
  return status;
}

fv_status fv_bench_recipe(const fv_train_request *rq, int steps, char **json) {
  fv_trainer *t = NULL;
  fv_json j = {0};
  bench b = {0};
  fv_status status = FV_OK;
  *json = NULL;
  FV_REQUIRE(steps >= 1, FV_ERR_REQUEST, "bench: expected at least 1 step, got %d", steps);
  FV_TRY_DONE(fv_trainer_new(rq, false, &t));
  FV_TRY_DONE(fv_trainer_open_loaders(t));
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "recipe", t->m->recipe->info.name);
  fv_json_text(&j, "dataset", t->data->name);
  fv_json_int(&j, "batch", t->m->train.batch);
  fv_json_int(&j, "threads", fv_pool_threads(t->m->pool));
  FV_TRY_DONE(measure(t, steps, &b, &j));
  fv_json_end(&j, '}');
done:
  fv_free(b.lines);
  fv_trainer_free(t);
  return fv_json_give(&j, status, "bench", json);
}
