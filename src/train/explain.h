/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h (private): where a model looked, and whether that is what counted.
 *
 * A lens is the model's graph for one image, text or window of a series with its taps as outputs, and the gradient
 * of the predicted class's score with respect to them and to the image. A method turns those numbers into a map. The
 * map of an image is enlarged linearly to its size, drawn, its highest pixel taken, cells ordered by it; that of a
 * text is a number a word, the sum over the tokens of which it consists; that of a window is a number a row of the
 * past. What can be taken away, cells, words or segments of rows, is a unit.
 *
 * Of series the score is how far the forecast goes from that of a flat past, where every row is the window's mean,
 * along the way it went: its gradient times the rows less that mean is the share of each (of a linear network
 * exactly). Of several channels the last is explained, where tables have what is to be forecast. */
#ifndef FV_TRAIN_EXPLAIN_H
#define FV_TRAIN_EXPLAIN_H

#include "train/train.h"

enum { FV_EXPLAIN_TAPS = 64, FV_EXPLAIN_METHODS = 8, FV_EXPLAIN_STEPS = 20, FV_EXPLAIN_RANDOM = 3 };

/* What a method reads: the taps of its kind for one sample, in the order of the layers. */
typedef struct fv_explain_taps {
  int n;
  const fv_tensor *tap[FV_EXPLAIN_TAPS], *gradient[FV_EXPLAIN_TAPS]; /* d score / d tap */
  const fv_tensor *image; /* d score / d image, NULL: none; likewise of the past */
  const fv_tensor *past;
  const float *rows; /* [L,C]: the past less its mean */
  double *scratch; /* room for two numbers a token */
} fv_explain_taps;

#define FV_EXPLAIN_PAST "past"
/* A row: methods are tried in their order, the first that applies is the default. Two rows of one name are the same
 * idea for different kinds of attention; the first that applies counts. */
typedef struct fv_explain_method {
  const char *name, *doc, *kind; /* kind of its taps; NULL: it needs none but an image, FV_EXPLAIN_PAST: a past */
  void (*map)(const fv_explain_taps *t, int64_t cells, float *map);
} fv_explain_method;
extern const fv_explain_method fv_explain_methods[]; /* ends with name NULL */

/* A method as it applies to this model. */
typedef struct fv_explain_view {
  const fv_explain_method *method;
  int h, w; /* of its map; of texts 1 and the most words, of series 1 and the rows */
} fv_explain_view;

typedef struct fv_lens {
  fv_model *m;
  bool images, texts, series;  /* one of them */
  fv_runner r[FV_MAX_LENGTHS]; /* one a length, made when needed; without lengths the first */
  int n_views, n_taps;
  fv_explain_view view[FV_EXPLAIN_METHODS];
  struct {
    const char *name, *gradient, *kind; /* names of outputs */
  } tap[FV_EXPLAIN_TAPS];
  int64_t tokens; /* the most that a tap has, and texts */
} fv_lens;
fv_status fv_lens_new(fv_model *m, fv_lens *lens);
void fv_lens_free(fv_lens *lens);
/* The view of that name; NULL or "attention": the first. */
fv_status fv_lens_find(const fv_lens *lens, const char *method, int *view);

/* A text as the model read it. */
typedef struct fv_words {
  const char *s; /* as it was written */
  int64_t n, n_tokens;
  const fv_span *span;    /* n words of it */
  const int32_t *token, *word; /* and of which word each is a piece */
} fv_words;

/* One image, text or window and what became of it. */
typedef struct fv_sight {
  int64_t index, label; /* in the test split; -1: not from there */
  bool has_box;
  float box[4]; /* x0, y0, x1, y1 */
  int64_t prediction;
  float probability;
  fv_words words;
} fv_sight;
typedef struct fv_sights {
  int64_t n;
  uint8_t *pixels;  /* of images [n,H,W,C] */
  fv_arena *arena;  /* holds texts */
  /* Of series, standardised: [n,L,C], [n,H,C] twice; and what the network says of each row's channels, [n,L,C] or
   * NULL. */
  float *past, *future, *forecast, *channels;
  bool known; /* the future is there */
  fv_sight *v;
  float *map[FV_EXPLAIN_METHODS]; /* of each view: [n,h,w] */
} fv_sights;
void fv_sights_free(fv_sights *s);
/* x, y of the highest pixel of image i's map, enlarged into `pixels` [H,W]. */
void fv_sight_peak(const fv_lens *lens, const fv_sights *s, int view, int64_t i, float *pixels, int64_t peak[2]);
/* Runs every one of them through the lens: fills predictions and maps. */
fv_status fv_lens_look(fv_lens *lens, fv_sights *s);

/* ---- texts (explain_words.c) ------------------------------------------------------------------------------------- */
/* s->v and arena are there. Lines as texts; or samples index[i] of the test split. */
fv_status fv_words_of_lines(const fv_model *m, const fv_text_table *lines, fv_sights *s);
fv_status fv_words_of_samples(const fv_model *m, const fv_dataset *d, const int64_t *index, fv_sights *s);
/* A text's tokens padded to the length `bucket`, those of words that `kept` names (NULL: all); of none it is <unk>. */
void fv_words_tokens(const fv_model *m, const fv_words *w, const uint8_t *kept, int bucket, int32_t *out);
int fv_words_bucket(const fv_model *m, const fv_words *w);
/* Not in the vocabulary: read as <unk>. */
bool fv_word_is_unknown(const fv_model *m, const fv_words *w, int64_t word);

