/* SPDX-License-Identifier: Apache-2.0 */
/* optimizer.c: the shards' gradients are averaged in a fixed tree, the norm is limited, and one pass over the flat slab
 * updates all parameters: first the range with weight decay, then the range without, then the rows of tables that the
 * step looked up (optimizer_rows.c). Running statistics follow the mean of what the shards saw. */
#include "train/optimizer.h"

#include "ops/optimizer.h"

#include <math.h>

static fv_tensor slab_of(int64_t n) { return (fv_tensor){.dtype = FV_F32, .shape = FV_SHAPE(n)}; }
static const fv_tensor HYPER = {.dtype = FV_F32, .shape = {1, {FV_HYPERS}}};

static int64_t trained(const fv_params *p) { return p->group_begin[FV_GROUP_BUFFER]; }
static int64_t group_size(const fv_params *p, fv_group g) { return p->group_begin[g + 1] - p->group_begin[g]; }

static int states_of(const fv_train_settings *s) { return s->optimizer == FV_OPTIMIZER_SGD ? 1 : 2; }

fv_status fv_optimizer_new_update(const fv_optimizer *o, int64_t size, fv_single **update) {
  static const char *const names[] = {"sgd_step", "adamw_step", "rmsprop_step", "adamw_step"};
  fv_tensor x = slab_of(size);
  fv_tensor in[] = {x, x, x, states_of(o->settings) == 2 ? x : HYPER, HYPER};
  const int64_t rule = o->settings->optimizer;
  const bool nesterov = rule == FV_OPTIMIZER_SGD && o->settings->nesterov;
  const char *attrs = nesterov ? "nesterov=true" : rule == FV_OPTIMIZER_ADAM ? "coupled=true" : "";
  return fv_single_new(names[rule], attrs, 3 + states_of(o->settings), in, update);
}

static fv_status allocate(fv_optimizer *o, fv_ledger *ledger) {
  int64_t bytes = o->params->size * (int64_t)sizeof(float), dense = o->dense * (int64_t)sizeof(float);
  FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_GRADIENTS, o->shards * dense, (void **)&o->gradients));
  FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_GRADIENTS, dense, (void **)&o->gradient));
  for (int i = 0; i < states_of(o->settings); i++)
    FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_OPTIMIZER, bytes, (void **)&o->state[i]));
  if (o->settings->ema > 0) FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_OPTIMIZER, bytes, (void **)&o->mean));
  return FV_OK;
}

fv_status fv_optimizer_new(fv_ledger *ledger, const fv_params *params, const fv_train_settings *settings,
                           int64_t shards, fv_optimizer *o) {
  *o = (fv_optimizer){.params = params, .settings = settings, .shards = shards,
                       .dense = params->group_begin[FV_GROUP_ROWS]};
  FV_TRY(allocate(o, ledger));
  fv_tensor all = {.dtype = FV_F32, .shape = FV_SHAPE(shards, o->dense)}, learned = slab_of(trained(params));
  FV_TRY(fv_single_new("tree_add", "", 1, &all, &o->average));
  FV_TRY(fv_single_new("sum_squares", "", 1, &learned, &o->norm));
  FV_TRY(FV_NEW(&o->squares, fv_single_out_count(o->norm, 0) + 1));
  FV_TRY(fv_optimizer_new_update(o, group_size(params, FV_GROUP_DECAY), &o->update[0]));
  FV_TRY(fv_optimizer_new_update(o, group_size(params, FV_GROUP_NO_DECAY), &o->update[1]));
  fv_tensor buffers = slab_of(group_size(params, FV_GROUP_BUFFER)), whole = slab_of(params->size);
  FV_TRY(fv_single_new("ema_step", "", 3, (fv_tensor[]){buffers, buffers, HYPER}, &o->follow));
  return o->settings->ema > 0 ? fv_single_new("ema_step", "", 3, (fv_tensor[]){whole, whole, HYPER}, &o->ema) : FV_OK;
}

