/* SPDX-License-Identifier: Apache-2.0 */
/* clip.h: attributes of clip and clip_grad. */
#ifndef FV_OPS_CLIP_H
#define FV_OPS_CLIP_H

#include "ir/ir.h"

typedef struct fv_clip_attrs {
  double min, max; /* give both: there is no default for one alone */
} fv_clip_attrs;

extern const fv_option fv_clip_options[];

#endif