/* ---- windows of a series (explain_series.c) ---------------------------------------------------------------------- */
/* Past and future of samples index[i] of the test split; s->v is there. */
fv_status fv_windows_of_samples(const fv_model *m, const fv_dataset *d, const int64_t *index, fv_sights *s);
/* Mean of each channel over a past [L,C]. */
void fv_window_means(const fv_model *m, const float *past, float *mean);
/* Mean squared difference of two forecasts [H,C] in the channel explained. */
double fv_window_distance(const fv_model *m, const float *a, const float *b);
/* Runs window i: fills its forecast, leaves the gradient in `exec`, and in `room` the past less its mean. */
int64_t fv_window_room(const fv_model *m);
void fv_window_run(const fv_lens *lens, fv_exec *exec, fv_sights *s, int64_t i, float *room);

/* Of a model that writes (explain_write.c). */
fv_status fv_explain_writing(fv_model *m, const fv_explain_request *rq, char **json);

/* ---- maps (explain_map.c) -------------------------------------------------------------------------------------- */
/* h x w with h * w = cells whose sides are as an image's of that size, near enough; false: there is none. */
bool fv_map_grid(int64_t cells, int64_t image_h, int64_t image_w, int *h, int *w);
/* The map between the centres of its cells, at the centres of out_h x out_w pixels: what the overlay draws. */
void fv_map_enlarge(const float *map, int h, int w, int out_h, int out_w, float *out);
/* The highest of n numbers, the first of equals; what is not finite never is. */
int64_t fv_map_peak(const float *v, int64_t n);
/* The places of n numbers, that of the largest first; of equals the earlier one. */
void fv_order_falling(const float *v, int64_t n, int32_t *order);
bool fv_box_holds(const float box[4], int64_t x, int64_t y);

/* ---- faithfulness (explain_faith.c) ---------------------------------------------------------------------------- */
/* Mean probability of the predicted class after each twentieth of the units, and the area below (0 to 1). Of series in
 * its place: 1 less the mean squared change of the forecast over that which taking all makes. */
typedef struct fv_faith_curve {
  double p[FV_EXPLAIN_STEPS + 1], auc;
} fv_faith_curve;
typedef struct fv_faith {
  int64_t samples;
  int cells_h, cells_w;
  bool measured[FV_EXPLAIN_METHODS];
  /* the one after the views: random */
  fv_faith_curve deletion[FV_EXPLAIN_METHODS + 1], insertion[FV_EXPLAIN_METHODS + 1];
  /* What the probability loses when the first 5, 10, 20 and 50 % go, and when they alone are left: means of the four
   * (DeYoung et al. 2020). */
  double comprehensiveness[FV_EXPLAIN_METHODS + 1], sufficiency[FV_EXPLAIN_METHODS + 1];
  /* Of series: the forecast's mean squared error as it is; the same four means when rows are gone or alone left. */
  double error, error_without[FV_EXPLAIN_METHODS + 1], error_alone[FV_EXPLAIN_METHODS + 1];
  bool has_boxes;
  double pointing[FV_EXPLAIN_METHODS], pointing_chance;
} fv_faith;
/* `s` has been looked at. `views`: which of the lens's; the random order comes always. */
fv_status fv_faith_measure(const fv_lens *lens, const fv_sights *s, const bool *views, fv_faith *f);
typedef struct fv_ranked {
  double sum; /* of the map over the cell's n pixels */
  int32_t n, cell;
} fv_ranked;
/* The cells [gh,gw] in the order in which they go: by their mean of the enlarged map [h,w], largest first, the first of
 * equals. */
void fv_faith_order(const float *pixels, int h, int w, int gh, int gw, fv_ranked *ranks);

/* ---- what is written (explain_draw.c) -------------------------------------------------------------------------- */
typedef struct fv_explained {
  const fv_lens *lens;
  const char *input, *data; /* as asked; data: the name of the test split's set, NULL when none was needed */
  int view; /* the one asked for */
  const fv_sights *shown;
  int64_t n_shown;
  const fv_faith *faith; /* NULL: not asked for */
} fv_explained;
/* "3 -> 8 (0.97)" */
void fv_explain_caption(const fv_explained *e, int64_t i, char *text, size_t size);
/* Of series (explain_plot.c): the first of those shown. */
fv_status fv_explain_plot(const fv_explained *e, fv_image *out);
fv_status fv_explain_plot_terminal(const fv_explained *e, int columns, fv_text *out);
void fv_explain_plot_json(const fv_explained *e, fv_json *j);
/* Of texts (explain_text.c). */
fv_status fv_explain_text_sheet(const fv_explained *e, const char *path);
fv_status fv_explain_text_page(fv_page *p, const fv_explained *e);
fv_status fv_explain_text_terminal(const fv_explained *e, int columns, fv_text *out);
fv_status fv_explain_sheet(const fv_explained *e, const char *path);
fv_status fv_explain_page(const fv_explained *e, const char *path);
/* The first image beside its map; all texts shown; the attention over a past. */
fv_status fv_explain_terminal(const fv_explained *e, int columns, fv_text *out);

#endif
