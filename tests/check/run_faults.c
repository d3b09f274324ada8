/* SPDX-License-Identifier: Apache-2.0 */
/* run_faults.c: memory that ends, disks that are full or may not be written, numbers that overflow, files that lie.
 * Each ends in one line and a directory in which everything is whole. What may crash happens in another process. */
#include "run.h"

#include <math.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sched.h>
#include <unistd.h>

typedef struct setting {
  const ck_model *model;
  ck_path root, out, model_file;
  bool full;
  uint64_t seed;
  char sha[80]; /* of a run that nothing happens to */
} setting;

static ck_run run_of(const setting *s, const char *sets) {
  return (ck_run){.model = s->model, .data = s->model->data, .sets = sets, .threads = 2, .resume = true, .out = s->out};
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */
typedef fv_status fault_body(const setting *s);

static fv_status body_plan(const setting *s) {
  ck_run run = run_of(s, CK_THOROUGH);
  json_t *json;
  fv_status status = ck_plan(&run, &json);
  json_decref(json);
  return status;
}

static fv_status body_train(const setting *s) {
  ck_run run = run_of(s, CK_THOROUGH " steps=2");
  ck_result result = ck_train(&run);
  fv_status status = result.status;
  ck_result_free(&result);
  return status;
}

static fv_status body_predict(const setting *s) {
  fv_model *m;
  char *json;
  FV_TRY(fv_model_open(s->model_file, 1, &m));
  fv_status status = fv_model_predict(m, "test:0", 3, &json);
  fv_string_free(json);
  fv_model_free(m);
  return status;
}

typedef struct fault_job {
  const setting *s;
  fault_body *body;
} fault_job;

static void fail_at(const fault_job *job, int64_t n, ck_message *m) {
  ck_report r = {.quiet = true};
  int64_t before = fv_memory_get_stats().live_bytes;
  m->at = n;
  fv_memory_fail_after((uint64_t)n);
  fv_status status = job->body(job->s);
  fv_memory_fail_after(0);
  int64_t left = fv_memory_get_stats().live_bytes - before;
  if (status != FV_OK && status != FV_ERR_MEMORY)
    ck_say(m, "allocation %lld fails: expected memory, got %s: %s", (long long)n, fv_status_name(status),
           fv_error_message());
  if (left)
    ck_say(m, "allocation %lld fails: %lld bytes stay behind; %s", (long long)n, (long long)left, fv_error_message());
  ck_place_sound(&r, job->s->out);
  if (r.problems) ck_say(m, "allocation %lld fails: %s", (long long)n, r.first);
  ck_place_remove(job->s->out);
}

/* The first ones, where structure is, and then some by chance; in the long tier all. */
static void fault_run(void *arg, ck_message *m) {
  enum { FIRST = 24, CHANCE = 60 };
  const fault_job *job = arg;
  for (int i = 0; i < 2; i++) { /* what is made once and kept is made in the first */
    uint64_t before = fv_memory_get_stats().count;
    if (job->body(job->s) != FV_OK) ck_say(m, "with all memory: %s", fv_error_message());
    m->all = (int64_t)(fv_memory_get_stats().count - before);
    ck_place_remove(job->s->out);
  }
  if (job->s->full) {
    for (int64_t n = 1; n <= m->all; n++) fail_at(job, n, m);
    return;
  }
  fv_rng rng = fv_rng_new(job->s->seed, fv_stream_of("check.memory"));
  for (int64_t n = 1; n <= FV_MIN(FIRST, m->all); n++) fail_at(job, n, m);
  for (int i = 0; i < CHANCE && m->all > FIRST; i++) fail_at(job, 1 + (int64_t)fv_rng_below(&rng, (uint32_t)m->all), m);
}

static void check_memory(ck_report *r, setting *s, fault_body *body) {
  ck_child_run(r, fault_run, &(fault_job){s, body});
}
static void check_memory_plan(ck_report *r, setting *s) { check_memory(r, s, body_plan); }
static void check_memory_train(ck_report *r, setting *s) { check_memory(r, s, body_train); }
static void check_memory_predict(ck_report *r, setting *s) { check_memory(r, s, body_predict); }

/* ---- disks ------------------------------------------------------------------------------------------------------- */
/* Fails as wanted, in one line, and leaves nothing that is not whole. */
static void expect(ck_message *m, const ck_run *run, fv_status wanted, const char *words, const char *when) {
  ck_report r = {.quiet = true};
  ck_result result = ck_train(run);
  ck_result_is(&r, &result, wanted, words);
  ck_place_sound(&r, run->out);
  if (r.problems) ck_say(m, "%s: %s", when, r.first);
  ck_result_free(&result);
}

static void expect_end(ck_message *m, const setting *s, const ck_run *run, const char *when) {
  ck_result result = ck_train(run);
  if (result.status != FV_OK) ck_say(m, "%s, and then room again: %s", when, result.message);
  else if (strcmp(ck_result_text(&result, "weights_sha256"), s->sha) != 0)
    ck_say(m, "%s, and then room again: other weights", when);
  ck_result_free(&result);
}

/* No file may be longer than that: as a full disk, and without one. */
static void full_run(void *arg, ck_message *m) {
  static const rlim_t sizes[] = {0, 100, 3000, 12000, 30000};
  setting *s = arg;
  struct rlimit limit;
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &limit);
  for (size_t i = 0; i < FV_COUNT(sizes); i++) {
    char when[64];
    snprintf(when, sizeof when, "room for %lld bytes a file", (long long)sizes[i]);
    ck_run run = run_of(s, CK_THOROUGH " save_every=4");
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){sizes[i], limit.rlim_max});
    expect(m, &run, FV_ERR_IO, s->out, when);
    setrlimit(RLIMIT_FSIZE, &limit);
    m->at = (int64_t)i;
    if (i > 1) expect_end(m, s, &run, when);
    ck_place_remove(s->out);
  }
}

