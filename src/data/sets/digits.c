/* SPDX-License-Identifier: Apache-2.0 */
/* digits: small handwritten digits that are part of the program itself. */
#include "data/sets.h"

int fv_digit_label(int i) { return fv_digits_text[i][0] - '0'; }

void fv_digit_pixels(int i, uint8_t pixels[64]) {
  const char *text = fv_digits_text[i] + 1;
  for (int k = 0; k < 64; k++) pixels[k] = (uint8_t)(((text[k] - 'a') * 255 + 8) / 16);
}

fv_status fv_digits_cut(uint8_t is_test[FV_DIGITS]) {
  int32_t label[FV_DIGITS];
  for (int i = 0; i < FV_DIGITS; i++) label[i] = fv_digit_label(i);
  return fv_data_cut(label, FV_DIGITS, 10, FV_FOLDS, 0, is_test);
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  int32_t label[FV_DIGITS];
  fv_held *h;
  for (int i = 0; i < FV_DIGITS; i++) label[i] = fv_digit_label(i);
  FV_TRY(fv_data_number_classes(d, 10));
  FV_TRY(fv_held_new_cut(o, d, FV_SHAPE(8, 8, 1), label, FV_DIGITS, &h));
  for (int i = 0; h && i < FV_DIGITS; i++) fv_digit_pixels(i, h->image + i * h->pixels);
  return FV_OK;
}

const fv_dataset_def fv_dataset_digits = {
    .info = {.name = "digits",
             .doc = "handwritten digits 0 to 9, built in; one in five of each, by a fixed shuffle, is for testing",
             .licence = "CC BY 4.0",
             .source = "https://archive.ics.uci.edu/dataset/80 (the test part, 1797 images)",
             .cite = "E. Alpaydin, C. Kaynak: Optical recognition of handwritten digits. UCI Machine Learning "
                     "Repository, 1998",
             .shape = "8x8x1, 10 classes, 1438 train, 359 test",
             .training = "epochs=60 batch=64 shift=1 rotate=10"},
    .open = open_set};
