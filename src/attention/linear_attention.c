/* SPDX-License-Identifier: Apache-2.0 */
/* linear_attention: softmax's kernel replaced by phi(q) . phi(k) with phi = elu + 1, so that keys and values are summed
 * once for all queries: cost linear in T. Causal: places in chunks; within a chunk a masked product, across chunks the
 * running sum of what the earlier ones hold. Katharopoulos et al., ICML 2020, eq. 9 to 12; chunks as in Hua et al.
 * 2022. */
#include "attention/compose.h"
#include "ops/cumsum.h"
#include "ops/matmul.h"
#include "ops/pad.h"
#include "ops/slice.h"

enum { CHUNK = 32 }; /* memory is T (CHUNK + D Dv / CHUNK): near the least for the usual widths */

typedef struct linear_attrs {
  bool causal;
} linear_attrs;

static const fv_option attrs_table[] = {
    {.name = "causal", .type = FV_OPT_BOOL, .offset = offsetof(linear_attrs, causal), .def = "false",
     .doc = "query t sees keys s <= t"},
    {0}};

/* elu(x) + 1, without the rounding of a sum where x is far below zero: exp(min(x, 0)) + max(x, 0). */
static fv_value *phi(fv_graph *g, fv_value *x) {
  fv_value *low = fv_op(g, "exp", NULL, fv_op(g, "minimum", NULL, x, fv_const(g, 0)));
  return fv_add(g, low, fv_relu(g, x));
}

/* a b; ta, tb: stored transposed */
static fv_value *product(fv_graph *g, fv_value *a, fv_value *b, bool ta, bool tb) {
  fv_matmul_attrs stored = {ta, tb};
  return fv_op(g, "matmul", &stored, a, b);
}

/* [B,H,T,D] -> [B,H,chunks,CHUNK,D]: zeros after the end add nothing to any sum. */
static fv_value *chunks(fv_graph *g, fv_value *x) {
  int64_t b = fv_dim(x, 0), h = fv_dim(x, 1), t = fv_dim(x, 2), d = fv_dim(x, 3), n = fv_ceil_div(t, CHUNK);
  fv_pad_attrs fill = {.before = {4, {0}}, .after = {4, {0, 0, n * CHUNK - t, 0}}};
  return fv_reshape(g, n * CHUNK > t ? fv_op(g, "pad", &fill, x) : x, FV_SHAPE(b, h, n, CHUNK, d));
}

/* 1 on and below the diagonal. */
static fv_value *triangle(fv_graph *g) {
  uint8_t mask[CHUNK * CHUNK];
  for (int i = 0; i < CHUNK * CHUNK; i++) mask[i] = i % CHUNK <= i / CHUNK;
  return fv_const_data(g, FV_U8, FV_SHAPE(CHUNK, CHUNK), mask);
}

/* What chunk i reads of the chunks before it: the running sum, one chunk late. */
static fv_value *earlier(fv_graph *g, fv_value *states) {
  int64_t n = fv_dim(states, 2);
  fv_pad_attrs late = {.before = {5, {0, 0, 1, 0, 0}}, .after = {5, {0}}};
  fv_value *sum = fv_op(g, "cumsum", &(fv_cumsum_attrs){.axis = 2}, fv_slice_of(g, states, 2, 0, n - 1));
  return fv_op(g, "pad", &late, sum);
}

/* sum over s <= t of (q_t . k_s) v_s */
static fv_value *mix_causal(fv_graph *g, fv_value *q, fv_value *k, fv_value *v) {
  int64_t b = fv_dim(q, 0), h = fv_dim(q, 1), t = fv_dim(q, 2), width = fv_dim(v, 3);
  fv_value *qc = chunks(g, q), *kc = chunks(g, k), *vc = chunks(g, v);
  fv_value *within = fv_op(g, "where", NULL, triangle(g), product(g, qc, kc, false, true), fv_const(g, 0));
  fv_value *y = product(g, within, vc, false, false);
  int64_t n = fv_dim(qc, 2);
  if (n > 1) y = fv_add(g, y, product(g, qc, earlier(g, product(g, kc, vc, true, false)), false, false));
  y = fv_reshape(g, y, FV_SHAPE(b, h, n * CHUNK, width));
  return n * CHUNK > t ? fv_slice_of(g, y, 2, 0, t) : y;
}

static fv_value *mix(fv_graph *g, bool causal, fv_value *q, fv_value *k, fv_value *v) {
  if (causal && fv_dim(q, 2) > 0) return mix_causal(g, q, k, v);
  return product(g, q, product(g, k, v, true, false), false, false);
}

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)par;
  bool causal = ((const linear_attrs *)attrs)->causal;
  fv_value *q = phi(g, fv_swap_heads(g, in[0])), *k = phi(g, fv_swap_heads(g, in[1])), *v = fv_swap_heads(g, in[2]);
  fv_value *one = fv_repeat(g, fv_const(g, 1), FV_SHAPE(fv_dim(v, 0), fv_dim(v, 1), fv_dim(v, 2), 1));
  fv_value *y = fv_op(g, "div", NULL, mix(g, causal, q, k, v), mix(g, causal, q, k, one));
  out[0] = fv_swap_heads(g, y);
}

static const fv_attention_case cases[] = {{.sizes = "B=2 T=7 H=3 D=4 Dv=5"},
                                          {.sizes = "B=2 T=1 H=1 D=1 Dv=1"},
                                          {.sizes = "B=1 T=0 H=2 D=3 Dv=3"},
                                          {.sizes = "B=2 T=5 H=2 D=3 Dv=4", .attrs = "causal=true"},
                                          {.sizes = "B=1 T=1 H=1 D=2 Dv=1", .attrs = "causal=true"},
                                          {.sizes = "B=1 T=32 H=1 D=2 Dv=3", .attrs = "causal=true"},
                                          {.sizes = "B=1 T=71 H=2 D=3 Dv=2", .attrs = "causal=true"},
                                          {.sizes = "B=1 T=0 H=2 D=3 Dv=3", .attrs = "causal=true"},
                                          {0}};

extern const fv_attention_def fv_attention_linear_attention;
const fv_attention_def fv_attention_linear_attention = {
    .name = "linear_attention",
    .doc =
        "kernelised attention, linear in T: y_t = phi(q_t) sum_s phi(k_s) v_s' / (phi(q_t) sum_s phi(k_s)), phi = elu "
        "+ 1",
    .paper = "Katharopoulos et al. 2020, Transformers are RNNs, arXiv:2006.16236",
    .attrs_size = sizeof(linear_attrs),
    .attrs = attrs_table,
    .inputs = (const char *const[]){"q [B,T,H,D]", "k [B,T,H,D]", "v [B,T,H,Dv]", NULL},
    .outputs = (const char *const[]){"y [B,T,H,Dv]", NULL},
    .build = build,
    .cases = cases};
