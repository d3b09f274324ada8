/* SPDX-License-Identifier: Apache-2.0 */
/* number-words: whole numbers below a million in English words and in digits: "two hundred and five" becomes "2 0 5".
 * What comes first decides how many digits there are, so that a place of the source belongs to a place of the target,
 * and order and zeros have to be learnt. Numbers that end in 7 are for testing alone. Small, made in a moment, always
 * the same: for trying things without a network. */
#include "data/sets.h"

enum { TRAIN = 6000, TEST = 500, VALIDATION = 500 };

static const char *const small[] = {"zero",     "one",     "two",     "three",     "four",     "five",    "six",
                                    "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",  "thirteen",
                                    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
static const char *const tens[] = {"",      "",      "twenty",  "thirty", "forty",
                                   "fifty", "sixty", "seventy", "eighty", "ninety"};

/* Below a thousand. */
static void say_hundreds(int n, fv_text *out) {
  if (n >= 100) fv_text_printf(out, "%s hundred%s", small[n / 100], n % 100 ? " and " : "");
  n %= 100;
  if (n >= 20)
    fv_text_printf(out, "%s%s%s", tens[n / 10], n % 10 ? " " : "", n % 10 ? small[n % 10] : "");
  else if (n > 0)
    fv_text_printf(out, "%s", small[n]);
}

static void say(int n, fv_text *out) {
  if (n == 0) fv_text_printf(out, "%s", small[0]);
  if (n >= 1000) {
    say_hundreds(n / 1000, out);
    fv_text_printf(out, " thousand%s", n % 1000 == 0 ? "" : n % 1000 < 100 ? " and " : " ");
  }
  say_hundreds(n % 1000, out);
}

/* As many of one length of digits as of another. */
static int draw(fv_rng *rng, bool test) {
  static const int below[] = {10, 100, 1000, 10000, 100000, 1000000};
  for (;;) {
    const int digits = (int)fv_rng_below(rng, FV_COUNT(below));
    const int n = (int)fv_rng_below(rng, (uint32_t)below[digits]);
    if ((n % 10 == 7) == test) return n;
  }
}

static fv_status add(fv_texts *t, fv_split split, const char *stream, int n, fv_text *text) {
  static const char *const columns[] = {"1", "2", NULL};
  fv_texts_from from = {.options = {.format = FV_TEXT_TSV, .columns = columns}, .text = 1, .target = 2};
  fv_rng rng = fv_rng_new(0, fv_stream_of(stream));
  for (int i = 0; i < n; i++) {
    char digits[16];
    const int number = draw(&rng, split == FV_SPLIT_TEST);
    snprintf(digits, sizeof digits, "%d", number);
    say(number, text);
    for (const char *c = digits; *c; c++) fv_text_printf(text, "%s%c", c == digits ? "\t" : " ", *c);
    fv_text_printf(text, "\n");
  }
  FV_REQUIRE(!text->failed, FV_ERR_MEMORY, "dataset (number-words): no memory");
  FV_TRY(fv_text_table_parse(text->s, text->n, "number-words", &from.options, &from.table));
  return fv_texts_add(t, split, &from);
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  fv_text text[FV_SPLITS] = {{0}};
  fv_texts *t;
  fv_status status = FV_OK;
  FV_TRY(fv_texts_new(d, &t));
  FV_TRY_DONE(add(t, FV_SPLIT_TRAIN, "number-words.train", TRAIN, &text[0]));
  FV_TRY_DONE(add(t, FV_SPLIT_TEST, "number-words.test", TEST, &text[1]));
  FV_TRY_DONE(add(t, FV_SPLIT_VALIDATION, "number-words.validation", VALIDATION, &text[2]));
  FV_TRY_DONE(fv_texts_hold(o, d, t, NULL));
done:
  fv_texts_free(t);
  for (int i = 0; i < FV_SPLITS; i++) fv_text_free(&text[i]);
  return status;
}

const fv_dataset_def fv_dataset_number_words = {
    .info = {.name = "number-words",
             .doc = "whole numbers in English words and in digits, made on the spot",
             .licence = "Apache-2.0",
             .source = "generated",
             .cite = "none",
             .shape = "pairs of texts, 6000 train, 500 validation, 500 test",
             .training = "tokenizer=words"},
    .open = open_set};
