/* SPDX-License-Identifier: Apache-2.0 */
/* path_csv.c: images as rows of text; a table with a column "text" is handed over to path_texts.c. The file is gone
 * through three times (layout, labels, pixels), so that only the text itself is held beside the images, and a plan can
 * know all sizes without holding any. */
#include "data/sets.h"

#include <math.h>
#include <strings.h>

enum { MAX_CLASSES = 4096 };

typedef struct layout {
  int64_t n, columns;
  bool header, label_first;
  bool texts; /* not images: a column is named so */
} layout;

typedef struct walk walk;
typedef fv_status row_task(walk *w, char **field, int64_t row);
struct walk {
  const char *path;
  const layout *layout;
  fv_csv *csv;
  row_task *task;
  void *arg;
};

static fv_status walk_rows(walk *w, int64_t *n) {
  fv_status status = FV_OK;
  char **field;
  size_t columns;
  *n = 0;
  FV_TRY(fv_path_open_table(w->path, &w->csv));
  if (w->layout->header) FV_TRY_DONE(fv_csv_next(w->csv, &field, &columns));
  for (;; ++*n) {
    FV_TRY_DONE(fv_csv_next(w->csv, &field, &columns));
    if (columns == 0) break;
    FV_REQUIRE_DONE((int64_t)columns == w->layout->columns, FV_ERR_CORRUPT,
                    "dataset (%s, line %lld): expected %lld columns, got %zu", w->path,
                    (long long)fv_csv_line(w->csv), (long long)w->layout->columns, columns);
    FV_TRY_DONE(w->task(w, field, *n));
  }
done:
  fv_csv_close(w->csv);
  return status;
}

/* ---- layout ------------------------------------------------------------------------------------------------------ */
typedef struct last_column {
  char first[32];
  bool varies;
} last_column;

/* All but the label are numbers: whoever has texts and did not say so is told before anything is made of them. */
static fv_status expect_numbers(const walk *w, char **field) {
  const char *other = NULL;
  int64_t others = 0;
  double number;
  for (int64_t i = 0; i < w->layout->columns; i++)
    if (!fv_parse_real(field[i], &number)) other = field[i], others++;
  FV_REQUIRE(others <= 1, FV_ERR_CORRUPT,
             "dataset (%s, line %lld): expected pixels and a label, got '%s'; of texts text=COLUMN names the column",
             w->path, (long long)fv_csv_line(w->csv), fv_show(other, strlen(other)));
  return FV_OK;
}

static fv_status watch_last(walk *w, char **field, int64_t row) {
  last_column *last = w->arg;
  const char *v = field[w->layout->columns - 1];
  if (row == 0) FV_TRY(expect_numbers(w, field));
  if (row == 0) snprintf(last->first, sizeof last->first, "%s", v);
  else if (strncmp(v, last->first, sizeof last->first - 1) != 0) last->varies = true;
  return FV_OK;
}

static bool is_label_name(const char *s) {
  return strcasecmp(s, "label") == 0 || strcasecmp(s, "class") == 0 || strcasecmp(s, "target") == 0 ||
         strcasecmp(s, "y") == 0;
}

/* The first line: a header's middle column is no number, a row's is a pixel. */
static fv_status read_first(const char *path, layout *l, bool *named) {
  fv_status status = FV_OK;
  fv_csv *csv = NULL;
  char **field;
  size_t n;
  double number;
  FV_TRY(fv_path_open_table(path, &csv));
  FV_TRY_DONE(fv_csv_next(csv, &field, &n));
  for (size_t i = 0; i < n; i++) l->texts |= strcmp(field[i], "text") == 0;
  if (l->texts) goto done;
  FV_REQUIRE_DONE(n > 0, FV_ERR_REQUEST, "dataset (%s): expected images, got none", path);
  FV_REQUIRE_DONE(n >= 2, FV_ERR_REQUEST, "dataset (%s): expected columns of pixels and a label, got one column", path);
  l->columns = (int64_t)n;
  l->header = !fv_parse_real(field[n / 2 - (n == 2)], &number);
  l->label_first = l->header && is_label_name(field[0]);
  *named = l->label_first || (l->header && is_label_name(field[n - 1]));
done:
  fv_csv_close(csv);
  return status;
}

