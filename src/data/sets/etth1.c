/* SPDX-License-Identifier: Apache-2.0 */
/* etth1: what a transformer of the grid bore and how warm its oil was, a row an hour. The customary split is 12, 4
 * and 4 months of 30 days; the rows behind them are not used. */
#include "data/sets.h"

static const fv_data_file files[] = {
    {"ett/ETTh1.csv", "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv",
     "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066", 2589657, NULL},
    {0}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  return fv_steps_open_row(o, d, (const int64_t[]){8640, 2880, 2880}, 7);
}

const fv_dataset_def fv_dataset_etth1 = {
    .info = {.name = "etth1",
             .doc = "oil temperature and six loads of a transformer of the grid, every hour for two years",
             .licence = "CC BY-ND 4.0",
             .source = "https://github.com/zhouhaoyi/ETDataset",
             .cite = "H. Zhou, S. Zhang, J. Peng, S. Zhang, J. Li, H. Xiong, W. Zhang: Informer: beyond efficient "
                     "Transformer for long sequence time-series forecasting. AAAI 2021",
             .shape = "series of 7 channels: 8640 rows train, 2880 validation, 2880 test",
             .files = files},
    .open = open_set};
