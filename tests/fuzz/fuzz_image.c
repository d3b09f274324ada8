/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_image.c: PNG and JPEG through our wrappers, then grey and a smaller size. */
#include "fuzz.h"

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  fv_image image, small = {0};
  FV_TRY(fv_image_parse(bytes, n, "fuzz", n % 2 ? 1 : 0, &image));
  fuzz_touch(image.pixels, (size_t)image.w * (size_t)image.h * (size_t)image.channels);
  fv_status status = fv_image_resize(&image, 8, 8, &small);
  fv_image_free(&small);
  fv_image_free(&image);
  return status;
}
