/* SPDX-License-Identifier: Apache-2.0 */
/* test_io.c: the file formats: what is written reads back, published vectors hold, and files that lie are refused with
 * a message that says how. */
#include "test_io.h"

#include <math.h>

/* ---- hashes ------------------------------------------------------------------------------------------------------ */
static void check_sha(const char *text, size_t repeat, const char *expected) {
  fv_sha256 s;
  char hex[65];
  fv_sha256_init(&s);
  for (size_t i = 0; i < repeat; i++) fv_sha256_update(&s, text, strlen(text));
  fv_sha256_final(&s, hex);
  assert_string_equal(hex, expected);
}

static void test_sha256(void **state) { /* FIPS 180-2, appendix B, and NIST's million */
  (void)state;
  check_sha("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  check_sha("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  check_sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  check_sha("aaaaaaaaaa", 100000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_sha256_pieces(void **state) {
  (void)state;
  uint8_t bytes[300];
  char whole[65], parts[65];
  fv_sha256 s;
  for (int i = 0; i < 300; i++) bytes[i] = (uint8_t)(i * 7);
  for (size_t n = 50; n <= 300; n++) {
    fv_sha256_init(&s);
    fv_sha256_update(&s, bytes, n);
    fv_sha256_final(&s, whole);
    fv_sha256_init(&s);
    fv_sha256_update(&s, bytes, n / 3);
    fv_sha256_update(&s, bytes + n / 3, 0);
    fv_sha256_update(&s, bytes + n / 3, n - n / 3);
    fv_sha256_final(&s, parts);
    assert_string_equal(whole, parts);
  }
  OK(fv_file_write(in_scratch("bytes"), bytes, sizeof bytes));
  OK(fv_sha256_file(in_scratch("bytes"), parts));
  assert_string_equal(whole, parts);
}

/* ---- arrays ------------------------------------------------------------------------------------------------------ */
static void test_half(void **state) {
  (void)state;
  assert_true(fv_half_to_float(0x3c00) == 1.0f);
  assert_true(fv_half_to_float(0xc000) == -2.0f);
  assert_true(fv_half_to_float(0x7bff) == 65504.0f);
  assert_true(fv_half_to_float(0x0001) == 0x1p-24f);
  assert_true(fv_half_to_float(0x83ff) == -1023 * 0x1p-24f);
  assert_true(isinf(fv_half_to_float(0x7c00)));
  assert_true(isnan(fv_half_to_float(0x7e00)));
  assert_true(signbit(fv_half_to_float(0x8000)));
}

static void test_convert(void **state) {
  (void)state;
  uint8_t bytes[1 + 4 * 8]; /* one off, so that nothing is aligned */
  int64_t whole[4] = {-1, 0, 7, INT64_C(1) << 31};
  uint16_t brain[2] = {0x3fc0, 0xc040};
  int32_t i32[4];
  float f32[4];
  memcpy(bytes + 1, whole, sizeof whole);
  fv_array a = {.elem = FV_ELEM_I64, .ndim = 1, .dim = {4}, .data = bytes + 1};
  OK(fv_array_measure(&a, "test"));
  OK(fv_array_to_f32(&a, f32));
  assert_true(f32[0] == -1 && f32[2] == 7 && f32[3] == 2147483648.0f);
  FAILS(FV_ERR_CORRUPT, "element 3: expected 32 bits, got 2147483648", fv_array_to_i32(&a, i32));
  a.count = 3;
  OK(fv_array_to_i32(&a, i32));
  assert_int_equal(i32[0], -1);
  assert_int_equal(i32[2], 7);
  memcpy(bytes + 1, brain, sizeof brain);
  a.elem = FV_ELEM_BF16, a.count = 2;
  OK(fv_array_to_f32(&a, f32));
  assert_true(f32[0] == 1.5f && f32[1] == -3.0f);
  FAILS(FV_ERR_REQUEST, "expected whole numbers", fv_array_to_i32(&a, i32));
}

static void test_measure(void **state) {
  (void)state;
  fv_array a = {.elem = FV_ELEM_F32, .ndim = 3, .dim = {INT64_C(1) << 40, 0, INT64_C(1) << 40}};
  OK(fv_array_measure(&a, "test"));
  assert_int_equal(a.bytes, 0);
  a.dim[1] = 2;
  FAILS(FV_ERR_CORRUPT, "[1099511627776,2,1099511627776]", fv_array_measure(&a, "test"));
  a.dim[1] = -1;
  FAILS(FV_ERR_CORRUPT, "0 or more", fv_array_measure(&a, "test"));
}

/* ---- safetensors ------------------------------------------------------------------------------------------------- */
static void test_safetensors_round(void **state) {
  (void)state;
  float weight[6] = {1, 2, 3, 4, 5, 6};
  uint8_t mask[3] = {1, 0, 1};
  double one = 0.5;
  fv_array in[] = {{.name = "z.weight", .elem = FV_ELEM_F32, .ndim = 2, .dim = {2, 3}, .data = weight},
                   {.name = "a.mask", .elem = FV_ELEM_U8, .ndim = 1, .dim = {3}, .data = mask},
                   {.name = "m", .elem = FV_ELEM_F64, .ndim = 0, .data = &one},
                   {.name = "empty", .elem = FV_ELEM_I32, .ndim = 2, .dim = {0, 4}, .data = NULL}};
  fv_pair meta[] = {{"format", "pt"}, {"labels", "a \"b\"\n\xc3\xa9"}};
  for (size_t i = 0; i < FV_COUNT(in); i++) OK(fv_array_measure(&in[i], "test"));
  OK(fv_safetensors_write(in_scratch("t.safetensors"), in, FV_COUNT(in), meta, FV_COUNT(meta)));
  fv_safetensors *f;
  OK(fv_safetensors_open(in_scratch("t.safetensors"), &f));
  assert_int_equal(fv_safetensors_count(f), 4);
  assert_string_equal(fv_safetensors_at(f, 0)->name, "a.mask");
  assert_string_equal(fv_safetensors_at(f, 3)->name, "z.weight");
  const fv_array *w = fv_safetensors_find(f, "z.weight");
  assert_non_null(w);
  assert_int_equal(w->ndim, 2);
  assert_int_equal(w->dim[1], 3);
  assert_int_equal((uintptr_t)w->data % 4, 0);
  assert_memory_equal(w->data, weight, sizeof weight);
  assert_memory_equal(fv_safetensors_find(f, "m")->data, &one, sizeof one);
  assert_null(fv_safetensors_find(f, "weight"));
  assert_string_equal(fv_safetensors_meta(f, "labels"), "a \"b\"\n\xc3\xa9");
  assert_null(fv_safetensors_meta(f, "nothing"));
  fv_safetensors_close(f);
  in[1].name = "m";
  FAILS(FV_ERR_REQUEST, "got 'm' twice", fv_safetensors_write(in_scratch("t.safetensors"), in, 4, NULL, 0));
}

static void test_weights_hash(void **state) { /* over the bytes alone, in name order whatever the order given */
  (void)state;
  fv_array in[] = {{.name = "b", .elem = FV_ELEM_U8, .ndim = 1, .dim = {1}, .count = 1, .bytes = 1, .data = "c"},
                   {.name = "a", .elem = FV_ELEM_U8, .ndim = 1, .dim = {2}, .count = 2, .bytes = 2, .data = "ab"}};
  char hex[65];
  OK(fv_arrays_sha256(in, 2, hex));
  assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void refuse_tensors(const char *header, size_t data, fv_status code, const char *text) {
  uint8_t bytes[1024] = {0};
  fv_safetensors *f;
  size_t n = strlen(header);
  bytes[0] = (uint8_t)n, bytes[1] = (uint8_t)(n >> 8);
  memcpy(bytes + 8, header, n);
  FAILS(code, text, fv_safetensors_parse(bytes, 8 + n + data, "f", &f));
  assert_null(f);
}

static void test_safetensors_lies(void **state) {
  (void)state;
  fv_safetensors *f;
  FAILS(FV_ERR_CORRUPT, "got 7 bytes", fv_safetensors_parse("1234567", 7, "f", &f));
  FAILS(FV_ERR_CORRUPT, "header of at most 2", fv_safetensors_parse("\x03\0\0\0\0\0\0\0{}", 10, "f", &f));
  FAILS(FV_ERR_CORRUPT, "header of at most 2", fv_safetensors_parse("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "f", &f));
  refuse_tensors("[]", 0, FV_ERR_CORRUPT, "JSON object");
  refuse_tensors("{\"a\":", 0, FV_ERR_CORRUPT, "line 1");
  refuse_tensors("{}", 4, FV_ERR_CORRUPT, "expected 0 data bytes, got 4");
  refuse_tensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, FV_ERR_CORRUPT,
                 "expected 8 bytes");
  refuse_tensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, FV_ERR_CORRUPT, "within");
  refuse_tensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[8,0]}}", 8, FV_ERR_CORRUPT, "0 or more");
  refuse_tensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", 4,
                 FV_ERR_CORRUPT, "can be counted");
  refuse_tensors("{\"a\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, FV_ERR_REQUEST, "got C64");
  refuse_tensors("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                 "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, FV_ERR_CORRUPT, "overlap");
  refuse_tensors("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                 "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}", 5, FV_ERR_CORRUPT, "hole");
  refuse_tensors("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                 "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, FV_ERR_CORRUPT, "duplicate");
  refuse_tensors("{\"__metadata__\":{\"a\":1}}", 0, FV_ERR_CORRUPT, "expected a text for a");
}

/* ---- npy --------------------------------------------------------------------------------------------------------- */
static size_t make_npy(const char *header, size_t data, uint8_t *out) {
  size_t n = strlen(header);
  memcpy(out, "\x93NUMPY\x01\x00", 8);
  out[8] = (uint8_t)n, out[9] = 0;
  memcpy(out + 10, header, n);
  memset(out + 10 + n, 1, data);
  return 10 + n + data;
}

static void refuse_npy(const char *header, size_t data, fv_status code, const char *text) {
  uint8_t bytes[512];
  fv_array a;
  FAILS(code, text, fv_npy_parse(bytes, make_npy(header, data, bytes), "f", &a));
}

static void test_npy(void **state) {
  (void)state;
  uint8_t bytes[512];
  fv_array a;
  size_t n = make_npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }   \n", 24, bytes);
  OK(fv_npy_parse(bytes, n, "f", &a));
  assert_int_equal(a.elem, FV_ELEM_I32);
  assert_int_equal(a.ndim, 2);
  assert_int_equal(a.dim[1], 3);
  int32_t v[6];
  OK(fv_array_to_i32(&a, v));
  assert_int_equal(v[5], 0x01010101);
  n = make_npy("{'shape': (), 'descr': '|u1', 'fortran_order': False}", 1, bytes);
  OK(fv_npy_parse(bytes, n, "f", &a));
  assert_int_equal(a.count, 1);
  for (size_t k = 0; k < n; k++) assert_int_not_equal(fv_npy_parse(bytes, k, "f", &a), FV_OK);
  bytes[6] = 3;
  FAILS(FV_ERR_REQUEST, "got 3.0", fv_npy_parse(bytes, n, "f", &a));
  refuse_npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", 4, FV_ERR_REQUEST, "got '>f4'");
  refuse_npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}", 4, FV_ERR_REQUEST, "C order");
  refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 4, FV_ERR_CORRUPT,
             "expected 8 bytes for [2], got 4");
  refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", 8, FV_ERR_CORRUPT, "expected (n,)");
  refuse_npy("{'descr': '<f4', 'fortran_order': False}", 4, FV_ERR_CORRUPT, "shape and no more");
  refuse_npy("{'descr': '<f4', 'descr': '<f4'}", 4, FV_ERR_CORRUPT, "once each");
  refuse_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}", 8, FV_ERR_CORRUPT,
             "too large");
  refuse_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 8, FV_ERR_CORRUPT,
             "counted");
}

