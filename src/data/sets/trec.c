/* SPDX-License-Identifier: Apache-2.0 */
/* trec: questions by what they ask for. */
#include "data/sets.h"

#define FILES "https://cogcomp.seas.upenn.edu/Data/QA/QC/"
static const fv_data_file files[] = {
    {"trec/train_5500.label", FILES "train_5500.label",
     "9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3", 335858, NULL},
    {"trec/TREC_10.label", FILES "TREC_10.label", "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
     23354, NULL},
    {0}};

static const fv_class_name classes[] = {{"ABBR", "abbreviation"}, {"DESC", "description"}, {"ENTY", "entity"},
                                        {"HUM", "human"},         {"LOC", "location"},     {"NUM", "number"},
                                        {NULL, NULL}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  return fv_texts_open_files(o, d, (const fv_texts_file[]){{0, FV_SPLIT_TRAIN, 0}, {1, FV_SPLIT_TEST, 0}}, 2,
                             &(fv_texts_from){.options = {.format = FV_TEXT_QUESTIONS, .encoding = FV_ENCODING_LATIN1},
                                              .label = 1, .text = 3},
                             classes);
}

const fv_dataset_def fv_dataset_trec = {
    .info = {.name = "trec",
             .doc = "questions in English and what they ask for: a number, a place, a person, ...",
             .licence = "none stated",
             .source = "https://cogcomp.seas.upenn.edu/Data/QA/QC/",
             .cite = "X. Li, D. Roth: Learning question classifiers. COLING 2002",
             .shape = "texts of up to 37 words, 6 classes, 5452 train, 500 test",
             .read_to_know = true,
             .training = "epochs=30",
             .files = files},
    .open = open_set};
