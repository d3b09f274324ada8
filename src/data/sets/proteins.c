/* SPDX-License-Identifier: Apache-2.0 */
/* proteins: proteins as graphs of their helices, sheets and turns, whether they are enzymes, with the ten folds of
 * DGCNN's authors; three graphs are in no fold's test part. */
#include "data/sets.h"

static const fv_data_file files[] = {{"tu-graphs/tu_graphs.tar.gz", NULL,
                                      "89febbcd12018ba3173e51491d192a7a89ab51d63e1188179f69b7eaf3a033d5", 195275, NULL},
                                     {0}};

/* The member of that name, ended by a NUL. */
static fv_status member(const char *path, const char *wanted, char **text) {
  enum { MOST = 4 << 20 };
  fv_archive *a;
  const char *name;
  fv_status status = FV_OK;
  *text = NULL;
  FV_TRY(fv_archive_open(path, &a));
  for (;;) {
    FV_TRY_DONE(fv_archive_next(a, &name));
    FV_REQUIRE_DONE(name, FV_ERR_CORRUPT, "%s: expected a member '%s', got none", path, wanted);
    if (!strcmp(name, wanted)) break;
  }
  FV_TRY_DONE(fv_archive_read_text(a, name, MOST, text));
done:
  fv_archive_close(a);
  return status;
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  static const char *const names[] = {"enzyme", "other"};
  char fold_name[64], *text = NULL, *fold = NULL;
  const char *path;
  fv_status status = FV_OK;
  snprintf(fold_name, sizeof fold_name, "PROTEINS/10fold_idx/test_idx-%d.txt", (int)o->reading->fold + 1);
  FV_TRY(fv_data_need(o, &files[0], d->arena, &path));
  d->classes = names;
  d->n_classes = FV_COUNT(names);
  FV_TRY_DONE(member(path, "PROTEINS/PROTEINS.txt", &text));
  FV_TRY_DONE(member(path, fold_name, &fold));
  FV_TRY_DONE(fv_graph_text_hold(o, d, "PROTEINS.txt", text, fold_name, fold));
done:
  fv_free(text);
  fv_free(fold);
  return status;
}

const fv_dataset_def fv_dataset_proteins = {
    .info = {.name = "proteins",
             .doc = "1113 proteins as graphs of helices, sheets and turns: enzymes or not",
             .licence = "none stated",
             .source = "https://github.com/muhanzhang/pytorch_DGCNN, data/PROTEINS with its 10fold_idx, packed as "
                       "PROTEINS/ into tu-graphs/tu_graphs.tar.gz of the mirror",
             .cite = "K. Borgwardt, C. Ong, S. Schoenauer, S. Vishwanathan, A. Smola, H.-P. Kriegel: Protein function "
                     "prediction via graph kernels. Bioinformatics 2005",
             .shape = "graphs of 4 to 620 nodes, 3 features, 2 classes, 10 folds of 111 for testing",
             .folds = 10,
             .read_to_know = true,
             .files = files},
    .open = open_set};
