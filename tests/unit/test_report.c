/* SPDX-License-Identifier: Apache-2.0 */
/* test_report.c: what a run leaves for people: event logs, charts, pages. The golden log was written by TensorBoard's
 * own RecordWriter from its protobuf messages. */
#include "test_io.h"

#include <math.h>
#include <unistd.h>

static const char golden_hex[] =
    "1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576656e743a32338d2fe9200000000000000029ed"
    "a9500900006040fc54d94110012a130a110a0a6c6f73732f747261696e1500002040055af9291f00000000000000514b4418"
    "0900006040fc54d94110ac022a110a0f0a086163637572616379150000603f7c102489";
#define GOLDEN (sizeof golden_hex / 2)
enum { HEADER = 40, FIRST = HEADER + 48 }; /* where the log's first and second scalar begin */

static void golden_bytes(uint8_t *out) {
  for (size_t i = 0; i < GOLDEN; i++) sscanf(golden_hex + 2 * i, "%2hhx", &out[i]);
}

static void put(const char *path, int64_t last_step, bool first, bool second) {
  fv_events *e;
  OK(fv_events_open(path, last_step, 1700000000.25, &e));
  if (first) OK(fv_events_scalar(e, "loss/train", 1, 1700000001.5, 2.5f));
  if (second) OK(fv_events_scalar(e, "accuracy", 300, 1700000001.5, 0.875f));
  OK(fv_events_close(e));
}

static void check_log(const char *path, size_t n) {
  uint8_t golden[GOLDEN];
  fv_map map;
  golden_bytes(golden);
  OK(fv_map_open(path, &map));
  assert_int_equal(map.size, n);
  assert_memory_equal(map.data, golden, n);
  fv_map_close(&map);
}

static void test_events(void **state) {
  (void)state;
  const char *path = in_scratch("events.out.tfevents.1");
  assert_int_equal(fv_crc32c(0, "123456789", 9), 0xe3069283); /* RFC 3720's check value */
  put(path, INT64_MAX, true, true);
  check_log(path, GOLDEN);
  put(path, 1, false, false); /* resumed at step 1: the second goes */
  check_log(path, FIRST);
  put(path, 1, false, true);
  check_log(path, GOLDEN);
}

/* Killed after any number of bytes: what was whole stays, and the log goes on. */
static void test_events_cut(void **state) {
  (void)state;
  uint8_t golden[GOLDEN];
  golden_bytes(golden);
  for (size_t n = 0; n <= GOLDEN; n++) {
    const char *path = in_scratch("cut.tfevents");
    OK(fv_file_write(path, golden, n));
    put(path, INT64_MAX, n < FIRST, n < GOLDEN);
    check_log(path, GOLDEN);
  }
  golden[FIRST + 20] ^= 1; /* a damaged record: cut there */
  OK(fv_file_write(in_scratch("cut.tfevents"), golden, GOLDEN));
  put(in_scratch("cut.tfevents"), INT64_MAX, false, true);
  check_log(in_scratch("cut.tfevents"), GOLDEN);
}

static void test_events_refuse(void **state) {
  (void)state;
  fv_events *e;
  char tag[300];
  memset(tag, 'x', sizeof tag), tag[299] = 0;
  FAILS(FV_ERR_IO, "no/such", fv_events_open(in_scratch("no/such"), 0, 0, &e));
  OK(fv_events_open(in_scratch("tag.tfevents"), 0, 0, &e));
  FAILS(FV_ERR_REQUEST, "got 299", fv_events_scalar(e, tag, 1, 0, 0));
  tag[256] = 0;
  OK(fv_events_scalar(e, tag, INT64_MAX, 0, 0));
  OK(fv_events_close(e));
}

/* ---- charts ------------------------------------------------------------------------------------------------------ */
/* Pixels of a colour that only one series has. */
static int count_colour(const fv_image *image, int r, int g, int b) {
  int n = 0;
  for (int i = 0; i < image->w * image->h; i++) {
    const uint8_t *p = image->pixels + 3 * i;
    n += p[0] == r && p[1] == g && p[2] == b;
  }
  return n;
}

