/* SPDX-License-Identifier: Apache-2.0 */
/* ettm1: what a transformer of the grid bore and how warm its oil was, a row every 15 minutes. The customary split is
 * 12, 4 and 4 months of 30 days; the rows behind them are not used. */
#include "data/sets.h"

static const fv_data_file files[] = {
    {"ett/ETTm1.csv", "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTm1.csv",
     "6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e", 10360719, NULL},
    {0}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  return fv_steps_open_row(o, d, (const int64_t[]){34560, 11520, 11520}, 7);
}

const fv_dataset_def fv_dataset_ettm1 = {
    .info = {.name = "ettm1",
             .doc = "oil temperature and six loads of the transformer of etth1, every 15 minutes for two years",
             .licence = "CC BY-ND 4.0",
             .source = "https://github.com/zhouhaoyi/ETDataset",
             .cite = "H. Zhou, S. Zhang, J. Peng, S. Zhang, J. Li, H. Xiong, W. Zhang: Informer: beyond efficient "
                     "Transformer for long sequence time-series forecasting. AAAI 2021",
             .shape = "series of 7 channels: 34560 rows train, 11520 validation, 11520 test",
             .training = "epochs=8",
             .files = files},
    .open = open_set};
