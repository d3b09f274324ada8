/* SPDX-License-Identifier: Apache-2.0 */
/* mr: sentences of film reviews, positive or negative. They come without a test part: ten folds are customary. */
#include "data/sets.h"

static const fv_data_file files[] = {
    {"mr/rt-polarity.neg", NULL, "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca", 612256, NULL},
    {"mr/rt-polarity.pos", NULL, "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0", 626139, NULL},
    {0}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  return fv_texts_open_files(
      o, d, (const fv_texts_file[]){{0, FV_SPLIT_TRAIN, 0}, {1, FV_SPLIT_TRAIN, 1}}, 2,
      &(fv_texts_from){.options = {.format = FV_TEXT_LINES, .encoding = FV_ENCODING_WINDOWS1252}, .text = 1},
      (const fv_class_name[]){{"neg", "negative"}, {"pos", "positive"}, {NULL, NULL}});
}

const fv_dataset_def fv_dataset_mr = {
    .info = {.name = "mr",
             .doc = "sentences of film reviews in English, positive or negative; files from a mirror only: unpack "
                    "rt-polaritydata.tar.gz there as mr/",
             .licence = "none stated",
             .source = "https://www.cs.cornell.edu/people/pabo/movie-review-data/ (sentence polarity v1.0)",
             .cite = "B. Pang, L. Lee: Seeing stars: exploiting class relationships for sentiment categorization with "
                     "respect to rating scales. ACL 2005",
             .shape = "texts of up to 63 words, 2 classes, 10662 in ten folds",
             .folds = 10,
             .read_to_know = true,
             .files = files},
    .open = open_set};
