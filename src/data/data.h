/* SPDX-License-Identifier: Apache-2.0 */
/* data.h (private): opened datasets and batches made from them.
 *
 * A sample is a few fields of fixed shape (image u8 [H,W,C], label i32 [], box f32 [4]) or of a length of its own
 * (tokens i32 [T]). A loader turns samples into batches: shuffled, augmented, standardised, those of like length
 * together, filled by a thread of its own one batch ahead. What a batch holds is a pure function of (seed, epoch,
 * position), so the position alone is a loader's state. */
#ifndef FV_DATA_DATA_H
#define FV_DATA_DATA_H

#include "base/base.h"
#include "fovea/data.h"
#include "fovea/text.h"
#include "os/os.h"
#include "text/text.h"

typedef struct fv_field {
  const char *name; /* "image", "label", "box" */
  fv_dtype dtype;
  fv_shape shape;   /* of one sample; the longest when it varies */
  bool varies;      /* the first dimension is the sample's length */
  bool shared;      /* the same for all samples: `all` (NULL when only planned); it is not read, and not batched */
  const void *all;
  bool drawn;       /* f32 pictures [k,H,W,C] of 255ths: a loader changes each by chance as it does an image */
} fv_field;
enum { FV_MAX_FIELDS = 8 };

/* The channels of a series: their names, and mean and deviation over the training rows alone, by which all rows are
 * standardised. One block of memory: fv_free. */
typedef struct fv_channels {
  int64_t n;
  const char **name;
  double *mean, *deviation;
} fv_channels;
fv_status fv_channels_new(int64_t n, const char *const *names, fv_channels **channels);

/* Whom and what ratings are about, and which row of a table is whose, learnt from the part for training. Row 0 is
 * padding, row 1 whatever is not known. One block of numbers and an arena: fv_catalogue_free. */
enum { FV_MOST_TRAITS = 8, FV_MOST_KINDS = 8 };
typedef struct fv_catalogue {
  fv_arena *arena;
  fv_wordmap user, item;     /* items are all there are; the first `items` were rated in training */
  fv_wordmap trait, kind;    /* "age=25-34": of a rating; "Comedy": of an item */
  int64_t items;
  int n_traits, n_kinds;     /* of one rating, of one item at most */
  const char **trait_name;   /* [n_traits] */
  const char **title;        /* [item.n] */
  int32_t *kinds;            /* [item.n, n_kinds]: rows of kinds, zeros behind */
} fv_catalogue;
fv_status fv_catalogue_new(int n_traits, int n_kinds, const char *const *trait_names, fv_catalogue **c);
/* The next item, which must be new; title NULL: its name. */
fv_status fv_catalogue_add(fv_catalogue *c, const char *name, size_t n, const char *title, const int32_t *kinds);
void fv_catalogue_free(fv_catalogue *c); /* NULL is fine */
static inline int32_t fv_catalogue_item_row(const fv_catalogue *c, int64_t item) {
  return item >= 0 && item < c->items ? (int32_t)item + 2 : 1;
}

enum { FV_MOST_WAYS = 256, FV_MOST_PICTURES = 4096 }; /* of an episode */

/* How files become samples where that is a choice, and what was learnt from the training split for it. It is the
 * model's, is kept with the model, and so reads other data as those it was trained on. */
