/* SPDX-License-Identifier: Apache-2.0 */
/* cifar.c: the binary version of CIFAR-10 and CIFAR-100: records of one or two label bytes and three 32x32 planes (red,
 * green, blue), turned to channels-last here. Format: www.cs.toronto.edu/~kriz/cifar.html. */
#include "io/io.h"

#define PLANE 1024

fv_status fv_cifar_parse(const void *bytes, size_t n, const char *what, int label_bytes, fv_cifar *batch) {
  *batch = (fv_cifar){0};
  FV_ASSERT(label_bytes == 1 || label_bytes == 2);
  size_t record = (size_t)label_bytes + 3 * PLANE, count = n / record;
  int classes = label_bytes == 1 ? 10 : 100;
  FV_REQUIRE(count > 0 && n % record == 0, FV_ERR_CORRUPT, "%s: expected records of %zu bytes, got %zu bytes", what,
             record, n);
  const uint8_t *p = bytes;
  for (size_t i = 0; i < count; i++) {
    int label = p[i * record + (size_t)label_bytes - 1];
    FV_REQUIRE(label < classes, FV_ERR_CORRUPT, "%s (record %zu): expected a label below %d, got %d", what, i, classes,
               label);
  }
  fv_status status = FV_OK;
  FV_TRY_DONE(FV_NEW(&batch->pixels, count * 3 * PLANE));
  FV_TRY_DONE(FV_NEW(&batch->labels, count));
  batch->n = (int64_t)count;
  uint8_t *out = batch->pixels;
  for (size_t i = 0; i < count; i++, p += record) {
    const uint8_t *planes = p + label_bytes;
    batch->labels[i] = planes[-1];
    for (int k = 0; k < PLANE; k++, out += 3)
      for (int c = 0; c < 3; c++) out[c] = planes[c * PLANE + k];
  }
done:
  if (status != FV_OK) fv_cifar_free(batch);
  return status;
}

fv_status fv_cifar_read(const char *path, int label_bytes, fv_cifar *batch) {
  fv_map map;
  *batch = (fv_cifar){0};
  FV_TRY(fv_map_open(path, &map));
  fv_status status = fv_cifar_parse(map.data, map.size, path, label_bytes, batch);
  fv_map_close(&map);
  return status;
}

void fv_cifar_free(fv_cifar *batch) {
  fv_free(batch->pixels);
  fv_free(batch->labels);
  *batch = (fv_cifar){0};
}
