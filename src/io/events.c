/* SPDX-License-Identifier: Apache-2.0 */
/* events.c: TensorBoard's event log, scalars only. A file of TFRecords (u64 length, masked CRC-32C of it, bytes, masked
 * CRC-32C of them), each an Event message; the few protobuf fields are encoded by hand.
 * Format: tensorflow/core/lib/io/record_writer.cc, core/util/event.proto, core/framework/summary.proto. */
#include "io/io.h"

#include <errno.h>
#include <unistd.h>

#define RECORD_LIMIT (1 << 20) /* ours are under a hundred bytes; a longer one is damage */
#define TAG_LIMIT 256

struct fv_events {
  FILE *file;
  char *path;
};

/* Castagnoli, reflected polynomial 0x82f63b78, four bits at a time: a record is short. */
uint32_t fv_crc32c(uint32_t crc, const void *bytes, size_t n) {
  static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                     0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                     0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
  const uint8_t *p = bytes;
  crc = ~crc;
  for (size_t i = 0; i < n; i++) {
    crc ^= p[i];
    crc = table[crc & 15] ^ crc >> 4;
    crc = table[crc & 15] ^ crc >> 4;
  }
  return ~crc;
}

static uint32_t masked_crc(const void *bytes, size_t n) {
  uint32_t crc = fv_crc32c(0, bytes, n);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put_little(uint8_t *p, uint64_t v, int n) {
  for (int i = 0; i < n; i++) p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get_little(const uint8_t *p, int n) {
  uint64_t v = 0;
  for (int i = n - 1; i >= 0; i--) v = v << 8 | p[i];
  return v;
}

/* ---- protobuf ---------------------------------------------------------------------------------------------------- */
typedef struct message {
  uint8_t bytes[TAG_LIMIT + 96];
  size_t n;
} message;

static void put_varint(message *m, uint64_t v) {
  for (; v >= 128; v >>= 7) m->bytes[m->n++] = (uint8_t)(v | 128);
  m->bytes[m->n++] = (uint8_t)v;
}

static void put_double(message *m, int field, double v) {
  uint64_t bits;
  memcpy(&bits, &v, 8);
  put_varint(m, (unsigned)field << 3 | 1);
  put_little(m->bytes + m->n, bits, 8);
  m->n += 8;
}

static void put_float(message *m, int field, float v) {
  uint32_t bits;
  memcpy(&bits, &v, 4);
  put_varint(m, (unsigned)field << 3 | 5);
  put_little(m->bytes + m->n, bits, 4);
  m->n += 4;
}

static void put_bytes(message *m, int field, const void *bytes, size_t n) {
  put_varint(m, (unsigned)field << 3 | 2);
  put_varint(m, n);
  memcpy(m->bytes + m->n, bytes, n);
  m->n += n;
}

static bool get_varint(const uint8_t **p, const uint8_t *end, uint64_t *v) {
  *v = 0;
  for (int shift = 0; *p < end && shift < 64; shift += 7) {
    uint8_t b = *(*p)++;
    *v |= (uint64_t)(b & 127) << shift;
    if (b < 128) return true;
  }
  return false;
}

/* The step (field 2) of an Event; 0 when it has none. */
static int64_t event_step(const uint8_t *p, size_t n) {
  const uint8_t *end = p + n;
  uint64_t key, v = 0;
  while (get_varint(&p, end, &key)) {
    size_t skip = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : 0;
    if ((key & 7) == 0 || (key & 7) == 2) {
      if (!get_varint(&p, end, &v)) return 0;
      if (key == (2 << 3)) return (int64_t)v;
      if ((key & 7) == 2) skip = v > RECORD_LIMIT ? RECORD_LIMIT : (size_t)v;
    }
    if (skip > (size_t)(end - p)) return 0;
    p += skip;
  }
  return 0;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */
static fv_status put_record(fv_events *e, const message *m) {
  uint8_t frame[sizeof m->bytes + 16];
  put_little(frame, m->n, 8);
  put_little(frame + 8, masked_crc(frame, 8), 4);
  memcpy(frame + 12, m->bytes, m->n);
  put_little(frame + 12 + m->n, masked_crc(m->bytes, m->n), 4);
  FV_REQUIRE(fwrite(frame, 1, m->n + 16, e->file) == m->n + 16 && fflush(e->file) == 0, FV_ERR_IO,
             "%s: cannot write the event log: %s", e->path, strerror(errno));
  return FV_OK;
}

/* How many bytes of the log to keep: whole, sound records up to `last_step`. */
static size_t sound_part(const uint8_t *p, size_t n, int64_t last_step) {
  size_t at = 0;
  while (n - at >= 16) {
    uint64_t length = get_little(p + at, 8);
    if (get_little(p + at + 8, 4) != masked_crc(p + at, 8) || length > RECORD_LIMIT || length + 16 > n - at) break;
    const uint8_t *body = p + at + 12;
    if (get_little(body + length, 4) != masked_crc(body, (size_t)length)) break;
    if (event_step(body, (size_t)length) > last_step) break;
    at += 16 + (size_t)length;
  }
  return at;
}

static fv_status open_at(fv_events *e, size_t keep) {
  e->file = fopen(e->path, keep > 0 ? "r+b" : "wb");
  FV_REQUIRE(e->file, FV_ERR_IO, "%s: cannot open the event log: %s", e->path, strerror(errno));
  FV_REQUIRE(ftruncate(fileno(e->file), (off_t)keep) == 0 && fseek(e->file, 0, SEEK_END) == 0, FV_ERR_IO,
             "%s: cannot cut the event log: %s", e->path, strerror(errno));
  return FV_OK;
}

fv_status fv_events_open(const char *path, int64_t last_step, double wall_seconds, fv_events **events) {
  fv_status status = FV_OK;
  fv_events *e = NULL;
  size_t keep = 0;
  *events = NULL;
  if (fv_path_exists(path)) {
    fv_map map;
    FV_TRY(fv_map_open(path, &map));
    keep = sound_part(map.data, map.size, last_step);
    fv_map_close(&map);
  }
  FV_TRY(FV_NEW(&e, 1));
  e->path = fv_strdup(path);
  FV_REQUIRE_DONE(e->path, FV_ERR_MEMORY, "%s: no memory", path);
  FV_TRY_DONE(open_at(e, keep));
  if (keep == 0) {
    message m = {0};
    put_double(&m, 1, wall_seconds);
    put_bytes(&m, 3, "brain.Event:2", 13);
    FV_TRY_DONE(put_record(e, &m));
  }
  *events = e;
  return FV_OK;
done:
  if (e->file) fclose(e->file);
  fv_free(e->path);
  fv_free(e);
  return status;
}

fv_status fv_events_scalar(fv_events *e, const char *tag, int64_t step, double wall_seconds, float value) {
  message point = {0}, summary = {0}, event = {0};
  size_t n = strlen(tag);
  FV_REQUIRE(n > 0 && n <= TAG_LIMIT, FV_ERR_REQUEST, "event log (%s): expected a tag of 1 to %d bytes, got %zu",
             e->path, TAG_LIMIT, n);
  put_bytes(&point, 1, tag, n);
  put_float(&point, 2, value);
  put_bytes(&summary, 1, point.bytes, point.n);
  put_double(&event, 1, wall_seconds);
  put_varint(&event, 2 << 3);
  put_varint(&event, (uint64_t)step);
  put_bytes(&event, 5, summary.bytes, summary.n);
  FV_TRY(put_record(e, &event));
  return FV_OK;
}

fv_status fv_events_close(fv_events *e) {
  if (!e) return FV_OK;
  bool sound = fclose(e->file) == 0;
  fv_status status = sound ? FV_OK : FV_FAIL(FV_ERR_IO, "%s: cannot close the event log: %s", e->path, strerror(errno));
  fv_free(e->path);
  fv_free(e);
  return status;
}