typedef struct fv_reading {
  int64_t fold;                          /* of data without a test part: which of their folds is for testing */
  fv_tokenizer_options tokens;           /* how tokenisers are made */
  const char *vectors;                   /* file whose first words enter the vocabulary; NULL: none */
  int64_t vectors_words;                 /* so many */
  int64_t longest;                       /* tokens of a text that count, the first ones; 0: all */
  const char *text, *label;              /* columns of a table of one's own; NULL: by their usual names */
  bool skip_bad;                         /* rows with mistakes are left out */
  bool joint;                            /* of pairs: one tokeniser, learnt from both sides */
  fv_int_list neighbours;                /* of graphs: so many drawn at each step away from a node; none: all at once */
  bool directed;                         /* of graphs: an edge leads one way; otherwise both */
  fv_tokenizer *tokenizer[FV_TOKENIZED]; /* NULL: made by the first opening, from the training split */
  int64_t past, horizon;                 /* of series: rows a forecast sees, and rows to be forecast; 0: 96, 24 */
  fv_channels *channels;                 /* of series; NULL: likewise */
  double like, dislike;                  /* of ratings: liked from, not liked up to; like 0: the data are none */
  fv_catalogue *catalogue;               /* of ratings; NULL: likewise */
  int64_t ways, shots, queries; /* of episodes: classes, examples of each, questions about each; 0: 5, 1, 5 */
  int64_t superpixels; /* of images: they become graphs of about so many regions; 0: they stay images */
  double compactness;
  fv_shape picture;    /* of what they become graphs: [H,W,C]; ndim 0: the first opening says */
  fv_pool *pool;       /* shares what takes long; NULL: the caller does it alone */
  const char *ask; /* of ratings: the samples are all that this user ("*": each) has not rated; NULL: the ratings */
} fv_reading;
void fv_reading_free(fv_reading *r); /* what was learnt; NULL is fine */

typedef struct fv_dataset fv_dataset;
struct fv_dataset {
  const char *name;
  fv_arena *arena;
  int n_fields;
  fv_field field[FV_MAX_FIELDS];
  int64_t count[FV_SPLITS];
  int n_classes;
  const char *const *classes; /* names, n_classes of them */
  int64_t features;           /* of graphs: numbers that a node may have */
  /* Writes sample `index` of `split`, one buffer a field (NULL: not wanted). `draw` is the epoch: a generated dataset
   * makes another sample for another draw; test samples ignore it. Thread-safe; a pure function. */
  void (*read)(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]);
  /* How long a sample is, 1 or more: of a field that varies, `read` writes that much. NULL: no field varies. */
  int64_t (*length)(const fv_dataset *d, fv_split split, int64_t index);
  /* Who a sample is about, of ratings the user: a number for metrics that look at each by itself. NULL: nobody. */
  int64_t (*group)(const fv_dataset *d, fv_split split, int64_t index);
  /* Text k of a sample of texts as it was read; of training samples they are not kept. NULL: there are none. */
  fv_bytes (*text)(const fv_dataset *d, fv_split split, int64_t index, int k);
  void (*close)(fv_dataset *d);
  const struct fv_adjacency *adj; /* of a graph whose nodes are what is classified (graphs.c); NULL: it is none */
  fv_reading *reading, *own_reading; /* the latter NULL when it was given */
  double seconds_cut;    /* how long it took to cut its images into superpixels; 0: that had been done */
  int64_t skipped;       /* rows left out */
  const char *first_bad; /* what was wrong with the first of them */
  void *impl;
  void *slab; /* what `impl` keeps in memory, from fv_slab_new(FV_ACCOUNT_DATA) */
};

/* A graph in memory: edges into node i are neighbour[begin[i]] .. neighbour[begin[i+1]-1], rising, itself among
 * them. */
typedef struct fv_adjacency {
  int64_t nodes, edges;
  int32_t *begin, *neighbour;
  int32_t *label;           /* -1: not known */
  uint8_t *split;           /* an fv_split, or FV_SPLITS: of none */
  const char *const *name;  /* of nodes; NULL: their numbers */
} fv_adjacency;

/* How a row opens. With ledger->dry only shapes and counts are filled in and the slab is only counted. Where these are
 * known beforehand no file need exist; texts are read and what they teach is learnt. */
typedef struct fv_data_open {
  const fv_dataset_def *def;
  const char *path;      /* when the dataset is a path */
  fv_shape size;         /* "@HxWxC" behind it: [H,W] or [H,W,C]; ndim 0: not given */
  uint64_t seed;
  fv_reading *reading;
  fv_ledger *ledger;
  fv_progress *progress; /* of a download; may be NULL */
  void *progress_arg;
} fv_data_open;

