/* SPDX-License-Identifier: Apache-2.0 */
/* io.h (private): file formats, pictures and pages.
 *
 * Readers come in pairs: NAME_open or NAME_read takes a path, NAME_parse takes bytes already in memory and `what`, the
 * name used in messages. Every reader treats its input as hostile: sizes are checked before memory is taken, nothing is
 * read outside the input, and a failure leaves the result empty with nothing to free. FV_ERR_CORRUPT says that the
 * bytes break their format, FV_ERR_REQUEST that they are sound but not what was asked for or not supported.
 * Files are written whole or not at all, except the event log, which grows by appending. */
#ifndef FV_IO_IO_H
#define FV_IO_IO_H

#include "os/os.h"

#include <jansson.h>
#include <zlib.h>

/* ---- arrays: what safetensors, npy and idx files hold ------------------------------------------------------------*/
typedef enum fv_elem {
  FV_ELEM_U8,
  FV_ELEM_I32,
  FV_ELEM_I64,
  FV_ELEM_F16,
  FV_ELEM_BF16,
  FV_ELEM_F32,
  FV_ELEM_F64,
  FV_ELEMS
} fv_elem;
extern const char *const fv_elem_names[FV_ELEMS + 1]; /* as in safetensors: "U8", "I32", ..., NULL */
extern const uint8_t fv_elem_sizes[FV_ELEMS];

#define FV_ARRAY_DIMS 8
typedef struct fv_array { /* little-endian, C order; data may be unaligned: read it through fv_array_to_* */
  const char *name;       /* NULL where the format has none */
  fv_elem elem;
  int ndim;
  int64_t dim[FV_ARRAY_DIMS];
  int64_t count; /* product of dim; 1 for a scalar */
  size_t bytes;
  const void *data;
} fv_array;
/* Sets count and bytes from elem, ndim and dim; FV_ERR_CORRUPT when a dimension is negative or the product is huge. */
fv_status fv_array_measure(fv_array *a, const char *what);
/* Copies with conversion. To f32 from every type (f64 and integers round to nearest); to i32 from u8, i32 and i64,
 * where a value out of range is FV_ERR_CORRUPT. `out` has a->count elements. */
fv_status fv_array_to_f32(const fv_array *a, float *out);
fv_status fv_array_to_i32(const fv_array *a, int32_t *out);
float fv_half_to_float(uint16_t half);
/* "[2,3,4]" in one of a few rotating per-thread buffers: for messages. */
const char *fv_dims_text(const int64_t *dim, int ndim);
/* Bytes of a file made fit for a one-line message: at most 64, what is not printable as \xNN. Rotating buffers. */
const char *fv_show(const char *bytes, size_t n);

/* ---- SHA-256 (FIPS 180-4) ---------------------------------------------------------------------------------------- */
typedef struct fv_sha256 {
  uint32_t state[8];
  uint64_t length;
  uint8_t block[64];
} fv_sha256;
void fv_sha256_init(fv_sha256 *s);
void fv_sha256_update(fv_sha256 *s, const void *bytes, size_t n);
void fv_sha256_final(fv_sha256 *s, char hex[65]); /* lower case, NUL-terminated */
fv_status fv_sha256_file(const char *path, char hex[65]);

/* ---- gzip -------------------------------------------------------------------------------------------------------- */
typedef struct fv_gzip { /* bytes that may be gzip (one or more members) or plain: read as a stream either way */
  const char *what;
  z_stream z;  /* z.next_in: the unread bytes */
  size_t rest; /* how many of them; zlib's own counts are too narrow */
  bool packed, ended;
} fv_gzip;
bool fv_is_gzip(const void *bytes, size_t n);
/* `bytes` is borrowed until close. */
fv_status fv_gzip_open(const void *bytes, size_t n, const char *what, fv_gzip *g);
/* Fills as much of `out` as the stream still has; *got < n only at its end. */
fv_status fv_gzip_read(fv_gzip *g, void *out, size_t n, size_t *got);
/* No stream holds more than this: deflate cannot do better than 1032 to 1. A cheap test of a header's claim. */
size_t fv_gzip_most(const void *bytes, size_t n);
void fv_gzip_close(fv_gzip *g);
/* The whole stream in fresh memory, NUL added beyond *size; more than `limit` bytes is FV_ERR_REQUEST. */
fv_status fv_gzip_read_all(const void *bytes, size_t n, const char *what, size_t limit, char **out, size_t *size);

