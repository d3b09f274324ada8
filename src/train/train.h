/* SPDX-License-Identifier: Apache-2.0 */
/* train.h (private): what training, evaluating, predicting and explaining share.
 *
 * A batch is cut into a fixed number of shards. A shard is run whole by one thread on its own slab; gradients are
 * summed in a fixed tree. So the bits depend on the number of shards, never on the number of threads. */
#ifndef FV_TRAIN_TRAIN_H
#define FV_TRAIN_TRAIN_H

#include "data/data.h"
#include "io/io.h"
#include "models/recipe.h"
#include "text/text.h"

/* ---- settings every recipe has (settings.c) ---------------------------------------------------------------------- */
enum { FV_OPTIMIZER_SGD, FV_OPTIMIZER_ADAMW, FV_OPTIMIZER_RMSPROP, FV_OPTIMIZER_ADAM };
enum { FV_CHOOSE_METRIC, FV_CHOOSE_LOSS, FV_CHOOSE_BOTH };
enum { FV_SCHEDULE_CONSTANT, FV_SCHEDULE_STEP, FV_SCHEDULE_COSINE, FV_SCHEDULE_ONECYCLE };
typedef struct fv_train_settings {
  int64_t epochs, steps, batch, shards, seed;
  int64_t optimizer, schedule;
  double lr, momentum, beta2, eps, weight_decay, clip, warmup, lr_final, gamma;
  int64_t step_size;
  bool nesterov;
  double ema, label_smoothing, validation;
  int64_t choose, patience, shift, cutout, save_every, keep;
  bool flip;
  double rotate, zoom;
  int64_t fold;
  int64_t beam;
  double penalty;
  const char *text, *label, *vectors, *start;
  int64_t tokenizer, vocabulary, vectors_words, min_count, longest;
  bool lower, skip_bad, joint, directed;
  fv_int_list neighbours;
  int64_t past, horizon, ways, shots, queries;
  double like, dislike;
  int64_t superpixels;
  double compactness;
  double rows_decay;
} fv_train_settings;
extern const fv_option fv_train_settings_table[];

/* ---- compiled graphs with their workers (runner.c) --------------------------------------------------------------- */
typedef struct fv_runner {
  fv_graph *g;
  fv_program *program;
  void *packed;
  bool lent;      /* packed is not its own */
  fv_exec **exec; /* one a worker */
  int n_exec;
  fv_pool *pool;  /* of one that is split: over these; otherwise NULL */
  int64_t n;      /* samples of one run: the size of a shard */
} fv_runner;
/* Takes g over, also on failure. */
fv_status fv_runner_new(fv_ledger *ledger, fv_graph *g, const float *params, int workers, int64_t n, fv_runner *r);
void fv_runner_free(fv_runner *r);
/* From now on fv_runner_run is for worker 0 alone and splits its nodes over the pool's threads, if there are any: the
 * same bits. Again: nothing. */
fv_status fv_runner_split(fv_runner *r, fv_ledger *ledger, fv_pool *pool);
void fv_runner_run(fv_runner *r, int worker);
/* After the parameters changed. */
fv_status fv_runner_refresh(fv_runner *r, const float *params, fv_pool *pool);

/* The same graph for batches of several lengths, one at a time in the same memory. */
typedef struct fv_runners {
  int n;                       /* 1 when nothing varies */
  fv_runner of[FV_MAX_LENGTHS];
  void *packed, **slab;        /* as large as the largest needs; a slab a worker */
  int n_slabs, fresh;          /* whose weights are packed now; -1: nobody's */
} fv_runners;
/* Takes the graphs over, also on failure. With one worker its nodes are split over `pool`; the bits are the same. */
fv_status fv_runners_new(fv_ledger *ledger, int n_graphs, fv_graph *const *g, const float *params, int workers,
                         fv_pool *pool, int64_t n, fv_runners *r);
void fv_runners_free(fv_runners *r);
/* Packs the weights for `bucket` unless that is the last thing that was done; fresh = -1 after the parameters
 * changed. */
fv_status fv_runners_refresh(fv_runners *r, int bucket, const float *params, fv_pool *pool);

/* The fields of shard `shard` of a batch as the inputs of the same names. */
void fv_runner_bind(fv_runner *r, int worker, const fv_dataset *data, const fv_batch *batch, int64_t shard);

