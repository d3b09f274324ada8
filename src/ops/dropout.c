/* SPDX-License-Identifier: Apache-2.0 */
/* dropout (Srivastava et al. 2014), inverted: what is kept is scaled by 1 / (1 - p) while training. The bits are a pure
 * function of seed, stream, step, shard and element (ops/dropout.h), so the gradient draws them again instead of
 * reading a mask from memory. */
#include "ops/dropout.h"

#include "ops/lines.h"

static const fv_option attrs[] = {
    {"p", FV_OPT_REAL, offsetof(fv_dropout_attrs, p), "0.5", 0, 1, NULL, "the share that is dropped"},
    {"stream", FV_OPT_INT, offsetof(fv_dropout_attrs, stream), "0", 0, 0, NULL, "a number of the node's own"},
    {0}};

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_infer_real(c, 0, "input"));
  FV_INFER_REQUIRE(c, c->in[1]->dtype == FV_I32 && fv_shape_equal(c->in[1]->shape, FV_SHAPE(4)),
                   "rng: expected i32 [4], got %s %s", fv_dtype_name(c->in[1]->dtype), fv_shape_text(c->in[1]->shape));
  c->shape[0] = c->in[0]->shape;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  if (c->need[0]) c->din[0] = fv_op(c->g, "dropout", c->node->attrs, c->dout[0], c->node->in[1]);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_dropout_attrs *a = c->attrs;
  const int32_t *rng = c->in[1].data;
  uint64_t seed = fv_dropout_seed(rng), stream = fv_dropout_stream(a->stream, rng);
  for (int64_t i = 0, n = fv_shape_count(c->in[0].shape); i < n; i++) {
    bool kept = fv_dropout_word(seed, stream, i) >= fv_dropout_threshold(a->p);
    fv_set(&c->out[0], i, kept ? fv_get(&c->in[0], i) / (1 - a->p) : 0);
  }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 1); }

#define RNG "; 4:i32@-2147483648..2147483647"
static const fv_case cases[] = {{.in = "0" RNG},
                                {.in = "1" RNG},
                                {.in = "3" RNG},
                                {.in = "4" RNG},
                                {.in = "5" RNG},
                                {.in = "7" RNG},
                                {.in = "8" RNG},
                                {.in = "9" RNG},
                                {.in = "15" RNG},
                                {.in = "16" RNG},
                                {.in = "17" RNG},
                                {.in = "63" RNG},
                                {.in = "64" RNG},
                                {.in = "65" RNG},
                                {.in = "131" RNG},
                                {.in = "7,11,13" RNG, .attrs = "p=0.1 stream=7"},
                                {.in = "3,5003" RNG, .attrs = "p=0.9 stream=-1"},
                                {.in = "101" RNG, .attrs = "p=0"},
                                {.in = "101" RNG, .attrs = "p=1"},
                                {0}};

const fv_op_def fv_op_dropout = {
    .name = "dropout",
    .doc = "x / (1 - p) with probability 1 - p, else 0; inputs x, rng i32 [4] = {seed low, seed high, step, shard} "
           "(Srivastava et al. 2014)",
    .n_in = 2,
    .flags = FV_OP_INPLACE | FV_OP_SHARDED,
    .attrs_size = sizeof(fv_dropout_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
