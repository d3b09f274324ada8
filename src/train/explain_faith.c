/* SPDX-License-Identifier: Apache-2.0 */
/* explain_faith.c: does the model need what the map points at? Deletion and insertion curves (Petsiuk, Das & Saenko
 * 2018) and the pointing game (Zhang et al. 2016).
 * The image is cut into cells, as many as the model's own attention has, and they go in twenty steps, most important
 * first; what is taken away shows the training mean. Insertion begins with the mean everywhere: a blurred start, as
 * in the paper, would let small images be read before the first step.
 * Every order goes by the same cells, also the random one and that of gradients: scattered single pixels would spoil
 * an image more than whole cells do and make the comparison unfair.
 * Of a text words go, and are taken out: what is left closes up, as in DeYoung et al. 2020, whose comprehensiveness
 * and sufficiency are points of the same curves. Words made unknown in their places would still tell how many there
 * were, and say something only to networks that met unknown words in training. A text of which nothing is left is
 * one unknown word. Numbers of words are rounded up, so that 5 % of a short text is a word, too.
 * Of a series segments of the past go, twenty of them where there are as many rows. They take the window's mean,
 * channel by channel: a line drawn across the gap would tell of the rows beside it, and says nothing once all are
 * gone; the mean of training may be far off a level that drifts. In place of the probability stands what is left of
 * the way that the forecast goes from that of the flat past: 1 - |f(rows left) - f|^2 / |f(none) - f|^2, both summed
 * over the windows. */
#include "train/explain.h"

#include <math.h>
#include <stdlib.h>

enum { STEPS = FV_EXPLAIN_STEPS, LEVELS = STEPS + 1, ORDERS = FV_EXPLAIN_METHODS + FV_EXPLAIN_RANDOM };

/* ---- orders ---------------------------------------------------------------------------------------------------- */
static int by_mean(const void *a, const void *b) {
  const fv_ranked *x = a, *y = b;
  double u = x->sum / FV_MAX(x->n, 1), v = y->sum / FV_MAX(y->n, 1);
  return u > v ? -1 : u < v ? 1 : (int)(x->cell - y->cell);
}

static int cell_of(int y, int x, int h, int w, int gh, int gw) { return y * gh / h * gw + x * gw / w; }

void fv_faith_order(const float *pixels, int h, int w, int gh, int gw, fv_ranked *r) {
  int n = gh * gw;
  for (int c = 0; c < n; c++) r[c] = (fv_ranked){.cell = c};
  for (int i = 0; i < h * w; i++) {
    fv_ranked *cell = &r[cell_of(i / w, i % w, h, w, gh, gw)];
    cell->sum += isfinite(pixels[i]) ? (double)pixels[i] : 0;
    cell->n++;
  }
  qsort(r, (size_t)n, sizeof *r, by_mean);
}

/* ---- curves ---------------------------------------------------------------------------------------------------- */
typedef struct worker {
  float *x, *batch, *pixels; /* the image or past; STEPS stages of it or of a text; its map enlarged */
  float *blank;              /* of each channel: what stands where something was taken */
  fv_ranked *rank;
  int32_t *shuffle;
  uint8_t *kept; /* words */
} worker;

typedef struct job {
  const fv_lens *lens;
  const fv_sights *s;
  fv_runner r[FV_MAX_LENGTHS]; /* STEPS images or texts a run */
  worker *workers;
  int n_orders, order[ORDERS]; /* a view, or -1 - k: the k-th random one */
  int h, w, channels, gh, gw;
  int n_measures;
  float *p; /* [samples, orders, 2, measures, LEVELS]: probability; of series the forecast's change and its error */
} job;

/* The curve of the k-th order of a sample. */
static float *curve_of(const job *j, int64_t sample, int k, int direction, int measure) {
  return j->p + (((sample * j->n_orders + k) * 2 + direction) * j->n_measures + measure) * LEVELS;
}

/* What can be taken away. */
static int units_of(const job *j, int64_t sample) {
  return j->lens->texts ? (int)j->s->v[sample].words.n : j->gh * j->gw;
}

static void rank_units(const job *j, int64_t sample, int order, const worker *k) {
  const int n = units_of(j, sample);
  if (order >= 0 && j->lens->texts) {
    const float *map = j->s->map[order] + sample * j->lens->view[order].w;
    for (int i = 0; i < n; i++)
      k->rank[i] = (fv_ranked){.cell = i, .n = 1, .sum = isfinite(map[i]) ? (double)map[i] : 0};
    qsort(k->rank, (size_t)n, sizeof *k->rank, by_mean);
    return;
  }
  if (order >= 0) {
    const fv_explain_view *v = &j->lens->view[order];
    fv_map_enlarge(j->s->map[order] + sample * v->h * v->w, v->h, v->w, j->h, j->w, k->pixels);
    fv_faith_order(k->pixels, j->h, j->w, j->gh, j->gw, k->rank);
    return;
  }
  fv_rng rng = fv_rng_new((uint64_t)sample, fv_stream_of("explain.random") + (uint64_t)(-1 - order));
  fv_rng_permutation(&rng, k->shuffle, n);
  for (int i = 0; i < n; i++) k->rank[i] = (fv_ranked){.cell = k->shuffle[i]};
}

