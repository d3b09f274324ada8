/* SPDX-License-Identifier: Apache-2.0 */
/* path_folder.c: CLASS/NAME.png and .jpg, or the same below train/ and test/ (or val/). Classes are the folders' names
 * in byte order. Names are scanned first; the pictures are then read one by one straight into their place. */
#include "data/sets.h"

#include <strings.h>

typedef struct pictures {
  fv_arena *arena;
  const char **path;
  int32_t *label;
  int64_t n, cap;
} pictures;

typedef struct folder {
  const fv_data_open *o;
  fv_arena *arena;
  char **class_name;
  size_t n_classes;
  pictures split[FV_SPLITS];
  const char *dir[FV_SPLITS]; /* the second is NULL without a test part */
  int channels;
} folder;

static bool is_picture(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot && (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0);
}

static fv_status add_picture(pictures *p, const char *path, int32_t label) {
  if (p->n == p->cap) {
    int64_t cap = FV_MAX(2 * p->cap, 256);
    const char **paths = fv_realloc(p->path, (size_t)cap * sizeof *paths);
    if (paths) p->path = paths;
    int32_t *labels = fv_realloc(p->label, (size_t)cap * sizeof *labels);
    if (labels) p->label = labels;
    FV_REQUIRE(paths && labels, FV_ERR_MEMORY, "dataset (%s): no memory for names", path);
    p->cap = cap;
  }
  FV_REQUIRE(path, FV_ERR_MEMORY, "dataset: no memory for names");
  p->path[p->n] = path;
  p->label[p->n++] = label;
  return FV_OK;
}

static void free_pictures(folder *f) {
  for (int s = 0; s < FV_SPLITS; s++) {
    fv_free(f->split[s].path);
    fv_free(f->split[s].label);
  }
}

static fv_status scan_class(folder *f, int split, const char *dir, int32_t label) {
  char **names;
  size_t n;
  int64_t before = f->split[split].n;
  FV_TRY(fv_dir_list(dir, f->arena, &names, &n));
  for (size_t i = 0; i < n; i++)
    if (is_picture(names[i])) FV_TRY(add_picture(&f->split[split], fv_path_join(f->arena, dir, names[i]), label));
  FV_REQUIRE(split == FV_SPLIT_TEST || f->split[split].n > before, FV_ERR_REQUEST,
             "dataset (%s): expected PNG or JPEG files of this class, got none", dir);
  return FV_OK;
}

/* The folders in `dir`; files beside them are not ours to judge. */
static fv_status list_folders(folder *f, const char *dir, char ***names, size_t *n) {
  size_t all, kept = 0;
  FV_TRY(fv_dir_list(dir, f->arena, names, &all));
  for (size_t i = 0; i < all; i++) {
    const char *path = fv_path_join(f->arena, dir, (*names)[i]);
    FV_REQUIRE(path, FV_ERR_MEMORY, "dataset (%s): no memory for names", dir);
    if (fv_path_is_dir(path)) (*names)[kept++] = (*names)[i];
  }
  *n = kept;
  return FV_OK;
}

static int class_of(const folder *f, const char *name) {
  for (size_t i = 0; i < f->n_classes; i++)
    if (strcmp(f->class_name[i], name) == 0) return (int)i;
  return -1;
}

static fv_status scan_split(folder *f, int split) {
  char **names;
  size_t n;
  FV_TRY(list_folders(f, f->dir[split], &names, &n));
  for (size_t i = 0; i < n; i++) {
    int label = class_of(f, names[i]);
    FV_REQUIRE(label >= 0, FV_ERR_REQUEST, "dataset (%s): expected the classes of %s, got also '%s'", f->dir[split],
               f->dir[FV_SPLIT_TRAIN], names[i]);
    FV_TRY(scan_class(f, split, fv_path_join(f->arena, f->dir[split], names[i]), label));
  }
  return FV_OK;
}

static const char *folder_below(folder *f, const char *name) {
  const char *path = fv_path_join(f->arena, f->o->path, name);
  return path && fv_path_is_dir(path) ? path : NULL;
}