void fv_optimizer_free(fv_optimizer *o) {
  fv_single *singles[] = {o->average, o->norm, o->update[0], o->update[1], o->follow, o->ema};
  for (size_t i = 0; i < FV_COUNT(singles); i++) fv_single_free(singles[i]);
  fv_optimizer_free_tables(o);
  fv_slab_free(o->gradients);
  fv_slab_free(o->gradient);
  for (int i = 0; i < FV_OPTIMIZER_STATES; i++) fv_slab_free(o->state[i]);
  fv_slab_free(o->mean);
  fv_free(o->squares);
  *o = (fv_optimizer){0};
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */
/* The numbers of one step, as the operations want them. */
static void fill_hyper(const fv_train_settings *s, int64_t step, double rate, double scale, float h[FV_HYPERS]) {
  double n = (double)step + 1;
  bool adam = s->optimizer == FV_OPTIMIZER_ADAMW || s->optimizer == FV_OPTIMIZER_ADAM;
  h[FV_HYPER_RATE] = (float)rate;
  h[FV_HYPER_SCALE] = (float)scale;
  h[FV_HYPER_EPS] = (float)s->eps;
  h[FV_HYPER_SECOND] = (float)(1 - s->beta2);
  if (adam) {
    h[FV_HYPER_FIRST] = (float)(1 - s->momentum);
    h[FV_HYPER_STEP] = (float)(rate / (1 - pow(s->momentum, n)));
    h[FV_HYPER_ROOT] = (float)sqrt(1 - pow(s->beta2, n));
  } else {
    h[FV_HYPER_FIRST] = 1; /* no dampening */
    h[FV_HYPER_MOMENTUM] = (float)s->momentum;
  }
}

static fv_status clip(const fv_optimizer *o, fv_pool *pool, double *norm, double *scale) {
  *norm = 0;
  *scale = 1;
  if (o->settings->clip <= 0) return FV_OK;
  fv_single_run(o->norm, (void *[]){o->gradient}, (void *[]){o->squares}, pool);
  double sum = 0;
  for (int64_t i = 0; i < fv_single_out_count(o->norm, 0); i++) sum += (double)o->squares[i];
  for (int t = 0; t < o->n_tables; t++)
    for (int64_t i = 0; i < o->table[t].n_touched; i++) sum += o->table[t].square[i];
  *norm = sqrt(sum);
  FV_REQUIRE(isfinite(*norm), FV_ERR_NUMERIC, "expected a finite gradient, got a norm of %g: try a lower lr", *norm);
  if (*norm > o->settings->clip) *scale = o->settings->clip / *norm;
  return FV_OK;
}

void fv_optimizer_update(const fv_optimizer *o, fv_single *update, float *slab, int64_t at, float *gradient,
                         float *hyper, fv_pool *pool) {
  const bool two = states_of(o->settings) == 2;
  void *out[] = {slab + at, o->state[0] + at, two ? o->state[1] + at : NULL};
  void *in[] = {slab + at, gradient, out[1], two ? out[2] : (void *)hyper, hyper};
  fv_single_run(update, in, out, pool);
}

fv_status fv_optimizer_step(fv_optimizer *o, float *slab, int64_t step, double rate, fv_pool *pool, double *norm) {
  double scale;
  fv_single_run(o->average, (void *[]){o->gradients}, (void *[]){o->gradient}, pool);
  fv_optimizer_gather_rows(o, pool);
  FV_TRY(clip(o, pool, norm, &scale));
  for (fv_group g = FV_GROUP_DECAY; g <= FV_GROUP_NO_DECAY; g++) {
    float h[FV_HYPERS] = {0};
    fill_hyper(o->settings, step, rate, scale, h);
    if (g == FV_GROUP_DECAY) h[FV_HYPER_DECAY] = (float)o->settings->weight_decay;
    const int64_t at = o->params->group_begin[g];
    fv_optimizer_update(o, o->update[g], slab, at, o->gradient + at, h, pool);
  }
  float hyper[FV_HYPERS] = {0};
  fill_hyper(o->settings, step, rate, scale, hyper);
  fv_optimizer_update_rows(o, slab, hyper, pool);
  int64_t at = o->params->group_begin[FV_GROUP_BUFFER];
  float follow[FV_HYPERS] = {[FV_HYPER_RATE] = (float)FV_TRACK_MOMENTUM};
  fv_single_run(o->follow, (void *[]){slab + at, o->gradient + at, follow}, (void *[]){slab + at}, pool);
  if (!o->mean) return FV_OK;
  /* early on the mean follows faster, or it would remember the initial weights (as in TensorFlow's num_updates) */
  double slow = 1 - o->settings->ema, fast = 9 / (10 + (double)step);
  float mean[FV_HYPERS] = {[FV_HYPER_RATE] = (float)FV_MAX(slow, fast)};
  fv_single_run(o->ema, (void *[]){o->mean, slab, mean}, (void *[]){o->mean}, pool);
  return FV_OK;
}
