/* SPDX-License-Identifier: Apache-2.0 */
/* canvas.h (private to src/io): a drawing surface over cairo, which is loaded when the first canvas opens.
 * The functions used are declared here once, by the list below, so that neither building nor starting needs cairo. */
#ifndef FV_IO_CANVAS_H
#define FV_IO_CANVAS_H

#include "io/io.h"

typedef struct fv_cairo_text_extents { /* cairo_text_extents_t */
  double x_bearing, y_bearing, width, height, x_advance, y_advance;
} fv_cairo_text_extents;

/* X(result, name after "cairo_", arguments); surfaces and contexts are opaque. */
#define FV_CAIRO_FUNCTIONS(X)                                             \
  X(void *, image_surface_create, (int format, int w, int h))             \
  X(unsigned char *, image_surface_get_data, (void *surface))             \
  X(int, image_surface_get_stride, (void *surface))                       \
  X(void, surface_flush, (void *surface))                                 \
  X(void, surface_mark_dirty, (void *surface))                            \
  X(void, surface_destroy, (void *surface))                               \
  X(void *, create, (void *surface))                                      \
  X(void, destroy, (void *cr))                                            \
  X(int, status, (void *cr))                                              \
  X(const char *, status_to_string, (int status))                         \
  X(void, save, (void *cr))                                               \
  X(void, restore, (void *cr))                                            \
  X(void, scale, (void *cr, double x, double y))                          \
  X(void, translate, (void *cr, double x, double y))                      \
  X(void, rotate, (void *cr, double radians))                             \
  X(void, rectangle, (void *cr, double x, double y, double w, double h))  \
  X(void, clip, (void *cr))                                               \
  X(void, move_to, (void *cr, double x, double y))                        \
  X(void, line_to, (void *cr, double x, double y))                        \
  X(void, new_path, (void *cr))                                           \
  X(void, arc, (void *cr, double x, double y, double r, double a, double b)) \
  X(void, stroke, (void *cr))                                             \
  X(void, fill, (void *cr))                                               \
  X(void, set_source_rgb, (void *cr, double r, double g, double b))       \
  X(void, set_source_surface, (void *cr, void *surface, double x, double y)) \
  X(void, paint, (void *cr))                                              \
  X(void, set_line_width, (void *cr, double w))                           \
  X(void, set_line_cap, (void *cr, int cap))                              \
  X(void, set_line_join, (void *cr, int join))                            \
  X(void, set_dash, (void *cr, const double *dashes, int n, double offset)) \
  X(void, select_font_face, (void *cr, const char *family, int slant, int weight)) \
  X(void, set_font_size, (void *cr, double size))                         \
  X(void, text_extents, (void *cr, const char *utf8, fv_cairo_text_extents *extents)) \
  X(void, show_text, (void *cr, const char *utf8))

typedef struct fv_cairo {
#define X(result, name, args) result(*name) args;
  FV_CAIRO_FUNCTIONS(X)
#undef X
} fv_cairo;

typedef struct fv_canvas {
  fv_cairo c;
  void *surface, *cr;
  int w, h; /* pixels */
} fv_canvas;

typedef enum fv_align { FV_ALIGN_LEFT, FV_ALIGN_CENTRE, FV_ALIGN_RIGHT } fv_align;

/* White, w x h points of `scale` pixels. */
fv_status fv_canvas_open(double w, double h, double scale, fv_canvas *canvas);
/* Copies the pixels out; closes in any case. */
fv_status fv_canvas_finish(fv_canvas *canvas, fv_image *out);
void fv_canvas_close(fv_canvas *canvas); /* zero-initialised or closed already is fine */
void fv_canvas_colour(fv_canvas *canvas, uint32_t rgb); /* 0xrrggbb */
void fv_canvas_font(fv_canvas *canvas, double size, bool bold);
double fv_canvas_text_width(fv_canvas *canvas, const char *text);
void fv_canvas_text(fv_canvas *canvas, double x, double y, fv_align align, const char *text); /* y: the base line */
void fv_canvas_line(fv_canvas *canvas, double x0, double y0, double x1, double y1);

#endif