struct fv_dataset_def {
  fv_dataset_info info;
  const fv_data_file *repack;     /* each of its files in another form, as good where a mirror has that; or NULL */
  const char *const *system_dirs; /* where a package puts its files, by base name; NULL-terminated or NULL */
  fv_status (*open)(const fv_data_open *o, fv_dataset *d); /* d is zeroed but for arena and name */
};
extern const fv_dataset_def *const fv_datasets[]; /* NULL-terminated; from datasets.list */

/* `name_or_path` as in fovea/data.h. Labels are checked against n_classes here, once. What `reading` lacks is learnt
 * and put there; it must outlive the dataset. NULL: defaults, which end with the dataset. */
fv_status fv_dataset_open(const char *name_or_path, fv_reading *reading, uint64_t seed, fv_ledger *ledger,
                          fv_progress *progress, void *arg, fv_dataset **d);
/* Into how many folds data without a test part are cut; 0: they have one. */
int fv_dataset_folds(const char *name_or_path);
/* Texts by themselves, to be read as `reading` says, which must have its tokenisers: the samples of split test, of no
 * class; of a pair they are the source, and `targets` what belongs to each (NULL: nothing). Texts are the rows' first
 * column; tables are borrowed for the call. */
fv_status fv_dataset_of_texts(const fv_text_table *texts, const fv_text_table *targets, fv_reading *reading,
                              fv_dataset **d);
/* The last rows of a series at `path`, to be read as `reading` says, which must know its channels: the one sample of
 * split test, whose future is zeros. */
fv_status fv_dataset_of_series(const char *path, fv_reading *reading, fv_dataset **d);
/* Images u8 [n,H,W,C] like reading->picture, borrowed, as graphs of superpixels: the samples of split test, label
 * -1. */
fv_status fv_dataset_of_pictures(const uint8_t *pixels, int64_t n, fv_reading *reading, fv_dataset **d);
/* Of superpixels: how many nodes and edges a node a graph of these images has at most. */
enum { FV_SUPERPIXEL_EDGES = 7 };
int64_t fv_superpixels_most(const fv_reading *reading);
/* Of such a dataset: an image u8 [H,W,C], and of which node of its graph each pixel is, u8 [H,W]; to be freed. */
fv_status fv_superpixels_look(const fv_dataset *d, fv_split split, int64_t index, fv_shape *shape, uint8_t **pixels,
                              uint8_t **segment);
/* Of ratings: the item, by its number in the catalogue, that place k of a sample's history is about; k -1: the one
 * asked about; -1: an item that the catalogue does not have. */
int64_t fv_ratings_item(const fv_dataset *d, fv_split split, int64_t index, int64_t k);
extern const char *const fv_level_names[FV_LEVELS];
/* The name of the user whom a sample is about. */
const char *fv_ratings_user(const fv_dataset *d, fv_split split, int64_t index);
void fv_dataset_close(fv_dataset *d); /* NULL is fine */
/* The end of what makes a dataset: it is handed over, or closed where `status` says that it could not be made. */
fv_status fv_dataset_give(fv_dataset *d, fv_status status, fv_dataset **dataset);
int fv_dataset_field(const fv_dataset *d, const char *name); /* -1 */
bool fv_dataset_has_images(const fv_dataset *d); /* that a loader can augment */
/* Bytes of a sample's field, where it varies of that length; of what is shared none. */
int64_t fv_field_bytes(const fv_field *field, int64_t length);
/* One field alone, of draw 0; the dataset has it. */
void fv_dataset_read_field(const fv_dataset *d, fv_split split, int64_t index, const char *field, void *out);

/* A few pictures of each of someone's own classes, as ink: what a model of episodes makes a classifier of. Its classes
 * are the model's. */
