/* SPDX-License-Identifier: Apache-2.0 */
/* test_bleu.c: BLEU beside sacreBLEU 2.6.0 (nrefs:N|case:mixed|eff:no|tok:13a|smooth:exp), whose figures stand here:
 * on sentences written for this test, with what is hard to tokenise, and on Multi30k where FOVEA_DATA_MIRROR has it. */
#include "test_io.h"

#include <math.h>

#include "text/text.h"

/* translation, first and second reference */
static const char *const sample[][3] = {
    {"A dog runs across the wet grass.",
     "A dog is running over the wet grass.",
     "The dog runs across wet grass."},
    {"Two men are talking on a bench.",
     "Two men talk on a bench.",
     "Two men sit and talk on a bench."},
    {"The train leaves at 7:45, not at 8.",
     "The train departs at 7:45, not 8.",
     "At 7:45, not at 8, the train leaves."},
    {"She paid $1,250.50 for it.",
     "She paid $1,250.50 for that.",
     "It cost her $1,250.50."},
    {"He said: \"I won't go!\"",
     "He said, \"I won't go!\"",
     "\"I won't go!\" he said."},
    {"It's a well-known 10-year-old story",
     "It is a well-known, 10-year-old story.",
     "It's a famous story, ten years old."},
    {"Das M\xc3\xa4""dchen l\xc3\xa4""chelt \xc3\xbc""ber den Spa\xc3\x9f.",
     "Das M\xc3\xa4""dchen l\xc3\xa4""chelt \xc3\xbc""ber diesen Spa\xc3\x9f.",
     "Ein M\xc3\xa4""dchen lacht \xc3\xbc""ber den Spa\xc3\x9f."},
    {"L'\xc3\xa9t\xc3\xa9, il fait chaud \xc3\xa0 Paris...",
     "En \xc3\xa9t\xc3\xa9, il fait chaud \xc3\xa0 Paris.",
     "L'\xc3\xa9t\xc3\xa9, il fait chaud \xc3\xa0 Paris."},
    {"Bread &amp; butter &lt;for two&gt;",
     "Bread & butter <for two>",
     "Bread and butter for two"},
    {"one two",
     "one two three four five six",
     "one two three"},
    {"the the the the the the",
     "the cat is on the mat",
     "there is a cat on the mat"},
    {"Nothing matches here",
     "completely different words stand there",
     "no overlap"},
    {"3.14 is less than 22/7.",
     "3.14 is smaller than 22/7.",
     "22/7 is more than 3.14."},
    {"Wait - what\? Really\?!",
     "Wait, what\? Really\?",
     "Wait - what\?! Really\?"},
    {"A child\xc2\xa0in a red\xe3\x80\x80""coat",
     "A child in a red coat",
     "A child wearing a red coat"},
    {"word",
     "word",
     "words"},
    {"End with a dot.Then no blank.",
     "End with a dot. Then no blank.",
     "End with a dot.Then no blank."},
    {"Prices fell 3-4% (again).",
     "Prices fell by 3-4% (again).",
     "Prices fell 3 to 4 % again."},
    {"na\xc3\xafve caf\xc3\xa9 \xe2\x80\x94 a long dash",
     "naive caf\xc3\xa9 - a long dash",
     "na\xc3\xafve caf\xc3\xa9 \xe2\x80\x94 a dash"},
    {"    spaces   in   between    ",
     "spaces in between",
     "some spaces in between"},
    {"1.000,50 and .5 and 5. and ,",
     "1.000,50 and .5 and 5. and ,",
     "1.000,50, .5 and 5."},
    {"x=[1,2,3]; y={a:b}",
     "x = [1,2,3]; y = {a:b}",
     "x=[1,2,3]; y={a:b}"},
    {"Ein Mann f\xc3\xa4hrt mit dem Rad durch die Stadt .",
     "Ein Mann f\xc3\xa4hrt mit dem Fahrrad durch die Stadt.",
     "Ein Mann radelt durch die Stadt."},
    {"The <skipped>quick brown fox jumps",
     "The quick brown fox jumps over it",
     "A quick brown fox jumps"},
    {"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e \xe3\x81\xae \xe6\x96\x87\xe3\x80\x82 Ok.",
     "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e \xe3\x81\xae \xe6\x96\x87 \xe3\x80\x82 Ok .",
     "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x81\xae\xe6\x96\x87\xe3\x80\x82"},
    {"People are walking down the street on a sunny day",
     "People walk down a street on a sunny day",
     "On a sunny day people are walking down the street"},
    {"",
     "something",
     "anything"},
    {"She reads; he writes, and they laugh...",
     "She reads, he writes, and both laugh ...",
     "She reads; he writes, and they laugh."},
    {"U.S.A. e.g. i.e. etc.",
     "U.S.A. e.g., i.e., etc.",
     "The U.S.A., e.g."},};

static fv_bytes bytes_of(const char *s) { return (fv_bytes){s, strlen(s)}; }

static fv_bleu score_sample(size_t from, size_t to, int references) {
  fv_bleu b = {0};
  for (size_t i = from; i < to; i++) {
    fv_bytes reference[2] = {bytes_of(sample[i][1]), bytes_of(sample[i][2])};
    OK(fv_bleu_add(&b, bytes_of(sample[i][0]), reference, references));
  }
  return b;
}