static fv_status scan_dirs(folder *f) {
  FV_TRY(list_folders(f, f->dir[FV_SPLIT_TRAIN], &f->class_name, &f->n_classes));
  FV_REQUIRE(f->n_classes >= 2, FV_ERR_REQUEST,
             "dataset (%s): expected at least 2 class folders with PNG or JPEG files, got %zu", f->dir[FV_SPLIT_TRAIN],
             f->n_classes);
  for (int s = 0; s < FV_SPLITS && f->dir[s]; s++) FV_TRY(scan_split(f, s));
  return FV_OK;
}

static fv_status scan(folder *f) {
  const char *train = folder_below(f, "train"), *test = folder_below(f, "test");
  if (!test) test = folder_below(f, "val");
  f->dir[FV_SPLIT_TRAIN] = train ? train : f->o->path;
  f->dir[FV_SPLIT_TEST] = train ? test : NULL;
  return scan_dirs(f);
}

/* The first picture decides what was not said. */
static fv_status find_shape(folder *f, fv_shape *shape) {
  fv_image image;
  const fv_shape *size = &f->o->size;
  const char *path = f->split[FV_SPLIT_TRAIN].path[0];
  FV_REQUIRE(size->ndim < 3 || size->dim[2] == 1 || size->dim[2] == 3, FV_ERR_REQUEST,
             "dataset (%s): expected pictures of 1 or 3 channels, got %lld", f->o->path, (long long)size->dim[2]);
  if (size->ndim == 3) {
    *shape = *size;
  } else {
    FV_TRY(fv_image_read(path, 0, &image));
    *shape = size->ndim ? FV_SHAPE(size->dim[0], size->dim[1], image.channels)
                        : FV_SHAPE(image.h, image.w, image.channels);
    fv_image_free(&image);
  }
  f->channels = (int)shape->dim[2];
  return FV_OK;
}

static fv_status check_picture(const folder *f, const fv_image *image, const char *path, const fv_shape *shape) {
  FV_REQUIRE(f->o->size.ndim || (image->h == shape->dim[0] && image->w == shape->dim[1]), FV_ERR_REQUEST,
             "dataset (%s): expected %lldx%lld as the first picture, got %dx%d; PATH@HxW resizes all", path,
             (long long)shape->dim[0], (long long)shape->dim[1], image->h, image->w);
  FV_REQUIRE(f->o->size.ndim == 3 || image->channels <= f->channels, FV_ERR_REQUEST,
             "dataset (%s): expected grey as the first picture, got colour; PATH@HxWxC with C 1 or 3 decides", path);
  return FV_OK;
}

static fv_status pour_picture(const folder *f, const char *path, const fv_shape *shape, uint8_t *out) {
  fv_status status = FV_OK;
  fv_image image = {0}, fit = {0}, same = {0};
  FV_TRY_DONE(fv_image_read(path, 0, &image));
  FV_TRY_DONE(check_picture(f, &image, path, shape));
  FV_TRY_DONE(fv_image_convert(&image, f->channels, &same));
  FV_TRY_DONE(fv_image_resize(&same, (int)shape->dim[1], (int)shape->dim[0], &fit));
  memcpy(out, fit.pixels, (size_t)fv_shape_count(*shape));
done:
  fv_image_free(&image);
  fv_image_free(&fit);
  fv_image_free(&same);
  return status;
}

static fv_status pour(const fv_part *part, void *arg, uint8_t *out) {
  const folder *f = arg;
  const pictures *p = &f->split[part->path == f->dir[FV_SPLIT_TEST]];
  int64_t pixels = fv_shape_count(part->image);
  for (int64_t i = 0; i < p->n; i++) FV_TRY(pour_picture(f, p->path[i], &part->image, out + i * pixels));
  return FV_OK;
}

