/* SPDX-License-Identifier: Apache-2.0 */
/* model.c: every recipe with every preset, made small, on data that is always at hand. What `plan` says is what a run
 * takes; losses fall; steps and predictions allocate nothing; the weights are the same at any thread count; a saved
 * model is the model. Then, for the first preset of each recipe, what may happen to a run: run_resume.c and
 * run_faults.c. */
#include "run.h"
#include "train/generate.h"
#include "train/trainer.h"

/* One row a preset: settings that make it small. */
#define IMAGES "digits", "cluttered-digits", NULL
#define TEXTS "verdicts", NULL, NULL
#define PAIRS "number-words", NULL, NULL
#define SERIES "waves", NULL, NULL
#define GRAPH "communities", NULL, "batch=1 epochs=36" /* an epoch is one step */
#define GRAPHS "motifs", NULL, NULL
#define EPISODES "strokes", NULL, NULL
#define DIGITS "digits", NULL, "batch=32 lr=0.03"
#define RATINGS "tastes", NULL, NULL
static const ck_model models[] = {
    {"image-classify", "small", "width=4 pool=8 dropout=0.1 shift=1", 176108, IMAGES},
    {"image-classify", "tiny", "width=4 pool=8 dropout=0.1 shift=1", 78892, IMAGES},
    {"image-classify", "vit-tiny", "dim=16 depth=2 heads=2 dropout=0.1 shift=1", 302154, IMAGES},
    {"text-classify", "lstm", "width=16 hidden=8 pool=8", 288386, TEXTS},
    {"text-classify", "cnn", "width=16 hidden=8 pool=8", 180482, TEXTS},
    {"text-classify", "tiny", "width=16 hidden=8 pool=8", 18818, TEXTS},
    {"translate", "transformer", "width=16 hidden=24 layers=1 heads=2", 1857709, PAIRS},
    {"translate", "gru", "width=16 hidden=16", 1260589, PAIRS},
    {"translate", "lstm", "width=16 hidden=16", 1457965, PAIRS},
    {"translate", "tiny", "width=16 hidden=24 layers=1 heads=2", 170605, PAIRS},
    {"forecast", "patchtst", "past=24 horizon=4 width=8 heads=2 feedforward=16 layers=2 patch=8 stride=4", 17708,
     SERIES},
    {"forecast", "dlinear", "past=24 horizon=4", 1176, SERIES},
    {"forecast", "darnn", "past=12 horizon=4 hidden=8", 68340, SERIES},
    {"node-classify", "gat", "heads=2 width=4 dropout=0.1", 4556, GRAPH},
    {"node-classify", "gatv2", "heads=2 width=4 dropout=0.1", 8976, GRAPH},
    {"node-classify", "sampled", "heads=2 width=4 neighbours=4,3 dropout=0.1", 4556, "communities", NULL, "batch=8"},
    {"graph-classify", "gat", "heads=2 width=4 layers=2", 13250, GRAPHS},
    {"graph-classify", "gatv2", "heads=2 width=4 layers=2", 17666, GRAPHS},
    {"image-graph-classify", "gat", "superpixels=30 widths=16,16 pool=8 hidden=16", 72042, DIGITS},
    {"image-graph-classify", "gatv2", "superpixels=30 widths=16,16 pool=8 hidden=16", 97130, DIGITS},
    {"recommend", "din", "width=8 hidden=16 attention=8 rows_decay=1", 23850, RATINGS},
    {"recommend", "mean", "width=8 hidden=16", 19169, RATINGS},
    {"recommend", "sum", "width=8 hidden=16 activation=relu", 19169, RATINGS},
    {"recommend", "afm", "width=8 attention=8", 7227, RATINGS},
    {"few-shot", "matching", "channels=4 reads=2 ways=3 queries=1 shift=1", 227904, EPISODES},
    {"few-shot", "snail", "channels=4 ways=3 queries=1", 3213246, "strokes", NULL, "lr=0.0005"},
    {"few-shot", "simple", "channels=4 ways=3 queries=1", 111680, EPISODES},
    {"sentiment", "lstm", "width=16 hidden=8 pool=8", 288386, TEXTS},
    {"sentiment", "tiny", "width=16 hidden=8 pool=8", 18818, TEXTS},
    {"text-classify-multiscale", "scales", "width=16 hidden=8 pool=8", 617090, TEXTS},
    {"text-classify-multiscale", "han", "width=16 hidden=8 pool=8", 535298, TEXTS},
    {"text-classify-multiscale", "tiny", "width=16 hidden=8 pool=8", 18466, TEXTS},
};

