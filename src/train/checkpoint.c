/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint.c: everything a run needs to go on as if it had never stopped. One safetensors file a checkpoint, written
 * aside and renamed: the flat slabs (parameters, optimiser's state, running mean) and, in the metadata, where the run
 * is and a hash over both. Random numbers are functions of seed and position, so they need no state. Older checkpoints
 * are removed only after the new one is safe; a damaged one is passed over for the one before. */
#include "train/trainer.h"

#include <inttypes.h>

enum { MOST_SLABS = 4 };

static fv_status path_of(const fv_trainer *t, const char *name, char path[FV_RUN_PATH]) {
  char inside[128];
  snprintf(inside, sizeof inside, "checkpoint/%s", name);
  return fv_trainer_path(t, inside, path);
}

/* The slabs that make up the state, as arrays. */
static int slabs_of(const fv_trainer *t, fv_array arrays[MOST_SLABS], float *slabs[MOST_SLABS]) {
  const struct { const char *name; float *slab; } all[MOST_SLABS] = {{"parameters", t->m->slab},
                                                                     {"state.0", t->optimizer.state[0]},
                                                                     {"state.1", t->optimizer.state[1]},
                                                                     {"mean", t->optimizer.mean}};
  int n = 0;
  for (int i = 0; i < MOST_SLABS; i++) {
    if (!all[i].slab) continue;
    slabs[n] = all[i].slab;
    arrays[n++] = (fv_array){.name = all[i].name,
                             .elem = FV_ELEM_F32,
                             .ndim = 1,
                             .dim = {t->m->params->size},
                             .count = t->m->params->size,
                             .bytes = (size_t)t->m->params->size * sizeof(float),
                             .data = all[i].slab};
  }
  return n;
}

static void print_point(const fv_progress_point *p, char *text, size_t size) {
  snprintf(text, size, "%" PRId64 " %" PRId64 " %" PRId64 " %a %a %a %a %" PRId64 " %" PRId64, p->step, p->epoch,
           p->position, p->loss_sum, p->metric_sum, p->best, p->best_loss, p->best_epoch, p->stale);
}

static bool parse_point(const char *text, fv_progress_point *p) {
  return text &&
         sscanf(text, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %la %la %la %la %" SCNd64 " %" SCNd64, &p->step, &p->epoch,
                &p->position, &p->loss_sum, &p->metric_sum, &p->best, &p->best_loss, &p->best_epoch, &p->stale) == 9;
}

static void name_of(int64_t step, char name[64]) { snprintf(name, 64, "step-%012" PRId64 ".safetensors", step); }

/* Over where the run is and all numbers: safetensors itself cannot tell a flipped bit from a weight. */
static void digest_of(const char *point, const fv_array *arrays, int n, char hex[65]) {
  fv_sha256 sha;
  fv_sha256_init(&sha);
  fv_sha256_update(&sha, point, strlen(point));
  for (int i = 0; i < n; i++) fv_sha256_update(&sha, arrays[i].data, arrays[i].bytes);
  fv_sha256_final(&sha, hex);
}

/* Names of checkpoints, oldest first: "step-000000001234.safetensors". */
static fv_status list_checkpoints(const fv_trainer *t, fv_arena *arena, char ***names, size_t *n) {
  char dir[FV_RUN_PATH], **all;
  size_t n_all;
  *n = 0;
  *names = NULL;
  FV_TRY(path_of(t, "", dir));
  if (!fv_path_is_dir(dir)) return FV_OK;
  FV_TRY(fv_dir_list(dir, arena, &all, &n_all));
  for (size_t i = 0; i < n_all; i++)
    if (!strncmp(all[i], "step-", 5) && strstr(all[i], ".safetensors")) all[(*n)++] = all[i];
  *names = all;
  return FV_OK;
}

/* After `saved`: those beyond what is to be kept, and those past it. Such are what a resumed run could not read. */
static fv_status remove_others(const fv_trainer *t, const char *saved) {
  char **names, path[FV_RUN_PATH];
  size_t n, past = 0;
  fv_arena *arena;
  FV_TRY(fv_arena_new(&arena));
  fv_status status = list_checkpoints(t, arena, &names, &n);
  while (status == FV_OK && past < n && strcmp(names[n - 1 - past], saved) > 0) past++;
  for (size_t i = 0; status == FV_OK && i < n; i++) {
    if (i + past < n && i + past + (size_t)t->m->train.keep >= n) continue;
    status = path_of(t, names[i], path);
    if (status == FV_OK) status = fv_file_remove(path);
  }
  fv_arena_free(arena);
  return status;
}

fv_status fv_checkpoint_save(const fv_trainer *t) {
  fv_array arrays[MOST_SLABS];
  float *slabs[MOST_SLABS];
  char point[512], name[64], hex[65], path[FV_RUN_PATH];
  FV_TRY(fv_trainer_check_weights(t));
  int n = slabs_of(t, arrays, slabs);
  print_point(&t->at, point, sizeof point);
  digest_of(point, arrays, n, hex);
  fv_pair meta[] = {{"format", "fovea-checkpoint-1"}, {"point", point}, {"sha256", hex}};
  FV_TRY(path_of(t, "", path));
  FV_TRY(fv_dir_make(path));
  name_of(t->at.step, name);
  FV_TRY(path_of(t, name, path));
  FV_TRY(fv_safetensors_write(path, arrays, n, meta, FV_COUNT(meta)));
  return remove_others(t, name);
}

/* The slabs as they are in the file, in our order; FV_ERR_CORRUPT when it is no whole checkpoint of this model. */
static fv_status check_one(const fv_trainer *t, const fv_safetensors *file, const char *path, const fv_array *mine,
                           int n, fv_array theirs[MOST_SLABS], fv_progress_point *point) {
  const char *text = fv_safetensors_meta(file, "point"), *wanted = fv_safetensors_meta(file, "sha256");
  char hex[65];
  FV_REQUIRE(wanted && parse_point(text, point) && point->step >= 0 && point->epoch >= 0 && point->position >= 0 &&
                 point->position < t->steps_an_epoch,
             FV_ERR_CORRUPT, "%s: expected a checkpoint, got none", path);
  for (int i = 0; i < n; i++) {
    const fv_array *a = fv_safetensors_find(file, mine[i].name);
    FV_REQUIRE(a && a->count == mine[i].count && a->elem == FV_ELEM_F32, FV_ERR_CORRUPT,
               "%s: '%s': expected %lld numbers, got %lld", path, mine[i].name, (long long)mine[i].count,
               (long long)(a ? a->count : 0));
    theirs[i] = *a;
  }
  digest_of(text, theirs, n, hex);
  FV_REQUIRE(!strcmp(hex, wanted), FV_ERR_CORRUPT, "%s: expected SHA-256 %s of what it holds, got %s", path, wanted,
             hex);
  return FV_OK;
}

static fv_status load_one(fv_trainer *t, const char *path) {
  fv_array mine[MOST_SLABS], theirs[MOST_SLABS];
  float *slabs[MOST_SLABS];
  fv_progress_point point = t->at;
  fv_safetensors *file;
  int n = slabs_of(t, mine, slabs);
  FV_TRY(fv_safetensors_open(path, &file));
  fv_status status = check_one(t, file, path, mine, n, theirs, &point);
  for (int i = 0; i < n && status == FV_OK; i++) status = fv_array_to_f32(&theirs[i], slabs[i]);
  if (status == FV_OK) t->at = point;
  fv_safetensors_close(file);
  return status;
}

static void tell_passed_over(const fv_trainer *t) {
  if (t->rq->report) t->rq->report(t->rq->arg, &(fv_train_event){.phase = "note", .text = fv_error_message()});
}

fv_status fv_checkpoint_load(fv_trainer *t) {
  fv_arena *arena;
  char **names, path[FV_RUN_PATH];
  size_t n;
  fv_status status = FV_OK;
  FV_TRY(fv_arena_new(&arena));
  FV_TRY_DONE(list_checkpoints(t, arena, &names, &n));
  for (size_t i = n; i-- > 0;) {
    FV_TRY_DONE(path_of(t, names[i], path));
    status = load_one(t, path);
    if (status == FV_OK || status == FV_ERR_MEMORY) break;
    if (i > 0) tell_passed_over(t); /* when none is whole, it is said rather than begun again over them */
    else status = fv_error_prefix(status, "resume of %s (%zu checkpoints, none whole)", t->out, n);
  }
done:
  fv_arena_free(arena);
  return status;
}

fv_status fv_checkpoint_last(const fv_trainer *t, char path[FV_RUN_PATH]) {
  fv_arena *arena;
  char **names;
  size_t n;
  *path = 0;
  FV_TRY(fv_arena_new(&arena));
  fv_status status = list_checkpoints(t, arena, &names, &n);
  if (status == FV_OK && n) status = path_of(t, names[n - 1], path);
  fv_arena_free(arena);
  return status;
}

/* ---- the best so far
 * -------------------------------------------------------------------------------------------------- */
static const char BEST[] = "best.safetensors";

fv_status fv_checkpoint_save_best(const fv_trainer *t, const float *slab) {
  char path[FV_RUN_PATH];
  FV_TRY(path_of(t, "", path));
  FV_TRY(fv_dir_make(path));
  FV_TRY(path_of(t, BEST, path));
  return fv_model_save(t->m, slab, NULL, path);
}

fv_status fv_checkpoint_load_best(const fv_trainer *t, float *slab) {
  char path[FV_RUN_PATH];
  fv_safetensors *file;
  FV_TRY(path_of(t, BEST, path));
  FV_TRY(fv_safetensors_open(path, &file));
  fv_status status = fv_model_read_slab(t->m, file, path, slab);
  fv_safetensors_close(file);
  return status;
}

/* ---- the run's settings
 * ----------------------------------------------------------------------------------------------- */
/* How often to save, and how many to keep, decides nothing about the result. */
static bool decides(const char *key) { return strcmp(key, "save_every") && strcmp(key, "keep"); }

static fv_status compare_objects(const char *out, const json_t *run, const json_t *now) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)now, key, value) {
    const json_t *before = json_object_get(run, key);
    if (json_is_object(value)) FV_TRY(compare_objects(out, before, value));
    else if (decides(key) && !json_equal(before, value))
      return FV_FAIL(FV_ERR_REQUEST, "%s (resume of %s): expected %s as the run was started, got %s", key, out,
                     json_is_string(before) ? json_string_value(before) : "none",
                     json_is_string(value) ? json_string_value(value) : "none");
  }
  return FV_OK;
}

fv_status fv_run_compare(const fv_trainer *t) {
  json_t *run = NULL, *now = NULL;
  fv_json j = {0};
  char path[FV_RUN_PATH];
  fv_status status = FV_OK;
  FV_TRY_DONE(fv_trainer_path(t, "config.json", path));
  fv_json_begin(&j, NULL, '{');
  FV_TRY_DONE(fv_model_describe(t->m, &j));
  fv_json_end(&j, '}');
  FV_TRY_DONE(fv_json_read(path, (size_t)16 << 20, &run));
  FV_TRY_DONE(fv_json_parse(j.text.s, j.text.n, "settings", (size_t)16 << 20, &now));
  FV_TRY_DONE(compare_objects(t->out, run, now));
done:
  fv_json_free(&j);
  json_decref(run);
  json_decref(now);
  return status;
}
