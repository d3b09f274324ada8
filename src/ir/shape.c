/* SPDX-License-Identifier: Apache-2.0 */
/* shape.c: dtypes, shapes, broadcasting. */
#include "ir/ir.h"

size_t fv_dtype_size(fv_dtype dtype) {
  switch (dtype) {
    case FV_F32: return 4;
    case FV_F64: return 8;
    case FV_I32: return 4;
    case FV_U8: return 1;
  }
  return 0;
}

const char *fv_dtype_name(fv_dtype dtype) {
  switch (dtype) {
    case FV_F32: return "f32";
    case FV_F64: return "f64";
    case FV_I32: return "i32";
    case FV_U8: return "u8";
  }
  return "?";
}

static int64_t product(const fv_shape *s, int from, int to) {
  int64_t n = 1;
  for (int i = from; i < to; i++) n *= s->dim[i];
  return n;
}

int64_t fv_shape_count(fv_shape shape) { return product(&shape, 0, shape.ndim); }
int64_t fv_shape_before(fv_shape s, int axis) { return product(&s, 0, axis); }
int64_t fv_shape_after(fv_shape s, int axis) { return product(&s, axis + 1, s.ndim); }

bool fv_shape_equal(fv_shape a, fv_shape b) {
  if (a.ndim != b.ndim) return false;
  for (int i = 0; i < a.ndim; i++)
    if (a.dim[i] != b.dim[i]) return false;
  return true;
}

const char *fv_shape_text(fv_shape shape) {
  static _Thread_local char buffers[8][FV_MAX_DIMS * 21 + 3];
  static _Thread_local unsigned next;
  char *text = buffers[next++ % FV_COUNT(buffers)];
  int n = 0;
  text[n++] = '[';
  for (int i = 0; i < shape.ndim; i++) n += snprintf(text + n, 22, i ? ",%lld" : "%lld", (long long)shape.dim[i]);
  text[n++] = ']';
  text[n] = 0;
  return text;
}

bool fv_shape_broadcast(fv_shape a, fv_shape b, fv_shape *out) {
  fv_shape r = {.ndim = FV_MAX(a.ndim, b.ndim)};
  for (int i = 1; i <= r.ndim; i++) {
    int64_t x = i <= a.ndim ? a.dim[a.ndim - i] : 1, y = i <= b.ndim ? b.dim[b.ndim - i] : 1;
    if (x != y && x != 1 && y != 1) return false;
    r.dim[r.ndim - i] = x == 1 ? y : x;
  }
  *out = r;
  return true;
}

int64_t fv_broadcast_index(fv_shape s, fv_shape out, int64_t i) {
  int64_t index = 0, stride = 1;
  for (int d = out.ndim - 1, k = s.ndim - 1; k >= 0; d--, k--) {
    int64_t at = i % out.dim[d];
    i /= out.dim[d];
    if (s.dim[k] != 1) index += at * stride;
    stride *= s.dim[k];
  }
  return index;
}
