/* SPDX-License-Identifier: Apache-2.0 */
/* path_texts.c: a table of texts of one's own: .csv, .tsv or .jsonl (also .gz). The settings text=COLUMN and
 * label=COLUMN name its columns, or number them from 1 in a table without a first row of names; text=A+B joins two.
 * Without them they are "text" and "label".
 * The test part, and likewise a validation part, is the file beside it that has "test" ("valid", "val", "dev") where
 * this one has "train".
 *
 * "A,B" are two files of lines that belong together, a text and its translation; their other parts are found
 * likewise. */
#include "data/sets.h"

bool fv_path_is_texts(const fv_data_open *o) {
  return fv_path_ends(o->path, ".jsonl") || fv_path_ends(o->path, ".ndjson") || (fv_path_is_table(o->path) && o->reading->text);
}

static fv_status name_columns(const fv_data_open *o, fv_arena *arena, const char *columns[4], fv_texts_from *from) {
  char *text = fv_arena_strdup(arena, o->reading->text ? o->reading->text : "text");
  FV_REQUIRE(text, FV_ERR_MEMORY, "dataset (%s): no memory for a name", o->path);
  char *plus = strchr(text, '+');
  if (plus) *plus = 0;
  columns[0] = o->reading->label ? o->reading->label : "label";
  columns[1] = text;
  columns[2] = plus ? plus + 1 : NULL;
  from->options.columns = columns;
  from->label = 1;
  from->text = 2;
  from->more = plus ? 3 : 0;
  return FV_OK;
}

fv_status fv_path_open_texts(const fv_data_open *o, fv_dataset *d) {
  const char *columns[4] = {NULL};
  fv_texts_from from = {.options = {.skip_bad = o->reading->skip_bad}};
  fv_texts *t;
  fv_status status = FV_OK;
  FV_TRY(fv_texts_new(d, &t));
  FV_TRY_DONE(name_columns(o, d->arena, columns, &from));
  for (int s = 0; s < FV_SPLITS; s++) {
    from.path = fv_path_part(d->arena, o->path, (fv_split)s);
    if (from.path) FV_TRY_DONE(fv_texts_add(t, (fv_split)s, &from));
  }
  FV_TRY_DONE(fv_texts_hold(o, d, t, NULL));
done:
  fv_texts_free(t);
  return status;
}

/* ---- two files --------------------------------------------------------------------------------------------------- */
static bool there(const char *path, size_t n) {
  char text[4096];
  if (n == 0 || n >= sizeof text) return false;
  memcpy(text, path, n);
  text[n] = 0;
  return fv_path_exists(text) && !fv_path_is_dir(text);
}

bool fv_path_is_parallel(const char *path) {
  const char *comma = strchr(path, ',');
  return comma && !fv_path_exists(path) && there(path, (size_t)(comma - path)) && there(comma + 1, strlen(comma + 1));
}

fv_status fv_path_open_parallel(const fv_data_open *o, fv_dataset *d) {
  const char *comma = strchr(o->path, ','), *path[2];
  const char *train[2] = {fv_arena_printf(d->arena, "%.*s", (int)(comma - o->path), o->path), comma + 1};
  fv_texts *t;
  fv_status status = FV_OK;
  FV_REQUIRE(train[0], FV_ERR_MEMORY, "dataset (%s): no memory for a name", o->path);
  FV_TRY(fv_texts_new(d, &t));
  for (int s = 0; s < FV_SPLITS; s++) {
    for (int k = 0; k < 2; k++) path[k] = fv_path_part(d->arena, train[k], (fv_split)s);
    if (path[0] && path[1]) FV_TRY_DONE(fv_texts_add_parallel(t, (fv_split)s, path, o->reading->skip_bad));
  }
  FV_TRY_DONE(fv_texts_hold(o, d, t, NULL));
done:
  fv_texts_free(t);
  return status;
}