static fv_status find_layout(const char *path, layout *l) {
  last_column last = {0};
  bool named = false;
  *l = (layout){0};
  FV_TRY(read_first(path, l, &named));
  if (l->texts) return FV_OK;
  walk w = {.path = path, .layout = l, .task = watch_last, .arg = &last};
  FV_TRY(walk_rows(&w, &l->n));
  FV_REQUIRE(l->n > 0, FV_ERR_REQUEST, "dataset (%s): expected images, got only a header", path);
  if (!named) l->label_first = !last.varies;
  return FV_OK;
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */
/* Names in order of appearance; numbers are names, too, until all are seen. */
typedef struct name_table {
  fv_arena *arena;
  const char *name[MAX_CLASSES];
  int n;
  int32_t *label; /* of the part being read */
} name_table;

static fv_status take_label(walk *w, char **field, int64_t row) {
  name_table *t = w->arg;
  const char *v = field[w->layout->label_first ? 0 : w->layout->columns - 1];
  int k = row > 0 ? t->label[row - 1] : 0;
  if (k >= t->n || strcmp(t->name[k], v) != 0)
    for (k = 0; k < t->n && strcmp(t->name[k], v) != 0;) k++;
  FV_REQUIRE(*v, FV_ERR_CORRUPT, "dataset (%s, line %lld): expected a label, got nothing", w->path,
             (long long)fv_csv_line(w->csv));
  FV_REQUIRE(k < MAX_CLASSES, FV_ERR_REQUEST, "dataset (%s, line %lld): expected at most %d different labels, got more",
             w->path, (long long)fv_csv_line(w->csv), MAX_CLASSES);
  if (k == t->n) {
    t->name[t->n++] = fv_arena_strdup(t->arena, v);
    FV_REQUIRE(t->name[k], FV_ERR_MEMORY, "dataset (%s): no memory for names", w->path);
  }
  t->label[row] = k;
  return FV_OK;
}

/* "3" and "3.0" are numbers; what is below 0 or has a fraction is a mistake, not a name. */
static fv_status label_numbers(const fv_dataset *d, const name_table *t, int32_t *number, bool *all) {
  double v = 0;
  for (int k = 0; k < t->n; k++) {
    *all = fv_parse_real(t->name[k], &v);
    if (!*all) return FV_OK;
    FV_REQUIRE(v >= 0 && v <= 65535 && v == floor(v), FV_ERR_CORRUPT,
               "dataset (%s): expected whole-number labels of 0 to 65535, got %s", d->name, t->name[k]);
    number[k] = (int32_t)v;
  }
  return FV_OK;
}

static void sorted_ranks(const name_table *t, int32_t *rank) {
  for (int i = 0; i < t->n; i++) {
    rank[i] = 0;
    for (int k = 0; k < t->n; k++) rank[i] += strcmp(t->name[k], t->name[i]) < 0;
  }
}

static fv_status settle_labels(fv_dataset *d, const name_table *t, fv_part part[FV_SPLITS]) {
  int32_t final[MAX_CLASSES];
  bool numbers = true;
  FV_TRY(label_numbers(d, t, final, &numbers));
  if (!numbers) sorted_ranks(t, final);
  for (int s = 0; s < FV_SPLITS; s++)
    for (int64_t i = 0; i < part[s].n; i++) part[s].label[i] = final[part[s].label[i]];
  if (numbers) return fv_path_number_classes(part, d);
  const char **names = fv_arena_alloc(d->arena, (size_t)t->n * sizeof *names);
  FV_REQUIRE(names, FV_ERR_MEMORY, "dataset (%s): no memory for names", d->name);
  for (int k = 0; k < t->n; k++) names[final[k]] = t->name[k];
  d->classes = names;
  d->n_classes = t->n;
  return FV_OK;
}

/* ---- pixels ------------------------------------------------------------------------------------------------------ */
typedef struct pixels {
  uint8_t *out;
} pixels;

/* Short and plain numbers, which nearly all are, without the general parser. */
static bool parse_byte(const char *s, uint8_t *v) {
  int n = 0, k = 0;
  for (; k < 3 && s[k] >= '0' && s[k] <= '9'; k++) n = 10 * n + s[k] - '0';
  if (k > 0 && s[k] == 0 && n <= 255) return *v = (uint8_t)n, true;
  double real;
  if (!fv_parse_real(s, &real) || real < 0 || real > 255 || real != floor(real)) return false;
  return *v = (uint8_t)real, true;
}

static fv_status take_pixels(walk *w, char **field, int64_t row) {
  int64_t n = w->layout->columns - 1;
  uint8_t *out = ((pixels *)w->arg)->out + row * n;
  if (w->layout->label_first) field++;
  for (int64_t i = 0; i < n; i++)
    FV_REQUIRE(parse_byte(field[i], &out[i]), FV_ERR_CORRUPT,
               "dataset (%s, line %lld): expected pixels that are whole numbers of 0 to 255, got '%s'", w->path,
               (long long)fv_csv_line(w->csv), fv_show(field[i], strlen(field[i])));
  return FV_OK;
}

static fv_status pour(const fv_part *part, void *arg, uint8_t *out) {
  const layout *l = (const layout *)arg;
  layout here;
  int64_t n;
  FV_TRY(find_layout(part->path, &here));
  here.label_first = l->label_first;
  FV_REQUIRE(here.n == part->n && here.columns == l->columns, FV_ERR_IO,
             "dataset (%s): expected the same rows as a moment ago, got others", part->path);
  return walk_rows(&(walk){.path = part->path, .layout = &here, .task = take_pixels, .arg = &(pixels){out}}, &n);
}

static fv_status measure(const fv_data_open *o, const char *path, layout *l, name_table *names, fv_part *part) {
  int64_t n;
  part->path = path;
  FV_TRY(fv_path_image_shape(o, path, l->columns - 1, &part->image));
  FV_TRY(FV_NEW(&part->label, l->n));
  part->n = l->n;
  names->label = part->label;
  return walk_rows(&(walk){.path = path, .layout = l, .task = take_label, .arg = names}, &n);
}

fv_status fv_path_open_csv(const fv_data_open *o, fv_dataset *d) {
  fv_status status = FV_OK;
  fv_part part[FV_SPLITS] = {0};
  layout train, test;
  name_table *names = NULL;
  const char *test_path = fv_path_part(d->arena, o->path, FV_SPLIT_TEST);
  FV_TRY(find_layout(o->path, &train));
  if (train.texts) return fv_path_open_texts(o, d);
  FV_TRY_DONE(FV_NEW(&names, 1));
  names->arena = d->arena;
  FV_TRY_DONE(measure(o, o->path, &train, names, &part[FV_SPLIT_TRAIN]));
  if (test_path) {
    FV_TRY_DONE(find_layout(test_path, &test));
    FV_REQUIRE_DONE(!test.texts, FV_ERR_CORRUPT, "dataset (%s): expected pixels and a label, got a column 'text'",
                    test_path);
    test.label_first = train.label_first;
    FV_TRY_DONE(measure(o, test_path, &test, names, &part[FV_SPLIT_TEST]));
  }
  FV_TRY_DONE(settle_labels(d, names, part));
  FV_TRY_DONE(fv_path_hold(o, d, part, pour, &train));
done:
  fv_path_free_parts(part);
  fv_free(names);
  return status;
}
