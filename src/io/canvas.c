/* SPDX-License-Identifier: Apache-2.0 */
/* canvas.c: opens cairo on demand, and the few drawing steps that charts and contact sheets share. Texts that are not
 * UTF-8 would put cairo into an error state for good, so each is checked first and its bad bytes shown as '?'. */
#include "io/canvas.h"

#include <assert.h>
#include <math.h>

enum { CAIRO_FORMAT_RGB24 = 1, CAIRO_ROUND = 1 };

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#endif
#ifdef WITH_ASAN
/* fontconfig, which cairo calls for text, keeps patterns until the process ends; leaks of our own still count. */
FV_API const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libfontconfig\n"; }
FV_API const char *__lsan_default_options(void);
const char *__lsan_default_options(void) { return "print_suppressions=0"; } /* standard error is for errors */
#endif

static fv_status load_cairo(fv_cairo *c) {
  static const char *const names[] = {
#define X(result, name, args) "cairo_" #name,
      FV_CAIRO_FUNCTIONS(X)
#undef X
      NULL};
  void *found[FV_COUNT(names) - 1];
  FV_TRY(fv_library_load("libcairo.so.2", "libcairo2", names, found));
  static_assert(sizeof *c == sizeof found, "one pointer a function");
  memcpy(c, found, sizeof found);
  return FV_OK;
}

fv_status fv_canvas_open(double w, double h, double scale, fv_canvas *canvas) {
  *canvas = (fv_canvas){.w = (int)ceil(w * scale), .h = (int)ceil(h * scale)};
  FV_TRY(fv_image_check_size(canvas->w, canvas->h, "canvas"));
  FV_TRY(load_cairo(&canvas->c));
  canvas->surface = canvas->c.image_surface_create(CAIRO_FORMAT_RGB24, canvas->w, canvas->h);
  canvas->cr = canvas->c.create(canvas->surface);
  fv_cairo *c = &canvas->c;
  c->set_source_rgb(canvas->cr, 1, 1, 1);
  c->paint(canvas->cr);
  c->scale(canvas->cr, scale, scale);
  c->set_line_cap(canvas->cr, CAIRO_ROUND);
  c->set_line_join(canvas->cr, CAIRO_ROUND);
  return FV_OK;
}

void fv_canvas_close(fv_canvas *canvas) {
  if (canvas->cr) canvas->c.destroy(canvas->cr);
  if (canvas->surface) canvas->c.surface_destroy(canvas->surface);
  canvas->cr = canvas->surface = NULL;
}

fv_status fv_canvas_finish(fv_canvas *canvas, fv_image *out) {
  fv_status status = FV_OK;
  fv_cairo *c = &canvas->c;
  int code = c->status(canvas->cr);
  *out = (fv_image){0};
  FV_REQUIRE_DONE(code == 0, FV_ERR_MEMORY, "canvas (%dx%d): %s", canvas->w, canvas->h, c->status_to_string(code));
  FV_TRY_DONE(fv_image_new(canvas->w, canvas->h, 3, out));
  c->surface_flush(canvas->surface);
  const uint8_t *data = c->image_surface_get_data(canvas->surface);
  int stride = c->image_surface_get_stride(canvas->surface);
  uint8_t *q = out->pixels;
  for (int y = 0; y < canvas->h; y++)
    for (int x = 0; x < canvas->w; x++, q += 3) {
      uint32_t v;
      memcpy(&v, data + (int64_t)y * stride + 4 * x, 4);
      q[0] = (uint8_t)(v >> 16), q[1] = (uint8_t)(v >> 8), q[2] = (uint8_t)v;
    }
done:
  fv_canvas_close(canvas);
  return status;
}

void fv_canvas_colour(fv_canvas *canvas, uint32_t rgb) {
  canvas->c.set_source_rgb(canvas->cr, (rgb >> 16) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0);
}

void fv_canvas_font(fv_canvas *canvas, double size, bool bold) {
  canvas->c.select_font_face(canvas->cr, "sans-serif", 0, bold);
  canvas->c.set_font_size(canvas->cr, size);
}

/* The length of the UTF-8 character at s, 0 when it is none (Unicode 15, table 3-7). */
static int character_length(const unsigned char *s) {
  if (s[0] < 0x80) return 1;
  int n = s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
  for (int i = 1; i < n; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
  if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
  return n;
}

static const char *clean(const char *text, char *out, size_t size) {
  const unsigned char *s = (const unsigned char *)text;
  size_t at = 0;
  while (*s && at + 5 < size) {
    int n = character_length(s);
    if (n == 0 || *s < 32) out[at++] = '?', s++;
    else
      for (; n > 0; n--) out[at++] = (char)*s++;
  }
  out[at] = 0;
  return out;
}

double fv_canvas_text_width(fv_canvas *canvas, const char *text) {
  char buf[256];
  fv_cairo_text_extents e;
  canvas->c.text_extents(canvas->cr, clean(text, buf, sizeof buf), &e);
  return e.x_advance;
}

void fv_canvas_text(fv_canvas *canvas, double x, double y, fv_align align, const char *text) {
  char buf[256];
  double w = align == FV_ALIGN_LEFT ? 0 : fv_canvas_text_width(canvas, text);
  canvas->c.move_to(canvas->cr, x - (align == FV_ALIGN_CENTRE ? w / 2 : w), y);
  canvas->c.show_text(canvas->cr, clean(text, buf, sizeof buf));
  canvas->c.new_path(canvas->cr);
}

void fv_canvas_line(fv_canvas *canvas, double x0, double y0, double x1, double y1) {
  canvas->c.move_to(canvas->cr, x0, y0);
  canvas->c.line_to(canvas->cr, x1, y1);
  canvas->c.stroke(canvas->cr);
}
