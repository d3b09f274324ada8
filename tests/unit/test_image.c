/* SPDX-License-Identifier: Apache-2.0 */
/* test_image.c: pictures. PNG files of every colour type are made here with libpng itself and must decode to the values
 * put in; files cut short anywhere must be refused; resizing and colour follow their definitions. */
#include "test_io.h"

#include <math.h>
#include <png.h>

/* ---- making PNGs ------------------------------------------------------------------------------------------------- */
typedef struct recipe {
  int type, depth, interlace, w, h;
  const uint8_t *rows; /* h rows as libpng takes them */
  size_t stride;
  png_colorp palette;
  int colours;
} recipe;

static void collect(png_structp png, png_bytep bytes, size_t n) {
  fv_text_append(png_get_io_ptr(png), (const char *)bytes, n);
}

static void make_png(const recipe *r, fv_text *out) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  const uint8_t *rows[16];
  if (setjmp(png_jmpbuf(png))) fail();
  png_set_write_fn(png, out, collect, NULL);
  png_set_IHDR(png, info, (png_uint_32)r->w, (png_uint_32)r->h, r->depth, r->type, r->interlace, 0, 0);
  if (r->palette) png_set_PLTE(png, info, r->palette, r->colours);
  for (int y = 0; y < r->h; y++) rows[y] = r->rows + (size_t)y * r->stride;
  png_set_rows(png, info, (png_bytepp)(uintptr_t)rows);
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
  png_destroy_write_struct(&png, &info);
}

static void check_png(const recipe *r, int channels, const uint8_t *expected) {
  fv_text png = {0};
  fv_image image;
  make_png(r, &png);
  OK(fv_image_parse(png.s, png.n, "f", 0, &image));
  assert_int_equal(image.w, r->w);
  assert_int_equal(image.h, r->h);
  assert_int_equal(image.channels, channels);
  assert_memory_equal(image.pixels, expected, (size_t)(image.w * image.h * channels));
  fv_image_free(&image);
  for (size_t n = 0; n < png.n; n++) assert_int_equal(fv_image_parse(png.s, n, "f", 0, &image), FV_ERR_CORRUPT);
  fv_text_free(&png);
}

static void test_png_types(void **state) {
  (void)state;
  png_color palette[2] = {{10, 20, 30}, {200, 100, 50}};
  check_png(&(recipe){PNG_COLOR_TYPE_GRAY, 8, 0, 2, 2, (const uint8_t *)"\x01\x02\xfe\xff", 2, NULL, 0}, 1,
            (const uint8_t *)"\x01\x02\xfe\xff");
  check_png(&(recipe){PNG_COLOR_TYPE_GRAY, 1, 0, 3, 1, (const uint8_t *)"\xa0", 1, NULL, 0}, 1,
            (const uint8_t *)"\xff\x00\xff");
  check_png(&(recipe){PNG_COLOR_TYPE_GRAY, 16, 0, 2, 1, (const uint8_t *)"\xff\xff\x80\x80", 4, NULL, 0}, 1,
            (const uint8_t *)"\xff\x80");
  check_png(&(recipe){PNG_COLOR_TYPE_RGB, 8, 1, 2, 1, (const uint8_t *)"\x01\x02\x03\x04\x05\x06", 6, NULL, 0}, 3,
            (const uint8_t *)"\x01\x02\x03\x04\x05\x06");
  check_png(&(recipe){PNG_COLOR_TYPE_PALETTE, 1, 0, 2, 1, (const uint8_t *)"\x40", 1, palette, 2}, 3,
            (const uint8_t *)"\x0a\x14\x1e\xc8\x64\x32");
  /* alpha: clear is white, full is itself, half is halfway */
  check_png(&(recipe){PNG_COLOR_TYPE_GRAY_ALPHA, 8, 0, 3, 1, (const uint8_t *)"\x07\x00\x07\xff\x00\x80", 6, NULL, 0},
            1, (const uint8_t *)"\xff\x07\x7f");
  check_png(&(recipe){PNG_COLOR_TYPE_RGB_ALPHA, 8, 0, 2, 1, (const uint8_t *)"\x01\x02\x03\x00\x01\x02\x03\xff", 8,
                      NULL, 0}, 3, (const uint8_t *)"\xff\xff\xff\x01\x02\x03");
}

static void fill(fv_image *image) {
  for (int i = 0; i < image->w * image->h * image->channels; i++) image->pixels[i] = (uint8_t)(i * 37 + i / 11);
}

static void test_png_round(void **state) {
  (void)state;
  for (int channels = 1; channels <= 3; channels += 2) {
    fv_image a, b;
    OK(fv_image_new(13, 7, channels, &a));
    fill(&a);
    OK(fv_image_write_png(in_scratch("a.png"), &a));
    OK(fv_image_read(in_scratch("a.png"), 0, &b));
    assert_int_equal(b.channels, channels);
    assert_memory_equal(a.pixels, b.pixels, (size_t)(13 * 7 * channels));
    fv_image_free(&a);
    fv_image_free(&b);
  }
}

