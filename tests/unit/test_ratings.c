/* SPDX-License-Identifier: Apache-2.0 */
/* test_ratings.c: ratings as samples: cut by one clock, histories that end before the second of the rating, rows for
 * what training knows and row 1 for all else, questions, what is refused; and how rankings are measured. */
#include "test_io.h"

#include "train/train.h"

#include <math.h>
#include <unistd.h>

enum { USER, ITEM, LABEL, HISTORY, LIKED, TRAITS, KINDS, PAST_KINDS, LONGEST = 64 };
typedef struct sample {
  int32_t user, item, label, history[LONGEST], liked[LONGEST], traits[4], kinds[4], past_kinds[4 * LONGEST];
  int64_t n;
} sample;

static sample read_sample(const fv_dataset *d, fv_split split, int64_t index) {
  sample s = {.n = d->length(d, split, index)};
  d->read(d, split, index, 0,
          (void *[FV_MAX_FIELDS]){&s.user, &s.item, &s.label, s.history, s.liked, s.traits, s.kinds, s.past_kinds});
  return s;
}

static const char *write_ratings(const char *name, const char *rows) {
  FILE *f = fopen(name, "w");
  assert_non_null(f);
  fprintf(f, "user,item,rating,time,mood,genre,title\n%s", rows);
  assert_int_equal(fclose(f), 0);
  return name;
}

/* Twenty ratings, a second apart but for two; the last four by one who was not there before, of one new film. */
static const char ROWS[] =
    "ann,a,5,1,gay,War,Alpha\nann,b,2,2,sad,Love|War,Beta\nann,c,3,3,gay,Love,Gamma\nann,d,4,3,gay,,Delta\n"
    "ann,e,1,4,sad,War,Epsilon\nbob,a,1,5,sad,War,Alpha\nbob,b,4,6,sad,Love|War,Beta\n"
    "bob,c,5,7,gay,Love,Gamma\nbob,d,2,8,gay,,Delta\nbob,e,4,9,gay,War,Epsilon\n"
    "ann,f,5,10,gay,Love,Zeta\nann,g,2,11,gay,Love,Eta\nbob,f,4,12,gay,Love,Zeta\nbob,g,1,13,gay,Love,Eta\n"
    "ann,h,4,14,gay,War,Theta\nbob,h,2,15,gay,War,Theta\nann,i,5,16,gay,Love,Iota\nbob,i,5,17,gay,Love,Iota\n"
    "cat,a,5,18,shy,War,Alpha\ncat,j,1,19,gay,Opera,Kappa\n";

static fv_dataset *open_rows(const char *rows, fv_reading *r) {
  fv_dataset *d;
  OK(fv_dataset_open(write_ratings("ratings.csv", rows), r, 0, NULL, NULL, NULL, &d));
  return d;
}

static fv_reading usual(void) { return (fv_reading){.like = 4, .dislike = 2}; }

/* 80 % are sixteen ratings, of which one says neither; the others go two and two. */
static void test_clock(void **state) {
  (void)state;
  fv_reading r = usual();
  fv_dataset *d = open_rows(ROWS, &r);
  assert_int_equal(d->count[FV_SPLIT_TRAIN], 15);
  assert_int_equal(d->count[FV_SPLIT_VALIDATION], 2);
  assert_int_equal(d->count[FV_SPLIT_TEST], 2);
  assert_int_equal(r.catalogue->user.n, 2);  /* cat came later */
  assert_int_equal(r.catalogue->items, 8);   /* a to h; i and j are known by name alone */
  assert_int_equal(r.catalogue->item.n, 10);
  assert_string_equal(r.catalogue->title[0], "Alpha");
  assert_int_equal(r.catalogue->n_traits, 1);
  assert_string_equal(r.catalogue->trait_name[0], "mood");
  assert_int_equal(r.catalogue->n_kinds, 2);
  fv_dataset_close(d);
  fv_reading_free(&r);
}

static void test_history(void **state) {
  (void)state;
  fv_reading r = usual();
  fv_dataset *d = open_rows(ROWS, &r);
  sample first = read_sample(d, FV_SPLIT_TRAIN, 0); /* ann's first: nothing before */
  assert_int_equal(first.n, 1);
  assert_int_equal(first.history[0], 0);
  assert_int_equal(first.label, 1);
  sample same = read_sample(d, FV_SPLIT_TRAIN, 2); /* ann, d, at the second in which she rated c: c is not before it */
  assert_int_equal(same.item, 3 + 2);
  assert_int_equal(same.n, 2);
  assert_int_equal(same.history[0], 2);
  assert_int_equal(same.history[1], 3);
  assert_int_equal(same.liked[0], 4);
  assert_int_equal(same.liked[1], 2);
  assert_int_equal(same.past_kinds[2], 3); /* b: Love, War */
  assert_int_equal(same.past_kinds[3], 2);
  sample later = read_sample(d, FV_SPLIT_TRAIN, 3); /* ann, e: c was rated, and said neither */
  assert_int_equal(later.n, 4);
  assert_int_equal(later.liked[2], 3);
  fv_dataset_close(d);
  fv_reading_free(&r);
}

