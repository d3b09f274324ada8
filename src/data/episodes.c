/* SPDX-License-Identifier: Apache-2.0 */
/* episodes.c: small tasks of learning drawn from pictures of many classes, as Vinyals et al. 2016 train and test. An
 * episode is a pure function of (seed, split, draw, number): its classes and examples come from a stretch of a random
 * stream that is its own. */
#include "data/sets.h"

enum {
  WAYS = 5, SHOTS = 1, QUERIES = 5,             /* where the reading does not say */
  BLOCKS = 1 << 16                              /* of the random stream, for each episode; far more than it takes */
};
enum { SUPPORT, SUPPORT_LABEL, QUERY, LABEL };

typedef struct episodes {
  fv_glyphs g;
  int64_t ways, shots, queries, pixels;
  uint8_t *ink;                 /* [all examples,H,W] */
  int32_t *first;               /* [classes+1]: where the pictures of a class begin, and end */
  const int32_t *of[FV_SPLITS]; /* [g.part]: the split's classes */
  uint64_t seed[FV_SPLITS], stream[FV_SPLITS];
} episodes;

/* ---- an episode -------------------------------------------------------------------------------------------------- */
/* k of n, none twice, in random order. */
static void choose(fv_rng *rng, int64_t n, int64_t k, int32_t *out) {
  for (int64_t i = 0; i < k; i++) {
    int64_t j = 0;
    out[i] = (int32_t)fv_rng_below(rng, (uint32_t)n);
    while (j < i && out[j] != out[i]) j++;
    if (j < i) i--;
  }
}

static void put_picture(const episodes *e, int32_t picture, int turn, float *out) {
  const int64_t h = e->g.h, w = e->g.w;
  const uint8_t *ink = e->ink + picture * e->pixels;
  for (int64_t y = 0; y < h; y++)
    for (int64_t x = 0; x < w; x++) {
      const int64_t from[4] = {y * w + x, x * w + w - 1 - y, (h - 1 - y) * w + w - 1 - x, (h - 1 - x) * w + y};
      *out++ = (float)ink[from[turn]] * (1 / 255.0f);
    }
}

/* The classes with their examples, those to learn from first. */
typedef struct drawn {
  int32_t cls[FV_MOST_WAYS], example[FV_MOST_PICTURES], order[FV_MOST_PICTURES];
} drawn;

static int64_t examples_of(const episodes *e, int32_t cls) { return e->first[cls + 1] - e->first[cls]; }

static void draw_episode(const episodes *e, fv_split split, int64_t index, uint64_t draw, drawn *w) {
  const int64_t n = e->g.part[split], each = e->shots + e->queries;
  fv_rng rng = fv_rng_new(e->seed[split], e->stream[split]);
  rng.counter = ((split == FV_SPLIT_TRAIN ? draw : 0) * (uint64_t)e->g.episodes[split] + (uint64_t)index) * BLOCKS;
  choose(&rng, n * e->g.turns, e->ways, w->cls);
  for (int64_t c = 0; c < e->ways; c++)
    choose(&rng, examples_of(e, e->of[split][w->cls[c] % n]), each, w->example + c * each);
  fv_rng_permutation(&rng, w->order, e->ways * e->shots);
}

