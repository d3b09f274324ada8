/* SPDX-License-Identifier: Apache-2.0 */
/* term.c: pictures as text. In colour, the upper half block shows two pixels a character: its ink is the upper one, its
 * paper the lower. Escape sequences are repeated only where a colour changes. Without colour, a ramp of characters.
 * Reference: ECMA-48 SGR 38 and 48; the 6x6x6 cube and 24 greys of xterm's 256 colours. */
#include "io/io.h"

#include <stdlib.h>

static bool environment_has(const char *name, const char *value) {
  const char *s = getenv(name);
  return s && (value ? strcmp(s, value) == 0 : *s != 0);
}

fv_term fv_term_detect(int fd) {
  if (!fv_is_terminal(fd) || environment_has("NO_COLOR", NULL) || environment_has("TERM", "dumb")) return FV_TERM_PLAIN;
  bool deep = environment_has("COLORTERM", "truecolor") || environment_has("COLORTERM", "24bit");
  return deep ? FV_TERM_TRUECOLOR : FV_TERM_256;
}

static int square(int v) { return v * v; }

/* The nearest of the cube's colours and the greys. */
static int xterm_colour(const uint8_t *p) {
  static const int level[6] = {0, 95, 135, 175, 215, 255};
  int cube = 16, far_cube = 0;
  for (int c = 0; c < 3; c++) {
    int best = 0;
    for (int i = 1; i < 6; i++)
      if (abs(level[i] - p[c]) < abs(level[best] - p[c])) best = i;
    far_cube += square(level[best] - p[c]);
    cube += best * (c == 0 ? 36 : c == 1 ? 6 : 1);
  }
  int step = FV_MIN(FV_MAX(((p[0] + p[1] + p[2]) / 3 - 3) / 10, 0), 23), far_grey = 0;
  for (int c = 0; c < 3; c++) far_grey += square(8 + 10 * step - p[c]);
  return far_grey < far_cube ? 232 + step : cube;
}

/* `layer` is 38 for ink, 48 for paper. */
static void put_colour(fv_text *out, int layer, const uint8_t *p, fv_term term) {
  if (term == FV_TERM_TRUECOLOR) fv_text_printf(out, "\033[%d;2;%d;%d;%dm", layer, p[0], p[1], p[2]);
  else fv_text_printf(out, "\033[%d;5;%dm", layer, xterm_colour(p));
}

static void put_colour_row(const fv_image *image, int y, fv_term term, fv_text *out) {
  const uint8_t *ink = NULL, *paper = NULL;
  for (int x = 0; x < image->w; x++) {
    const uint8_t *top = image->pixels + ((int64_t)y * image->w + x) * 3;
    const uint8_t *bottom = y + 1 < image->h ? top + (int64_t)image->w * 3 : NULL;
    if (!ink || memcmp(ink, top, 3) != 0) put_colour(out, 38, top, term);
    if (bottom && (!paper || memcmp(paper, bottom, 3) != 0)) put_colour(out, 48, bottom, term);
    ink = top, paper = bottom;
    fv_text_append(out, "\xe2\x96\x80", 3); /* U+2580 */
  }
  fv_text_append(out, "\033[0m\n", 5);
}

static int light(const fv_image *image, int y, int x) {
  const uint8_t *p = image->pixels + ((int64_t)FV_MIN(y, image->h - 1) * image->w + x) * 3;
  return 299 * p[0] + 587 * p[1] + 114 * p[2];
}

static void put_plain_row(const fv_image *image, int y, fv_text *out) {
  static const char ramp[] = " .:-=+*#%@";
  for (int x = 0; x < image->w; x++) {
    int v = (light(image, y, x) + light(image, y + 1, x)) / 2;
    fv_text_append(out, &ramp[(int64_t)v * 10 / 255001], 1);
  }
  fv_text_append(out, "\n", 1);
}

