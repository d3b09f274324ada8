/* SPDX-License-Identifier: Apache-2.0 */
/* path.c: what kind of dataset a path is, and what its kinds have in common: parts found by name, sizes, a test
 * part. */
#include "data/sets.h"

#include <math.h>

enum { MAX_LABEL = 65535 };

bool fv_path_ends(const char *path, const char *suffix) {
  size_t n = strlen(path), k = strlen(suffix);
  if (n > 3 && strcmp(path + n - 3, ".gz") == 0) n -= 3;
  return n >= k && memcmp(path + n - k, suffix, k) == 0;
}

bool fv_path_is_table(const char *path) { return fv_path_ends(path, ".csv") || fv_path_ends(path, ".tsv"); }

fv_status fv_path_open_table(const char *path, fv_csv **csv) {
  return fv_csv_open(path, &(fv_csv_options){.separator = fv_path_ends(path, ".tsv") ? '\t' : ','}, csv);
}

/* ---- names beside names ------------------------------------------------------------------------------------------ */
static const char *last_found(const char *text, const char *word) {
  const char *found = NULL;
  for (const char *p = text; (p = strstr(p, word)); p++) found = p;
  return found;
}

/* The file beside `path` whose name has the last `from` replaced by `to`. */
static const char *beside_of(fv_arena *arena, const char *path, const char *from, const char *to) {
  const char *slash = strrchr(path, '/'), *at = last_found(slash ? slash + 1 : path, from);
  if (!at) return NULL;
  const char *beside = fv_arena_printf(arena, "%.*s%s%s", (int)(at - path), path, to, at + strlen(from));
  return beside && fv_path_exists(beside) ? beside : NULL;
}

typedef struct rename_rule {
  const char *from, *to;
} rename_rule;

static const char *first_beside(fv_arena *arena, const char *path, const rename_rule *rules) {
  const char *found = NULL;
  for (; rules->from && !found; rules++) found = beside_of(arena, path, rules->from, rules->to);
  return found;
}

const char *fv_path_labels(fv_arena *arena, const char *path) {
  static const rename_rule rules[] = {{"images-idx3", "labels-idx1"}, {"images-idx4", "labels-idx1"},
                                      {"images.idx3", "labels.idx1"}, {"images", "labels"},
                                      {"X", "y"},                     {"x", "y"},
                                      {NULL, NULL}};
  return first_beside(arena, path, rules);
}

