/* SPDX-License-Identifier: Apache-2.0 */
/* plot.c: line charts. Few marks, in the order the eye needs them: light grid, lines, quiet labels; the legend stands
 * above the axes, where no line can run into it. Ticks fall on 1, 2 or 5 times a power of ten (Heckbert, "Nice numbers
 * for graph labels", Graphics Gems 1990), on a logarithmic axis on the same steps within decades. */
#include "io/canvas.h"

#include <math.h>

#define PI 3.14159265358979323846
#define TICKS 32

static const uint32_t palette[] = {0x2b6cb0, 0xdd6b20, 0x2f855a, 0xc53030, 0x805ad5, 0x718096, 0xb7791f, 0x319795};
enum { INK = 0x2d3748, QUIET = 0x5a6575, GRID = 0xe6e9ee, AXIS = 0x9aa5b1 };

typedef struct axis {
  double low, high; /* of the data, or of its logarithm */
  double from, to;  /* where they lie, in points */
  bool log;
  int n;
  double tick[TICKS]; /* values as shown */
  double step;
} axis;

static double axis_at(const axis *a, double v) {
  double t = a->log ? log10(v) : v;
  return a->from + (t - a->low) / (a->high - a->low) * (a->to - a->from);
}

/* ---- ticks ------------------------------------------------------------------------------------------------------- */
static double nice_step(double span, int wanted) {
  double raw = span / wanted, unit = pow(10, floor(log10(raw))), m = raw / unit;
  return unit * (m < 1.5 ? 1 : m < 3 ? 2 : m < 7 ? 5 : 10);
}

static void ticks_linear(axis *a, int wanted) {
  a->step = nice_step(a->high - a->low, wanted);
  double first = ceil(a->low / a->step - 1e-9), last = floor(a->high / a->step + 1e-9);
  for (double k = first; k <= last && a->n < TICKS; k++) a->tick[a->n++] = k == 0 ? 0 : k * a->step; /* no -0 */
}

static void ticks_log(axis *a, int wanted) {
  double decades = a->high - a->low;
  int stride = (int)FV_MAX(ceil(decades / wanted), 1);
  for (int d = (int)floor(a->low); d <= (int)ceil(a->high); d++)
    for (int k = 0; k < 3; k++) {
      double v = (k == 0 ? 1 : k == 1 ? 2 : 5) * pow(10, d), t = log10(v);
      bool wanted_here = k == 0 ? d % stride == 0 : decades < 2.5;
      if (wanted_here && t >= a->low - 1e-9 && t <= a->high + 1e-9 && a->n < TICKS) a->tick[a->n++] = v;
    }
}

static void tick_text(const axis *a, double v, char text[32]) {
  double step = a->log ? fabs(v) : a->step;
  double size = a->log ? step : FV_MAX(fabs(a->low), fabs(a->high)); /* one unit for the whole axis */
  if (v == 0) snprintf(text, 32, "0");
  else if (size >= 1e9 || step < 1e-4) snprintf(text, 32, "%.3g", v);
  else if (size >= 1e6) snprintf(text, 32, "%gM", v / 1e6);
  else if (size >= 1e4) snprintf(text, 32, "%gk", v / 1e3);
  else snprintf(text, 32, "%.*f", step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9), v);
}

/* ---- ranges ------------------------------------------------------------------------------------------------------ */
static bool shown(const fv_panel *p, double x, double y) { return isfinite(x) && isfinite(y) && (!p->log_y || y > 0); }

static void widen(axis *a, double v) {
  double t = a->log ? log10(v) : v;
  a->low = FV_MIN(a->low, t), a->high = FV_MAX(a->high, t);
}

static void settle(axis *a, double margin) {
  if (a->low > a->high) a->low = 0, a->high = 1;
  double span = a->high - a->low, least = 1e-9 * FV_MAX(fabs(a->low), fabs(a->high));
  if (span <= least) {
    double room = a->log ? 0.5 : FV_MAX(fabs(a->low) * 0.1, 0.5);
    a->low -= room, a->high += room;
  } else {
    a->low -= margin * span, a->high += margin * span;
  }
}