static void near(double got, double expected, double tolerance) {
  if (!(fabs(got - expected) <= tolerance)) fail_msg("expected %.9f, got %.9f", expected, got);
}

static void test_sample(void **state) {
  (void)state;
  static const int64_t matched[] = {184, 136, 96, 70}, total[] = {216, 188, 161, 135};
  fv_bleu one = score_sample(0, FV_COUNT(sample), 1), two = score_sample(0, FV_COUNT(sample), 2);
  assert_memory_equal(one.matched, matched, sizeof matched);
  assert_memory_equal(one.total, total, sizeof total);
  assert_int_equal(one.length, 216);
  assert_int_equal(one.reference_length, 228);
  near(fv_bleu_score(&one), 62.497294709893346, 1e-9);
  near(fv_bleu_brevity(&one), 0.9459594689067654, 1e-12);
  near(fv_bleu_precision(&one, 2), 72.34042553191489, 1e-9);
  assert_int_equal(two.reference_length, 219);
  near(fv_bleu_score(&two), 75.93690712461792, 1e-9);
}

static void test_smoothing(void **state) { /* no pair, triple or quadruple matches */
  (void)state;
  fv_bleu b = score_sample(9, 12, 1), nothing = {0}, none = {0};
  near(fv_bleu_score(&b), 8.085578894348712, 1e-9);
  near(fv_bleu_precision(&b, 4), 8.333333333333334, 1e-9);
  assert_true(fv_bleu_score(&nothing) == 0);
  OK(fv_bleu_add(&none, bytes_of("a b c d e"), &(fv_bytes){"v w x y z", 9}, 1));
  assert_true(fv_bleu_score(&none) == 0);
  FAILS(FV_ERR_REQUEST, "at least one reference", fv_bleu_add(&none, bytes_of("a"), NULL, 0));
}

static void test_no_memory(void **state) { /* a failed call leaves the sum as it was */
  (void)state;
  fv_bytes reference = bytes_of(sample[0][1]);
  fv_bleu b = {0}, zero = {0};
  for (uint64_t n = 1;; n++) {
    fv_memory_fail_after(n);
    fv_status status = fv_bleu_add(&b, bytes_of(sample[0][0]), &reference, 1);
    fv_memory_fail_after(0);
    if (status == FV_OK) break;
    assert_int_equal(status, FV_ERR_MEMORY);
    assert_memory_equal(&b, &zero, sizeof b);
  }
  assert_int_equal(b.length, 8);
}

/* ---- Multi30k ---------------------------------------------------------------------------------------------------- */
static fv_text_table *open_test(const char *language) {
  static char path[1024];
  fv_text_table *t;
  const char *mirror = getenv("FOVEA_DATA_MIRROR");
  snprintf(path, sizeof path, "%s/multi30k/test_2016_flickr.%s.gz", mirror ? mirror : "", language);
  if (!mirror || !fv_path_exists(path)) skip();
  OK(fv_text_table_open(path, NULL, &t));
  assert_int_equal(fv_text_table_rows(t), 1000);
  return t;
}

/* Leaves every fifth word out. */
static size_t thin(fv_bytes s, char *out) {
  size_t n = 0;
  int word = 0;
  for (size_t i = 0; i < s.n; i++) {
    bool blank = s.s[i] == ' ';
    if (blank) word++;
    if (word % 5 == 4) continue;
    out[n++] = s.s[i];
  }
  return n;
}

static double thinned(const char *language) {
  static char line[4096];
  fv_bleu b = {0};
  fv_text_table *t = open_test(language);
  for (int64_t i = 0; i < 1000; i++) {
    fv_bytes s = fv_text_table_get(t, i, 0);
    OK(fv_bleu_add(&b, (fv_bytes){line, thin(s, line)}, &s, 1));
  }
  fv_text_table_free(t);
  return fv_bleu_score(&b);
}

static void test_multi30k(void **state) {
  (void)state;
  near(thinned("de"), 53.344749267760584, 1e-9);
  near(thinned("fr"), 51.99717673403467, 1e-9);
  fv_text_table *de = open_test("de"), *fr = open_test("fr"), *en = open_test("en");
  fv_bleu one = {0}, two = {0};
  for (int64_t i = 0; i < 1000; i++) {
    fv_bytes reference[2] = {fv_text_table_get(fr, i, 0), fv_text_table_get(en, i, 0)};
    OK(fv_bleu_add(&one, fv_text_table_get(de, i, 0), reference, 1));
    OK(fv_bleu_add(&two, fv_text_table_get(de, i, 0), reference, 2));
  }
  near(fv_bleu_score(&one), 0.44270547993349896, 1e-9);
  near(fv_bleu_score(&two), 0.5211892923513317, 1e-9);
  fv_text_table_free(de);
  fv_text_table_free(fr);
  fv_text_table_free(en);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sample), cmocka_unit_test(test_smoothing),
                                     cmocka_unit_test(test_no_memory), cmocka_unit_test(test_multi30k)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
