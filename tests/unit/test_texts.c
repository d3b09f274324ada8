/* SPDX-License-Identifier: Apache-2.0 */
/* test_texts.c: datasets of texts: what a sample's tokens are, who learns the vocabulary and who only uses it, folds,
 * tables of one's own and what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "data/sets.h"

static char dir[] = "/tmp/fovea-texts-XXXXXX";

static int make_dir(void **state) {
  (void)state;
  return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
  (void)state;
  return fv_dir_remove(dir) == FV_OK ? 0 : -1;
}

static const char *file(const char *name, const char *text) {
  static char path[4][256];
  static int turn;
  char *p = path[turn++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", dir, name);
  assert_int_equal(fv_file_write(p, text, strlen(text)), FV_OK);
  return p;
}

static fv_dataset *open_with(const char *name, fv_reading *reading) {
  fv_dataset *d;
  if (fv_dataset_open(name, reading, 1, NULL, NULL, NULL, &d) != FV_OK) fail_msg("%s", fv_error_message());
  return d;
}

static void decode(const fv_dataset *d, fv_split split, int64_t index, char *text, size_t size, int32_t *label) {
  int32_t tokens[64] = {0};
  char *words;
  size_t n;
  int64_t length = d->length(d, split, index);
  assert_true(length <= 64 && length <= d->field[0].shape.dim[0]);
  d->read(d, split, index, 0, (void *[FV_MAX_FIELDS]){tokens, label});
  for (int64_t i = length; i < 64; i++) assert_int_equal(tokens[i], 0);
  assert_int_equal(fv_tokenizer_decode(d->reading->tokenizer[0], tokens, length, true, &words, &n), FV_OK);
  snprintf(text, size, "%s", words);
  fv_string_free(words);
}

static const char train_csv[] = "kind,body\nfruit,an apple\nfruit,a ripe pear\ntool,a hammer\ntool,a saw\n";

static void test_table(void **state) {
  (void)state;
  fv_reading r = {.text = "body", .label = "kind"};
  char text[256];
  int32_t label;
  const char *path = file("t_train.csv", train_csv);
  file("t_test.csv", "kind,body\ntool,a rusty hammer\nfruit,a pear\nfruit,\"\"\"x\"\"\"\n");
  fv_dataset *d = open_with(path, &r);
  assert_int_equal(d->count[FV_SPLIT_TRAIN], 4);
  assert_int_equal(d->count[FV_SPLIT_TEST], 3);
  assert_int_equal(d->n_classes, 2);
  assert_string_equal(d->classes[0], "fruit");
  decode(d, FV_SPLIT_TRAIN, 1, text, sizeof text, &label);
  assert_string_equal(text, "a ripe pear");
  assert_int_equal(label, 0);
  decode(d, FV_SPLIT_TEST, 0, text, sizeof text, &label); /* what training never saw is unknown */
  assert_string_equal(text, "a <unk> hammer");
  assert_int_equal(label, 1);
  fv_dataset_close(d);
  /* Other data are read with the words that were learnt. */
  fv_tokenizer *learnt = r.tokenizer[0];
  d = open_with(
      file("other.csv", "kind,body\ntool,a chisel\nfruit,an apple\ntool,a saw\nfruit,a plum\nfruit,a\ntool,an\n"), &r);
  assert_ptr_equal(r.tokenizer[0], learnt);
  fv_dataset_close(d);
  fv_reading_free(&r);
}

static void test_joined_and_cut(void **state) {
  (void)state;
  fv_reading r = {.text = "2+3", .label = "1", .longest = 3};
  char text[256];
  int32_t label;
  const char *path = file("ag_train.csv", "b,one two,three four\na,five,six\n");
  file("ag_test.csv", "a,six,five\n");
  fv_dataset *d = open_with(path, &r);
  decode(d, FV_SPLIT_TRAIN, 0, text, sizeof text, &label);
  assert_string_equal(text, "one two three");
  assert_int_equal(label, 1);
  fv_dataset_close(d);
  fv_reading_free(&r);
}

/* The folds together are all rows, each once; a test part cannot be chosen where there is one. */
static void test_folds(void **state) {
  (void)state;
  char rows[2048] = "label,text\n";
  for (int i = 0; i < 23; i++) {
    char line[64];
    snprintf(line, sizeof line, "%s,word%d\n", i % 2 ? "x" : "y", i);
    strcat(rows, line);
  }
  const char *path = file("folds.csv", rows);
  int seen[23] = {0};
  for (int fold = 0; fold < FV_FOLDS; fold++) {
    fv_reading r = {.text = "text", .fold = fold};
    fv_dataset *d = open_with(path, &r);
    assert_int_equal(d->count[0] + d->count[1], 23);
    assert_true(d->count[1] >= 4 && d->count[1] <= 5);
    /* The words of the test part were not learnt: 4 special ones and a word a training row. */
    assert_int_equal(fv_tokenizer_size(r.tokenizer[0]), 4 + d->count[0]);
    for (int i = 0; i < 23; i++) {
      char word[16];
      snprintf(word, sizeof word, "word%d", i);
      seen[i] += fv_tokenizer_find(r.tokenizer[0], word, strlen(word)) < 0;
    }
    fv_dataset_close(d);
    fv_reading_free(&r);
  }
  for (int i = 0; i < 23; i++) assert_int_equal(seen[i], 1);
}

