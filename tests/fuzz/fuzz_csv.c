/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_csv.c: CSV text, plain and gzip: once as rows of text, once as a head and rows of numbers. */
#include "fuzz.h"

static const fv_csv_options options = {.limit = 1 << 20};

static fv_status read_rows(fv_csv *c) {
  char **fields;
  size_t n;
  do {
    FV_TRY(fv_csv_next(c, &fields, &n));
    for (size_t i = 0; i < n; i++) fuzz_touch(fields[i], strlen(fields[i]));
  } while (n > 0);
  return FV_OK;
}

static fv_status read_numbers(fv_csv *c) {
  char **fields;
  size_t n;
  fv_matrix m;
  FV_TRY(fv_csv_next(c, &fields, &n));
  fv_status status = fv_csv_matrix(c, &m);
  if (status != FV_OK) return status == FV_ERR_MEMORY ? status : FV_OK; /* text in a column is no broken file */
  fuzz_touch(m.v, (size_t)(m.rows * m.cols) * sizeof *m.v);
  fv_matrix_free(&m);
  return FV_OK;
}

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  fv_csv *c;
  FV_TRY(fv_csv_parse(bytes, n, "fuzz", &options, &c));
  fv_status status = read_rows(c);
  fv_csv_close(c);
  FV_TRY(status);
  FV_TRY(fv_csv_parse(bytes, n, "fuzz", &options, &c));
  status = read_numbers(c);
  fv_csv_close(c);
  return status;
}