/* Stage s of 1..STEPS: the first s twentieths of the units are gone (deletion) or all that is there (insertion). */
static void fill_texts(const job *j, int64_t sample, bool insertion, const worker *k) {
  const fv_words *w = &j->s->v[sample].words;
  const fv_model *m = j->lens->m;
  const int bucket = fv_words_bucket(m, w);
  for (int s = 1; s <= STEPS; s++) {
    const int64_t gone = fv_ceil_div(s * w->n, STEPS);
    for (int64_t i = 0; i < w->n; i++) k->kept[k->rank[i].cell] = (i < gone) == insertion;
    fv_words_tokens(m, w, k->kept, bucket, (int32_t *)k->batch + (s - 1) * m->length[bucket]);
  }
}

/* Likewise; a past is an image of one row. */
static void fill_images(const job *j, bool insertion, const worker *k) {
  int cells = j->gh * j->gw;
  int32_t *place = k->shuffle; /* of each cell in the order */
  for (int i = 0; i < cells; i++) place[k->rank[i].cell] = i;
  float *out = k->batch;
  for (int s = 1; s <= STEPS; s++) {
    int gone = (s * cells + STEPS / 2) / STEPS;
    const float *in = k->x;
    for (int i = 0; i < j->h * j->w; i++) {
      bool before = place[cell_of(i / j->w, i % j->w, j->h, j->w, j->gh, j->gw)] < gone;
      for (int c = 0; c < j->channels; c++) *out++ = before == insertion ? in[c] : k->blank[c];
      in += j->channels;
    }
  }
}

/* A forecast [H,C] as the two measures have it, at p[0] and p[LEVELS]. */
static void put_forecast(const job *j, int64_t sample, const float *forecast, float *p) {
  const fv_model *m = j->lens->m;
  const int64_t size = m->task.horizon * m->task.channels;
  p[0] = (float)fv_window_distance(m, forecast, j->s->forecast + sample * size);
  p[LEVELS] = (float)fv_window_distance(m, forecast, j->s->future + sample * size);
}

static void read_stages(const job *j, int64_t sample, const fv_exec *exec, float *p) {
  const fv_problem *task = &j->lens->m->task;
  const int64_t size = j->lens->series ? task->horizon * task->channels : task->n_classes;
  const float *all = fv_exec_output(exec, j->lens->series ? "forecast" : "probabilities")->data;
  for (int s = 1; s <= STEPS; s++, all += size) {
    if (j->lens->series) put_forecast(j, sample, all, p + s);
    else p[s] = all[j->s->v[sample].prediction];
  }
}

/* p[1..STEPS] of each measure */
static void run_stages(const job *j, int64_t sample, bool insertion, int at, float *p) {
  const worker *k = &j->workers[at];
  const bool texts = j->lens->texts;
  fv_exec *exec = j->r[texts ? fv_words_bucket(j->lens->m, &j->s->v[sample].words) : 0].exec[at];
  if (texts) fill_texts(j, sample, insertion, k);
  else fill_images(j, insertion, k);
  fv_exec_bind_input(exec, fv_exec_input(exec, texts ? "tokens" : j->lens->series ? "past" : "image"), k->batch);
  fv_exec_run(exec);
  read_stages(j, sample, exec, p);
}

static void read_sample(const job *j, int64_t sample, const worker *k) {
  const fv_model *m = j->lens->m;
  const int64_t size = (int64_t)j->h * j->w * j->channels;
  if (j->lens->images)
    fv_standardise(j->s->pixels + sample * size, size / j->channels, j->channels, m->mean, m->deviation, k->x);
  if (!j->lens->series) return;
  memcpy(k->x, j->s->past + sample * size, (size_t)size * sizeof *k->x);
  fv_window_means(m, k->x, k->blank);
}

static void run_task(void *arg, int64_t task, int at) {
  const job *j = arg;
  const worker *k = &j->workers[at];
  const int64_t sample = task / j->n_orders, forecast = j->lens->m->task.horizon * j->lens->m->task.channels;
  const int order = (int)(task % j->n_orders), levels = j->n_measures * LEVELS;
  float *deletion = curve_of(j, sample, order, 0, 0), *insertion = deletion + levels; /* [0]: before the first step */
  read_sample(j, sample, k);
  rank_units(j, sample, j->order[order], k);
  run_stages(j, sample, false, at, deletion);
  if (j->lens->series) put_forecast(j, sample, j->s->forecast + sample * forecast, deletion);
  else deletion[0] = j->s->v[sample].probability;
  if (j->order[order] < 0 && !j->lens->texts) {
    for (int s = 0; s < levels; s++) /* backwards, it inserts in another random order */
      insertion[s] = deletion[s / LEVELS * LEVELS + STEPS - s % LEVELS];
    return;
  }
  run_stages(j, sample, true, at, insertion);
  for (int s = 0; s < levels; s += LEVELS) insertion[s] = deletion[s + STEPS];
}

