/* SPDX-License-Identifier: Apache-2.0 */
/* test_base.c: errors, heap, arenas, slabs, text, random numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/base.h"

/* ---- errors ------------------------------------------------------------------------------------------------------ */
static fv_status inner(int batch) {
  FV_REQUIRE(batch > 0, FV_ERR_REQUEST, "batch: expected a positive number, got %d", batch);
  return FV_OK;
}

static fv_status outer(int batch) {
  FV_TRY(inner(batch));
  return FV_OK;
}

static fv_status with_label(int batch, bool *cleaned) {
  fv_status status = FV_OK;
  FV_TRY_DONE(outer(batch));
done:
  *cleaned = true;
  return status;
}

static void test_failure_has_text_and_trace(void **state) {
  (void)state;
  bool cleaned = false;
  assert_int_equal(with_label(-3, &cleaned), FV_ERR_REQUEST);
  assert_true(cleaned);
  assert_string_equal(fv_error_message(), "batch: expected a positive number, got -3");
  const char *trace = fv_error_trace();
  const char *a = strstr(trace, " inner\n"), *b = strstr(trace, " outer\n"), *c = strstr(trace, " with_label\n");
  assert_true(a && b && c && a < b && b < c);
  assert_int_equal(strncmp(trace, "test_base.c:", 12), 0);

  assert_int_equal(fv_error_prefix(inner(0), "recipe %s", "tiny"), FV_ERR_REQUEST);
  assert_string_equal(fv_error_message(), "recipe tiny: batch: expected a positive number, got 0");
  assert_null(strstr(fv_error_trace(), "outer")); /* a new failure starts a new trace */
  assert_int_equal(outer(1), FV_OK);
}

static void test_message_is_one_bounded_line(void **state) {
  (void)state;
  assert_int_equal(FV_FAIL(FV_ERR_IO, "read (%s): gone", "a\nb\x1b[31m"), FV_ERR_IO);
  assert_string_equal(fv_error_message(), "read (a?b?[31m): gone");
  /* a message may quote the one before */
  assert_int_equal(FV_FAIL(FV_ERR_IO, "again: %s", fv_error_message()), FV_ERR_IO);
  assert_string_equal(fv_error_message(), "again: read (a?b?[31m): gone");

  char name[3001] = "";
  for (int i = 0; i < 1500; i++) memcpy(name + 2 * i, "\xc3\xa9", 2); /* e acute */
  for (int shift = 0; shift < 2; shift++) {
    assert_int_equal(FV_FAIL(FV_ERR_IO, "%s%s", shift ? "x" : "", name), FV_ERR_IO);
    const char *m = fv_error_message();
    size_t n = strlen(m);
    assert_true(n >= 1000 && n < 1024);
    assert_string_equal(m + n - 3, "...");
    assert_int_equal((n - 3 - (size_t)shift) % 2, 0); /* no half character */
  }
  for (int i = 0; i < 1000; i++) assert_int_equal(fv_trace_at(FV_ERR_IO, "x.c", i, "deep"), FV_ERR_IO);
  const char *trace = fv_error_trace();
  assert_int_equal(trace[strlen(trace) - 1], '\n');
}

static void *fail_elsewhere(void *arg) {
  (void)arg;
  (void)FV_FAIL(FV_ERR_IO, "other thread");
  return NULL;
}

static void test_message_is_per_thread(void **state) {
  (void)state;
  pthread_t other;
  (void)FV_FAIL(FV_ERR_IO, "this thread");
  assert_int_equal(pthread_create(&other, NULL, fail_elsewhere, NULL), 0);
  pthread_join(other, NULL);
  assert_string_equal(fv_error_message(), "this thread");
}

static void test_exit_codes(void **state) {
  (void)state;
  assert_int_equal(fv_status_exit_code(FV_OK), 0);
  assert_int_equal(fv_status_exit_code(FV_ERR_REQUEST), 2);
  assert_int_equal(fv_status_exit_code(FV_ERR_NOTFOUND), 2);
  assert_int_equal(fv_status_exit_code(FV_ERR_CORRUPT), 1);
  assert_int_equal(fv_status_exit_code(FV_ERR_INTERNAL), 1);
  assert_string_equal(fv_status_name(FV_ERR_CORRUPT), "corrupt");
}

