/* SPDX-License-Identifier: Apache-2.0 */
/* html.c: one self-contained page: style inside, pictures as base64 PNG, every text escaped. Readable without scripts,
 * on paper and with a dark desktop. A failed append is found once, when the page is written. */
#include "io/io.h"

#include <stdlib.h>

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1f2933;--quiet:#5a6575;--rule:#dfe3e8;--paper:#fff;--band:#f6f7f9}"
    "@media(prefers-color-scheme:dark){"
    ":root{--ink:#e4e7eb;--quiet:#9aa5b1;--rule:#3a4450;--paper:#161b22;--band:#1e252e}}"
    "body{max-width:62rem;margin:2.5rem auto;padding:0 1.25rem;background:var(--paper);color:var(--ink);"
    "font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    "h1{font-size:1.7rem;line-height:1.25;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.2rem 0 .6rem}"
    ".lead{color:var(--quiet);margin:0 0 1.8rem}p{margin:.6rem 0}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.92rem;margin:.8rem 0}"
    "th,td{padding:.35rem .9rem .35rem 0;text-align:left;border-bottom:1px solid var(--rule)}"
    "th{font-weight:600;border-bottom-width:2px}.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".row{display:flex;flex-wrap:wrap;gap:1rem;margin:1rem 0}figure{margin:0}"
    "figure img{display:block;max-width:100%;height:auto;border-radius:4px;image-rendering:auto}"
    "figcaption{color:var(--quiet);font-size:.85rem;margin-top:.35rem}"
    ".words{line-height:2;margin:.2rem 0 1rem}.words span{padding:.12em .18em;border-radius:.25em}";

static void put(fv_text *t, const char *s) { fv_text_append(t, s, strlen(s)); }

static void put_escaped_bytes(fv_text *t, const char *s, size_t n) {
  for (; n > 0; s++, n--) {
    switch (*s) {
      case '&': put(t, "&amp;"); break;
      case '<': put(t, "&lt;"); break;
      case '>': put(t, "&gt;"); break;
      case '"': put(t, "&quot;"); break;
      case '\'': put(t, "&#39;"); break;
      default: fv_text_append(t, s, 1);
    }
  }
}
static void put_escaped(fv_text *t, const char *s) { put_escaped_bytes(t, s, strlen(s)); }

static void put_element(fv_text *t, const char *open, const char *s, const char *close) {
  put(t, open);
  put_escaped(t, s);
  put(t, close);
}

static void end_row(fv_page *p) {
  if (p->row) put(&p->text, "</div>\n");
  p->row = false;
}

void fv_page_begin(fv_page *p, const char *title, const char *lead) {
  put(&p->text, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
  put_element(&p->text, "<title>", title, "</title>\n<style>");
  put(&p->text, style);
  put_element(&p->text, "</style>\n<body>\n<h1>", title, "</h1>\n");
  if (lead) put_element(&p->text, "<p class=\"lead\">", lead, "</p>\n");
}

void fv_page_heading(fv_page *p, const char *text) {
  end_row(p);
  put_element(&p->text, "<h2>", text, "</h2>\n");
}

void fv_page_paragraph(fv_page *p, const char *fmt, ...) {
  char small[256], *s = small;
  va_list args;
  end_row(p);
  va_start(args, fmt);
  int n = vsnprintf(small, sizeof small, fmt, args);
  va_end(args);
  if (n >= (int)sizeof small && (s = fv_alloc((size_t)n + 1))) {
    va_start(args, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, args);
    va_end(args);
  }
  if (!s) p->text.failed = true;
  else put_element(&p->text, "<p>", s, "</p>\n");
  if (s != small) fv_free(s);
}

static bool is_number(const char *s) {
  char *end;
  strtod(s, &end);
  while (*end == '%' || *end == ' ') end++;
  return end != s && *end == 0;
}

/* Every cell below the head is a number or empty, and one is a number. */
static bool is_number_column(const char *const *cells, int64_t rows, int64_t cols, int64_t col) {
  bool found = false;
  for (int64_t r = 1; r < rows; r++) {
    const char *s = cells[r * cols + col];
    if (*s && !is_number(s)) return false;
    found = found || *s;
  }
  return found;
}

void fv_page_table(fv_page *p, const char *const *cells, int64_t rows, int64_t cols) {
  end_row(p);
  put(&p->text, "<div class=\"scroll\"><table>\n");
  for (int64_t r = 0; r < rows; r++) {
    put(&p->text, "<tr>");
    for (int64_t c = 0; c < cols; c++) {
      bool number = is_number_column(cells, rows, cols, c);
      put(&p->text, r == 0 ? number ? "<th class=\"n\">" : "<th>" : number ? "<td class=\"n\">" : "<td>");
      put_element(&p->text, "", cells[r * cols + c], r == 0 ? "</th>" : "</td>");
    }
    put(&p->text, "</tr>\n");
  }
  put(&p->text, "</table></div>\n");
}

static void put_base64(fv_text *t, const uint8_t *p, size_t n) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < n; i += 3) {
    uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0u);
    char four[4] = {digits[v >> 18], digits[v >> 12 & 63], i + 1 < n ? digits[v >> 6 & 63] : '=',
                    i + 2 < n ? digits[v & 63] : '='};
    fv_text_append(t, four, 4);
  }
}

fv_status fv_page_image(fv_page *p, const fv_image *image, int width, const char *caption) {
  fv_text png = {0};
  fv_status status = fv_image_encode_png(image, &png);
  if (status == FV_OK) {
    if (!p->row) put(&p->text, "<div class=\"row\">\n");
    p->row = true;
    put(&p->text, "<figure><img alt=\"");
    put_escaped(&p->text, caption ? caption : "");
    fv_text_printf(&p->text, "\" width=\"%d\" src=\"data:image/png;base64,", width > 0 ? width : image->w);
    put_base64(&p->text, (const uint8_t *)png.s, png.n);
    put(&p->text, "\">");
    if (caption) put_element(&p->text, "<figcaption>", caption, "</figcaption>");
    put(&p->text, "</figure>\n");
  }
  fv_text_free(&png);
  return status;
}

void fv_page_marked(fv_page *p, const fv_marked *text) {
  end_row(p);
  if (text->caption) put_element(&p->text, "<figcaption>", text->caption, "</figcaption>\n");
  put(&p->text, "<p class=\"words\">");
  for (int64_t i = 0; i < text->n; i++) {
    const fv_marked_word *w = &text->word[i];
    fv_text_printf(&p->text, "%s<span title=\"%.4f%s\" style=\"background:rgba(240,150,0,%.3f)%s\">",
                   i > 0 && !w->glued ? " " : "", w->number, w->unknown ? ", not in the vocabulary" : "", w->v,
                   w->unknown ? ";text-decoration:underline dotted" : "");
    put_escaped_bytes(&p->text, w->s, (size_t)w->n);
    put(&p->text, "</span>");
  }
  put(&p->text, "</p>\n");
}

fv_status fv_page_write(fv_page *p, const char *path) {
  end_row(p);
  put(&p->text, "</body>\n</html>\n");
  FV_REQUIRE(!p->text.failed, FV_ERR_MEMORY, "%s: no memory for a page of %zu bytes", path, p->text.n);
  FV_TRY(fv_file_write(path, p->text.s, p->text.n));
  return FV_OK;
}

void fv_page_free(fv_page *p) {
  fv_text_free(&p->text);
  p->row = false;
}