static void refuse(const char *path, fv_reading *r, fv_status expected, const char *says) {
  fv_dataset *d;
  assert_int_equal(fv_dataset_open(path, r, 1, NULL, NULL, NULL, &d), expected);
  assert_null(d);
  if (!strstr(fv_error_message(), says)) fail_msg("expected '%s', got '%s'", says, fv_error_message());
  fv_reading_free(r);
}

static void test_mistakes(void **state) {
  (void)state;
  const char *path = file("bad_train.csv", train_csv);
  refuse(path, &(fv_reading){.text = "words", .label = "kind"}, FV_ERR_REQUEST, "words");
  refuse(path, &(fv_reading){.text = "body", .label = "sort"}, FV_ERR_REQUEST, "sort");
  refuse(path, &(fv_reading){.text = "body", .label = "kind", .fold = 7}, FV_ERR_REQUEST, "expected 0 to 4, got 7");
  file("bad_test.csv", "kind,body\ntool,a file\n");
  refuse(path, &(fv_reading){.text = "body", .label = "kind", .fold = 1}, FV_ERR_REQUEST, "test part of their own");
  path = file("ragged.csv", "kind,body\na,b\na,b,c\nb,c\na,d\nb,e\n");
  refuse(path, &(fv_reading){.text = "body", .label = "kind"}, FV_ERR_CORRUPT, "ragged.csv:3");
  path = file("json.jsonl", "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\"}\n");
  refuse(path, &(fv_reading){0}, FV_ERR_CORRUPT, "json.jsonl:2");
}

static void test_skip_bad(void **state) {
  (void)state;
  fv_reading r = {.text = "body", .label = "kind", .skip_bad = true};
  const char *path = file("skip.csv", "kind,body\na,b\na,b,c\nb,c\na,d\nb,e\na,\xff\nb,f\na,g\n");
  fv_dataset *d = open_with(path, &r);
  assert_int_equal(d->count[0] + d->count[1], 6);
  assert_int_equal(d->skipped, 2);
  fv_dataset_close(d);
  fv_reading_free(&r);
}

/* Planned bytes are those taken, and a pair of clauses is what its words say. */
static void test_verdicts(void **state) {
  (void)state;
  fv_ledger dry = {.dry = true}, real = {0};
  fv_reading r = {0};
  fv_dataset *planned, *d;
  char text[256];
  int32_t label, seen[2] = {0};
  assert_int_equal(fv_dataset_open("verdicts", NULL, 1, &dry, NULL, NULL, &planned), FV_OK);
  assert_int_equal(fv_dataset_open("verdicts", &r, 1, &real, NULL, NULL, &d), FV_OK);
  assert_memory_equal(dry.bytes, real.bytes, sizeof dry.bytes);
  for (int64_t i = 0; i < d->count[FV_SPLIT_TEST]; i++) {
    decode(d, FV_SPLIT_TEST, i, text, sizeof text, &label);
    assert_null(strstr(text, "<unk>"));
    seen[label]++;
  }
  assert_true(seen[0] > 200 && seen[1] > 200);
  fv_dataset_close(planned);
  fv_dataset_close(d);
  fv_reading_free(&r);
}

/* Texts by themselves are read as those of training were. */
static void test_of_texts(void **state) {
  (void)state;
  fv_reading r = {0};
  fv_dataset *d = open_with("verdicts", &r), *own;
  fv_text_table *lines;
  char text[256];
  int32_t label;
  const char given[] = "the Room was superb\n\nzzz\n";
  const fv_text_options o = {.format = FV_TEXT_LINES, .allow_empty = true};
  r.tokens.lower = true;
  assert_int_equal(fv_text_table_parse(given, sizeof given - 1, "given", &o, &lines), FV_OK);
  assert_int_equal(fv_dataset_of_texts(lines, NULL, &r, &own), FV_OK);
  assert_int_equal(own->count[FV_SPLIT_TEST], 3);
  decode(own, FV_SPLIT_TEST, 0, text, sizeof text, &label);
  assert_string_equal(text, "the <unk> was superb"); /* the tokeniser was made to keep case */
  decode(own, FV_SPLIT_TEST, 1, text, sizeof text, &label);
  assert_string_equal(text, "<unk>");
  fv_dataset_close(own);
  fv_text_table_free(lines);
  fv_dataset_close(d);
  fv_reading_free(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_table),    cmocka_unit_test(test_joined_and_cut), cmocka_unit_test(test_folds),
      cmocka_unit_test(test_mistakes), cmocka_unit_test(test_skip_bad),       cmocka_unit_test(test_verdicts),
      cmocka_unit_test(test_of_texts),
  };
  return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