/* ---- heap -------------------------------------------------------------------------------------------------------- */
static void test_heap_counts(void **state) {
  (void)state;
  fv_memory_stats before = fv_memory_get_stats();
  unsigned char *p = fv_alloc(1000), *q = fv_alloc(0);
  assert_non_null(p);
  assert_non_null(q);
  assert_int_equal((uintptr_t)p % FV_ALIGN, 0);
  for (int i = 0; i < 1000; i++) assert_int_equal(p[i], 0);
  for (int i = 0; i < 1000; i++) p[i] = (unsigned char)i;
  fv_memory_stats now = fv_memory_get_stats();
  assert_int_equal(now.count - before.count, 2);
  assert_int_equal(now.live_bytes - before.live_bytes, 1000);
  assert_true(now.peak_bytes >= now.live_bytes);

  p = fv_realloc(p, 100000);
  assert_non_null(p);
  assert_int_equal((uintptr_t)p % FV_ALIGN, 0);
  for (int i = 0; i < 1000; i++) assert_int_equal(p[i], i & 255);
  p = fv_realloc(p, 10);
  for (int i = 0; i < 10; i++) assert_int_equal(p[i], i);
  assert_true(fv_memory_get_stats().peak_bytes >= before.live_bytes + 100000);
  fv_free(p);
  fv_free(q);
  fv_free(NULL);
  assert_int_equal(fv_memory_get_stats().live_bytes, before.live_bytes);
  assert_null(fv_alloc(SIZE_MAX - 8));
  double *v;
  assert_int_equal(FV_NEW(&v, SIZE_MAX / 4), FV_ERR_MEMORY);
  assert_null(v);
}

static void *count_up(void *arg) {
  (void)arg;
  for (int i = 0; i < 2000; i++) fv_free(fv_alloc((size_t)i));
  return NULL;
}

static void test_heap_counts_threads(void **state) {
  (void)state;
  fv_memory_stats before = fv_memory_get_stats();
  pthread_t t[4];
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, count_up, NULL), 0);
  for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
  fv_memory_stats now = fv_memory_get_stats();
  assert_int_equal(now.count - before.count, 8000);
  assert_int_equal(now.live_bytes, before.live_bytes);
}

static void test_heap_fails_on_request(void **state) {
  (void)state;
  int64_t live = fv_memory_get_stats().live_bytes;
  fv_memory_fail_after(2);
  void *p = fv_alloc(8);
  assert_non_null(p);
  assert_null(fv_alloc(8));
  assert_null(fv_realloc(p, 80)); /* and p stays */
  assert_null(fv_strdup("x"));
  void *slab;
  fv_ledger ledger = {0};
  assert_int_equal(fv_slab_new(&ledger, FV_ACCOUNT_DATA, 64, &slab), FV_ERR_MEMORY);
  assert_int_equal(fv_ledger_total(&ledger), 0);
  fv_memory_fail_after(0);
  fv_free(p);
  assert_int_equal(fv_memory_get_stats().live_bytes, live);
}