/* ---- idx, gzip, cifar -------------------------------------------------------------------------------------------- */
static size_t pack(const void *bytes, size_t n, uint8_t *out, size_t room) {
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = (Bytef *)(uintptr_t)bytes, z.avail_in = (uInt)n;
  z.next_out = out, z.avail_out = (uInt)room;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  size_t made = room - z.avail_out;
  deflateEnd(&z);
  return made;
}

static void test_idx(void **state) {
  (void)state;
  static const uint8_t plain[] = {0, 0, 0x0c, 2, 0, 0, 0, 2, 0, 0, 0, 1, 1, 2, 3, 4, 0xff, 0xff, 0xff, 0xfe};
  uint8_t packed[200], longer[sizeof plain + 1] = {0};
  fv_array a;
  int32_t v[2];
  OK(fv_idx_parse(plain, sizeof plain, "f", 100, &a));
  OK(fv_array_to_i32(&a, v));
  assert_int_equal(v[0], 0x01020304);
  assert_int_equal(v[1], -2);
  fv_idx_free(&a);
  size_t n = pack(plain, sizeof plain, packed, sizeof packed);
  OK(fv_idx_parse(packed, n, "f", 100, &a));
  assert_int_equal(a.count, 2);
  fv_idx_free(&a);
  for (size_t k = 0; k < n; k++) assert_int_equal(fv_idx_parse(packed, k, "f", 100, &a), FV_ERR_CORRUPT);
  packed[n - 6] ^= 1; /* gzip's checksum */
  FAILS(FV_ERR_CORRUPT, "damaged", fv_idx_parse(packed, n, "f", 100, &a));
  FAILS(FV_ERR_REQUEST, "at most 7 bytes, got [2,1]", fv_idx_parse(plain, sizeof plain, "f", 7, &a));
  FAILS(FV_ERR_CORRUPT, "expected 8 bytes of data, got 7", fv_idx_parse(plain, sizeof plain - 1, "f", 100, &a));
  memcpy(longer, plain, sizeof plain);
  FAILS(FV_ERR_CORRUPT, "got more", fv_idx_parse(longer, sizeof longer, "f", 100, &a));
  longer[4] = 0x7f;
  uint64_t before = fv_memory_get_stats().count;
  FAILS(FV_ERR_CORRUPT, "2130706434,1", fv_idx_parse(longer, sizeof longer, "f", SIZE_MAX, &a));
  assert_int_equal(fv_memory_get_stats().count, before); /* refused before memory is taken */
}