/* A real one, in a name space that ends with this process. */
static void tmpfs_run(void *arg, ck_message *m) {
  setting *s = arg;
  ck_path disk;
  ck_place_join(s->root, "disk", disk);
  bool mounted = fv_dir_make(disk) == FV_OK && unshare(CLONE_NEWNS) == 0 &&
                 mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                 mount("tmpfs", disk, "tmpfs", 0, "size=40k") == 0;
  m->skipped = !mounted;
  if (!mounted) return;
  ck_place_join(disk, "run", s->out);
  ck_run run = run_of(s, CK_THOROUGH " save_every=4");
  expect(m, &run, FV_ERR_IO, s->out, "a full disk");
  if (mount("tmpfs", disk, "tmpfs", MS_REMOUNT, "size=4m") != 0) ck_say(m, "cannot make the disk larger");
  else expect_end(m, s, &run, "a full disk");
  umount2(disk, MNT_DETACH);
}

static void check_full(ck_report *r, setting *s) { ck_child_run(r, full_run, s); }

static void readonly_run(void *arg, ck_message *m) {
  setting *s = arg;
  ck_run run = run_of(s, CK_THOROUGH);
  char before[65], after[65];
  mkdir(s->out, 0777);
  ck_place_digest(s->out, before);
  if (chmod(s->out, 0555) != 0) ck_say(m, "cannot change a directory's mode");
  if (geteuid() == 0 && seteuid(65534) != 0) ck_say(m, "cannot become a plain user");
  expect(m, &run, FV_ERR_IO, s->out, "a directory that may not be written");
  if (geteuid() == 65534 && seteuid(0) != 0) ck_say(m, "cannot become root again");
  chmod(s->out, 0777);
  ck_place_digest(s->out, after);
  if (strcmp(before, after) != 0) ck_say(m, "something was written");
  ck_place_remove(s->out);
}

static void check_readonly(ck_report *r, setting *s) { ck_child_run(r, readonly_run, s); }

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
/* Weights that grow a thousandfold with each step. */
#define WILD " optimizer=adamw lr=100 weight_decay=10 schedule=constant warmup=0 clip=0 ema=0"