/* ---- safetensors ------------------------------------------------------------------------------------------------- */
typedef struct fv_safetensors fv_safetensors;
typedef struct fv_pair { /* one entry of __metadata__ */
  const char *key, *value;
} fv_pair;
fv_status fv_safetensors_open(const char *path, fv_safetensors **file); /* mapped; the arrays point into the file */
fv_status fv_safetensors_parse(const void *bytes, size_t n, const char *what, fv_safetensors **file); /* borrowed */
void fv_safetensors_close(fv_safetensors *file);
int64_t fv_safetensors_count(const fv_safetensors *file);
const fv_array *fv_safetensors_at(const fv_safetensors *file, int64_t i); /* by name, bytewise ascending */
const fv_array *fv_safetensors_find(const fv_safetensors *file, const char *name); /* NULL: none */
const char *fv_safetensors_meta(const fv_safetensors *file, const char *key);      /* NULL: none */
/* The header lists the tensors by name; the bytes lie by element size (widest first), then name, so that each tensor
 * is aligned to its elements in a mapped file. Equal names are FV_ERR_REQUEST. The arrays may be in any order. */
fv_status fv_safetensors_write(const char *path, const fv_array *arrays, int64_t n, const fv_pair *meta,
                               int64_t n_meta);
/* SHA-256 over the arrays' bytes in name order: the command line's weights_sha256. */
fv_status fv_arrays_sha256(const fv_array *arrays, int64_t n, char hex[65]);

/* ---- npy, idx, cifar --------------------------------------------------------------------------------------------- */
typedef struct fv_npy {
  fv_array array;
  fv_map map;
} fv_npy;
/* Versions 1 and 2; |u1 <i4 <i8 <f2 <f4 <f8 in C order. */
fv_status fv_npy_open(const char *path, fv_npy *npy);
fv_status fv_npy_parse(const void *bytes, size_t n, const char *what, fv_array *array); /* points into bytes */
void fv_npy_close(fv_npy *npy);

/* IDX (u8, i32, f32, f64), plain or gzip; array->data is fresh memory in this machine's byte order: fv_idx_free.
 * Content of more than `limit` bytes is FV_ERR_REQUEST. */
fv_status fv_idx_read(const char *path, size_t limit, fv_array *array);
fv_status fv_idx_parse(const void *bytes, size_t n, const char *what, size_t limit, fv_array *array);
void fv_idx_free(fv_array *array);
/* The header alone, of a stream just opened; the data follow in it. For callers who know where the data shall go. */
fv_status fv_idx_header(fv_gzip *g, fv_array *array);

/* CIFAR binary batches: `label_bytes` 1 (CIFAR-10) or 2 (CIFAR-100: coarse, fine). */
typedef struct fv_cifar {
  int64_t n;
  uint8_t *pixels; /* [n,32,32,3] */
  uint8_t *labels; /* [n]: the last label byte of each record */
} fv_cifar;
fv_status fv_cifar_read(const char *path, int label_bytes, fv_cifar *batch);
fv_status fv_cifar_parse(const void *bytes, size_t n, const char *what, int label_bytes, fv_cifar *batch);
void fv_cifar_free(fv_cifar *batch);

/* ---- pickles of Python ------------------------------------------------------------------------------------------- */
typedef enum fv_pickle_kind {
  FV_PICKLE_NONE,
  FV_PICKLE_NUMBER, /* whole; also True and False */
  FV_PICKLE_TEXT,
  FV_PICKLE_LIST,   /* also a tuple */
  FV_PICKLE_DICT,   /* items: key, value, key, value */
  FV_PICKLE_OBJECT  /* text: the class's name; its arguments and state */
} fv_pickle_kind;
typedef struct fv_pickle fv_pickle;
struct fv_pickle {
  fv_pickle_kind kind;
  int64_t number;
  const char *text;
  int64_t size;     /* of text */
  fv_pickle **item;
  int64_t n, room;
  const fv_pickle *args, *state;
};
/* Nothing in it is executed. Values live in `arena` and point into `bytes`; a list may hold itself. */
fv_status fv_pickle_parse(const void *bytes, size_t n, const char *what, fv_arena *arena, const fv_pickle **root);
const fv_pickle *fv_pickle_get(const fv_pickle *dict, const char *key); /* NULL: none */
bool fv_pickle_is(const fv_pickle *v, const char *name); /* an object of that class: "scipy.sparse.csr.csr_matrix" */
fv_status fv_pickle_array(const fv_pickle *v, const char *what, fv_array *array); /* of NumPy; points into the bytes */

