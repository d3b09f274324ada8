/* SPDX-License-Identifier: Apache-2.0 */
/* sets.h (private to src/data): what the rows and the readers of paths share: files found and checked, samples held in
 * memory, cutting a test part off. */
#ifndef FV_DATA_SETS_H
#define FV_DATA_SETS_H

#include "data/data.h"
#include "io/io.h"

/* ---- files of the registry (files.c) ----------------------------------------------------------------------------- */
/* The path of one file of o->def, its hash checked; fetched first when it is nowhere. The path lives in `arena`. */
fv_status fv_data_need(const fv_data_open *o, const fv_data_file *file, fv_arena *arena, const char **path);

/* Downloads url to `path` by way of PATH.part, which a later call goes on with; the file appears under its name only
 * whole and with the right hash. FV_ERR_NOTFOUND: the server has no such file. fetch.c */
typedef struct fv_fetch {
  const char *url, *path, *sha256;
  int64_t bytes;
  fv_progress *progress; /* may be NULL */
  void *progress_arg;
  const char *what;      /* for progress and messages */
} fv_fetch;
fv_status fv_fetch_file(const fv_fetch *f);
/* The file's SHA-256, read in pieces so that a large file does not count as memory; `unpacked`: of what gzip packed. */
fv_status fv_data_hash(const char *path, bool unpacked, char hex[65]);

/* Members of a tar, zip or other archive, one after the other, never whole in memory (archive.c). */
typedef struct fv_archive fv_archive;
fv_status fv_archive_open(const char *path, fv_archive **archive);
fv_status fv_archive_next(fv_archive *archive, const char **name); /* NULL at the end; valid until the next call */
/* *got < n only at the member's end. */
fv_status fv_archive_read(fv_archive *archive, void *out, size_t n, size_t *got);
/* All of it, ended by a NUL; to be freed. About `limit` bytes or more are refused in its name. */
fv_status fv_archive_read_text(fv_archive *archive, const char *member, size_t limit, char **text);
void fv_archive_close(fv_archive *archive); /* NULL is fine */

/* ---- samples held in memory (held.c) ----------------------------------------------------------------------------- */
/* Rows lie in the order of the files; each split is a list of rows. */
typedef struct fv_held {
  int64_t pixels;  /* bytes of one image */
  uint8_t *image;  /* [n,H,W,C] */
  int32_t *label;  /* [n] */
  int32_t *row[FV_SPLITS];
} fv_held;
/* Sets d's fields, counts, reader and slab for images [H,W,C]: the rows of train, then those of test, in order. *held
 * is NULL in a dry opening. */
fv_status fv_held_new(const fv_data_open *o, fv_dataset *d, fv_shape image, const int64_t count[2],
                      fv_held **held);
/* The same for data without a test part of its own: the labels of all n rows decide, are copied, and the split is cut
 * by fv_data_cut. d->n_classes must be set. */
fv_status fv_held_new_cut(const fv_data_open *o, fv_dataset *d, fv_shape image, const int32_t *label, int64_t n,
                          fv_held **held);
enum { FV_FOLDS = 5 }; /* where nothing else is customary */
/* Marks which of n samples are for testing: of each class one in `folds`, rounded, by a shuffle that nothing changes.
 * The folds together are all samples. */
fv_status fv_data_cut(const int32_t *label, int64_t n, int n_classes, int folds, int64_t fold, uint8_t *is_test);
/* Refuses a fold other than the first: there is a test part. */
fv_status fv_data_no_fold(const fv_data_open *o);
/* Class names "0", "1", ... */
fv_status fv_data_number_classes(fv_dataset *d, int n_classes);

/* ---- texts (texts.c) --------------------------------------------------------------------------------------------- */
/* Rows of tables, each with a class or a second text, gathered and then turned into tokens:
 *   one text    "tokens" i32 [T], "label"
 *   a pair      "source" i32 [T], "target" i32 [T]; the source ends with <eos>, the target lies between <bos> and <eos>
 * T varies; of a pair it is the longer one's, with zeros behind the other. A text of no token is one <unk>. */