static void test_unknown(void **state) {
  (void)state;
  fv_reading r = usual();
  fv_dataset *d = open_rows(ROWS, &r);
  sample old_item = read_sample(d, FV_SPLIT_TEST, 0), new_item = read_sample(d, FV_SPLIT_TEST, 1);
  assert_int_equal(old_item.user, 1); /* cat */
  assert_int_equal(old_item.item, 2);
  assert_int_equal(old_item.traits[0], 1); /* shy */
  assert_int_equal(new_item.item, 1);
  assert_int_equal(new_item.kinds[0], 1); /* Opera */
  assert_int_equal(new_item.history[0], 2);
  assert_string_equal(fv_ratings_user(d, FV_SPLIT_TEST, 1), "cat");
  assert_int_equal(fv_ratings_item(d, FV_SPLIT_TEST, 1, -1), 9);
  assert_int_equal(fv_ratings_item(d, FV_SPLIT_TEST, 1, 0), 0);
  assert_int_not_equal(d->group(d, FV_SPLIT_TEST, 0), d->group(d, FV_SPLIT_VALIDATION, 0));
  fv_dataset_close(d);
  fv_reading_free(&r);
}

/* All that ann has not rated, with all that she has behind it; of a file of others, everybody. */
static void test_question(void **state) {
  (void)state;
  fv_reading r = usual();
  fv_dataset *d = open_rows(ROWS, &r);
  fv_dataset_close(d);
  r.ask = "ann";
  d = open_rows(ROWS, &r);
  assert_int_equal(d->count[FV_SPLIT_TRAIN], 0);
  assert_int_equal(d->count[FV_SPLIT_TEST], 1);
  sample s = read_sample(d, FV_SPLIT_TEST, 0);
  assert_int_equal(s.item, 1); /* j */
  assert_int_equal(s.n, 9);
  fv_dataset_close(d);
  r.ask = "*";
  d = open_rows("zoe,a,5,1,gay,War,Alpha\nzoe,unheard of,1,2,gay,Love,None\n", &r);
  assert_int_equal(d->count[FV_SPLIT_TEST], 9);
  s = read_sample(d, FV_SPLIT_TEST, 0);
  assert_int_equal(s.n, 2);
  assert_int_equal(s.history[0], 2);
  assert_int_equal(s.history[1], 1);
  assert_int_equal(fv_ratings_item(d, FV_SPLIT_TEST, 0, 1), -1);
  assert_int_equal(s.past_kinds[r.catalogue->n_kinds], 3); /* its kind is known nevertheless */
  fv_dataset_close(d);
  r.ask = "nobody";
  assert_int_equal(fv_dataset_open("ratings.csv", &r, 0, NULL, NULL, NULL, &d), FV_ERR_REQUEST);
  fv_reading_free(&r);
}

static void refuse(const char *rows, const char *words) {
  fv_reading r = usual();
  fv_dataset *d;
  assert_int_not_equal(fv_dataset_open(write_ratings("bad.csv", rows), &r, 0, NULL, NULL, NULL, &d), FV_OK);
  if (!strstr(fv_error_message(), words)) fail_msg("expected '%s', got '%s'", words, fv_error_message());
  fv_reading_free(&r);
}

static void test_refused(void **state) {
  (void)state;
  refuse("ann,a,five,1,gay,War,A\n", "bad.csv:2): expected a rating");
  refuse("ann,a,5,1,gay,War,A\nann,b,5,soon,gay,War,B\n", "bad.csv:3): expected a time");
  refuse("ann,,5,1,gay,War,A\n", "expected a user and an item");
  refuse("ann,a,5,1,gay\n", "expected 7 columns, got 5");
  refuse("ann,a,nan,1,gay,War,A\n", "expected a rating");
  refuse("", "expected ratings, got none");
}

