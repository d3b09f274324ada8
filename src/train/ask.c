/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c: questions to a model of ratings. What a past item did to an answer is what the answer loses without it, which
 * holds for every network; attention says which ones it looked at. */
#include "train/recommend.h"

#include <math.h>
#include <stdlib.h>

/* ---- one question ------------------------------------------------------------------------------------------------ */
/* Of a sample's field, where it varies of that length; all are i32. */
static int64_t numbers_of(const fv_field *f, int64_t length) {
  return fv_field_bytes(f, length) / (int64_t)sizeof(int32_t);
}

fv_status fv_asker_new(fv_model *m, const fv_dataset *d, fv_asker *a) {
  const int64_t longest = fv_model_longest(m);
  int64_t numbers = 0;
  *a = (fv_asker){.m = m, .d = d};
  for (int f = 0; f < d->n_fields; f++) numbers += 2 * numbers_of(&d->field[f], longest);
  FV_TRY(FV_NEW(&a->slab, numbers));
  FV_TRY(FV_NEW(&a->kept, longest));
  int32_t *at = a->slab;
  for (int f = 0; f < d->n_fields; f++) {
    const int64_t room = numbers_of(&d->field[f], longest);
    a->read[f] = at;
    a->fed[f] = at + room;
    at += 2 * room;
  }
  return FV_OK;
}

void fv_asker_free(fv_asker *a) {
  for (int i = 0; i < FV_MAX_LENGTHS; i++) fv_runner_free(&a->r[i]);
  fv_free(a->slab);
  fv_free(a->kept);
  *a = (fv_asker){0};
}

void fv_asker_read(fv_asker *a, int64_t index) {
  void *out[FV_MAX_FIELDS] = {NULL};
  const int history = fv_dataset_field(a->d, "history");
  for (int f = 0; f < a->d->n_fields; f++) out[f] = a->read[f];
  a->d->read(a->d, FV_SPLIT_TEST, index, 0, out);
  a->index = index;
  a->n = a->read[history][0] ? a->d->length(a->d, FV_SPLIT_TEST, index) : 0;
}

static fv_status make_runner(fv_asker *a, int bucket) {
  fv_graph *g;
  fv_model *m = a->m;
  m->task.length = m->length[bucket];
  FV_TRY(fv_model_graph(m, FV_MODE_PREDICT, 1, true, &g));
  for (int i = 0; i < g->taps.n; i++) {
    if (!strcmp(g->taps.v[i].kind, FV_TAP_HISTORY)) a->alpha = fv_arena_strdup(m->arena, g->taps.v[i].name);
    if (!strcmp(g->taps.v[i].kind, FV_TAP_PAIRS)) a->pairs = fv_arena_strdup(m->arena, g->taps.v[i].name);
  }
  FV_TRY(fv_runner_new(&m->ledger, g, m->slab, 1, 1, &a->r[bucket]));
  return fv_runner_refresh(&a->r[bucket], m->slab, m->pool);
}

/* The places that are kept move together, zeros behind them. */
static void feed(fv_asker *a, const uint8_t *kept, int64_t length, int f) {
  const fv_field *field = &a->d->field[f];
  const int64_t width = numbers_of(field, 1);
  int64_t n = 0;
  if (!field->varies) {
    memcpy(a->fed[f], a->read[f], (size_t)width * sizeof(int32_t));
    return;
  }
  memset(a->fed[f], 0, (size_t)(length * width) * sizeof(int32_t));
  for (int64_t t = 0; t < a->n; t++)
    if (!kept || kept[t]) memcpy(a->fed[f] + n++ * width, a->read[f] + t * width, (size_t)width * sizeof(int32_t));
}

fv_status fv_asker_ask(fv_asker *a, const uint8_t *kept, double *logit, const fv_exec **exec) {
  const int bucket = fv_length_bucket(a->m->length, a->m->n_lengths, a->n);
  if (!a->r[bucket].program) FV_TRY(make_runner(a, bucket));
  fv_exec *e = a->r[bucket].exec[0];
  for (int f = 0; f < a->d->n_fields; f++) {
    const int input = fv_exec_input(e, a->d->field[f].name);
    if (input < 0) continue;
    feed(a, kept, a->m->length[bucket], f);
    fv_exec_bind_input(e, input, a->fed[f]);
  }
  fv_exec_run(e);
  *logit = (double)((const float *)fv_exec_output(e, "scores")->data)[1];
  if (exec) *exec = e;
  return FV_OK;
}

/* ---- what of the past said so ------------------------------------------------------------------------------------ */
fv_status fv_asker_look(fv_asker *a, int64_t index, double *logit, fv_past *past) {
  const fv_exec *exec;
  const int levels = fv_dataset_field(a->d, "history_liked");
  fv_asker_read(a, index);
  FV_TRY(fv_asker_ask(a, NULL, logit, &exec));
  for (int64_t t = 0; t < a->n; t++)
    past[t] = (fv_past){.place = t, .item = fv_ratings_item(a->d, FV_SPLIT_TEST, index, t), .level = a->read[levels][t],
                        .weight = a->alpha ? (double)((const float *)fv_exec_output(exec, a->alpha)->data)[t] : 0};
  memset(a->kept, 1, (size_t)a->n);
  for (int64_t t = 0; t < a->n; t++) {
    double without;
    a->kept[t] = 0;
    FV_TRY(fv_asker_ask(a, a->kept, &without, NULL));
    a->kept[t] = 1;
    past[t].effect = *logit - without;
  }
  return FV_OK;
}

static int compare(double a, double b, int64_t i, int64_t k) {
  if (a != b) return a > b ? -1 : 1;
  return (i > k) - (i < k);
}
static int by_weight(const void *a, const void *b) {
  const fv_past *x = a, *y = b;
  return compare(fabs(x->weight), fabs(y->weight), x->place, y->place);
}
static int by_effect(const void *a, const void *b) {
  const fv_past *x = a, *y = b;
  return compare(fabs(x->effect), fabs(y->effect), x->place, y->place);
}
static int by_favour(const void *a, const void *b) {
  const fv_past *x = a, *y = b;
  return compare(x->effect, y->effect, x->place, y->place);
}

void fv_past_sort(fv_past *past, int64_t n, fv_past_order order) {
  int (*const by[])(const void *, const void *) = {by_weight, by_effect, by_favour};
  qsort(past, (size_t)n, sizeof *past, by[order]);
}

const char *fv_item_title(const fv_model *m, int64_t item) {
  const fv_catalogue *c = m->reading.catalogue;
  return item >= 0 && item < c->item.n ? c->title[item] : "an item that the model does not know";
}