/* ---- arena ------------------------------------------------------------------------------------------------------- */
static void test_arena(void **state) {
  (void)state;
  fv_memory_stats before = fv_memory_get_stats();
  fv_arena *arena;
  assert_int_equal(fv_arena_new(&arena), FV_OK);
  unsigned char *p[500];
  for (int i = 0; i < 500; i++) {
    size_t n = i % 50 == 49 ? 300000 : (size_t)i;
    p[i] = fv_arena_alloc(arena, n);
    assert_non_null(p[i]);
    assert_int_equal((uintptr_t)p[i] % 16, 0);
    for (size_t k = 0; k < n; k++) assert_int_equal(p[i][k], 0);
    memset(p[i], i & 255, n);
  }
  for (int i = 0; i < 500; i++)
    for (int k = 0; k < i; k++)
      if (p[i][k] != (i & 255)) fail_msg("allocation %d overlaps another", i);
  assert_true(fv_memory_get_stats().count - before.count < 40); /* chunks, not single allocations */
  assert_string_equal(fv_arena_strdup(arena, "glimpse"), "glimpse");
  assert_string_equal(fv_arena_printf(arena, "%s.%d", "encoder", 3), "encoder.3");
  assert_null(fv_arena_alloc(arena, SIZE_MAX));
  fv_memory_fail_after(1);
  assert_null(fv_arena_alloc(arena, 1 << 20));
  fv_memory_fail_after(0);
  fv_arena_free(arena);
  fv_arena_free(NULL);
  assert_int_equal(fv_memory_get_stats().live_bytes, before.live_bytes);
}

/* ---- slabs ------------------------------------------------------------------------------------------------------- */
static void test_slab(void **state) {
  (void)state;
  const int64_t sizes[] = {0, 1, 100, 65536, (4 << 20) - 1, (4 << 20) + 1, 9 << 20};
  fv_ledger ledger = {0};
  int64_t expected = 0;
  for (size_t i = 0; i < FV_COUNT(sizes); i++) {
    fv_memory_stats before = fv_memory_get_stats();
    unsigned char *slab;
    assert_int_equal(fv_slab_new(&ledger, FV_ACCOUNT_PARAMETERS, sizes[i], (void **)&slab), FV_OK);
    assert_non_null(slab);
    assert_int_equal((uintptr_t)slab % FV_ALIGN, 0);
    int64_t n = fv_round_up(sizes[i], 64);
    for (int64_t k = 0; k < n; k++)
      if (slab[k] != 0) fail_msg("byte %d is not zero", (int)k);
    memset(slab, 255, (size_t)n);
    assert_int_equal(fv_memory_get_stats().live_bytes - before.live_bytes, n);
    assert_int_equal(fv_memory_get_stats().count - before.count, 1);
    fv_slab_free(slab);
    assert_int_equal(fv_memory_get_stats().live_bytes, before.live_bytes);
    expected += n;
  }
  assert_int_equal(ledger.bytes[FV_ACCOUNT_PARAMETERS], expected);
  assert_int_equal(fv_ledger_total(&ledger), expected);
  fv_slab_free(NULL);
}

static void test_slab_in_pieces(void **state) {
  (void)state;
  const int64_t bytes[] = {0, 1, 64, 65, 100}, begin[] = {0, 0, 64, 128, 256};
  int64_t counted = 0, at = 0;
  char *slab;
  for (size_t i = 0; i < FV_COUNT(bytes); i++) assert_null(fv_slab_take(NULL, &counted, bytes[i]));
  assert_int_equal(counted, 384);
  assert_int_equal(fv_slab_new(NULL, FV_ACCOUNT_DATA, counted, (void **)&slab), FV_OK);
  for (size_t i = 0; i < FV_COUNT(bytes); i++) assert_ptr_equal(fv_slab_take(slab, &at, bytes[i]), slab + begin[i]);
  assert_int_equal(at, counted);
  fv_slab_free(slab);
}

static void test_slab_dry_run_counts_the_same(void **state) {
  (void)state;
  fv_ledger dry = {.dry = true}, small = {.limit = 1 << 20};
  uint64_t count = fv_memory_get_stats().count;
  void *slab = &dry;
  assert_int_equal(fv_slab_new(&dry, FV_ACCOUNT_GRADIENTS, 1000, &slab), FV_OK);
  assert_null(slab);
  assert_int_equal(dry.bytes[FV_ACCOUNT_GRADIENTS], 1024);
  assert_int_equal(fv_memory_get_stats().count, count);

  assert_int_equal(fv_slab_new(&small, FV_ACCOUNT_PACKED, (1 << 20) + 1, &slab), FV_ERR_MEMORY);
  assert_null(slab);
  assert_non_null(strstr(fv_error_message(), "memory limit (packed): expected at most 1.0 MiB"));
  assert_int_equal(fv_ledger_total(&small), 0);
  assert_int_equal(fv_slab_new(&small, FV_ACCOUNT_PACKED, 1 << 20, &slab), FV_OK); /* the limit itself fits */
  fv_slab_free(slab);
  assert_int_equal(fv_slab_new(&dry, FV_ACCOUNT_PACKED, -1, &slab), FV_ERR_MEMORY);
  assert_int_equal(fv_slab_new(&(fv_ledger){0}, FV_ACCOUNT_DATA, INT64_MAX / 4, &slab), FV_ERR_MEMORY);
}

