/* SPDX-License-Identifier: Apache-2.0 */
/* jpeg.c: JPEG through libjpeg(-turbo), from and to memory, with its exact integer transform.
 * Errors come by longjmp as in png.c and are treated the same way. Most warnings are dropped, but data that end early
 * are an error here: libjpeg would make up the missing part. Reference: libjpeg.txt, "Error handling". */
#include "io/io.h"

#include <jpeglib.h> /* after stdio.h, which it needs and does not include */
#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>

#define SCANS 100 /* progressive files have about ten; each one may cost a pass over the whole image */

typedef struct codec {
  struct jpeg_error_mgr errors; /* first: libjpeg hands back a pointer to it */
  struct jpeg_progress_mgr progress;
  jmp_buf jump;
  const char *what;
  fv_image image;
  uint8_t *ink; /* one row of CMYK */
  fv_status status;
  char error[JMSG_LENGTH_MAX];
} codec;

static void note_error(j_common_ptr c) {
  codec *k = (codec *)c->err;
  c->err->format_message(c, k->error);
  longjmp(k->jump, 1);
}

static void note_message(j_common_ptr c, int level) {
  int code = c->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) note_error(c);
}

static void drop_output(j_common_ptr c) { (void)c; }

static void count_scans(j_common_ptr c) {
  codec *k = (codec *)c->err;
  if (!c->is_decompressor || ((j_decompress_ptr)c)->input_scan_number <= SCANS) return;
  snprintf(k->error, sizeof k->error, "more than %d scans", SCANS);
  longjmp(k->jump, 1);
}

static void set_errors(codec *k) {
  jpeg_std_error(&k->errors);
  k->errors.error_exit = note_error;
  k->errors.emit_message = note_message;
  k->errors.output_message = drop_output;
  k->progress.progress_monitor = count_scans;
}

static uint8_t times(int a, int b) { return (uint8_t)((a * b + 127) / 255); }

/* One row of ink to light. Adobe's files, which are nearly all, store ink inverted. */
static void ink_to_rgb(const uint8_t *ink, int w, bool inverted, uint8_t *rgb) {
  int flip = inverted ? 0 : 255;
  for (int x = 0; x < w; x++, ink += 4, rgb += 3)
    for (int c = 0; c < 3; c++) rgb[c] = times(ink[c] ^ flip, ink[3] ^ flip);
}

static fv_status make_room(struct jpeg_decompress_struct *d, codec *k, size_t n) {
  FV_TRY(fv_image_check_size(d->image_width, d->image_height, k->what));
  /* a block of 64 pixels takes a bit at the very least */
  FV_REQUIRE((uint64_t)d->image_width * d->image_height <= 1024 * (uint64_t)n, FV_ERR_CORRUPT,
             "%s: expected the data of %ux%u pixels, got a file of %zu bytes", k->what, d->image_width,
             d->image_height, n);
  bool grey = d->num_components == 1, ink = d->num_components == 4;
  d->out_color_space = grey ? JCS_GRAYSCALE : ink ? JCS_CMYK : JCS_RGB;
  d->dct_method = JDCT_ISLOW;
  FV_TRY(fv_image_new((int)d->image_width, (int)d->image_height, grey ? 1 : 3, &k->image));
  if (ink) FV_TRY(FV_NEW(&k->ink, (size_t)d->image_width * 4));
  return FV_OK;
}

static bool decode(struct jpeg_decompress_struct *d, codec *k, const void *bytes, size_t n) {
  if (setjmp(k->jump)) return false;
  jpeg_create_decompress(d);
  d->progress = &k->progress;
  d->mem->max_memory_to_use = 1 << 30;
  jpeg_mem_src(d, bytes, (unsigned long)n);
  jpeg_read_header(d, TRUE);
  k->status = make_room(d, k, n);
  if (k->status != FV_OK) return true;
  jpeg_start_decompress(d);
  while (d->output_scanline < d->output_height) {
    JSAMPROW row = k->image.pixels + (size_t)d->output_scanline * (size_t)k->image.w * (size_t)k->image.channels;
    JSAMPROW into = k->ink ? k->ink : row;
    jpeg_read_scanlines(d, &into, 1);
    if (k->ink) ink_to_rgb(k->ink, k->image.w, d->saw_Adobe_marker, row);
  }
  jpeg_finish_decompress(d);
  return true;
}

fv_status fv_jpeg_parse(const void *bytes, size_t n, const char *what, fv_image *image) {
  fv_status status = FV_OK;
  struct jpeg_decompress_struct d = {0};
  codec k = {.what = what};
  *image = (fv_image){0};
  set_errors(&k);
  d.err = &k.errors;
  FV_REQUIRE_DONE(decode(&d, &k, bytes, n), FV_ERR_CORRUPT, "%s: expected a JPEG image, got %s", what,
                  fv_show(k.error, strlen(k.error)));
  FV_TRY_DONE(k.status);
  *image = k.image;
  k.image.pixels = NULL;
done:
  jpeg_destroy_decompress(&d);
  fv_free(k.ink);
  fv_image_free(&k.image);
  return status;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */
typedef struct buffer { /* what jpeg_mem_dest fills; of malloc */
  unsigned char *bytes;
  unsigned long n;
} buffer;

static bool encode(struct jpeg_compress_struct *c, codec *k, const fv_image *image, int quality, buffer *b) {
  if (setjmp(k->jump)) return false;
  jpeg_create_compress(c);
  jpeg_mem_dest(c, &b->bytes, &b->n);
  c->image_width = (JDIMENSION)image->w;
  c->image_height = (JDIMENSION)image->h;
  c->input_components = image->channels;
  c->in_color_space = image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(c);
  jpeg_set_quality(c, quality, TRUE);
  c->dct_method = JDCT_ISLOW;
  jpeg_start_compress(c, TRUE);
  while (c->next_scanline < c->image_height) {
    JSAMPROW row = image->pixels + (size_t)c->next_scanline * (size_t)image->w * (size_t)image->channels;
    jpeg_write_scanlines(c, &row, 1);
  }
  jpeg_finish_compress(c);
  return true;
}

fv_status fv_image_encode_jpeg(const fv_image *image, int quality, fv_text *out) {
  fv_status status = FV_OK;
  struct jpeg_compress_struct c = {0};
  codec k = {0};
  buffer b = {0};
  FV_ASSERT(image->channels == 1 || image->channels == 3);
  FV_REQUIRE(quality >= 1 && quality <= 100, FV_ERR_REQUEST, "JPEG: expected a quality from 1 to 100, got %d", quality);
  set_errors(&k);
  c.err = &k.errors;
  FV_REQUIRE_DONE(encode(&c, &k, image, quality, &b), FV_ERR_INTERNAL, "JPEG (%dx%d): %s", image->w, image->h, k.error);
  fv_text_append(out, (const char *)b.bytes, b.n);
  FV_REQUIRE_DONE(!out->failed, FV_ERR_MEMORY, "JPEG: no memory to write %dx%d pixels", image->w, image->h);
done:
  jpeg_destroy_compress(&c);
  free(b.bytes);
  return status;
}
