/* SPDX-License-Identifier: Apache-2.0 */
/* fovea/train.h: recipes, and what one does with them: plan, train, evaluate, predict, explain. What the program
 * `fovea` does, these calls do; results come back as JSON text (one object) so that a caller in any language can read
 * them.
 *
 * Every char ** result belongs to the caller: fv_string_free. Nothing prints; progress comes through callbacks. */
#ifndef FOVEA_TRAIN_H
#define FOVEA_TRAIN_H

#include "fovea/base.h"
#include "fovea/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- recipes ----------------------------------------------------------------------------------------------------- */
typedef struct fv_preset {
  const char *name, *settings, *doc; /* "width=16 blocks=2" */
} fv_preset;
typedef struct fv_recipe_info {
  const char *name, *doc, *paper, *default_data;
  const fv_option *options;  /* its own settings */
  const fv_preset *presets;  /* the first is what holds unless another is asked for; ends with name NULL */
  const char *training;      /* where it departs from the defaults of fv_train_options: "epochs=12 lr=0.01" */
} fv_recipe_info;
FV_API int fv_recipe_count(void);
FV_API fv_recipe_info fv_recipe_get_info(int i);
FV_API int fv_recipe_find(const char *name); /* -1 */
FV_API const char *fv_recipe_nearest(const char *name); /* for "did you mean"; NULL */
/* The settings that every recipe understands (epochs, batch, lr, optimizer, ...). */
FV_API const fv_option *fv_train_options(void);

/* ---- requests ---------------------------------------------------------------------------------------------------- */
typedef struct fv_setting { /* one --set: a setting of the recipe, or of training */
  const char *key, *value;
} fv_setting;

typedef struct fv_train_event {
  const char *phase;     /* "data", "train", "epoch", "evaluate", "note", "done"; "run": one of a series is done */
  int64_t epoch, epochs, step, steps; /* step counts from the start of the run */
  double loss, metric, rate, samples_per_second, seconds_left;
  const char *metric_name, *text; /* text: a line worth showing as it is, or NULL */
  const char *run;       /* of a series: which run, "seed-3"; otherwise NULL */
  int runs_done, runs;
  double seconds;        /* that the run took, when it is done */
} fv_train_event;
typedef void fv_train_report(void *arg, const fv_train_event *event); /* never two at once, from whatever thread */

typedef struct fv_train_request {
  const char *recipe, *data, *preset, *out;
  const fv_setting *sets;
  int n_sets;
  int threads;         /* 0: all processors */
  bool resume;
  int64_t memory_limit; /* bytes, 0: none; of a series, for all that run at once */
  int together;         /* of a series: runs at once, 0: as many as threads, if memory has room for them */
  fv_train_report *report;
  void *arg;
} fv_train_request;

/* Trains, evaluates on the test split once at the end, leaves a run directory. The result: recipe, dataset, metrics,
 * epochs, seconds, samples_per_second, parameters, peak_bytes, weights_sha256. FV_ERR_STOPPED after SIGINT: all is
 * saved. */
FV_API fv_status fv_train(const fv_train_request *request, char **json);
/* The same over every fold of data without a test part (seeds 0), or with `seeds` seeds from the request's on; each in
 * a directory OUT/fold-N or OUT/seed-N. Several run at once, each with a share of the threads: the results are the same
 * bits. When one fails no more are begun, and those under way come to their end. Result: over, runs, together, metrics
 * (mean, sd, min, max of each), seconds, run_seconds (of one, the mean), peak_bytes (of all at once). */
FV_API fv_status fv_train_repeat(const fv_train_request *request, int seeds, char **json);
/* The same buffers and programs, made but not filled: parameters, flops_forward, flops_step, bytes_parameters,
 * bytes_activations, bytes_total, fits. */
FV_API fv_status fv_plan(const fv_train_request *request, char **json);
/* The training step's graph as Graphviz text. */
FV_API fv_status fv_plan_dot(const fv_train_request *request, char **dot);

/* Times `steps` training steps of the recipe and where they go. Result: step_milliseconds, other_share (of what is no
 * matrix product or convolution), product_of_alone (products inside a step against the same calls alone),
 * overhead_microseconds a node, peak_gflops, predict_milliseconds (one image), and "nodes": one row an operation and
 * kernel. Leaves no files. */
