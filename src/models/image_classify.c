/* SPDX-License-Identifier: Apache-2.0 */
/* image-classify: which of K classes an image shows, and where that was decided.
 *   cnn  a residual network (He et al. 2016) with CBAM at the end of each stage but the first, pooled by soft
 *        attention over the places of its last map (in place of a mean)
 *   vit  a small vision transformer (Dosovitskiy et al. 2021): patches, a class token, pre-norm blocks */
#include "models/recipe.h"
#include "ops/broadcast_to.h"
#include "ops/concat.h"
#include "ops/slice.h"

enum { ARCH_CNN, ARCH_VIT };
static const char *const arch_names[] = {"cnn", "vit", NULL};

typedef struct settings {
  int64_t arch, width, pool, reduction, kernel;
  fv_int_list blocks;
  bool cbam;
  double dropout;
  int64_t patch, dim, depth, heads;
} settings;

#define FIELD(name) #name, .offset = offsetof(settings, name)
static const fv_option options[] = {
    {.name = FIELD(arch), .type = FV_OPT_ENUM, .def = "cnn", .choices = arch_names,
     .doc = "residual network or vision transformer"},
    {.name = FIELD(width), .type = FV_OPT_INT, .def = "16", .min = 4, .max = 512,
     .doc = "cnn: channels of the first stage; each next one doubles them"},
    {.name = FIELD(blocks), .type = FV_OPT_INTS, .def = "1,2,2", .min = 0, .max = 16,
     .doc = "cnn: residual blocks of each stage; each stage but the first halves the map"},
    {.name = FIELD(cbam), .type = FV_OPT_BOOL, .def = "true",
     .doc = "cnn: channel and spatial attention after each stage but the first"},
    {.name = FIELD(reduction), .type = FV_OPT_INT, .def = "8", .min = 1, .max = 64,
     .doc = "cnn: CBAM's channel bottleneck"},
    {.name = FIELD(kernel), .type = FV_OPT_INT, .def = "7", .min = 1, .max = 15,
     .doc = "cnn: side of CBAM's spatial convolution, odd"},
    {.name = FIELD(pool), .type = FV_OPT_INT, .def = "64", .min = 1, .max = 1024,
     .doc = "cnn: width of the attention pooling's scorer"},
    {.name = FIELD(dropout), .type = FV_OPT_REAL, .def = "0", .min = 0, .max = 0.95,
     .doc = "dropped share before the classifier (vit: and in the blocks)"},
    {.name = FIELD(patch), .type = FV_OPT_INT, .def = "4", .min = 1, .max = 64,
     .doc = "vit: side of a patch, pixels; divides the image"},
    {.name = FIELD(dim), .type = FV_OPT_INT, .def = "64", .min = 4, .max = 1024, .doc = "vit: width of a token"},
    {.name = FIELD(depth), .type = FV_OPT_INT, .def = "6", .min = 1, .max = 32, .doc = "vit: number of blocks"},
    {.name = FIELD(heads), .type = FV_OPT_INT, .def = "4", .min = 1, .max = 64,
     .doc = "vit: attention heads; divides dim"},
    {0}};

static const fv_preset presets[] = {
    {"small", "arch=cnn width=16 blocks=1,2,2", "the default: 28x28 to 40x40 images, minutes on two cores"},
    {"tiny", "arch=cnn width=16 blocks=0,1,1", "the quickstart: seconds to a minute"},
    {"vit-tiny", "arch=vit patch=4 dim=64 depth=6 heads=4 lr=0.003 epochs=40",
     "a vision transformer, explained by attention rollout"},
    {0}};

/* ---- cnn --------------------------------------------------------------------------------------------------------- */
static fv_value *conv_norm(fv_graph *g, fv_value *x, int64_t channels, int64_t kernel, int64_t stride, const char *conv,
                           const char *norm, bool training) {
  x = fv_conv2d(g, x, channels, kernel, .name = conv, .stride = stride, .pad = kernel / 2, .no_bias = true);
  return fv_batch_norm(g, x, norm, training);
}

static fv_value *residual_block(fv_graph *g, fv_value *x, int64_t channels, int64_t stride, bool training) {
  fv_value *y = fv_relu(g, conv_norm(g, x, channels, 3, stride, "conv1", "bn1", training));
  y = conv_norm(g, y, channels, 3, 1, "conv2", "bn2", training);
  bool same = stride == 1 && fv_dim(x, -1) == channels;
  fv_value *skip = same ? x : conv_norm(g, x, channels, 1, stride, "downsample.0", "downsample.1", training);
  return fv_relu(g, fv_add(g, y, skip));
}

static fv_value *cnn(fv_graph *g, const settings *s, fv_value *x, int64_t n_classes, bool training) {
  x = fv_relu(g, conv_norm(g, x, s->width, 3, 1, "stem.conv", "stem.bn", training));
  for (int64_t i = 0; i < s->blocks.n; i++) {
    fv_scope_push(g, "stage%d", (int)i + 1);
    for (int64_t b = 0; b < s->blocks.v[i]; b++) {
      fv_scope_push(g, "%d", (int)b);
      x = residual_block(g, x, s->width << i, i > 0 && b == 0 ? 2 : 1, training);
      fv_scope_pop(g);
    }
    if (s->cbam && i > 0) x = fv_cbam_layer(g, x, "cbam", s->reduction, s->kernel);
    fv_scope_pop(g);
  }
  int64_t n = fv_dim(x, 0), h = fv_dim(x, 1), w = fv_dim(x, 2), c = fv_dim(x, 3);
  x = fv_additive_pool_layer(g, fv_reshape(g, x, FV_SHAPE(n, h * w, c)), NULL, "pool", s->pool);
  return fv_linear(g, fv_dropout(g, x, s->dropout, training), n_classes, .name = "fc");
}

