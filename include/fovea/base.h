/* SPDX-License-Identifier: Apache-2.0 */
/* fovea/base.h: what every other header needs: results of calls, memory counters, option tables.
 *
 * Threads: everything here may be called from any thread. Error texts are kept per thread. */
#ifndef FOVEA_BASE_H
#define FOVEA_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FV_VERSION "0.1.0"

#define FV_API __attribute__((visibility("default")))
#define FV_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* clang checks that results are looked at; gcc knows the attribute for functions only. */
#ifdef __clang__
#define FV_MUST_USE __attribute__((warn_unused_result))
#else
#define FV_MUST_USE
#endif

/* The result of every call that can fail. The text that goes with a failure is fv_error_message(). */
typedef enum fv_status {
  FV_OK = 0,
  FV_ERR_REQUEST,  /* the caller asked for something that cannot be: unknown name, value out of range, shapes */
  FV_ERR_NOTFOUND, /* a file, dataset or checkpoint that should be there is not */
  FV_ERR_IO,       /* the system refused: disk full, no permission, connection lost */
  FV_ERR_CORRUPT,  /* a file was read but does not hold what its format promises */
  FV_ERR_MEMORY,   /* an allocation failed, or the plan does not fit the limit given */
  FV_ERR_NUMERIC,  /* a loss or weight became NaN or infinite */
  FV_ERR_STOPPED,  /* interrupted on request; everything worth keeping was saved */
  FV_ERR_INTERNAL  /* a bug in fovea */
} FV_MUST_USE fv_status;

/* The text of this thread's last failure, one line: "WHAT (WHERE): expected ..., got ...". Never NULL; borrowed,
 * valid until this thread's next failure. */
FV_API const char *fv_error_message(void);
/* The calls the failure passed through, innermost first, one a line ("file.c:12 function"); for bug reports. */
FV_API const char *fv_error_trace(void);
/* "request", "io", ... */
FV_API const char *fv_status_name(fv_status status);
/* The exit status a program should end with: 0 success, 1 the work failed, 2 the request was wrong (also when it names
 * what is not there: FV_ERR_NOTFOUND). */
FV_API int fv_status_exit_code(fv_status status);

/* Lines worth showing that are no result: with FOVEA_VERBOSE=1, each node of a program with its kernel and time. The
 * library prints nothing; without a receiver they are dropped. Set it before other calls; it is called from the thread
 * that runs. */
typedef void fv_log_line(void *arg, const char *line);
FV_API void fv_log_to(fv_log_line *receiver, void *arg);

/* Counters of the library's own heap. `count` is the number of allocations ever made: equal before and after a call
 * means the call allocated nothing. */
typedef struct fv_memory_stats {
  uint64_t count;      /* allocations since the process started */
  int64_t live_bytes;  /* allocated and not yet freed */
  int64_t peak_bytes;  /* the largest live_bytes seen */
} fv_memory_stats;
FV_API fv_memory_stats fv_memory_get_stats(void);
FV_API int64_t fv_machine_bytes(void); /* of memory this machine has; 0: unknown */
/* Makes the n-th allocation from now (1 = the next) and all later ones fail; 0 ends it. For tests. */
FV_API void fv_memory_fail_after(uint64_t n);

/* After this SIGINT and SIGTERM ask for an end instead of ending the process: what runs saves and returns
 * FV_ERR_STOPPED. A second SIGINT ends the process. */
FV_API void fv_stop_catch(void);
FV_API bool fv_stop_requested(void);

/* ---- text, for programs that talk to people
 * --------------------------------------------------------------------------
 * The name of `names` (NULL-terminated) nearest to `name` by edit distance, NULL when none is near enough. */
FV_API const char *fv_nearest_name(const char *name, const char *const *names);
/* A whole number and nothing else: no trailing bytes, no overflow. */
FV_API bool fv_parse_int(const char *text, int64_t *value);
FV_API bool fv_parse_real(const char *text, double *value); /* the same for a finite number */

/* ---- option tables ------------------------------------------------------------------------------------------------
 * One table describes the fields of a struct: it parses, prints, checks, saves and documents them. Operations'
 * attributes, recipes' settings and the command line's flags all use it. A table ends with a row whose name is NULL. */

#define FV_MAX_LIST 8
typedef struct fv_int_list {
  int64_t n;
  int64_t v[FV_MAX_LIST];
} fv_int_list;

typedef enum fv_option_type {
  FV_OPT_INT,   /* int64_t */
  FV_OPT_REAL,  /* double */
  FV_OPT_BOOL,  /* bool: true/false, 1/0, yes/no, on/off */
  FV_OPT_ENUM,  /* int64_t: index into choices */
  FV_OPT_TEXT,  /* const char *, owned by the arena it was parsed into; may be NULL */
  FV_OPT_INTS   /* fv_int_list: 1,2,4 */
} fv_option_type;

typedef struct fv_option {
  const char *name;
  fv_option_type type;
  size_t offset;              /* offsetof(struct, field) */
  const char *def;            /* default, as text; NULL: zero, false, empty */
  double min, max;            /* range of INT and REAL (and of each of INTS); both 0: no limit */
  const char *const *choices; /* ENUM: NULL-terminated names */
  const char *doc;            /* one line for help; unit included */
} fv_option;

#ifdef __cplusplus
}
#endif
#endif
