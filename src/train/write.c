/* SPDX-License-Identifier: Apache-2.0 */
/* write.c: what a model that writes answers: one text for each, and where its tokens came from. */
#include "train/generate.h"

#include <math.h>

const fv_option *fv_write_options(void) { return fv_writing_options; }
bool fv_model_writes(const fv_model *m) { return m->recipe->writes; }

/* A model may write half a character, and a token may be no more than that: bytes that are none become U+FFFD. */
static void written_json(fv_json *j, const char *key, const char *s, size_t n) {
  fv_text whole = {0};
  while (n > 0) {
    const size_t good = strnlen(s, fv_utf8_valid(s, n));
    fv_text_append(&whole, s, good);
    if (good < n) fv_text_append(&whole, "\xEF\xBF\xBD", 3);
    s += FV_MIN(good + 1, n);
    n -= FV_MIN(good + 1, n);
  }
  j->text.failed |= whole.failed;
  fv_json_bytes(j, key, whole.n ? whole.s : "", whole.n);
  fv_text_free(&whole);
}

/* One token as text: its bytes, a blank before it shown as one. */
static void token_json(fv_json *j, const char *key, const fv_tokenizer *t, int32_t id) {
  char *text;
  size_t n;
  if (fv_tokenizer_decode(t, &id, 1, true, &text, &n) != FV_OK) return fv_json_text(j, key, "?");
  written_json(j, key, text, n);
  fv_string_free(text);
}

static void tokens_json(fv_json *j, const char *key, const fv_tokenizer *t, const int32_t *id, int64_t n) {
  fv_json_begin(j, key, '[');
  for (int64_t i = 0; i < n; i++) token_json(j, NULL, t, id[i]);
  fv_json_end(j, ']');
}

/* Tokens of the translation, the <eos> there may be among them; it is put behind them. */
static int64_t end_of(const fv_model *m, const fv_written *w, int64_t i) {
  if (!w->ended[i]) return w->length[i];
  w->token[i * w->most + w->length[i]] = fv_tokenizer_special(m->reading.tokenizer[1], FV_SPECIAL_EOS);
  return w->length[i] + 1;
}

/* The source as it was read, up to and with <eos>; *n of `room` at most m's longest. */
static int64_t read_source(const fv_model *m, const fv_question *q, int64_t i, int32_t *room) {
  const int64_t longest = fv_model_longest(m);
  int64_t n = 0;
  memset(room, 0, (size_t)longest * sizeof *room);
  fv_dataset_read_field(q->data, FV_SPLIT_TEST, q->index ? q->index[i] : i, "source", room);
  while (n < longest && room[n]) n++;
  return n;
}

static void ids_json(fv_json *j, const char *key, const int32_t *id, int64_t n) {
  fv_json_begin(j, key, '[');
  for (int64_t i = 0; i < n; i++) fv_json_int(j, NULL, id[i]);
  fv_json_end(j, ']');
}

static void alignment_json(fv_json *j, const fv_written *w, int64_t i, int64_t n, int64_t n_source) {
  fv_json_begin(j, "alignment", '[');
  for (int64_t t = 0; t < n; t++) {
    fv_json_begin(j, NULL, '[');
    for (int64_t s = 0; s < n_source; s++) fv_json_float(j, NULL, w->alignment[(i * w->most + t) * w->read + s]);
    fv_json_end(j, ']');
  }
  fv_json_end(j, ']');
}

