/* SPDX-License-Identifier: Apache-2.0 */
/* os.h: all that differs between systems. Threads, files, clock, processor, terminal, libraries loaded on demand. */
#ifndef FV_OS_OS_H
#define FV_OS_OS_H

#include "base/base.h"

/* ---- processor --------------------------------------------------------------------------------------------------- */
typedef enum fv_isa { FV_ISA_BASE, FV_ISA_NEON, FV_ISA_AVX2, FV_ISA_AVX512, FV_ISAS } fv_isa;
extern const char *const fv_isa_names[FV_ISAS + 1]; /* "base", "neon", "avx2", "avx512", NULL */
/* The best level this processor (and system: saved registers) supports, lowered by FOVEA_ISA=NAME when set. */
fv_isa fv_cpu_isa(void);
bool fv_cpu_has(fv_isa isa);
/* fv_status because FOVEA_ISA may name an unknown or unsupported level; call once at start. */
fv_status fv_cpu_init(void);
int fv_cpu_count(void); /* processors this process may run on (affinity and cgroup quota respected), at least 1 */

/* ---- threads --------------------------------------------------------------------------------------------------------
 * A pool of n threads (the caller is one of them). fv_pool_run calls task(arg, i, worker) for every i in [0, n_tasks);
 * which worker gets which i is not fixed, so tasks must write to places of their own. Not reentrant. */
typedef struct fv_pool fv_pool;
typedef void fv_task(void *arg, int64_t i, int worker);
fv_status fv_pool_new(int threads, fv_pool **pool);
void fv_pool_free(fv_pool *pool);
int fv_pool_threads(const fv_pool *pool);
void fv_pool_run(fv_pool *pool, int64_t n_tasks, fv_task *task, void *arg);

typedef struct fv_mutex fv_mutex;
fv_status fv_mutex_new(fv_mutex **mutex);
void fv_mutex_free(fv_mutex *mutex);
void fv_mutex_lock(fv_mutex *mutex);
void fv_mutex_unlock(fv_mutex *mutex);

/* One background thread with a one-place hand-over, for prefetching: see src/data/prefetch.c. */
typedef struct fv_thread fv_thread;
fv_status fv_thread_new(void (*body)(void *), void *arg, fv_thread **thread);
void fv_thread_join(fv_thread *thread); /* waits and frees; NULL is fine */
typedef struct fv_gate fv_gate; /* mutex + condition: a counter one can wait on */
fv_status fv_gate_new(fv_gate **gate);
void fv_gate_free(fv_gate *gate);
void fv_gate_add(fv_gate *gate, int64_t n);            /* adds n and wakes the waiters */
void fv_gate_wait(fv_gate *gate, int64_t at_least);    /* until the counter is at least that */
int64_t fv_gate_value(fv_gate *gate);

/* ---- time -------------------------------------------------------------------------------------------------------- */
double fv_seconds(void);        /* monotonic */
double fv_wall_seconds(void);   /* since 1970 */
int64_t fv_peak_rss_bytes(void);

/* ---- files ------------------------------------------------------------------------------------------------------- */
/* A file read whole through mmap (empty files give data = "" and size 0). */
typedef struct fv_map {
  const uint8_t *data;
  size_t size;
  void *base;
} fv_map;
fv_status fv_map_open(const char *path, fv_map *map); /* FV_ERR_NOTFOUND, FV_ERR_IO; a directory: FV_ERR_REQUEST */
void fv_map_close(fv_map *map);
/* Reads a file or pipe into fresh memory (NUL added beyond `size`); free with fv_free. What holds more than `limit`
 * bytes fails with FV_ERR_CORRUPT: it is never cut. */
fv_status fv_file_read(const char *path, size_t limit, uint8_t **data, size_t *size);

/* A file that appears complete or not at all: written beside its place, fsynced, renamed, the directory fsynced. */
typedef struct fv_writer fv_writer;
fv_status fv_writer_open(const char *path, fv_writer **w);
fv_status fv_writer_write(fv_writer *w, const void *bytes, size_t n);
FILE *fv_writer_stdio(fv_writer *w);      /* for libraries that want a FILE *; errors are found at commit */
const char *fv_writer_path(const fv_writer *w); /* the temporary path, for libraries that want a name */
fv_status fv_writer_commit(fv_writer *w); /* frees w in any case; on failure the old file is untouched */
void fv_writer_abort(fv_writer *w);       /* removes the temporary file and frees; NULL is fine */
fv_status fv_file_write(const char *path, const void *bytes, size_t n); /* open, write, commit */

bool fv_path_exists(const char *path);
bool fv_path_is_dir(const char *path);
int64_t fv_file_size(const char *path); /* -1 when not a readable regular file */
fv_status fv_dir_make(const char *path); /* with parents; existing is fine */
fv_status fv_dir_list(const char *path, fv_arena *arena, char ***names, size_t *n); /* sorted by byte, no dot files */
fv_status fv_file_remove(const char *path); /* missing is fine */
fv_status fv_dir_remove(const char *path);  /* with what is in it; missing is fine */
char *fv_path_join(fv_arena *arena, const char *dir, const char *name);
const char *fv_cache_dir(fv_arena *arena); /* $FOVEA_CACHE, or $XDG_CACHE_HOME/fovea, or ~/.cache/fovea */
/* An exclusive lock on DIR/.lock, so that two runs never write to one directory; FV_ERR_REQUEST when taken. */
typedef struct fv_lock fv_lock;
fv_status fv_lock_take(const char *dir, fv_lock **lock);
void fv_lock_release(fv_lock *lock);

/* ---- terminal, signals ------------------------------------------------------------------------------------------- */
bool fv_is_terminal(int fd);
int fv_terminal_columns(int fd); /* 80 when unknown */
/* Signals: fv_stop_catch and fv_stop_requested of fovea/base.h. */

/* ---- libraries loaded when first needed: what starts fast must not pay for what it does not use ---------------------
 * fv_library_load("libcurl.so.4", names, functions): fills functions[i] for each of the NULL-terminated names;
 * FV_ERR_NOTFOUND names the library and the Debian package to install. Loaded once, never unloaded. */
fv_status fv_library_load(const char *soname, const char *package, const char *const *names, void **functions);

#endif
