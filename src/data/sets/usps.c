/* SPDX-License-Identifier: Apache-2.0 */
/* usps: digits from envelopes. The original files hold numbers of -1 to 1 as text; the mirror's are the same images as
 * bytes in IDX form, which no official address offers. */
#include "data/sets.h"

static const fv_data_file files[] = {
    {"usps/train-images-idx3-ubyte.gz", NULL, "c169b7b837ecdb8e4e68ac873b4f7c75c1fbaf4467a265ace990b96b2c0c863f",
     852284, NULL},
    {"usps/train-labels-idx1-ubyte.gz", NULL, "06ce6108314a40c8bbc59e4b699084a787023c15ddbf785bb8fe18d05671f1ce", 3429,
     NULL},
    {"usps/test-images-idx3-ubyte.gz", NULL, "dd00b1819531c7b33209765de8057b4737e36696a3dab91def4976466033dc39", 236701,
     NULL},
    {"usps/test-labels-idx1-ubyte.gz", NULL, "4fd08c962dd005c8178aecb47457e078717298f57142b687728ce264d9640e5d", 979,
     NULL},
    {0}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  FV_TRY(fv_data_number_classes(d, 10));
  return fv_idx_open_row(o, d, FV_SHAPE(16, 16, 1), (const int64_t[]){7291, 2007});
}

const fv_dataset_def fv_dataset_usps = {
    .info = {.name = "usps",
             .doc = "digits from US mail envelopes, grey, white on black; as IDX from a mirror only",
             .licence = "none stated",
             .source = "https://hastie.su.domains/ElemStatLearn/data.html (zip.train.gz, zip.test.gz)",
             .cite = "Y. LeCun et al.: Backpropagation applied to handwritten zip code recognition. Neural Computation "
                     "1(4), 1989",
             .shape = "16x16x1, 10 classes, 7291 train, 2007 test",
             .training = "epochs=30 shift=1 rotate=10",
             .files = files},
    .open = open_set};
