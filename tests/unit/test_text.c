/* SPDX-License-Identifier: Apache-2.0 */
/* test_text.c: UTF-8, normal forms, the rules that cut text, tokenisers and tables, on small texts whose answers are
 * known: the ill-formed sequences of the Unicode Standard, its normalisation examples, hand-cut sentences. */
#include "test_io.h"

#include <utf8proc.h>

#include "text/text.h"

/* ---- UTF-8 ------------------------------------------------------------------------------------------------------- */
static void test_utf8(void **state) {
  (void)state;
  static const struct {
    const char *s;
    size_t n, valid;
  } c[] = {{"plain ascii text", 16, 16},   {"\xc3\xa9", 2, 2},         {"a\xc3", 2, 1},
           {"\xc0\xaf", 2, 0},             {"\xe0\x9f\xbf", 3, 0},     {"\xed\xa0\x80", 3, 0}, /* long, surrogate */
           {"\xed\x9f\xbf", 3, 3},         {"\xf0\x8f\xbf\xbf", 4, 0}, {"\xf4\x8f\xbf\xbf", 4, 4},
           {"\xf4\x90\x80\x80", 4, 0},     {"\xf5\x80\x80\x80", 4, 0}, {"12345678\xff", 9, 8},
           {"a\0b", 3, 3},                 {"\x80", 1, 0},             {"\xe2\x82", 2, 0}};
  for (size_t i = 0; i < FV_COUNT(c); i++) assert_int_equal(fv_utf8_valid(c[i].s, c[i].n), c[i].valid);
  for (int32_t point = 0; point < 0x110000; point++) {
    char bytes[4];
    int32_t back;
    if (point >= 0xd800 && point < 0xe000) continue;
    int n = fv_utf8_put(point, bytes);
    if (fv_utf8_next(bytes, (size_t)n, &back) != n || back != point)
      fail_msg("U+%04X does not come back", (unsigned)point);
  }
  assert_int_equal(fv_utf8_class(0x85), FV_CLASS_SPACE);
  assert_int_equal(fv_utf8_class(0x3000), FV_CLASS_SPACE);
  assert_int_equal(fv_utf8_class(0x200b), FV_CLASS_OTHER);
  assert_int_equal(fv_utf8_class(0xb2), FV_CLASS_NUMBER);
  assert_int_equal(fv_utf8_class(0x301), FV_CLASS_MARK);
  assert_int_equal(fv_utf8_class(0x4e2d), FV_CLASS_LETTER);
  assert_int_equal(fv_utf8_class(-1), FV_CLASS_OTHER);
}

static void becomes(const char *from, fv_normal_form form, unsigned how, const char *to) {
  fv_normal m = {0};
  OK(fv_normal_run(&m, from, strlen(from), form, how));
  assert_int_equal(m.text.n, strlen(to));
  assert_memory_equal(m.text.s, to, m.text.n);
  fv_normal_free(&m);
}

static void test_normal(void **state) {
  (void)state;
  becomes("e\u0301 A\u030a \u212b", FV_NORMAL_NFC, 0, "\u00e9 \u00c5 \u00c5");
  becomes("\u1100\u1161\u11a8", FV_NORMAL_NFC, 0, "\uac01");
  becomes("a\u0315\u0300\u05ae\u0300b", FV_NORMAL_NFC, 0, "\u00e0\u05ae\u0300\u0315b"); /* NormalizationTest.txt */
  becomes("\ufb01 \u00bd \uff76\uff9e \u2026", FV_NORMAL_NFKC, 0, "fi 1\u20442 \u30ac ...");
  becomes("\ufb01", FV_NORMAL_NFC, 0, "\ufb01");
  becomes("\u00c9COLE \u0130 \u03a3\u03a3", FV_NORMAL_NONE, FV_NORMAL_LOWER, "\u00e9cole i\u0307 \u03c3\u03c3");
  becomes("Stra\u00dfe \u1e9e", FV_NORMAL_NONE, FV_NORMAL_FOLD, "strasse ss");
  becomes("e\u0301\xff" "E\u0301\xe9", FV_NORMAL_NFC, FV_NORMAL_LOWER, "\u00e9\xff\u00e9\xe9");
}