static void check_finite(ck_report *r, const char *dir) {
  fv_arena *arena;
  char **names;
  size_t n = 0, seen = 0;
  ck_path path;
  if (fv_arena_new(&arena) != FV_OK) return;
  if (fv_dir_list(dir, arena, &names, &n) != FV_OK) n = 0;
  for (size_t i = 0; i < n; i++) {
    fv_safetensors *file;
    if (fv_safetensors_open(ck_place_join(dir, names[i], path), &file) != FV_OK) continue;
    const fv_array *a = fv_safetensors_find(file, "parameters");
    for (int64_t k = 0; a && k < a->count; k++)
      if (!isfinite(((const float *)a->data)[k])) {
        ck_problem(r, "%s holds %g", names[i], (double)((const float *)a->data)[k]);
        break;
      }
    seen += a != NULL;
    fv_safetensors_close(file);
  }
  if (!seen) ck_problem(r, "expected a checkpoint from before, got none");
  fv_arena_free(arena);
}

static void check_numbers(ck_report *r, setting *s) {
  ck_path dir;
  ck_run run = run_of(s, CK_THOROUGH " save_every=1 keep=50" WILD);
  ck_result result = ck_train(&run);
  if (ck_result_is(r, &result, FV_ERR_NUMERIC, "epoch ")) {
    if (!strstr(result.message, "step ")) ck_problem(r, "expected the step named, got '%s'", result.message);
    if (!strstr(result.message, "/checkpoint/step-"))
      ck_problem(r, "expected the last checkpoint named, got '%s'", result.message);
  }
  ck_place_sound(r, s->out);
  check_finite(r, ck_place_join(s->out, "checkpoint", dir));
  ck_result_free(&result);
  ck_place_remove(s->out);
  run.sets = CK_THOROUGH " save_every=1000" WILD;
  result = ck_train(&run);
  ck_result_is(r, &result, FV_ERR_NUMERIC, NULL);
  ck_result_free(&result);
  ck_place_remove(s->out);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */
/* Opens, and when that goes well predicts: neither may crash or leave anything behind. */
static void try_model(const setting *s, const uint8_t *bytes, size_t n, bool must_fail, const char *what,
                      ck_message *m) {
  ck_path path;
  fv_model *model = NULL;
  char *json = NULL;
  m->at++;
  if (!ck_file_write(ck_place_join(s->root, "lying.safetensors", path), bytes, n)) ck_say(m, "cannot write %s", path);
  int64_t before = fv_memory_get_stats().live_bytes;
  fv_status status = fv_model_open(path, 1, &model);
  bool opened = status == FV_OK;
  if (opened) status = fv_model_predict(model, "test:0", 2, &json);
  const char *text = fv_error_message();
  if (must_fail && opened) ck_say(m, "%s: expected a refusal, got a model", what);
  if (status != FV_OK && (!*text || strchr(text, '\n'))) ck_say(m, "%s: expected one line, got '%s'", what, text);
  if (!opened && status != FV_ERR_CORRUPT && status != FV_ERR_REQUEST && status != FV_ERR_NOTFOUND)
    ck_say(m, "%s: expected it to be called corrupt, got %s: %s", what, fv_status_name(status), text);
  fv_string_free(json);
  fv_model_free(model);
  int64_t left = fv_memory_get_stats().live_bytes - before;
  if (left) ck_say(m, "%s: %lld bytes stay behind", what, (long long)left);
}

static size_t header_size(const uint8_t *bytes) {
  uint64_t n;
  memcpy(&n, bytes, sizeof n);
  return 8 + (size_t)n;
}

/* Each of the metadata's keys under another name: what it holds is missing, and all else is as it was. */
static void rename_keys(const setting *s, uint8_t *bytes, size_t n, ck_message *m) {
  char what[96];
  const char *at = (const char *)bytes, *end = at + header_size(bytes);
  for (; (at = memmem(at, (size_t)(end - at), "\\\":", 3)); at++) {
    if (at[-1] == '\\') continue; /* a key within a text within the metadata: a tokenizer's word */
    uint8_t *last = bytes + (at - (const char *)bytes) - 1;
    *last ^= 1;
    snprintf(what, sizeof what, "a key renamed to '...%.*s'", (int)FV_MIN(at - (const char *)bytes, 12), at - 12);
    try_model(s, bytes, n, false, what, m);
    *last ^= 1;
  }
}

static void lie_run(void *arg, ck_message *m) {
  const setting *s = arg;
  char what[96];
  uint8_t *bytes = NULL;
  size_t n = 0;
  if (!ck_file_read(s->model_file, &bytes, &n)) {
    ck_say(m, "%s", fv_error_message());
    return;
  }
  size_t head = header_size(bytes), step = FV_MAX(n / (s->full ? 2000 : 100), (size_t)1);
  for (size_t cut = 0; cut < n; cut += cut < 16 ? 1 : step) {
    snprintf(what, sizeof what, "the first %zu of %zu bytes", cut, n);
    try_model(s, bytes, cut, true, what, m);
  }
  fv_rng rng = fv_rng_new(s->seed, fv_stream_of("check.lies"));
  for (int i = 0; i < (s->full ? 5000 : 250); i++) {
    size_t at = fv_rng_below(&rng, (uint32_t)head);
    uint8_t was = bytes[at];
    bytes[at] = fv_rng_below(&rng, 2) ? (uint8_t)('0' + fv_rng_below(&rng, 10)) : (uint8_t)fv_rng_u32(&rng);
    snprintf(what, sizeof what, "byte %zu of the header %u instead of %u", at, bytes[at], was);
    try_model(s, bytes, n, false, what, m);
    bytes[at] = was;
  }
  rename_keys(s, bytes, n, m);
  fv_string_free((char *)bytes);
}

static void check_lies(ck_report *r, setting *s) { ck_child_run(r, lie_run, s); }

/* ---- the parts --------------------------------------------------------------------------------------------------- */
static bool prepare(ck_report *r, const ck_model *m, setting *s) {
  *s = (setting){.model = m, .full = r->full, .seed = r->seed};
  if (!ck_place_new(r, s->root)) return false;
  ck_place_join(s->root, "whole", s->out);
  ck_run run = run_of(s, CK_THOROUGH " save_every=4");
  ck_result result = ck_train(&run);
  bool sound = ck_result_is(r, &result, FV_OK, NULL);
  snprintf(s->sha, sizeof s->sha, "%s", ck_result_text(&result, "weights_sha256"));
  ck_place_join(s->out, "model.safetensors", s->model_file);
  ck_place_join(s->root, "run", s->out);
  ck_result_free(&result);
  return sound;
}

void ck_model_faults(ck_report *r, const ck_model *m) {
  static const struct {
    const char *what;
    void (*check)(ck_report *r, setting *s);
  } parts[] = {{"plan without memory", check_memory_plan},
               {"two steps without memory", check_memory_train},
               {"open and predict without memory", check_memory_predict},
               {"files that may not grow", check_full},
               {"a directory that may not be written", check_readonly},
               {"numbers that overflow", check_numbers},
               {"a damaged model file", check_lies}};
  setting s;
  ck_begin(r, m->recipe, "%s, %s: a whole run", m->recipe, m->preset);
  bool sound = prepare(r, m, &s);
  ck_end(r);
  for (size_t i = 0; i < FV_COUNT(parts) && sound; i++) {
    ck_begin(r, m->recipe, "%s, %s: %s", m->recipe, m->preset, parts[i].what);
    parts[i].check(r, &s);
    ck_end(r);
  }
  ck_begin(r, m->recipe, "%s, %s: a full disk", m->recipe, m->preset);
  if (ck_child_run(r, tmpfs_run, &s)) ck_end(r);
  else ck_skip(r, "no right to mount one");
  ck_place_remove(s.root);
}
