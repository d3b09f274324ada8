/* SPDX-License-Identifier: Apache-2.0 */
/* guard.c: memory that tells when it is overstepped, and a way to survive a crash. A buffer is mapped between two pages
 * without access, so that a byte too far faults; the room that alignment leaves is filled with canaries. Faults come
 * back through siglongjmp with the buffer that was missed and by how much. */
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define CANARY 0xC5
#define CANARY_BYTES 4096 /* watched on either side */
#define MAX_BUFFERS 256

static ck_buffer *buffers[MAX_BUFFERS]; /* all that are mapped: to name the one a fault address belongs to */

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

/* Room that may be read but not written at either end, FOVEA_TEST_SLACK bytes: an emulator may read a whole vector
 * where the processor's masked load does not. */
static size_t slack(void) {
  const char *text = getenv("FOVEA_TEST_SLACK");
  return text ? (size_t)fv_round_up((int64_t)strtoul(text, NULL, 10) % 4096, FV_ALIGN) : 0;
}

void ck_buffer_init(ck_buffer *b, const char *kind, int index) {
  *b = (ck_buffer){0};
  if (index < 0) snprintf(b->what, sizeof b->what, "%s", kind);
  else snprintf(b->what, sizeof b->what, "%s %d", kind, index);
}

void ck_buffer_free(ck_buffer *b) {
  if (b->base == NULL) return;
  for (int i = 0; i < MAX_BUFFERS; i++)
    if (buffers[i] == b) buffers[i] = NULL;
  munmap(b->base - page_bytes(), b->cap + 2 * page_bytes());
  b->base = NULL;
}

static fv_status buffer_map(ck_buffer *b, size_t cap) {
  ck_buffer_free(b);
  size_t page = page_bytes();
  uint8_t *p = mmap(NULL, cap + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  FV_REQUIRE(p != MAP_FAILED, FV_ERR_MEMORY, "guarded memory: cannot map %zu bytes", cap);
  if (mprotect(p + page, cap, PROT_READ | PROT_WRITE) != 0) {
    munmap(p, cap + 2 * page);
    return FV_FAIL(FV_ERR_MEMORY, "guarded memory: cannot open %zu bytes", cap);
  }
  b->base = p + page;
  b->cap = cap;
  for (int i = 0; i < MAX_BUFFERS; i++)
    if (buffers[i] == NULL) {
      buffers[i] = b;
      break;
    }
  return FV_OK;
}

/* The watched bytes before and after the data. */
static void canary_range(const ck_buffer *b, uint8_t **lo, uint8_t **hi) {
  *lo = FV_MAX(b->base, b->data - FV_MIN((size_t)(b->data - b->base), (size_t)CANARY_BYTES));
  uint8_t *end = b->data + b->size;
  *hi = end + FV_MIN((size_t)(b->base + b->cap - end), (size_t)CANARY_BYTES);
}

fv_status ck_buffer_place(ck_buffer *b, size_t size, size_t align, ck_place place, uint8_t dirt) {
  size_t room = (size_t)fv_round_up((int64_t)(size + slack()) + 128, (int64_t)page_bytes());
  /* an exact number of pages matters to neither placement, so a buffer only ever grows */
  if (b->base == NULL || b->cap < room) FV_TRY(buffer_map(b, room));
  b->size = size;
  switch (place) {
    case CK_PLACE_END:
      b->data = b->base + b->cap - slack() - fv_round_up((int64_t)size, (int64_t)FV_MAX(align, (size_t)1));
      break;
    case CK_PLACE_START: b->data = b->base + slack(); break;
    case CK_PLACE_ODD: b->data = b->base + 64 + (align > 1 ? 0 : 4); break;
  }
  uint8_t *lo, *hi;
  canary_range(b, &lo, &hi);
  memset(lo, CANARY, (size_t)(hi - lo));
  memset(b->data, dirt, size);
  return FV_OK;
}

bool ck_buffer_intact(const ck_buffer *b, int64_t *where) {
  uint8_t *lo, *hi, *end = b->data + b->size;
  canary_range(b, &lo, &hi);
  for (uint8_t *p = b->data; p-- > lo;)
    if (*p != CANARY) {
      *where = p - b->data;
      return false;
    }
  for (uint8_t *p = end; p < hi; p++)
    if (*p != CANARY) {
      *where = p - b->data;
      return false;
    }
  return true;
}

/* ---- crashes ---------------------------------------------------------------------------------------------------- */
static sigjmp_buf trap_return;
static volatile sig_atomic_t trap_set, trap_signal;
static void *volatile trap_address;

static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)context;
  if (!trap_set) {
    /* not ours: the default action, by returning into the fault or raising it anew */
    sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    raise(signal);
    return;
  }
  trap_signal = signal;
  trap_address = info->si_addr;
  siglongjmp(trap_return, 1);
}

static const int trapped[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGALRM};

static void trap_install(void) {
  static bool installed;
  if (installed) return;
  installed = true;
  static uint8_t stack[1 << 16]; /* a stack overflow must be caught too */
  sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
  for (size_t i = 0; i < FV_COUNT(trapped); i++)
    sigaction(trapped[i], &(struct sigaction){.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK}, NULL);
}

static void set_alarm(double seconds) {
  struct itimerval t = {
      .it_value = {.tv_sec = (time_t)seconds, .tv_usec = (suseconds_t)((seconds - floor(seconds)) * 1e6)}};
  setitimer(ITIMER_REAL, &t, NULL);
}

/* "17 bytes past the end of input 1", when the address lies on a guarding page. */
static void describe_address(const uint8_t *a, char *text, size_t n) {
  for (int i = 0; i < MAX_BUFFERS; i++) {
    const ck_buffer *b = buffers[i];
    if (b == NULL || a < b->base - page_bytes() || a >= b->base + b->cap + page_bytes()) continue;
    if (a < b->base) snprintf(text, n, ", %lld bytes before the start of %s", (long long)(b->data - a), b->what);
    else snprintf(text, n, ", %lld bytes past the end of %s", (long long)(a - (b->data + b->size)), b->what);
    return;
  }
  snprintf(text, n, " at address %p", (const void *)a);
}

bool ck_trap(void (*body)(void *), void *arg, double seconds, char *what, size_t n) {
  trap_install();
  if (sigsetjmp(trap_return, 1) == 0) {
    trap_set = 1;
    set_alarm(seconds);
    body(arg);
    set_alarm(0);
    trap_set = 0;
    return true;
  }
  set_alarm(0);
  trap_set = 0;
  char where[96] = "";
  if (trap_signal == SIGALRM) {
    snprintf(what, n, "hangs: not done after %.1f s", seconds);
    return false;
  }
  if (trap_signal == SIGSEGV || trap_signal == SIGBUS) describe_address(trap_address, where, sizeof where);
  snprintf(what, n, "crashes: signal %d (%s)%s", (int)trap_signal, strsignal(trap_signal), where);
  return false;
}
