/* SPDX-License-Identifier: Apache-2.0 */
/* text-classify: which of K classes a text is of, and which words said so.
 *   lstm, gru  a bidirectional recurrent network over word vectors
 *   cnn        convolutions of several widths over them (Kim 2014), side by side, kept at every place
 * pooled by soft attention over the places (Yang et al. 2016, the word level of their network). */
#include "models/texts.h"

enum { ENCODER_LSTM, ENCODER_GRU, ENCODER_CNN, ENCODER_BOTH };
static const char *const encoder_names[] = {"lstm", "gru", "cnn", "both", NULL};

typedef fv_text_settings settings;

#define FIELD(name) #name, .offset = offsetof(settings, name)
const fv_option fv_text_classify_options[] = {
    {.name = FIELD(encoder), .type = FV_OPT_ENUM, .def = "lstm", .choices = encoder_names,
     .doc = "bidirectional recurrent network, or convolutions"},
    {.name = FIELD(width), .type = FV_OPT_INT, .def = "128", .min = 4, .max = 4096, .doc = "of a word's vector"},
    {.name = FIELD(hidden), .type = FV_OPT_INT, .def = "128", .min = 4, .max = 4096,
     .doc = "units of each direction; cnn: channels of each window"},
    {.name = FIELD(layers), .type = FV_OPT_INT, .def = "1", .min = 1, .max = 8, .doc = "lstm, gru: layers"},
    {.name = FIELD(windows), .type = FV_OPT_INTS, .def = "1,3,5", .min = 1, .max = 15,
     .doc = "cnn: words each convolution sees; odd"},
    {.name = FIELD(pool), .type = FV_OPT_INT, .def = "64", .min = 1, .max = 1024,
     .doc = "width of the attention pooling's scorer"},
    {.name = FIELD(dropout), .type = FV_OPT_REAL, .def = "0.5", .min = 0, .max = 0.95,
     .doc = "dropped share of word vectors, and before the classifier"},
    {.name = FIELD(word_dropout), .type = FV_OPT_REAL, .def = "0", .min = 0, .max = 0.95,
     .doc = "share of words made unknown in training"},
    {0}};

static const fv_preset presets[] = {
    {"lstm", "encoder=lstm", "the default"},
    {"cnn", "encoder=cnn", "faster, as good on short texts"},
    {"tiny", "encoder=gru width=32 hidden=32", "seconds"},
    {0}};

/* Padding is zero before each convolution and hidden after it by the pooling's mask. */
static fv_value *convolutions(fv_graph *g, const settings *s, fv_value *x) {
  fv_value *each[FV_MAX_LIST];
  for (int i = 0; i < (int)s->windows.n; i++) {
    char name[32];
    snprintf(name, sizeof name, "conv.%d", i);
    each[i] = fv_text_convolution(g, x, s->windows.v[i], s->hidden, name);
  }
  return fv_concat(g, 2, s->windows.n, each);
}

fv_status fv_text_classify_check(const void *fields, const fv_problem *task) {
  const settings *s = fields;
  FV_REQUIRE(s->windows.n >= 1, FV_ERR_REQUEST, "windows: expected at least one, got none");
  return fv_text_check(task, "windows", &s->windows);
}

void fv_text_classify_build(fv_graph *g, const void *fields, const fv_problem *task, fv_mode mode, int64_t n) {
  const settings *s = fields;
  const bool training = mode == FV_MODE_TRAIN;
  fv_value *tokens = fv_input(g, "tokens", FV_I32, FV_SHAPE(n, task->length));
  fv_value *x = fv_text_vectors(g, tokens, task, .width = s->width, .dropout = s->dropout,
                                .word_dropout = s->word_dropout, .training = training);
  if (s->encoder == ENCODER_CNN || s->encoder == ENCODER_BOTH) x = convolutions(g, s, x);
  if (s->encoder == ENCODER_BOTH) x = fv_dropout(g, x, s->dropout, training);
  if (s->encoder != ENCODER_CNN)
    x = fv_recurrent_net(g, x, s->hidden, .gru = s->encoder == ENCODER_GRU, .bidirectional = true, .layers = s->layers,
                         .dropout = s->dropout, .training = training, .lengths = fv_token_lengths(g, tokens));
  x = fv_additive_pool_layer(g, x, fv_token_mask(g, tokens), "pool", s->pool);
  x = fv_linear(g, fv_dropout(g, x, s->dropout, training), task->n_classes, .name = "classifier");
  fv_classifier_outputs(g, x, task, mode);
}

extern const fv_recipe fv_recipe_text_classify;
const fv_recipe fv_recipe_text_classify = {
    .info = {.name = "text-classify",
             .doc = "which class a text is of, and which words said so: a recurrent or convolutional encoder with "
                    "attention pooling",
             .paper = "Yang et al. 2016 (attention pooling); Hochreiter & Schmidhuber 1997 (LSTM); Kim 2014 (CNN)",
             .default_data = "trec",
             .options = fv_text_classify_options,
             .presets = presets},
    .settings_size = sizeof(settings),
    .training = "epochs=15 batch=64 lr=0.001 label_smoothing=0.1 clip=1 min_count=2",
    .metric = "accuracy",
    .check = fv_text_classify_check,
    .build = fv_text_classify_build};
