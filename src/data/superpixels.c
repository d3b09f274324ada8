/* SPDX-License-Identifier: Apache-2.0 */
/* superpixels.c: images as graphs (Avelar, Tavares, da Silveira, Jung, Lamb: Superpixel Image Classification with
 * Graph Attention Networks, 2020): a node is a superpixel with its mean colour and the middle of its place; those that
 * share a border are neighbours. Such a graph is planar, so that there are fewer than three borders a node: all have
 * room in records of one size, and a plan knows the size before any image is read. */
#include "data/slic.h"
#include "data/sets.h"

#include <math.h>

enum { MOST = FV_SLIC_MOST, BORDERS = 3, FULL = 65535, CHUNK = 512 };
_Static_assert(2 * BORDERS + 1 == FV_SUPERPIXEL_EDGES, "each border both ways, and a node's own edge");

typedef struct held {
  fv_dataset images; /* as they were opened */
  fv_slic_how how;
  int most, features;
  int64_t first[FV_SPLITS]; /* a split's samples among all */
  int64_t n, bytes;         /* all; of what follows, a record a sample */
  void *slab;
  uint16_t *nodes;          /* [n] */
  uint16_t *feature;        /* [n,most,features]: 0 to 1 as 0 to FULL */
  uint8_t *later;           /* [n,most]: how many neighbours of a node have a greater number */
  uint8_t *neighbour;       /* [n,most*BORDERS]: those, rising, node after node */
} held;

/* ---- reading ----------------------------------------------------------------------------------------------------- */
static int64_t length_of(const fv_dataset *d, fv_split split, int64_t index) {
  const held *h = d->impl;
  return h->nodes[h->first[split] + index];
}

/* Every border is an edge both ways. Nodes in order, so that each one's neighbours rise. */
static void read_edges(const uint8_t *later, const uint8_t *neighbour, int n, int32_t *degree, int32_t *out) {
  int32_t at[MOST], many[MOST] = {0};
  const uint8_t *other = neighbour;
  for (int i = 0; i < n; i++) {
    many[i] += 1 + later[i];
    for (int k = 0; k < later[i]; k++) many[*other++]++;
  }
  if (degree)
    for (int i = 0; i < n; i++) degree[i] = many[i];
  if (!out) return;
  at[0] = 0;
  for (int i = 1; i < n; i++) at[i] = at[i - 1] + many[i - 1];
  other = neighbour;
  for (int i = 0; i < n; i++) {
    out[at[i]++] = i;
    for (int k = 0; k < later[i]; k++, other++) {
      out[at[i]++] = *other;
      out[at[*other]++] = i;
    }
  }
}

static void read_features(const held *h, const uint16_t *stored, int n, float *out) {
  for (int i = 0; i < n; i++)
    for (int f = 0; f < h->features; f++, stored++, out++) {
      const float v = *stored / (float)FULL;
      *out = f < h->how.channels ? v : 2 * v - 1;
    }
}

enum { DEGREE, NEIGHBOUR, FEATURE, LABEL, FIELDS };
static void read_graph(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  (void)draw;
  const held *h = d->impl;
  const int64_t at = h->first[split] + index;
  const int n = h->nodes[at];
  if (out[DEGREE] || out[NEIGHBOUR])
    read_edges(h->later + at * h->most, h->neighbour + at * h->most * BORDERS, n, out[DEGREE], out[NEIGHBOUR]);
  if (out[FEATURE]) read_features(h, h->feature + at * h->most * h->features, n, out[FEATURE]);
  if (out[LABEL]) fv_dataset_read_field(&h->images, split, index, "label", out[LABEL]);
}

/* ---- making ------------------------------------------------------------------------------------------------------ */
/* What a thread needs for one image. */
typedef struct bench {
  fv_slic *slic;
  uint8_t *pixels, *segment;
} bench;

static void bench_free(bench *b) {
  fv_slic_free(b->slic);
  fv_free(b->pixels);
  fv_free(b->segment);
}

static fv_status bench_new(const fv_slic_how *how, bench *b) {
  FV_TRY(fv_slic_new(how, &b->slic));
  FV_TRY(FV_NEW(&b->pixels, (int64_t)how->h * how->w * how->channels));
  return FV_NEW(&b->segment, (int64_t)how->h * how->w);
}

static uint16_t stored(double share) { return (uint16_t)lrint(FV_MIN(FV_MAX(share, 0), 1) * FULL); }