/* A header that promises 32,768 x 8,192 pixels with nothing behind it: refused without taking the memory. */
static void test_png_lies(void **state) {
  (void)state;
  fv_text png = {0};
  fv_image image;
  make_png(&(recipe){PNG_COLOR_TYPE_GRAY, 8, 0, 1, 1, (const uint8_t *)"\x01", 1, NULL, 0}, &png);
  uint8_t *ihdr = (uint8_t *)png.s + 16;
  ihdr[2] = 0x80, ihdr[3] = 0, ihdr[6] = 0x20, ihdr[7] = 0;
  uint32_t crc = (uint32_t)crc32(0, ihdr - 4, 17);
  for (int i = 0; i < 4; i++) ihdr[13 + i] = (uint8_t)(crc >> (24 - 8 * i));
  int64_t peak = fv_memory_get_stats().peak_bytes;
  FAILS(FV_ERR_CORRUPT, "32768x8192", fv_image_parse(png.s, png.n, "f", 0, &image));
  assert_int_equal(fv_memory_get_stats().peak_bytes, peak);
  ihdr[13] ^= 1;
  FAILS(FV_ERR_CORRUPT, "CRC", fv_image_parse(png.s, png.n, "f", 0, &image));
  fv_text_free(&png);
  FAILS(FV_ERR_CORRUPT, "expected a PNG or JPEG", fv_image_parse("GIF89a", 6, "f", 0, &image));
  FAILS(FV_ERR_NOTFOUND, "nothing.png", fv_image_read(in_scratch("nothing.png"), 0, &image));
}

static void test_jpeg(void **state) {
  (void)state;
  fv_image a, b;
  fv_text jpeg = {0};
  OK(fv_image_new(40, 24, 3, &a));
  for (int i = 0; i < 40 * 24; i++) {
    uint8_t *p = a.pixels + 3 * i;
    p[0] = (uint8_t)(i % 40 * 6), p[1] = (uint8_t)(i / 40 * 10), p[2] = 90;
  }
  OK(fv_image_encode_jpeg(&a, 95, &jpeg));
  OK(fv_image_parse(jpeg.s, jpeg.n, "f", 0, &b));
  double far = 0;
  for (int i = 0; i < 40 * 24 * 3; i++) far += abs(a.pixels[i] - b.pixels[i]);
  assert_true(far / (40 * 24 * 3) < 3);
  fv_image_free(&b);
  OK(fv_image_parse(jpeg.s, jpeg.n, "f", 1, &b));
  assert_int_equal(b.channels, 1);
  fv_image_free(&b);
  for (size_t n = 0; n < jpeg.n - 2; n += 7) assert_int_equal(fv_image_parse(jpeg.s, n, "f", 0, &b), FV_ERR_CORRUPT);
  FAILS(FV_ERR_REQUEST, "quality from 1 to 100", fv_image_encode_jpeg(&a, 0, &jpeg));
  fv_image_free(&a);
  fv_text_free(&jpeg);
}

static void test_colour(void **state) {
  (void)state;
  fv_image a, b, c;
  OK(fv_image_new(256, 1, 1, &a));
  for (int i = 0; i < 256; i++) a.pixels[i] = (uint8_t)i;
  OK(fv_image_convert(&a, 3, &b));
  OK(fv_image_convert(&b, 1, &c));
  assert_memory_equal(a.pixels, c.pixels, 256); /* grey stays itself */
  memcpy(b.pixels, "\xff\x00\x00\x00\xff\x00\x00\x00\xff", 9);
  fv_image_free(&c);
  OK(fv_image_convert(&b, 1, &c));
  assert_memory_equal(c.pixels, "\x4c\x96\x1d", 3); /* 76, 150, 29 */
  fv_image_free(&a);
  fv_image_free(&b);
  fv_image_free(&c);
}

static void check_resize(const uint8_t *in, int w, int h, int to_w, int to_h, const uint8_t *expected) {
  fv_image a = {w, h, 1, (uint8_t *)(uintptr_t)in}, b;
  OK(fv_image_resize(&a, to_w, to_h, &b));
  assert_memory_equal(b.pixels, expected, (size_t)(to_w * to_h));
  fv_image_free(&b);
}