/* ---- text -------------------------------------------------------------------------------------------------------- */
static void test_text_grows(void **state) {
  (void)state;
  fv_text t = {0};
  for (int i = 0; i < 1000; i++) fv_text_printf(&t, "%d,", i);
  fv_text_append(&t, "a\0b", 3);
  assert_int_equal(t.n, 3893);
  assert_int_equal(t.s[t.n], 0);
  assert_int_equal(strncmp(t.s, "0,1,2,3,", 8), 0);
  assert_int_equal(memcmp(t.s + t.n - 7, "999,a\0b", 7), 0);
  assert_false(t.failed);
  size_t n = t.n;
  fv_memory_fail_after(1);
  char big[10000] = {0};
  fv_text_append(&t, big, sizeof big);
  fv_memory_fail_after(0);
  fv_text_append(&t, "later", 5);
  assert_true(t.failed);
  assert_int_equal(t.n, n);
  fv_text_free(&t);
  assert_null(t.s);
  fv_text_append(&t, "", 0);
  assert_string_equal(t.s, "");
  fv_text_free(&t);
}

static void test_nearest_name(void **state) {
  (void)state;
  const char *const names[] = {"epochs", "batch", "lr", "image-classify", "threads", NULL};
  assert_string_equal(fv_nearest_name("epocs", names), "epochs");
  assert_string_equal(fv_nearest_name("bacth", names), "batch"); /* exchanged neighbours cost one */
  assert_string_equal(fv_nearest_name("Lr", names), "lr");
  assert_string_equal(fv_nearest_name("image_clasify", names), "image-classify");
  assert_null(fv_nearest_name("zebra", names));
  assert_null(fv_nearest_name("x", names));
  assert_null(fv_nearest_name("", names));
  char longest[200];
  memset(longest, 'a', sizeof longest - 1);
  longest[sizeof longest - 1] = 0;
  assert_null(fv_nearest_name(longest, names));
  assert_null(fv_nearest_name("abc", (const char *const[]){longest, NULL}));
}

static void test_parse(void **state) {
  (void)state;
  int64_t i = 0;
  double r = 0;
  bool b = false;
  assert_true(fv_parse_int("-9223372036854775808", &i) && i == INT64_MIN);
  assert_true(fv_parse_int("007", &i) && i == 7);
  const char *const no_ints[] = {"", " 1", "1 ", "1e3", "0x10", "9223372036854775808", "--1", "-", "1.0"};
  for (size_t k = 0; k < FV_COUNT(no_ints); k++) assert_false(fv_parse_int(no_ints[k], &i));
  assert_true(fv_parse_real("1e-3", &r) && r == 1e-3);
  assert_true(fv_parse_real("-.5", &r) && r == -0.5);
  assert_true(fv_parse_real("5e-324", &r) && r == 5e-324); /* the smallest denormal is a number too */
  const char *const no_reals[] = {"", "nan", "inf", "1e999", "1,5", "0x1p3", "1e", " 1", "1 ", "e", ".", "1.2.3"};
  for (size_t k = 0; k < FV_COUNT(no_reals); k++) assert_false(fv_parse_real(no_reals[k], &r));
  assert_true(fv_ends_with("a.csv", ".csv") && fv_ends_with(".csv", ".csv") && fv_ends_with("a", ""));
  assert_false(fv_ends_with("csv", ".csv") || fv_ends_with("a.csv.gz", ".csv") || fv_ends_with("", "x"));
  assert_true(fv_parse_bool("Yes", &b) && b);
  assert_true(fv_parse_bool("off", &b) && !b);
  assert_false(fv_parse_bool("2", &b));
}

