/* SPDX-License-Identifier: Apache-2.0 */
/* test_threads.c: the pool does every task once, whatever the numbers; gates and background threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/os.h"

enum { MOST = 1000 };
typedef struct job {
  int threads;
  _Atomic int done[MOST];
  _Atomic int bad_workers;
  _Atomic int busy[16]; /* a worker does one task at a time */
} job;

static void count(void *arg, int64_t i, int worker) {
  job *j = arg;
  if (worker < 0 || worker >= j->threads || atomic_fetch_add(&j->busy[worker], 1) != 0) j->bad_workers++;
  j->done[i]++;
  j->busy[worker]--;
}

static void test_every_task_once(void **state) {
  (void)state;
  const int threads[] = {1, 2, 3, 7, 16}, tasks[] = {0, 1, 2, 3, 5, 64, MOST};
  static job j;
  for (size_t t = 0; t < FV_COUNT(threads); t++) {
    fv_pool *pool;
    assert_int_equal(fv_pool_new(threads[t], &pool), FV_OK);
    assert_int_equal(fv_pool_threads(pool), threads[t]);
    j.threads = threads[t];
    for (size_t k = 0; k < FV_COUNT(tasks) * 40; k++) {
      int n = tasks[k % FV_COUNT(tasks)];
      for (int i = 0; i < MOST; i++) j.done[i] = 0;
      fv_pool_run(pool, n, count, &j);
      for (int i = 0; i < MOST; i++)
        if (j.done[i] != (i < n)) fail_msg("task %d of %d ran %d times on %d threads", i, n, j.done[i], threads[t]);
    }
    assert_int_equal(j.bad_workers, 0);
    fv_pool_free(pool);
  }
  fv_pool_free(NULL);
}

/* Plain memory written by a task is seen after the run, and what the caller wrote before is seen by tasks. */
static void add_one(void *arg, int64_t i, int worker) {
  (void)worker;
  ((int64_t *)arg)[i] += 1;
}

static void test_runs_follow_each_other(void **state) {
  (void)state;
  int64_t v[37] = {0};
  const int runs = 20000;
  for (int threads = 2; threads <= 3; threads++) {
    fv_pool *pool;
    memset(v, 0, sizeof v);
    assert_int_equal(fv_pool_new(threads, &pool), FV_OK);
    uint64_t allocations = fv_memory_get_stats().count;
    for (int r = 0; r < runs; r++) {
      fv_pool_run(pool, 37, add_one, v);
      if (r % 4000 == 0) usleep(2000); /* the workers fall asleep */
    }
    assert_int_equal(fv_memory_get_stats().count, allocations);
    for (int i = 0; i < 37; i++) assert_int_equal(v[i], runs);
    fv_pool_free(pool);
  }
}

static void sleep_a_little(void *arg, int64_t i, int worker) {
  (void)i;
  ((_Atomic int *)arg)[worker]++;
  usleep(3000);
}

static void test_work_is_shared(void **state) {
  (void)state;
  _Atomic int by[4] = {0};
  fv_pool *pool;
  assert_int_equal(fv_pool_new(4, &pool), FV_OK);
  fv_pool_run(pool, 40, sleep_a_little, by);
  for (int w = 0; w < 4; w++) assert_true(by[w] > 0); /* sleeping tasks leave the processors free */
  fv_pool_free(pool);
}