static void test_gzip(void **state) {
  (void)state;
  char text[5000], *out;
  uint8_t packed[6000];
  size_t size;
  for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('a' + i * i % 23);
  size_t n = pack(text, 2000, packed, sizeof packed);
  n += pack(text + 2000, 3000, packed + n, sizeof packed - n);
  OK(fv_gzip_read_all(packed, n, "f", 5000, &out, &size));
  assert_int_equal(size, 5000);
  assert_memory_equal(out, text, 5000);
  assert_int_equal(out[5000], 0);
  fv_free(out);
  FAILS(FV_ERR_REQUEST, "at most 4999 bytes", fv_gzip_read_all(packed, n, "f", 4999, &out, &size));
  packed[n++] = 'x';
  assert_int_equal(fv_gzip_read_all(packed, n, "f", 9000, &out, &size), FV_ERR_CORRUPT);
  OK(fv_gzip_read_all("", 0, "f", 10, &out, &size));
  assert_int_equal(size, 0);
  fv_free(out);
}

static void test_cifar(void **state) {
  (void)state;
  static uint8_t bytes[2 * 3073];
  fv_cifar b;
  for (int i = 0; i < 3072; i++) bytes[1 + i] = (uint8_t)(i / 1024 + 1), bytes[3074 + i] = (uint8_t)i;
  bytes[0] = 9, bytes[3073] = 3;
  OK(fv_cifar_parse(bytes, sizeof bytes, "f", 1, &b));
  assert_int_equal(b.n, 2);
  assert_int_equal(b.labels[0], 9);
  assert_int_equal(b.labels[1], 3);
  for (int i = 0; i < 3072; i++) assert_int_equal(b.pixels[i], i % 3 + 1);
  assert_int_equal(b.pixels[3072 + 3 * 33 + 2], (uint8_t)(2048 + 33));
  fv_cifar_free(&b);
  FAILS(FV_ERR_CORRUPT, "records of 3073 bytes", fv_cifar_parse(bytes, 3074, "f", 1, &b));
  bytes[3073] = 10;
  FAILS(FV_ERR_CORRUPT, "(record 1): expected a label below 10, got 10",
        fv_cifar_parse(bytes, sizeof bytes, "f", 1, &b));
}

