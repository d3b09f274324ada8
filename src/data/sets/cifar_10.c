/* SPDX-License-Identifier: Apache-2.0 */
/* cifar-10: small photographs of ten kinds of things, read out of the official archive as it is. */
#include "data/sets.h"

enum { PIXELS = 32 * 32 * 3, RECORD = 1 + PIXELS, PARTS = 6, CHUNK = 500 };

static const fv_data_file files[] = {
    {"cifar-10/cifar-10-binary.tar.gz", "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
     "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", 170052171, NULL},
    {0}};
static const char *const classes[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                      "dog",      "frog",       "horse", "ship", "truck"};
static const char *const members[PARTS] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                           "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};

static int part_of(const char *name) {
  const char *slash = strrchr(name, '/');
  for (int i = 0; i < PARTS; i++)
    if (strcmp(slash ? slash + 1 : name, members[i]) == 0) return i;
  return -1;
}

/* One member, a chunk at a time: the whole would be 30 MB beside its own copy. */
static fv_status pour_member(fv_archive *a, const char *what, int64_t n, uint8_t *buffer, uint8_t *image,
                             int32_t *label) {
  size_t got;
  for (int64_t done = 0; done < n;) {
    int64_t take = FV_MIN(n - done, CHUNK);
    fv_cifar batch;
    FV_TRY(fv_archive_read(a, buffer, (size_t)take * RECORD, &got));
    FV_REQUIRE(got == (size_t)take * RECORD, FV_ERR_CORRUPT, "%s: expected %lld records of %d bytes, got fewer", what,
               (long long)n, RECORD);
    FV_TRY(fv_cifar_parse(buffer, got, what, 1, &batch));
    memcpy(image + done * PIXELS, batch.pixels, (size_t)take * PIXELS);
    for (int64_t i = 0; i < take; i++) label[done + i] = batch.labels[i];
    fv_cifar_free(&batch);
    done += take;
  }
  FV_TRY(fv_archive_read(a, buffer, 1, &got));
  FV_REQUIRE(got == 0, FV_ERR_CORRUPT, "%s: expected %lld records of %d bytes, got more", what, (long long)n, RECORD);
  return FV_OK;
}

fv_status fv_cifar10_pour(const char *path, int64_t per_batch, uint8_t *image, int32_t *label) {
  fv_status status = FV_OK;
  fv_archive *a = NULL;
  uint8_t *buffer = NULL;
  unsigned seen = 0;
  const char *name = "";
  FV_TRY_DONE(FV_NEW(&buffer, CHUNK * RECORD));
  FV_TRY_DONE(fv_archive_open(path, &a));
  while (seen != (1u << PARTS) - 1) {
    FV_TRY_DONE(fv_archive_next(a, &name));
    if (!name) break;
    int part = part_of(name);
    if (part < 0 || seen & 1u << part) continue;
    FV_TRY_DONE(pour_member(a, members[part], per_batch, buffer, image + part * per_batch * PIXELS,
                            label + part * per_batch));
    seen |= 1u << part;
  }
  for (int i = 0; i < PARTS; i++)
    FV_REQUIRE_DONE(seen & 1u << i, FV_ERR_CORRUPT, "cifar-10 (%s): expected the member %s, got none", path,
                    members[i]);
done:
  if (status == FV_ERR_CORRUPT && name) status = fv_error_prefix(status, "%s", path);
  fv_archive_close(a);
  fv_free(buffer);
  return status;
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  fv_held *h;
  const char *path;
  d->classes = classes;
  d->n_classes = 10;
  FV_TRY(fv_held_new(o, d, FV_SHAPE(32, 32, 3), (const int64_t[]){50000, 10000}, &h));
  if (!h) return FV_OK;
  FV_TRY(fv_data_need(o, files, d->arena, &path));
  return fv_cifar10_pour(path, 10000, h->image, h->label);
}

const fv_dataset_def fv_dataset_cifar_10 = {
    .info = {.name = "cifar-10",
             .doc = "small colour photographs of animals and vehicles",
             .licence = "none stated",
             .source = "https://www.cs.toronto.edu/~kriz/cifar.html",
             .cite = "A. Krizhevsky: Learning multiple layers of features from tiny images. Technical report, "
                     "University of Toronto, 2009",
             .shape = "32x32x3, 10 classes, 50000 train, 10000 test",
             .training = "epochs=30 flip=true shift=4",
             .files = files},
    .open = open_set};