static void write_features(const held *h, const bench *b, int n, uint16_t *out) {
  const fv_slic_how *how = &h->how;
  double sum[MOST][5] = {{0}}, many[MOST] = {0};
  for (int y = 0, i = 0; y < how->h; y++)
    for (int x = 0; x < how->w; x++, i++) {
      double *to = sum[b->segment[i]];
      for (int k = 0; k < how->channels; k++) to[k] += b->pixels[i * how->channels + k] / 255.0;
      to[how->channels] += (x + 0.5) / how->w;
      to[how->channels + 1] += (y + 0.5) / how->h;
      many[b->segment[i]]++;
    }
  for (int s = 0; s < n; s++)
    for (int f = 0; f < h->features; f++) *out++ = stored(sum[s][f] / many[s]);
}

static void touch(uint64_t touches[MOST][MOST / 64], int a, int b) {
  const int low = FV_MIN(a, b), high = FV_MAX(a, b);
  if (low < high) touches[low][high / 64] |= UINT64_C(1) << high % 64;
}

static void write_edges(const held *h, const uint8_t *segment, int n, uint8_t *later, uint8_t *neighbour) {
  uint64_t touches[MOST][MOST / 64] = {{0}};
  const int w = h->how.w;
  for (int y = 0; y < h->how.h; y++)
    for (int x = 0; x < w; x++) {
      if (x > 0) touch(touches, segment[y * w + x], segment[y * w + x - 1]);
      if (y > 0) touch(touches, segment[y * w + x], segment[(y - 1) * w + x]);
    }
  for (int a = 0; a < n; a++)
    for (int b = a + 1; b < n; b++)
      if (touches[a][b / 64] >> b % 64 & 1) later[a]++, *neighbour++ = (uint8_t)b;
}

typedef struct job {
  held *h;
  bench *bench;
  fv_split split;
  int64_t from;
} job;

static void make_one(void *arg, int64_t i, int worker) {
  const job *j = arg;
  const held *h = j->h;
  const bench *b = &j->bench[worker];
  const int64_t index = j->from + i, at = h->first[j->split] + index;
  fv_dataset_read_field(&h->images, j->split, index, "image", b->pixels);
  const int n = fv_slic_run(b->slic, b->pixels, b->segment);
  h->nodes[at] = (uint16_t)n;
  write_features(h, b, n, h->feature + at * h->most * h->features);
  write_edges(h, b->segment, n, h->later + at * h->most, h->neighbour + at * h->most * BORDERS);
}

static void share_out(fv_pool *pool, int64_t n, job *j) {
  if (pool) fv_pool_run(pool, n, make_one, j);
  for (int64_t i = 0; !pool && i < n; i++) make_one(j, i, 0);
}

static fv_status make_all(fv_pool *pool, held *h) {
  fv_status status = FV_OK;
  const int threads = pool ? fv_pool_threads(pool) : 1;
  bench *benches = NULL;
  FV_TRY_DONE(FV_NEW(&benches, threads));
  for (int t = 0; t < threads; t++) FV_TRY_DONE(bench_new(&h->how, &benches[t]));
  for (fv_split s = 0; s < FV_SPLITS; s++)
    for (int64_t from = 0; from < h->images.count[s]; from += CHUNK) {
      FV_REQUIRE_DONE(!fv_stop_requested(), FV_ERR_STOPPED, "superpixels (%s): stopped", h->images.name);
      share_out(pool, FV_MIN(h->images.count[s] - from, CHUNK), &(job){h, benches, s, from});
    }
done:
  for (int t = 0; benches && t < threads; t++) bench_free(&benches[t]);
  fv_free(benches);
  return status;
}

/* ---- the cache --------------------------------------------------------------------------------------------------- */
static const char FORMAT[] = "fovea-superpixels-1";

/* A hash of all that decides what is made. */
static fv_status key_of(const held *h, char hex[65]) {
  const int64_t size = (int64_t)h->how.h * h->how.w * h->how.channels;
  char text[256];
  uint8_t *pixels;
  fv_sha256 sha;
  FV_TRY(FV_NEW(&pixels, size));
  fv_sha256_init(&sha);
  snprintf(text, sizeof text, "%s %dx%dx%d %lld %.17g %lld", FORMAT, h->how.h, h->how.w, h->how.channels,
           (long long)h->how.superpixels, h->how.compactness, (long long)h->n);
  fv_sha256_update(&sha, text, strlen(text));
  for (fv_split s = 0; s < FV_SPLITS; s++)
    for (int64_t i = 0; i < h->images.count[s]; i++) {
      fv_dataset_read_field(&h->images, s, i, "image", pixels);
      fv_sha256_update(&sha, pixels, (size_t)size);
    }
  fv_sha256_final(&sha, hex);
  fv_free(pixels);
  return FV_OK;
}

