/* SPDX-License-Identifier: Apache-2.0 */
/* squares.c: a matrix as a picture with words at its sides: which word of a translation looked at which of its
 * source. */
#include "io/canvas.h"

#include <math.h>

enum { CELL = 26, GAP = 10, TITLE = 34, FONT = 14, MOST = 400 };

static double widest(fv_canvas *cv, const char *const *texts, int n) {
  double w = 0;
  for (int i = 0; i < n; i++) w = fmax(w, fv_canvas_text_width(cv, texts[i]));
  return w;
}

/* Measuring needs a canvas, and a canvas its size. */
static fv_status measure(const fv_squares *m, double *left, double *top) {
  fv_canvas cv = {0};
  FV_TRY(fv_canvas_open(8, 8, 1, &cv));
  fv_canvas_font(&cv, FONT, false);
  *left = GAP + widest(&cv, m->row, m->rows) + GAP;
  *top = (m->title ? TITLE : GAP) + widest(&cv, m->column, m->columns) + GAP;
  fv_canvas_close(&cv);
  return FV_OK;
}

static void put_cells(fv_canvas *cv, const fv_squares *m, double left, double top) {
  float most = 0;
  for (int i = 0; i < m->rows * m->columns; i++) most = FV_MAX(most, m->v[i]);
  for (int y = 0; y < m->rows; y++)
    for (int x = 0; x < m->columns; x++) {
      const float share = most > 0 ? FV_MAX(m->v[y * m->columns + x], 0.0f) / most : 0;
      const uint32_t grey = (uint32_t)lrintf(247 * (1 - sqrtf(share)));
      fv_canvas_colour(cv, grey << 16 | grey << 8 | FV_MIN(grey + 8, 255u));
      cv->c.rectangle(cv->cr, left + x * CELL, top + y * CELL, CELL - 1, CELL - 1);
      cv->c.fill(cv->cr);
    }
}

static void put_words(fv_canvas *cv, const fv_squares *m, double left, double top) {
  fv_canvas_colour(cv, 0x222222);
  fv_canvas_font(cv, FONT, false);
  for (int y = 0; y < m->rows; y++)
    fv_canvas_text(cv, left - GAP, top + y * CELL + CELL / 2.0 + FONT / 3.0, FV_ALIGN_RIGHT, m->row[y]);
  for (int x = 0; x < m->columns; x++) {
    cv->c.save(cv->cr);
    cv->c.translate(cv->cr, left + x * CELL + CELL / 2.0 + FONT / 3.0, top - GAP);
    cv->c.rotate(cv->cr, -acos(0));
    fv_canvas_text(cv, 0, 0, FV_ALIGN_LEFT, m->column[x]);
    cv->c.restore(cv->cr);
  }
}

fv_status fv_squares_picture(const fv_squares *m, fv_image *out) {
  fv_canvas cv = {0};
  double left, top;
  *out = (fv_image){0};
  FV_REQUIRE(m->rows > 0 && m->columns > 0 && m->rows <= MOST && m->columns <= MOST, FV_ERR_REQUEST,
             "squares: expected 1 to %d rows and columns, got %d and %d", MOST, m->rows, m->columns);
  FV_TRY(measure(m, &left, &top));
  FV_TRY(fv_canvas_open(left + m->columns * CELL + GAP, top + m->rows * CELL + GAP, 2, &cv));
  put_cells(&cv, m, left, top);
  put_words(&cv, m, left, top);
  if (m->title) {
    fv_canvas_font(&cv, FONT + 2, true);
    fv_canvas_text(&cv, GAP, TITLE - GAP, FV_ALIGN_LEFT, m->title);
  }
  return fv_canvas_finish(&cv, out);
}
