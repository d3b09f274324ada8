/* SPDX-License-Identifier: Apache-2.0 */
/* forecast: the next rows of a series from its last ones, all channels at once, by one of three networks that stand for
 * three answers to the same question:
 *   dlinear   two linear maps, of a moving average and of the rest (Zeng et al. 2023)
 *   patchtst  a Transformer over patches of each channel by itself (Nie et al. 2023)
 *   darnn     a recurrent net that attends to series while it reads and to times while it writes (Qin et al. 2017)
 * Errors are those of standardised values, as in the published tables. */
#include "models/forecast.h"

#include "ops/loss.h"
#include "ops/var.h"

enum { MODEL_DLINEAR, MODEL_PATCHTST, MODEL_DARNN };
static const char *const model_names[] = {"dlinear", "patchtst", "darnn", NULL};

#define FIELD(name) #name, .offset = offsetof(fv_forecast_settings, name)
static const fv_option options[] = {
    {.name = FIELD(model), .type = FV_OPT_ENUM, .def = "patchtst", .choices = model_names, .doc = "the network"},
    {.name = FIELD(normalise), .type = FV_OPT_BOOL, .def = "true",
     .doc = "each window by its own mean and deviation, which the forecast gets back"},
    {.name = FIELD(window), .type = FV_OPT_INT, .def = "25", .min = 1, .max = 1001,
     .doc = "dlinear: rows of the moving average, odd"},
    {.name = FIELD(width), .type = FV_OPT_INT, .def = "16", .min = 1, .max = 1024,
     .doc = "patchtst: of a patch's vector"},
    {.name = FIELD(heads), .type = FV_OPT_INT, .def = "4", .min = 1, .max = 64,
     .doc = "patchtst: attention heads; divides width"},
    {.name = FIELD(feedforward), .type = FV_OPT_INT, .def = "128", .min = 1, .max = 4096,
     .doc = "patchtst: width inside a layer's second half"},
    {.name = FIELD(layers), .type = FV_OPT_INT, .def = "3", .min = 1, .max = 16, .doc = "patchtst: layers"},
    {.name = FIELD(patch), .type = FV_OPT_INT, .def = "16", .min = 1, .max = 1024,
     .doc = "patchtst: rows of a patch; a multiple of stride"},
    {.name = FIELD(stride), .type = FV_OPT_INT, .def = "8", .min = 1, .max = 1024,
     .doc = "patchtst: rows from one patch to the next; divides past"},
    {.name = FIELD(carry), .type = FV_OPT_BOOL, .def = "false",
     .doc = "patchtst: a layer's attention scores are added to the next one's (He et al. 2021)"},
    {.name = FIELD(hidden), .type = FV_OPT_INT, .def = "64", .min = 1, .max = 1024,
     .doc = "darnn: units of encoder and decoder"},
    {.name = FIELD(dropout), .type = FV_OPT_REAL, .def = "0.3", .min = 0, .max = 0.95,
     .doc = "patchtst: dropped share"},
    {0}};

static const fv_preset presets[] = {
    {"patchtst", "model=patchtst", "the default"},
    {"dlinear",
     "model=dlinear normalise=false batch=32 lr=0.005 schedule=step step_size=1 gamma=0.5 warmup=0 epochs=10 "
     "patience=3",
     "the linear baseline that Transformers are to beat; seconds"},
    {"darnn", "model=darnn past=48 batch=128 lr=0.001 epochs=8", "attention over series and over times; slow"},
    {0}};

static fv_status check(const void *fields, const fv_problem *task) {
  const fv_forecast_settings *s = fields;
  FV_REQUIRE(task->horizon > 0, FV_ERR_REQUEST, "expected a dataset of series, got none");
  FV_REQUIRE(s->window % 2 == 1, FV_ERR_REQUEST, "window: expected an odd number, got %d", (int)s->window);
  FV_REQUIRE(s->model != MODEL_DARNN || task->past <= FV_DARNN_STEPS, FV_ERR_REQUEST,
             "past: expected at most %d rows for darnn, which goes through them one by one, got %d",
             FV_DARNN_STEPS, (int)task->past);
  if (s->model != MODEL_PATCHTST) return FV_OK;
  FV_REQUIRE(s->width % s->heads == 0, FV_ERR_REQUEST, "heads: expected a divisor of width %d, got %d",
             (int)s->width, (int)s->heads);
  FV_REQUIRE(s->patch % s->stride == 0 && s->patch / s->stride <= FV_PATCH_STRIDES, FV_ERR_REQUEST,
             "patch: expected a multiple of stride %d, at most %d of it, got %d", (int)s->stride,
             FV_PATCH_STRIDES, (int)s->patch);
  FV_REQUIRE(task->past % s->stride == 0 && task->past >= s->patch, FV_ERR_REQUEST,
             "past: expected a multiple of stride %d that is at least the patch of %d, got %d",
             (int)s->stride, (int)s->patch, (int)task->past);
  return FV_OK;
}