/* ---- CSV --------------------------------------------------------------------------------------------------------- */
typedef struct fv_csv fv_csv;
typedef struct fv_csv_options {
  char separator; /* 0: comma */
  bool no_quotes; /* quotes are ordinary characters, as in most .tsv files */
  size_t limit;   /* most bytes of text, unpacked; 0: 1 GiB */
} fv_csv_options;
/* RFC 4180, with LF or CRLF; a byte-order mark is skipped, empty lines too. Plain or gzip. NULL: defaults. */
fv_status fv_csv_open(const char *path, const fv_csv_options *options, fv_csv **csv);
fv_status fv_csv_parse(const void *bytes, size_t n, const char *what, const fv_csv_options *options, fv_csv **csv);
/* The next row; *n is 0 at the end. The fields stay valid until close. */
fv_status fv_csv_next(fv_csv *csv, char ***fields, size_t *n);
int64_t fv_csv_line(const fv_csv *csv); /* the line on which the last row began, from 1 */
void fv_csv_close(fv_csv *csv);
typedef struct fv_matrix {
  int64_t rows, cols;
  float *v; /* [rows,cols] */
} fv_matrix;
/* The remaining rows as numbers; every row must be as wide as the first. The caller skips a header with fv_csv_next. */
fv_status fv_csv_matrix(fv_csv *csv, fv_matrix *matrix);
void fv_matrix_free(fv_matrix *matrix);
/* Whole numbers of [0, 255] as bytes; anything else is FV_ERR_CORRUPT. `out` has rows * cols elements. */
fv_status fv_matrix_to_u8(const fv_matrix *matrix, const char *what, uint8_t *out);

/* ---- JSON -------------------------------------------------------------------------------------------------------- */
/* Strict (RFC 8259, duplicate keys refused): at most `limit` bytes and 64 levels. Messages say line and column. Free
 * the result with json_decref. */
fv_status fv_json_parse(const void *bytes, size_t n, const char *what, size_t limit, json_t **root);
fv_status fv_json_read(const char *path, size_t limit, json_t **root);

/* Writes one line: zero-initialise, begin an object or array, add members, end it; then `text` holds it. `key` is NULL
 * inside an array and at the top. Numbers have the fewest digits that read back equal; NaN and infinity become null. */
typedef struct fv_json {
  fv_text text;
  bool comma;
} fv_json;
void fv_json_begin(fv_json *j, const char *key, char bracket); /* '{' or '[' */
void fv_json_end(fv_json *j, char bracket);                    /* '}' or ']' */
void fv_json_text(fv_json *j, const char *key, const char *value); /* NULL value: null */
void fv_json_bytes(fv_json *j, const char *key, const char *s, size_t n); /* UTF-8, not ended by a NUL */
void fv_json_int(fv_json *j, const char *key, int64_t value);
void fv_json_real(fv_json *j, const char *key, double value);
void fv_json_float(fv_json *j, const char *key, float value); /* the digits a float needs: 0.1, not 0.10000000149 */
void fv_json_bool(fv_json *j, const char *key, bool value);
void fv_json_value(fv_json *j, const char *key, const json_t *value);
void fv_json_free(fv_json *j);
/* How what made a text ends: it is handed over as *text, unless `status` is a failure or memory ran out, which is then
 * said of `what`: it is freed. */
fv_status fv_json_give(fv_json *j, fv_status status, const char *what, char **text);
fv_status fv_json_write(const fv_json *j, const char *what, const char *path); /* the text as a file; fails likewise */
void fv_number_print(fv_text *t, double v); /* the digits alone, as in JSON */

/* ---- images ------------------------------------------------------------------------------------------------------ */
typedef struct fv_image {
  int w, h, channels; /* 1 grey, 3 RGB */
  uint8_t *pixels;    /* [h,w,channels] */
} fv_image;
#define FV_IMAGE_SIDE 32768
#define FV_IMAGE_PIXELS (256 << 20)
fv_status fv_image_new(int w, int h, int channels, fv_image *image); /* black */
void fv_image_free(fv_image *image);
/* PNG or JPEG, told apart by their first bytes. channels 1 or 3 converts, 0 keeps what the file has. Transparent pixels
 * lie on white, 16-bit samples are reduced, palettes expanded; EXIF orientation is not applied. */