typedef struct fv_texts fv_texts;
typedef struct fv_texts_from {
  const char *path;        /* of a table; NULL: `table` */
  fv_text_table *table;    /* taken over */
  fv_text_options options;
  int text, more;          /* columns from 1; more: joined to text by a blank; 0: none */
  int label, target;       /* likewise */
  int32_t of_class;        /* without `label`: of all rows */
} fv_texts_from;
fv_status fv_texts_new(const fv_dataset *d, fv_texts **t);
void fv_texts_free(fv_texts *t); /* NULL is fine */
fv_status fv_texts_add(fv_texts *t, fv_split split, const fv_texts_from *from);
/* As a label is written in the files, and its name; ends with NULL. */
typedef struct fv_class_name {
  const char *label, *name;
} fv_class_name;
/* Makes d of them. names NULL: the labels that are there, sorted. Without a row for testing, one of o->def's folds is
 * cut off. */
fv_status fv_texts_hold(const fv_data_open *o, fv_dataset *d, const fv_texts *t, const fv_class_name *names);
/* All of this for a row whose files are tables of one kind: which file of the row, for which split, and `of_class`
 * where `from` names no column of labels. */
typedef struct fv_texts_file {
  int file;
  fv_split split;
  int32_t of_class;
} fv_texts_file;
fv_status fv_texts_open_files(const fv_data_open *o, fv_dataset *d, const fv_texts_file *files, int n,
                              const fv_texts_from *from, const fv_class_name *names);

/* A row of pairs whose files are lines that belong together: the sources of the training, validation and test part,
 * then the targets. */
fv_status fv_texts_open_parallel(const fv_data_open *o, fv_dataset *d);
/* Adds two such files. */
fv_status fv_texts_add_parallel(fv_texts *t, fv_split split, const char *const path[2], bool skip_bad);

/* ---- series (series.c) ------------------------------------------------------------------------------------------- */
/* Rows in the order of time, a number a channel. A sample is a window of them, standardised:
 *   "past" f32 [L,C], "future" f32 [H,C]
 * Splits follow each other in time; the past of a window for validation or testing may begin before its split. */
typedef struct fv_steps {
  int64_t rows, channels;
  const char **name; /* of channels; NULL with values NULL */
  double *v;         /* [rows,channels], heap; NULL: not read, only planned */
} fv_steps;
/* A CSV whose first row has names: the columns of numbers, or those of `wanted`. A column of times is checked to rise.
 * Names live in `arena`. */
fv_status fv_steps_read(const char *path, fv_arena *arena, const fv_channels *wanted, fv_steps *steps);
/* Rows of each split, one behind the other: training, validation, testing. Those of `steps` may be more. Sets d's
 * fields, counts and reader; what the reading does not know of the channels is learnt from the training rows. */
fv_status fv_steps_hold(const fv_data_open *o, fv_dataset *d, const fv_steps *steps, const int64_t rows[3]);
/* A row whose one file is such a CSV of which `rows` and channels are known. */
fv_status fv_steps_open_row(const fv_data_open *o, fv_dataset *d, const int64_t rows[3], int64_t channels);

/* ---- graphs (graphs.c) ------------------------------------------------------------------------------------------- */
/* Nodes, edges and features as they are found. Arrays are its own: fv_edge_list_free. */
typedef struct fv_edge_list {
  int64_t nodes, edges, entries, columns;
  int32_t *from, *to;       /* [edges]: `to` looks at `from` */
  int64_t *begin;           /* [nodes+1]: where the entries of a node's features begin */
  int32_t *column;          /* [entries]: below `columns` */
  float *value;
  int32_t *label;           /* [nodes]; -1: not known */
  uint8_t *split;           /* [nodes]: an fv_split, or FV_SPLITS: of none */
  const char *const *name;  /* [nodes], of the dataset's arena; NULL: their numbers */
} fv_edge_list;
/* Labels -1, split FV_SPLITS. */
fv_status fv_edge_list_new(int64_t nodes, int64_t edges, int64_t entries, fv_edge_list **list);
void fv_edge_list_free(fv_edge_list *list); /* NULL is fine */
/* Each node's values divided by their sum, as is usual for words. */
void fv_edge_list_normalise(fv_edge_list *list);
/* Makes d of it: one graph, which is the one sample of each split, and of which the split's nodes count. Edges lead
 * both ways unless the reading says otherwise; one that is there twice counts once; every node is its own neighbour,
 * once. Fields:
 *   "degree" i32 [V], "neighbour" i32 [M]          the graph
 *   "word" i32 [V,K], "weight" f32 [V,K]           its features by columns and values; or "feature" f32 [V,F], when
 *                                                  half of them or more are there
 *   "node_label" i32 [V]                           -1 where the node is not of the split
 * d's classes must be set. Without nodes for testing, a fold of those with a label is cut off; without nodes for
 * validation, a fifth of those for training. */
