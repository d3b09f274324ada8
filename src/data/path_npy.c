/* SPDX-License-Identifier: Apache-2.0 */
/* path_npy.c: X.npy and y.npy. Pixels are bytes, whole numbers of 0..255, or fractions of 0..1; which of the two, the
 * largest value of the training part says. */
#include "data/sets.h"

#include <math.h>

enum { CHUNK = 4096 };

/* Values [at, at + n) as floats: the file may be larger than memory is wide. */
static fv_status some_values(const fv_array *a, int64_t at, int64_t n, float *out) {
  fv_array part = *a;
  part.data = (const char *)a->data + (size_t)at * fv_elem_sizes[a->elem];
  part.count = n;
  part.ndim = 1;
  part.dim[0] = n;
  part.bytes = (size_t)n * fv_elem_sizes[a->elem];
  return fv_array_to_f32(&part, out);
}

static fv_status largest(const fv_array *a, float *most) {
  float v[CHUNK];
  *most = 0;
  for (int64_t at = 0; at < a->count; at += CHUNK) {
    int64_t n = FV_MIN(a->count - at, CHUNK);
    FV_TRY(some_values(a, at, n, v));
    for (int64_t i = 0; i < n; i++) *most = FV_MAX(*most, v[i]);
  }
  return FV_OK;
}

static fv_status to_bytes(const fv_array *a, const char *path, bool fractions, uint8_t *out) {
  float v[CHUNK];
  for (int64_t at = 0; at < a->count; at += CHUNK) {
    int64_t n = FV_MIN(a->count - at, CHUNK);
    FV_TRY(some_values(a, at, n, v));
    for (int64_t i = 0; i < n; i++) {
      bool good = fractions ? v[i] >= 0 && v[i] <= 1 : v[i] >= 0 && v[i] <= 255 && v[i] == floorf(v[i]);
      FV_REQUIRE(good, FV_ERR_REQUEST, "dataset (%s, value %lld): expected %s, got %g", path, (long long)(at + i),
                 fractions ? "a fraction of 0 to 1" : "a whole number of 0 to 255", (double)v[i]);
      out[at + i] = (uint8_t)lrintf(fractions ? 255 * v[i] : v[i]);
    }
  }
  return FV_OK;
}

static fv_status pour(const fv_part *part, void *arg, uint8_t *out) {
  const bool *fractions = arg;
  fv_status status = FV_OK;
  fv_npy npy;
  FV_TRY(fv_npy_open(part->path, &npy));
  const fv_array *a = &npy.array;
  FV_REQUIRE_DONE(a->count == part->n * fv_shape_count(part->image), FV_ERR_IO,
                  "%s: expected the same array as a moment ago, got %s", part->path, fv_dims_text(a->dim, a->ndim));
  if (a->elem == FV_ELEM_U8) memcpy(out, a->data, a->bytes);
  else FV_TRY_DONE(to_bytes(a, part->path, *fractions, out));
done:
  fv_npy_close(&npy);
  return status;
}

static fv_status read_labels(fv_arena *arena, const char *images, fv_part *part) {
  fv_status status = FV_OK;
  fv_npy npy;
  const char *path = fv_path_labels(arena, images);
  FV_REQUIRE(path, FV_ERR_NOTFOUND,
             "dataset (%s): expected labels beside it (y for X, labels for images), got none", images);
  FV_TRY(fv_npy_open(path, &npy));
  const fv_array *a = &npy.array;
  bool list = a->ndim == 1 || (a->ndim == 2 && a->dim[1] == 1);
  FV_REQUIRE_DONE(list && a->count == part->n, FV_ERR_REQUEST, "dataset (%s): expected %lld labels, got %s", path,
                  (long long)part->n, fv_dims_text(a->dim, a->ndim));
  FV_REQUIRE_DONE(a->elem == FV_ELEM_U8 || a->elem == FV_ELEM_I32 || a->elem == FV_ELEM_I64, FV_ERR_REQUEST,
                  "dataset (%s): expected whole-number labels, got %s", path, fv_elem_names[a->elem]);
  FV_TRY_DONE(FV_NEW(&part->label, part->n));
  FV_TRY_DONE(fv_array_to_i32(a, part->label));
done:
  fv_npy_close(&npy);
  return status;
}

static fv_status measure(const fv_data_open *o, fv_arena *arena, const char *path, fv_part *part, bool *fractions) {
  fv_status status = FV_OK;
  fv_npy npy;
  float most = 0;
  part->path = path;
  FV_TRY(fv_npy_open(path, &npy));
  FV_TRY_DONE(fv_path_array_shape(o, &npy.array, path, &part->image));
  part->n = npy.array.dim[0];
  bool real = npy.array.elem != FV_ELEM_U8 && npy.array.elem != FV_ELEM_I32 && npy.array.elem != FV_ELEM_I64;
  if (fractions && real) FV_TRY_DONE(largest(&npy.array, &most));
  if (fractions) *fractions = real && most <= 1;
  FV_TRY_DONE(read_labels(arena, path, part));
done:
  fv_npy_close(&npy);
  return status;
}

fv_status fv_path_open_npy(const fv_data_open *o, fv_dataset *d) {
  fv_status status = FV_OK;
  fv_part part[FV_SPLITS] = {0};
  bool fractions;
  const char *test = fv_path_part(d->arena, o->path, FV_SPLIT_TEST);
  FV_TRY_DONE(measure(o, d->arena, o->path, &part[FV_SPLIT_TRAIN], &fractions));
  if (test) FV_TRY_DONE(measure(o, d->arena, test, &part[FV_SPLIT_TEST], NULL));
  FV_TRY_DONE(fv_path_number_classes(part, d));
  FV_TRY_DONE(fv_path_hold(o, d, part, pour, &fractions));
done:
  fv_path_free_parts(part);
  return status;
}