static double cpu_seconds(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void test_idle_pool_costs_nothing(void **state) {
  (void)state;
  int64_t v[2] = {0};
  fv_pool *pool;
  assert_int_equal(fv_pool_new(2, &pool), FV_OK);
  fv_pool_run(pool, 2, add_one, v);
  double before = cpu_seconds();
  usleep(200000);
  assert_true(cpu_seconds() - before < 0.05);
  fv_pool_free(pool);
}

static void test_bad_thread_counts(void **state) {
  (void)state;
  fv_pool *pool;
  assert_int_equal(fv_pool_new(0, &pool), FV_ERR_REQUEST);
  assert_null(pool);
  assert_string_equal(fv_error_message(), "threads: expected 1 to 1024, got 0");
  assert_int_equal(fv_pool_new(100000, &pool), FV_ERR_REQUEST);
  for (uint64_t n = 1; n <= 2; n++) {
    int64_t live = fv_memory_get_stats().live_bytes;
    fv_memory_fail_after(n);
    assert_int_equal(fv_pool_new(3, &pool), FV_ERR_MEMORY);
    fv_memory_fail_after(0);
    assert_int_equal(fv_memory_get_stats().live_bytes, live);
  }
}

/* ---- whose allocations ------------------------------------------------------------------------------------------- */
static void allocate(void *arg, int64_t i, int worker) {
  (void)arg, (void)i, (void)worker;
  fv_free(fv_alloc(8));
}

static void make_pool(void *arg) {
  fv_pool *pool;
  fv_tally own = 0, *before = fv_memory_tally(&own);
  assert_int_equal(fv_pool_new(3, &pool), FV_OK);
  const uint64_t made = own;
  fv_pool_run(pool, 100, allocate, NULL);
  *(uint64_t *)arg = own - made;
  fv_pool_free(pool);
  fv_memory_tally(before);
}

/* Threads count for who started them, and for nobody else. */
static void test_tallies_are_apart(void **state) {
  (void)state;
  uint64_t made[2] = {0};
  fv_thread *thread[2];
  for (int i = 0; i < 2; i++) assert_int_equal(fv_thread_new(make_pool, &made[i], &thread[i]), FV_OK);
  for (int i = 0; i < 2; i++) fv_thread_join(thread[i]);
  for (int i = 0; i < 2; i++) assert_int_equal(made[i], 100);
  assert_null(fv_memory_get_tally());
}

/* ---- gates and background threads -------------------------------------------------------------------------------- */
typedef struct hand_over {
  fv_gate *full, *empty;
  int64_t place, sum;
  size_t stack;
  bool takes_int;
} hand_over;

static void consume(void *arg) {
  hand_over *h = arg;
  for (int64_t i = 1; i <= 1000; i++) {
    fv_gate_wait(h->full, i);
    h->sum += h->place;
    fv_gate_add(h->empty, 1);
  }
  pthread_attr_t attr;
  sigset_t blocked;
  pthread_getattr_np(pthread_self(), &attr);
  pthread_attr_getstacksize(&attr, &h->stack);
  pthread_attr_destroy(&attr);
  pthread_sigmask(SIG_BLOCK, NULL, &blocked);
  h->takes_int = !sigismember(&blocked, SIGINT);
}

static void test_hand_over(void **state) {
  (void)state;
  hand_over h = {0};
  fv_thread *thread;
  assert_int_equal(fv_gate_new(&h.full), FV_OK);
  assert_int_equal(fv_gate_new(&h.empty), FV_OK);
  assert_int_equal(fv_thread_new(consume, &h, &thread), FV_OK);
  for (int64_t i = 1; i <= 1000; i++) {
    h.place = i;
    fv_gate_add(h.full, 1);
    fv_gate_wait(h.empty, i);
  }
  fv_thread_join(thread);
  fv_thread_join(NULL);
  assert_int_equal(h.sum, 500500);
  assert_int_equal(fv_gate_value(h.empty), 1000);
  assert_int_equal(h.stack, 2 << 20);
  assert_false(h.takes_int); /* signals are for the first thread */
  fv_gate_free(h.full);
  fv_gate_free(h.empty);
  fv_gate_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_task_once),   cmocka_unit_test(test_runs_follow_each_other),
      cmocka_unit_test(test_work_is_shared),    cmocka_unit_test(test_idle_pool_costs_nothing),
      cmocka_unit_test(test_tallies_are_apart), cmocka_unit_test(test_bad_thread_counts),
      cmocka_unit_test(test_hand_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
