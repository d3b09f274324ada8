/* SPDX-License-Identifier: Apache-2.0 */
/* registry.c: the table of datasets, and opening one of them or a path. Whatever opens, the labels are looked at once
 * here, so that nothing behind needs to doubt them. */
#include "data/sets.h"

const char *const fv_split_names[FV_SPLITS + 1] = {"train", "test", "validation", NULL};

static const fv_dataset_def path_def = {.info = {.name = "path", .folds = FV_FOLDS}, .open = fv_path_open};

int fv_dataset_count(void) {
  int n = 0;
  while (fv_datasets[n]) n++;
  return n;
}

fv_dataset_info fv_dataset_get_info(int i) {
  return i >= 0 && i < fv_dataset_count() ? fv_datasets[i]->info : (fv_dataset_info){0};
}

int fv_dataset_find(const char *name) {
  for (int i = 0; name && fv_datasets[i]; i++)
    if (strcmp(fv_datasets[i]->info.name, name) == 0) return i;
  return -1;
}

int fv_dataset_folds(const char *name_or_path) {
  const int row = fv_dataset_find(name_or_path);
  return (row < 0 ? &path_def : fv_datasets[row])->info.folds;
}

/* A word without '/', '.' or '@' is meant as a name, unless something of that name lies here. */
static bool looks_like_path(const char *text) { return strpbrk(text, "/.@") || fv_path_exists(text); }

static fv_status refuse_name(const char *name) {
  enum { SHOWN = 64 };
  const char *names[SHOWN + 1] = {0};
  fv_text list = {0};
  for (int i = 0; i < SHOWN && fv_datasets[i]; i++) {
    names[i] = fv_datasets[i]->info.name;
    fv_text_printf(&list, "%s%s", i ? ", " : "", names[i]);
  }
  const char *near = fv_nearest_name(name, names);
  fv_status status =
      near ? FV_FAIL(FV_ERR_REQUEST, "dataset (%s): expected a known name or a path, got neither; did you mean '%s'?",
                     name, near)
           : FV_FAIL(FV_ERR_REQUEST, "dataset (%s): expected a path or one of %s, got neither", name,
                     list.s ? list.s : "none");
  fv_text_free(&list);
  return status;
}

/* "P@HxW" or "P@HxWxC", unless there is a file of the whole name. */
static fv_status split_size(fv_data_open *o, fv_arena *arena) {
  const char *at = strrchr(o->path, '@');
  if (!at || fv_path_exists(o->path) || strchr(at, '/')) return FV_OK;
  long long v[3];
  int used = 0, n = sscanf(at + 1, "%4lldx%4lldx%1lld%n", &v[0], &v[1], &v[2], &used);
  if (n == 2) n = sscanf(at + 1, "%4lldx%4lld%n", &v[0], &v[1], &used);
  bool good = n >= 2 && at[1 + used] == 0;
  for (int i = 0; good && i < n; i++) good = v[i] >= 1 && v[i] <= (i < 2 ? 4096 : 4);
  FV_REQUIRE(good, FV_ERR_REQUEST, "dataset (%s): expected a size as @HxW or @HxWxC of at most 4096x4096x4, got '%s'",
             o->path, at);
  o->size.ndim = n;
  for (int i = 0; i < n; i++) o->size.dim[i] = v[i];
  o->path = fv_arena_printf(arena, "%.*s", (int)(at - o->path), o->path);
  FV_REQUIRE(o->path, FV_ERR_MEMORY, "dataset: no memory for a name");
  return FV_OK;
}

/* Those of episodes are made, not read. */
static fv_status check_labels(const fv_dataset *d) {
  const int f = fv_dataset_field(d, "label");
  if (f < 0 || d->field[f].shape.ndim > 0) return FV_OK;
  for (int s = 0; s < FV_SPLITS; s++)
    for (int64_t i = 0; i < d->count[s]; i++) {
      int32_t label = -1;
      fv_dataset_read_field(d, (fv_split)s, i, "label", &label);
      FV_REQUIRE(label >= 0 && label < d->n_classes, FV_ERR_CORRUPT,
                 "dataset (%s, %s sample %lld): expected a label from 0 to %d, got %d", d->name, fv_split_names[s],
                 (long long)i, d->n_classes - 1, label);
    }
  return FV_OK;
}

