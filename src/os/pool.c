/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c: a fixed set of threads that share out the tasks of one job at a time.
 *
 * The caller publishes a job, works on it itself, closes it when no task is left and waits for the workers that are
 * inside. A worker that wakes too late finds the job closed and never enters: a short job does not wait for a sleeping
 * thread. Waiting is a short spin, then a futex (Drepper, "Futexes Are Tricky", 2011); without a processor for each
 * thread spinning would keep the working thread from running, so there is none. */
#include "os/threads.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_THREADS = 1024, SPINS = 1000 };
#define OPEN 0x80000000u

typedef struct worker {
  fv_pool *pool;
  pthread_t id;
  int index;
} worker;

struct fv_pool {
  int threads, started, spins;
  fv_task *task; /* the job: written while no worker is inside */
  void *arg;
  int64_t n_tasks;
  worker *workers; /* threads - 1 of them; the caller is number 0 */
  /* A cache line for each word that threads fight for. */
  _Alignas(FV_ALIGN) _Atomic int64_t next;      /* the first task nobody has taken */
  _Alignas(FV_ALIGN) _Atomic uint32_t inside;   /* workers on the job, and OPEN while more may come in */
  _Alignas(FV_ALIGN) _Atomic uint32_t jobs;     /* counts jobs; workers wait for a change */
  _Atomic uint32_t sleeping;                    /* workers that need a wake-up call */
  atomic_bool quit;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int threads) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb"); /* yield is a no-op on most cores; isb takes about as long as x86's pause */
#endif
}

/* Waits until *word is not `old`; returns its new value. */
static uint32_t await_change(fv_pool *p, _Atomic uint32_t *word, uint32_t old, _Atomic uint32_t *sleeping) {
  for (int i = 0; i < p->spins; i++) {
    uint32_t now = atomic_load_explicit(word, memory_order_acquire);
    if (now != old) return now;
    relax();
  }
  /* Announced before the last look: whoever changes the word after that look sees the announcement. */
  if (sleeping) atomic_fetch_add(sleeping, 1);
  uint32_t now;
  while ((now = atomic_load(word)) == old) futex_wait(word, old);
  if (sleeping) atomic_fetch_sub(sleeping, 1);
  return now;
}

static bool enter(fv_pool *p) {
  uint32_t n = atomic_load_explicit(&p->inside, memory_order_relaxed);
  while (n & OPEN)
    if (atomic_compare_exchange_weak_explicit(&p->inside, &n, n + 1, memory_order_acquire, memory_order_relaxed))
      return true;
  return false;
}

static void leave(fv_pool *p) {
  if (atomic_fetch_sub_explicit(&p->inside, 1, memory_order_release) == 1) futex_wake(&p->inside, 1);
}

static void work(fv_pool *p, int index) {
  for (;;) {
    int64_t i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
    if (i >= p->n_tasks) return;
    p->task(p->arg, i, index);
  }
}

static void *run_worker(void *arg) {
  worker *w = arg;
  fv_pool *p = w->pool;
  uint32_t seen = 0;
  for (;;) {
    seen = await_change(p, &p->jobs, seen, &p->sleeping);
    if (p->quit) return NULL;
    if (!enter(p)) continue;
    work(p, w->index);
    leave(p);
  }
}

static void call_workers(fv_pool *p, int most) {
  atomic_fetch_add(&p->jobs, 1);
  if (atomic_load(&p->sleeping) > 0) futex_wake(&p->jobs, most);
}

/* Closes the job and waits until the last worker has left. */
static void close_job(fv_pool *p) {
  uint32_t n = atomic_fetch_and_explicit(&p->inside, ~OPEN, memory_order_acquire) & ~OPEN;
  while (n != 0) n = await_change(p, &p->inside, n, NULL);
}

void fv_pool_run(fv_pool *pool, int64_t n_tasks, fv_task *task, void *arg) {
  if (pool->threads == 1 || n_tasks <= 1) {
    for (int64_t i = 0; i < n_tasks; i++) task(arg, i, 0);
    return;
  }
  pool->task = task;
  pool->arg = arg;
  pool->n_tasks = n_tasks;
  atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
  atomic_store_explicit(&pool->inside, OPEN, memory_order_release);
  call_workers(pool, (int)FV_MIN(n_tasks - 1, pool->threads - 1));
  work(pool, 0);
  close_job(pool);
}

fv_status fv_pool_new(int threads, fv_pool **pool) {
  fv_status status = FV_OK;
  fv_pool *p = NULL;
  *pool = NULL;
  FV_REQUIRE(threads >= 1 && threads <= MOST_THREADS, FV_ERR_REQUEST, "threads: expected 1 to %d, got %d", MOST_THREADS,
             threads);
  FV_TRY(FV_NEW(&p, 1));
  p->threads = threads;
  p->spins = threads <= fv_cpu_count() ? SPINS : 0;
  FV_TRY_DONE(FV_NEW(&p->workers, threads - 1));
  for (int i = 0; i < threads - 1; i++) {
    p->workers[i] = (worker){.pool = p, .index = i + 1};
    FV_TRY_DONE(fv_pthread_start(&p->workers[i].id, run_worker, &p->workers[i]));
    p->started++;
  }
  *pool = p;
  p = NULL;
done:
  fv_pool_free(p);
  return status;
}

void fv_pool_free(fv_pool *pool) {
  if (!pool) return;
  pool->quit = true;
  call_workers(pool, INT_MAX);
  for (int i = 0; i < pool->started; i++) pthread_join(pool->workers[i].id, NULL);
  fv_free(pool->workers);
  fv_free(pool);
}

int fv_pool_threads(const fv_pool *pool) { return pool->threads; }