const char *fv_path_part(fv_arena *arena, const char *path, fv_split split) {
  static const rename_rule rules[FV_SPLITS][4] = {
      [FV_SPLIT_TEST] = {{"train", "test"}, {"train", "t10k"}},
      [FV_SPLIT_VALIDATION] = {{"train", "valid"}, {"train", "val"}, {"train", "dev"}}};
  return split == FV_SPLIT_TRAIN ? path : first_beside(arena, path, rules[split]);
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */
fv_status fv_path_image_shape(const fv_data_open *o, const char *path, int64_t pixels, fv_shape *shape) {
  if (o->size.ndim == 3 || (o->size.ndim == 2 && pixels % (o->size.dim[0] * o->size.dim[1]) == 0)) {
    int64_t plane = o->size.dim[0] * o->size.dim[1];
    *shape = FV_SHAPE(o->size.dim[0], o->size.dim[1], o->size.ndim == 3 ? o->size.dim[2] : pixels / plane);
  } else {
    for (int64_t c = 1; c <= 3; c += 2) {
      int64_t side = pixels % c == 0 ? (int64_t)llround(sqrt((double)(pixels / c))) : 0;
      if (side > 0 && side * side * c == pixels) {
        *shape = FV_SHAPE(side, side, c);
        break;
      }
      *shape = FV_SHAPE(0);
    }
  }
  bool fits = shape->ndim == 3 && fv_shape_count(*shape) == pixels && shape->dim[2] >= 1 && shape->dim[2] <= 4;
  FV_REQUIRE(fits || o->size.ndim, FV_ERR_REQUEST,
             "dataset (%s): expected square images of 1 or 3 channels, got %lld pixels; say PATH@HxWxC", path,
             (long long)pixels);
  FV_REQUIRE(fits, FV_ERR_REQUEST, "dataset (%s): expected images of %s, got %lld pixels", path,
             fv_dims_text(o->size.dim, o->size.ndim), (long long)pixels);
  return FV_OK;
}

fv_status fv_path_array_shape(const fv_data_open *o, const fv_array *a, const char *path, fv_shape *shape) {
  FV_REQUIRE(a->ndim >= 2 && a->ndim <= 4 && a->count > 0, FV_ERR_REQUEST,
             "dataset (%s): expected images [n,H,W], [n,H,W,C] or [n,pixels], got %s", path,
             fv_dims_text(a->dim, a->ndim));
  if (a->ndim == 2) return fv_path_image_shape(o, path, a->dim[1], shape);
  *shape = FV_SHAPE(a->dim[1], a->dim[2], a->ndim == 4 ? a->dim[3] : 1);
  FV_REQUIRE(shape->dim[2] <= 4 && shape->dim[0] <= 4096 && shape->dim[1] <= 4096, FV_ERR_REQUEST,
             "dataset (%s): expected images of at most 4096x4096x4, channels last, got %s", path,
             fv_dims_text(a->dim, a->ndim));
  int same = 0;
  while (same < o->size.ndim && o->size.dim[same] == shape->dim[same]) same++;
  FV_REQUIRE(same == o->size.ndim, FV_ERR_REQUEST, "dataset (%s): expected images of %s, got %s", path,
             fv_dims_text(o->size.dim, o->size.ndim), fv_dims_text(shape->dim, shape->ndim));
  return FV_OK;
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */
fv_status fv_path_number_classes(const fv_part part[FV_SPLITS], fv_dataset *d) {
  int32_t most = 0;
  for (int s = 0; s < FV_SPLITS; s++)
    for (int64_t i = 0; i < part[s].n; i++) {
      int32_t label = part[s].label[i];
      FV_REQUIRE(label >= 0 && label <= MAX_LABEL, FV_ERR_CORRUPT,
                 "dataset (%s, image %lld): expected a label from 0 to %d, got %d", part[s].path, (long long)i,
                 MAX_LABEL, label);
      most = FV_MAX(most, label);
    }
  return fv_data_number_classes(d, most + 1);
}

void fv_path_free_parts(fv_part part[FV_SPLITS]) {
  for (int s = 0; s < FV_SPLITS; s++) fv_free(part[s].label);
}

static fv_status hold_cut(const fv_data_open *o, fv_dataset *d, const fv_part *all, fv_pour *pour, void *arg) {
  fv_held *h;
  FV_TRY(fv_held_new_cut(o, d, all->image, all->label, all->n, &h));
  return h ? pour(all, arg, h->image) : FV_OK;
}

fv_status fv_path_hold(const fv_data_open *o, fv_dataset *d, const fv_part part[FV_SPLITS], fv_pour *pour, void *arg) {
  const fv_part *train = &part[FV_SPLIT_TRAIN], *test = &part[FV_SPLIT_TEST];
  fv_held *h;
  for (int s = 0; s < FV_SPLITS; s++)
    FV_REQUIRE(!part[s].path || part[s].n > 0, FV_ERR_REQUEST, "dataset (%s): expected images, got none", part[s].path);
  if (!test->path) return hold_cut(o, d, train, pour, arg);
  FV_TRY(fv_data_no_fold(o));
  FV_REQUIRE(fv_shape_equal(train->image, test->image), FV_ERR_REQUEST,
             "dataset (%s): expected images of %s as for training, got %s", test->path,
             fv_dims_text(train->image.dim, 3), fv_dims_text(test->image.dim, 3));
  FV_TRY(fv_held_new(o, d, train->image, (const int64_t[]){train->n, test->n}, &h));
  if (!h) return FV_OK;
  memcpy(h->label, train->label, (size_t)train->n * sizeof *h->label);
  memcpy(h->label + train->n, test->label, (size_t)test->n * sizeof *h->label);
  FV_TRY(pour(train, arg, h->image));
  return pour(test, arg, h->image + train->n * h->pixels);
}

/* ---- kinds ------------------------------------------------------------------------------------------------------- */
/* A folder may hold one of these in place of class folders. */
static const char *file_in_folder(fv_arena *arena, const char *dir) {
  static const char *const names[] = {"train-images-idx3-ubyte.gz", "train-images-idx3-ubyte", "X_train.npy",
                                      "x_train.npy", "X.npy", "train.csv", "train.csv.gz", "train.tsv",
                                      "train.tsv.gz", "train.jsonl", "train.jsonl.gz", NULL};
  for (int i = 0; names[i]; i++) {
    const char *path = fv_path_join(arena, dir, names[i]);
    if (path && fv_path_exists(path)) return path;
  }
  return NULL;
}

static const char *images_of_prefix(fv_arena *arena, const char *prefix) {
  static const char *const tails[] = {"-images-idx3-ubyte.gz", "-images-idx3-ubyte", NULL};
  for (int i = 0; tails[i]; i++) {
    const char *path = fv_arena_printf(arena, "%s%s", prefix, tails[i]);
    if (path && fv_path_exists(path)) return path;
  }
  return NULL;
}

static fv_status open_file(const fv_data_open *o, fv_dataset *d) {
  if (fv_path_is_texts(o)) return fv_path_open_texts(o, d);
  if (o->reading->horizon > 0) return fv_path_open_series(o, d);
  if (o->reading->like != 0) return fv_path_open_ratings(o, d);
  if (fv_path_ends(o->path, ".npy")) return fv_path_open_npy(o, d);
  if (fv_path_is_table(o->path)) return fv_path_open_csv(o, d);
  if (strstr(o->path, "idx3") || strstr(o->path, "idx4")) return fv_path_open_idx(o, d);
  return FV_FAIL(FV_ERR_REQUEST,
                 "dataset (%s): expected a folder of class folders, a .csv, .tsv, .jsonl or .npy file or IDX images",
                 o->path);
}

fv_status fv_path_open(const fv_data_open *o, fv_dataset *d) {
  fv_data_open at = *o;
  if (fv_path_is_graph(o->path)) return fv_path_open_graph(o, d);
  if (fv_path_is_parallel(o->path)) return fv_path_open_parallel(o, d);
  if (fv_path_is_tu(o->path, d->arena)) return fv_path_open_tu(o, d);
  if (fv_path_is_dir(o->path)) {
    const char *file = file_in_folder(d->arena, o->path);
    if (!file) return o->reading->ways > 0 ? fv_path_open_episodes(o, d) : fv_path_open_folder(o, d);
    at.path = file;
  } else if (!fv_path_exists(o->path)) {
    at.path = images_of_prefix(d->arena, o->path);
    FV_REQUIRE(at.path, FV_ERR_NOTFOUND,
               "dataset (%s): expected the name of a dataset, a file or a folder, got nothing there", o->path);
  }
  return open_file(&at, d);
}