static bool draw(const fv_figure *figure, fv_image *out) {
  fv_status status = fv_figure_draw(figure, out);
  if (status == FV_ERR_NOTFOUND) return false; /* no cairo here */
  OK(status);
  return true;
}

static void test_chart(void **state) {
  (void)state;
  double x[50], y[50], bad[3] = {NAN, INFINITY, -1};
  for (int i = 0; i < 50; i++) x[i] = i, y[i] = exp(-i / 10.0);
  fv_series s[2] = {{.name = "train", .x = x, .y = y, .n = 50}, {.name = "\xff bad", .x = x, .y = bad, .n = 3}};
  fv_panel p[2] = {{.title = "Loss", .series = s, .n_series = 2, .log_y = true}, {.title = "Empty"}};
  fv_figure f = {.title = "A run", .panels = p, .n_panels = 2};
  fv_image image;
  if (!draw(&f, &image)) skip();
  assert_int_equal(image.w, 1920);
  assert_int_equal(image.h, 680);
  assert_true(count_colour(&image, 0x2b, 0x6c, 0xb0) > 800); /* the line, across the panel */
  assert_int_equal(count_colour(&image, 0xc5, 0x30, 0x30), 0);
  fv_image_free(&image);
  f.panels = &p[1], f.n_panels = 1, f.scale = 1;
  assert_true(draw(&f, &image));
  assert_int_equal(image.w, 480);
  assert_int_equal(count_colour(&image, 0x2b, 0x6c, 0xb0), 0);
  fv_image_free(&image);
  f.n_panels = 0;
  FAILS(FV_ERR_REQUEST, "at least one panel", fv_figure_draw(&f, &image));
}

static void test_sheet(void **state) {
  (void)state;
  fv_image grey, out;
  OK(fv_image_new(30, 20, 1, &grey));
  memset(grey.pixels, 99, 600);
  fv_tile tiles[5];
  for (int i = 0; i < 5; i++) tiles[i] = (fv_tile){&grey, i == 3 ? "much too long for thirty pixels" : NULL};
  fv_status status = fv_contact_sheet(NULL, tiles, 5, 3, &out);
  if (status == FV_ERR_NOTFOUND) skip();
  OK(status);
  assert_int_equal(count_colour(&out, 99, 99, 99), 5 * 600);
  assert_int_equal(out.w, 14 + 3 * 44);
  fv_image_free(&out);
  fv_image_free(&grey);
}

static void test_page(void **state) {
  (void)state;
  fv_page p = {0};
  fv_image image;
  fv_map map;
  const char *cells[] = {"name", "share", "a<b", "0.5", "c", "12 %"};
  OK(fv_image_new(2, 2, 1, &image));
  fv_page_begin(&p, "<Title> & \"more\"", NULL);
  fv_page_paragraph(&p, "%s", "1 < 2");
  fv_page_paragraph(&p, "%0300d", 7);
  fv_page_table(&p, cells, 3, 2);
  OK(fv_page_image(&p, &image, 20, "it's"));
  OK(fv_page_write(&p, in_scratch("page.html")));
  fv_page_free(&p);
  fv_image_free(&image);
  OK(fv_map_open(in_scratch("page.html"), &map));
  const char *s = (const char *)map.data;
  assert_non_null(memmem(s, map.size, "<title>&lt;Title&gt; &amp; &quot;more&quot;</title>", 51));
  assert_non_null(memmem(s, map.size, "<p>1 &lt; 2</p>", 15));
  assert_non_null(memmem(s, map.size, "0000007</p>", 11));
  assert_non_null(memmem(s, map.size, "<td>a&lt;b</td><td class=\"n\">0.5</td>", 37));
  assert_non_null(memmem(s, map.size, "width=\"20\" src=\"data:image/png;base64,iVBORw0KGgo", 49));
  assert_non_null(memmem(s, map.size, "<figcaption>it&#39;s</figcaption></figure>\n</div>\n</body>\n</html>\n", 66));
  assert_null(memmem(s, map.size, "http", 4));
  fv_map_close(&map);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_events), cmocka_unit_test(test_events_cut), cmocka_unit_test(test_events_refuse),
      cmocka_unit_test(test_chart),  cmocka_unit_test(test_sheet),      cmocka_unit_test(test_page),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
