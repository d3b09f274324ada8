/* SPDX-License-Identifier: Apache-2.0 */
/* multi30k_de_en: descriptions of photographs, from German into English. */
#include "data/sets/multi30k.h"

static const fv_data_file files[] = {FV_MULTI30K_DE, FV_MULTI30K_EN, {0}};

const fv_dataset_def fv_dataset_multi30k_de_en = {
    .info = {.name = "multi30k-de-en",
             .doc = "descriptions of photographs in German and in English",
             FV_MULTI30K_INFO,
             .files = files},
    .open = fv_texts_open_parallel};