/* ---- vit --------------------------------------------------------------------------------------------------------- */
static fv_value *vit_block(fv_graph *g, const settings *s, fv_value *x, bool training) {
  fv_value *y = fv_self_attention_layer(g, fv_layer_norm(g, x, "norm1"), "attn", s->heads);
  x = fv_add(g, x, fv_dropout(g, y, s->dropout, training));
  y = fv_linear(g, fv_layer_norm(g, x, "norm2"), 4 * s->dim, .name = "mlp.fc1");
  y = fv_linear(g, fv_op(g, "gelu", NULL, y), s->dim, .name = "mlp.fc2");
  return fv_add(g, x, fv_dropout(g, y, s->dropout, training));
}

static fv_value *vit(fv_graph *g, const settings *s, fv_value *x, int64_t n_classes, bool training) {
  fv_init small = {.kind = FV_INIT_TRUNC_NORMAL, .a = 0.02};
  int64_t n = fv_dim(x, 0), e = s->dim;
  x = fv_conv2d(g, x, e, s->patch, .name = "patch_embed.proj", .stride = s->patch);
  int64_t t = fv_dim(x, 1) * fv_dim(x, 2) + 1;
  fv_value *token = fv_param(g, "cls_token", FV_SHAPE(1, 1, e), small, FV_GROUP_NO_DECAY);
  fv_broadcast_to_attrs all = {.shape = {3, {n, 1, e}}};
  x = fv_op(g, "concat", &(fv_concat_attrs){.axis = 1}, fv_op(g, "broadcast_to", &all, token),
            fv_reshape(g, x, FV_SHAPE(n, t - 1, e)));
  x = fv_add(g, x, fv_param(g, "pos_embed", FV_SHAPE(1, t, e), small, FV_GROUP_NO_DECAY));
  for (int64_t i = 0; i < s->depth; i++) {
    fv_scope_push(g, "blocks.%d", (int)i);
    x = vit_block(g, s, x, training);
    fv_scope_pop(g);
  }
  x = fv_reshape(g, fv_slice_of(g, x, 1, 0, 1), FV_SHAPE(n, e));
  return fv_linear(g, fv_layer_norm(g, x, "norm"), n_classes, .name = "head");
}

/* ---- the row ----------------------------------------------------------------------------------------------------- */
static fv_status check(const void *fields, const fv_problem *task) {
  const settings *s = fields;
  int64_t h = task->image.dim[0], w = task->image.dim[1];
  FV_REQUIRE(task->image.ndim, FV_ERR_REQUEST, "expected a dataset of images, got one of another kind");
  FV_REQUIRE(task->image.ndim == 3 && h > 0 && w > 0, FV_ERR_REQUEST, "expected images [H,W,C], got %s",
             fv_shape_text(task->image));
  FV_REQUIRE(task->n_classes >= 2, FV_ERR_REQUEST, "expected at least 2 classes, got %d",
             (int)task->n_classes);
  if (s->arch == ARCH_CNN) {
    FV_REQUIRE(s->kernel % 2, FV_ERR_REQUEST, "kernel: expected an odd number, got %d", (int)s->kernel);
    FV_REQUIRE(s->blocks.n >= 1, FV_ERR_REQUEST, "blocks: expected a number for each stage, got none");
    for (int64_t i = 1; i < s->blocks.n; i++)
      FV_REQUIRE(s->blocks.v[i] > 0, FV_ERR_REQUEST,
                 "blocks: expected at least 1 in every stage but the first, got 0");
    return FV_OK;
  }
  FV_REQUIRE(h % s->patch == 0 && w % s->patch == 0, FV_ERR_REQUEST,
             "patch: expected a divisor of the image's %dx%d, got %d", (int)h, (int)w, (int)s->patch);
  FV_REQUIRE(s->dim % s->heads == 0, FV_ERR_REQUEST, "heads: expected a divisor of dim %d, got %d",
             (int)s->dim, (int)s->heads);
  return FV_OK;
}

static void build(fv_graph *g, const void *fields, const fv_problem *task, fv_mode mode, int64_t n) {
  const settings *s = fields;
  fv_shape i = task->image;
  fv_value *x = fv_input(g, "image", FV_F32, FV_SHAPE(n, i.dim[0], i.dim[1], i.dim[2]));
  bool training = mode == FV_MODE_TRAIN;
  fv_value *logits =
      s->arch == ARCH_VIT ? vit(g, s, x, task->n_classes, training) : cnn(g, s, x, task->n_classes, training);
  fv_classifier_outputs(g, logits, task, mode);
}

extern const fv_recipe fv_recipe_image_classify;
const fv_recipe fv_recipe_image_classify = {
    .info = {.name = "image-classify",
             .doc = "which class an image shows: a residual CNN with CBAM and attention pooling, or a small "
                    "vision transformer",
             .paper = "Woo et al. 2018 (CBAM); Yang et al. 2016 (attention pooling); Dosovitskiy et al. 2021 (ViT)",
             .default_data = "cluttered-digits",
             .options = options,
             .presets = presets},
    .settings_size = sizeof(settings),
    .training = "epochs=12 batch=128 lr=0.005 optimizer=adamw schedule=onecycle weight_decay=0.05",
    .metric = "accuracy",
    .check = check,
    .build = build};
