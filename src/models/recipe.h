/* SPDX-License-Identifier: Apache-2.0 */
/* recipe.h (private): the row of a model recipe. One file says what its settings are, what it builds and how it is
 * trained; training, evaluation, prediction, planning and explaining are the same code for all of them.
 *
 * `build` declares the inputs it needs, named as the dataset's fields ("image", "label"), and its outputs by name:
 *   "loss"          scalar, the mean over the shard                       (train)
 *   "each.NAME"     [n] f32, one number a sample: a metric is their mean   (train, eval; "each.loss" in eval)
 *   "scores"        [n,K] the logits; "probabilities" [n,K]                (eval, predict)
 *   "forecast"      [n,H,C] of series, in place of both                    (eval, predict)
 * and taps (attention.h) wherever weights say where it looked. */
#ifndef FV_MODELS_RECIPE_H
#define FV_MODELS_RECIPE_H

#include "attention/attention.h"
#include "fovea/text.h"
#include "fovea/train.h"

/* A recipe that writes has two modes more, of which a writer (train/generate.c) makes sentences:
 *   FV_MODE_ENCODE  from "source" [n,T] to what the steps need of it, as outputs
 *   FV_MODE_STEP    one token for each of n rows: from "token" i32 [n] to "scores" [n,V], the logits of the next one
 * What they hand on are inputs of the step, [n,...] each:
 *   "keep.NAME"   output of encode; stays as it is
 *   "carry.NAME"  output of encode, then of every step
 *   "cache.NAME"  [n,L,E], of earlier tokens; each step gives its own [n,1,E] under that name, which comes next
 *   "place" i32 [n]: how many tokens there were; "seen" u8 [n,L+1]: which of the cache there are, and the step itself
 * Inputs that it does not have it is not given. "alignment" [n,S], an output: how much it looked at each token read. */
typedef enum fv_mode {
  FV_MODE_TRAIN,
  FV_MODE_EVAL,
  FV_MODE_PREDICT,
  FV_MODE_ENCODE,
  FV_MODE_STEP
} fv_mode;

/* What the recipe needs to know of the data. */
enum { FV_MAX_STOPS = 8 };
typedef struct fv_problem {
  fv_shape image; /* [H,W,C]; ndim 0: the data are no images */
  int64_t length; /* of sequences: what the graph is built for */
  int64_t places;  /* steps: how long the caches are */
  bool joint;      /* texts read and written have one vocabulary */
  int64_t longest; /* the greatest of those lengths: what parameters may depend on */
  int64_t vocabulary[FV_TOKENIZED]; /* tokens of the texts read and written; 0: there are none */
  int64_t n_classes;
  int64_t past, horizon, channels; /* of series: rows seen, rows forecast, numbers a row; 0: the data are none */
  /* Of episodes, those it was trained on, on which parameters may depend: classes, examples of each, questions about
   * each (0: the data are none); and pictures to learn from and to ask about, of n_classes, for which a graph is. */
  int64_t ways, shots, queries, support, asked;
  fv_shape glyph;               /* [H,W,1]: of their pictures */
  /* Of graphs: numbers that a node may have (0: the data are none); how many of them it has at most (0: all are there);
   * nodes and edges of the one graph there is, or nodes 0 and the edges of each of `length` nodes (0: of `block`). */
  int64_t features, words, nodes, edges, block;
  int64_t users, items, trait_values, kind_values; /* of ratings: rows of tables; 0: the data are none */
  int64_t traits, kinds;                           /* of a rating, of an item */
  int32_t stop[FV_MAX_STOPS]; /* tokens that end a sentence; n_stops of them */
  int n_stops;
  double label_smoothing;
} fv_problem;

enum { FV_MORE_METRICS = 3 };
typedef struct fv_recipe {
  fv_recipe_info info;
  size_t settings_size;
  const char *training; /* its defaults for the settings every recipe has: "epochs=12 lr=0.01" */
  const char *metric;   /* the one that decides what is best: "accuracy" */
  bool writes;          /* it has the modes of writing */
  bool ranks;           /* its metrics are auc and gauc, of the outputs "each.score" and "each.positive" */
  bool lower_is_better; /* of that one */
  bool interval;        /* samples are few and differ: the metric is told with its 95 % interval, "NAME_interval" */
  const char *const *more_metrics; /* told beside it at the end; NULL-terminated, at most FV_MORE_METRICS; or NULL */
  /* What the tables cannot say; a message need not name the recipe. */
  fv_status (*check)(const void *settings, const fv_problem *task);
  void (*build)(fv_graph *g, const void *settings, const fv_problem *task, fv_mode mode, int64_t n);
} fv_recipe;
extern const fv_recipe *const fv_recipes[]; /* NULL-terminated; from models.list */

/* Shared endings: a classifier's outputs from its logits [N,K], or [N,Q,K] of samples with Q labels each. */
void fv_classifier_outputs(fv_graph *g, fv_value *logits, const fv_problem *task, fv_mode mode);

#endif
