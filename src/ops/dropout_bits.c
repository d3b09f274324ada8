/* SPDX-License-Identifier: Apache-2.0 */
/* dropout_bits: which elements dropout keeps, as bits: drawn once, in order, for operations that come by elements in an
 * order of their own or more than once. The bits are those of `dropout`; those beyond the last element are 0. */
#include "ops/dropout.h"

static const fv_option attrs[] = {
    {"p", FV_OPT_REAL, offsetof(fv_dropout_bits_attrs, p), "0.5", 0, 1, NULL, "the share that is dropped"},
    {"stream", FV_OPT_INT, offsetof(fv_dropout_bits_attrs, stream), "0", 0, 0, NULL, "a number of the node's own"},
    {"count", FV_OPT_INT, offsetof(fv_dropout_bits_attrs, count), "0", 0, 9e15, NULL, "elements"},
    {0}};

static fv_status infer(fv_infer *c) {
  FV_INFER_REQUIRE(c, c->in[0]->dtype == FV_I32 && fv_shape_equal(c->in[0]->shape, FV_SHAPE(4)),
                   "rng: expected i32 [4], got %s %s", fv_dtype_name(c->in[0]->dtype), fv_shape_text(c->in[0]->shape));
  c->shape[0] = FV_SHAPE(fv_dropout_bits_words(((const fv_dropout_bits_attrs *)c->attrs)->count));
  c->dtype[0] = FV_I32;
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_dropout_bits_attrs *a = c->attrs;
  const int32_t *rng = c->in[0].data;
  const uint64_t seed = fv_dropout_seed(rng), stream = fv_dropout_stream(a->stream, rng);
  int32_t *words = c->out[0].data;
  for (int64_t w = 0; w < c->out[0].shape.dim[0]; w++) {
    uint32_t bits = 0;
    for (int64_t e = w * 32; e < FV_MIN(w * 32 + 32, a->count); e++)
      bits |= (uint32_t)(fv_dropout_word(seed, stream, e) >= fv_dropout_threshold(a->p)) << e % 32;
    words[w] = (int32_t)bits;
  }
}

static fv_cost cost(const fv_node *n) { return (fv_cost){.bytes = fv_cost_io(n)}; }

#define RNG "4:i32@-2147483648..2147483647"
static const fv_case cases[] = {{.in = RNG, .attrs = "count=0"},
                                {.in = RNG, .attrs = "count=1"},
                                {.in = RNG, .attrs = "count=31 p=0.3"},
                                {.in = RNG, .attrs = "count=64 stream=3"},
                                {.in = RNG, .attrs = "count=65 p=0"},
                                {.in = RNG, .attrs = "count=130 p=1"},
                                {.in = RNG, .attrs = "count=5003 p=0.6 stream=-1"},
                                {0}};

const fv_op_def fv_op_dropout_bits = {
    .name = "dropout_bits",
    .doc =
        "i32 words whose bits are 1 with probability 1 - p: what dropout keeps of `count` elements; input rng i32 [4]",
    .n_in = 1,
    .flags = FV_OP_SHARDED,
    .attrs_size = sizeof(fv_dropout_bits_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "bits have no derivative",
    .ref = ref,
    .cost = cost,
    .cases = cases};
