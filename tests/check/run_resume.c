/* SPDX-License-Identifier: Apache-2.0 */
/* run_resume.c: a run that is stopped, killed or loses a checkpoint and then goes on ends with the bits it would have
 * had. */
#include "run.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#define OFTEN CK_THOROUGH " save_every=4 keep=3"

typedef struct reference {
  const ck_model *model;
  ck_path root;
  char sha[80];
  uint8_t *lines; /* metrics.jsonl */
  size_t n_lines;
  double seconds;
  int64_t steps_an_epoch; /* or a third of the run, which is the same of three epochs */
} reference;

static ck_run run_of(const reference *ref, const char *name, ck_path out) {
  return (ck_run){.model = ref->model, .data = ref->model->data, .sets = OFTEN, .threads = 2, .resume = true,
                  .out = ck_place_join(ref->root, name, out)};
}

static bool make_reference(ck_report *r, reference *ref) {
  ck_path out, lines;
  ck_run run = run_of(ref, "reference", out);
  double before = fv_seconds();
  ck_result result = ck_train(&run);
  ref->seconds = fv_seconds() - before;
  bool sound = ck_result_is(r, &result, FV_OK, NULL);
  snprintf(ref->sha, sizeof ref->sha, "%s", ck_result_text(&result, "weights_sha256"));
  ref->steps_an_epoch = ck_result_int(&result, "steps") / 3;
  ck_result_free(&result);
  if (sound && ck_file_read(ck_place_join(out, "metrics.jsonl", lines), &ref->lines, &ref->n_lines)) return true;
  if (sound) ck_problem(r, "%s", fv_error_message());
  return false;
}

/* Goes on to the end: the same weights, the same lines. */
static void check_end(ck_report *r, const reference *ref, const ck_run *run, const char *when) {
  ck_path path;
  uint8_t *lines = NULL;
  size_t n = 0;
  ck_result result = ck_train(run);
  if (ck_result_is(r, &result, FV_OK, NULL)) {
    if (strcmp(ck_result_text(&result, "weights_sha256"), ref->sha) != 0) ck_problem(r, "other weights after %s", when);
    bool read = ck_file_read(ck_place_join(run->out, "metrics.jsonl", path), &lines, &n);
    if (!read || n != ref->n_lines || memcmp(lines, ref->lines, n) != 0)
      ck_problem(r, "another metrics.jsonl after %s", when);
    ck_place_sound(r, run->out);
  }
  fv_string_free((char *)lines);
  ck_result_free(&result);
}

/* ---- stopping ---------------------------------------------------------------------------------------------------- */
/* In a process of its own: a wish to stop cannot be taken back. */
static void stop_body(void *arg, ck_message *m) {
  const ck_run *run = arg;
  fv_stop_catch();
  ck_result result = ck_train(run);
  m->at = run->stop_at;
  if (result.status != FV_ERR_STOPPED || !strstr(result.message, "--resume"))
    ck_say(m, "expected a run that says it was stopped and can go on, got %s: %s",
           result.status == FV_OK ? "success" : fv_status_name(result.status), result.message);
  ck_result_free(&result);
}

static bool stop_at(ck_report *r, ck_run *run, int64_t step) {
  int before = r->problems;
  run->stop_at = step;
  ck_child_run(r, stop_body, run);
  run->stop_at = 0;
  return r->problems == before;
}

/* Mid-epoch, at an epoch's end (where validation follows), right after it, and before the last step. */
static void check_stops(ck_report *r, const reference *ref) {
  const int64_t e = ref->steps_an_epoch, steps[] = {1, e - 1, e, e + 1, 2 * e + 3, 3 * e - 1};
  ck_path out;
  ck_run run = run_of(ref, "stopped", out);
  for (size_t i = 0; i < FV_COUNT(steps); i++) {
    char when[64];
    snprintf(when, sizeof when, "a stop at step %lld", (long long)steps[i]);
    if (stop_at(r, &run, steps[i])) check_end(r, ref, &run, when);
    ck_place_remove(out);
  }
}

/* At the very end only the test is left; asked to stop there, it says so. */
static void check_last_stop(ck_report *r, const reference *ref) {
  ck_path out;
  ck_run run = run_of(ref, "stopped-last", out);
  if (stop_at(r, &run, 3 * ref->steps_an_epoch)) check_end(r, ref, &run, "a stop after the last step");
}

/* ---- killing ----------------------------------------------------------------------------------------------------- */
static void run_body(void *arg, ck_message *m) {
  ck_result result = ck_train(arg);
  if (result.status != FV_OK) ck_say(m, "%s", result.message);
  ck_result_free(&result);
}

static void pause_for(double seconds) {
  struct timespec t = {.tv_sec = (time_t)seconds, .tv_nsec = (long)(1e9 * (seconds - floor(seconds)))};
  nanosleep(&t, NULL);
}

