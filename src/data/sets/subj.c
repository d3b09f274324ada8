/* SPDX-License-Identifier: Apache-2.0 */
/* subj: sentences that tell an opinion or a plot. They come without a test part: ten folds are customary. */
#include "data/sets.h"

static const fv_data_file files[] = {
    {"subj/subj.objective", NULL, "5ddc9b44dc60d64d651347fcd7bdd489b0c70661e3f768215c16eea36f51204a", 669456, NULL},
    {"subj/subj.subjective", NULL, "73a2dcf8dc3cbcc7f068a70ef9f021c86b2a8e4dac81566b7fd015b3e938f2c5", 630790, NULL},
    {0}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  return fv_texts_open_files(
      o, d, (const fv_texts_file[]){{0, FV_SPLIT_TRAIN, 0}, {1, FV_SPLIT_TRAIN, 1}}, 2,
      &(fv_texts_from){.options = {.format = FV_TEXT_LINES, .encoding = FV_ENCODING_WINDOWS1252}, .text = 1},
      (const fv_class_name[]){{"objective", "objective"}, {"subjective", "subjective"}, {NULL, NULL}});
}

const fv_dataset_def fv_dataset_subj = {
    .info = {.name = "subj",
             .doc = "sentences about films in English, a plot told or an opinion; files from a mirror only: unpack "
                    "rotten_imdb.tar.gz there as subj/, named subj.objective (plot) and subj.subjective (quote)",
             .licence = "none stated",
             .source = "https://www.cs.cornell.edu/people/pabo/movie-review-data/ (subjectivity v1.0)",
             .cite = "B. Pang, L. Lee: A sentimental education: sentiment analysis using subjectivity summarization "
                     "based on minimum cuts. ACL 2004",
             .shape = "texts of up to 132 words, 2 classes, 10000 in ten folds",
             .folds = 10,
             .read_to_know = true,
             .files = files},
    .open = open_set};