/* ---- a model (model.c): recipe, settings, data's shape, parameters ----------------------------------------------- */
struct fv_model {
  fv_arena *arena;
  fv_ledger ledger;
  fv_pool *pool;
  const fv_recipe *recipe;
  void *settings;
  fv_train_settings train;
  bool augments;               /* its user asks for images that are changed by chance */
  const char *preset, *data;  /* data: name or path it was trained on */
  fv_problem task;
  fv_reading reading;          /* how its data are read */
  int64_t length[FV_MAX_LENGTHS]; /* of batches of sequences, rising; n_lengths 0: nothing varies */
  int n_lengths;
  const char *const *classes;
  fv_support *support;         /* of a model of episodes that was adapted */
  float mean[4], deviation[4]; /* of channels of v/255; deviation 0: no standardisation */
  fv_params *params;
  float *slab;                 /* the parameters */
  fv_vectors_found vectors;    /* what its embedding began with */
  int started;                 /* parameters that began as another model's */
  fv_runners eval;             /* made on first use */
  struct fv_writer *writer, *writer_of_one; /* of a model that writes, likewise: for splits, for a sentence at a time */
  fv_runner predict[FV_MAX_LENGTHS]; /* likewise, one a length */
  char *sample;                /* room for one sample a worker */
  int64_t sample_bytes;        /* all of it */
};
/* The greatest length of its batches; 0: nothing varies. */
static inline int64_t fv_model_longest(const fv_model *m) { return m->n_lengths ? m->length[m->n_lengths - 1] : 0; }
/* Settings from defaults, the recipe's own, what suits the dataset (its name; may be NULL), the preset, then the sets.
 * threads 0: all processors. */
fv_status fv_model_new(const char *recipe, const char *data, const char *preset, const fv_setting *sets, int n_sets,
                       int threads, fv_model **model);
fv_status fv_model_check(const fv_model *m); /* that the recipe can do with the task */
/* After task and classes are known: declares the parameters and lays them out. Allocates none: what a file says of
 * itself can be checked first. */
fv_status fv_model_declare(fv_model *m);
/* Declares, allocates (not in a dry ledger) and initialises. */
fv_status fv_model_build(fv_model *m);
/* The weights of another model, a run directory or a file, that have the names and shapes of this one's. */
fv_status fv_model_start_from(fv_model *m, const char *path);
/* Word vectors from the file train.vectors into the embedding (vectors.c). */
fv_status fv_model_load_vectors(fv_model *m);
/* Who runs the shards of a batch: all threads; or, when there is but one shard, one worker that splits its work. */
int fv_model_workers(const fv_model *m);
/* The recipe's graph for shards of n samples; taps become outputs when asked for. */
fv_status fv_model_graph(fv_model *m, fv_mode mode, int64_t n, bool taps, fv_graph **g);
/* One for each length of batches (task.lengths), or the one. With `differentiate`, of the loss. */
fv_status fv_model_runners(fv_model *m, fv_mode mode, int64_t n, int workers, const float *params, bool differentiate,
                           fv_runners *r);
/* A training graph's gradients, of the loss. */
fv_status fv_model_differentiate(fv_graph *g);
/* model.safetensors: `slab` (laid out as the parameters) with everything needed to use it. */
fv_status fv_model_save(const fv_model *m, const float *slab, const char *metrics_json, const char *path);
/* That the file has every parameter, with its shape, and nothing besides; and then their numbers. */
fv_status fv_model_check_tensors(const fv_model *m, const fv_safetensors *file, const char *path);
fv_status fv_model_read_slab(const fv_model *m, const fv_safetensors *file, const char *path, float *slab);
fv_status fv_model_weights_sha256(const fv_model *m, const float *slab, char hex[65]);
/* "key=value ..." of all settings that decide the result: what a resumed run must agree with. */
fv_status fv_model_describe(const fv_model *m, fv_json *out);

/* ---- evaluation (evaluate.c)
 * ------------------------------------------------------------------------------------------ */
typedef struct fv_scores {
  double loss, metric; /* means over the samples, or what the recipe's ranking gives */
  double more[FV_MORE_METRICS];
  double interval;     /* the metric is known to so much with 95 %: 1.96 standard errors of its mean */
  double bleu;         /* of a model that writes */
  int64_t samples;
} fv_scores;
/* All of a loader's epoch through an eval runner with `shards` pieces a batch. stoppable: ends with FV_ERR_STOPPED when
 * a stop is requested. */
fv_status fv_evaluate(fv_model *m, fv_runners *r, const float *params, fv_loader *loader, const fv_dataset *data,
                      bool stoppable, fv_scores *scores, fv_train_report *report, void *arg);
/* The outputs that the metric is made of, two at most: "each.accuracy"; of a ranking "each.score" and
 * "each.positive". */
enum { FV_METRIC_OUTPUTS = 2 };
int fv_model_metric_outputs(const fv_model *m, const char *names[FV_METRIC_OUTPUTS]);
int fv_model_more_metrics(const fv_model *m); /* how many */
/* The members of an object "metrics", in a begun object. */
void fv_scores_json(const fv_model *m, const fv_scores *scores, fv_json *j);
/* Whether a is a better metric, or as good with a lower loss. */
bool fv_scores_better(const fv_model *m, const fv_scores *a, double metric, double loss);