/* ---- making and freeing ---------------------------------------------------------------------------------------- */
static fv_status make_worker(const job *j, worker *k) {
  const int64_t longest = j->lens->tokens;
  if (j->lens->texts) {
    FV_TRY(FV_NEW(&k->batch, STEPS * longest)); /* ids are as wide as numbers */
    FV_TRY(FV_NEW(&k->kept, longest));
    FV_TRY(FV_NEW(&k->rank, longest));
    return FV_NEW(&k->shuffle, longest);
  }
  const int64_t size = (int64_t)j->h * j->w * j->channels;
  FV_TRY(FV_NEW(&k->blank, j->channels));
  for (int c = 0; j->lens->images && c < j->channels; c++) /* the mean, standardised */
    k->blank[c] = j->lens->m->deviation[c] > 0 ? 0 : j->lens->m->mean[c];
  FV_TRY(FV_NEW(&k->x, size));
  FV_TRY(FV_NEW(&k->batch, STEPS * size));
  FV_TRY(FV_NEW(&k->pixels, j->h * j->w));
  FV_TRY(FV_NEW(&k->rank, j->gh * j->gw));
  return FV_NEW(&k->shuffle, j->gh * j->gw);
}

static void free_job(job *j) {
  for (int i = 0; j->workers && i < fv_pool_threads(j->lens->m->pool); i++) {
    worker *k = &j->workers[i];
    fv_free(k->x);
    fv_free(k->blank);
    fv_free(k->batch);
    fv_free(k->pixels);
    fv_free(k->rank);
    fv_free(k->shuffle);
    fv_free(k->kept);
  }
  fv_free(j->workers);
  fv_free(j->p);
  for (int i = 0; i < FV_MAX_LENGTHS; i++) fv_runner_free(&j->r[i]);
}

/* The cells are those of the model's first method; where that is the image itself, tenths of it. Of a past,
 * twentieths. */
static void choose_cells(job *j) {
  const fv_explain_view *v = &j->lens->view[0];
  if (j->lens->series) {
    j->gh = 1;
    j->gw = FV_MIN(j->w, STEPS);
    return;
  }
  j->gh = v->method->kind ? v->h : FV_MIN(j->h, 10);
  j->gw = v->method->kind ? v->w : FV_MIN(j->w, 10);
}

static void describe_images(job *j) {
  const fv_problem *task = &j->lens->m->task;
  const fv_shape shape = j->lens->series ? FV_SHAPE(1, task->past, task->channels) : task->image;
  j->h = (int)shape.dim[0], j->w = (int)shape.dim[1], j->channels = (int)shape.dim[2];
  choose_cells(j);
}

static fv_status make_runners(job *j) {
  fv_model *m = j->lens->m;
  const int workers = fv_pool_threads(m->pool);
  if (!j->lens->texts) return fv_model_runner(m, FV_MODE_PREDICT, 0, STEPS, workers, &j->r[0]);
  for (int64_t i = 0; i < j->s->n; i++) {
    const int bucket = fv_words_bucket(m, &j->s->v[i].words);
    FV_TRY(fv_model_runner(m, FV_MODE_PREDICT, bucket, STEPS, workers, &j->r[bucket]));
  }
  return FV_OK;
}

static fv_status make_job(const fv_lens *lens, const fv_sights *s, const bool *views, job *j) {
  const int workers = fv_pool_threads(lens->m->pool);
  *j = (job){.lens = lens, .s = s, .n_measures = lens->series ? 2 : 1};
  if (!lens->texts) describe_images(j);
  for (int i = 0; i < lens->n_views; i++)
    if (views[i]) j->order[j->n_orders++] = i;
  for (int i = 0; i < FV_EXPLAIN_RANDOM; i++) j->order[j->n_orders++] = -1 - i;
  FV_TRY(make_runners(j));
  FV_TRY(FV_NEW(&j->workers, workers));
  for (int i = 0; i < workers; i++) FV_TRY(make_worker(j, &j->workers[i]));
  return FV_NEW(&j->p, s->n * j->n_orders * 2 * j->n_measures * LEVELS);
}

