/* SPDX-License-Identifier: Apache-2.0 */
/* text-classify-multiscale: which class a text is of, read at several scales.
 *   scales  words (a bidirectional recurrent network), phrases (convolutions over a few words each) and sentences
 *           (means of the recurrent network over each), every scale pooled by an attention of its own, and an attention
 *           over the scales
 *   han     words, their attention in each sentence, a recurrent network over the sentences, their attention (Yang et
 *           al. 2016). There every sentence is read by itself; here the network over words reads on from sentence to
 *           sentence, so that a word is read with what was said before. */
#include "models/texts.h"
#include "ops/slice.h"

enum { NETWORK_SCALES, NETWORK_HAN };
static const char *const network_names[] = {"scales", "han", NULL};
enum { CELL_LSTM, CELL_GRU };
static const char *const cell_names[] = {"lstm", "gru", NULL};

typedef struct settings {
  int64_t network, cell, width, hidden, pool, sentences;
  fv_int_list phrases;
  double dropout, word_dropout;
} settings;

#define FIELD(name) #name, .offset = offsetof(settings, name)
static const fv_option options[] = {
    {.name = FIELD(network), .type = FV_OPT_ENUM, .def = "scales", .choices = network_names,
     .doc = "attention side by side at all scales, or of sentences over that of words"},
    {.name = FIELD(cell), .type = FV_OPT_ENUM, .def = "lstm", .choices = cell_names, .doc = "recurrent network"},
    {.name = FIELD(width), .type = FV_OPT_INT, .def = "128", .min = 4, .max = 4096, .doc = "of a word's vector"},
    {.name = FIELD(hidden), .type = FV_OPT_INT, .def = "128", .min = 4, .max = 4096,
     .doc = "units of each direction; phrases have twice as many channels"},
    {.name = FIELD(phrases), .type = FV_OPT_INTS, .def = "3,5", .min = 3, .max = 15,
     .doc = "scales: words of a phrase, a scale each; odd"},
    {.name = FIELD(sentences), .type = FV_OPT_INT, .def = "8", .min = 1, .max = FV_MAX_SENTENCES,
     .doc = "most sentences told apart; the last takes what follows"},
    {.name = FIELD(pool), .type = FV_OPT_INT, .def = "64", .min = 1, .max = 1024,
     .doc = "width of each attention's scorer"},
    {.name = FIELD(dropout), .type = FV_OPT_REAL, .def = "0.5", .min = 0, .max = 0.95,
     .doc = "dropped share of word vectors, and before the classifier"},
    {.name = FIELD(word_dropout), .type = FV_OPT_REAL, .def = "0.2", .min = 0, .max = 0.95,
     .doc = "share of words made unknown in training"},
    {0}};

static const fv_preset presets[] = {
    {"scales", "network=scales", "the default"},
    {"han", "network=han cell=gru", "a hierarchy: words, then sentences"},
    {"tiny", "cell=gru width=32 hidden=16 phrases=3", "seconds"},
    {0}};

static fv_status check(const void *fields, const fv_problem *task) {
  const settings *s = fields;
  return fv_text_check(task, "phrases", &s->phrases);
}

/* ---- scales ------------------------------------------------------------------------------------------------------ */
/* Each sentence's share of its own words: rows of ones over their number, [N,S,T]. */
static fv_value *shares_of(fv_graph *g, const fv_sentences *s) {
  fv_value *member = fv_real(g, s->member);
  fv_value *words = fv_reduce(g, "sum", member, FV_SHAPE(2), true);
  return fv_op(g, "div", NULL, member, fv_op(g, "maximum", NULL, words, fv_const(g, 1)));
}

/* weights [N,S] spread over the tokens: [N,T] */
static fv_value *spread(fv_graph *g, fv_value *weights, fv_value *over) {
  const int64_t n = fv_dim(over, 0), t = fv_dim(over, 2);
  fv_value *row = fv_reshape(g, weights, FV_SHAPE(n, 1, fv_dim(over, 1)));
  return fv_reshape(g, fv_op(g, "matmul", NULL, row, over), FV_SHAPE(n, t));
}

/* What every word weighed, all scales together: as a word, in the middle of a phrase, in a sentence. */
static fv_value *weights_together(fv_graph *g, const fv_scale *scales, int n, fv_value *beta, fv_value *shares) {
  fv_value *sum = NULL;
  for (int i = 0; i < n; i++) {
    fv_value *each = i == n - 1 ? spread(g, scales[i].alpha, shares) : scales[i].alpha;
    each = fv_mul(g, each, fv_slice_of(g, beta, 1, i, 1));
    sum = sum ? fv_add(g, sum, each) : each;
  }
  return sum;
}

