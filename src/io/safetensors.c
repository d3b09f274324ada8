/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors.c: named tensors in one file: u64 header length, a JSON header, then the tensors' bytes.
 * Format: github.com/huggingface/safetensors, README "Format". As that library does, we ask that the tensors cover the
 * bytes after the header exactly, without holes or overlap, so that no file can mean two things. */
#include "io/io.h"

#include <stdlib.h>

#define HEADER_LIMIT ((size_t)100 * 1000 * 1000)

struct fv_safetensors {
  fv_map map; /* zero when parsed from memory */
  json_t *header; /* owns the names and the metadata */
  json_t *meta;
  int64_t n;
  fv_array *arrays; /* by name */
};

static int by_name(const void *a, const void *b) {
  return strcmp(((const fv_array *)a)->name, ((const fv_array *)b)->name);
}

static int by_address(const void *pa, const void *pb) {
  const fv_array *a = *(const fv_array *const *)pa, *b = *(const fv_array *const *)pb;
  uintptr_t x = (uintptr_t)a->data, y = (uintptr_t)b->data;
  if (x != y) return x < y ? -1 : 1;
  return a->bytes < b->bytes ? -1 : a->bytes > b->bytes; /* empty tensors first where they share a place */
}

static fv_status parse_elem(const char *text, const char *name, const char *what, fv_elem *elem) {
  for (int i = 0; i < FV_ELEMS; i++)
    if (text && strcmp(text, fv_elem_names[i]) == 0) {
      *elem = (fv_elem)i;
      return FV_OK;
    }
  return FV_FAIL(FV_ERR_REQUEST, "%s (%s): expected dtype U8, I32, I64, F16, BF16, F32 or F64, got %s", what,
                 fv_show(name, strlen(name)), text ? fv_show(text, strlen(text)) : "none");
}

static fv_status parse_shape(const json_t *shape, const char *what, fv_array *a) {
  const char *name = fv_show(a->name, strlen(a->name));
  FV_REQUIRE(json_is_array(shape) && json_array_size(shape) <= FV_ARRAY_DIMS, FV_ERR_CORRUPT,
             "%s (%s): expected a shape of at most %d dimensions", what, name, FV_ARRAY_DIMS);
  a->ndim = (int)json_array_size(shape);
  for (int i = 0; i < a->ndim; i++) {
    const json_t *d = json_array_get(shape, (size_t)i);
    FV_REQUIRE(json_is_integer(d), FV_ERR_CORRUPT, "%s (%s): expected whole numbers as shape", what, name);
    a->dim[i] = json_integer_value(d);
  }
  FV_TRY(fv_array_measure(a, what));
  return FV_OK;
}

/* One entry of the header; `data` are the `size` bytes after it. */
static fv_status parse_entry(const json_t *entry, const char *what, const uint8_t *data, size_t size, fv_array *a) {
  const char *name = fv_show(a->name, strlen(a->name));
  const json_t *offsets = json_object_get(entry, "data_offsets");
  FV_TRY(parse_elem(json_string_value(json_object_get(entry, "dtype")), a->name, what, &a->elem));
  FV_TRY(parse_shape(json_object_get(entry, "shape"), what, a));
  const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
  FV_REQUIRE(json_array_size(offsets) == 2 && json_is_integer(first) && json_is_integer(last), FV_ERR_CORRUPT,
             "%s (%s): expected two data_offsets", what, name);
  json_int_t from = json_integer_value(first), to = json_integer_value(last);
  FV_REQUIRE(from >= 0 && from <= to && (uint64_t)to <= size, FV_ERR_CORRUPT,
             "%s (%s): expected data_offsets within the file's %zu data bytes, got [%lld,%lld]", what, name, size,
             (long long)from, (long long)to);
  FV_REQUIRE((uint64_t)(to - from) == a->bytes, FV_ERR_CORRUPT,
             "%s (%s): expected %zu bytes for %s of %s, got data_offsets [%lld,%lld]", what, name, a->bytes,
             fv_dims_text(a->dim, a->ndim), fv_elem_names[a->elem], (long long)from, (long long)to);
  a->data = data + from;
  return FV_OK;
}

static fv_status check_meta(const json_t *meta, const char *what) {
  if (!meta) return FV_OK;
  FV_REQUIRE(json_is_object(meta), FV_ERR_CORRUPT, "%s: expected __metadata__ to be an object", what);
  json_t *object = (json_t *)(uintptr_t)meta;
  for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
    const char *key = json_object_iter_key(i);
    FV_REQUIRE(json_is_string(json_object_iter_value(i)), FV_ERR_CORRUPT, "%s (__metadata__): expected a text for %s",
               what, fv_show(key, strlen(key)));
  }
  return FV_OK;
}