static void read_episode(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  const episodes *e = d->impl;
  const int64_t n = e->g.part[split], each = e->shots + e->queries;
  float *support = out[SUPPORT], *query = out[QUERY];
  int32_t *support_label = out[SUPPORT_LABEL], *label = out[LABEL];
  drawn w;
  draw_episode(e, split, index, draw, &w);
  for (int64_t c = 0; c < e->ways; c++) {
    const int32_t of = e->of[split][w.cls[c] % n], *example = w.example + c * each;
    const int turn = (int)(w.cls[c] / n);
    for (int64_t i = 0; i < e->shots; i++) {
      const int64_t at = w.order[c * e->shots + i];
      if (support) put_picture(e, e->first[of] + example[i], turn, support + at * e->pixels);
      if (support_label) support_label[at] = (int32_t)c;
    }
    for (int64_t i = 0; i < e->queries; i++) {
      const int64_t at = c * e->queries + i;
      if (query) put_picture(e, e->first[of] + example[e->shots + i], turn, query + at * e->pixels);
      if (label) label[at] = (int32_t)c;
    }
  }
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */
static fv_status check_episodes(const fv_dataset *d, const fv_glyphs *g, const episodes *e) {
  const int64_t each = e->shots + e->queries;
  FV_REQUIRE(e->ways <= FV_MOST_WAYS && e->ways * each <= FV_MOST_PICTURES, FV_ERR_REQUEST,
             "dataset (%s): expected episodes of at most %d ways and %d pictures, got %lld ways of %lld", d->name,
             FV_MOST_WAYS, FV_MOST_PICTURES, (long long)e->ways, (long long)each);
  for (int s = 0; s < FV_SPLITS; s++)
    FV_REQUIRE(
        g->part[s] * g->turns >= e->ways, FV_ERR_REQUEST,
        "dataset (%s): expected %lld or more of its %lld classes for split %s, as episodes of so many ways need, "
        "got %lld",
        d->name, (long long)e->ways, (long long)g->classes, fv_split_names[s], (long long)(g->part[s] * g->turns));
  for (int64_t c = 0; c < g->classes; c++)
    FV_REQUIRE(g->examples[c] >= each, FV_ERR_REQUEST,
               "dataset (%s, class %lld): expected %lld pictures or more, shots and queries together, got %d", d->name,
               (long long)c, (long long)each, g->examples[c]);
  return FV_OK;
}

static void set_fields(fv_dataset *d, const episodes *e) {
  const int64_t support = e->ways * e->shots, query = e->ways * e->queries;
  d->n_fields = 4;
  d->field[SUPPORT] = (fv_field){
      .name = "support", .dtype = FV_F32, .shape = FV_SHAPE(support, e->g.h, e->g.w, 1), .drawn = true};
  d->field[SUPPORT_LABEL] = (fv_field){.name = "support_label", .dtype = FV_I32, .shape = FV_SHAPE(support)};
  d->field[QUERY] =
      (fv_field){.name = "query", .dtype = FV_F32, .shape = FV_SHAPE(query, e->g.h, e->g.w, 1), .drawn = true};
  d->field[LABEL] = (fv_field){.name = "label", .dtype = FV_I32, .shape = FV_SHAPE(query)};
  d->read = read_episode;
}

/* Another fold begins the shuffle elsewhere, so that others are for testing. */
static void cut_classes(episodes *e, int64_t fold, int32_t *order, int32_t *list) {
  static const fv_split by[] = {FV_SPLIT_TRAIN, FV_SPLIT_VALIDATION, FV_SPLIT_TEST};
  const int64_t n = e->g.classes, start = fold * e->g.part[FV_SPLIT_TEST];
  fv_rng rng = fv_rng_new(0, fv_stream_of("data.classes"));
  fv_rng_permutation(&rng, order, n);
  for (int64_t i = 0; i < n; i++) list[i] = order[(start + i) % n];
  for (int k = 0; k < FV_SPLITS; k++) {
    e->of[by[k]] = list;
    list += e->g.part[by[k]];
  }
}

fv_status fv_episodes_hold(const fv_data_open *o, fv_dataset *d, const fv_glyphs *g, uint8_t **ink) {
  const fv_reading *r = o->reading;
  int64_t n = 0, at = 0;
  *ink = NULL;
  episodes *e = d->impl = fv_arena_alloc(d->arena, sizeof *e);
  FV_REQUIRE(e, FV_ERR_MEMORY, "dataset (%s): no memory", d->name);
  *e = (episodes){.g = *g, .pixels = g->h * g->w, .ways = r->ways ? r->ways : WAYS,
                  .shots = r->shots ? r->shots : SHOTS, .queries = r->queries ? r->queries : QUERIES,
                  .seed = {[FV_SPLIT_TRAIN] = o->seed}};
  FV_TRY(check_episodes(d, g, e));
  FV_TRY(fv_data_number_classes(d, (int)e->ways));
  set_fields(d, e);
  for (int s = 0; s < FV_SPLITS; s++) {
    d->count[s] = g->episodes[s];
    e->stream[s] = fv_stream_of(fv_split_names[s]);
  }
  for (int64_t c = 0; c < g->classes; c++) n += g->examples[c];
  FV_REQUIRE(n <= INT32_MAX, FV_ERR_REQUEST, "dataset (%s): expected at most %d pictures, got %lld", d->name, INT32_MAX,
             (long long)n);
  const int64_t bytes = fv_round_up(n * e->pixels, FV_ALIGN), lists = fv_round_up(4 * (g->classes + 1), FV_ALIGN);
  FV_TRY(fv_slab_new(o->ledger, FV_ACCOUNT_DATA, bytes + 3 * lists, &d->slab));
  if (!d->slab) return FV_OK;
  *ink = e->ink = fv_slab_take(d->slab, &at, bytes);
  e->first = fv_slab_take(d->slab, &at, lists);
  for (int64_t c = 0; c < g->classes; c++) e->first[c + 1] = e->first[c] + g->examples[c];
  int32_t *order = fv_slab_take(d->slab, &at, lists);
  cut_classes(e, r->fold, order, fv_slab_take(d->slab, &at, lists));
  return FV_OK;
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */
/* What piece i of length n and piece k of length m share on one line. */
static int64_t shared(int64_t i, int64_t n, int64_t k, int64_t m) {
  return FV_MIN((i + 1) * n, (k + 1) * m) - FV_MAX(i * n, k * m);
}

/* The mean of the area that pixel (y, x) of [h,w] covers of a picture, in whole numbers. */
static uint8_t mean_of(const fv_image *in, int64_t h, int64_t w, int64_t y, int64_t x) {
  const uint64_t area = (uint64_t)in->h * (uint64_t)in->w;
  uint64_t sum = 0;
  for (int64_t r = y * in->h / h; r * h < (y + 1) * in->h; r++) {
    uint64_t line = 0;
    for (int64_t c = x * in->w / w; c * w < (x + 1) * in->w; c++)
      line += (uint64_t)shared(c, w, x, in->w) * in->pixels[r * in->w + c];
    sum += line * (uint64_t)shared(r, h, y, in->h);
  }
  return (uint8_t)((sum + area / 2) / area);
}

fv_status fv_ink_parse(const void *bytes, size_t n, const char *what, int64_t h, int64_t w, uint8_t *ink) {
  fv_image image;
  int64_t sum = 0;
  FV_TRY(fv_image_parse(bytes, n, what, 1, &image));
  for (int64_t i = 0; i < h * w; i++) sum += ink[i] = mean_of(&image, h, w, i / w, i % w);
  for (int64_t i = 0; i < h * w && sum > 255 / 2 * h * w; i++) ink[i] = (uint8_t)(255 - ink[i]);
  fv_image_free(&image);
  return FV_OK;
}

fv_status fv_ink_read(const char *path, int64_t h, int64_t w, uint8_t *ink) {
  fv_map map;
  FV_TRY(fv_map_open(path, &map));
  fv_status status = fv_ink_parse(map.data, map.size, path, h, w, ink);
  fv_map_close(&map);
  return status;
}