static void test_real_text_reads_back(void **state) {
  (void)state;
  const struct {
    double v;
    const char *text;
  } known[] = {{0, "0"}, {-0.0, "-0"}, {100, "100"}, {0.1, "0.1"}, {1e-3, "0.001"}, {2.5e-8, "2.5e-08"},
               {1e300, "1e+300"}, {0.1 + 0.2, "0.30000000000000004"}, {-123456789, "-123456789"}};
  char text[FV_REAL_TEXT];
  for (size_t k = 0; k < FV_COUNT(known); k++) assert_string_equal(fv_real_text(known[k].v, text), known[k].text);
  fv_rng rng = fv_rng_new(1, 2);
  for (int k = 0; k < 2000; k++) {
    uint64_t bits = (uint64_t)fv_rng_u32(&rng) << 32 | fv_rng_u32(&rng);
    double v, back;
    memcpy(&v, &bits, sizeof v);
    if (!isfinite(v)) continue;
    assert_true(fv_parse_real(fv_real_text(v, text), &back));
    assert_int_equal(memcmp(&v, &back, sizeof v), 0);
  }
}

/* A host program may have set a locale with a decimal comma. */
static void test_numbers_in_any_locale(void **state) {
  (void)state;
  const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "nl_NL.UTF-8"};
  bool set = false;
  for (size_t k = 0; k < FV_COUNT(names) && !set; k++) set = setlocale(LC_NUMERIC, names[k]) != NULL;
  if (!set) skip();
  char text[FV_REAL_TEXT];
  double r = 0;
  assert_string_equal(fv_real_text(0.5, text), "0.5");
  assert_true(fv_parse_real("0.25", &r) && r == 0.25);
  setlocale(LC_NUMERIC, "C");
}