/* ---- csv --------------------------------------------------------------------------------------------------------- */
/* The rows as text: fields joined by '|', rows ended by ';'. */
static const char *csv_text(const char *in, const fv_csv_options *o) {
  static char out[512];
  fv_csv *c;
  char **fields;
  size_t n, at = 0;
  OK(fv_csv_parse(in, strlen(in), "f", o, &c));
  for (;;) {
    OK(fv_csv_next(c, &fields, &n));
    if (n == 0) break;
    for (size_t i = 0; i < n; i++) at += (size_t)sprintf(out + at, "%s%s", i ? "|" : "", fields[i]);
    at += (size_t)sprintf(out + at, ";");
  }
  out[at] = 0;
  fv_csv_close(c);
  return out;
}

static void test_csv(void **state) {
  (void)state;
  assert_string_equal(csv_text("a,b\r\n1,2\r\n", NULL), "a|b;1|2;");
  assert_string_equal(csv_text("\xef\xbb\xbf" "a,\"b,c\"\n\n\"d \"\"e\"\"\",\"x\ny\"", NULL), "a|b,c;d \"e\"|x\ny;");
  assert_string_equal(csv_text(",\n\"\",\n", NULL), "|;|;");
  assert_string_equal(csv_text("a b\"c,d", NULL), "a b\"c|d;");
  assert_string_equal(csv_text("", NULL), "");
  assert_string_equal(csv_text("a\t\"b\n", &(fv_csv_options){.separator = '\t', .no_quotes = true}), "a|\"b;");
  assert_string_equal(csv_text("0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", NULL),
                      "0|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17;");
}

