/* SPDX-License-Identifier: Apache-2.0 */
/* generate.h (private): sentences written by a model whose recipe writes (models/recipe.h), a token after the other. */
#ifndef FV_TRAIN_GENERATE_H
#define FV_TRAIN_GENERATE_H

#include "train/search.h"
#include "train/train.h"

/* How to write. */
typedef struct fv_writing {
  int64_t beam;    /* hypotheses; 1: the likeliest token each time */
  double penalty;  /* of length */
  bool sample;     /* draw instead */
  double temperature, top_p;
  int64_t top_k, seed;
  bool align;      /* also say what each token looked at */
  bool given;      /* write the targets of the samples, whatever beam and sample say */
  int64_t top;     /* given: how many of the likeliest to tell in the place of each token */
} fv_writing;
extern const fv_option fv_writing_options[];

/* As the model's settings have it. */
fv_writing fv_model_writing(const fv_model *m);

typedef struct fv_writer fv_writer;
/* For batches of at most `sentences` at a time (fewer where they are long), each group by one thread. The model must be
 * built, not its parameters filled. */
fv_status fv_writer_new(fv_model *m, fv_ledger *ledger, int64_t sentences, const fv_writing *how, fv_writer **writer);
void fv_writer_free(fv_writer *w); /* NULL is fine */

/* A token that may stand in a place. */
typedef struct fv_scored_token {
  int32_t id;
  float score, log_p; /* the logit; the log of its probability */
} fv_scored_token;

/* What became of n sentences. */
typedef struct fv_written {
  int64_t n, most;   /* most: tokens of any */
  int32_t *token;    /* [n,most], without <eos> */
  int64_t *length;   /* [n] */
  bool *ended;       /* [n]: with <eos>, not by the limit of their length */
  int64_t *order;    /* [n]: in which they are written */
  double *score;     /* [n]: log of the probability, of a beam over the penalty of its length */
  int64_t read;      /* width of the alignment */
  float *alignment;  /* [n,most,read]: how much each token, <eos> too, looked at each of the source; NULL: not wanted */
  int64_t choices;   /* 1 + top where sentences are given */
  /* [n,most,choices]: each token, <eos> too, and the likeliest in its place; NULL: none are given */
  fv_scored_token *choice;
} fv_written;
fv_status fv_written_new(const fv_writer *w, int64_t n, bool alignment, fv_written *out);
void fv_written_free(fv_written *out);

/* Writes samples `index` (NULL: from 0 on) of a split. `params`: of the model, changed or not. Allocates nothing. */
fv_status fv_writer_run(fv_writer *w, const float *params, const fv_dataset *d, fv_split split, const int64_t *index,
                        bool stoppable, fv_written *out, fv_train_report *report, void *arg);

/* The model's own, kept as long as the same is wanted of it: for splits, or for a sentence at a time. `how` NULL: as
 * the model's settings have it. */
fv_status fv_model_writer(fv_model *m, const fv_writing *how, bool one, fv_writer **writer);

/* BLEU of what it writes for a split, against the texts that the dataset has. */
fv_status fv_writer_bleu(fv_writer *w, const float *params, const fv_dataset *d, fv_split split, bool stoppable,
                         double *bleu, fv_train_report *report, void *arg);

#endif