fv_status fv_edge_list_hold(const fv_data_open *o, fv_dataset *d, const fv_edge_list *list);
/* With reading->neighbours it makes samples of nodes instead, each with its surroundings: fields as those of many
 * graphs, of a fixed number of nodes, of which the first is the one that counts. */
/* Many graphs: the list's nodes from first[g] to first[g+1]-1 are graph g, no edge leads from one to another, and
 * labels and splits are of graphs. Fields of a sample, which is a graph of L nodes:
 *   "degree" i32 [L], "neighbour" i32 [L,R]        the graph; places one behind the other, R a node at most on the mean
 *   "word", "weight" [L,K], or "feature" f32 [L,F] as above
 *   "label"
 * Without graphs for testing, one of o->def's folds is cut off. */
typedef struct fv_graph_set {
  int64_t n;
  int64_t *first; /* [n+1] */
  int32_t *label; /* [n] */
  uint8_t *split; /* [n] */
} fv_graph_set;
fv_status fv_graph_set_hold(const fv_data_open *o, fv_dataset *d, const fv_edge_list *list, fv_graph_set *graphs);
/* Collections of graphs as DGCNN's program has them, text: the number of graphs; of each its number of nodes and its
 * label, then a line a node: a tag, the number of neighbours, these, and other numbers, as many for each. Tags are
 * features, one column each. fold: text, the numbers of the graphs that are for testing; NULL: none are. */
fv_status fv_graph_text_hold(const fv_data_open *o, fv_dataset *d, const char *what, char *text, const char *fold_what,
                             char *fold);
fv_status fv_graph_set_new(int64_t n, fv_graph_set *graphs); /* all for training */
void fv_graph_set_free(fv_graph_set *graphs);
/* A row whose files are those of a citation network of Planetoid: y, allx, ally, tx, ty, graph, test.index. */
fv_status fv_planetoid_open_row(const fv_data_open *o, fv_dataset *d);

/* ---- graphs of images (superpixels.c) ---------------------------------------------------------------------------- */
/* Makes graphs of a dataset of images that o->def has opened. A sample is the graph of an image's superpixels; those
 * that touch are neighbours, and each is its own:
 *   "degree" i32 [L], "neighbour" i32 [L,R]        as those of many graphs
 *   "feature" f32 [L,C+2]                          mean of each channel, 0..1, and of x and y, -1..1
 *   "label"
 * What was made once is kept in the cache, under a hash of the images and of how they are cut. */
fv_status fv_superpixels_of(const fv_data_open *o, fv_dataset *d);

/* A number that rises with the time: a plain number as it is; otherwise year, month, day, hour, minute, second, as far
 * as given. */
bool fv_time_parse(const char *s, double *t);

/* ---- ratings (ratings.c) ----------------------------------------------------------------------------------------- */
/* Who rated what, how and when, gathered in any order and then cut in the order of time. A sample is one rating that
 * says liked or not, with what its user had rated before:
 *   "user", "item" i32; "traits" i32 [P] of the rating, "kinds" i32 [K] of the item, where there are any
 *   "history" i32 [T], "history_kinds" i32 [T,K], "history_liked" i32 [T]: 2 not liked, 3 neither, 4 liked
 *   "label" i32: 1 liked, 0 not
 * All are rows of tables: 0 nothing, 1 not known. T varies; a history of nothing is one place of nothing. */