static void refuse_csv(const char *in, const char *text) {
  fv_csv *c;
  fv_matrix m;
  OK(fv_csv_parse(in, strlen(in), "f.csv", NULL, &c));
  FAILS(FV_ERR_CORRUPT, text, fv_csv_matrix(c, &m));
  assert_null(m.v);
  fv_csv_close(c);
}

static void test_csv_numbers(void **state) {
  (void)state;
  fv_csv *c;
  fv_matrix m;
  char **fields;
  size_t n;
  uint8_t bytes[4];
  OK(fv_csv_parse("x,y\n1,2\n 3 ,\"4\"\n", 16, "f", NULL, &c));
  OK(fv_csv_next(c, &fields, &n));
  OK(fv_csv_matrix(c, &m));
  fv_csv_close(c);
  assert_int_equal(m.rows, 2);
  assert_int_equal(m.cols, 2);
  OK(fv_matrix_to_u8(&m, "f", bytes));
  assert_memory_equal(bytes, "\x01\x02\x03\x04", 4);
  m.v[2] = 2.5f;
  FAILS(FV_ERR_CORRUPT, "(row 2, column 1): expected a whole number from 0 to 255, got 2.5",
        fv_matrix_to_u8(&m, "f", bytes));
  fv_matrix_free(&m);
  refuse_csv("1,2\n3,x\n", "f.csv:2: column 2: expected a number, got 'x'");
  refuse_csv("1,2\n\n3\n", "f.csv:3: expected 2 columns, got 1");
  refuse_csv("1,2\n\"3\n4", "f.csv:2: expected a closing quote");
  refuse_csv("1,\"2\"x\n", "f.csv:1: expected a separator or a line end after the closing quote, got 'x'");
  refuse_csv("1e300\n", "expected a number");
  assert_int_equal(fv_csv_parse("1\0002", 3, "f", NULL, &c), FV_ERR_CORRUPT);
}

