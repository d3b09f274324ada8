/* SPDX-License-Identifier: Apache-2.0 */
/* idx.c: images and labels from IDX files, unpacked straight into the place where they stay: a dataset is in memory
 * once. */
#include "data/sets.h"

static fv_status pour(fv_gzip *g, int ndim, const int64_t *dim, uint8_t *out) {
  fv_array a;
  size_t got;
  uint8_t beyond;
  FV_TRY(fv_idx_header(g, &a));
  bool same = a.ndim == ndim && memcmp(a.dim, dim, (size_t)ndim * sizeof *dim) == 0;
  FV_REQUIRE(same && a.elem == FV_ELEM_U8, FV_ERR_CORRUPT, "%s: expected U8 %s, got %s %s", g->what,
             fv_dims_text(dim, ndim), fv_elem_names[a.elem], fv_dims_text(a.dim, a.ndim));
  FV_TRY(fv_gzip_read(g, out, a.bytes, &got));
  FV_REQUIRE(got == a.bytes, FV_ERR_CORRUPT, "%s: expected %zu bytes for %s, got %zu", g->what, a.bytes,
             fv_dims_text(dim, ndim), got);
  FV_TRY(fv_gzip_read(g, &beyond, 1, &got)); /* runs into gzip's checksum as well */
  FV_REQUIRE(got == 0, FV_ERR_CORRUPT, "%s: expected %zu bytes for %s, got more", g->what, a.bytes,
             fv_dims_text(dim, ndim));
  return FV_OK;
}

fv_status fv_idx_pour(const char *path, int ndim, const int64_t *dim, uint8_t *out) {
  fv_map map;
  fv_gzip g;
  FV_TRY(fv_map_open(path, &map));
  fv_status status = fv_gzip_open(map.data, map.size, path, &g);
  if (status == FV_OK) {
    status = pour(&g, ndim, dim, out);
    fv_gzip_close(&g);
  }
  fv_map_close(&map);
  return status;
}

fv_status fv_idx_labels(const char *path, int64_t n, int32_t *out) {
  fv_status status = FV_OK;
  fv_array a;
  FV_TRY(fv_idx_read(path, (size_t)n * 8, &a));
  FV_REQUIRE_DONE(a.ndim == 1 && a.dim[0] == n && (a.elem == FV_ELEM_U8 || a.elem == FV_ELEM_I32), FV_ERR_CORRUPT,
                  "%s: expected U8 or I32 [%lld], got %s %s", path, (long long)n, fv_elem_names[a.elem],
                  fv_dims_text(a.dim, a.ndim));
  FV_TRY_DONE(fv_array_to_i32(&a, out));
done:
  fv_idx_free(&a);
  return status;
}

fv_status fv_idx_open_row(const fv_data_open *o, fv_dataset *d, fv_shape image, const int64_t count[2]) {
  const fv_data_file *files = o->def->info.files;
  fv_held *h;
  FV_TRY(fv_held_new(o, d, image, count, &h));
  for (int s = 0, at = 0; h && s <= FV_SPLIT_TEST; at += (int)count[s], s++) {
    const int64_t dim[] = {count[s], image.dim[0], image.dim[1]};
    const char *path;
    FV_TRY(fv_data_need(o, &files[2 * s], d->arena, &path));
    FV_TRY(fv_idx_pour(path, 3, dim, h->image + at * h->pixels));
    FV_TRY(fv_data_need(o, &files[2 * s + 1], d->arena, &path));
    FV_TRY(fv_idx_labels(path, count[s], h->label + at));
  }
  return FV_OK;
}
