/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_json.c: parsing, and that what was parsed is written as JSON that parses to equal values. */
#include "fuzz.h"

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  fv_status status = FV_OK;
  json_t *root, *again = NULL;
  fv_json j = {0};
  FV_TRY(fv_json_parse(bytes, n, "fuzz", 1 << 20, &root));
  fv_json_value(&j, NULL, root);
  FV_REQUIRE_DONE(!j.text.failed, FV_ERR_MEMORY, "fuzz: no memory");
  FV_TRY_DONE(fv_json_parse(j.text.s, j.text.n, "written", 1 << 22, &again));
  fv_json_free(&j);
  fv_json_value(&j, NULL, again);
done:
  json_decref(root);
  json_decref(again);
  fv_json_free(&j);
  return status;
}
