/* SPDX-License-Identifier: Apache-2.0 */
/* path_idx.c: images and labels as two IDX files, in the manner of MNIST. */
#include "data/sets.h"

static fv_status read_dims(const char *path, fv_array *a) {
  fv_map map;
  fv_gzip g;
  FV_TRY(fv_map_open(path, &map));
  size_t most = fv_gzip_most(map.data, map.size);
  fv_status status = fv_gzip_open(map.data, map.size, path, &g);
  if (status == FV_OK) {
    status = fv_idx_header(&g, a);
    fv_gzip_close(&g);
  }
  size_t size = map.size;
  fv_map_close(&map);
  FV_TRY(status);
  FV_REQUIRE(a->bytes <= most, FV_ERR_CORRUPT, "%s: expected %zu bytes for %s, got a file of %zu", path, a->bytes,
             fv_dims_text(a->dim, a->ndim), size);
  FV_REQUIRE(a->elem == FV_ELEM_U8, FV_ERR_REQUEST, "%s: expected images of type U8, got %s", path,
             fv_elem_names[a->elem]);
  return FV_OK;
}

static fv_status measure(const fv_data_open *o, fv_arena *arena, const char *path, fv_part *part) {
  fv_array a;
  part->path = path;
  FV_TRY(read_dims(path, &a));
  FV_TRY(fv_path_array_shape(o, &a, path, &part->image));
  part->n = a.dim[0];
  const char *labels = fv_path_labels(arena, path);
  FV_REQUIRE(labels, FV_ERR_NOTFOUND, "dataset (%s): expected labels beside it (labels-idx1-ubyte), got none", path);
  FV_TRY(FV_NEW(&part->label, part->n));
  return fv_idx_labels(labels, part->n, part->label);
}

static fv_status pour(const fv_part *part, void *arg, uint8_t *out) {
  (void)arg;
  fv_array a;
  FV_TRY(read_dims(part->path, &a));
  FV_REQUIRE(a.dim[0] == part->n, FV_ERR_IO, "%s: expected %lld images as a moment ago, got %lld", part->path,
             (long long)part->n, (long long)a.dim[0]);
  return fv_idx_pour(part->path, a.ndim, a.dim, out);
}

fv_status fv_path_open_idx(const fv_data_open *o, fv_dataset *d) {
  fv_status status = FV_OK;
  fv_part part[FV_SPLITS] = {0};
  const char *test = fv_path_part(d->arena, o->path, FV_SPLIT_TEST);
  FV_TRY_DONE(measure(o, d->arena, o->path, &part[FV_SPLIT_TRAIN]));
  if (test) FV_TRY_DONE(measure(o, d->arena, test, &part[FV_SPLIT_TEST]));
  FV_TRY_DONE(fv_path_number_classes(part, d));
  FV_TRY_DONE(fv_path_hold(o, d, part, pour, NULL));
done:
  fv_path_free_parts(part);
  return status;
}