/* The tensors follow each other from the first data byte to the last. */
static fv_status check_cover(const fv_safetensors *f, const char *what, const uint8_t *data, size_t size) {
  const fv_array **order;
  FV_TRY(FV_NEW(&order, f->n + 1));
  for (int64_t i = 0; i < f->n; i++) order[i] = &f->arrays[i];
  qsort(order, (size_t)f->n, sizeof *order, by_address);
  const uint8_t *at = data;
  fv_status status = FV_OK;
  for (int64_t i = 0; i < f->n; i++) {
    const uint8_t *p = order[i]->data;
    FV_REQUIRE_DONE(p == at, FV_ERR_CORRUPT, "%s (%s): expected its bytes to begin at offset %zu, got %zu: tensors %s",
                    what, fv_show(order[i]->name, strlen(order[i]->name)), (size_t)(at - data), (size_t)(p - data),
                    p < at ? "overlap" : "leave a hole");
    at += order[i]->bytes;
  }
  FV_REQUIRE_DONE((size_t)(at - data) == size, FV_ERR_CORRUPT, "%s: expected %zu data bytes, got %zu", what,
                  (size_t)(at - data), size);
done:
  fv_free(order);
  return status;
}

static fv_status parse_header(fv_safetensors *f, const char *what, const uint8_t *data, size_t size) {
  FV_REQUIRE(json_is_object(f->header), FV_ERR_CORRUPT, "%s: expected the header to be a JSON object", what);
  f->meta = json_object_get(f->header, "__metadata__");
  FV_TRY(check_meta(f->meta, what));
  FV_TRY(FV_NEW(&f->arrays, json_object_size(f->header) + 1));
  for (void *i = json_object_iter(f->header); i; i = json_object_iter_next(f->header, i)) {
    const char *name = json_object_iter_key(i);
    if (strcmp(name, "__metadata__") == 0) continue;
    fv_array *a = &f->arrays[f->n];
    a->name = name;
    FV_TRY(parse_entry(json_object_iter_value(i), what, data, size, a));
    f->n++;
  }
  qsort(f->arrays, (size_t)f->n, sizeof *f->arrays, by_name);
  FV_TRY(check_cover(f, what, data, size));
  return FV_OK;
}

fv_status fv_safetensors_parse(const void *bytes, size_t n, const char *what, fv_safetensors **file) {
  fv_status status = FV_OK;
  const uint8_t *p = bytes;
  fv_safetensors *f = NULL;
  uint64_t length = 0;
  *file = NULL;
  FV_REQUIRE(n >= 8, FV_ERR_CORRUPT, "%s: expected a safetensors file, got %zu bytes", what, n);
  for (int i = 7; i >= 0; i--) length = length << 8 | p[i];
  FV_REQUIRE(length <= n - 8 && length <= HEADER_LIMIT, FV_ERR_CORRUPT,
             "%s: expected a header of at most %zu bytes, got %llu", what, FV_MIN(n - 8, HEADER_LIMIT),
             (unsigned long long)length);
  FV_TRY(FV_NEW(&f, 1));
  FV_TRY_DONE(fv_json_parse(p + 8, (size_t)length, what, HEADER_LIMIT, &f->header));
  FV_TRY_DONE(parse_header(f, what, p + 8 + length, n - 8 - (size_t)length));
  *file = f;
  f = NULL;
done:
  fv_safetensors_close(f);
  return status;
}

fv_status fv_safetensors_open(const char *path, fv_safetensors **file) {
  fv_map map;
  *file = NULL;
  FV_TRY(fv_map_open(path, &map));
  fv_status status = fv_safetensors_parse(map.data, map.size, path, file);
  if (status == FV_OK) (*file)->map = map;
  else fv_map_close(&map);
  return status;
}

void fv_safetensors_close(fv_safetensors *f) {
  if (!f) return;
  json_decref(f->header);
  fv_free(f->arrays);
  if (f->map.data) fv_map_close(&f->map);
  fv_free(f);
}

int64_t fv_safetensors_count(const fv_safetensors *f) { return f->n; }

const fv_array *fv_safetensors_at(const fv_safetensors *f, int64_t i) { return &f->arrays[i]; }

const fv_array *fv_safetensors_find(const fv_safetensors *f, const char *name) {
  fv_array key = {.name = name};
  return f->n == 0 ? NULL : bsearch(&key, f->arrays, (size_t)f->n, sizeof *f->arrays, by_name);
}