/* ---- parameters -------------------------------------------------------------------------------------------------- */
static fv_status check_parameters(ck_report *r, const ck_model *m) {
  fv_train_request rq = {.recipe = m->recipe, .preset = m->preset, .data = m->data, .threads = 1};
  fv_trainer *t;
  int64_t sum = 0;
  FV_TRY(fv_trainer_new(&rq, true, &t));
  for (int i = 0; i < t->m->params->n; i++)
    if (t->m->params->v[i].group != FV_GROUP_BUFFER) sum += fv_shape_count(t->m->params->v[i].shape);
  if (sum != t->m->params->count)
    ck_problem(r, "expected %lld parameters as declared, got %lld", (long long)sum, (long long)t->m->params->count);
  if (sum != m->parameters)
    ck_problem(r, "expected %lld parameters, got %lld", (long long)m->parameters, (long long)sum);
  fv_trainer_free(t);
  return FV_OK;
}

/* ---- a finished model -------------------------------------------------------------------------------------------- */
/* What a model says of a sample: fv_model_classify's answers and scores; or the tokens it writes, and their score. */
enum { WRITTEN = 64 };
static int64_t numbers_of(const fv_model *m) { return m->recipe->writes ? WRITTEN : 2 * fv_model_answers(m); }

static fv_status write_one(fv_model *m, const fv_dataset *d, float *numbers, int times, uint64_t *allocations) {
  fv_writer *w;
  fv_written out;
  fv_status status = FV_OK;
  FV_TRY(fv_model_writer(m, NULL, true, &w));
  FV_TRY(fv_written_new(w, 1, false, &out));
  uint64_t before = fv_memory_get_stats().count;
  for (int i = 0; i < times; i++)
    FV_TRY_DONE(fv_writer_run(w, m->slab, d, FV_SPLIT_TEST, NULL, false, &out, NULL, NULL));
  if (allocations) *allocations = fv_memory_get_stats().count - before;
  memset(numbers, 0, WRITTEN * sizeof *numbers);
  numbers[0] = (float)out.score[0];
  for (int64_t t = 0; t < out.length[0] && t + 1 < WRITTEN; t++) numbers[t + 1] = (float)out.token[t];
done:
  fv_written_free(&out);
  return status;
}

/* The first test sample's, `times` over. */
static fv_status answer_first(fv_model *m, float *numbers, int times, uint64_t *allocations) {
  fv_dataset *d;
  fv_status status = FV_OK;
  FV_TRY(fv_dataset_open(m->data, &m->reading, (uint64_t)m->train.seed, NULL, NULL, NULL, &d));
  uint64_t before = fv_memory_get_stats().count;
  if (m->recipe->writes) FV_TRY_DONE(write_one(m, d, numbers, times, allocations));
  for (int i = 0; i < times && !m->recipe->writes; i++)
    FV_TRY_DONE(fv_model_classify(m, d, FV_SPLIT_TEST, NULL, 1, numbers, numbers + fv_model_answers(m)));
  if (allocations && !m->recipe->writes) *allocations = fv_memory_get_stats().count - before;
done:
  fv_dataset_close(d);
  return status;
}

fv_status ck_predict_one(const char *path, fv_model **model, float **numbers) {
  fv_status status = FV_OK;
  *numbers = NULL;
  FV_TRY(fv_model_open(path, 1, model));
  FV_TRY_DONE(FV_NEW(numbers, numbers_of(*model)));
  FV_TRY_DONE(answer_first(*model, *numbers, 1, NULL));
done:
  if (status == FV_OK) return FV_OK;
  fv_free(*numbers);
  *numbers = NULL;
  fv_model_free(*model);
  *model = NULL;
  return status;
}

static void check_sum(ck_report *r, const float *p, int64_t k) {
  double sum = 0;
  for (int64_t i = 0; i < k; i++) sum += (double)p[i];
  if (!(fabs(sum - 1) < 1e-5)) ck_problem(r, "expected probabilities that sum to 1, got %g", sum);
}