static fv_status check_opened(const fv_data_open *o, const fv_dataset *d) {
  for (int s = o->reading->ask ? FV_SPLIT_TEST : FV_SPLIT_TRAIN; s <= FV_SPLIT_TEST; s++)
    FV_REQUIRE(d->count[s] > 0, FV_ERR_REQUEST, "dataset (%s): expected %s samples, got none", d->name,
               fv_split_names[s]);
  FV_REQUIRE(d->n_classes >= 2 || fv_dataset_field(d, "label") < 0, FV_ERR_REQUEST,
             "dataset (%s): expected at least 2 classes, got %d", d->name, d->n_classes);
  if (!(o->ledger && o->ledger->dry)) FV_TRY(check_labels(d));
  return FV_OK;
}

void fv_reading_free(fv_reading *r) {
  for (int i = 0; r && i < FV_TOKENIZED; i++) {
    fv_tokenizer_free(r->tokenizer[i]);
    r->tokenizer[i] = NULL;
  }
  if (!r) return;
  fv_free(r->channels);
  r->channels = NULL;
  fv_catalogue_free(r->catalogue);
  r->catalogue = NULL;
}

static fv_status set_reading(const fv_dataset_def *def, fv_reading *reading, fv_dataset *d) {
  d->reading = reading;
  if (!reading) {
    FV_TRY(FV_NEW(&d->own_reading, 1));
    d->reading = d->own_reading;
  }
  const int64_t folds = FV_MAX(def->info.folds, 1);
  FV_REQUIRE(d->reading->fold < folds, FV_ERR_REQUEST, "fold (%s): expected 0 to %lld, got %lld%s", d->name,
             (long long)folds - 1, (long long)d->reading->fold,
             folds == 1 ? ": the data have a test part of their own" : "");
  return FV_OK;
}

fv_status fv_dataset_open(const char *name_or_path, fv_reading *reading, uint64_t seed, fv_ledger *ledger,
                          fv_progress *progress, void *arg, fv_dataset **dataset) {
  fv_status status = FV_OK;
  fv_dataset *d = NULL;
  *dataset = NULL;
  FV_REQUIRE(name_or_path && *name_or_path, FV_ERR_REQUEST, "dataset: expected a name or a path, got nothing");
  fv_data_open o = {.seed = seed, .ledger = ledger, .progress = progress, .progress_arg = arg};
  int row = fv_dataset_find(name_or_path);
  if (row < 0 && !looks_like_path(name_or_path)) return refuse_name(name_or_path);
  FV_TRY_DONE(FV_NEW(&d, 1));
  FV_TRY_DONE(fv_arena_new(&d->arena));
  d->name = fv_arena_strdup(d->arena, name_or_path);
  FV_REQUIRE_DONE(d->name, FV_ERR_MEMORY, "dataset: no memory for a name");
  o.def = row >= 0 ? fv_datasets[row] : &path_def;
  if (row < 0) {
    o.path = d->name;
    FV_TRY_DONE(split_size(&o, d->arena));
  }
  FV_TRY_DONE(set_reading(o.def, reading, d));
  o.reading = d->reading;
  FV_TRY_DONE(o.def->open(&o, d));
  if (o.reading->superpixels > 0) FV_TRY_DONE(fv_superpixels_of(&o, d));
  FV_TRY_DONE(check_opened(&o, d));
  *dataset = d;
  d = NULL;
done:
  fv_dataset_close(d);
  return status;
}

fv_status fv_dataset_give(fv_dataset *d, fv_status status, fv_dataset **dataset) {
  if (status == FV_OK) *dataset = d;
  else fv_dataset_close(d);
  return status;
}

void fv_dataset_close(fv_dataset *d) {
  if (!d) return;
  if (d->close) d->close(d);
  fv_reading_free(d->own_reading);
  fv_free(d->own_reading);
  fv_slab_free(d->slab);
  fv_arena_free(d->arena);
  fv_free(d);
}

int fv_dataset_field(const fv_dataset *d, const char *name) {
  for (int i = 0; i < d->n_fields; i++)
    if (strcmp(d->field[i].name, name) == 0) return i;
  return -1;
}

bool fv_dataset_has_images(const fv_dataset *d) {
  const int image = fv_dataset_field(d, "image");
  for (int f = 0; f < d->n_fields; f++)
    if (d->field[f].drawn) return true;
  return image >= 0 && d->field[image].dtype == FV_U8;
}

int64_t fv_field_bytes(const fv_field *field, int64_t length) {
  fv_shape shape = field->shape;
  if (field->shared) return 0;
  if (field->varies) shape.dim[0] = length;
  return fv_shape_count(shape) * (int64_t)fv_dtype_size(field->dtype);
}

void fv_dataset_read_field(const fv_dataset *d, fv_split split, int64_t index, const char *field, void *out) {
  void *each[FV_MAX_FIELDS] = {NULL};
  each[fv_dataset_field(d, field)] = out;
  d->read(d, split, index, 0, each);
}
