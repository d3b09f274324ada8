/* SPDX-License-Identifier: Apache-2.0 */
/* base.h (private): the lowest layer. Raising errors, allocation, arenas, slabs, text, random numbers, option tables.
 * Depends on libc alone. */
#ifndef FV_BASE_BASE_H
#define FV_BASE_BASE_H

#include "fovea/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- errors ---------------------------------------------------------------------------------------------------------
 * Records the text and the place, returns `code`. */
fv_status fv_fail_at(fv_status code, const char *file, int line, const char *func, const char *fmt, ...)
    FV_PRINTF(5, 6);
/* Adds a place to the trace of the failure being passed on, returns `code`. */
fv_status fv_trace_at(fv_status code, const char *file, int line, const char *func);
/* Puts "PREFIX: " before the text of the failure being passed on, returns `code`. */
fv_status fv_error_prefix(fv_status code, const char *fmt, ...) FV_PRINTF(2, 3);

/* The code itself is the value, so that a compiler sees that what follows a failure never runs. */
#define FV_FAIL(code, ...) ((void)fv_fail_at((code), __FILE__, __LINE__, __func__, __VA_ARGS__), (fv_status)(code))

/* Pass a failure on. FV_TRY returns; FV_TRY_DONE sets the local `status` and goes to the label `done`. */
#define FV_TRY(call)                                             \
  do {                                                           \
    fv_status fv_try_ = (call);                                  \
    if (fv_try_ != FV_OK) {                                      \
      (void)fv_trace_at(fv_try_, __FILE__, __LINE__, __func__);  \
      return fv_try_;                                            \
    }                                                            \
  } while (0)
#define FV_TRY_DONE(call)                                        \
  do {                                                           \
    status = (call);                                             \
    if (status != FV_OK) {                                       \
      (void)fv_trace_at(status, __FILE__, __LINE__, __func__);   \
      goto done;                                                 \
    }                                                            \
  } while (0)

/* The caller's mistake: FV_REQUIRE(n > 0, FV_ERR_REQUEST, "batch: expected a positive number, got %d", n) */
#define FV_REQUIRE(cond, code, ...)                   \
  do {                                                \
    if (!(cond)) return FV_FAIL((code), __VA_ARGS__); \
  } while (0)
#define FV_REQUIRE_DONE(cond, code, ...)     \
  do {                                       \
    if (!(cond)) {                           \
      status = FV_FAIL((code), __VA_ARGS__); \
      goto done;                             \
    }                                        \
  } while (0)