/* ---- rankings (rank.c)
 * ------------------------------------------------------------------------------------------ */
typedef struct fv_ranked_sample {
  int64_t group;
  float score;
  bool positive;
} fv_ranked_sample;
/* The chance that a positive one has a higher score than another one, equal ones half (Hanley & McNeil 1982); NaN when
 * there are none of either. Sorts v. */
double fv_auc(fv_ranked_sample *v, int64_t n);
/* The mean of each group's, weighted by its samples, over groups that have both (Zhu et al. 2017). Sorts v. */
double fv_group_auc(fv_ranked_sample *v, int64_t n);

/* ---- data (meet.c) ----------------------------------------------------------------------------------------------- */
/* Learns from a dataset what the model has to know of its data, the statistics from the first n_train samples of the
 * fixed shuffle. In a dry ledger without statistics. */
fv_status fv_model_meet(fv_model *m, const fv_dataset *d, int64_t n_train);
/* The sizes of tables, from the catalogue when there is one. */
void fv_model_meet_catalogue(fv_model *m);
/* Opens data as the model reads them and checks that they are such data: inputs, classes. NULL: those it was trained
 * on. */
fv_status fv_model_open_data(fv_model *m, const char *data, fv_dataset **d);
/* "test:N" in place of a file is sample N of the split test. */
bool fv_is_test_sample(const char *input);
fv_status fv_test_sample(const char *input, const fv_dataset *d, int64_t *index);
/* Of a whole split, as the model reads it, in order. */
fv_loader_options fv_model_loader(const fv_model *m, const fv_dataset *d, fv_split split);

/* Makes (once) a compiled graph of the model with its weights packed, for length `bucket`. */
fv_status fv_model_runner(fv_model *m, fv_mode mode, int bucket, int64_t n, int workers, fv_runner *r);
/* u8 [n,H,W,C] -> [n,K], each image by itself; scores: the logits, NULL when not wanted. */
fv_status fv_model_probabilities(fv_model *m, const uint8_t *pixels, int64_t n, float *probabilities, float *scores);

/* Samples of a split as they are: of each `index` (NULL: from 0 on) the probabilities [n,K] and scores (NULL: not
 * wanted), each sample by itself. */
fv_status fv_model_classify(fv_model *m, const fv_dataset *d, fv_split split, const int64_t *index, int64_t n,
                            float *probabilities, float *scores);

/* What there is to say something to: pixels, or samples of split test of a dataset with the texts they came from (NULL:
 * its own). predict.c */
typedef struct fv_question {
  int64_t n;
  uint8_t *pixels;
  fv_dataset *data;
  fv_text_table *lines, *targets; /* targets NULL: none were given */
  int64_t *index;                 /* NULL: from 0 on */
} fv_question;
/* target: as input, what belongs to each text of it; NULL: nothing. */
fv_status fv_question_read(fv_model *m, const char *input, const char *target, fv_question *q);
void fv_question_free(fv_question *q); /* also of one that failed to read */
/* The answer of a model that writes. write.c */
fv_status fv_model_write(fv_model *m, const fv_predict_request *rq, char **json);

/* Numbers a sample that fv_model_classify gives: probabilities of classes; of series the forecast [H,C], standardised,
 * and no scores. */
int64_t fv_model_answers(const fv_model *m);

/* A class and the k likeliest, in a new object: also what was asked, as `key`, unless text.s is NULL. best: room for
 * k. */
void fv_prediction_json(fv_json *j, const fv_model *m, const char *key, fv_bytes text, const float *p,
                        const float *score, int k, int64_t *best);

/* ---- nodes of a graph (nodes.c, nodes_explain.c) ----------------------------------------------------------------- */
bool fv_model_of_nodes(const fv_model *m);
/* A graph that a model was trained on, all of it also where it was trained on surroundings of nodes (which the model
 * then has forgotten), and the nodes that someone asked for: "node:ID,ID", "test:N" for node N of the
 * split, or a file with an ID a line ("-": standard input). */
typedef struct fv_asked {
  fv_model *m;
  fv_dataset *data;
  const fv_adjacency *adj;
  int64_t n;
  int32_t *node;
  float *p, *score; /* [nodes, classes]: of all nodes */
} fv_asked;
/* input NULL: no node in particular. data NULL: the model's own. */
fv_status fv_asked_open(fv_model *m, const char *input, const char *data, fv_asked *a);
void fv_asked_close(fv_asked *a); /* also of one that failed to open */
/* Its name, or its number in one of a few rotating buffers. */
const char *fv_adjacency_name(const fv_adjacency *adj, int64_t node);
fv_status fv_nodes_predict(fv_model *m, const char *input, int k, char **json);
fv_status fv_nodes_explain(fv_model *m, const fv_explain_request *request, char **json);
/* Of a model of many graphs: test:N. graphs_explain.c */
fv_status fv_graphs_explain(fv_model *m, const fv_explain_request *request, char **json);