/* Clusters one by one give what utf8proc gives of the whole. */
static void test_clusters(void **state) {
  (void)state;
  static const int32_t special[] = {'a',    'A',    ' ',    0x300,  0x301,  0x308,  0x327,  0x345,  0x1100, 0x1161,
                                    0x11a8, 0xac00, 0x3131, 0x314f, 0xff76, 0xff9e, 0xffa1, 0xffc2, 0x3099, 0x304b,
                                    0x9c7,  0x9be,  0xfb01, 0x212b, 0x958,  0x1d15e, 0xb4,  0x1fbd, 0x309b, 0xfdfa};
  fv_normal m = {0};
  for (uint64_t k = 0; k < 20000; k++) {
    fv_rng r = fv_rng_new(7, k);
    char text[256];
    int n = 0;
    for (uint32_t i = fv_rng_below(&r, 12) + 1; i > 0; i--) {
      int32_t c = (int32_t)fv_rng_below(&r, 0x3000) + 1;
      if (fv_rng_below(&r, 4)) c = special[fv_rng_below(&r, FV_COUNT(special))];
      n += fv_utf8_put(c, text + n);
    }
    for (int form = FV_NORMAL_NFC; form <= FV_NORMAL_NFKC; form++) {
      uint8_t *whole;
      utf8proc_option_t o = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
      if (form == FV_NORMAL_NFKC) o |= UTF8PROC_COMPAT;
      utf8proc_ssize_t length = utf8proc_map((const uint8_t *)text, n, &whole, o);
      assert_true(length >= 0);
      OK(fv_normal_run(&m, text, (size_t)n, (fv_normal_form)form, 0));
      if ((size_t)length != m.text.n || memcmp(whole, m.text.s, m.text.n) != 0)
        fail_msg("text %llu, form %d: not what the whole becomes", (unsigned long long)k, form);
      free(whole);
    }
  }
  fv_normal_free(&m);
}

/* ---- cutting ----------------------------------------------------------------------------------------------------- */
/* The pieces with '|' between. */
static void cuts(fv_split_rule rule, const char *text, const char *expected) {
  char got[512];
  size_t n = 0, at = 0;
  fv_bytes piece;
  while (fv_split_next(rule, text, strlen(text), &at, &piece))
    n += (size_t)snprintf(got + n, sizeof got - n, "%s%.*s", n ? "|" : "", (int)piece.n, piece.s);
  assert_string_equal(got, expected);
}

static void test_words(void **state) {
  (void)state;
  const fv_split_rule r = FV_SPLIT_WORDS;
  cuts(r, "  It's John's dog; they've said: don't!", "It|'s|John|'s|dog|;|they|'ve|said|:|do|n't|!");
  cuts(r, "it 's a do n't case of ca n't", "it|'s|a|do|n't|case|of|ca|n't"); /* as SST has it, unchanged */
  cuts(r, "CAN'T ain\u2019t n't students' 'quoted'", "CA|N'T|ai|n\u2019t|n't|students|'|'|quoted|'");
  cuts(r, "L'homme d'aujourd'hui qu'il", "L'|homme|d'|aujourd'|hui|qu'|il");
  cuts(r, "$1,250.50 in 2004, 3D k-19... -- ``so''", "$|1,250.50|in|2004|,|3D|k|-|19|...|--|``|so|''");
  cuts(r, "M\u00e4dchen cafe\u0301 snake_case", "M\u00e4dchen|cafe\u0301|snake_case");
  cuts(r, "\u4e2d\u6587\u3042 ok\u3002", "\u4e2d|\u6587|\u3042|ok|\u3002");
  cuts(r, "a\xff\xe2\x82z", "a|\xff|\xe2|\x82|z");
}

