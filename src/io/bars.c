/* SPDX-License-Identifier: Apache-2.0 */
/* bars.c: numbers of either sign as bars beside their names, as a picture and in a terminal. */
#include "io/canvas.h"

#include <math.h>

enum { LINE = 22, GAP = 10, TITLE = 34, FONT = 13, BARS = 320, NUMBER = 64, MOST = 1000 };
static const uint32_t colours[FV_BAR_COLOURS] = {0x3b6fb6, 0xc4543f, 0x8a8f98};

/* From the lowest to the highest, zero among them. */
static void range_of(const fv_bars *b, double *low, double *high) {
  *low = *high = 0;
  for (int64_t i = 0; i < b->n; i++) {
    *low = fmin(*low, b->bar[i].value);
    *high = fmax(*high, b->bar[i].value);
  }
  if (*high - *low <= 0) *high = 1;
}

static fv_status widest(const fv_bars *b, double *w) {
  fv_canvas cv = {0};
  *w = 0;
  FV_TRY(fv_canvas_open(8, 8, 1, &cv));
  fv_canvas_font(&cv, FONT, false);
  for (int64_t i = 0; i < b->n; i++) *w = fmax(*w, fv_canvas_text_width(&cv, b->bar[i].name));
  fv_canvas_font(&cv, FONT + 2, true);
  if (b->title) *w = fmax(*w, fv_canvas_text_width(&cv, b->title) - BARS - NUMBER);
  fv_canvas_close(&cv);
  return FV_OK;
}

static void put_bar(fv_canvas *cv, const fv_bar *bar, double left, double y, double low, double high) {
  char number[32];
  const double unit = BARS / (high - low), zero = left - low * unit, length = bar->value * unit;
  fv_canvas_colour(cv, 0x222222);
  fv_canvas_text(cv, left - GAP, y + LINE / 2.0 + FONT / 3.0, FV_ALIGN_RIGHT, bar->name);
  snprintf(number, sizeof number, "%.3g", bar->value);
  fv_canvas_text(cv, left + BARS + GAP, y + LINE / 2.0 + FONT / 3.0, FV_ALIGN_LEFT, number);
  fv_canvas_colour(cv, colours[bar->colour]);
  cv->c.rectangle(cv->cr, fmin(zero, zero + length), y + 3, fabs(length), LINE - 6);
  cv->c.fill(cv->cr);
}

fv_status fv_bars_picture(const fv_bars *b, fv_image *out) {
  fv_canvas cv = {0};
  double names, low, high;
  *out = (fv_image){0};
  FV_REQUIRE(b->n >= 0 && b->n <= MOST, FV_ERR_REQUEST, "bars: expected at most %d, got %lld", MOST, (long long)b->n);
  FV_TRY(widest(b, &names));
  range_of(b, &low, &high);
  const double left = GAP + names + GAP, top = b->title ? TITLE : GAP;
  FV_TRY(fv_canvas_open(left + BARS + GAP + NUMBER, top + (double)b->n * LINE + GAP, 2, &cv));
  fv_canvas_font(&cv, FONT, false);
  for (int64_t i = 0; i < b->n; i++) put_bar(&cv, &b->bar[i], left, top + (double)i * LINE, low, high);
  fv_canvas_colour(&cv, 0x222222);
  fv_canvas_line(&cv, left - low * BARS / (high - low), top, left - low * BARS / (high - low),
                 top + (double)b->n * LINE);
  fv_canvas_font(&cv, FONT + 2, true);
  if (b->title) fv_canvas_text(&cv, GAP, TITLE - GAP, FV_ALIGN_LEFT, b->title);
  return fv_canvas_finish(&cv, out);
}

fv_status fv_term_bars(const fv_bars *b, int columns, fv_text *out) {
  double low, high;
  size_t names = 0;
  range_of(b, &low, &high);
  for (int64_t i = 0; i < b->n; i++) names = FV_MAX(names, strlen(b->bar[i].name));
  names = FV_MIN(names, (size_t)FV_MAX(columns / 2, 8));
  const int room = FV_MAX(columns - (int)names - 13, 8);
  if (b->title) fv_text_printf(out, "%s\n", b->title);
  for (int64_t i = 0; i < b->n; i++) {
    const int length = (int)lround(fabs(b->bar[i].value) / fmax(high, -low) * room);
    fv_text_printf(out, "%-*.*s %9.4f ", (int)names, (int)names, b->bar[i].name, b->bar[i].value);
    for (int k = 0; k < length; k++) fv_text_append(out, b->bar[i].value < 0 ? "-" : "#", 1);
    fv_text_append(out, "\n", 1);
  }
  return out->failed ? FV_FAIL(FV_ERR_MEMORY, "bars: no memory") : FV_OK;
}