typedef struct fv_support {
  fv_arena *arena;
  int64_t n, h, w;
  int n_classes;
  const char *const *classes;
  const char **picture; /* [n]: "CLASS/NAME" */
  int32_t *label;       /* [n] */
  uint8_t *ink;         /* [n,h,w], 255 ink */
} fv_support;
/* Not yet filled; it takes the arena, where its texts are, unless it fails. */
fv_status fv_support_new(fv_arena **arena, int64_t n, int64_t h, int64_t w, fv_support **s);
/* A folder of folders CLASS/NAME.png or .jpg, two or more; any size. */
fv_status fv_support_read(const char *dir, int64_t h, int64_t w, fv_support **s);
void fv_support_free(fv_support *s); /* NULL is fine */
/* An episode of these and one query, the picture at `path`: the one sample of split test. The set must outlive it. */
fv_status fv_dataset_of_query(const fv_support *s, const char *path, fv_dataset **d);

/* ---- loader ------------------------------------------------------------------------------------------------------ */
/* Deterministic augmentation of images; everything 0: none. */
typedef struct fv_augment {
  int64_t shift;    /* translate by up to this many pixels each way (edges filled with the border's median) */
  bool flip;        /* mirror left-right, one in two */
  int64_t cutout;   /* a square of this side set to the mean (DeVries & Taylor 2017); 0: none */
  double rotate, scale; /* up to degrees; up to fraction: bilinear */
} fv_augment;

enum { FV_MAX_LENGTHS = 16 };
typedef struct fv_loader_options {
  const fv_dataset *data;
  fv_split split;
  int64_t from, to;      /* part of the split's fixed shuffle (seed): [from, to); validation is the tail of train */
  int64_t batch;
  uint64_t seed;
  bool shuffle;          /* a new order each epoch; otherwise the split's, or of a part the fixed shuffle's */
  bool drop_last;        /* leave out a partial last batch; otherwise its first is repeated and `n` is less */
  bool ahead;            /* fill the next batch on another thread */
  fv_augment augment;
  int n_channels;        /* image standardisation: (x/255 - mean) / deviation per channel; deviation 0: raw x/255 */
  float mean[4], deviation[4];
  /* Of samples that vary: the lengths a batch may have, rising; the last is that of the longest sample or more. A batch
   * has the first that its longest sample fits, with zeros behind shorter ones. Samples are put together by these. */
  int64_t length[FV_MAX_LENGTHS];
  int n_lengths;
  int64_t epoch, position; /* where to begin: epoch, and batch within it */
} fv_loader_options;
/* The first of n rising lengths that a sample of `length` fits; the last takes all that are longer. n 0: 0. */
int fv_length_bucket(const int64_t *lengths, int n, int64_t length);

typedef struct fv_batch {
  int64_t n;              /* samples that count, <= options.batch */
  int64_t epoch, position;
  int bucket;             /* which of options.length; 0 when nothing varies */
  int64_t length;         /* that length; 0 when nothing varies */
  /* image as f32 [batch,H,W,C] standardised; what varies [batch,length,...]; what is shared itself; others as stored */
  void *field[FV_MAX_FIELDS];
  const int64_t *index;   /* sample numbers in the split */
} fv_batch;

typedef struct fv_loader fv_loader;
fv_status fv_loader_new(const fv_loader_options *options, fv_ledger *ledger, fv_loader **loader);
void fv_loader_free(fv_loader *loader); /* NULL is fine */
int64_t fv_loader_batches(const fv_loader *loader); /* an epoch's */
fv_split fv_loader_split(const fv_loader *loader);
/* The next batch; goes on into the next epoch. Valid until the next call. Allocates nothing. */
const fv_batch *fv_loader_next(fv_loader *loader);
/* One image through the same standardisation, for predictions: u8 [H,W,C] to f32. */
void fv_standardise(const uint8_t *pixels, int64_t n_pixels, int n_channels, const float *mean, const float *deviation,
                    float *out);
/* The split's fixed shuffle, of which loaders take parts: `order` has count[split] places. */
void fv_data_part_order(const fv_dataset *d, fv_split split, uint64_t seed, int32_t *order);
/* Mean and deviation of channel values / 255 over [from, to) of a split's fixed shuffle (f64, fixed order). */
fv_status fv_data_statistics(const fv_dataset *d, fv_split split, int64_t from, int64_t to, uint64_t seed,
                             float mean[4], float deviation[4]);

#endif