/* ---- random numbers ---------------------------------------------------------------------------------------------- */
/* The known-answer vectors of Random123 (kat_vectors, philox4x32 10). */
static void test_philox_known_answers(void **state) {
  (void)state;
  const struct {
    uint64_t counter, stream, seed;
    uint32_t out[4];
  } known[] = {
      {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {~0ull, ~0ull, ~0ull, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      /* counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0: the digits of pi */
      {0x85a308d3243f6a88, 0x0370734413198a2e, 0x299f31d0a4093822, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t k = 0; k < FV_COUNT(known); k++) {
    uint32_t out[4];
    fv_philox(known[k].seed, known[k].stream, known[k].counter, out);
    assert_memory_equal(out, known[k].out, sizeof out);
  }
}

static void test_rng_is_a_position(void **state) {
  (void)state;
  uint32_t first[4], second[4];
  fv_philox(7, 9, 0, first);
  fv_philox(7, 9, 1, second);
  fv_rng a = fv_rng_new(7, 9);
  for (int i = 0; i < 4; i++) assert_int_equal(fv_rng_u32(&a), first[i]);
  assert_int_equal(fv_rng_u32(&a), second[0]);
  fv_rng pair = fv_rng_new(7, 9); /* two normal numbers take two words */
  double product = fv_rng_normal(&pair) * fv_rng_normal(&pair);
  assert_int_equal(fv_rng_u32(&pair), first[2]);
  double u = (first[0] + 1.0) * 0x1p-32, angle = 2 * M_PI * first[1] * 0x1p-32;
  assert_true(fabs(product + 2 * log(u) * sin(angle) * cos(angle)) < 1e-12);
  (void)fv_rng_normal(&a);
  fv_rng b = a; /* a copy goes on as the original does, also between the two values of a pair */
  for (int i = 0; i < 11; i++) assert_true(fv_rng_normal(&a) == fv_rng_normal(&b));
  assert_int_equal(fv_rng_u32(&a), fv_rng_u32(&b));
}

static void test_rng_below_is_even(void **state) {
  (void)state;
  fv_rng r = fv_rng_new(42, fv_stream_of("below"));
  int count[7] = {0};
  for (int i = 0; i < 70000; i++) {
    uint32_t x = fv_rng_below(&r, 7);
    assert_true(x < 7);
    count[x]++;
  }
  double chi2 = 0;
  for (int k = 0; k < 7; k++) chi2 += (count[k] - 1e4) * (count[k] - 1e4) / 1e4;
  assert_true(chi2 < 22.5); /* 6 degrees of freedom, one in a thousand */
  /* Three quarters of the range: the plain product alone would give every third number half of the time. */
  int thirds = 0;
  for (int i = 0; i < 30000; i++) thirds += fv_rng_below(&r, 0xC0000000u) % 3 == 0;
  assert_true(abs(thirds - 10000) < 450);
  assert_int_equal(fv_rng_below(&r, 1), 0);
}

static void test_rng_moments(void **state) {
  (void)state;
  fv_rng r = fv_rng_new(3, 4);
  const int n = 200000;
  double sum = 0, sum2 = 0, sum3 = 0, sum4 = 0, pairs = 0, last = 0, uniform = 0;
  for (int i = 0; i < n; i++) {
    double z = fv_rng_normal(&r), u = fv_rng_uniform(&r);
    assert_true(u >= 0 && u < 1);
    uniform += u;
    sum += z;
    sum2 += z * z;
    sum3 += z * z * z;
    sum4 += z * z * z * z;
    pairs += z * last;
    last = z;
  }
  assert_true(fabs(sum / n) < 0.01);
  assert_true(fabs(sum2 / n - 1) < 0.015);
  assert_true(fabs(sum3 / n) < 0.03);
  assert_true(fabs(sum4 / n - 3) < 0.1);
  assert_true(fabs(pairs / n) < 0.01);
  assert_true(fabs(uniform / n - 0.5) < 0.003);
}

static void test_rng_permutation(void **state) {
  (void)state;
  int32_t v[1000];
  bool seen[1000] = {false};
  fv_rng r = fv_rng_new(5, 6);
  fv_rng_permutation(&r, v, 1000);
  int fixed = 0;
  for (int i = 0; i < 1000; i++) {
    assert_true(v[i] >= 0 && v[i] < 1000 && !seen[v[i]]);
    seen[v[i]] = true;
    fixed += v[i] == i;
  }
  assert_true(fixed < 8); /* one is expected */
  fv_rng_permutation(&r, v, 1);
  assert_int_equal(v[0], 0);
  fv_rng_permutation(&r, v, 0);
  assert_true(fv_stream_of("") == 0xcbf29ce484222325u && fv_stream_of("a") == 0xaf63dc4c8601ec8cu);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_failure_has_text_and_trace), cmocka_unit_test(test_message_is_one_bounded_line),
      cmocka_unit_test(test_message_is_per_thread), cmocka_unit_test(test_exit_codes),
      cmocka_unit_test(test_heap_counts), cmocka_unit_test(test_heap_counts_threads),
      cmocka_unit_test(test_heap_fails_on_request), cmocka_unit_test(test_arena), cmocka_unit_test(test_slab),
      cmocka_unit_test(test_slab_in_pieces), cmocka_unit_test(test_slab_dry_run_counts_the_same),
      cmocka_unit_test(test_text_grows),
      cmocka_unit_test(test_nearest_name), cmocka_unit_test(test_parse), cmocka_unit_test(test_real_text_reads_back),
      cmocka_unit_test(test_numbers_in_any_locale), cmocka_unit_test(test_philox_known_answers),
      cmocka_unit_test(test_rng_is_a_position), cmocka_unit_test(test_rng_below_is_even),
      cmocka_unit_test(test_rng_moments), cmocka_unit_test(test_rng_permutation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