/* ---- json -------------------------------------------------------------------------------------------------------- */
static void test_json_write(void **state) {
  (void)state;
  fv_json j = {0};
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "t", "a\"\\\n\x01\xc3\xa9");
  fv_json_begin(&j, "v", '[');
  fv_json_real(&j, NULL, 0.1);
  fv_json_float(&j, NULL, 0.1f);
  fv_json_real(&j, NULL, (double)0.1f);
  fv_json_real(&j, NULL, 1e21);
  fv_json_real(&j, NULL, 2.5e-7);
  fv_json_real(&j, NULL, -3);
  fv_json_real(&j, NULL, NAN);
  fv_json_end(&j, ']');
  fv_json_int(&j, "n", INT64_MIN);
  fv_json_bool(&j, "b", true);
  fv_json_text(&j, "z", NULL);
  fv_json_end(&j, '}');
  assert_string_equal(j.text.s,
                      "{\"t\": \"a\\\"\\\\\\n\\u0001\xc3\xa9\", \"v\": [0.1, 0.1, 0.10000000149011612, 1e21, 2.5e-7, "
                      "-3, null], \"n\": -9223372036854775808, \"b\": true, \"z\": null}");
  json_t *root;
  OK(fv_json_parse(j.text.s, j.text.n, "f", 1000, &root));
  fv_json again = {0};
  fv_json_value(&again, NULL, root);
  assert_string_equal(again.text.s, j.text.s);
  json_decref(root);
  fv_json_free(&again);
  fv_json_free(&j);
}

static void test_numbers_read_back(void **state) {
  (void)state;
  fv_rng r = fv_rng_new(7, 1);
  for (int i = 0; i < 20000; i++) {
    uint64_t bits = (uint64_t)fv_rng_u32(&r) << 32 | fv_rng_u32(&r);
    double v;
    memcpy(&v, &bits, 8);
    if (!isfinite(v)) continue;
    fv_text t = {0};
    fv_number_print(&t, v);
    assert_true(strtod(t.s, NULL) == v);
    fv_text_free(&t);
  }
}

static void refuse_json(const char *in, const char *text) {
  json_t *root;
  FAILS(FV_ERR_CORRUPT, text, fv_json_parse(in, strlen(in), "f", 200, &root));
  assert_null(root);
}

static void test_json_parse(void **state) {
  (void)state;
  char deep[201];
  refuse_json("", "f (line 1");
  refuse_json("{\"a\": 1,\n  \"b\": nul}", "f (line 2, column 10)");
  refuse_json("{\"a\": 1, \"a\": 2}", "duplicate");
  refuse_json("[1] x", "end of file expected");
  refuse_json("\"\xff\"", "unable to decode byte 0xff");
  refuse_json("[1e999]", "real number overflow");
  memset(deep, '[', 200), deep[200] = 0;
  refuse_json(deep, "at most 64 levels of JSON, got 200");
  json_t *root;
  FAILS(FV_ERR_CORRUPT, "at most 2 bytes", fv_json_parse("[1]", 3, "f", 2, &root));
  OK(fv_json_parse("\"[[[\\\"[[[\"", 10, "f", 200, &root));
  json_decref(root);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sha256),           cmocka_unit_test(test_sha256_pieces),
      cmocka_unit_test(test_half),             cmocka_unit_test(test_convert),
      cmocka_unit_test(test_measure),          cmocka_unit_test(test_safetensors_round),
      cmocka_unit_test(test_weights_hash),     cmocka_unit_test(test_safetensors_lies),
      cmocka_unit_test(test_npy),              cmocka_unit_test(test_idx),
      cmocka_unit_test(test_gzip),             cmocka_unit_test(test_cifar),
      cmocka_unit_test(test_csv),              cmocka_unit_test(test_csv_numbers),
      cmocka_unit_test(test_json_write),       cmocka_unit_test(test_numbers_read_back),
      cmocka_unit_test(test_json_parse),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
