/* SPDX-License-Identifier: Apache-2.0 */
/* ag-news-sample: the test part of AG News and a tenth of its training part, as published samples have it. The whole
 * set opens as a path: train.csv with test.csv beside it. */
#include "data/sets.h"

static const fv_data_file files[] = {
    {"ag_news/train_sample.csv.gz", NULL, "015b1b274374e348e62145cae92849452f82ddec700ccbd0cf915ce0eecc5b93", 1182828,
     NULL},
    {"ag_news/test.csv", "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/test.csv",
     "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699", 1857427, NULL},
    {0}};

static const fv_class_name classes[] = {
    {"1", "World"}, {"2", "Sports"}, {"3", "Business"}, {"4", "Sci/Tech"}, {NULL, NULL}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  static const char *const joined[] = {"1", "2", NULL}, *const apart[] = {"1", "2", "3", NULL};
  fv_texts_from from = {.options = {.format = FV_TEXT_CSV, .columns = joined}, .label = 1, .text = 2};
  fv_texts *t;
  fv_status status = FV_OK;
  FV_TRY(fv_texts_new(d, &t));
  FV_TRY_DONE(fv_data_need(o, &files[0], d->arena, &from.path));
  FV_TRY_DONE(fv_texts_add(t, FV_SPLIT_TRAIN, &from));
  from.options.columns = apart;
  from.more = 3;
  FV_TRY_DONE(fv_data_need(o, &files[1], d->arena, &from.path));
  FV_TRY_DONE(fv_texts_add(t, FV_SPLIT_TEST, &from));
  FV_TRY_DONE(fv_texts_hold(o, d, t, classes));
done:
  fv_texts_free(t);
  return status;
}

const fv_dataset_def fv_dataset_ag_news_sample = {
    .info = {.name = "ag-news-sample",
             .doc = "news in English by subject, title and description: 11601 of AG News' 120000 training rows, from a "
                    "mirror only, and its test part",
             .licence = "research and other non-commercial use",
             .source = "http://groups.di.unipi.it/~gulli/AG_corpus_of_news_articles.html, as in "
                       "https://github.com/mhjabreel/CharCnn_Keras",
             .cite = "X. Zhang, J. Zhao, Y. LeCun: Character-level convolutional networks for text classification. "
                     "NIPS 2015",
             .shape = "texts of up to 292 words, 4 classes, 11601 train, 7600 test",
             .training = "epochs=8 longest=100",
             .read_to_know = true,
             .files = files},
    .open = open_set};
