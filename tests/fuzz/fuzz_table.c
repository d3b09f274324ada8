/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_table.c: tables of text. The first byte of a file says how the rest is read: a letter for the format, a capital
 * one when bad rows are skipped. */
#include "fuzz.h"

#include "text/text.h"

static fv_status look(const fv_text_table *t) {
  int64_t line = 0;
  for (int64_t i = 0; i < fv_text_table_rows(t); i++) {
    FV_REQUIRE(fv_text_table_line(t, i) > line, FV_ERR_INTERNAL, "fuzz: expected lines in order");
    line = fv_text_table_line(t, i);
    for (int c = 0; c < fv_text_table_columns(t); c++) {
      fv_bytes text = fv_text_table_get(t, i, c);
      FV_REQUIRE(fv_utf8_valid(text.s, text.n) == text.n, FV_ERR_INTERNAL, "fuzz: expected UTF-8");
      fuzz_touch(text.s, text.n);
    }
  }
  return FV_OK;
}

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  static const char letters[] = "lctjaq";
  static const char *const named[] = {"text", "label", NULL};
  const char *at = n ? strchr(letters, bytes[0] | 32) : NULL;
  fv_text_table *t;
  FV_REQUIRE(at && *at, FV_ERR_CORRUPT, "fuzz: expected a letter");
  fv_text_options o = {.format = (fv_text_format)(FV_TEXT_LINES + (at - letters)), .limit = 1 << 20};
  o.skip_bad = (bytes[0] & 32) == 0;
  if (n > 1 && bytes[1] == '1') o.encoding = FV_ENCODING_WINDOWS1252, bytes++, n--;
  if (o.format >= FV_TEXT_CSV && o.format <= FV_TEXT_JSONL) o.columns = named;
  FV_TRY(fv_text_table_parse(bytes + 1, n - 1, "fuzz", &o, &t));
  fv_status status = look(t);
  fv_text_table_free(t);
  return status;
}