static void find_ranges(const fv_panel *p, axis *x, axis *y) {
  *x = (axis){.low = INFINITY, .high = -INFINITY};
  *y = (axis){.low = INFINITY, .high = -INFINITY, .log = p->log_y};
  for (int s = 0; s < p->n_series; s++)
    for (int64_t i = 0; i < p->series[s].n; i++)
      if (shown(p, p->series[s].x[i], p->series[s].y[i])) {
        widen(x, p->series[s].x[i]);
        widen(y, p->series[s].y[i]);
      }
  bool positive = y->low >= 0 && !p->log_y;
  if (p->x_low < p->x_high) x->low = p->x_low, x->high = p->x_high;
  settle(x, 0.015);
  settle(y, 0.06);
  if (positive && y->low < 0) y->low = 0; /* no room below zero for what cannot be negative */
}

/* ---- drawing ----------------------------------------------------------------------------------------------------- */
static void draw_grid(fv_canvas *cv, const axis *x, const axis *y) {
  char text[32];
  fv_canvas_font(cv, 9, false);
  cv->c.set_line_width(cv->cr, 0.8);
  for (int i = 0; i < y->n; i++) {
    double at = axis_at(y, y->tick[i]);
    fv_canvas_colour(cv, GRID);
    fv_canvas_line(cv, x->from, at, x->to, at);
    tick_text(y, y->tick[i], text);
    fv_canvas_colour(cv, QUIET);
    fv_canvas_text(cv, x->from - 6, at + 3.2, FV_ALIGN_RIGHT, text);
  }
  cv->c.set_line_width(cv->cr, 1);
  fv_canvas_colour(cv, AXIS);
  fv_canvas_line(cv, x->from, y->from, x->to, y->from);
  for (int i = 0; i < x->n; i++) {
    double at = axis_at(x, x->tick[i]);
    fv_canvas_colour(cv, AXIS);
    fv_canvas_line(cv, at, y->from, at, y->from + 3.5);
    tick_text(x, x->tick[i], text);
    fv_canvas_colour(cv, QUIET);
    fv_canvas_text(cv, at, y->from + 14.5, FV_ALIGN_CENTRE, text);
  }
}

static void set_stroke(fv_canvas *cv, const fv_series *s, int index) {
  static const double dashes[] = {5, 4};
  fv_canvas_colour(cv, palette[(size_t)index % FV_COUNT(palette)]);
  cv->c.set_line_width(cv->cr, 1.8);
  cv->c.set_dash(cv->cr, dashes, s->dashed ? 2 : 0, 0);
}

static void draw_dot(fv_canvas *cv, double x, double y, double r) {
  cv->c.arc(cv->cr, x, y, r, 0, 2 * PI);
  cv->c.fill(cv->cr);
}

static void draw_series(fv_canvas *cv, const fv_panel *p, int index, const axis *x, const axis *y) {
  const fv_series *s = &p->series[index];
  bool pen_down = false;
  set_stroke(cv, s, index);
  for (int64_t i = 0; i < s->n; i++) {
    if (!shown(p, s->x[i], s->y[i])) {
      pen_down = false;
      continue;
    }
    double px = axis_at(x, s->x[i]), py = axis_at(y, s->y[i]);
    if (pen_down) cv->c.line_to(cv->cr, px, py);
    else cv->c.move_to(cv->cr, px, py);
    pen_down = true;
  }
  cv->c.stroke(cv->cr);
  cv->c.set_dash(cv->cr, NULL, 0, 0);
  for (int64_t i = 0; i < s->n; i++) { /* points that no line reaches are drawn in any case */
    if (!shown(p, s->x[i], s->y[i])) continue;
    bool before = i > 0 && shown(p, s->x[i - 1], s->y[i - 1]);
    bool after = i + 1 < s->n && shown(p, s->x[i + 1], s->y[i + 1]);
    if (s->markers || !(before || after)) draw_dot(cv, axis_at(x, s->x[i]), axis_at(y, s->y[i]), 2.6);
  }
}

/* In rows above the axes; returns the base line of the last row. */
static double draw_legend(fv_canvas *cv, const fv_panel *p, double left, double right, double y) {
  double x = left;
  fv_canvas_font(cv, 9.5, false);
  for (int i = 0; i < p->n_series; i++) {
    const fv_series *s = &p->series[i];
    if (!s->name) continue;
    double width = 24 + fv_canvas_text_width(cv, s->name);
    if (x > left && x + width > right) x = left, y += 14;
    set_stroke(cv, s, i);
    fv_canvas_line(cv, x + 1, y - 3.3, x + 17, y - 3.3);
    cv->c.set_dash(cv->cr, NULL, 0, 0);
    if (s->markers) draw_dot(cv, x + 9, y - 3.3, 2.6);
    fv_canvas_colour(cv, INK);
    fv_canvas_text(cv, x + 23, y, FV_ALIGN_LEFT, s->name);
    x += width + 14;
  }
  return y;
}

