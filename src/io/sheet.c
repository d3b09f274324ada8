/* SPDX-License-Identifier: Apache-2.0 */
/* sheet.c: a contact sheet: pictures in a grid with captions. All cells are as large as the largest picture; pictures
 * keep their pixels and are centred. Captions too wide for a cell are shortened. */
#include "io/canvas.h"

#define GAP 14
#define CAPTION 22
#define TITLE 40

static void *to_surface(fv_canvas *cv, const fv_image *image) {
  void *s = cv->c.image_surface_create(1, image->w, image->h);
  uint8_t *data = cv->c.image_surface_get_data(s);
  int stride = cv->c.image_surface_get_stride(s), green = image->channels == 3, blue = 2 * green;
  if (!data) return s; /* an error surface: painting it puts the canvas into the same error */
  const uint8_t *p = image->pixels;
  for (int y = 0; y < image->h; y++)
    for (int x = 0; x < image->w; x++, p += image->channels) {
      uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[green] << 8 | p[blue];
      memcpy(data + (int64_t)y * stride + 4 * x, &v, 4);
    }
  cv->c.surface_mark_dirty(s);
  return s;
}

static void put_image(fv_canvas *cv, const fv_image *image, double x, double y) {
  void *s = to_surface(cv, image);
  cv->c.save(cv->cr);
  cv->c.set_source_surface(cv->cr, s, x, y);
  cv->c.rectangle(cv->cr, x, y, image->w, image->h);
  cv->c.fill(cv->cr);
  cv->c.restore(cv->cr);
  cv->c.surface_destroy(s);
}

static void put_caption(fv_canvas *cv, const char *caption, double x, double y, double width) {
  char text[200];
  snprintf(text, sizeof text, "%s", caption);
  for (size_t n = strlen(text); n > 1 && fv_canvas_text_width(cv, text) > width;) {
    do n--;
    while (n > 1 && ((unsigned char)text[n] & 0xc0) == 0x80); /* whole UTF-8 characters */
    snprintf(text + n, sizeof text - n, "%s", n + 4 < sizeof text ? "\xe2\x80\xa6" : "");
  }
  fv_canvas_text(cv, x + width / 2, y, FV_ALIGN_CENTRE, text);
}

fv_status fv_contact_sheet(const char *title, const fv_tile *tiles, int n, int columns, fv_image *out) {
  fv_canvas cv = {0};
  int w = 0, h = 0, caption = 0, top = title ? TITLE : 0;
  *out = (fv_image){0};
  FV_REQUIRE(n > 0 && columns > 0, FV_ERR_REQUEST, "contact sheet: expected tiles and columns, got %d and %d", n,
             columns);
  for (int i = 0; i < n; i++) {
    w = FV_MAX(w, tiles[i].image->w), h = FV_MAX(h, tiles[i].image->h);
    if (tiles[i].caption) caption = CAPTION;
  }
  columns = FV_MIN(columns, n);
  int rows = (n + columns - 1) / columns;
  FV_TRY(fv_canvas_open(GAP + (double)columns * (w + GAP), GAP + top + (double)rows * (h + GAP + caption), 1, &cv));
  if (title) {
    fv_canvas_font(&cv, 18, true);
    fv_canvas_colour(&cv, 0x222222);
    fv_canvas_text(&cv, GAP, GAP + 20, FV_ALIGN_LEFT, title);
  }
  fv_canvas_font(&cv, 12, false);
  for (int i = 0; i < n; i++) {
    const fv_image *image = tiles[i].image;
    double x = GAP + i % columns * (w + GAP), y = GAP + top + (double)(i / columns) * (h + GAP + caption);
    put_image(&cv, image, x + (w - image->w) / 2, y + (h - image->h) / 2);
    fv_canvas_colour(&cv, 0x333333);
    if (tiles[i].caption) put_caption(&cv, tiles[i].caption, x, y + h + 16, w);
  }
  FV_TRY(fv_canvas_finish(&cv, out));
  return FV_OK;
}