static void check_kills(ck_report *r, const reference *ref) {
  fv_rng rng = fv_rng_new(r->seed, fv_stream_of("check.kill"));
  ck_path out;
  ck_run run = run_of(ref, "killed", out);
  for (int i = 0; i < (r->full ? 10 : 3); i++) {
    ck_message *m;
    pid_t pid = ck_child_start(run_body, &run, &m);
    pause_for(ref->seconds * (0.05 + 0.5 * fv_rng_uniform(&rng)));
    if (pid > 0) kill(pid, SIGKILL);
    ck_child_join(r, pid, m);
    ck_message_free(m);
  }
  check_end(r, ref, &run, "kills at random moments");
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */
typedef enum damage { CUT, EMPTY, FLIP_DATA, FLIP_POINT, OTHER, DAMAGES } damage;
static const char *const damage_names[DAMAGES] = {"cut", "empty", "a flipped bit of a weight",
                                                  "a flipped bit of its place", "something else"};

static bool do_damage(const char *path, damage how) {
  uint8_t *bytes = NULL;
  size_t n = 0;
  if (!ck_file_read(path, &bytes, &n)) return false;
  uint8_t *point = memmem(bytes, n, "\"point\": \"", 10);
  if (how == FLIP_DATA) bytes[n - n / 3] ^= 4;
  if (how == FLIP_POINT && point) point[10] ^= 1;
  bool done = how == OTHER ? ck_file_write(path, "not a checkpoint", 16)
                           : ck_file_write(path, bytes, how == CUT ? n / 2 : how == EMPTY ? 0 : n);
  fv_string_free((char *)bytes);
  return done && (how != FLIP_POINT || point);
}

/* Damages the newest `count` checkpoints; false when there are fewer. */
static bool damage_newest(const char *out, size_t count, damage how) {
  fv_arena *arena;
  char **names;
  size_t n = 0, done = 0;
  ck_path dir, path;
  if (fv_arena_new(&arena) != FV_OK) return false;
  if (fv_dir_list(ck_place_join(out, "checkpoint", dir), arena, &names, &n) != FV_OK) n = 0;
  for (size_t i = n; i-- > 0 && done < count;)
    if (strncmp(names[i], "step-", 5) == 0) done += do_damage(ck_place_join(dir, names[i], path), how);
  fv_arena_free(arena);
  return done == count;
}

static void check_damage(ck_report *r, const reference *ref, damage how) {
  ck_path out;
  ck_run run = run_of(ref, "damaged", out);
  if (stop_at(r, &run, ref->steps_an_epoch + 1)) {
    char when[96];
    snprintf(when, sizeof when, "damage to the newest checkpoint (%s)", damage_names[how]);
    if (!damage_newest(out, 1, how)) ck_problem(r, "there is no checkpoint to damage");
    else check_end(r, ref, &run, when);
  }
  ck_place_remove(out);
}

/* With nothing whole left it is refused, and what is there stays for someone to look at. */
static void check_all_damaged(ck_report *r, const reference *ref) {
  ck_path out;
  char before[65], after[65];
  ck_run run = run_of(ref, "all-damaged", out);
  if (!stop_at(r, &run, ref->steps_an_epoch + 4)) return;
  if (!damage_newest(out, 3, CUT)) ck_problem(r, "there are no three checkpoints to damage");
  ck_place_digest(out, before);
  ck_result result = ck_train(&run);
  ck_result_is(r, &result, FV_ERR_CORRUPT, "none whole");
  ck_place_digest(out, after);
  if (strcmp(before, after) != 0) ck_problem(r, "the run directory was written to");
  ck_result_free(&result);
}

/* Where one checkpoint is kept and the newest is damaged, the next one must not be thrown away in its favour. */
static void check_keep_one(ck_report *r, const reference *ref) {
  ck_path out;
  ck_run run = run_of(ref, "keep-one", out);
  int64_t step = fv_round_up(ref->steps_an_epoch, 4); /* there is a checkpoint of it */
  if (!stop_at(r, &run, step + 3)) return;
  if (!damage_newest(out, 1, CUT)) ck_problem(r, "there is no checkpoint to damage");
  run.sets = OFTEN " keep=1 save_every=1";
  if (stop_at(r, &run, step + 1)) check_end(r, ref, &run, "keeping one checkpoint");
}

/* ---- other settings ---------------------------------------------------------------------------------------------- */
/* Another value than `now`, as text; false when this type has none that is easily made. */
static bool other_value(const fv_option *o, const char *now, char *text, size_t size) {
  int64_t i;
  double v;
  bool b;
  if (o->type == FV_OPT_INT && fv_parse_int(now, &i)) return snprintf(text, size, "%lld", (long long)(2 * i + 1)) > 0;
  if (o->type == FV_OPT_REAL && fv_parse_real(now, &v)) return snprintf(text, size, "%g", v > 0 ? v / 2 : 0.125) > 0;
  if (o->type == FV_OPT_BOOL && fv_parse_bool(now, &b)) return snprintf(text, size, "%s", b ? "false" : "true") > 0;
  for (int c = 0; o->type == FV_OPT_ENUM && o->choices[c]; c++)
    if (strcmp(o->choices[c], now) != 0) return snprintf(text, size, "%s", o->choices[c]) > 0;
  return false;
}

static int check_other(ck_report *r, const ck_run *run, const fv_option *o, const char *now) {
  char value[64], sets[512], words[96];
  if (!strcmp(o->name, "keep") || !strcmp(o->name, "save_every") || !other_value(o, now, value, sizeof value)) return 0;
  snprintf(sets, sizeof sets, "%s %s=%s", run->sets, o->name, value);
  snprintf(words, sizeof words, "%s (resume of ", o->name);
  ck_run other = *run;
  json_t *plan;
  other.sets = sets;
  if (ck_plan(&other, &plan) != FV_OK) return 0; /* no value that this recipe can have */
  const bool lowered = !strcmp(o->name, "shards") && json_integer_value(json_object_get(plan, "shards")) == 1;
  json_decref(plan);
  if (lowered) return 0; /* a batch of one has no more */
  ck_result result = ck_train(&other);
  ck_result_is(r, &result, FV_ERR_REQUEST, words);
  ck_result_free(&result);
  return 1;
}

static int check_table(ck_report *r, const ck_run *run, const fv_option *table, const json_t *now) {
  int tried = 0;
  for (const fv_option *o = table; o->name; o++) {
    const char *value = json_string_value(json_object_get(now, o->name));
    if (value) tried += check_other(r, run, o, value);
  }
  return tried;
}

static void check_settings(ck_report *r, const reference *ref) {
  ck_path out, path;
  json_t *config = NULL;
  char before[65], after[65];
  ck_run run = run_of(ref, "settings", out);
  if (!stop_at(r, &run, 2)) return;
  if (fv_json_read(ck_place_join(out, "config.json", path), (size_t)1 << 20, &config) != FV_OK)
    ck_problem(r, "%s", fv_error_message());
  ck_place_digest(out, before);
  fv_recipe_info info = fv_recipe_get_info(fv_recipe_find(ref->model->recipe));
  int own = check_table(r, &run, info.options, json_object_get(config, "settings"));
  int common = check_table(r, &run, fv_train_options(), json_object_get(config, "training"));
  if (own < 1 || common < 15)
    ck_problem(r, "expected settings to change, got %d of the recipe and %d of training", own, common);
  ck_place_digest(out, after);
  if (strcmp(before, after) != 0) ck_problem(r, "the run directory was written to");
  json_decref(config);
  run.sets = OFTEN " keep=2 save_every=5";
  check_end(r, ref, &run, "refused settings, and others that decide nothing");
}

/* A finished run: reports, changes nothing. */
static void check_finished(ck_report *r, const reference *ref) {
  ck_path out;
  char before[65], after[65];
  ck_run run = run_of(ref, "reference", out);
  ck_place_digest(out, before);
  check_end(r, ref, &run, "the end");
  ck_place_digest(out, after);
  if (strcmp(before, after) != 0) ck_problem(r, "a finished run was written to");
}

/* Without resume an earlier run is moved aside whole; a slash at the end of the name changes nothing. */
static void check_aside(ck_report *r, const reference *ref) {
  ck_path out, slash, old;
  char before[65], after[65];
  ck_run run = run_of(ref, "aside", out);
  check_end(r, ref, &run, "nothing");
  ck_place_digest(out, before);
  snprintf(slash, sizeof slash, "%.*s//", CK_PATH - 8, out);
  snprintf(old, sizeof old, "%.*s.1", CK_PATH - 8, out);
  run.out = slash;
  run.resume = false;
  ck_result result = ck_train(&run);
  if (ck_result_is(r, &result, FV_OK, NULL) && result.notes != 1)
    ck_problem(r, "expected to be told of the earlier run");
  ck_result_free(&result);
  ck_place_digest(old, after);
  if (strcmp(before, after) != 0) ck_problem(r, "the earlier run was changed");
}

static void begin(ck_report *r, const ck_model *m, const char *what) {
  ck_begin(r, m->recipe, "%s, %s: %s", m->recipe, m->preset, what);
}

void ck_model_resume(ck_report *r, const ck_model *m) {
  static const struct {
    const char *what;
    void (*check)(ck_report *r, const reference *ref);
  } parts[] = {{"stopped and resumed", check_stops},
               {"stopped after the last step", check_last_stop},
               {"killed and resumed", check_kills},
               {"all checkpoints damaged", check_all_damaged},
               {"one checkpoint kept", check_keep_one},
               {"resumed with other settings", check_settings},
               {"finished and resumed", check_finished},
               {"an earlier run in the way", check_aside}};
  reference ref = {.model = m};
  begin(r, m, "a run to compare with");
  bool sound = ck_place_new(r, ref.root) && make_reference(r, &ref);
  ck_end(r);
  for (size_t i = 0; i < FV_COUNT(parts) && sound; i++) {
    begin(r, m, parts[i].what);
    parts[i].check(r, &ref);
    ck_end(r);
  }
  for (damage how = CUT; how < DAMAGES && sound; how++) {
    ck_begin(r, m->recipe, "%s, %s: newest checkpoint damaged: %s", m->recipe, m->preset, damage_names[how]);
    check_damage(r, &ref, how);
    ck_end(r);
  }
  fv_string_free((char *)ref.lines);
  ck_place_remove(ref.root);
}
