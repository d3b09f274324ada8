/* SPDX-License-Identifier: Apache-2.0 */
/* vectors.c: word vectors learnt elsewhere as where a model's embedding starts. Words that the file does not have keep
 * their random start, made as large as the others are (Kim 2014). */
#include "train/train.h"

#include <math.h>

/* Standard deviation of the rows that were found, or of those that were not. */
static double deviation_of(const float *table, const uint8_t *seen, int64_t rows, int64_t width, bool found) {
  double sum = 0;
  int64_t n = 0;
  for (int64_t i = 1; i < rows; i++) { /* row 0 is padding */
    if (seen[i] != found) continue;
    for (int64_t k = 0; k < width; k++) sum += (double)table[i * width + k] * (double)table[i * width + k];
    n += width;
  }
  return n ? sqrt(sum / (double)n) : 0;
}

fv_status fv_model_load_vectors(fv_model *m) {
  const char *path = m->train.vectors;
  const int index = fv_params_find(m->params, "embedding.weight");
  uint8_t *seen;
  FV_REQUIRE(index >= 0 && m->reading.tokenizer[0] && m->train.tokenizer == FV_TOKENIZER_WORDS, FV_ERR_REQUEST,
             "vectors: expected a recipe that reads texts as words (tokenizer=words), got another");
  const fv_param_info *p = &m->params->v[index];
  const int64_t rows = p->shape.dim[0], width = p->shape.dim[1];
  float *table = m->slab + p->offset;
  FV_TRY(FV_NEW(&seen, rows));
  fv_status status = fv_vectors_read(path, m->reading.tokenizer[0], width, table, seen, &m->vectors);
  const double wanted = deviation_of(table, seen, rows, width, true);
  const double got = deviation_of(table, seen, rows, width, false);
  const float scale = status == FV_OK && wanted > 0 && got > 0 ? (float)(wanted / got) : 1;
  for (int64_t i = 0; i < rows * width; i++)
    if (!seen[i / width]) table[i] *= scale;
  fv_free(seen);
  return status;
}