/* ---- rankings ---------------------------------------------------------------------------------------------------- */
static void test_auc(void **state) {
  (void)state;
  fv_ranked_sample v[] = {{0, 0.9f, true}, {0, 0.1f, false}, {0, 0.5f, true}, {0, 0.5f, false}, {0, 0.2f, true}};
  assert_true(fabs(fv_auc(v, 5) - (2 + 1.5 + 1) / 6) < 1e-12);
  fv_ranked_sample one[] = {{0, 1, true}, {0, 2, true}};
  assert_true(isnan(fv_auc(one, 2)));
  fv_ranked_sample bad[] = {{0, NAN, true}, {0, 2, false}};
  assert_true(isnan(fv_auc(bad, 2)));
}

/* Against all pairs, on many numbers with ties. */
static void test_auc_pairs(void **state) {
  (void)state;
  enum { N = 700 };
  fv_ranked_sample v[N];
  fv_rng rng = fv_rng_new(1, 2);
  double won = 0, pairs = 0;
  for (int i = 0; i < N; i++)
    v[i] = (fv_ranked_sample){0, (float)fv_rng_below(&rng, 40), fv_rng_below(&rng, 3) == 0};
  for (int i = 0; i < N; i++)
    for (int k = 0; k < N; k++) {
      if (!v[i].positive || v[k].positive) continue;
      pairs++;
      won += v[i].score > v[k].score ? 1 : v[i].score == v[k].score ? 0.5 : 0;
    }
  assert_true(fabs(fv_auc(v, N) - won / pairs) < 1e-12);
}

/* Groups of one kind of sample count nothing. */
static void test_group_auc(void **state) {
  (void)state;
  fv_ranked_sample v[] = {{2, 0.9f, true}, {1, 0.3f, false}, {1, 0.2f, true}, {2, 0.1f, false}, {2, 0.2f, false},
                          {3, 0.7f, true}, {3, 0.8f, true}};
  assert_true(fabs(fv_group_auc(v, 7) - (1.0 * 3 + 0.0 * 2) / 5) < 1e-12);
}

/* ---- files --------------------------------------------------------------------------------------------------------*/
static void test_catalogue(void **state) {
  (void)state;
  fv_reading r = usual();
  fv_dataset *d = open_rows(ROWS, &r);
  fv_json j = {0}, again = {0};
  fv_catalogue *c = NULL;
  json_t *root;
  fv_json_begin(&j, NULL, '{');
  fv_catalogue_json(r.catalogue, &j);
  fv_json_end(&j, '}');
  OK(fv_json_parse(j.text.s, j.text.n, "catalogue", 1 << 20, &root));
  OK(fv_catalogue_read(json_object_get(root, "catalogue"), "catalogue", &c));
  fv_json_begin(&again, NULL, '{');
  fv_catalogue_json(c, &again);
  fv_json_end(&again, '}');
  assert_string_equal(j.text.s, again.text.s);
  fv_catalogue_free(c);
  json_array_append_new(json_array_get(json_object_get(json_object_get(root, "catalogue"), "items"), 0),
                        json_integer(1));
  c = NULL;
  assert_int_equal(fv_catalogue_read(json_object_get(root, "catalogue"), "catalogue", &c), FV_ERR_CORRUPT);
  fv_catalogue_free(c);
  json_decref(root);
  fv_json_free(&j);
  fv_json_free(&again);
  fv_dataset_close(d);
  fv_reading_free(&r);
}

/* Where the real data are: counts, and that time runs one way. */
static void test_movielens(void **state) {
  (void)state;
  fv_reading r = usual();
  fv_dataset *d;
  if (!getenv("FOVEA_DATA_MIRROR")) skip();
  OK(fv_dataset_open("ml-100k", &r, 0, NULL, NULL, NULL, &d));
  assert_int_equal(r.catalogue->item.n, 1682);
  assert_int_equal(d->count[FV_SPLIT_TRAIN] + d->count[FV_SPLIT_VALIDATION] + d->count[FV_SPLIT_TEST], 100000 - 27145);
  assert_int_equal(r.catalogue->kind.n, 19);
  assert_int_equal(r.catalogue->n_kinds, 6);
  assert_int_equal(d->field[HISTORY].shape.dim[0], 50);
  fv_dataset_close(d);
  fv_reading_free(&r);
}

static int enter(void **state) { return scratch_make(state) || chdir(scratch); }
static int leave(void **state) { return chdir("/") || scratch_remove(state); }

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_clock),       cmocka_unit_test(test_history),   cmocka_unit_test(test_unknown),
      cmocka_unit_test(test_question),    cmocka_unit_test(test_refused),   cmocka_unit_test(test_auc),
      cmocka_unit_test(test_auc_pairs),   cmocka_unit_test(test_group_auc), cmocka_unit_test(test_catalogue),
      cmocka_unit_test(test_movielens),
  };
  return cmocka_run_group_tests(tests, enter, leave);
}
