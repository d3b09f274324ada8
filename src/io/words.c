/* SPDX-License-Identifier: Apache-2.0 */
/* words.c: texts as pictures, each word on a box whose colour says how much it weighed. Laid out twice by the same
 * code: on a canvas of one point to learn the height, then on one of that height. */
#include "io/canvas.h"

#define EDGE 18
#define LINE 28
#define CAPTION 20
#define BETWEEN 14
#define BLANK 5
#define INSIDE 3

typedef struct pen {
  fv_canvas *cv;
  bool draws;
  double x, y, right;
} pen;

/* From white to amber. */
static uint32_t shade_of(double v) {
  static const int full[3] = {245, 158, 11};
  uint32_t rgb = 0;
  v = v > 0 ? FV_MIN(v, 1.0) : 0;
  for (int c = 0; c < 3; c++) rgb = rgb << 8 | (uint32_t)(255 + (full[c] - 255) * v + 0.5);
  return rgb;
}

static void put_word(pen *p, const fv_marked_word *w) {
  char text[200];
  snprintf(text, sizeof text, "%.*s", w->n, w->s);
  const double wide = fv_canvas_text_width(p->cv, text) + 2 * INSIDE;
  if (p->x > EDGE && p->x + wide > p->right) p->x = EDGE, p->y += LINE;
  if (p->draws) {
    fv_canvas_colour(p->cv, shade_of(w->v));
    p->cv->c.rectangle(p->cv->cr, p->x, p->y + 3, wide, LINE - 6);
    p->cv->c.fill(p->cv->cr);
    fv_canvas_colour(p->cv, 0x222222);
    fv_canvas_text(p->cv, p->x + INSIDE, p->y + LINE - 9, FV_ALIGN_LEFT, text);
    if (w->unknown) {
      p->cv->c.rectangle(p->cv->cr, p->x + INSIDE, p->y + LINE - 6, wide - 2 * INSIDE, 1);
      p->cv->c.fill(p->cv->cr);
    }
  }
  p->x += wide;
}

static void put_text(pen *p, const fv_marked *text) {
  if (text->caption) {
    fv_canvas_font(p->cv, 12, false);
    fv_canvas_colour(p->cv, 0x666666);
    if (p->draws) fv_canvas_text(p->cv, EDGE, p->y + CAPTION - 6, FV_ALIGN_LEFT, text->caption);
    p->y += CAPTION;
  }
  fv_canvas_font(p->cv, 15, false);
  p->x = EDGE;
  for (int64_t i = 0; i < text->n; i++) {
    if (i > 0 && !text->word[i].glued) p->x += BLANK;
    put_word(p, &text->word[i]);
  }
  p->y += LINE + BETWEEN;
}

static double lay_out(fv_canvas *cv, bool draws, const char *title, const fv_marked *texts, int n, int width) {
  pen p = {.cv = cv, .draws = draws, .y = EDGE, .right = width - EDGE};
  if (title) {
    fv_canvas_font(cv, 18, true);
    fv_canvas_colour(cv, 0x222222);
    if (draws) fv_canvas_text(cv, EDGE, p.y + 18, FV_ALIGN_LEFT, title);
    p.y += 40;
  }
  for (int i = 0; i < n; i++) put_text(&p, &texts[i]);
  return p.y - BETWEEN + EDGE;
}

fv_status fv_marked_draw(const char *title, const fv_marked *texts, int n, int width, fv_image *out) {
  enum { SCALE = 2 };
  fv_canvas cv = {0};
  *out = (fv_image){0};
  FV_REQUIRE(n > 0 && width > 4 * EDGE, FV_ERR_REQUEST, "words: expected texts and a width, got %d and %d", n, width);
  FV_TRY(fv_canvas_open(1, 1, SCALE, &cv));
  const double height = lay_out(&cv, false, title, texts, n, width);
  fv_canvas_close(&cv);
  FV_TRY(fv_canvas_open(width, height, SCALE, &cv));
  lay_out(&cv, true, title, texts, n, width);
  return fv_canvas_finish(&cv, out);
}
