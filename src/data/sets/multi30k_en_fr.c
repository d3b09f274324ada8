/* SPDX-License-Identifier: Apache-2.0 */
/* multi30k_en_fr: descriptions of photographs, from English into French. */
#include "data/sets/multi30k.h"

static const fv_data_file files[] = {FV_MULTI30K_EN, FV_MULTI30K_FR, {0}};

const fv_dataset_def fv_dataset_multi30k_en_fr = {
    .info = {.name = "multi30k-en-fr",
             .doc = "descriptions of photographs in English and in French",
             FV_MULTI30K_INFO,
             .files = files},
    .open = fv_texts_open_parallel};