fv_status fv_image_read(const char *path, int channels, fv_image *image);
fv_status fv_image_parse(const void *bytes, size_t n, const char *what, int channels, fv_image *image);
/* Appends the encoded file to `out`. */
fv_status fv_image_encode_png(const fv_image *image, fv_text *out);
fv_status fv_image_encode_jpeg(const fv_image *image, int quality, fv_text *out);
fv_status fv_image_write_png(const char *path, const fv_image *image);
fv_status fv_image_write_jpeg(const char *path, const fv_image *image, int quality);
/* Linear interpolation, averaging over the pixels covered when the image shrinks. `out` is fresh. */
fv_status fv_image_resize(const fv_image *image, int w, int h, fv_image *out);
/* To 1 channel (ITU-R BT.601 luma) or 3; a copy when it has that many already. */
fv_status fv_image_convert(const fv_image *image, int channels, fv_image *out);
/* Readers and writers of one format each; called by the functions above. */
fv_status fv_png_parse(const void *bytes, size_t n, const char *what, fv_image *image);
fv_status fv_jpeg_parse(const void *bytes, size_t n, const char *what, fv_image *image);
/* FV_ERR_CORRUPT when empty or past the limits. */
fv_status fv_image_check_size(int64_t w, int64_t h, const char *what);

/* ---- TensorBoard event log --------------------------------------------------------------------------------------- */
typedef struct fv_events fv_events;
/* Opens the log for appending, or starts it. What lies beyond the last whole record is cut off, and so is everything
 * from the first record on whose step is past `last_step`: a run resumed from a checkpoint at that step leaves no
 * doubled points. INT64_MAX keeps all. For TensorBoard to find it, the file's name must contain "tfevents". */
fv_status fv_events_open(const char *path, int64_t last_step, double wall_seconds, fv_events **events);
/* One record, handed to the system at once. */
fv_status fv_events_scalar(fv_events *events, const char *tag, int64_t step, double wall_seconds, float value);
fv_status fv_events_close(fv_events *events); /* frees in any case; NULL is fine */
uint32_t fv_crc32c(uint32_t crc, const void *bytes, size_t n); /* Castagnoli; start with 0 */

/* ---- charts ------------------------------------------------------------------------------------------------------ */
typedef struct fv_series {
  const char *name; /* NULL: not in the legend */
  const double *x, *y; /* points that are not finite leave a gap */
  int64_t n;
  bool dashed, markers;
} fv_series;
typedef struct fv_panel {
  const char *title, *x_label, *y_label; /* NULL: none */
  const fv_series *series;
  int n_series;
  bool log_y; /* values that are not positive are left out */
  double x_low, x_high; /* both 0: as far as the points reach */
} fv_panel;
typedef struct fv_figure {
  const char *title; /* NULL: none */
  const fv_panel *panels;
  int n_panels;      /* side by side */
  bool stacked;      /* one below the other instead */
  int width, height; /* in points; 0: 480 and 340 a panel */
  double scale;      /* pixels a point; 0: 2 */
} fv_figure;
/* Needs libcairo, loaded on first use: FV_ERR_NOTFOUND names the package where it is missing. */
fv_status fv_figure_draw(const fv_figure *figure, fv_image *out);
fv_status fv_figure_write_png(const char *path, const fv_figure *figure);

/* ---- heat maps --------------------------------------------------------------------------------------------------- */
typedef enum fv_colormap { FV_COLORMAP_IRIS, FV_COLORMAP_EMBER, FV_COLORMAP_GREY } fv_colormap;
/* Evenly spaced in perceived lightness, dark to light; v is clamped to [0, 1], NaN counts as 0. */
void fv_colormap_rgb(fv_colormap map, double v, uint8_t rgb[3]);
typedef struct fv_overlay {
  fv_colormap colormap;
  double alpha;       /* 0..1: the map's share where it is strongest */
  int upscale;        /* whole factor on the image's size; 0: 1 */
  bool raw;           /* the map is already in [0, 1]; otherwise its range is stretched to that */
  bool box, marker;   /* draw them, in image pixels */
  double box_x, box_y, box_w, box_h;
  double marker_x, marker_y; /* (0.5, 0.5) is the middle of the first pixel */
} fv_overlay;
/* The map [h,w], enlarged with linear interpolation, over the greyed image. */
fv_status fv_heatmap_overlay(const fv_image *image, const float *map, int h, int w, const fv_overlay *overlay,
                             fv_image *out);
/* The map alone as an image of the given size. */
fv_status fv_heatmap_image(const float *map, int h, int w, fv_colormap colormap, int out_w, int out_h, fv_image *out);
/* Tiles in rows of `columns`, each with its caption below (NULL: none) and an optional title on top. Captions need
 * libcairo. */
typedef struct fv_tile {
  const fv_image *image;
  const char *caption;
} fv_tile;
fv_status fv_contact_sheet(const char *title, const fv_tile *tiles, int n, int columns, fv_image *out);

/* A matrix [rows, columns] of numbers from 0 as squares, the darker the larger (the largest is black), with a text at
 * each row and, turned, above each column. squares.c */
