/* SPDX-License-Identifier: Apache-2.0 */
/* run.h: whole runs for `check model`: a recipe made small, trained in a directory of its own, here or in a process
 * that may be stopped, killed or kept from memory and disk. */
#ifndef CHECK_RUN_H
#define CHECK_RUN_H

#include "check.h"
#include "train/train.h"

#include <sys/types.h>

enum { CK_PATH = 1024, CK_MESSAGE = 1200 };

/* A recipe and preset, with the settings that make a run of it take moments. */
typedef struct ck_model {
  const char *recipe, *preset, *shrink;
  int64_t parameters; /* of the preset as it is, on `data` */
  const char *data;   /* that is always at hand, and of which thirty steps teach a small model something */
  const char *other;  /* of which they need not; NULL: none */
  const char *instead; /* settings that replace those of CK_HERE; NULL: none */
} ck_model;

/* One training. */
typedef struct ck_run {
  const ck_model *model;
  const char *data, *sets, *out; /* sets: "key=value key=value", after the model's own; CK_HERE: model->instead */
  int threads;
  bool resume;
  int64_t stop_at;               /* raises SIGTERM after that many steps; 0: never */
} ck_run;

typedef struct ck_result {
  fv_status status;
  char message[CK_MESSAGE]; /* of a failure */
  json_t *json;             /* of a success */
  double first, last;       /* loss of the first step; mean of the last five */
  int64_t notes;            /* lines worth showing that came with it */
} ck_result;
ck_result ck_train(const ck_run *run);
fv_status ck_plan(const ck_run *run, json_t **json);
void ck_result_free(ck_result *result);
int64_t ck_result_int(const ck_result *result, const char *key);
const char *ck_result_text(const ck_result *result, const char *key);
/* A problem unless it succeeded, or failed as `wanted` with one line that holds `words` (NULL: any). */
bool ck_result_is(ck_report *r, const ck_result *result, fv_status wanted, const char *words);

/* ---- directories ------------------------------------------------------------------------------------------------- */
typedef char ck_path[CK_PATH];
/* A fresh directory for one subject's files; removed with what is in it. */
bool ck_place_new(ck_report *r, ck_path root);
void ck_place_remove(const char *root);
const char *ck_place_join(const char *root, const char *name, ck_path path);
/* SHA-256 over names and bytes of what a run left (no dot files). */
void ck_place_digest(const char *out, char hex[65]);
/* Every file there is whole: nothing half-written, everything reads. */
void ck_place_sound(ck_report *r, const char *out);
bool ck_file_read(const char *path, uint8_t **bytes, size_t *n);
bool ck_file_write(const char *path, const void *bytes, size_t n); /* plainly: for damaged ones */

/* ---- other processes --------------------------------------------------------------------------------------------- */
/* What the other process has to say; in memory that both see. */
typedef struct ck_message {
  int64_t at;  /* how far it came */
  int64_t all; /* of how many */
  int problems;
  bool skipped;
  char text[CK_MESSAGE]; /* of the first problem */
} ck_message;
void ck_say(ck_message *m, const char *fmt, ...) FV_PRINTF(2, 3);
typedef void ck_body(void *arg, ck_message *m);
pid_t ck_child_start(ck_body *body, void *arg, ck_message **m);
/* Waits; a crash or a problem there is a problem here. The message is given back for ck_message_free. */
void ck_child_join(ck_report *r, pid_t pid, ck_message *m);
void ck_message_free(ck_message *m);
/* Start and join; false when it had to skip. */
bool ck_child_run(ck_report *r, ck_body *body, void *arg);

/* ---- the parts of the mode --------------------------------------------------------------------------------------- */
#define CK_HERE " :instead"
#define CK_THOROUGH "epochs=3 batch=32 shards=4 validation=0.8 ema=0.9 clip=1 schedule=cosine" CK_HERE
void ck_model_resume(ck_report *r, const ck_model *m);
void ck_model_faults(ck_report *r, const ck_model *m);
/* Opens a finished model and predicts sample 0 of `data`'s test split: its answers (fv_model_answers), then
 * the scores. */
fv_status ck_predict_one(const char *path, fv_model **model, float **numbers);

#endif
