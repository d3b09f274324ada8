/* SPDX-License-Identifier: Apache-2.0 */
/* pictures.c: images from files, as the model wants them. Photographs are scaled; arrays must fit exactly, since a
 * number that was meant for another shape is a mistake and not a picture. */
#include "train/train.h"

#include <math.h>

fv_shape fv_model_picture(const fv_model *m) {
  return m->reading.picture.ndim ? m->reading.picture : m->task.image;
}

static fv_status from_image(const fv_model *m, const char *path, uint8_t **pixels, int64_t *n) {
  const fv_shape want = fv_model_picture(m);
  int h = (int)want.dim[0], w = (int)want.dim[1], c = (int)want.dim[2];
  fv_image image, sized;
  FV_TRY(fv_image_read(path, c, &image));
  fv_status status = fv_image_resize(&image, w, h, &sized);
  fv_image_free(&image);
  FV_TRY(status);
  *pixels = sized.pixels; /* from fv_alloc, as ours */
  *n = 1;
  return FV_OK;
}

/* [H,W], [H,W,C], [N,H,W] or [N,H,W,C]; bytes, or real numbers of [0, 1] or of [0, 255]. */
static fv_status from_array(const fv_model *m, const char *path, const fv_array *a, uint8_t **pixels, int64_t *n) {
  const fv_shape shape = fv_model_picture(m);
  const int64_t *want = shape.dim;
  int channels = a->ndim >= 3 && a->dim[a->ndim - 1] == want[2] ? 1 : 0, at = a->ndim - 2 - channels;
  bool grey = want[2] == 1 && a->ndim >= 2 && !(channels && at >= 0 && a->dim[at] == want[0]);
  if (grey) at = a->ndim - 2;
  bool fits = at >= 0 && at <= 1 && a->dim[at] == want[0] && a->dim[at + 1] == want[1] && (grey || channels);
  FV_REQUIRE(fits, FV_ERR_REQUEST, "%s: expected images %s (or several), got %s", path, fv_shape_text(shape),
             fv_dims_text(a->dim, a->ndim));
  *n = at ? a->dim[0] : 1;
  FV_REQUIRE(*n > 0, FV_ERR_REQUEST, "%s: expected at least one image, got none", path);
  float *v = NULL;
  fv_status status = FV_OK;
  double most = 0;
  *pixels = NULL;
  FV_TRY_DONE(FV_NEW(&v, a->count));
  FV_TRY_DONE(FV_NEW(pixels, a->count));
  FV_TRY_DONE(fv_array_to_f32(a, v));
  for (int64_t i = 0; i < a->count; i++) {
    FV_REQUIRE_DONE(v[i] >= 0 && v[i] <= 255, FV_ERR_REQUEST, "%s: expected numbers from 0 to 1 or 0 to 255, got %g",
                    path, (double)v[i]);
    most = fmax(most, (double)v[i]);
  }
  double scale = a->elem >= FV_ELEM_F16 && most <= 1 ? 255 : 1;
  for (int64_t i = 0; i < a->count; i++) (*pixels)[i] = (uint8_t)lrint(scale * (double)v[i]);
done:
  fv_free(v);
  if (status != FV_OK) {
    fv_free(*pixels);
    *pixels = NULL;
  }
  return status;
}

static fv_status from_npy(const fv_model *m, const char *path, uint8_t **pixels, int64_t *n) {
  fv_npy npy;
  FV_TRY(fv_npy_open(path, &npy));
  fv_status status = from_array(m, path, &npy.array, pixels, n);
  fv_npy_close(&npy);
  return status;
}

static fv_status from_idx(const fv_model *m, const char *path, uint8_t **pixels, int64_t *n) {
  fv_array a;
  FV_TRY(fv_idx_read(path, (size_t)1 << 31, &a));
  fv_status status = from_array(m, path, &a, pixels, n);
  fv_idx_free(&a);
  return status;
}

fv_status fv_pictures_read(const fv_model *m, const char *input, uint8_t **pixels, int64_t *n) {
  *pixels = NULL;
  *n = 0;
  fv_map map;
  FV_TRY(fv_map_open(input, &map));
  bool npy = map.size >= 6 && !memcmp(map.data, "\x93NUMPY", 6);
  bool idx = fv_ends_with(input, ".gz") || fv_ends_with(input, "ubyte") ||
             (map.size >= 2 && map.data[0] == 0 && map.data[1] == 0);
  fv_map_close(&map);
  return npy ? from_npy(m, input, pixels, n) : idx ? from_idx(m, input, pixels, n) : from_image(m, input, pixels, n);
}