static void likeliest_json(fv_json *j, const fv_tokenizer *t, const fv_scored_token *c, int64_t n) {
  fv_json_begin(j, NULL, '[');
  for (int64_t k = 0; k < n; k++) {
    fv_json_begin(j, NULL, '{');
    token_json(j, "token", t, c[k].id);
    fv_json_int(j, "id", c[k].id);
    fv_json_real(j, "probability", exp((double)c[k].log_p));
    fv_json_float(j, "score", c[k].score);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
}

/* Of each token that was given: how likely it was, and what was likeliest in its place. */
static void choices_json(fv_json *j, const fv_model *m, const fv_written *w, int64_t i, int64_t n) {
  const fv_scored_token *first = w->choice + i * w->most * w->choices;
  fv_json_begin(j, "log_probabilities", '[');
  for (int64_t t = 0; t < n; t++) fv_json_float(j, NULL, first[t * w->choices].log_p);
  fv_json_end(j, ']');
  fv_json_begin(j, "top", '[');
  for (int64_t t = 0; t < n; t++)
    likeliest_json(j, m->reading.tokenizer[1], first + t * w->choices + 1, w->choices - 1);
  fv_json_end(j, ']');
}

static fv_status entry_json(const fv_model *m, const fv_question *q, const fv_written *w, int64_t i, bool tokens,
                            int32_t *room, fv_json *j) {
  const fv_bytes source = q->data->text(q->data, FV_SPLIT_TEST, q->index ? q->index[i] : i, 0);
  char *text;
  size_t n;
  FV_TRY(fv_tokenizer_decode(m->reading.tokenizer[1], w->token + i * w->most, w->length[i], false, &text, &n));
  fv_json_begin(j, NULL, '{');
  fv_json_bytes(j, "text", source.s, source.n);
  written_json(j, "translation", text, n);
  fv_string_free(text);
  fv_json_real(j, "score", w->score[i]);
  if (tokens) {
    const int64_t n_source = read_source(m, q, i, room), n_written = end_of(m, w, i);
    tokens_json(j, "source_tokens", m->reading.tokenizer[0], room, n_source);
    tokens_json(j, "tokens", m->reading.tokenizer[1], w->token + i * w->most, n_written);
    ids_json(j, "source_ids", room, n_source);
    ids_json(j, "ids", w->token + i * w->most, n_written);
    if (w->alignment) alignment_json(j, w, i, n_written, n_source);
    if (w->choice) choices_json(j, m, w, i, n_written);
  }
  fv_json_end(j, '}');
  return FV_OK;
}

static fv_status answer_json(const fv_model *m, const fv_predict_request *rq, const fv_question *q,
                             const fv_written *w, fv_json *j) {
  int32_t *room;
  fv_status status = FV_OK;
  FV_TRY(FV_NEW(&room, fv_model_longest(m)));
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "input", rq->input);
  fv_json_begin(j, "predictions", '[');
  for (int64_t i = 0; i < w->n; i++) FV_TRY_DONE(entry_json(m, q, w, i, rq->tokens, room, j));
  fv_json_end(j, ']');
  fv_json_end(j, '}');
done:
  fv_free(room);
  return status;
}

static fv_status set_writing(const fv_predict_request *rq, fv_writing *how) {
  for (int i = 0; i < rq->n_sets; i++)
    FV_TRY(fv_options_set(fv_writing_options, how, "predict", rq->sets[i].key, rq->sets[i].value, NULL));
  return FV_OK;
}

static fv_status writer_for(fv_model *m, const fv_predict_request *rq, int64_t n, fv_writer **w) {
  fv_writing how = fv_model_writing(m);
  how.align = rq->tokens;
  how.given = rq->target;
  how.top = rq->tokens ? rq->top : 0;
  FV_TRY(set_writing(rq, &how));
  return fv_model_writer(m, &how, n == 1, w);
}

fv_status fv_model_write(fv_model *m, const fv_predict_request *rq, char **json) {
  fv_question q = {0};
  fv_writer *w = NULL;
  fv_written out = {0};
  fv_json j = {0};
  fv_status status = FV_OK;
  FV_TRY_DONE(fv_question_read(m, rq->input, rq->target, &q));
  FV_TRY_DONE(writer_for(m, rq, q.n, &w));
  FV_TRY_DONE(fv_written_new(w, q.n, rq->tokens, &out));
  FV_TRY_DONE(fv_writer_run(w, m->slab, q.data, FV_SPLIT_TEST, q.index, true, &out, NULL, NULL));
  FV_TRY_DONE(answer_json(m, rq, &q, &out, &j));
done:
  fv_question_free(&q);
  fv_written_free(&out);
  return fv_json_give(&j, status, "predict", json);
}
