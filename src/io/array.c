/* SPDX-License-Identifier: Apache-2.0 */
/* array.c: element types of files, checked sizes, conversion to the types we compute with.
 * Data inside a mapped file may start at any address, so elements are copied out byte-wise before they are looked at.
 * Half precision: IEEE 754-2008 binary16; bfloat16 is the upper half of a float. */
#include "io/io.h"

const char *const fv_elem_names[FV_ELEMS + 1] = {"U8", "I32", "I64", "F16", "BF16", "F32", "F64", NULL};
const uint8_t fv_elem_sizes[FV_ELEMS] = {1, 4, 8, 2, 2, 4, 8};

#define SHOWN 64

const char *fv_show(const char *bytes, size_t n) {
  static _Thread_local char ring[4][4 * SHOWN + 4];
  static _Thread_local unsigned turn;
  char *out = ring[turn++ % 4], *p = out;
  for (size_t i = 0; i < n && i < SHOWN; i++) {
    unsigned char c = (unsigned char)bytes[i];
    if (c >= 32 && c < 127) *p++ = (char)c;
    else p += snprintf(p, 5, "\\x%02x", c);
  }
  memcpy(p, n > SHOWN ? "..." : "", n > SHOWN ? 4 : 1);
  return out;
}

const char *fv_dims_text(const int64_t *dim, int ndim) {
  static _Thread_local char ring[4][22 * FV_ARRAY_DIMS + 3];
  static _Thread_local unsigned turn;
  char *out = ring[turn++ % 4];
  size_t at = 0, size = sizeof ring[0];
  at += (size_t)snprintf(out, size, "[");
  for (int i = 0; i < ndim && i < FV_ARRAY_DIMS; i++)
    at += (size_t)snprintf(out + at, size - at, "%s%lld", i ? "," : "", (long long)dim[i]);
  snprintf(out + at, size - at, "]");
  return out;
}

fv_status fv_array_measure(fv_array *a, const char *what) {
  FV_ASSERT(a->ndim >= 0 && a->ndim <= FV_ARRAY_DIMS && (int)a->elem >= 0 && a->elem < FV_ELEMS);
  int64_t most = INT64_MAX / 8; /* so that bytes fit as well */
  a->count = 1;
  for (int i = 0; i < a->ndim; i++) {
    FV_REQUIRE(a->dim[i] >= 0, FV_ERR_CORRUPT, "%s: expected dimensions of 0 or more, got %s", what,
               fv_dims_text(a->dim, a->ndim));
    if (a->dim[i] == 0) a->count = 0;
  }
  for (int i = 0; i < a->ndim && a->count > 0; i++) {
    FV_REQUIRE(a->count <= most / a->dim[i], FV_ERR_CORRUPT, "%s: expected a size that can be counted, got %s", what,
               fv_dims_text(a->dim, a->ndim));
    a->count *= a->dim[i];
  }
  a->bytes = (size_t)a->count * fv_elem_sizes[a->elem];
  return FV_OK;
}

float fv_half_to_float(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = (half >> 10) & 31u, mantissa = half & 0x3ffu, bits;
  if (exponent == 0) { /* zero and subnormals: exact as a product */
    float v = (float)mantissa * 0x1p-24f;
    memcpy(&bits, &v, 4);
  } else if (exponent == 31) {
    bits = 0x7f800000u | mantissa << 13;
  } else {
    bits = (exponent + 112u) << 23 | mantissa << 13;
  }
  bits |= sign;
  float v;
  memcpy(&v, &bits, 4);
  return v;
}

static float bfloat_to_float(uint16_t b) {
  uint32_t bits = (uint32_t)b << 16;
  float v;
  memcpy(&v, &bits, 4);
  return v;
}

/* out[i] = (float) of every element, read as `type` */
#define CONVERT(type, expr)                                \
  for (int64_t i = 0; i < a->count; i++) {                 \
    type x;                                                \
    memcpy(&x, p + (size_t)i * sizeof x, sizeof x);        \
    out[i] = (float)(expr);                                \
  }                                                        \
  break

fv_status fv_array_to_f32(const fv_array *a, float *out) {
  const uint8_t *p = a->data;
  switch (a->elem) {
    case FV_ELEM_U8: CONVERT(uint8_t, x);
    case FV_ELEM_I32: CONVERT(int32_t, x);
    case FV_ELEM_I64: CONVERT(int64_t, x);
    case FV_ELEM_F16: CONVERT(uint16_t, fv_half_to_float(x));
    case FV_ELEM_BF16: CONVERT(uint16_t, bfloat_to_float(x));
    case FV_ELEM_F32:
      if (a->bytes > 0) memcpy(out, p, a->bytes);
      break;
    case FV_ELEM_F64: CONVERT(double, x);
    case FV_ELEMS: FV_ASSERT(a->elem < FV_ELEMS);
  }
  return FV_OK;
}

fv_status fv_array_to_i32(const fv_array *a, int32_t *out) {
  const uint8_t *p = a->data;
  const char *name = a->name ? a->name : "array";
  FV_REQUIRE(a->elem == FV_ELEM_U8 || a->elem == FV_ELEM_I32 || a->elem == FV_ELEM_I64, FV_ERR_REQUEST,
             "%s: expected whole numbers (U8, I32 or I64), got %s", fv_show(name, strlen(name)),
             fv_elem_names[a->elem]);
  for (int64_t i = 0; i < a->count; i++) {
    int64_t x = 0;
    int32_t word = 0;
    if (a->elem == FV_ELEM_U8) x = p[i];
    else if (a->elem == FV_ELEM_I64) memcpy(&x, p + 8 * i, 8);
    else memcpy(&word, p + 4 * i, 4), x = word;
    FV_REQUIRE(x >= INT32_MIN && x <= INT32_MAX, FV_ERR_CORRUPT, "%s: element %lld: expected 32 bits, got %lld",
               fv_show(name, strlen(name)), (long long)i, (long long)x);
    out[i] = (int32_t)x;
  }
  return FV_OK;
}