fv_status fv_term_image(const fv_image *image, int columns, fv_term term, fv_text *out) {
  fv_image rgb, small = {0};
  FV_REQUIRE(columns > 0, FV_ERR_REQUEST, "terminal image: expected at least 1 column, got %d", columns);
  FV_TRY(fv_image_convert(image, 3, &rgb));
  if (rgb.w > columns) {
    int h = (int)FV_MAX(((int64_t)rgb.h * columns + rgb.w / 2) / rgb.w, 1);
    fv_status status = fv_image_resize(&rgb, columns, h, &small);
    fv_image_free(&rgb);
    FV_TRY(status);
    rgb = small;
  }
  for (int y = 0; y < rgb.h; y += 2)
    if (term == FV_TERM_PLAIN) put_plain_row(&rgb, y, out);
    else put_colour_row(&rgb, y, term, out);
  fv_image_free(&rgb);
  FV_REQUIRE(!out->failed, FV_ERR_MEMORY, "terminal image: no memory for %d columns", columns);
  return FV_OK;
}

fv_status fv_term_heatmap(const float *map, int h, int w, fv_colormap colormap, int columns, fv_term term,
                          fv_text *out) {
  fv_image image;
  FV_REQUIRE(h > 0 && w > 0 && columns > 0, FV_ERR_REQUEST, "heat map: expected a map and columns, got %dx%d and %d", w,
             h, columns);
  int rows = (int)FV_MIN(FV_MAX((int64_t)h * columns / w, 1), 4 * (int64_t)columns);
  FV_TRY(fv_heatmap_image(map, h, w, term == FV_TERM_PLAIN ? FV_COLORMAP_GREY : colormap, columns, rows, &image));
  fv_status status = fv_term_image(&image, columns, term, out);
  fv_image_free(&image);
  return status;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */
/* Columns a word takes, a character each; wide ones are few enough not to matter to where a line breaks. */
static int columns_of(const char *s, int n) {
  int columns = 0;
  for (int i = 0; i < n; i++) columns += ((unsigned char)s[i] & 0xc0) != 0x80;
  return columns;
}

static void put_word(const fv_marked_word *w, fv_term term, fv_text *out) {
  enum { LEAST = 8 }; /* hundredths: what is less is not marked */
  uint8_t paper[3];
  const bool marked = term != FV_TERM_PLAIN && w->v * 100 >= LEAST;
  if (marked) {
    fv_colormap_rgb(FV_COLORMAP_IRIS, w->v, paper);
    const bool bright = 299 * paper[0] + 587 * paper[1] + 114 * paper[2] > 128000;
    put_colour(out, 48, paper, term);
    put_colour(out, 38, bright ? (const uint8_t[]){0, 0, 0} : (const uint8_t[]){255, 255, 255}, term);
  }
  const bool plain = term == FV_TERM_PLAIN;
  if (w->unknown) fv_text_printf(out, "%s", plain ? "<" : "\033[4m");
  for (int i = 0; i < w->n; i++) fv_text_append(out, (unsigned char)w->s[i] < 32 ? "?" : &w->s[i], 1);
  if (marked || (w->unknown && !plain)) fv_text_append(out, "\033[0m", 4);
  if (plain) fv_text_printf(out, "%s(%.2f)", w->unknown ? ">" : "", w->number);
}

fv_status fv_term_marked(const fv_marked *text, int columns, fv_term term, fv_text *out) {
  int at = 0;
  if (text->caption) fv_text_printf(out, "%s\n", text->caption);
  for (int64_t i = 0; i < text->n; i++) {
    const fv_marked_word *w = &text->word[i];
    int wide = columns_of(w->s, w->n) + (term == FV_TERM_PLAIN ? 6 + 2 * w->unknown : 0), blank = at > 0 && !w->glued;
    if (at > 0 && at + blank + wide > columns) {
      fv_text_append(out, "\n", 1);
      at = blank = 0;
    }
    if (blank) fv_text_append(out, " ", 1);
    put_word(w, term, out);
    at += blank + wide;
  }
  fv_text_append(out, "\n", 1);
  FV_REQUIRE(!out->failed, FV_ERR_MEMORY, "terminal text: no memory for %lld words", (long long)text->n);
  return FV_OK;
}
