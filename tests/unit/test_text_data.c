/* SPDX-License-Identifier: Apache-2.0 */
/* test_text_data.c: text as the world has it, from the directory $FOVEA_DATA_MIRROR; without it, skipped. Row counts
 * are the published ones. What Hugging Face's tokenizers 0.23.3 made of Multi30k (training with the same settings, then
 * encoding) stands here as counts and hashes of all ids. */
#include "test_io.h"

#include "text/text.h"

static const char *mirror;

static fv_text_table *open_table(const char *name, fv_text_options o) {
  char path[1024];
  fv_text_table *t;
  snprintf(path, sizeof path, "%s/%s", mirror, name);
  OK(fv_text_table_open(path, &o, &t));
  assert_int_equal(fv_text_table_skipped(t), 0);
  return t;
}

static int64_t count(const fv_text_table *t, int column, const char *value) {
  int64_t n = 0;
  for (int64_t i = 0; i < fv_text_table_rows(t); i++) {
    fv_bytes s = fv_text_table_get(t, i, column);
    n += s.n == strlen(value) && memcmp(s.s, value, s.n) == 0;
  }
  return n;
}

static void test_trec(void **state) {
  (void)state;
  fv_text_table *t;
  char path[1024];
  fv_text_options o = {.format = FV_TEXT_QUESTIONS};
  snprintf(path, sizeof path, "%s/trec/train_5500.label.gz", mirror);
  FAILS(FV_ERR_CORRUPT, "train_5500.label.gz:66): expected utf-8", fv_text_table_open(path, &o, &t));
  o.encoding = FV_ENCODING_LATIN1;
  t = open_table("trec/train_5500.label.gz", o);
  assert_int_equal(fv_text_table_rows(t), 5452);
  assert_int_equal(count(t, 0, "ENTY"), 1250);
  assert_int_equal(count(t, 0, "ABBR"), 86);
  fv_text_table_free(t);
}

static void test_sentiment(void **state) {
  (void)state;
  static const char *const columns[] = {"2", "1", NULL};
  fv_text_table *t = open_table("sst2/stsa.binary.train.gz", (fv_text_options){.format = FV_TEXT_LABELLED});
  assert_int_equal(fv_text_table_rows(t), 6920);
  assert_int_equal(count(t, 0, "1"), 3610);
  fv_text_table_free(t);
  t = open_table("sst2/train.tsv.gz", (fv_text_options){.columns = columns});
  assert_int_equal(fv_text_table_rows(t), 6920);
  assert_int_equal(count(t, 0, "1"), 3610);
  fv_text_table_free(t);
  t = open_table("mr/rt-polarity.pos.gz", (fv_text_options){.encoding = FV_ENCODING_WINDOWS1252});
  assert_int_equal(fv_text_table_rows(t), 5331);
  fv_text_table_free(t);
}

static void test_others(void **state) {
  (void)state;
  static const char *const keys[] = {"title", "source", NULL};
  fv_text_table *t = open_table("ag_news/train_sample.csv.gz", (fv_text_options){0});
  assert_int_equal(fv_text_table_rows(t), 11601);
  assert_int_equal(fv_text_table_columns(t), 2);
  assert_int_equal(count(t, 0, "4"), 3095);
  fv_text_table_free(t);
  t = open_table("scitldr/scitldr-a.test.jsonl.gz", (fv_text_options){.columns = keys});
  assert_int_equal(fv_text_table_rows(t), 618);
  assert_int_equal(count(t, 0, "FearNet: Brain-Inspired Model for Incremental Learning"), 1);
  assert_int_equal(fv_text_table_get(t, 0, 1).n, 1167);
  fv_text_table_free(t);
}

/* ---- Multi30k ---------------------------------------------------------------------------------------------------- */
static fv_text_table *open_multi30k(const char *split, const char *a, const char *b) {
  char path[2][1024];
  const char *paths[] = {path[0], path[1]};
  fv_text_table *t;
  snprintf(path[0], sizeof path[0], "%s/multi30k/%s.%s.gz", mirror, split, a);
  snprintf(path[1], sizeof path[1], "%s/multi30k/%s.%s.gz", mirror, split, b);
  OK(fv_text_table_open_parallel(paths, 2, NULL, &t));
  return t;
}

/* FNV-1a over ids; every line comes back from its ids. */
static void ids_are(const fv_tokenizer *t, const char *language, int64_t n_expected, uint64_t expected) {
  fv_text_table *table = open_multi30k("test_2016_flickr", language, "en");
  fv_encoder *e;
  fv_tokens k;
  uint64_t hash = 0xcbf29ce484222325u;
  int64_t n = 0;
  OK(fv_encoder_new(t, &e));
  for (int64_t i = 0; i < fv_text_table_rows(table); i++) {
    fv_bytes s = fv_text_table_get(table, i, 0);
    char *back;
    size_t size;
    OK(fv_encoder_run(e, s.s, s.n, 0, &k));
    for (int64_t j = 0; j < k.n; j++, n++) hash = (hash ^ (uint64_t)k.id[j]) * 0x100000001b3u;
    OK(fv_tokenizer_decode(t, k.id, k.n, false, &back, &size));
    assert_int_equal(size, s.n);
    assert_memory_equal(back, s.s, size);
    fv_string_free(back);
  }
  assert_int_equal(n, n_expected);
  assert_int_equal(hash, expected);
  fv_encoder_free(e);
  fv_text_table_free(table);
}

static void test_multi30k(void **state) {
  (void)state;
  fv_text_table *table = open_multi30k("train", "en", "de");
  fv_tokenizer_trainer *r;
  fv_tokenizer *t, *again;
  char *text;
  assert_int_equal(fv_text_table_rows(table), 29000);
  OK(fv_tokenizer_trainer_new(&(fv_tokenizer_options){.kind = FV_TOKENIZER_BPE, .size = 8000}, &r));
  for (int c = 0; c < 2; c++)
    for (int64_t i = 0; i < 29000; i++) {
      fv_bytes s = fv_text_table_get(table, i, c);
      OK(fv_tokenizer_trainer_add(r, s.s, s.n));
    }
  OK(fv_tokenizer_trainer_finish(r, &t));
  fv_text_table_free(table);
  assert_int_equal(fv_tokenizer_size(t), 8000);
  assert_string_equal(fv_tokenizer_token(t, 260).s, "in");
  assert_string_equal(fv_tokenizer_token(t, 7999).s, " dieser");
  OK(fv_tokenizer_print(t, &text));
  OK(fv_tokenizer_parse(text, strlen(text), "printed", &again));
  fv_string_free(text);
  ids_are(t, "en", 14229, 0xaae63caf25dcfbadu);
  ids_are(t, "de", 14380, 0x140ab86dd269e2eau);
  ids_are(again, "fr", 29681, 0xa608f99915050c71u);
  fv_tokenizer_free(t);
  fv_tokenizer_free(again);
}

int main(void) {
  mirror = getenv("FOVEA_DATA_MIRROR");
  if (!mirror || !fv_path_is_dir(mirror)) {
    puts("skipped: FOVEA_DATA_MIRROR names no directory");
    return 77;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_trec), cmocka_unit_test(test_sentiment),
                                     cmocka_unit_test(test_others), cmocka_unit_test(test_multi30k)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
