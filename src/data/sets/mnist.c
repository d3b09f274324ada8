/* SPDX-License-Identifier: Apache-2.0 */
/* mnist: handwritten digits, the set everyone starts with. */
#include "data/sets.h"

#define FILES "https://ossci-datasets.s3.amazonaws.com/mnist/"
static const fv_data_file files[] = {
    {"mnist/train-images-idx3-ubyte.gz", FILES "train-images-idx3-ubyte.gz",
     "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9912422, NULL},
    {"mnist/train-labels-idx1-ubyte.gz", FILES "train-labels-idx1-ubyte.gz",
     "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28881, NULL},
    {"mnist/t10k-images-idx3-ubyte.gz", FILES "t10k-images-idx3-ubyte.gz",
     "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1648877, NULL},
    {"mnist/t10k-labels-idx1-ubyte.gz", FILES "t10k-labels-idx1-ubyte.gz",
     "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4542, NULL},
    {0}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  FV_TRY(fv_data_number_classes(d, 10));
  return fv_idx_open_row(o, d, FV_SHAPE(28, 28, 1), (const int64_t[]){60000, 10000});
}

const fv_dataset_def fv_dataset_mnist = {
    .info = {.name = "mnist",
             .doc = "handwritten digits 0 to 9, grey, white on black, centred by their mass",
             .licence = "CC BY-SA 3.0",
             .source = "http://yann.lecun.com/exdb/mnist/",
             .cite = "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document "
                     "recognition. Proceedings of the IEEE 86(11), 1998",
             .shape = "28x28x1, 10 classes, 60000 train, 10000 test",
             .training = "epochs=8 shift=2 rotate=10 zoom=0.1",
             .files = files},
    .open = open_set};