const char *fv_safetensors_meta(const fv_safetensors *f, const char *key) {
  return json_string_value(json_object_get(f->meta, key));
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */
/* A copy of the arrays by name; equal names are refused. */
static fv_status sort_arrays(const fv_array *arrays, int64_t n, fv_array **sorted) {
  FV_TRY(FV_NEW(sorted, n + 1));
  if (n > 0) memcpy(*sorted, arrays, (size_t)n * sizeof *arrays);
  qsort(*sorted, (size_t)n, sizeof **sorted, by_name);
  for (int64_t i = 1; i < n; i++)
    if (strcmp((*sorted)[i - 1].name, (*sorted)[i].name) == 0) {
      const char *name = (*sorted)[i].name;
      fv_free(*sorted);
      *sorted = NULL;
      return FV_FAIL(FV_ERR_REQUEST, "tensors: expected different names, got '%s' twice",
                     fv_show(name, strlen(name)));
    }
  return FV_OK;
}

static void put_header_entry(fv_json *j, const fv_array *a, size_t from) {
  fv_json_begin(j, a->name, '{');
  fv_json_text(j, "dtype", fv_elem_names[a->elem]);
  fv_json_begin(j, "shape", '[');
  for (int i = 0; i < a->ndim; i++) fv_json_int(j, NULL, a->dim[i]);
  fv_json_end(j, ']');
  fv_json_begin(j, "data_offsets", '[');
  fv_json_int(j, NULL, (int64_t)from);
  fv_json_int(j, NULL, (int64_t)(from + a->bytes));
  fv_json_end(j, ']');
  fv_json_end(j, '}');
}

/* Where an array's bytes begin: after those of wider elements and after the same width's earlier names. */
static fv_status put_header(fv_json *j, const fv_array *sorted, int64_t n, const fv_pair *meta, int64_t n_meta) {
  size_t *from, at = 0;
  FV_TRY(FV_NEW(&from, n + 1));
  for (int width = 8; width > 0; width /= 2)
    for (int64_t i = 0; i < n; i++)
      if (fv_elem_sizes[sorted[i].elem] == width) {
        from[i] = at;
        at += sorted[i].bytes;
      }
  fv_json_begin(j, NULL, '{');
  if (n_meta > 0) {
    fv_json_begin(j, "__metadata__", '{');
    for (int64_t i = 0; i < n_meta; i++) fv_json_text(j, meta[i].key, meta[i].value);
    fv_json_end(j, '}');
  }
  for (int64_t i = 0; i < n; i++) put_header_entry(j, &sorted[i], from[i]);
  fv_json_end(j, '}');
  fv_free(from);
  while (j->text.n % 8 != 0 && !j->text.failed) fv_text_append(&j->text, " ", 1);
  FV_REQUIRE(!j->text.failed, FV_ERR_MEMORY, "safetensors header: no memory for %zu bytes", j->text.n);
  return FV_OK;
}

fv_status fv_safetensors_write(const char *path, const fv_array *arrays, int64_t n, const fv_pair *meta,
                               int64_t n_meta) {
  fv_status status = FV_OK;
  fv_array *sorted = NULL;
  fv_json j = {0};
  fv_writer *w = NULL;
  uint8_t length[8];
  FV_TRY_DONE(sort_arrays(arrays, n, &sorted));
  FV_TRY_DONE(put_header(&j, sorted, n, meta, n_meta));
  for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)j.text.n >> 8 * i);
  FV_TRY_DONE(fv_writer_open(path, &w));
  FV_TRY_DONE(fv_writer_write(w, length, sizeof length));
  FV_TRY_DONE(fv_writer_write(w, j.text.s, j.text.n));
  for (int width = 8; width > 0; width /= 2)
    for (int64_t i = 0; i < n; i++)
      if (fv_elem_sizes[sorted[i].elem] == width && sorted[i].bytes > 0)
        FV_TRY_DONE(fv_writer_write(w, sorted[i].data, sorted[i].bytes));
  status = fv_writer_commit(w);
  w = NULL;
done:
  fv_writer_abort(w);
  fv_json_free(&j);
  fv_free(sorted);
  return status;
}

fv_status fv_arrays_sha256(const fv_array *arrays, int64_t n, char hex[65]) {
  fv_array *sorted;
  fv_sha256 s;
  FV_TRY(sort_arrays(arrays, n, &sorted));
  fv_sha256_init(&s);
  for (int64_t i = 0; i < n; i++) fv_sha256_update(&s, sorted[i].data, sorted[i].bytes);
  fv_sha256_final(&s, hex);
  fv_free(sorted);
  return FV_OK;
}