FV_API fv_status fv_bench_recipe(const fv_train_request *request, int steps, char **json);

/* The attention operation by itself, on random normal numbers. */
typedef struct fv_attention_request {
  int64_t shape[5];  /* B, T, S, H, D: batch, targets, sources, heads, head width */
  int64_t groups;    /* of heads that share keys and values; 0: as many as heads. Divides the heads */
  int64_t window;    /* query t sees keys s > t + S - T - window; 0: all */
  int64_t top_k;     /* also gives the k largest weights of each query: 0 to 64 */
  double dropout;    /* of the weights: [0, 1) */
  bool causal;       /* query t sees keys s <= t + S - T */
  bool backward;     /* also the gradient */
  bool bias;         /* a bias [H,T,S], with its gradient */
  bool totals, entropy; /* also gives each key's sum of weights, each query's entropy */
  int threads;          /* 0: all processors */
  int64_t runs;         /* to time, at most 100000; 0: for 0.3 s, at least 3 unless these take longer than 10 s */
  int64_t memory_limit; /* bytes that inputs and results may take; 0: none */
  const char *out;      /* inputs and results are written to this .safetensors file; NULL: not */
} fv_attention_request;
/* Times forward (and with `backward` the gradient) and measures what the same threads do at best on multiply-adds in
 * between. Result: the request and threads; kernel, isa; runs, milliseconds (the median; forward and gradient
 * together), milliseconds_fastest, milliseconds_forward, milliseconds_backward; gflops, counting for each visible pair
 * of query and key 4 D forward and 10 D for the gradient; peak_gflops (the median of the measurements; also least and
 * most), fraction_of_peak; gigabytes_per_second (inputs and results once); bytes_inputs, bytes_scratch (what the
 * executor and its kernels hold beside inputs and results), peak_bytes (of the process); nodes: op, kernel, isa,
 * milliseconds_fastest and gflops of each. */
FV_API fv_status fv_bench_attention(const fv_attention_request *request, char **json);

/* Times `runs` passes of one layer of graph attention ("gat", "gatv2") of 64 inputs on a random graph, with
 * gradients of x and all parameters if `backward`. Result: milliseconds (the median), best_milliseconds,
 * prologue_milliseconds (once a graph), slab_megabytes, and "nodes": where the time goes. threads 0: every
 * processor. */
typedef struct fv_bench_gat_request {
  const char *mechanism;
  int64_t nodes, edges, heads, width;
  int threads, runs;
  bool backward;
} fv_bench_gat_request;
FV_API fv_status fv_bench_gat(const fv_bench_gat_request *request, char **json);

/* A recurrent layer over whole sequences by itself, on random normal numbers. */
typedef enum fv_recurrent_kind { FV_RECURRENT_LSTM, FV_RECURRENT_GRU } fv_recurrent_kind;
typedef struct fv_recurrent_request {
  fv_recurrent_kind kind;
  int64_t shape[4]; /* B, T, I, H: sequences, steps, width of an input, width of the state */
  bool bidirectional;
  bool backward;    /* also the gradient: of the inputs, the weights and the biases */
  int threads;      /* as above */
  int64_t runs;
  int64_t memory_limit;
  const char *out;
} fv_recurrent_request;
/* As fv_bench_attention. The weights are parameters: with `backward` each run packs them anew, as each training step
 * does, and milliseconds holds it (milliseconds_prepare by itself). gflops count, for each step of a sequence,
 * G H (I + H) multiply-adds and the gates' functions forward and twice that for the gradient; G is 4 for LSTM, 3 for
 * GRU; in two directions twice that. */
FV_API fv_status fv_bench_recurrent(const fv_recurrent_request *request, char **json);

/* ---- models ------------------------------------------------------------------------------------------------------ */
typedef struct fv_model fv_model;
/* A run directory or its model.safetensors: enough to evaluate, predict and explain. */
FV_API fv_status fv_model_open(const char *path, int threads, fv_model **model);
FV_API void fv_model_free(fv_model *model);
FV_API bool fv_model_reads_texts(const fv_model *model);
/* Reads data otherwise than in training, before the first use of any: ways, shots and queries of episodes. */
FV_API fv_status fv_model_set(fv_model *model, const fv_setting *sets, int n_sets);
/* data NULL: the dataset the model was trained on. Result: metrics, samples. */
FV_API fv_status fv_model_eval(fv_model *model, const char *data, fv_split split, fv_train_report *report, void *arg,
                               char **json);