/* What lies there, when it is whole. */
static bool take_cached(const held *h, const char *path) {
  fv_safetensors *file;
  char hex[65];
  if (!fv_path_exists(path) || fv_safetensors_open(path, &file) != FV_OK) return false;
  const fv_array *a = fv_safetensors_find(file, "graphs");
  const char *wanted = fv_safetensors_meta(file, "sha256");
  bool whole = a && wanted && a->elem == FV_ELEM_U8 && a->count == h->bytes;
  whole = whole && fv_arrays_sha256(a, 1, hex) == FV_OK && strcmp(hex, wanted) == 0;
  if (whole) memcpy(h->slab, a->data, (size_t)h->bytes);
  fv_safetensors_close(file);
  return whole;
}

static fv_status put_cached(const held *h, const char *dir, const char *path) {
  char hex[65];
  fv_array a = {.name = "graphs", .elem = FV_ELEM_U8, .ndim = 1, .dim = {h->bytes}, .data = h->slab};
  FV_TRY(fv_array_measure(&a, "superpixels"));
  FV_TRY(fv_arrays_sha256(&a, 1, hex));
  FV_TRY(fv_dir_make(dir));
  return fv_safetensors_write(path, &a, 1, (fv_pair[]){{"format", FORMAT}, {"sha256", hex}}, 2);
}

