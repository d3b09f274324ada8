/* SPDX-License-Identifier: Apache-2.0 */
/* idx.c: the format of MNIST's files: two zero bytes, element type, number of dimensions, big-endian sizes, data.
 * Format: "THE IDX FILE FORMAT", LeCun's MNIST page. The data are unpacked straight into their final place, whose size
 * the header gives; it is held against the file's own size and the caller's limit before memory is taken. */
#include "io/io.h"

static fv_status parse_type(const uint8_t magic[4], const char *what, fv_array *a) {
  FV_REQUIRE(magic[0] == 0 && magic[1] == 0, FV_ERR_CORRUPT, "%s: expected an IDX file, got other bytes", what);
  switch (magic[2]) {
    case 0x08: a->elem = FV_ELEM_U8; break;
    case 0x0c: a->elem = FV_ELEM_I32; break;
    case 0x0d: a->elem = FV_ELEM_F32; break;
    case 0x0e: a->elem = FV_ELEM_F64; break;
    default:
      return FV_FAIL(FV_ERR_REQUEST, "%s: expected IDX type 0x08, 0x0c, 0x0d or 0x0e, got 0x%02x", what, magic[2]);
  }
  FV_REQUIRE(magic[3] >= 1 && magic[3] <= FV_ARRAY_DIMS, FV_ERR_CORRUPT, "%s: expected 1 to %d dimensions, got %d",
             what, FV_ARRAY_DIMS, magic[3]);
  a->ndim = magic[3];
  return FV_OK;
}

static fv_status read_exact(fv_gzip *g, void *out, size_t n, const char *part) {
  size_t got;
  FV_TRY(fv_gzip_read(g, out, n, &got));
  FV_REQUIRE(got == n, FV_ERR_CORRUPT, "%s: expected %zu bytes of %s, got %zu", g->what, n, part, got);
  return FV_OK;
}

fv_status fv_idx_header(fv_gzip *g, fv_array *a) {
  uint8_t magic[4], size[4 * FV_ARRAY_DIMS];
  *a = (fv_array){0};
  FV_TRY(read_exact(g, magic, sizeof magic, "IDX header"));
  FV_TRY(parse_type(magic, g->what, a));
  FV_TRY(read_exact(g, size, 4 * (size_t)a->ndim, "IDX header"));
  for (int i = 0; i < a->ndim; i++) {
    const uint8_t *p = size + 4 * i;
    a->dim[i] = (int64_t)p[0] << 24 | (int64_t)p[1] << 16 | (int64_t)p[2] << 8 | p[3];
  }
  FV_TRY(fv_array_measure(a, g->what));
  return FV_OK;
}

static void reverse_bytes(uint8_t *p, int64_t count, size_t size) {
  for (int64_t i = 0; i < count; i++, p += size)
    for (size_t k = 0; k < size / 2; k++) {
      uint8_t t = p[k];
      p[k] = p[size - 1 - k];
      p[size - 1 - k] = t;
    }
}

fv_status fv_idx_parse(const void *bytes, size_t n, const char *what, size_t limit, fv_array *array) {
  fv_status status = FV_OK;
  fv_array a = {0};
  uint8_t *data = NULL, beyond;
  size_t got;
  fv_gzip g;
  *array = a;
  FV_TRY(fv_gzip_open(bytes, n, what, &g));
  FV_TRY_DONE(fv_idx_header(&g, &a));
  FV_REQUIRE_DONE(a.bytes <= fv_gzip_most(bytes, n), FV_ERR_CORRUPT, "%s: expected %zu bytes for %s, got a file of %zu",
                  what, a.bytes, fv_dims_text(a.dim, a.ndim), n);
  FV_REQUIRE_DONE(a.bytes <= limit, FV_ERR_REQUEST, "%s: expected at most %zu bytes, got %s", what, limit,
                  fv_dims_text(a.dim, a.ndim));
  FV_TRY_DONE(FV_NEW(&data, a.bytes + 1));
  FV_TRY_DONE(read_exact(&g, data, a.bytes, "data"));
  FV_TRY_DONE(fv_gzip_read(&g, &beyond, 1, &got)); /* runs into gzip's checksum as well */
  FV_REQUIRE_DONE(got == 0, FV_ERR_CORRUPT, "%s: expected %zu bytes of data, got more", what, a.bytes);
  reverse_bytes(data, a.count, fv_elem_sizes[a.elem]);
  a.data = data;
  *array = a;
  data = NULL;
done:
  fv_gzip_close(&g);
  fv_free(data);
  return status;
}

fv_status fv_idx_read(const char *path, size_t limit, fv_array *array) {
  fv_map map;
  *array = (fv_array){0};
  FV_TRY(fv_map_open(path, &map));
  fv_status status = fv_idx_parse(map.data, map.size, path, limit, array);
  fv_map_close(&map);
  return status;
}

void fv_idx_free(fv_array *array) {
  fv_free((void *)(uintptr_t)array->data);
  *array = (fv_array){0};
}
