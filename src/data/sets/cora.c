/* SPDX-License-Identifier: Apache-2.0 */
/* cora: papers on machine learning that cite each other, by the words in them: Planetoid's split. */
#include "data/sets.h"

#define FILES "https://raw.githubusercontent.com/kimiyoung/planetoid/master/data/"
static const fv_data_file files[] = {
    {"planetoid/ind.cora.y", FILES "ind.cora.y",
     "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1", 4054, NULL},
    {"planetoid/ind.cora.allx", FILES "ind.cora.allx",
     "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543", 257305, NULL},
    {"planetoid/ind.cora.ally", FILES "ind.cora.ally",
     "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71", 47959, NULL},
    {"planetoid/ind.cora.tx", FILES "ind.cora.tx",
     "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a", 148025, NULL},
    {"planetoid/ind.cora.ty", FILES "ind.cora.ty",
     "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad", 28135, NULL},
    {"planetoid/ind.cora.graph", FILES "ind.cora.graph",
     "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d", 59847, NULL},
    {"planetoid/ind.cora.test.index", FILES "ind.cora.test.index",
     "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875", 5000, NULL},
    {0}};

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  static const char *const names[] = {"Theory",          "Reinforcement learning", "Genetic algorithms",
                                      "Neural networks", "Probabilistic methods",  "Case based",
                                      "Rule learning"};
  d->classes = names;
  d->n_classes = FV_COUNT(names);
  return fv_planetoid_open_row(o, d);
}

const fv_dataset_def fv_dataset_cora = {
    .info = {.name = "cora",
             .doc = "2708 papers on machine learning, what they cite and the words in them: which of 7 fields",
             .licence = "MIT (the files), none stated (the papers' data)",
             .source = "https://github.com/kimiyoung/planetoid",
             .cite =
                 "P. Sen, G. Namata, M. Bilgic, L. Getoor, B. Gallagher, T. Eliassi-Rad: Collective classification in "
                 "network data. AI Magazine 2008; Z. Yang, W. Cohen, R. Salakhutdinov: Revisiting semi-supervised "
                 "learning with graph embeddings. ICML 2016 (the split)",
             .shape =
                 "1 graph: 2708 nodes, 5278 edges, 1433 words, 7 classes; 140 nodes train, 500 validation, 1000 test",
             .read_to_know = true,
             .files = files},
    .open = open_set};