fv_status fv_path_open_folder(const fv_data_open *o, fv_dataset *d) {
  fv_status status = FV_OK;
  fv_part part[FV_SPLITS] = {0};
  fv_shape shape;
  folder f = {.o = o, .arena = d->arena};
  FV_TRY_DONE(scan(&f));
  FV_TRY_DONE(find_shape(&f, &shape));
  d->classes = (const char *const *)f.class_name;
  d->n_classes = (int)f.n_classes;
  for (int s = 0; s < FV_SPLITS && f.dir[s]; s++) {
    part[s] = (fv_part){.path = f.dir[s], .n = f.split[s].n, .image = shape, .label = f.split[s].label};
    FV_REQUIRE_DONE(part[s].n > 0, FV_ERR_REQUEST, "dataset (%s): expected images, got none", f.dir[s]);
  }
  FV_TRY_DONE(fv_path_hold(o, d, part, pour, &f));
done:
  free_pictures(&f);
  return status;
}

/* ---- episodes ---------------------------------------------------------------------------------------------------- */
static fv_status pour_ink(const folder *f, const fv_glyphs *g, uint8_t *ink) {
  const pictures *p = &f->split[FV_SPLIT_TRAIN];
  for (int64_t i = 0; ink && i < p->n; i++) FV_TRY(fv_ink_read(p->path[i], g->h, g->w, ink + i * g->h * g->w));
  return FV_OK;
}

/* All classes are scanned as one part, and then cut. */
fv_status fv_path_open_episodes(const fv_data_open *o, fv_dataset *d) {
  fv_status status = FV_OK;
  folder f = {.o = o, .arena = d->arena, .dir = {[FV_SPLIT_TRAIN] = o->path}};
  const pictures *all = &f.split[FV_SPLIT_TRAIN];
  uint8_t *ink;
  FV_REQUIRE(o->size.ndim < 3 || o->size.dim[2] == 1, FV_ERR_REQUEST,
             "dataset (%s): expected @HxW or @HxWx1, got %lld channels", o->path, (long long)o->size.dim[2]);
  FV_TRY_DONE(scan(&f));
  const int64_t n = (int64_t)f.n_classes;
  int32_t *examples = fv_arena_alloc(d->arena, (size_t)n * sizeof *examples);
  FV_REQUIRE_DONE(examples, FV_ERR_MEMORY, "dataset (%s): no memory", o->path);
  for (int64_t i = 0; i < all->n; i++) examples[all->label[i]]++;
  const fv_glyphs g = {.classes = n, .examples = examples, .turns = 1,
                       .h = o->size.ndim ? o->size.dim[0] : FV_INK_SIDE,
                       .w = o->size.ndim ? o->size.dim[1] : FV_INK_SIDE,
                       .part = {n - 2 * (n / 5), n / 5, n / 5}, .episodes = FV_EPISODES};
  FV_TRY_DONE(fv_episodes_hold(o, d, &g, &ink));
  FV_TRY_DONE(pour_ink(&f, &g, ink));
done:
  free_pictures(&f);
  return status;
}

/* ---- a support set ----------------------------------------------------------------------------------------------- */
static fv_status take_pictures(const folder *f, fv_support *s) {
  const pictures *p = &f->split[FV_SPLIT_TRAIN];
  const size_t skip = strlen(f->dir[FV_SPLIT_TRAIN]);
  s->n_classes = (int)f->n_classes;
  s->classes = (const char *const *)f->class_name;
  for (int64_t i = 0; i < p->n; i++) {
    const char *name = p->path[i] + skip;
    s->label[i] = p->label[i];
    s->picture[i] = name + strspn(name, "/");
    FV_TRY(fv_ink_read(p->path[i], s->h, s->w, s->ink + i * s->h * s->w));
  }
  return FV_OK;
}

fv_status fv_support_read(const char *dir, int64_t h, int64_t w, fv_support **support) {
  fv_status status = FV_OK;
  folder f = {.dir = {[FV_SPLIT_TRAIN] = dir}};
  *support = NULL;
  FV_TRY(fv_arena_new(&f.arena));
  FV_TRY_DONE(scan_dirs(&f));
  FV_TRY_DONE(fv_support_new(&f.arena, f.split[FV_SPLIT_TRAIN].n, h, w, support));
  FV_TRY_DONE(take_pictures(&f, *support));
done:
  free_pictures(&f);
  fv_arena_free(f.arena);
  if (status != FV_OK) {
    fv_support_free(*support);
    *support = NULL;
  }
  return status;
}