/* An image whose superpixels are nodes of a graph. explain_cut.c */
typedef struct fv_cut_image {
  fv_shape shape;
  uint8_t *pixels, *segment; /* [H,W,C], [H,W]; NULL: there is none */
  const double *share;       /* of each superpixel */
  double most;               /* the largest of them */
} fv_cut_image;
/* Of a test sample; share [n] is borrowed. */
fv_status fv_cut_image_new(const fv_dataset *d, int64_t index, const double *share, int64_t n, fv_cut_image *c);
void fv_cut_image_free(fv_cut_image *c);
/* The image and the painted one beside it, `up` times as large (0: as is well seen). */
fv_status fv_cut_image_picture(const fv_cut_image *c, int up, fv_image *out);
void fv_cut_image_place(const fv_cut_image *c, int64_t node, fv_json *j); /* the members x, y and pixels */
void fv_cut_image_json(const fv_cut_image *c, fv_json *j);                /* the member segments */

/* ---- series (series.c) ------------------------------------------------------------------------------------------- */
/* What fv_model_predict does for a model of series: input is a CSV whose last rows are the past, or test:N. */
fv_status fv_series_predict(fv_model *m, const char *input, char **json);
/* Row t of channel k in its own units; n of them as an array; the standardised error of all channels, as the metric has
 * it. */
double fv_series_value(const fv_channels *c, const float *rows, int64_t t, int64_t k);
void fv_series_json(fv_json *j, const char *key, const fv_channels *c, const float *rows, int64_t n, int64_t k);
double fv_series_error(const fv_problem *task, const float *forecast, const float *future);

/* ---- ratings (catalogue.c, recommend.c) -------------------------------------------------------------------------- */
/* In model.safetensors: whom and what it knows. */
void fv_catalogue_json(const fv_catalogue *c, fv_json *j);
fv_status fv_catalogue_read(const json_t *root, const char *path, fv_catalogue **c);
/* What fv_model_predict and fv_model_explain do for a model of ratings: input is user:ID, a file of ratings, or
 * test:N. */
fv_status fv_recommend_predict(fv_model *m, const char *input, int k, char **json);
fv_status fv_recommend_explain(fv_model *m, const fv_explain_request *request, char **json);

/* ---- what explanations share (explain.c) ------------------------------------------------------------------------- */
/* The file asked for has one of these endings, or there is none: ".png, .html or .json". */
fv_status fv_explain_check_out(const fv_explain_request *request, const char *endings);
void fv_explain_files(const fv_explain_request *request, fv_json *j); /* a member: what was written */

/* ---- episodes (adapt.c, episodes_explain.c) ---------------------------------------------------------------------- */
/* The support set that a model's answers rest on from now on; taken over unless the network cannot do with it. */
fv_status fv_model_take_support(fv_model *m, fv_support *s);
/* In model.safetensors. */
enum { FV_SUPPORT_ARRAYS = 2 };
int fv_support_arrays(const fv_support *s, fv_array arrays[FV_SUPPORT_ARRAYS]); /* how many; of NULL none */
void fv_support_json(const fv_support *s, fv_json *j);
fv_status fv_model_read_support(fv_model *m, const json_t *root, const fv_safetensors *file, const char *path);
/* What was asked: test:N, an episode of `data` (NULL: the model's own); or of an adapted model the picture `input`. */
fv_status fv_episode_open(fv_model *m, const char *input, const char *data, fv_dataset **d, int64_t *index);
fv_status fv_episodes_explain(fv_model *m, const fv_explain_request *request, char **json);

/* ---- images from files (pictures.c) ------------------------------------------------------------------------------ */
/* What images a model is shown are like, also where it sees graphs of them; ndim 0: it is shown none. */
fv_shape fv_model_picture(const fv_model *m);
/* PNG or JPEG (resized and converted to the model's shape), IDX or NPY (one or many; must have that shape). The result
 * is u8 [n,H,W,C], to be freed with fv_free. */
fv_status fv_pictures_read(const fv_model *m, const char *input, uint8_t **pixels, int64_t *n);
/* Texts: a file's lines, "text:WORDS", or "-" for those of standard input; of predict.c. */
fv_status fv_lines_read(const char *input, fv_text_table **lines);

#endif
