/* SPDX-License-Identifier: Apache-2.0 */
/* reinforce.c: learning from a choice that has no slope. The gradient of an expected reward is the mean of reward times
 * the slope of log p of what was chosen (Williams 1992); less a baseline, which changes the mean not at all and the
 * variance a lot. As in Xu et al. 2015, eq. 11 to 13: a moving average as the baseline, a term for the entropy. */
#include "nn/nn.h"
#include "ops/lookup.h"
#include "ops/sample.h"
#include "ops/softmax.h"

/* -sum p log p; what the mask leaves out adds nothing, though its log p is -inf. */
static fv_value *entropy_of(fv_graph *g, fv_value *log_p, fv_value *mask) {
  fv_value *p = fv_op(g, "exp", NULL, log_p);
  if (mask && mask->kind != FV_VALUE_ABSENT) log_p = fv_op(g, "where", NULL, mask, log_p, fv_const(g, 0));
  return fv_op(g, "neg", NULL, fv_reduce(g, "sum", fv_mul(g, p, log_p), FV_SHAPE(1), false));
}

fv_choice fv_choose(fv_graph *g, fv_value *score, fv_value *noise, fv_value *mask) {
  fv_choice c = {0};
  int64_t b = fv_dim(score, 0);
  fv_sample_attrs kind = {.noise = fv_value_shape(noise).ndim == 1 ? FV_NOISE_UNIFORM : FV_NOISE_GUMBEL};
  fv_value *masked = mask ? mask : fv_absent(g);
  fv_value *log_p = fv_op(g, "log_softmax", &(fv_softmax_attrs){.axis = -1}, score, masked);
  c.index = fv_op(g, "sample", &kind, score, noise, masked);
  fv_value *at = fv_reshape(g, c.index, FV_SHAPE(b, 1));
  fv_gather_attrs chosen = {.axis = 1, .zero = true};
  c.log_p = fv_reshape(g, fv_op(g, "gather", &chosen, log_p, at), FV_SHAPE(b));
  c.entropy = entropy_of(g, log_p, mask);
  return c;
}

static fv_value *fixed(fv_graph *g, fv_value *v) { return fv_op(g, "detach", NULL, v); }
static fv_value *mean(fv_graph *g, fv_value *v) { return fv_reduce(g, "mean", v, FV_SHAPE(0), false); }

/* b <- 0.9 b + 0.1 mean reward, after the step that used b. */
static fv_value *moving_average(fv_graph *g, fv_value *reward, const char *name) {
  fv_value *b = fv_param(g, name ? name : "baseline", FV_SHAPE(1), (fv_init){.kind = FV_INIT_ZEROS}, FV_GROUP_BUFFER);
  fv_track(g, b, fv_reshape(g, mean(g, reward), FV_SHAPE(1)));
  return b;
}

fv_value *fv_reinforce_loss(fv_graph *g, const fv_choice *choice, fv_value *reward, const fv_reinforce_args *args) {
  fv_value *advantage = reward = fixed(g, reward), *baseline = args->baseline;
  if (args->moving_average) baseline = moving_average(g, reward, args->name);
  if (baseline) advantage = fv_op(g, "sub", NULL, reward, fixed(g, baseline));
  double scale = args->scale == 0 ? -1 : -args->scale;
  fv_value *loss = fv_mul(g, mean(g, fv_mul(g, advantage, choice->log_p)), fv_const(g, scale));
  if (args->entropy == 0) return loss;
  return fv_op(g, "sub", NULL, loss, fv_mul(g, mean(g, choice->entropy), fv_const(g, args->entropy)));
}