/* ---- figures --------------------------------------------------------------------------------------------------- */
/* Adds the curves of the k-th order to a mean over `of` of them. */
static void add_curve(const job *j, int k, int direction, int measure, int64_t of, fv_faith_curve *curve) {
  for (int64_t i = 0; i < j->s->n; i++)
    for (int s = 0; s < LEVELS; s++) curve->p[s] += (double)curve_of(j, i, k, direction, measure)[s] / (double)of;
}

/* From the forecast's change to what is left of it. `all`: the change when nothing is left. */
static void turn_curve(fv_faith_curve *c, double all) {
  for (int s = 0; s < LEVELS; s++) c->p[s] = 1 - (all > 0 ? c->p[s] / all : 0);
}

/* Trapezoids over [0, 1]. */
static void close_curve(fv_faith_curve *c) {
  for (int s = 0; s < STEPS; s++) c->auc += (c->p[s] + c->p[s + 1]) / (2 * STEPS);
}

/* 5, 10, 20 and 50 %: what is missing from `whole` there, on average. */
static double lost(const fv_faith_curve *c, double whole) {
  static const int step[] = {STEPS / 20, STEPS / 10, STEPS / 5, STEPS / 2};
  double sum = 0;
  for (size_t i = 0; i < FV_COUNT(step); i++) sum += whole - c->p[step[i]];
  return sum / FV_COUNT(step);
}

static void add_errors(const job *j, int k, int to, int64_t of, fv_faith *f) {
  fv_faith_curve without = {{0}, 0}, alone = {{0}, 0};
  add_curve(j, k, 0, 1, of, &without);
  add_curve(j, k, 1, 1, of, &alone);
  f->error_without[to] -= lost(&without, 0);
  f->error_alone[to] -= lost(&alone, 0);
  if (k == 0) f->error = without.p[0];
}

static void add_figures(const job *j, fv_faith *f) {
  int random = FV_EXPLAIN_METHODS;
  for (int k = 0; k < j->n_orders; k++) {
    int to = j->order[k] < 0 ? random : j->order[k];
    int64_t of = j->s->n * (to == random ? FV_EXPLAIN_RANDOM : 1);
    add_curve(j, k, 0, 0, of, &f->deletion[to]);
    add_curve(j, k, 1, 0, of, &f->insertion[to]);
    if (j->lens->series) add_errors(j, k, to, of, f);
  }
  for (int i = 0; i <= random; i++) {
    if (j->lens->series) turn_curve(&f->insertion[i], f->deletion[i].p[STEPS]);
    if (j->lens->series) turn_curve(&f->deletion[i], f->deletion[i].p[STEPS]);
    close_curve(&f->deletion[i]);
    close_curve(&f->insertion[i]);
    f->comprehensiveness[i] = lost(&f->deletion[i], f->deletion[i].p[0]);
    f->sufficiency[i] = lost(&f->insertion[i], f->deletion[i].p[0]);
  }
}

void fv_sight_peak(const fv_lens *lens, const fv_sights *s, int view, int64_t i, float *pixels, int64_t peak[2]) {
  const fv_explain_view *v = &lens->view[view];
  int h = (int)lens->m->task.image.dim[0], w = (int)lens->m->task.image.dim[1];
  fv_map_enlarge(s->map[view] + i * v->h * v->w, v->h, v->w, h, w, pixels);
  int64_t best = fv_map_peak(pixels, (int64_t)h * w);
  peak[0] = best % w, peak[1] = best / w;
}

static void point(const job *j, fv_faith *f) {
  int64_t peak[2];
  double hits[FV_EXPLAIN_METHODS] = {0}, n = (double)j->s->n;
  f->has_boxes = true;
  for (int64_t i = 0; i < j->s->n; i++) {
    const float *b = j->s->v[i].box;
    f->has_boxes = f->has_boxes && j->s->v[i].has_box;
    f->pointing_chance += (double)(b[2] - b[0]) * (double)(b[3] - b[1]) / ((double)j->h * (double)j->w * n);
    for (int v = 0; v < j->lens->n_views; v++) {
      fv_sight_peak(j->lens, j->s, v, i, j->workers[0].pixels, peak);
      hits[v] += fv_box_holds(b, peak[0], peak[1]);
    }
  }
  for (int v = 0; v < j->lens->n_views; v++) f->pointing[v] = hits[v] / n;
}

fv_status fv_faith_measure(const fv_lens *lens, const fv_sights *s, const bool *views, fv_faith *f) {
  job j;
  *f = (fv_faith){.samples = s->n};
  memcpy(f->measured, views, sizeof f->measured);
  fv_status status = make_job(lens, s, views, &j);
  if (status == FV_OK) {
    f->cells_h = j.gh, f->cells_w = j.gw;
    fv_pool_run(lens->m->pool, s->n * j.n_orders, run_task, &j);
    add_figures(&j, f);
    if (lens->images) point(&j, f);
  }
  free_job(&j);
  return status;
}
