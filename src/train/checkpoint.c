/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint.c: everything a run needs to go on as if it had never stopped. One safetensors file a checkpoint, written aside
 * and renamed: the flat slabs (parameters, optimiser's state, running mean) and, in the metadata, where the run is. Random
 * numbers are functions of seed and position, so they need no state. Older checkpoints are removed only after the new one is
 * safe; a damaged one is passed over for the one before. */
#include "train/trainer.h"

#include <inttypes.h>
#include <stdlib.h>

enum { MOST_SLABS = 4 };

static const char *path_of(const fv_trainer *t, const char *name) {
  return fv_arena_printf(t->m->arena, "%s/checkpoint/%s", t->out, name);
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
    arrays[n++] = (fv_array){.name = all[i].name, .elem = FV_ELEM_F32, .ndim = 1, .dim = {t->m->params->size},
                             .count = t->m->params->size, .bytes = (size_t)t->m->params->size * sizeof(float), .data = all[i].slab};
  }
  return n;
}

static void print_point(const fv_progress_point *p, char *text, size_t size) {
  snprintf(text, size, "%" PRId64 " %" PRId64 " %" PRId64 " %a %a %a %a %" PRId64 " %" PRId64, p->step, p->epoch, p->position,
           p->loss_sum, p->metric_sum, p->best, p->best_loss, p->best_epoch, p->stale);
}

static bool parse_point(const char *text, fv_progress_point *p) {
  return text && sscanf(text, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %la %la %la %la %" SCNd64 " %" SCNd64, &p->step, &p->epoch,
                        &p->position, &p->loss_sum, &p->metric_sum, &p->best, &p->best_loss, &p->best_epoch, &p->stale) == 9;
}

/* Names of checkpoints, oldest first: "step-000000001234.safetensors". */
static fv_status list_checkpoints(const fv_trainer *t, fv_arena *arena, char ***names, size_t *n) {
  const char *dir = path_of(t, "");
  char **all;
  size_t n_all;
  *n = 0;
  *names = NULL;
  if (!fv_path_is_dir(dir)) return FV_OK;
  FV_TRY(fv_dir_list(dir, arena, &all, &n_all));
  for (size_t i = 0; i < n_all; i++)
    if (!strncmp(all[i], "step-", 5) && strstr(all[i], ".safetensors")) all[(*n)++] = all[i];
  *names = all;
  return FV_OK;
}

static fv_status remove_old(const fv_trainer *t) {
  fv_arena *arena;
  char **names;
  size_t n;
  FV_TRY(fv_arena_new(&arena));
  fv_status status = list_checkpoints(t, arena, &names, &n);
  for (size_t i = 0; status == FV_OK && i + (size_t)t->m->train.keep < n; i++)
    status = fv_file_remove(fv_path_join(arena, path_of(t, ""), names[i]));
  fv_arena_free(arena);
  return status;
}

fv_status fv_checkpoint_save(const fv_trainer *t) {
  fv_array arrays[MOST_SLABS];
  float *slabs[MOST_SLABS];
  char point[512], name[64];
  int n = slabs_of(t, arrays, slabs);
  print_point(&t->at, point, sizeof point);
  snprintf(name, sizeof name, "step-%012" PRId64 ".safetensors", t->at.step);
  fv_pair meta[] = {{"format", "fovea-checkpoint-1"}, {"point", point}};
  FV_TRY(fv_dir_make(path_of(t, "")));
  FV_TRY(fv_safetensors_write(path_of(t, name), arrays, n, meta, FV_COUNT(meta)));
  return remove_old(t);
}

static fv_status load_slabs(fv_trainer *t, const fv_safetensors *file, const char *path) {
  fv_array arrays[MOST_SLABS];
  float *slabs[MOST_SLABS];
  int n = slabs_of(t, arrays, slabs);
  fv_progress_point point = t->at;
  const char *text = fv_safetensors_meta(file, "point");
  FV_REQUIRE(parse_point(text, &point) && point.step >= 0 && point.epoch >= 0 && point.position >= 0 &&
                 point.position < t->steps_an_epoch, FV_ERR_CORRUPT, "%s: expected a checkpoint, got none", path);
  for (int i = 0; i < n; i++) {
    const fv_array *a = fv_safetensors_find(file, arrays[i].name);
    FV_REQUIRE(a && a->count == arrays[i].count, FV_ERR_CORRUPT, "%s: '%s': expected %lld numbers, got %lld", path, arrays[i].name,
               (long long)arrays[i].count, (long long)(a ? a->count : 0));
  }
  for (int i = 0; i < n; i++) FV_TRY(fv_array_to_f32(fv_safetensors_find(file, arrays[i].name), slabs[i]));
  t->at = point;
  return FV_OK;
}

static fv_status load_one(fv_trainer *t, const char *path) {
  fv_safetensors *file;
  FV_TRY(fv_safetensors_open(path, &file));
  fv_status status = load_slabs(t, file, path);
  fv_safetensors_close(file);
  return status;
}

fv_status fv_checkpoint_load(fv_trainer *t, bool *found) {
  fv_arena *arena;
  char **names;
  size_t n;
  *found = false;
  FV_TRY(fv_arena_new(&arena));
  fv_status status = list_checkpoints(t, arena, &names, &n);
  for (size_t i = n; status == FV_OK && i-- > 0 && !*found;) {
    fv_status one = load_one(t, fv_path_join(arena, path_of(t, ""), names[i]));
    *found = one == FV_OK;
    if (one != FV_OK && i == 0) status = one; /* none is whole: say so rather than begin again over it */
  }
  fv_arena_free(arena);
  return status;
}

/* ---- the best so far -------------------------------------------------------------------------------------------------- */
fv_status fv_checkpoint_save_best(const fv_trainer *t, const float *slab) {
  FV_TRY(fv_dir_make(path_of(t, "")));
  return fv_model_save(t->m, slab, NULL, path_of(t, "best.safetensors"));
}

fv_status fv_checkpoint_load_best(const fv_trainer *t, float *slab) {
  fv_safetensors *file;
  const char *path = path_of(t, "best.safetensors");
  FV_TRY(fv_safetensors_open(path, &file));
  fv_status status = fv_model_read_slab(t->m, file, "", path, slab);
  fv_safetensors_close(file);
  return status;
}

/* ---- the run's settings ----------------------------------------------------------------------------------------------- */
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
  const char *path = fv_path_join(t->m->arena, t->out, "config.json");
  fv_status status = FV_OK;
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