static void draw_labels(fv_canvas *cv, const fv_panel *p, const axis *x, const axis *y, double left) {
  fv_canvas_font(cv, 10, false);
  fv_canvas_colour(cv, QUIET);
  if (p->x_label) fv_canvas_text(cv, (x->from + x->to) / 2, y->from + 30, FV_ALIGN_CENTRE, p->x_label);
  if (!p->y_label) return;
  cv->c.save(cv->cr);
  cv->c.translate(cv->cr, left + 12, (y->from + y->to) / 2);
  cv->c.rotate(cv->cr, -PI / 2);
  fv_canvas_text(cv, 0, 0, FV_ALIGN_CENTRE, p->y_label);
  cv->c.restore(cv->cr);
}

static double widest_tick(fv_canvas *cv, const axis *y) {
  char text[32];
  double widest = 0;
  fv_canvas_font(cv, 9, false);
  for (int i = 0; i < y->n; i++) {
    tick_text(y, y->tick[i], text);
    widest = FV_MAX(widest, fv_canvas_text_width(cv, text));
  }
  return widest;
}

static void draw_panel(fv_canvas *cv, const fv_panel *p, double left, double top, double right, double bottom) {
  axis x, y;
  find_ranges(p, &x, &y);
  ticks_linear(&x, (int)FV_MAX((right - left) / 70, 2.0));
  if (p->log_y) ticks_log(&y, 6);
  else ticks_linear(&y, 5);
  x.from = left + (p->y_label ? 22 : 4) + widest_tick(cv, &y) + 8;
  x.to = right - 10;
  y.from = bottom - (p->x_label ? 38 : 22);
  double line = top;
  if (p->title) {
    fv_canvas_font(cv, 11.5, true);
    fv_canvas_colour(cv, INK);
    fv_canvas_text(cv, x.from, line += 14, FV_ALIGN_LEFT, p->title);
  }
  bool named = false;
  for (int i = 0; i < p->n_series; i++) named = named || p->series[i].name;
  if (named) line = draw_legend(cv, p, x.from, x.to, line + 16);
  y.to = line + 10;
  draw_grid(cv, &x, &y);
  cv->c.save(cv->cr);
  cv->c.rectangle(cv->cr, x.from - 3, y.to - 3, x.to - x.from + 6, y.from - y.to + 6);
  cv->c.clip(cv->cr);
  for (int i = 0; i < p->n_series; i++) draw_series(cv, p, i, &x, &y);
  cv->c.restore(cv->cr);
  draw_labels(cv, p, &x, &y, left);
}

fv_status fv_figure_draw(const fv_figure *figure, fv_image *out) {
  fv_canvas cv = {0};
  int n = figure->n_panels;
  *out = (fv_image){0};
  FV_REQUIRE(n > 0, FV_ERR_REQUEST, "figure: expected at least one panel, got %d", n);
  int across = figure->stacked ? 1 : n, down = figure->stacked ? n : 1;
  double w = figure->width > 0 ? figure->width : 480 * across, h = figure->height > 0 ? figure->height : 340 * down;
  double top = 10;
  FV_TRY(fv_canvas_open(w, h, figure->scale > 0 ? figure->scale : 2, &cv));
  if (figure->title) {
    fv_canvas_font(&cv, 14, true);
    fv_canvas_colour(&cv, INK);
    fv_canvas_text(&cv, w / 2, top + 16, FV_ALIGN_CENTRE, figure->title);
    top += 26;
  }
  for (int i = 0; i < n; i++) {
    const int column = i % across, row = i / across;
    const double each = (h - 6 - top) / down;
    draw_panel(&cv, &figure->panels[i], 10 + column * w / across, top + row * each, (column + 1) * w / across - 4,
               top + (row + 1) * each);
  }
  FV_TRY(fv_canvas_finish(&cv, out));
  return FV_OK;
}

fv_status fv_figure_write_png(const char *path, const fv_figure *figure) {
  fv_image image;
  FV_TRY(fv_figure_draw(figure, &image));
  fv_status status = fv_image_write_png(path, &image);
  fv_image_free(&image);
  return status;
}
