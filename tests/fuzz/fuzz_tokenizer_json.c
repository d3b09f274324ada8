/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tokenizer_json.c: a tokenizer.json from anywhere: what is read must encode, decode and write without harm. */
#include "fuzz.h"

#include "text/text.h"

static fv_status use(const fv_tokenizer *t) {
  static const char text[] = "The cat's 12 cats <unk> don't \xff\xe9 caf\xc3\xa9 \xe4\xb8\xad...\n\n end";
  fv_status status = FV_OK;
  fv_encoder *e = NULL;
  fv_tokens tokens;
  char *out = NULL;
  size_t size;
  FV_TRY_DONE(fv_encoder_new(t, &e));
  FV_TRY_DONE(fv_encoder_run(e, text, sizeof text - 1, FV_ENCODE_SPECIALS, &tokens));
  for (int64_t i = 0; i < tokens.n; i++)
    FV_REQUIRE_DONE(tokens.span[i].from >= 0 && tokens.span[i].from <= tokens.span[i].to &&
                        (size_t)tokens.span[i].to < sizeof text,
                    FV_ERR_INTERNAL, "fuzz: expected spans inside the text, got others");
  FV_TRY_DONE(fv_tokenizer_decode(t, tokens.id, tokens.n, true, &out, &size));
  fuzz_touch(out, size);
  fv_string_free(out);
  out = NULL;
  FV_TRY_DONE(fv_tokenizer_print(t, &out));
  fuzz_touch(out, strlen(out));
done:
  fv_string_free(out);
  fv_encoder_free(e);
  return status;
}

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  fv_tokenizer *t;
  FV_TRY(fv_tokenizer_parse((const char *)bytes, n, "fuzz", &t));
  fv_status status = use(t);
  fv_tokenizer_free(t);
  return status;
}
