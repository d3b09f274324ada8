/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_SAMPLE_H
#define FV_OPS_SAMPLE_H

#include "ir/ir.h"

enum { FV_NOISE_GUMBEL, FV_NOISE_UNIFORM };
extern const char *const fv_noise_names[];

typedef struct fv_sample_attrs {
  int64_t noise;
} fv_sample_attrs;

#endif