static void test_gpt(void **state) {
  (void)state;
  cuts(FV_SPLIT_GPT2, "I'm 12  years,\n\n old!! 'S", "I|'m| 12| | years|,|\n\n| old|!!| '|S");
  cuts(FV_SPLIT_GPT2, "end  ", "end|  ");
  cuts(FV_SPLIT_GPT4_3, "I'M 12345 (years)\n\n  old\t!", "I|'M| |123|45| (|years|)\n\n| | old|\t|!");
  cuts(FV_SPLIT_GPT4_1, "2016\r\n x", "2|0|1|6|\r\n| x");
}

/* ---- tokenisers -------------------------------------------------------------------------------------------------- */
static fv_tokenizer *learn(fv_tokenizer_options o, const char *text) {
  fv_tokenizer_trainer *r;
  fv_tokenizer *t;
  OK(fv_tokenizer_trainer_new(&o, &r));
  OK(fv_tokenizer_trainer_add(r, text, strlen(text)));
  OK(fv_tokenizer_trainer_finish(r, &t));
  return t;
}

static void test_vocabulary(void **state) { /* by count, then bytes */
  (void)state;
  fv_tokenizer *t = learn((fv_tokenizer_options){.kind = FV_TOKENIZER_WORDS, .size = 8, .lower = true},
                          "b A c a d \u00e9 \u00c9 e");
  static const char *const expected[] = {"<pad>", "<unk>", "<bos>", "<eos>", "a", "\u00e9", "b", "c"};
  assert_int_equal(fv_tokenizer_size(t), 8);
  for (int32_t i = 0; i < 8; i++) assert_string_equal(fv_tokenizer_token(t, i).s, expected[i]);
  assert_int_equal(fv_tokenizer_find(t, "b", 1), 6);
  assert_int_equal(fv_tokenizer_find(t, "<bos>", 5), 2);
  assert_int_equal(fv_tokenizer_find(t, "d", 1), -1);
  assert_int_equal(fv_tokenizer_special(t, FV_SPECIAL_EOS), 3);
  assert_null(fv_tokenizer_token(t, 8).s);
  assert_null(fv_tokenizer_token(t, -1).s);
  fv_tokenizer_free(t);
}

/* Sennrich's example: low, lower, newest, widest. es, est and so on come first; ties by ids. */
static void test_merges(void **state) {
  (void)state;
  fv_tokenizer *t = learn((fv_tokenizer_options){.kind = FV_TOKENIZER_BPE, .size = 266, .min_count = 2},
                          "low low low low low lower lower newest newest newest newest newest newest widest widest "
                          "widest");
  static const char *const made[] = {"es", "est", "lo", "low", " low", "ew"};
  assert_int_equal(fv_tokenizer_size(t), 266);
  for (int32_t i = 0; i < 3; i++) assert_string_equal(fv_tokenizer_token(t, 260 + i).s, made[i]);
  fv_tokenizer_free(t);
  t = learn((fv_tokenizer_options){.kind = FV_TOKENIZER_BPE, .size = 1000}, "aaaaaaaa aaaaaaaa");
  assert_true(fv_tokenizer_find(t, "aaaa", 4) > 0); /* merges that overlap themselves */
  fv_tokenizer_free(t);
}

static void test_spans(void **state) {
  (void)state;
  static const char text[] = "CAFE\u0301 \ufb01n <eos>";
  fv_tokenizer *t = learn((fv_tokenizer_options){.kind = FV_TOKENIZER_WORDS, .lower = true, .normal = FV_NORMAL_NFKC},
                          "caf\u00e9 fin");
  fv_encoder *e;
  fv_tokens k;
  OK(fv_encoder_new(t, &e));
  OK(fv_encoder_run(e, text, strlen(text), FV_ENCODE_SPECIALS, &k));
  assert_int_equal(k.n, 3);
  assert_true(k.span[0].from == 0 && k.span[0].to == 6);
  assert_true(k.span[1].from == 7 && k.span[1].to == 11); /* the ligature is three bytes */
  assert_true(k.span[2].from == 12 && k.span[2].to == 17);
  assert_int_equal(k.id[2], 3);
  assert_string_equal(fv_tokenizer_token(t, k.id[0]).s, "caf\u00e9");
  OK(fv_encoder_run(e, text, strlen(text), 0, &k));
  assert_int_equal(k.n, 5); /* < eos > */
  fv_encoder_free(e);
  fv_tokenizer_free(t);
}

