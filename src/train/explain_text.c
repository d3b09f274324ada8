/* SPDX-License-Identifier: Apache-2.0 */
/* explain_text.c: texts with their words marked by how much they weighed: a picture, the texts of a page, lines in the
 * terminal. Each text is marked relative to its own strongest word. */
#include "train/explain.h"

enum { CAPTION = 160, WIDTH = 720, ALL_METHODS_UP_TO = 4 };

typedef struct marked {
  char caption[CAPTION];
  fv_marked_word *word;
  fv_marked text;
} marked;

static void free_marked(marked *all, int64_t n) {
  for (int64_t i = 0; all && i < n; i++) fv_free(all[i].word);
  fv_free(all);
}

static fv_marked_word word_of(const fv_model *m, const fv_words *w, int64_t k, float weight, double most) {
  const fv_span span = w->span[k];
  fv_marked_word word = {.s = w->s + span.from, .n = span.to - span.from, .number = (double)weight,
                         .glued = k > 0 && w->span[k - 1].to == span.from, .unknown = fv_word_is_unknown(m, w, k)};
  if (most > 0) word.v = FV_MAX((double)weight / most, 0);
  if (word.n == 0) word.s = "<unk>", word.n = 5; /* an empty text is read as that */
  return word;
}

static fv_status mark(const fv_explained *e, int view, int64_t i, marked *out) {
  const fv_words *w = &e->shown->v[i].words;
  const float *map = e->shown->map[view] + i * e->lens->view[view].w;
  const double most = (double)map[fv_map_peak(map, w->n)];
  char caption[96];
  FV_TRY(FV_NEW(&out->word, w->n));
  for (int64_t k = 0; k < w->n; k++) out->word[k] = word_of(e->lens->m, w, k, map[k], most);
  fv_explain_caption(e, i, caption, sizeof caption);
  snprintf(out->caption, sizeof out->caption, "%s, %s", caption, e->lens->view[view].method->name);
  out->text = (fv_marked){out->caption, out->word, w->n};
  return FV_OK;
}

/* A few texts with every method; many with the one asked for. */
fv_status fv_explain_text_sheet(const fv_explained *e, const char *path) {
  const bool every = e->n_shown <= ALL_METHODS_UP_TO;
  const int64_t room = e->n_shown * (every ? e->lens->n_views : 1);
  fv_status status = FV_OK;
  marked *all = NULL;
  fv_marked *texts = NULL;
  fv_image sheet = {0};
  int n = 0;
  FV_TRY_DONE(FV_NEW(&all, room));
  FV_TRY_DONE(FV_NEW(&texts, room));
  for (int64_t i = 0; i < e->n_shown; i++)
    for (int v = 0; v < e->lens->n_views; v++) {
      if (!every && v != e->view) continue;
      FV_TRY_DONE(mark(e, v, i, &all[n]));
      texts[n] = all[n].text;
      n++;
    }
  FV_TRY_DONE(fv_marked_draw(e->n_shown > 1 ? "Which words counted" : NULL, texts, n, WIDTH, &sheet));
  FV_TRY_DONE(fv_image_write_png(path, &sheet));
done:
  free_marked(all, room);
  fv_free(texts);
  fv_image_free(&sheet);
  return status;
}

fv_status fv_explain_text_page(fv_page *p, const fv_explained *e) {
  for (int64_t i = 0; i < e->n_shown; i++) {
    const fv_sight *s = &e->shown->v[i];
    if (s->index >= 0) fv_page_paragraph(p, "Test text %lld", (long long)s->index);
    else fv_page_paragraph(p, "Text %lld", (long long)i + 1);
    for (int v = 0; v < e->lens->n_views; v++) {
      marked one = {0};
      fv_status status = mark(e, v, i, &one);
      if (status == FV_OK) fv_page_marked(p, &one.text);
      fv_free(one.word);
      FV_TRY(status);
    }
  }
  return FV_OK;
}

fv_status fv_explain_text_terminal(const fv_explained *e, int columns, fv_text *out) {
  const fv_term term = fv_term_detect(1);
  for (int64_t i = 0; i < e->n_shown; i++) {
    marked one = {0};
    fv_status status = mark(e, e->view, i, &one);
    if (i) fv_text_append(out, "\n", 1);
    if (status == FV_OK) status = fv_term_marked(&one.text, columns > 0 ? columns : 80, term, out);
    fv_free(one.word);
    FV_TRY(status);
  }
  return FV_OK;
}
