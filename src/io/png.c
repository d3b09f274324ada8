/* SPDX-License-Identifier: Apache-2.0 */
/* png.c: PNG through libpng, from and to memory.
 * libpng reports errors by longjmp: each setjmp stands in a small function whose state lives in a struct of its caller,
 * so no local is clobbered and everything is freed in one place, the caller. Warnings are dropped.
 * Reference: libpng manual, sections III and IV. */
#include "io/io.h"

#include <png.h>

typedef struct reader {
  const char *what;
  const uint8_t *p;
  size_t left, total;
  png_structp png;
  png_infop info;
  fv_image raw; /* 1 to 4 channels */
  png_bytep *rows;
  fv_status status; /* an error of ours found between calls of libpng */
  char error[96];
} reader;

static void note_error(png_structp png, png_const_charp text) {
  reader *r = png_get_error_ptr(png);
  snprintf(r->error, sizeof r->error, "%s", text);
  png_longjmp(png, 1);
}

static void drop_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static void give_bytes(png_structp png, png_bytep out, size_t n) {
  reader *r = png_get_io_ptr(png);
  if (n > r->left) png_error(png, "the end of the file");
  memcpy(out, r->p, n);
  r->p += n, r->left -= n;
}

/* Deflate packs at most 1032 to 1: a header that claims more pixels than that is lying; no memory is spent on it. */
static fv_status make_room(reader *r) {
  png_uint_32 w = png_get_image_width(r->png, r->info), h = png_get_image_height(r->png, r->info);
  int depth = png_get_bit_depth(r->png, r->info) * png_get_channels(r->png, r->info);
  FV_TRY(fv_image_check_size(w, h, r->what));
  FV_REQUIRE((uint64_t)w * h * (unsigned)depth / 8 <= 1032 * (uint64_t)r->total, FV_ERR_CORRUPT,
             "%s: expected the data of %ux%u pixels, got a file of %zu bytes", r->what, w, h, r->total);
  png_set_expand(r->png);
  png_set_scale_16(r->png);
  png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
  FV_TRY(fv_image_new((int)w, (int)h, png_get_channels(r->png, r->info), &r->raw));
  FV_TRY(FV_NEW(&r->rows, h));
  for (png_uint_32 y = 0; y < h; y++) r->rows[y] = r->raw.pixels + (size_t)y * w * (size_t)r->raw.channels;
  return FV_OK;
}

/* false when libpng found an error; r->status tells of ours. */
static bool decode(reader *r) {
  if (setjmp(png_jmpbuf(r->png))) return false;
  png_set_read_fn(r->png, r, give_bytes);
  png_set_user_limits(r->png, FV_IMAGE_SIDE, FV_IMAGE_SIDE);
  png_set_chunk_cache_max(r->png, 64);
  png_set_chunk_malloc_max(r->png, 8 << 20);
  png_read_info(r->png, r->info);
  r->status = make_room(r);
  if (r->status != FV_OK) return true;
  png_read_image(r->png, r->rows);
  png_read_end(r->png, NULL);
  return true;
}

/* Lays pixels with alpha (2 or 4 channels) on white, closing up in place. */
static void flatten(fv_image *image) {
  int colours = image->channels - 1;
  if (colours != 1 && colours != 3) return;
  const uint8_t *in = image->pixels;
  uint8_t *out = image->pixels;
  for (int64_t i = 0; i < (int64_t)image->w * image->h; i++, in += colours + 1, out += colours) {
    int alpha = in[colours];
    for (int c = 0; c < colours; c++) out[c] = (uint8_t)((in[c] * alpha + 255 * (255 - alpha) + 127) / 255);
  }
  image->channels = colours;
}

fv_status fv_png_parse(const void *bytes, size_t n, const char *what, fv_image *image) {
  fv_status status = FV_OK;
  reader r = {.what = what, .p = bytes, .left = n, .total = n};
  *image = (fv_image){0};
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, note_error, drop_warning);
  if (r.png) r.info = png_create_info_struct(r.png);
  FV_REQUIRE_DONE(r.info, FV_ERR_MEMORY, "%s: no memory to read a PNG", what);
  FV_REQUIRE_DONE(decode(&r), FV_ERR_CORRUPT, "%s: expected a PNG image, got %s", what,
                  fv_show(r.error, strlen(r.error)));
  FV_TRY_DONE(r.status);
  flatten(&r.raw);
  *image = r.raw;
  r.raw.pixels = NULL;
done:
  png_destroy_read_struct(&r.png, &r.info, NULL);
  fv_free(r.rows);
  fv_image_free(&r.raw);
  return status;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */
static void take_bytes(png_structp png, png_bytep bytes, size_t n) {
  fv_text_append(png_get_io_ptr(png), (const char *)bytes, n);
}

static void flush_nothing(png_structp png) { (void)png; }

static bool encode(png_structp png, png_infop info, const fv_image *image, fv_text *out) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_write_fn(png, out, take_bytes, flush_nothing);
  png_set_IHDR(png, info, (png_uint_32)image->w, (png_uint_32)image->h, 8,
               image->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (int y = 0; y < image->h; y++) png_write_row(png, image->pixels + (int64_t)y * image->w * image->channels);
  png_write_end(png, NULL);
  return true;
}

fv_status fv_image_encode_png(const fv_image *image, fv_text *out) {
  fv_status status = FV_OK;
  reader r = {0}; /* only for its place to note errors */
  FV_ASSERT(image->channels == 1 || image->channels == 3);
  r.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &r, note_error, drop_warning);
  if (r.png) r.info = png_create_info_struct(r.png);
  FV_REQUIRE_DONE(r.info, FV_ERR_MEMORY, "PNG: no memory to write %dx%d pixels", image->w, image->h);
  FV_REQUIRE_DONE(encode(r.png, r.info, image, out), FV_ERR_INTERNAL, "PNG (%dx%d): %s", image->w, image->h, r.error);
  FV_REQUIRE_DONE(!out->failed, FV_ERR_MEMORY, "PNG: no memory to write %dx%d pixels", image->w, image->h);
done:
  png_destroy_write_struct(&r.png, &r.info);
  return status;
}