/* A piece of a million bytes takes n log n, and what is learnt from nothing is refused. */
static void test_limits(void **state) {
  (void)state;
  enum { N = 1 << 20 };
  fv_tokenizer_trainer *r;
  fv_tokenizer_options small = {.kind = FV_TOKENIZER_BPE, .size = 300}, tiny = {.kind = FV_TOKENIZER_BPE, .size = 9};
  fv_tokenizer *t = learn(small, "aaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaa"), *none;
  fv_encoder *e;
  fv_tokens k;
  char *text = fv_alloc(N);
  assert_non_null(text);
  memset(text, 'a', N);
  OK(fv_encoder_new(t, &e));
  OK(fv_encoder_run(e, text, N, 0, &k));
  assert_int_equal(k.span[k.n - 1].to, N);
  fv_encoder_free(e);
  fv_free(text);
  fv_tokenizer_free(t);
  OK(fv_tokenizer_trainer_new(&(fv_tokenizer_options){.kind = FV_TOKENIZER_WORDS}, &r));
  FAILS(FV_ERR_REQUEST, "expected text to learn from", fv_tokenizer_trainer_finish(r, &none));
  FAILS(FV_ERR_REQUEST, "260 to", fv_tokenizer_trainer_new(&tiny, &r));
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */
static fv_text_table *table_of(const char *text, fv_text_options o) {
  fv_text_table *t;
  OK(fv_text_table_parse(text, strlen(text), "t", &o, &t));
  return t;
}

static void holds(const fv_text_table *t, int64_t row, int column, const char *expected) {
  fv_bytes got = fv_text_table_get(t, row, column);
  assert_int_equal(got.n, strlen(expected));
  assert_memory_equal(got.s, expected, got.n);
}

static void test_csv(void **state) {
  (void)state;
  static const char *const named[] = {"text", "label", NULL}, *const numbered[] = {"2", NULL};
  static const char text[] = "\xef\xbb\xbflabel,text\r\n1,\"two\nlines\"\r\n2,\"a \"\"b\"\", c\"\r\n3,last";
  fv_text_table *t = table_of(text, (fv_text_options){.format = FV_TEXT_CSV, .columns = named});
  assert_int_equal(fv_text_table_rows(t), 3);
  holds(t, 0, 0, "two\nlines"), holds(t, 0, 1, "1");
  holds(t, 1, 0, "a \"b\", c"), holds(t, 2, 0, "last");
  assert_int_equal(fv_text_table_line(t, 0), 2);
  assert_int_equal(fv_text_table_line(t, 1), 4);
  fv_text_table_free(t);
  t = table_of("1,x\n2,y\n", (fv_text_options){.format = FV_TEXT_CSV, .columns = numbered});
  assert_int_equal(fv_text_table_rows(t), 2); /* by number: no head */
  holds(t, 0, 0, "x");
  fv_text_table_free(t);
  t = table_of("a,b\n1,x\n", (fv_text_options){.format = FV_TEXT_CSV, .columns = numbered, .header = true});
  assert_int_equal(fv_text_table_rows(t), 1);
  fv_text_table_free(t);
}

static void test_bad_rows(void **state) {
  (void)state;
  static const char *const named[] = {"text", NULL};
  static const char text[] = "label,text\n1,good\n2\n3,caf\xe9\n\n4,\"open\n5,\n6,\"x\"y\n7,good again\n";
  fv_text_options o = {.format = FV_TEXT_CSV, .columns = named, .skip_bad = true};
  fv_text_table *t = table_of(text, o);
  assert_int_equal(fv_text_table_rows(t), 2);
  assert_int_equal(fv_text_table_skipped(t), 6);
  assert_string_equal(fv_text_table_first_bad(t), "table (t:3): expected 2 fields, as in the first row, got 1");
  assert_int_equal(fv_text_table_line(t, 1), 9);
  holds(t, 1, 0, "good again");
  fv_text_table_free(t);
  o.skip_bad = false;
  FAILS(FV_ERR_CORRUPT, "table (t:3)", fv_text_table_parse(text, sizeof text - 1, "t", &o, &t));
  FAILS(FV_ERR_CORRUPT, "table (t:2): expected utf-8, got byte 0xe9 at byte 4 of column 'text'",
        fv_text_table_parse("fine\ncaf\xe9\n", 10, "t", NULL, &t));
  FAILS(FV_ERR_REQUEST, "expected a column 'text', got 'label', 'txt'; did you mean 'txt'?",
        fv_text_table_parse("label,txt\n1,a\n", 14, "t", &o, &t));
}

static void test_formats(void **state) {
  (void)state;
  static const char *const keys[] = {"t", "n", NULL};
  fv_text_table *t = table_of("{\"n\": 1.5, \"t\": [\"a\", \"b\"]}\n{\"t\": \"\\u00e9\", \"n\": 2}\n",
                              (fv_text_options){.format = FV_TEXT_JSONL, .columns = keys});
  holds(t, 0, 0, "a b"), holds(t, 0, 1, "1.5"), holds(t, 1, 0, "\u00e9"), holds(t, 1, 1, "2");
  fv_text_table_free(t);
  t = table_of("LOC:city Where is C\xf4te ?\n",
               (fv_text_options){.format = FV_TEXT_QUESTIONS, .encoding = FV_ENCODING_LATIN1});
  holds(t, 0, 0, "LOC"), holds(t, 0, 1, "city"), holds(t, 0, 2, "Where is C\u00f4te ?");
  fv_text_table_free(t);
  t = table_of("caf\xe9 \x93x\x94\n", (fv_text_options){.encoding = FV_ENCODING_WINDOWS1252});
  holds(t, 0, 0, "caf\u00e9 \u201cx\u201d");
  fv_text_table_free(t);
  t = table_of("a\n\nb", (fv_text_options){.allow_empty = true});
  assert_int_equal(fv_text_table_rows(t), 3);
  holds(t, 1, 0, "");
  fv_text_table_free(t);
}

static void test_parallel(void **state) {
  (void)state;
  char a[256], b[256];
  const char *paths[] = {a, b};
  fv_text_options skipping = {.skip_bad = true};
  fv_text_table *t;
  snprintf(a, sizeof a, "%s", in_scratch("a.en"));
  snprintf(b, sizeof b, "%s", in_scratch("a.de"));
  OK(fv_file_write(a, "one\ntwo\nthree\n", 14));
  OK(fv_file_write(b, "eins\n\ndrei\n", 11));
  FAILS(FV_ERR_CORRUPT, "a.de:2): expected text, got an empty line", fv_text_table_open_parallel(paths, 2, NULL, &t));
  OK(fv_text_table_open_parallel(paths, 2, &skipping, &t));
  assert_int_equal(fv_text_table_rows(t), 2);
  assert_int_equal(fv_text_table_skipped(t), 1);
  holds(t, 1, 0, "three"), holds(t, 1, 1, "drei");
  fv_text_table_free(t);
  OK(fv_file_write(b, "eins\nzwei\n", 10));
  FAILS(FV_ERR_CORRUPT, "expected as many lines as", fv_text_table_open_parallel(paths, 2, &skipping, &t));
  FAILS(FV_ERR_NOTFOUND, "nothere", fv_text_table_open(in_scratch("nothere"), NULL, &t));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_utf8),    cmocka_unit_test(test_normal),     cmocka_unit_test(test_clusters),
      cmocka_unit_test(test_words),   cmocka_unit_test(test_gpt),        cmocka_unit_test(test_vocabulary),
      cmocka_unit_test(test_merges),  cmocka_unit_test(test_spans),      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_csv),     cmocka_unit_test(test_bad_rows),   cmocka_unit_test(test_formats),
      cmocka_unit_test(test_parallel)};
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