/* A cache that cannot be written costs the next run some seconds and is no failure of this one. */
static fv_status fill(const fv_data_open *o, fv_dataset *d, held *h) {
  char hex[65];
  FV_TRY(key_of(h, hex));
  const char *cache = fv_cache_dir(d->arena), *dir = cache ? fv_path_join(d->arena, cache, "superpixels") : NULL;
  const char *path = dir ? fv_arena_printf(d->arena, "%s/%s.safetensors", dir, hex) : NULL;
  if (path && take_cached(h, path)) return FV_OK;
  const double began = fv_seconds();
  FV_TRY(make_all(o->reading->pool, h));
  d->seconds_cut = fv_seconds() - began;
  if (path && put_cached(h, dir, path) != FV_OK && fv_verbose()) fv_log("%s", fv_error_message());
  return FV_OK;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */
static fv_slic_how how_of(const fv_reading *r, fv_shape image) {
  return (fv_slic_how){.h = (int)image.dim[0], .w = (int)image.dim[1], .channels = (int)image.dim[2],
                       .superpixels = r->superpixels, .compactness = r->compactness};
}

int64_t fv_superpixels_most(const fv_reading *r) {
  const fv_slic_how how = how_of(r, r->picture);
  return fv_slic_seeds(&how);
}

static int64_t lay_out(held *h, char *slab) {
  int64_t at = 0;
  h->nodes = fv_slab_take(slab, &at, 2 * h->n);
  h->feature = fv_slab_take(slab, &at, 2 * h->n * h->most * h->features);
  h->later = fv_slab_take(slab, &at, h->n * h->most);
  h->neighbour = fv_slab_take(slab, &at, h->n * h->most * BORDERS);
  return at;
}

static void close_all(fv_dataset *d) {
  held *h = d->impl;
  fv_slab_free(h->slab);
  if (h->images.close) h->images.close(&h->images);
}

static void set_fields(fv_dataset *d, const held *h) {
  const fv_field like = {.dtype = FV_I32, .varies = true};
  for (int f = 0; f < LABEL; f++) d->field[f] = like;
  d->field[DEGREE].name = "degree";
  d->field[DEGREE].shape = FV_SHAPE(h->most);
  d->field[NEIGHBOUR].name = "neighbour";
  d->field[NEIGHBOUR].shape = FV_SHAPE(h->most, FV_SUPERPIXEL_EDGES);
  d->field[FEATURE].name = "feature";
  d->field[FEATURE].dtype = FV_F32;
  d->field[FEATURE].shape = FV_SHAPE(h->most, h->features);
  d->field[LABEL] = (fv_field){.name = "label", .dtype = FV_I32, .shape = FV_SCALAR};
  d->n_fields = FIELDS;
  d->features = h->features;
}

/* From here on d is of graphs; the images stay what they were. */
static fv_status wrap(fv_dataset *d, const fv_reading *r, held **made) {
  const int image = fv_dataset_field(d, "image");
  FV_REQUIRE(image >= 0 && fv_dataset_field(d, "label") >= 0, FV_ERR_REQUEST,
             "superpixels (%s): expected images with labels, got none", d->name);
  const fv_shape shape = d->field[image].shape;
  FV_REQUIRE(d->field[image].dtype == FV_U8 && shape.ndim == 3 && (shape.dim[2] == 1 || shape.dim[2] == 3),
             FV_ERR_REQUEST, "superpixels (%s): expected images of 1 or 3 channels, got %s", d->name,
             fv_dims_text(shape.dim, shape.ndim));
  held *h = fv_arena_alloc(d->arena, sizeof *h);
  FV_REQUIRE(h, FV_ERR_MEMORY, "dataset (%s): no memory", d->name);
  h->images = *d;
  h->how = how_of(r, shape);
  h->most = fv_slic_seeds(&h->how);
  h->features = h->how.channels + 2;
  for (fv_split s = 0; s < FV_SPLITS; h->n += d->count[s++]) h->first[s] = h->n;
  set_fields(d, h);
  d->impl = *made = h;
  d->read = read_graph;
  d->length = length_of;
  d->group = NULL;
  d->text = NULL;
  d->close = close_all;
  return FV_OK;
}

fv_status fv_superpixels_of(const fv_data_open *o, fv_dataset *d) {
  held *h;
  FV_TRY(wrap(d, o->reading, &h));
  h->bytes = lay_out(h, NULL);
  FV_TRY(fv_slab_new(o->ledger, FV_ACCOUNT_DATA, h->bytes, &h->slab));
  if (o->reading->picture.ndim == 0) o->reading->picture = FV_SHAPE(h->how.h, h->how.w, h->how.channels);
  if (!h->slab) return FV_OK;
  lay_out(h, h->slab);
  return fill(o, d, h);
}

/* ---- images by themselves ---------------------------------------------------------------------------------------- */
static void read_picture(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  (void)split;
  (void)draw;
  const int64_t size = fv_shape_count(d->field[0].shape);
  if (out[0]) memcpy(out[0], (const uint8_t *)d->impl + index * size, (size_t)size);
  if (out[1]) *(int32_t *)out[1] = -1;
}

static fv_status of_pictures(const uint8_t *pixels, int64_t n, fv_reading *reading, fv_dataset *d) {
  held *h;
  FV_TRY(fv_arena_new(&d->arena));
  d->name = "images";
  d->reading = reading;
  d->n_fields = 2;
  d->field[0] = (fv_field){.name = "image", .dtype = FV_U8, .shape = reading->picture};
  d->field[1] = (fv_field){.name = "label", .dtype = FV_I32, .shape = FV_SCALAR};
  d->count[FV_SPLIT_TEST] = n;
  d->read = read_picture;
  d->impl = (void *)(uintptr_t)pixels;
  FV_TRY(wrap(d, reading, &h));
  h->bytes = lay_out(h, NULL);
  FV_TRY(fv_slab_new(NULL, FV_ACCOUNT_DATA, h->bytes, &h->slab));
  lay_out(h, h->slab);
  return make_all(reading->pool, h);
}

fv_status fv_dataset_of_pictures(const uint8_t *pixels, int64_t n, fv_reading *reading, fv_dataset **dataset) {
  fv_dataset *d;
  *dataset = NULL;
  FV_TRY(FV_NEW(&d, 1));
  return fv_dataset_give(d, of_pictures(pixels, n, reading, d), dataset);
}

fv_status fv_superpixels_look(const fv_dataset *d, fv_split split, int64_t index, fv_shape *shape, uint8_t **pixels,
                              uint8_t **segment) {
  const held *h = d->impl;
  fv_status status = FV_OK;
  bench b = {.slic = NULL};
  *shape = FV_SHAPE(h->how.h, h->how.w, h->how.channels);
  FV_TRY_DONE(bench_new(&h->how, &b));
  fv_dataset_read_field(&h->images, split, index, "image", b.pixels);
  fv_slic_run(b.slic, b.pixels, b.segment);
  *pixels = b.pixels;
  *segment = b.segment;
  b.pixels = b.segment = NULL;
done:
  bench_free(&b);
  return status;
}
