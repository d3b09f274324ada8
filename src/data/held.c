/* SPDX-License-Identifier: Apache-2.0 */
/* held.c: datasets that lie whole in memory, one slab: images, labels, and for each split the list of its rows. Where
 * the world gives no test part, one is cut off: stratified, and by a shuffle no seed changes, so that no run ever
 * trains on what another run tests on. */
#include "data/sets.h"

static void read_held(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  (void)draw;
  const fv_held *h = d->impl;
  int64_t row = h->row[split][index];
  if (out[0]) memcpy(out[0], h->image + row * h->pixels, (size_t)h->pixels);
  if (out[1]) memcpy(out[1], h->label + row, sizeof *h->label);
}

static fv_status make_held(const fv_data_open *o, fv_dataset *d, fv_shape image, fv_held **held) {
  int64_t n = d->count[FV_SPLIT_TRAIN] + d->count[FV_SPLIT_TEST], pixels = fv_shape_count(image), bytes;
  *held = NULL;
  FV_REQUIRE(n <= INT32_MAX && !__builtin_mul_overflow(n, pixels, &bytes) && bytes <= INT64_MAX / 4, FV_ERR_REQUEST,
             "dataset (%s): expected at most %d images that fit in memory, got %lld", d->name, INT32_MAX, (long long)n);
  d->n_fields = 2;
  d->field[0] = (fv_field){.name = "image", .dtype = FV_U8, .shape = image};
  d->field[1] = (fv_field){.name = "label", .dtype = FV_I32, .shape = FV_SCALAR};
  d->read = read_held;
  bytes = fv_round_up(bytes, FV_ALIGN);
  FV_TRY(fv_slab_new(o->ledger, FV_ACCOUNT_DATA, bytes + 8 * n, &d->slab));
  if (!d->slab) return FV_OK;
  fv_held *h = fv_arena_alloc(d->arena, sizeof *h);
  FV_REQUIRE(h, FV_ERR_MEMORY, "dataset (%s): no memory", d->name);
  h->pixels = pixels;
  h->image = d->slab;
  h->label = (int32_t *)(void *)(h->image + bytes);
  h->row[FV_SPLIT_TRAIN] = h->label + n;
  h->row[FV_SPLIT_TEST] = h->row[FV_SPLIT_TRAIN] + d->count[FV_SPLIT_TRAIN];
  d->impl = *held = h;
  return FV_OK;
}

fv_status fv_held_new(const fv_data_open *o, fv_dataset *d, fv_shape image, const int64_t count[2],
                      fv_held **held) {
  int64_t n = count[FV_SPLIT_TRAIN] + count[FV_SPLIT_TEST];
  for (int s = FV_SPLIT_TRAIN; s <= FV_SPLIT_TEST; s++) d->count[s] = count[s];
  FV_TRY(make_held(o, d, image, held));
  for (int64_t i = 0; *held && i < n; i++) (*held)->row[0][i] = (int32_t)i; /* the lists lie one behind the other */
  return FV_OK;
}

fv_status fv_held_new_cut(const fv_data_open *o, fv_dataset *d, fv_shape image, const int32_t *label, int64_t n,
                          fv_held **held) {
  fv_status status = FV_OK;
  uint8_t *is_test = NULL;
  *held = NULL;
  FV_TRY_DONE(FV_NEW(&is_test, n));
  FV_TRY_DONE(fv_data_cut(label, n, d->n_classes, FV_FOLDS, o->reading->fold, is_test));
  d->count[FV_SPLIT_TRAIN] = d->count[FV_SPLIT_TEST] = 0;
  for (int64_t i = 0; i < n; i++) d->count[is_test[i]]++;
  FV_REQUIRE_DONE(d->count[FV_SPLIT_TEST] > 0, FV_ERR_REQUEST,
                  "dataset (%s): expected a class of 3 images or more to cut a test part from, got %lld of %d classes",
                  d->name, (long long)n, d->n_classes);
  FV_TRY_DONE(make_held(o, d, image, held));
  if (!*held) goto done;
  int64_t at[FV_SPLITS] = {0};
  for (int64_t i = 0; i < n; i++) (*held)->row[is_test[i]][at[is_test[i]]++] = (int32_t)i;
  memcpy((*held)->label, label, (size_t)n * sizeof *label);
done:
  fv_free(is_test);
  return status;
}

fv_status fv_data_cut(const int32_t *label, int64_t n, int n_classes, int folds, int64_t fold, uint8_t *is_test) {
  fv_status status = FV_OK;
  int32_t *order = NULL;
  int64_t *size = NULL, *seen;
  FV_REQUIRE(n > 0 && n <= INT32_MAX, FV_ERR_REQUEST, "dataset: expected 1 to %d images, got %lld", INT32_MAX,
             (long long)n);
  FV_TRY_DONE(FV_NEW(&order, n));
  FV_TRY_DONE(FV_NEW(&size, 2 * n_classes));
  seen = size + n_classes;
  fv_rng rng = fv_rng_new(0, fv_stream_of("data.cut"));
  fv_rng_permutation(&rng, order, n);
  for (int64_t i = 0; i < n; i++) size[label[i]]++;
  for (int64_t i = 0; i < n; i++) {
    int32_t c = label[order[i]];
    int64_t from = (fold * size[c] + folds / 2) / folds, to = ((fold + 1) * size[c] + folds / 2) / folds,
            at = seen[c]++;
    is_test[order[i]] = at >= from && at < to;
  }
done:
  fv_free(order);
  fv_free(size);
  return status;
}

fv_status fv_data_number_classes(fv_dataset *d, int n_classes) {
  const char **names = fv_arena_alloc(d->arena, (size_t)n_classes * sizeof *names);
  for (int c = 0; names && c < n_classes; c++)
    if (!(names[c] = fv_arena_printf(d->arena, "%d", c))) names = NULL;
  FV_REQUIRE(names, FV_ERR_MEMORY, "dataset (%s): no memory for %d class names", d->name, n_classes);
  d->classes = names;
  d->n_classes = n_classes;
  return FV_OK;
}

fv_status fv_data_no_fold(const fv_data_open *o) {
  FV_REQUIRE(o->reading->fold == 0, FV_ERR_REQUEST,
             "fold (%s): expected 0, since the data have a test part of their own, got %lld",
             o->path ? o->path : o->def->info.name, (long long)o->reading->fold);
  return FV_OK;
}