/* ---- normalising windows (RevIN without its weights: Kim et al. 2022) -------------------------------------------- */
typedef struct window_norm {
  fv_value *mean, *deviation; /* [n,1,C] */
} window_norm;

static fv_value *normalised(fv_graph *g, fv_value *x, window_norm *w) {
  const fv_var_attrs var = {.reduce = {.axes = {1, {1}}, .keepdim = true}, .biased = true};
  w->mean = fv_reduce(g, "mean", x, FV_SHAPE(1), true);
  w->deviation = fv_op(g, "sqrt", NULL, fv_add(g, fv_op(g, "var", &var, x), fv_const(g, 1e-5)));
  return fv_op(g, "div", NULL, fv_op(g, "sub", NULL, x, w->mean), w->deviation);
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */
static void outputs(fv_graph *g, fv_value *y, const fv_problem *task, fv_mode mode) {
  const int64_t n = fv_dim(y, 0);
  if (mode != FV_MODE_TRAIN) fv_output(g, "forecast", fv_op(g, "copy", NULL, y));
  if (mode == FV_MODE_PREDICT) return;
  fv_value *future = fv_input(g, "future", FV_F32, FV_SHAPE(n, task->horizon, task->channels));
  fv_value *error = fv_op(g, "sub", NULL, y, future);
  fv_value *mse = fv_reduce(g, "mean", fv_op(g, "square", NULL, error), FV_SHAPE(1, 2), false);
  fv_output(g, "each.mse", mse);
  if (mode == FV_MODE_TRAIN) fv_output(g, "loss", fv_op(g, "mse_loss", NULL, y, future));
  if (mode == FV_MODE_TRAIN) return;
  fv_output(g, "each.mae", fv_reduce(g, "mean", fv_op(g, "abs", NULL, error), FV_SHAPE(1, 2), false));
  fv_output(g, "each.loss", fv_op(g, "copy", NULL, mse));
}

static void build(fv_graph *g, const void *fields, const fv_problem *task, fv_mode mode, int64_t n) {
  const fv_forecast_settings *s = fields;
  window_norm norm = {NULL, NULL};
  fv_value *x = fv_input(g, "past", FV_F32, FV_SHAPE(n, task->past, task->channels)), *y;
  if (s->normalise) x = normalised(g, x, &norm);
  if (s->model == MODEL_DLINEAR) y = fv_dlinear(g, s, task, x);
  else if (s->model == MODEL_PATCHTST) y = fv_patchtst(g, s, task, x, mode == FV_MODE_TRAIN);
  else y = fv_darnn(g, s, task, x);
  if (s->normalise) y = fv_add(g, fv_mul(g, y, norm.deviation), norm.mean);
  outputs(g, y, task, mode);
}

extern const fv_recipe fv_recipe_forecast;
const fv_recipe fv_recipe_forecast = {
    .info = {.name = "forecast",
             .doc = "the next rows of a series, and which of the past ones they follow from: a patch Transformer, a "
                    "recurrent net with two attentions, and the linear baseline beside them",
             .paper = "Nie et al. 2023 (PatchTST); Qin et al. 2017 (DA-RNN); Zeng et al. 2023 (DLinear)",
             .default_data = "etth1",
             .options = options,
             .presets = presets},
    .settings_size = sizeof(fv_forecast_settings),
    .training = "past=336 horizon=96 epochs=20 batch=128 lr=0.001 optimizer=adamw weight_decay=0 schedule=onecycle "
                "warmup=0.3 patience=6",
    .metric = "mse",
    .lower_is_better = true,
    .more_metrics = (const char *const[]){"mae", NULL},
    .check = check,
    .build = build};
