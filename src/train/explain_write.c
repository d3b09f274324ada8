/* SPDX-License-Identifier: Apache-2.0 */
/* explain_write.c: which words of its source each word of a translation came from: the attention of a recurrent
 * decoder, or the mean over the heads of a Transformer's last layer, as a matrix of tokens. */
#include "train/explain.h"
#include "train/generate.h"

enum { MOST_TOKENS = 400 };

typedef struct drawing {
  const json_t *entry;
  int rows, columns;
  const char *row[MOST_TOKENS], *column[MOST_TOKENS];
  float v[MOST_TOKENS * MOST_TOKENS];
} drawing;

static int texts_of(const json_t *list, const char **texts) {
  int n = (int)FV_MIN(json_array_size(list), (size_t)MOST_TOKENS);
  for (int i = 0; i < n; i++) texts[i] = json_string_value(json_array_get(list, (size_t)i));
  return n;
}

static fv_status draw(const json_t *entry, const char *path) {
  drawing *d;
  fv_image image = {0};
  fv_status status = FV_OK;
  FV_TRY(FV_NEW(&d, 1));
  d->rows = texts_of(json_object_get(entry, "tokens"), d->row);
  d->columns = texts_of(json_object_get(entry, "source_tokens"), d->column);
  for (int y = 0; y < d->rows; y++)
    for (int x = 0; x < d->columns; x++)
      d->v[y * d->columns + x] = (float)json_number_value(
          json_array_get(json_array_get(json_object_get(entry, "alignment"), (size_t)y), (size_t)x));
  const fv_squares m = {.rows = d->rows, .columns = d->columns, .row = d->row, .column = d->column, .v = d->v};
  FV_TRY_DONE(fv_squares_picture(&m, &image));
  FV_TRY_DONE(fv_image_write_png(path, &image));
done:
  fv_image_free(&image);
  fv_free(d);
  return status;
}

static void sketch(const json_t *entry, fv_json *j) {
  fv_text text = {0};
  fv_text_printf(&text, "%s\n%s\n", json_string_value(json_object_get(entry, "text")),
                 json_string_value(json_object_get(entry, "translation")));
  fv_json_text(j, "terminal", text.s ? text.s : "");
  fv_text_free(&text);
}

static fv_status write_out(const fv_explain_request *rq, const char *answer, const json_t *entry) {
  if (!rq->out) return FV_OK;
  if (fv_ends_with(rq->out, ".json")) return fv_file_write(rq->out, answer, strlen(answer));
  return draw(entry, rq->out);
}

fv_status fv_explain_writing(fv_model *m, const fv_explain_request *rq, char **json) {
  char *answer = NULL;
  json_t *root = NULL;
  fv_json j = {0};
  fv_status status = FV_OK;
  FV_TRY(fv_explain_check_out(rq, ".png or .json"));
  FV_REQUIRE(!rq->faithfulness, FV_ERR_REQUEST, "explain (%s): faithfulness: expected a model that gives labels",
             m->recipe->info.name);
  FV_REQUIRE(!rq->method || !strcmp(rq->method, "attention"), FV_ERR_REQUEST,
             "method '%s' (explain): expected attention, which is what this model has", rq->method);
  FV_TRY_DONE(fv_model_write(
      m, &(fv_predict_request){.input = rq->input ? rq->input : "test:0", .top = 1, .tokens = true}, &answer));
  FV_TRY_DONE(fv_json_parse(answer, strlen(answer), "explain", (size_t)1 << 30, &root));
  const json_t *entry = json_array_get(json_object_get(root, "predictions"), 0);
  FV_TRY_DONE(write_out(rq, answer, entry));
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "method", "attention");
  fv_json_text(&j, "text", json_string_value(json_object_get(entry, "text")));
  fv_json_text(&j, "translation", json_string_value(json_object_get(entry, "translation")));
  if (rq->terminal) sketch(entry, &j);
  fv_json_begin(&j, "maps", '[');
  fv_json_value(&j, NULL, entry);
  fv_json_end(&j, ']');
  fv_json_end(&j, '}');
done:
  fv_string_free(answer);
  json_decref(root);
  return fv_json_give(&j, status, "explain", json);
}