/* Our own mistake: reported as FV_ERR_INTERNAL with file and line; never aborts. */
#define FV_ASSERT(cond) \
  FV_REQUIRE(cond, FV_ERR_INTERNAL, "bug in fovea (%s:%d): %s does not hold", __FILE__, __LINE__, #cond)

#define FV_COUNT(array) (sizeof(array) / sizeof *(array))
#define FV_MIN(a, b) ((a) < (b) ? (a) : (b))
#define FV_MAX(a, b) ((a) > (b) ? (a) : (b))
static inline int64_t fv_round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
static inline int64_t fv_ceil_div(int64_t n, int64_t d) { return (n + d - 1) / d; }

/* ---- log ----------------------------------------------------------------------------------------------------------
 * Hands one line to the receiver of fv_log_to. */
void fv_log(const char *fmt, ...) FV_PRINTF(1, 2);
bool fv_verbose(void); /* FOVEA_VERBOSE=1 */

/* ---- heap -----------------------------------------------------------------------------------------------------------
 * 64-byte aligned, counted. fv_alloc returns zeroed memory, NULL on failure; fv_free accepts NULL. */
#define FV_ALIGN 64
void *fv_alloc(size_t bytes);
void *fv_realloc(void *p, size_t bytes); /* new bytes are not zeroed; on failure p stays valid */
void fv_free(void *p);
char *fv_strdup(const char *s);
/* Sets *p to n zeroed elements or fails with FV_ERR_MEMORY; overflow is caught. */
#define FV_NEW(p, n) fv_alloc_array((void **)(p), (size_t)(n), sizeof **(p))
fv_status fv_alloc_array(void **p, size_t n, size_t size);

/* Whose allocations are counted apart from those of the rest of the process: this thread's, and those of all threads it
 * starts while it counts. NULL: nobody's. Returns the counter before it. */
typedef _Atomic uint64_t fv_tally;
fv_tally *fv_memory_tally(fv_tally *tally);
fv_tally *fv_memory_get_tally(void);

/* ---- arena: allocations freed together --------------------------------------------------------------------------- */
typedef struct fv_arena fv_arena;
fv_status fv_arena_new(fv_arena **arena);
void fv_arena_free(fv_arena *arena);
void *fv_arena_alloc(fv_arena *arena, size_t bytes); /* zeroed, 16-byte aligned; NULL on failure */
char *fv_arena_strdup(fv_arena *arena, const char *s);
char *fv_arena_printf(fv_arena *arena, const char *fmt, ...) FV_PRINTF(2, 3);

/* ---- ledger: every large buffer of a run, announced before it exists ------------------------------------------------
 * `plan` and `train` go through the same calls; with `dry` the slab is only counted and *slab is NULL. */
typedef enum fv_account {
  FV_ACCOUNT_PARAMETERS,
  FV_ACCOUNT_OPTIMIZER,
  FV_ACCOUNT_GRADIENTS,
  FV_ACCOUNT_ACTIVATIONS,
  FV_ACCOUNT_PACKED, /* weights in the layout of a kernel */
  FV_ACCOUNT_BATCHES,
  FV_ACCOUNT_DATA,
  FV_ACCOUNTS
} fv_account;
extern const char *const fv_account_names[FV_ACCOUNTS];
typedef struct fv_ledger {
  bool dry;
  int64_t limit; /* 0: none; a slab that would pass it fails with FV_ERR_MEMORY */
  int64_t bytes[FV_ACCOUNTS];
} fv_ledger;
int64_t fv_ledger_total(const fv_ledger *ledger);
/* `bytes` of zeroed memory, 64-byte aligned, counted under `account` (rounded up to 64). With ledger NULL it is not
 * in any ledger. A failed call leaves the ledger as it was. */
fv_status fv_slab_new(fv_ledger *ledger, fv_account account, int64_t bytes, void **slab);
void fv_slab_free(void *slab); /* NULL is fine */
/* The next piece of a slab that is laid out piece by piece: `bytes` at *at, which moves on to the next 64. slab NULL:
 * NULL, so that the same calls count what it needs. */
void *fv_slab_take(void *slab, int64_t *at, int64_t bytes);

/* ---- text -------------------------------------------------------------------------------------------------------- */
typedef struct fv_text { /* a growing string; zero-initialise, then append; `s` is NULL until the first append */
  char *s;
  size_t n, cap;
  bool failed; /* an append ran out of memory; later appends do nothing */
} fv_text;
void fv_text_printf(fv_text *t, const char *fmt, ...) FV_PRINTF(2, 3);
void fv_text_append(fv_text *t, const char *bytes, size_t n);
void fv_text_free(fv_text *t);
bool fv_ends_with(const char *s, const char *end);
/* Whole-string parses: no trailing bytes, no overflow, finite. false when not. (fv_parse_int, fv_parse_real,
 * fv_nearest_name: fovea/base.h) */
bool fv_parse_bool(const char *s, bool *v);
/* Writes v with the fewest digits that read back to the same bits ('.' in any locale); returns buf. */
#define FV_REAL_TEXT 32
const char *fv_real_text(double v, char buf[FV_REAL_TEXT]);

/* ---- random numbers: Philox4x32-10 (Salmon et al. 2011) -------------------------------------------------------------
 * A pure function of (seed, stream, counter): the same number whoever asks and in whatever order. */
void fv_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]);
typedef struct fv_rng { /* a position in one stream; copy it to save it */
  uint64_t seed, stream, counter;
  uint32_t block[4];
  uint32_t left; /* unused words of block */
  uint32_t has_spare; /* the second value of the last Box-Muller pair waits in `spare` */
  double spare;
} fv_rng;
fv_rng fv_rng_new(uint64_t seed, uint64_t stream);
uint32_t fv_rng_u32(fv_rng *r);
uint32_t fv_rng_below(fv_rng *r, uint32_t n);  /* uniform on [0, n), unbiased */
double fv_rng_uniform(fv_rng *r);              /* [0, 1) with 32 bits */
double fv_rng_normal(fv_rng *r);               /* mean 0, variance 1 (Box-Muller, both values used in order) */
void fv_rng_permutation(fv_rng *r, int32_t *v, int64_t n); /* Fisher-Yates of 0..n-1 */
/* A stream number from a name, so that streams never collide by accident (FNV-1a, 64 bits). */
uint64_t fv_stream_of(const char *name);

/* ---- option tables (see fovea/base.h) ---------------------------------------------------------------------------- */
size_t fv_options_count(const fv_option *table);
const fv_option *fv_options_find(const fv_option *table, const char *name);
/* Sets every field to its default. */
fv_status fv_options_defaults(const fv_option *table, void *fields);
/* Sets one field from text; unknown names, bad values and values out of range fail with FV_ERR_REQUEST, naming `what`
 * ("recipe image-classify") and the nearest name or the choices. Text values are copied into `arena`. */
fv_status fv_options_set(const fv_option *table, void *fields, const char *what, const char *name, const char *value,
                         fv_arena *arena);
/* Checks every field against its range; a field that is zero and outside its range gets its default first. */
fv_status fv_options_check(const fv_option *table, void *fields, const char *what);
/* Appends the field's value as text that fv_options_set reads back to the same bits. */
void fv_options_print(const fv_option *option, const void *fields, fv_text *out);
/* Appends "name=value name=value" of every field (fields at their default left out when `brief`). */
void fv_options_print_all(const fv_option *table, const void *fields, bool brief, fv_text *out);
bool fv_options_equal(const fv_option *table, const void *a, const void *b);
/* Appends an aligned help text, one row a line, with default and range. */
void fv_options_help(const fv_option *table, fv_text *out);

#endif