typedef struct fv_ratings fv_ratings;
fv_status fv_ratings_new(const fv_dataset *d, int n_traits, const char *const *trait_names, fv_ratings **r);
void fv_ratings_free(fv_ratings *r); /* NULL is fine */
/* traits: n_traits of them, NULL when there are none. */
fv_status fv_ratings_add(fv_ratings *r, fv_bytes user, fv_bytes item, double value, double time,
                         const fv_bytes *traits);
/* What an item is called (s NULL: by its name) and which kinds it is of, before or after it was rated. */
fv_status fv_ratings_describe(fv_ratings *r, fv_bytes item, fv_bytes title, const fv_bytes *kinds, int n_kinds);
/* Makes d of them: by the time, 80 % of the ratings for training, 10 % for validation, 10 % for testing. */
fv_status fv_ratings_hold(const fv_data_open *o, fv_dataset *d, fv_ratings *r);

/* ---- episodes (episodes.c) --------------------------------------------------------------------------------------- */
/* Pictures of many classes, a few of each, of which episodes are made: N classes at random, some examples of each to
 * learn from and others to ask about. A sample is one episode:
 *   "support" f32 [N*shots,H,W,1], "support_label" i32 [N*shots]    in random order
 *   "query" f32 [N*queries,H,W,1], "label" i32 [N*queries]          class after class
 * Ink is 1, paper 0; labels 0..N-1 are given out anew. Splits are of classes: what is asked about in testing was never
 * seen in training. Training episodes are new ones for each draw. */
typedef struct fv_glyphs {
  int64_t classes;
  const int32_t *examples;  /* [classes]: pictures of each */
  int64_t h, w;             /* of a picture, one channel */
  int turns;                /* 4: a class turned by a quarter is another one, of the same split; 1: it is not */
  int64_t part[FV_SPLITS];  /* classes of each split, by a shuffle that nothing changes */
  int64_t episodes[FV_SPLITS];
} fv_glyphs;
#define FV_EPISODES {[FV_SPLIT_TRAIN] = 1000, [FV_SPLIT_VALIDATION] = 200, [FV_SPLIT_TEST] = 1000} /* as is usual */
/* Sets d's fields, counts, reader and slab. *ink is for the pictures, class after class: u8 [all examples,H,W], 255
 * ink; NULL in a dry opening. */
fv_status fv_episodes_hold(const fv_data_open *o, fv_dataset *d, const fv_glyphs *g, uint8_t **ink);
/* A picture as ink: grey, each pixel the mean of the area it covers; what there is more of, dark or bright, is
 * paper. */
enum { FV_INK_SIDE = 28 };
fv_status fv_ink_parse(const void *bytes, size_t n, const char *what, int64_t h, int64_t w, uint8_t *ink);
fv_status fv_ink_read(const char *path, int64_t h, int64_t w, uint8_t *ink);

/* ---- images and labels in IDX files (idx.c) ---------------------------------------------------------------------- */
/* The unsigned bytes of an IDX file whose dimensions are exactly these, straight to their place. */
fv_status fv_idx_pour(const char *path, int ndim, const int64_t *dim, uint8_t *out);
/* The same for [n] labels: any whole-number type. */
fv_status fv_idx_labels(const char *path, int64_t n, int32_t *out);
/* A row whose files are train images, train labels, test images, test labels. */
fv_status fv_idx_open_row(const fv_data_open *o, fv_dataset *d, fv_shape image, const int64_t count[2]);

/* CIFAR's five training members and one test member of `per_batch` records each, out of the archive at `path`. */
fv_status fv_cifar10_pour(const char *path, int64_t per_batch, uint8_t *image, int32_t *label);

