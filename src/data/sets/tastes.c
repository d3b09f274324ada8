/* SPDX-License-Identifier: Apache-2.0 */
/* tastes: made-up ratings. Each of 240 people likes some four of eight kinds of things, which one cannot see but in
 * what they rated before; things are of one kind or two. People come and go, so that many of those in the test part
 * were not there in training. Small and always the same, for trying things without a network. */
#include "data/sets.h"

enum { PEOPLE = 240, THINGS = 160, KINDS = 8, LIKED = 6, RATINGS = 9600, STAY = 80 };
static const char *const kind_names[KINDS] = {"sweet", "salty", "sour", "bitter", "hot", "cold", "soft", "crisp"};
static const char *const trait_names[] = {"town"};
static const char *const towns[] = {"north", "south", "east", "west"};

typedef struct thing {
  int kind[2], n;
} thing;

static fv_bytes named(char text[24], const char *what, int i) {
  const int n = snprintf(text, 24, "%s%d", what, i);
  return (fv_bytes){text, (size_t)n};
}

static fv_status make_things(fv_rng *rng, thing things[THINGS], fv_ratings *r) {
  for (int i = 0; i < THINGS; i++) {
    char text[24];
    fv_bytes kinds[2];
    thing *t = &things[i];
    t->n = 1 + (int)fv_rng_below(rng, 2);
    for (int k = 0; k < t->n; k++) {
      t->kind[k] = (int)fv_rng_below(rng, KINDS);
      kinds[k] = (fv_bytes){kind_names[t->kind[k]], strlen(kind_names[t->kind[k]])};
    }
    FV_TRY(fv_ratings_describe(r, named(text, "thing ", i), (fv_bytes){0}, kinds, t->n));
  }
  return FV_OK;
}

/* 1 to 5: by whether one likes a kind of it, and chance in one of ten. */
static int opinion(fv_rng *rng, unsigned taste, const thing *t) {
  bool liked = false;
  for (int k = 0; k < t->n; k++) liked |= taste >> t->kind[k] & 1;
  if (fv_rng_below(rng, 10) == 0) return 1 + (int)fv_rng_below(rng, 5);
  return liked ? 4 + (int)fv_rng_below(rng, 2) : 1 + (int)fv_rng_below(rng, 3);
}

static fv_status make_ratings(fv_rng *rng, fv_ratings *r) {
  unsigned taste[PEOPLE] = {0};
  thing things[THINGS];
  for (int i = 0; i < PEOPLE; i++)
    for (int k = 0; k < LIKED; k++) taste[i] |= 1u << fv_rng_below(rng, KINDS);
  FV_TRY(make_things(rng, things, r));
  for (int i = 0; i < RATINGS; i++) {
    const int who = i * (PEOPLE - STAY) / RATINGS + (int)fv_rng_below(rng, STAY), what = (int)fv_rng_below(rng, THINGS);
    const char *town = towns[who % (int)FV_COUNT(towns)];
    char user[24], item[24];
    FV_TRY(fv_ratings_add(r, named(user, "", who + 1), named(item, "thing ", what),
                          opinion(rng, taste[who], &things[what]), i / 2, &(fv_bytes){town, strlen(town)}));
  }
  return FV_OK;
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  fv_rng rng = fv_rng_new(0, fv_stream_of("tastes"));
  fv_ratings *r;
  FV_TRY(fv_ratings_new(d, 1, trait_names, &r));
  fv_status status = make_ratings(&rng, r);
  if (status == FV_OK) status = fv_ratings_hold(o, d, r);
  fv_ratings_free(r);
  return status;
}

const fv_dataset_def fv_dataset_tastes = {
    .info = {.name = "tastes",
             .doc = "made-up ratings by people who like some of eight kinds of things",
             .licence = "Apache-2.0",
             .source = "generated",
             .cite = "none",
             .shape = "ratings of 160 items by 240 users: 7680 train, 960 validation, 960 test, by time",
             .training = "like=4 dislike=3 epochs=10 lr=0.005 dropout=0"},
    .open = open_set};
