/* SPDX-License-Identifier: Apache-2.0 */
/* fovea/fovea.h: everything. Start with fovea/train.h to use recipes, with fovea/graph.h to build models. */
#ifndef FOVEA_H
#define FOVEA_H

#include "fovea/base.h"
#include "fovea/data.h"
#include "fovea/graph.h"
#include "fovea/text.h"
#include "fovea/train.h"

#endif