/* ---- paths ------------------------------------------------------------------------------------------------------- */
/* Opens o->path, whatever it is (path.c); the kinds are path_*.c. */
fv_status fv_path_open(const fv_data_open *o, fv_dataset *d);
fv_status fv_path_open_folder(const fv_data_open *o, fv_dataset *d);
/* 60 % of the classes for training, 20 % validation, 20 % test. */
fv_status fv_path_open_episodes(const fv_data_open *o, fv_dataset *d);
fv_status fv_path_open_csv(const fv_data_open *o, fv_dataset *d);
fv_status fv_path_open_npy(const fv_data_open *o, fv_dataset *d);
fv_status fv_path_open_idx(const fv_data_open *o, fv_dataset *d);
fv_status fv_path_open_texts(const fv_data_open *o, fv_dataset *d);
fv_status fv_path_open_parallel(const fv_data_open *o, fv_dataset *d);
bool fv_path_is_parallel(const char *path); /* "A,B", both there */
fv_status fv_path_open_graph(const fv_data_open *o, fv_dataset *d);
bool fv_path_is_graph(const char *path); /* "A,B", both there, tables */
fv_status fv_path_open_tu(const fv_data_open *o, fv_dataset *d);
bool fv_path_is_tu(const char *path, fv_arena *arena); /* a .zip, or a folder with a file *_graph_indicator.txt */
fv_status fv_path_open_series(const fv_data_open *o, fv_dataset *d); /* 70 % for training, 10 % validation, 20 % test */
fv_status fv_path_open_ratings(const fv_data_open *o, fv_dataset *d);
bool fv_path_is_texts(const fv_data_open *o); /* by its name, and whether a column of texts was asked for */
/* Files beside a file, found by their names; NULL: there is none. The labels of a file of images: */
const char *fv_path_labels(fv_arena *arena, const char *path);
/* Another part of what a training file is part of: "test" or "t10k", "valid", "val" or "dev" where it has "train". Of
 * split train it is the file itself. */
const char *fv_path_part(fv_arena *arena, const char *path, fv_split split);
bool fv_path_ends(const char *path, const char *suffix); /* "x.csv" and "x.csv.gz" both end in ".csv" */
bool fv_path_is_table(const char *path);                 /* .csv or .tsv, also .gz */
fv_status fv_path_open_table(const char *path, fv_csv **csv);

/* What a path holds for one split, measured; path NULL: no such part. */
typedef struct fv_part {
  const char *path;
  int64_t n;
  fv_shape image;
  int32_t *label; /* [n], heap */
} fv_part;
typedef fv_status fv_pour(const fv_part *part, void *arg, uint8_t *out); /* all images of the part */
/* Holds the parts; without part[FV_SPLIT_TEST] one is cut. d's classes must be set. */
fv_status fv_path_hold(const fv_data_open *o, fv_dataset *d, const fv_part part[FV_SPLITS], fv_pour *pour, void *arg);
void fv_path_free_parts(fv_part part[FV_SPLITS]);
/* [H,W,C] of `pixels` values a row: o->size when given, otherwise a square of 1 or 3 channels. */
fv_status fv_path_image_shape(const fv_data_open *o, const char *path, int64_t pixels, fv_shape *shape);
/* [H,W,C] of an array [n,H,W], [n,H,W,C] or [n,pixels]. */
fv_status fv_path_array_shape(const fv_data_open *o, const fv_array *a, const char *path, fv_shape *shape);
/* Checks that labels are 0 to 65535 and sets d's classes to 0..largest. */
fv_status fv_path_number_classes(const fv_part part[FV_SPLITS], fv_dataset *d);

/* ---- the embedded digits ----------------------------------------------------------------------------------------- */
enum { FV_DIGITS = 1797 };
extern const char fv_digits_text[FV_DIGITS][66]; /* the label, then 64 pixels 'a'..'q' */
/* Of one digit: its label, and its pixels 0..16 scaled to 0..255. */
int fv_digit_label(int i);
void fv_digit_pixels(int i, uint8_t pixels[64]);
/* Which digits are for testing: the split of both datasets made from them. */
fv_status fv_digits_cut(uint8_t is_test[FV_DIGITS]);

#endif
