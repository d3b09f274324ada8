/* SPDX-License-Identifier: Apache-2.0 */
/* threads.c: background threads, and a counter one can wait on. */
#include "os/threads.h"

#include <errno.h>
#include <signal.h>

/* Signals that ask something of the process belong to its first thread; those that a thread earns itself do not. */
static void block_signals(sigset_t *before) {
  static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGPROF};
  sigset_t set;
  sigfillset(&set);
  for (size_t i = 0; i < FV_COUNT(own); i++) sigdelset(&set, own[i]);
  pthread_sigmask(SIG_SETMASK, &set, before);
}

typedef struct start {
  void *(*body)(void *);
  void *arg;
  fv_tally *tally;
} start;

/* What the new thread does belongs to what started it. */
static void *begin(void *p) {
  const start s = *(start *)p;
  fv_free(p);
  fv_memory_tally(s.tally);
  return s.body(s.arg);
}

fv_status fv_pthread_start(pthread_t *thread, void *(*body)(void *), void *arg) {
  pthread_attr_t attr;
  sigset_t before;
  start *s;
  FV_TRY(FV_NEW(&s, 1));
  *s = (start){body, arg, fv_memory_get_tally()};
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, (size_t)2 << 20);
  block_signals(&before);
  int error = pthread_create(thread, &attr, begin, s);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  if (error) fv_free(s);
  FV_REQUIRE(error == 0, FV_ERR_IO, "threads: expected to start one more, got '%s'", strerror(error));
  return FV_OK;
}

struct fv_thread {
  pthread_t id;
  void (*body)(void *);
  void *arg;
};

static void *run_thread(void *p) {
  fv_thread *t = p;
  t->body(t->arg);
  return NULL;
}

fv_status fv_thread_new(void (*body)(void *), void *arg, fv_thread **thread) {
  fv_thread *t;
  *thread = NULL;
  FV_TRY(FV_NEW(&t, 1));
  t->body = body;
  t->arg = arg;
  fv_status status = fv_pthread_start(&t->id, run_thread, t);
  if (status == FV_OK) *thread = t;
  else fv_free(t);
  return status;
}

void fv_thread_join(fv_thread *thread) {
  if (!thread) return;
  pthread_join(thread->id, NULL);
  fv_free(thread);
}

struct fv_mutex {
  pthread_mutex_t mutex;
};

fv_status fv_mutex_new(fv_mutex **mutex) {
  FV_TRY(FV_NEW(mutex, 1));
  pthread_mutex_init(&(*mutex)->mutex, NULL);
  return FV_OK;
}

void fv_mutex_free(fv_mutex *mutex) {
  if (!mutex) return;
  pthread_mutex_destroy(&mutex->mutex);
  fv_free(mutex);
}

void fv_mutex_lock(fv_mutex *mutex) { pthread_mutex_lock(&mutex->mutex); }
void fv_mutex_unlock(fv_mutex *mutex) { pthread_mutex_unlock(&mutex->mutex); }

struct fv_gate {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int64_t value;
};

fv_status fv_gate_new(fv_gate **gate) {
  FV_TRY(FV_NEW(gate, 1));
  pthread_mutex_init(&(*gate)->mutex, NULL);
  pthread_cond_init(&(*gate)->changed, NULL);
  return FV_OK;
}

void fv_gate_free(fv_gate *gate) {
  if (!gate) return;
  pthread_cond_destroy(&gate->changed);
  pthread_mutex_destroy(&gate->mutex);
  fv_free(gate);
}

void fv_gate_add(fv_gate *gate, int64_t n) {
  pthread_mutex_lock(&gate->mutex);
  gate->value += n;
  pthread_cond_broadcast(&gate->changed);
  pthread_mutex_unlock(&gate->mutex);
}

void fv_gate_wait(fv_gate *gate, int64_t at_least) {
  pthread_mutex_lock(&gate->mutex);
  while (gate->value < at_least) pthread_cond_wait(&gate->changed, &gate->mutex);
  pthread_mutex_unlock(&gate->mutex);
}

int64_t fv_gate_value(fv_gate *gate) {
  pthread_mutex_lock(&gate->mutex);
  int64_t value = gate->value;
  pthread_mutex_unlock(&gate->mutex);
  return value;
}
