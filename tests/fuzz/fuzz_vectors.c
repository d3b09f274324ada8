/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_vectors.c: word vectors as text, for a vocabulary of a few words: its words enter one, whatever their width, and
 * of two numbers a word they are read. */
#include "fuzz.h"
#include "text/text.h"

enum { WIDTH = 2, MOST = 32, MORE = 8 };

/* With the first words of the bytes, if they are given. */
static fv_status tokenizer_of(const uint8_t *bytes, size_t n, fv_tokenizer **t) {
  static const char words[] = "the film was good , truly good .";
  fv_tokenizer_trainer *trainer;
  FV_TRY(fv_tokenizer_trainer_new(&(fv_tokenizer_options){0}, &trainer));
  fv_status status = fv_tokenizer_trainer_add(trainer, words, sizeof words - 1);
  if (status == FV_OK && bytes) status = fv_vectors_parse_words(bytes, n, "fuzz", MORE, trainer);
  if (status == FV_OK) return fv_tokenizer_trainer_finish(trainer, t);
  fv_tokenizer_trainer_free(trainer);
  return status;
}

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  float table[MOST * WIDTH] = {0};
  uint8_t seen[MOST] = {0};
  fv_vectors_found found;
  fv_tokenizer *t;
  if (tokenizer_of(bytes, n, &t) != FV_OK) FV_TRY(tokenizer_of(NULL, 0, &t));
  fv_status status = fv_vectors_parse(bytes, n, "fuzz", t, WIDTH, table, seen, &found);
  fuzz_touch(table, sizeof table);
  fv_tokenizer_free(t);
  return status;
}
