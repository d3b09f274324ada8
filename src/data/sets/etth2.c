/* SPDX-License-Identifier: Apache-2.0 */
/* etth2: what a transformer of the grid bore and how warm its oil was, a row an hour. The customary split is 12, 4
 * and 4 months of 30 days; the rows behind them are not used. */
#include "data/sets.h"

static const fv_data_file files[] = {
    {"ett/ETTh2.csv", "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh2.csv",
     "a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b", 2417960, NULL},
    {0}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  return fv_steps_open_row(o, d, (const int64_t[]){8640, 2880, 2880}, 7);
}

const fv_dataset_def fv_dataset_etth2 = {
    .info = {.name = "etth2",
             .doc = "oil temperature and six loads of another transformer, every hour for two years",
             .licence = "CC BY-ND 4.0",
             .source = "https://github.com/zhouhaoyi/ETDataset",
             .cite = "H. Zhou, S. Zhang, J. Peng, S. Zhang, J. Li, H. Xiong, W. Zhang: Informer: beyond efficient "
                     "Transformer for long sequence time-series forecasting. AAAI 2021",
             .shape = "series of 7 channels: 8640 rows train, 2880 validation, 2880 test",
             .files = files},
    .open = open_set};