/* The first prediction makes what the next ones use. */
static fv_status check_predict_allocations(ck_report *r, fv_model *m, const float *numbers) {
  float *again = NULL;
  uint64_t made = 0;
  fv_status status = FV_OK;
  FV_TRY_DONE(FV_NEW(&again, numbers_of(m)));
  FV_TRY_DONE(answer_first(m, again, 3, &made));
  if (made) ck_problem(r, "expected predictions without an allocation, got %llu", (unsigned long long)made);
  if (memcmp(again, numbers, (size_t)numbers_of(m) * sizeof *again) != 0)
    ck_problem(r, "a second prediction differs from the first");
done:
  fv_free(again);
  return status;
}

/* Saved again, opened again: the same bits. */
static fv_status check_saved_again(ck_report *r, const fv_model *m, const float *numbers, const char *root) {
  fv_model *other = NULL;
  float *got = NULL;
  ck_path path;
  ck_place_join(root, "again.safetensors", path);
  FV_TRY(fv_model_save(m, m->slab, NULL, path));
  FV_TRY(ck_predict_one(path, &other, &got));
  if (memcmp(got, numbers, (size_t)numbers_of(m) * sizeof *got) != 0)
    ck_problem(r, "saved and opened again, it predicts something else");
  fv_free(got);
  fv_model_free(other);
  return FV_OK;
}

static fv_status check_weights(ck_report *r, const fv_model *m, const ck_result *run) {
  char hex[65];
  FV_TRY(fv_model_weights_sha256(m, m->slab, hex));
  if (strcmp(hex, ck_result_text(run, "weights_sha256")) != 0)
    ck_problem(r, "the file holds other weights than the run ended with");
  return FV_OK;
}

/* What the run measured before it saved is what the file gives. */
static fv_status check_eval(ck_report *r, fv_model *m, const ck_result *run) {
  char *text = NULL;
  json_t *got = NULL;
  FV_TRY(fv_model_eval(m, NULL, FV_SPLIT_TEST, NULL, NULL, &text));
  fv_status status = fv_json_parse(text, strlen(text), "eval", (size_t)1 << 20, &got);
  fv_string_free(text);
  FV_TRY(status);
  const char *keys[] = {m->recipe->metric, "loss"};
  for (size_t i = 0; i < FV_COUNT(keys); i++) {
    const json_t *a = json_object_get(json_object_get(run->json, "metrics"), keys[i]);
    const json_t *b = json_object_get(json_object_get(got, "metrics"), keys[i]);
    if (!a || !json_equal(a, b))
      ck_problem(r, "%s: expected %.17g as the run ended with, got %.17g", keys[i], json_number_value(a),
                 json_number_value(b));
  }
  json_decref(got);
  return FV_OK;
}

static fv_status check_model_file(ck_report *r, const char *out, const char *root, const ck_result *run) {
  fv_model *m = NULL;
  float *numbers = NULL;
  fv_status status = FV_OK;
  FV_TRY(ck_predict_one(out, &m, &numbers));
  if (m->task.n_classes) check_sum(r, numbers, m->task.n_classes);
  FV_TRY_DONE(check_weights(r, m, run));
  FV_TRY_DONE(check_predict_allocations(r, m, numbers));
  FV_TRY_DONE(check_saved_again(r, m, numbers, root));
  FV_TRY_DONE(check_eval(r, m, run));
done:
  fv_free(numbers);
  fv_model_free(m);
  return status;
}

/* ---- a run ------------------------------------------------------------------------------------------------------- */
static void check_steps(ck_report *r, const ck_result *run, bool learns) {
  if (!isfinite(run->last) || (learns && run->last >= run->first))
    ck_problem(r, "expected a loss below the first step's %g, got %g", run->first, run->last);
  if (ck_result_int(run, "step_allocations") != 0)
    ck_problem(r, "expected steps without an allocation, got %lld", (long long)ck_result_int(run, "step_allocations"));
}

static void check_plan(ck_report *r, const ck_run *run, const ck_result *result) {
  json_t *plan;
  if (ck_plan(run, &plan) != FV_OK) {
    ck_problem(r, "plan: %s", fv_error_message());
    return;
  }
  int64_t planned = json_integer_value(json_object_get(plan, "bytes_total"));
  int64_t taken = ck_result_int(result, "peak_bytes");
  if (planned <= 0 || planned != taken)
    ck_problem(r, "planned %lld bytes, took %lld", (long long)planned, (long long)taken);
  if (json_integer_value(json_object_get(plan, "parameters")) != ck_result_int(result, "parameters"))
    ck_problem(r, "planned other parameters than the run had");
  json_decref(plan);
}

