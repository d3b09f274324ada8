/* SPDX-License-Identifier: Apache-2.0 */
/* fovea/data.h: the registry of datasets, and opening one.
 *
 * A dataset is known by its name ("fashion-mnist") or is a path:
 *   a folder      of class folders with PNG or JPEG files, or of train/ and test/ (or val/) with class folders in them
 *                 (classes of which episodes are made, when the recipe learns from few examples: the setting ways)
 *   X.npy         images [n,H,W] or [n,H,W,C], whole numbers of 0..255 or fractions of 0..1; labels beside it in y.npy
 *                 (also images.npy with labels.npy)
 *   A.csv         one image a row, also .tsv and .gz: pixels 0..255 and the label. That is the first or last column
 *                 when a header calls it label, class, target or y; otherwise the last, or the first where the last is
 *                 the same in all rows
 *   A.jsonl       one text with its label a row, also .csv and .tsv when the setting text=COLUMN says where the texts
 *                 are (text=A+B joins two columns, label=COLUMN; numbers from 1 where no first row names them)
 *   A,B           two files of lines that belong together, texts and their translations ("train.de,train.en", also .gz)
 *   A.csv,B.csv   a graph: a table of nodes with labels and features, and one of edges between them (also .tsv, .gz; or
 *                 A.content,B.cites of LINQS); src/data/path_graph.c says which columns
 *   A.csv         ratings, when the recipe recommends (the setting like): columns user, item, rating and time by those
 *                 or like names, others of categories: those of an item are its own, several as "a|b"; also .tsv, .gz
 *   A.csv         a series, when the recipe forecasts (the setting horizon): rows in the order of time, names in the
 *                 first, a column of times if there is one, all others of numbers; also .gz
 *   P             an IDX pair P-images-idx3-ubyte and P-labels-idx1-ubyte (also .gz); naming the images works too
 * A folder may also hold one of the latter. Where names contain "train" and the same with "test" (IDX: "t10k") lies
 * beside, that is the test part (of texts, "valid", "val" or "dev" is a validation part); otherwise every
 * fifth sample of each class, by a fixed shuffle, is kept for testing.
 * "PATH@HxW" or "PATH@HxWxC" says the size of the images: files of a folder are resized to it, flat rows read as it.
 *
 * Files of a named one are looked for in $FOVEA_DATA_MIRROR (a directory or a URL), the places where a system package
 * puts them, the cache, and are then fetched from the official address; each is checked by SHA-256. A wrong one is
 * refused, never replaced: whoever put it there should know. */
#ifndef FOVEA_DATA_H
#define FOVEA_DATA_H

#include "fovea/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a dataset brings no validation part, training keeps a share of the training part for it. */
typedef enum fv_split { FV_SPLIT_TRAIN, FV_SPLIT_TEST, FV_SPLIT_VALIDATION, FV_SPLITS } fv_split;
FV_API extern const char *const fv_split_names[FV_SPLITS + 1]; /* "train", "test", "validation", NULL */

/* Of ratings: what was thought of a past item, in the field "history_liked". */
typedef enum fv_level {
  FV_LEVEL_NONE, /* there is none */
  FV_LEVEL_UNKNOWN,
  FV_LEVEL_BAD,
  FV_LEVEL_NEITHER,
  FV_LEVEL_GOOD,
  FV_LEVELS
} fv_level;

/* One file of a dataset as the world knows it. Packed by gzip, with ".gz" behind its name, it is as good. */
typedef struct fv_data_file {
  const char *path;   /* below the mirror: "mnist/train-images-idx3-ubyte.gz" */
  const char *url;    /* the official address; NULL: in this form it has none */
  const char *sha256; /* of the file as downloaded, hex */
  int64_t bytes;
  const char *content_sha256; /* of what gzip packed: system packages pack anew; NULL: no package has it */
} fv_data_file;

/* A row of the registry. */
typedef struct fv_dataset_def fv_dataset_def;
typedef struct fv_dataset_info {
  const char *name, *doc, *licence, *source, *cite;
  const char *shape;         /* "28x28x1, 10 classes, 60000 train, 10000 test" */
  const char *training;      /* settings that suit it, as changes that keep the label: "flip=true shift=2"; or NULL */
  int folds;                 /* of data without a test part of their own, as is customary; 0: they have one */
  bool read_to_know;         /* shapes and counts are known only from the files: planning reads them, too */
  const fv_data_file *files; /* ends with path NULL; no file: generated or embedded */
} fv_dataset_info;
FV_API int fv_dataset_count(void);
FV_API fv_dataset_info fv_dataset_get_info(int i);
FV_API int fv_dataset_find(const char *name); /* -1 */

/* Progress of a download: called now and then; total is 0 when not known. Return false to stop. */
typedef bool fv_progress(void *arg, const char *what, int64_t done, int64_t total);

/* Where a file of the registry is, without fetching and without checking its hash: fills `path`, NULL when it is
 * nowhere yet. Free with fv_string_free. */
FV_API fv_status fv_data_locate(const fv_data_file *file, char **path);
/* Makes sure that all files of dataset i are here and have the right hash, downloading what is missing (partial
 * downloads are resumed). */
FV_API fv_status fv_data_get(int i, fv_progress *progress, void *arg);
/* Checks every file that is here: FV_ERR_CORRUPT names the first whose hash differs, FV_ERR_NOTFOUND the first
 * missing. */
FV_API fv_status fv_data_verify(int i, fv_progress *progress, void *arg);

#ifdef __cplusplus
}
#endif
#endif