static void test_resize(void **state) {
  (void)state;
  static const uint8_t two[] = {0, 200}, flat[6] = {77, 77, 77, 77, 77, 77}, flat_out[35] = {[0 ... 34] = 77};
  check_resize(two, 2, 1, 2, 1, two);
  check_resize(two, 2, 1, 4, 1, (const uint8_t[]){0, 50, 150, 200});
  check_resize(two, 1, 2, 1, 4, (const uint8_t[]){0, 50, 150, 200});
  check_resize(two, 2, 1, 1, 1, (const uint8_t[]){100});
  check_resize(flat, 3, 2, 5, 7, flat_out);
  /* halved: the triangle reaches 2 pixels to each side of a centre between pixels: weights 1 3 3 1 */
  check_resize((const uint8_t[]){0, 0, 0, 80, 80, 0, 0, 0}, 8, 1, 4, 1, (const uint8_t[]){0, 40, 40, 0});
  fv_image a = {2, 1, 1, (uint8_t *)(uintptr_t)two}, b;
  FAILS(FV_ERR_CORRUPT, "40000x1", fv_image_resize(&a, 40000, 1, &b));
}

static double luminance(const uint8_t *p) {
  double sum = 0, share[3] = {0.2126, 0.7152, 0.0722};
  for (int c = 0; c < 3; c++) sum += share[c] * pow(p[c] / 255.0, 2.2);
  return sum;
}

static void test_colormaps(void **state) {
  (void)state;
  for (int map = 0; map <= FV_COLORMAP_GREY; map++) {
    double last = -1;
    uint8_t rgb[3], below[3];
    for (int i = 0; i <= 16; i++) { /* always lighter */
      fv_colormap_rgb((fv_colormap)map, i / 16.0, rgb);
      if (!(luminance(rgb) > last)) fail_msg("map %d, step %d: %g after %g", map, i, luminance(rgb), last);
      last = luminance(rgb);
    }
    fv_colormap_rgb((fv_colormap)map, NAN, rgb);
    fv_colormap_rgb((fv_colormap)map, -5, below);
    assert_memory_equal(rgb, below, 3);
  }
}

static void test_overlay(void **state) {
  (void)state;
  fv_image image, out;
  float map[4] = {0, 0, 0, 9};
  uint8_t low[3], high[3];
  OK(fv_image_new(4, 4, 1, &image));
  OK(fv_heatmap_overlay(&image, map, 2, 2, &(fv_overlay){.alpha = 1, .upscale = 3}, &out));
  assert_int_equal(out.w, 12);
  assert_int_equal(out.channels, 3);
  fv_colormap_rgb(FV_COLORMAP_IRIS, 0, low);
  fv_colormap_rgb(FV_COLORMAP_IRIS, 1, high);
  for (int c = 0; c < 3; c++) assert_int_equal(out.pixels[c], (int)(low[c] * 0.55 + 0.5)); /* on black */
  assert_memory_equal(out.pixels + 3 * 143, high, 3);
  fv_image_free(&out);
  fv_overlay box = {.alpha = 0, .upscale = 8, .box = true, .box_x = 1, .box_y = 1, .box_w = 2, .box_h = 2};
  OK(fv_heatmap_overlay(&image, map, 2, 2, &box, &out));
  assert_int_equal(out.pixels[0], 0);
  assert_true(out.pixels[3 * (8 * 32 + 16)] > 180); /* the box's upper edge */
  assert_int_equal(out.pixels[3 * (16 * 32 + 16)], 0);
  fv_image_free(&out);
  FAILS(FV_ERR_REQUEST, "at least 1x1", fv_heatmap_overlay(&image, map, 0, 2, &(fv_overlay){0}, &out));
  fv_image_free(&image);
}

static void test_terminal(void **state) {
  (void)state;
  float map[4] = {0, 1, 0, 1};
  fv_text t = {0};
  OK(fv_term_heatmap(map, 2, 2, FV_COLORMAP_IRIS, 8, FV_TERM_PLAIN, &t));
  int lines = 0;
  for (size_t i = 0; i < t.n; i++) lines += t.s[i] == '\n';
  assert_int_equal(lines, 4);
  assert_int_equal(t.n, 4 * 9);
  assert_memory_equal(t.s, "  ", 2);
  assert_int_equal(t.s[7], '@');
  fv_text_free(&t);
  fv_image one = {1, 2, 3, (uint8_t *)(uintptr_t) "\xff\x00\x00\x00\x00\xff"};
  OK(fv_term_image(&one, 10, FV_TERM_TRUECOLOR, &t));
  assert_string_equal(t.s, "\033[38;2;255;0;0m\033[48;2;0;0;255m\xe2\x96\x80\033[0m\n");
  fv_text_free(&t);
  OK(fv_term_image(&one, 10, FV_TERM_256, &t));
  assert_string_equal(t.s, "\033[38;5;196m\033[48;5;21m\xe2\x96\x80\033[0m\n");
  fv_text_free(&t);
  assert_int_equal(fv_term_detect(-1), FV_TERM_PLAIN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_png_types), cmocka_unit_test(test_png_round), cmocka_unit_test(test_png_lies),
      cmocka_unit_test(test_jpeg),      cmocka_unit_test(test_colour),    cmocka_unit_test(test_resize),
      cmocka_unit_test(test_colormaps), cmocka_unit_test(test_overlay),   cmocka_unit_test(test_terminal),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