static void check_run(ck_report *r, const ck_model *m, const char *data, bool learns, const char *root) {
  ck_path out;
  ck_run run = {.model = m, .data = data, .out = ck_place_join(root, data, out), .threads = 2,
                .sets = "steps=30 batch=16 shards=4 validation=0 save_every=1000 lr=0.005 schedule=constant warmup=0"
                        CK_HERE};
  fv_memory_stats before = fv_memory_get_stats();
  ck_result result = ck_train(&run);
  if (ck_result_is(r, &result, FV_OK, NULL)) {
    check_steps(r, &result, learns);
    check_plan(r, &run, &result);
    ck_place_sound(r, out);
    if (check_model_file(r, out, root, &result) != FV_OK) ck_problem(r, "%s", fv_error_message());
  }
  ck_result_free(&result);
  int64_t left = fv_memory_get_stats().live_bytes - before.live_bytes;
  if (left) ck_problem(r, "leaves %lld bytes behind", (long long)left);
}

static void check_threads(ck_report *r, const ck_model *m, const char *root) {
  static const int threads[] = {1, 2, 3, 7};
  char first[80] = "";
  for (size_t i = 0; i < FV_COUNT(threads); i++) {
    ck_path name, out;
    snprintf(name, sizeof name, "threads-%d", threads[i]);
    ck_run run = {.model = m, .data = m->data, .out = ck_place_join(root, name, out), .threads = threads[i],
                  .sets = CK_THOROUGH " steps=12"};
    ck_result result = ck_train(&run);
    const char *sha = ck_result_text(&result, "weights_sha256");
    if (!ck_result_is(r, &result, FV_OK, NULL)) break;
    if (i == 0) snprintf(first, sizeof first, "%s", sha);
    if (strcmp(first, sha) != 0) ck_problem(r, "other weights with %d threads than with 1", threads[i]);
    ck_result_free(&result);
  }
}

/* ---- the mode ---------------------------------------------------------------------------------------------------- */
static const ck_model *find_model(const char *recipe, const char *preset) {
  for (size_t i = 0; i < FV_COUNT(models); i++)
    if (strcmp(models[i].recipe, recipe) == 0 && strcmp(models[i].preset, preset) == 0) return &models[i];
  return NULL;
}

static void check_preset(ck_report *r, const ck_model *m, const char *root) {
  ck_begin(r, m->recipe, "%s, %s: parameters", m->recipe, m->preset);
  if (check_parameters(r, m) != FV_OK) ck_problem(r, "%s", fv_error_message());
  ck_end(r);
  for (int i = 0; i < 2; i++) {
    const char *data = i ? m->other : m->data;
    if (!data) continue;
    ck_begin(r, m->recipe, "%s, %s: thirty steps on %s", m->recipe, m->preset, data);
    check_run(r, m, data, i == 0, root);
    ck_end(r);
  }
  ck_begin(r, m->recipe, "%s, %s: threads", m->recipe, m->preset);
  check_threads(r, m, root);
  ck_end(r);
}

static void check_recipe(ck_report *r, const fv_recipe_info *info) {
  for (const fv_preset *p = info->presets; p && p->name && (p == info->presets || !r->few); p++) {
    ck_path root;
    const ck_model *m = find_model(info->name, p->name);
    ck_begin(r, info->name, "%s, %s", info->name, p->name);
    if (!m) ck_problem(r, "expected a row for it in tests/check/model.c, got none");
    if (!m || !ck_place_new(r, root)) {
      ck_end(r);
      continue;
    }
    setenv("FOVEA_CACHE", root, 1); /* what is made of data once is not this machine's */
    check_preset(r, m, root);
    ck_place_remove(root);
    if (p != info->presets || (r->few && m != models)) continue;
    ck_model_resume(r, m);
    ck_model_faults(r, m);
  }
}

void ck_mode_model(ck_report *r) {
  for (int i = 0; i < fv_recipe_count(); i++) {
    fv_recipe_info info = fv_recipe_get_info(i);
    if (ck_wanted(r, info.name)) check_recipe(r, &info);
  }
}
