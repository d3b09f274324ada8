/* SPDX-License-Identifier: Apache-2.0 */
/* fashion-mnist: articles of clothing in the format of MNIST, and a harder task. */
#include "data/sets.h"

#define FILES "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
static const fv_data_file files[] = {
    {"fashion-mnist/train-images-idx3-ubyte.gz", FILES "train-images-idx3-ubyte.gz",
     "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26421880,
     "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
    {"fashion-mnist/train-labels-idx1-ubyte.gz", FILES "train-labels-idx1-ubyte.gz",
     "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29515,
     "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
    {"fashion-mnist/t10k-images-idx3-ubyte.gz", FILES "t10k-images-idx3-ubyte.gz",
     "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4422102,
     "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
    {"fashion-mnist/t10k-labels-idx1-ubyte.gz", FILES "t10k-labels-idx1-ubyte.gz",
     "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5148,
     "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"},
    {0}};
static const char *const classes[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                      "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
/* Debian: dataset-fashion-mnist */
static const char *const system_dirs[] = {"/usr/share/datasets/fashion-mnist", NULL};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  d->classes = classes;
  d->n_classes = 10;
  return fv_idx_open_row(o, d, FV_SHAPE(28, 28, 1), (const int64_t[]){60000, 10000});
}

const fv_dataset_def fv_dataset_fashion_mnist = {
    .info = {.name = "fashion-mnist",
             .doc = "articles of clothing from a shop's catalogue, grey on black",
             .licence = "MIT",
             .source = "https://github.com/zalandoresearch/fashion-mnist",
             .cite = "H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a novel image dataset for benchmarking machine "
                     "learning algorithms. arXiv:1708.07747, 2017",
             .shape = "28x28x1, 10 classes, 60000 train, 10000 test",
             .training = "epochs=15 flip=true shift=2 label_smoothing=0.1",
             .files = files},
    .system_dirs = system_dirs,
    .open = open_set};