typedef struct fv_squares {
  const char *title; /* may be NULL */
  int rows, columns;
  const char *const *row, *const *column;
  const float *v;
} fv_squares;
fv_status fv_squares_picture(const fv_squares *m, fv_image *out);

/* A node of a graph and those around it. node[0] is the one in the middle; every other one's parent comes before it.
 * neighbourhood.c */
typedef struct fv_drawn_node {
  const char *name;
  int parent, hop, of_class; /* class -1: none */
  bool known;                /* its class was given: drawn with a rim */
  double share;              /* how much it counts: its size */
} fv_drawn_node;
typedef struct fv_drawn_edge {
  int from, to;
  double weight; /* 0..1 */
} fv_drawn_edge;
typedef struct fv_neighbourhood {
  const char *title;
  int n_nodes, n_edges, n_classes;
  const fv_drawn_node *node;
  const fv_drawn_edge *edge;
  const char *const *classes;
} fv_neighbourhood;
fv_status fv_neighbourhood_picture(const fv_neighbourhood *h, fv_image *out);
void fv_neighbourhood_dot(const fv_neighbourhood *h, fv_text *out); /* for Graphviz */

/* Numbers of either sign, a line each, as long as they are large. bars.c */
typedef enum fv_bar_colour { FV_BAR_BLUE, FV_BAR_RED, FV_BAR_GREY, FV_BAR_COLOURS } fv_bar_colour;
typedef struct fv_bar {
  const char *name;
  double value;
  fv_bar_colour colour;
} fv_bar;
typedef struct fv_bars {
  const char *title; /* may be NULL */
  const fv_bar *bar;
  int64_t n;
} fv_bars;
fv_status fv_bars_picture(const fv_bars *bars, fv_image *out); /* needs libcairo */
fv_status fv_term_bars(const fv_bars *bars, int columns, fv_text *out);

typedef enum fv_term { FV_TERM_PLAIN, FV_TERM_256, FV_TERM_TRUECOLOR } fv_term;
fv_term fv_term_detect(int fd); /* plain when not a terminal, or NO_COLOR is set, or TERM is "dumb" */
/* Appends the image as text at most `columns` wide: two pixels a character in colour, a ramp of characters in plain. */
fv_status fv_term_image(const fv_image *image, int columns, fv_term term, fv_text *out);
fv_status fv_term_heatmap(const float *map, int h, int w, fv_colormap colormap, int columns, fv_term term,
                          fv_text *out);

/* ---- words, each with a weight ----------------------------------------------------------------------------------- */
typedef struct fv_marked_word {
  const char *s; /* UTF-8, n bytes */
  int n;
  bool glued;    /* no blank before it */
  bool unknown;  /* not in the vocabulary: underlined, in plain between angle brackets */
  double v, number; /* 0..1: how strongly it is marked; the weight as it is, where numbers are shown */
} fv_marked_word;
typedef struct fv_marked { /* a text of them, with a line above it (NULL: none) */
  const char *caption;
  const fv_marked_word *word;
  int64_t n;
} fv_marked;
/* Behind a word its colour says how much; in plain its number follows in brackets. Lines are at most `columns` wide. */
fv_status fv_term_marked(const fv_marked *text, int columns, fv_term term, fv_text *out);
/* The texts below each other, `width` points wide, words on coloured boxes. Needs libcairo. */
fv_status fv_marked_draw(const char *title, const fv_marked *texts, int n, int width, fv_image *out);

/* ---- pages ------------------------------------------------------------------------------------------------------- */
/* One self-contained HTML page. Every text is escaped. Zero-initialise, begin, add, write; fv_page_free in any case. */
typedef struct fv_page {
  fv_text text;
  bool row; /* inside a row of figures */
} fv_page;
void fv_page_begin(fv_page *p, const char *title, const char *lead); /* lead: a line under the title; NULL: none */
void fv_page_heading(fv_page *p, const char *text);
void fv_page_paragraph(fv_page *p, const char *fmt, ...) FV_PRINTF(2, 3);
/* cells[rows * cols], the first row is the head; columns of numbers are aligned to the right. */
void fv_page_table(fv_page *p, const char *const *cells, int64_t rows, int64_t cols);
/* Figures that follow each other stand side by side as the window allows. width in CSS pixels; 0: the image's. */
fv_status fv_page_image(fv_page *p, const fv_image *image, int width, const char *caption);
void fv_page_marked(fv_page *p, const fv_marked *text); /* the weight of a word under the pointer is shown */
fv_status fv_page_write(fv_page *p, const char *path); /* ends the page */
void fv_page_free(fv_page *p);

#endif