static fv_value *scales_of(fv_graph *g, const settings *s, fv_value *tokens, fv_value *x, fv_value *words,
                           const fv_problem *task) {
  fv_scale scales[FV_MAX_SCALES] = {{.x = words, .mask = fv_token_mask(g, tokens)}};
  const fv_sentences sentences = fv_text_sentences(g, tokens, task, FV_MIN(s->sentences, task->length));
  fv_value *shares = shares_of(g, &sentences), *beta;
  int n = 1;
  for (int64_t i = 0; i < s->phrases.n; i++) {
    char name[32];
    snprintf(name, sizeof name, "phrase.%d", (int)i);
    scales[n++] = (fv_scale){.x = fv_text_convolution(g, x, s->phrases.v[i], 2 * s->hidden, name),
                             .mask = scales[0].mask};
  }
  scales[n++] = (fv_scale){.x = fv_op(g, "matmul", NULL, shares, words), .mask = sentences.some};
  fv_value *y = fv_multiscale_pool_layer(g, scales, n, "pool", s->pool, &beta);
  fv_tap(g, "pool.weights", FV_TAP_TOKENS, weights_together(g, scales, n, beta, shares));
  return y;
}

/* ---- hierarchy --------------------------------------------------------------------------------------------------- */
static fv_value *hierarchy(fv_graph *g, const settings *s, fv_value *tokens, fv_value *words, const fv_problem *task) {
  const fv_sentences sentences = fv_text_sentences(g, tokens, task, FV_MIN(s->sentences, task->length));
  const int64_t n = fv_dim(words, 0), t = fv_dim(words, 1), most = fv_dim(sentences.some, 1);
  fv_value *in_sentence, *of_sentences;
  fv_value *each = fv_grouped_pool_layer(g, words, sentences.member, "words", s->pool, &in_sentence);
  fv_value *read = fv_recurrent_net(g, each, s->hidden, .name = "sentences", .gru = s->cell == CELL_GRU,
                                    .bidirectional = true, .lengths = sentences.count);
  fv_value *there = fv_reshape(g, sentences.some, FV_SHAPE(n, 1, most));
  fv_value *y = fv_grouped_pool_layer(g, read, there, "pool", s->pool, &of_sentences);
  fv_value *weights = fv_op(g, "matmul", NULL, of_sentences, in_sentence);
  fv_tap(g, "pool.weights", FV_TAP_TOKENS, fv_reshape(g, weights, FV_SHAPE(n, t)));
  return fv_reshape(g, y, FV_SHAPE(n, fv_dim(read, 2)));
}

static void build(fv_graph *g, const void *fields, const fv_problem *task, fv_mode mode, int64_t n) {
  const settings *s = fields;
  const bool training = mode == FV_MODE_TRAIN;
  fv_value *tokens = fv_input(g, "tokens", FV_I32, FV_SHAPE(n, task->length));
  fv_value *x = fv_text_vectors(g, tokens, task, .width = s->width, .dropout = s->dropout,
                                .word_dropout = s->word_dropout, .training = training);
  fv_value *words = fv_recurrent_net(g, x, s->hidden, .gru = s->cell == CELL_GRU, .bidirectional = true,
                                     .training = training, .lengths = fv_token_lengths(g, tokens));
  fv_value *y = s->network == NETWORK_HAN ? hierarchy(g, s, tokens, words, task)
                                          : scales_of(g, s, tokens, x, words, task);
  y = fv_linear(g, fv_dropout(g, y, s->dropout, training), task->n_classes, .name = "classifier");
  fv_classifier_outputs(g, y, task, mode);
}

extern const fv_recipe fv_recipe_text_classify_multiscale;
const fv_recipe fv_recipe_text_classify_multiscale = {
    .info = {.name = "text-classify-multiscale",
             .doc = "which class a text is of, from its words, phrases and sentences: attention at each scale and over "
                    "the scales, or a hierarchy of both",
             .paper = "Yang et al. 2016 (hierarchical attention); Kim 2014 (convolutions over words)",
             .default_data = "ag-news-sample",
             .options = options,
             .presets = presets},
    .settings_size = sizeof(settings),
    .training = "epochs=15 batch=64 lr=0.001 optimizer=adamw schedule=onecycle weight_decay=0.01 clip=1 "
                "label_smoothing=0.1",
    .metric = "accuracy",
    .check = check,
    .build = build};
