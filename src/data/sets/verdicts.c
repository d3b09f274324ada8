/* SPDX-License-Identifier: Apache-2.0 */
/* verdicts: short made-up opinions whose last word on the matter counts: "the food was not bad but the room was awful"
 * is negative. Which words stand near each other is not enough: a "not" turns its clause, a "but" lets the second
 * clause decide. Small, made in a moment, and always the same: for trying things without a network. */
#include "data/sets.h"

enum { TRAIN = 4000, TEST = 500 };

static const char *const nouns[] = {"food", "room", "film", "story", "staff", "music", "view", "price",
                                    "ending", "cast", "coffee", "garden", "pool", "plot", "sound", "bed"};
static const char *const good[] = {"good", "lovely", "great", "fresh", "charming", "superb", "friendly", "clever"};
static const char *const bad[] = {"bad", "awful", "dull", "stale", "noisy", "rude", "dreadful", "boring"};
static const char *const degrees[] = {"", "", "very ", "quite ", "really ", "rather "};
static const char *const openings[] = {"", "", "i think ", "honestly , ", "to my mind ", "we found that "};

#define PICK(list) list[fv_rng_below(rng, FV_COUNT(list))]

/* "the room was not very good", that says so or not */
static void clause(fv_rng *rng, bool positive, fv_text *out) {
  bool negated = fv_rng_below(rng, 3) == 0;
  fv_text_printf(out, "the %s was %s%s%s", PICK(nouns), negated ? "not " : "", PICK(degrees),
                 positive != negated ? PICK(good) : PICK(bad));
}

static void sentence(fv_rng *rng, fv_text *out) {
  bool positive = fv_rng_below(rng, 2);
  fv_text_printf(out, "%d\t%s", positive, PICK(openings));
  switch (fv_rng_below(rng, 3)) {
  case 1: /* both say the same */
    clause(rng, positive, out);
    fv_text_printf(out, " and ");
    break;
  case 2: /* the first is taken back */
    clause(rng, !positive, out);
    fv_text_printf(out, " but ");
    break;
  default: break;
  }
  clause(rng, positive, out);
  fv_text_printf(out, " .\n");
}

static fv_status add(fv_texts *t, fv_split split, const char *stream, int n, fv_text *text) {
  static const char *const columns[] = {"1", "2", NULL};
  fv_texts_from from = {.options = {.format = FV_TEXT_TSV, .columns = columns}, .label = 1, .text = 2};
  fv_rng rng = fv_rng_new(0, fv_stream_of(stream));
  for (int i = 0; i < n; i++) sentence(&rng, text);
  FV_REQUIRE(!text->failed, FV_ERR_MEMORY, "dataset (verdicts): no memory");
  FV_TRY(fv_text_table_parse(text->s, text->n, "verdicts", &from.options, &from.table));
  return fv_texts_add(t, split, &from);
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  fv_text text[2] = {{0}};
  fv_texts *t;
  fv_status status = FV_OK;
  FV_TRY(fv_texts_new(d, &t));
  FV_TRY_DONE(add(t, FV_SPLIT_TRAIN, "verdicts.train", TRAIN, &text[0]));
  FV_TRY_DONE(add(t, FV_SPLIT_TEST, "verdicts.test", TEST, &text[1]));
  FV_TRY_DONE(fv_texts_hold(o, d, t, (const fv_class_name[]){{"0", "negative"}, {"1", "positive"}, {NULL, NULL}}));
done:
  fv_texts_free(t);
  for (int i = 0; i < 2; i++) fv_text_free(&text[i]);
  return status;
}

const fv_dataset_def fv_dataset_verdicts = {
    .info = {.name = "verdicts",
             .doc = "made-up opinions of one clause or two, positive or negative: not and but decide",
             .licence = "Apache-2.0",
             .source = "generated",
             .cite = "none",
             .shape = "texts of up to 17 words, 2 classes, 4000 train, 500 test",
             .training = "epochs=6"},
    .open = open_set};
