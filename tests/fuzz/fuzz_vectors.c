/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_vectors.c: word vectors as text, of two numbers a word, for a vocabulary of a few words. */
#include "fuzz.h"
#include "text/text.h"

static fv_status tokenizer_of(fv_tokenizer **t) {
  static const char words[] = "the film was good , truly good .";
  fv_tokenizer_trainer *trainer;
  FV_TRY(fv_tokenizer_trainer_new(&(fv_tokenizer_options){0}, &trainer));
  fv_status status = fv_tokenizer_trainer_add(trainer, words, sizeof words - 1);
  if (status == FV_OK) return fv_tokenizer_trainer_finish(trainer, t);
  fv_tokenizer_trainer_free(trainer);
  return status;
}

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  enum { WIDTH = 2, MOST = 32 };
  float table[MOST * WIDTH] = {0};
  uint8_t seen[MOST] = {0};
  fv_vectors_found found;
  fv_tokenizer *t;
  FV_TRY(tokenizer_of(&t));
  fv_status status = fv_vectors_parse(bytes, n, "fuzz", t, WIDTH, table, seen, &found);
  fuzz_touch(table, sizeof table);
  fv_tokenizer_free(t);
  return status;
}
