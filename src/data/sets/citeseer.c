/* SPDX-License-Identifier: Apache-2.0 */
/* citeseer: papers on computing that cite each other, by the words in them: Planetoid's split. */
#include "data/sets.h"

#define FILES "https://raw.githubusercontent.com/kimiyoung/planetoid/master/data/"
static const fv_data_file files[] = {
    {"planetoid/ind.citeseer.y", FILES "ind.citeseer.y",
     "8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924", 3014, NULL},
    {"planetoid/ind.citeseer.allx", FILES "ind.citeseer.allx",
     "2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668", 595021, NULL},
    {"planetoid/ind.citeseer.ally", FILES "ind.citeseer.ally",
     "f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95", 55623, NULL},
    {"planetoid/ind.citeseer.tx", FILES "ind.citeseer.tx",
     "539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21", 260321, NULL},
    {"planetoid/ind.citeseer.ty", FILES "ind.citeseer.ty",
     "55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce", 24135, NULL},
    {"planetoid/ind.citeseer.graph", FILES "ind.citeseer.graph",
     "d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7", 61987, NULL},
    {"planetoid/ind.citeseer.test.index", FILES "ind.citeseer.test.index",
     "2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4", 5000, NULL},
    {0}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  return fv_planetoid_open_row(o, d);
}

const fv_dataset_def fv_dataset_citeseer = {
    .info = {.name = "citeseer",
             .doc = "3327 papers on computing, what they cite and the words in them: which of 6 fields",
             .licence = "MIT (the files), none stated (the papers' data)",
             .source = "https://github.com/kimiyoung/planetoid",
             .cite =
                 "P. Sen, G. Namata, M. Bilgic, L. Getoor, B. Gallagher, T. Eliassi-Rad: Collective classification in "
                 "network data. AI Magazine 2008; Z. Yang, W. Cohen, R. Salakhutdinov: Revisiting semi-supervised "
                 "learning with graph embeddings. ICML 2016 (the split)",
             .shape =
                 "1 graph: 3327 nodes, 4552 edges, 3703 words, 6 classes; 120 nodes train, 500 validation, 1000 test",
             .read_to_know = true,
             .files = files},
    .open = open_set};
