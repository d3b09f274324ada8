/* SPDX-License-Identifier: Apache-2.0 */
/* multiscale_pool: soft attention pooling at several scales. The sequence is max-pooled over windows of each scale,
 * each result is pooled by an attention of its own, and a second attention weighs the scales. */
#include "attention/compose.h"
#include "ops/pad.h"

/* Stands for minus infinity: what is left out of a maximum. Finite, so that nothing multiplied by it is NaN. */
static const double LEAST = -3e38;

typedef struct multiscale_attrs {
  fv_int_list scales;
} multiscale_attrs;

static const fv_option attrs_table[] = {{.name = "scales",
                                         .type = FV_OPT_INTS,
                                         .offset = offsetof(multiscale_attrs, scales),
                                         .def = "1,2,4",
                                         .min = 1,
                                         .max = 1048576,
                                         .doc = "lengths of the windows"},
                                        {0}};

/* [B,T,E] -> [B,windows,scale,E], the last window filled up with LEAST. */
static fv_value *windows(fv_graph *g, fv_value *x, int64_t scale) {
  int64_t b = fv_dim(x, 0), t = fv_dim(x, 1), e = fv_dim(x, 2), n = fv_ceil_div(t, scale);
  fv_pad_attrs fill = {.before = {3, {0, 0, 0}}, .after = {3, {0, n * scale - t, 0}}, .value = LEAST};
  return fv_reshape(g, n * scale > t ? fv_op(g, "pad", &fill, x) : x, FV_SHAPE(b, n, scale, e));
}

static fv_value *max_over_windows(fv_graph *g, fv_value *x, int64_t scale) {
  return fv_reduce(g, "amax", windows(g, x, scale), FV_SHAPE(2), false);
}

/* x and its mask at one scale; a window with nothing in it is masked and holds 0. */
static void pool(fv_graph *g, fv_value **x, fv_value **mask, int64_t scale) {
  if (scale == 1) return;
  if (!fv_given(g, *mask)) {
    *x = max_over_windows(g, *x, scale);
    return;
  }
  fv_shape places = FV_SHAPE(fv_dim(*x, 0), fv_dim(*x, 1), 1);
  fv_value *kept = fv_reshape(g, *mask, places);
  fv_value *most = max_over_windows(g, fv_op(g, "where", NULL, kept, *x, fv_const(g, LEAST)), scale);
  fv_value *some = fv_op(g, "gt", NULL, max_over_windows(g, fv_real(g, kept), scale), fv_const(g, 0));
  *x = fv_op(g, "where", NULL, some, most, fv_const(g, 0));
  *mask = fv_reshape(g, some, FV_SHAPE(fv_dim(some, 0), fv_dim(some, 1)));
}

/* out[0]: the result, out[1]: the weights of the scales. */
static void pool_scales(fv_graph *g, fv_scale *scales, int n, fv_value *const *par, fv_value **out) {
  int64_t b = fv_dim(scales[0].x, 0), e = fv_dim(scales[0].x, 2);
  fv_value *y[FV_MAX_SCALES], *beside;
  for (int i = 0; i < n; i++) {
    fv_scale *s = &scales[i];
    fv_value *score = fv_pool_score(g, s->x, (fv_value *[]){par[i], par[n + i], par[2 * n + i]});
    s->alpha = fv_softmax_last(g, score, s->mask);
    y[i] = fv_reshape(g, fv_weigh(g, s->alpha, s->x), FV_SHAPE(b, 1, e));
  }
  beside = fv_concat(g, 1, n, y);
  out[1] = fv_softmax_last(g, fv_pool_score(g, beside, par + 3 * n), NULL);
  out[0] = fv_weigh(g, out[1], beside);
}

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  const fv_int_list *lengths = &((const multiscale_attrs *)attrs)->scales;
  fv_scale scales[FV_MAX_LIST];
  FV_BUILD_REQUIRE(g, lengths->n > 0, "multiscale_pool: scales: expected at least one, got none");
  for (int i = 0; i < (int)lengths->n; i++) {
    scales[i] = (fv_scale){.x = in[0], .mask = in[1]};
    pool(g, &scales[i].x, &scales[i].mask, lengths->v[i]);
  }
  pool_scales(g, scales, (int)lengths->n, par, out);
}

static void scorer_params(fv_graph *g, int64_t width, int64_t e, fv_value **w, fv_value **b, fv_value **v) {
  const fv_init kaiming = {.kind = FV_INIT_KAIMING_UNIFORM};
  const fv_init context = {.kind = FV_INIT_KAIMING_UNIFORM, .fan_in = width};
  *w = fv_param(g, "weight", FV_SHAPE(width, e), kaiming, FV_GROUP_DECAY);
  *b = fv_param(g, "bias", FV_SHAPE(width), (fv_init){.kind = FV_INIT_ZEROS}, FV_GROUP_NO_DECAY);
  *v = fv_param(g, "context", FV_SHAPE(width), context, FV_GROUP_DECAY);
}

fv_value *fv_multiscale_pool_layer(fv_graph *g, fv_scale *scales, int n, const char *name, int64_t width,
                                   fv_value **beta) {
  fv_value *par[3 * FV_MAX_SCALES + 3], *out[2];
  const int64_t e = fv_dim(scales[0].x, 2);
  fv_scope_push(g, "%s", name);
  for (int i = 0; i < n; i++) {
    fv_scope_push(g, "scale.%d", i);
    scorer_params(g, width, e, &par[i], &par[n + i], &par[2 * n + i]);
    fv_scope_pop(g);
  }
  fv_scope_push(g, "scales");
  scorer_params(g, width, e, &par[3 * n], &par[3 * n + 1], &par[3 * n + 2]);
  fv_scope_pop(g);
  fv_scope_pop(g);
  pool_scales(g, scales, n, par, out);
  *beta = out[1];
  return out[0];
}

static const fv_attention_case cases[] = {{.sizes = "B=2 T=9 E=5 A=4 X=3", .absent = "mask"},
                                          {.sizes = "B=3 T=11 E=4 A=3 X=2", .attrs = "scales=1,3"},
                                          {.sizes = "B=3 T=7 E=3 A=2 X=3", .attrs = "scales=2,3,16"},
                                          {.sizes = "B=2 T=1 E=3 A=2 X=3"},
                                          {.sizes = "B=2 T=5 E=3 A=2 X=1", .attrs = "scales=5"},
                                          {.sizes = "B=2 T=0 E=3 A=2 X=2", .attrs = "scales=1,2"},
                                          {0}};

extern const fv_attention_def fv_attention_multiscale_pool;
const fv_attention_def fv_attention_multiscale_pool = {
    .name = "multiscale_pool",
    .doc = "additive_pool on the maxima over windows of each scale, and an attention over the scales",
    .paper =
        "Yang et al. 2016, Hierarchical Attention Networks, NAACL (the attention); maxima over windows at several "
        "scales",
    .attrs_size = sizeof(multiscale_attrs),
    .attrs = attrs_table,
    .inputs = (const char *const[]){"x [B,T,E]", "mask? [B,T] u8", NULL},
    .params = (const char *const[]){"W_* [A,E]", "b_* [A]", "v_* [A]", "Ws [A,E]", "bs [A]", "vs [A]", NULL},
    .repeat = "scales",
    .outputs = (const char *const[]){"y [B,E]", "beta [B,X]", NULL},
    .build = build,
    .cases = cases};