/* input: of images, a PNG, JPEG, IDX or NPY file (one or more); of texts, a file with one a line ("-": standard input),
 * or "text:" and the text itself; of series, a CSV whose last rows are the past; of nodes, "node:ID,ID" or a file with
 * an ID a line; or test:N for sample N of the test
 * split. Result: an object with "predictions": one entry a sample, each with the k best labels and their probabilities;
 * of series "forecast", the values of each channel. */
FV_API fv_status fv_model_predict(fv_model *model, const char *input, int k, char **json);

/* The same with more to say. Of a model that writes (translate), an entry has "text" and "translation", its "score"
 * (the log of its probability, of a beam search over the length penalty) and with `tokens` also "source_tokens",
 * "tokens", their numbers "source_ids" and "ids", and "alignment": for each token of the translation, <eos> among them,
 * how much it looked at each of the source. With `target` nothing is written: each text's "translation" is the line
 * given there, "score" what the model thinks of it, and with `tokens` also "log_probabilities", of each token after the
 * ones before it, and "top", the `top` likeliest in its place with their "probability" and "score", the logit. */
typedef struct fv_predict_request {
  const char *input;
  int top;                /* labels; tokens in the place of each of a target */
  const fv_setting *sets; /* of writing: see fv_write_options */
  int n_sets;
  bool tokens;
  const char *target; /* of a model that writes: a file with as many lines as the input, or "text:" and the text */
} fv_predict_request;
FV_API fv_status fv_model_answer(fv_model *model, const fv_predict_request *request, char **json);
FV_API bool fv_model_writes(const fv_model *model);
/* beam, penalty, sample, temperature, top_k, top_p, seed. */
FV_API const fv_option *fv_write_options(void);

/* A classifier of someone's own classes from a few pictures of each, of a model that learns from few (few-shot): a
 * model's file at `out`, in which `dir`, a folder CLASS/NAME.png or .jpg, is the support set. Nothing is trained. The
 * model itself is that classifier from then on. Result: model, pictures, classes (with the number of pictures each). */
FV_API fv_status fv_model_adapt(fv_model *model, const char *dir, const char *out, char **json);

/* ---- explaining -------------------------------------------------------------------------------------------------- */
typedef struct fv_explain_request {
  const char *input;  /* as for predict; NULL: `samples` samples of the test split */
  const char *data;   /* NULL: the model's own */
  const char *out;    /* .png, .html or .json, of graphs also .dot (Graphviz); NULL: none */
  const char *method; /* NULL: the recipe's first; "attention", "pooling", "rollout", "gradient" ... */
  int64_t samples;
  bool faithfulness;  /* deletion and insertion curves against random order; pointing game when the data has boxes;
                       * comprehensiveness and sufficiency of texts and series */
  bool terminal;      /* also a heat map as text; texts with their words marked */
  int terminal_columns;
} fv_explain_request;
/* Result: method; images, or texts with their words (as written; token: as read) and weights, or of series channel (the
 * last), past, forecast, truth, rows (how much each row of the past counts); maps (their names and peaks), and with
 * faithfulness: samples, deletion_auc, insertion_auc, of images with boxes pointing_game, of texts and series
 * comprehensiveness and sufficiency, of series error, error_without, error_alone, each also for a random order and the
 * plain gradient (DeYoung et al. 2020; of series: docs/guide/26-forecasting.md); "terminal": the text when asked.
 * Of a node: node, neighbours (how many edges away, and how much of its attention came from each) and edges, the
 * largest share first; of a graph: nodes and their weights; with faithfulness, for "top", "bottom" and "random",
 * accuracy and probability after each part of edges_removed or nodes_removed. Of an episode: queries, each with its
 * label, probability, and what counts most first, support (picture, class, weight; by effect or with faithfulness also
 * effect: what the probability loses without it); with faithfulness change_attention, change_effect, change_random:
 * what it loses without the picture that the attention, or the effect, puts first, and without any one. */
FV_API fv_status fv_model_explain(fv_model *model, const fv_explain_request *request, char **json);

#ifdef __cplusplus
}
#endif
#endif
