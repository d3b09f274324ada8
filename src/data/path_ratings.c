/* SPDX-License-Identifier: Apache-2.0 */
/* path_ratings.c: ratings of one's own: a .csv or .tsv file (also .gz) whose first row names its columns. User, item,
 * rating and time are known by their names; the other columns are categories. One that has the same value wherever an
 * item is rated is about the item, of which it may name several ("Comedy|War"), but for a column "title"; all others
 * are about who rates, or when. */
#include "data/sets.h"

#include <strings.h>

enum { COLUMN_USER, COLUMN_ITEM, COLUMN_RATING, COLUMN_TIME, COLUMN_TITLE, COLUMNS, MOST_COLUMNS = 64 };
static const char *const names[COLUMNS][8] = {
    {"user", "user_id", "userid", "uid", NULL},
    {"item", "item_id", "itemid", "movie", "movie_id", "movieid", "iid", NULL},
    {"rating", "score", "stars", "value", NULL},
    {"time", "timestamp", "date", "datetime", "ts", NULL},
    {"title", "name", NULL}};

typedef struct reader {
  const char *path;
  fv_arena *arena;
  char *header[MOST_COLUMNS];
  size_t n;
  int column[COLUMNS];
  bool of_item[MOST_COLUMNS];
  fv_wordmap items;
  const char **seen; /* [items, n]: what the columns say of an item */
  int64_t room;
} reader;

static bool is_named(const char *name, int what) {
  for (int i = 0; names[what][i]; i++)
    if (!strcasecmp(name, names[what][i])) return true;
  return false;
}

static fv_status read_header(reader *r, fv_csv *csv) {
  char **field;
  FV_TRY(fv_csv_next(csv, &field, &r->n));
  FV_REQUIRE(r->n <= MOST_COLUMNS, FV_ERR_REQUEST, "ratings (%s): expected at most %d columns, got %zu", r->path,
             MOST_COLUMNS, r->n);
  for (int k = 0; k < COLUMNS; k++) r->column[k] = -1;
  for (size_t i = 0; i < r->n; i++) {
    FV_REQUIRE(r->header[i] = fv_arena_strdup(r->arena, field[i]), FV_ERR_MEMORY, "ratings: no memory for names");
    for (int k = 0; k < COLUMNS; k++)
      if (r->column[k] < 0 && is_named(field[i], k)) r->column[k] = (int)i;
  }
  for (int k = 0; k < COLUMN_TITLE; k++)
    FV_REQUIRE(r->column[k] >= 0, FV_ERR_REQUEST,
               "ratings (%s): expected a first row that names columns user, item, rating and time, got none '%s'",
               r->path, names[k][0]);
  return FV_OK;
}

static bool is_category(const reader *r, size_t i) {
  for (int k = 0; k < COLUMNS; k++)
    if (r->column[k] == (int)i) return false;
  return true;
}

static fv_status next_row(const reader *r, fv_csv *csv, char ***field) {
  size_t n;
  FV_TRY(fv_csv_next(csv, field, &n));
  if (n == 0) *field = NULL;
  FV_REQUIRE(n == 0 || n == r->n, FV_ERR_CORRUPT, "ratings (%s:%lld): expected %zu columns, got %zu", r->path,
             (long long)fv_csv_line(csv), r->n, n);
  return FV_OK;
}

static fv_status remember(reader *r, char **field) {
  int64_t i;
  const char *item = field[r->column[COLUMN_ITEM]];
  FV_TRY(fv_wordmap_add(&r->items, item, strlen(item), &i));
  if (i >= r->room) {
    const int64_t room = FV_MAX(2 * r->room, 256);
    const char **seen = fv_realloc(r->seen, (size_t)room * r->n * sizeof *seen);
    FV_REQUIRE(seen, FV_ERR_MEMORY, "ratings (%s): no memory for %lld items", r->path, (long long)room);
    memset(seen + (size_t)r->room * r->n, 0, (size_t)(room - r->room) * r->n * sizeof *seen);
    r->seen = seen;
    r->room = room;
  }
  for (size_t k = 0; k < r->n; k++) {
    const char **seen = &r->seen[(size_t)i * r->n + k];
    if (!r->of_item[k]) continue;
    if (*seen) r->of_item[k] = !strcmp(*seen, field[k]);
    else FV_REQUIRE(*seen = fv_arena_strdup(r->arena, field[k]), FV_ERR_MEMORY, "ratings: no memory for categories");
  }
  return FV_OK;
}

/* The first time through: which columns are about items. A file with one row an item cannot tell; then all are. */
static fv_status look(reader *r) {
  fv_csv *csv;
  char **field;
  fv_status status = FV_OK;
  FV_TRY(fv_path_open_table(r->path, &csv));
  FV_TRY_DONE(read_header(r, csv));
  for (size_t k = 0; k < r->n; k++)
    r->of_item[k] = is_category(r, k) || (int)k == r->column[COLUMN_TITLE];
  for (;;) {
    FV_TRY_DONE(next_row(r, csv, &field));
    if (!field) break;
    FV_TRY_DONE(remember(r, field));
  }
done:
  fv_csv_close(csv);
  return status;
}

static fv_bytes bytes_of(const char *s) { return (fv_bytes){s, strlen(s)}; }

/* "Comedy|War" of column genre: two kinds. */
static fv_status describe(const reader *r, fv_ratings *ratings, int64_t item) {
  fv_bytes kinds[FV_MOST_KINDS], title = {0};
  int n = 0;
  for (size_t k = 0; k < r->n; k++) {
    const char *s = r->seen[(size_t)item * r->n + k];
    if (!r->of_item[k] || !s || !*s) continue;
    if ((int)k == r->column[COLUMN_TITLE]) title = bytes_of(s);
    else
      for (size_t length; n < FV_MOST_KINDS && *s; s += length + (s[length] == '|')) {
        length = strcspn(s, "|");
        if (length) kinds[n++] = (fv_bytes){s, length};
      }
  }
  return fv_ratings_describe(ratings, fv_wordmap_at(&r->items, item), title, kinds, n);
}

static fv_status add_row(const reader *r, fv_csv *csv, char **field, fv_ratings *ratings) {
  fv_bytes traits[MOST_COLUMNS];
  int n = 0;
  double value, time;
  const char *rating = field[r->column[COLUMN_RATING]], *when = field[r->column[COLUMN_TIME]],
             *user = field[r->column[COLUMN_USER]], *item = field[r->column[COLUMN_ITEM]];
  const long long line = (long long)fv_csv_line(csv);
  FV_REQUIRE(*user && *item, FV_ERR_CORRUPT, "ratings (%s:%lld): expected a user and an item, got nothing", r->path,
             line);
  FV_REQUIRE(fv_parse_real(rating, &value), FV_ERR_CORRUPT, "ratings (%s:%lld): expected a rating, got '%s'", r->path,
             line, fv_show(rating, strlen(rating)));
  FV_REQUIRE(fv_time_parse(when, &time), FV_ERR_CORRUPT,
             "ratings (%s:%lld): expected a time as a number or year-month-day hour:minute, got '%s'", r->path, line,
             fv_show(when, strlen(when)));
  for (size_t k = 0; k < r->n; k++)
    if (is_category(r, k) && !r->of_item[k]) traits[n++] = bytes_of(field[k]);
  return fv_ratings_add(ratings, bytes_of(user), bytes_of(item), value, time, traits);
}

static fv_status add_rows(const reader *r, fv_ratings *ratings) {
  fv_csv *csv;
  char **field;
  size_t n;
  fv_status status = FV_OK;
  FV_TRY(fv_path_open_table(r->path, &csv));
  FV_TRY_DONE(fv_csv_next(csv, &field, &n));
  for (;;) {
    FV_TRY_DONE(next_row(r, csv, &field));
    if (!field) break;
    FV_TRY_DONE(add_row(r, csv, field, ratings));
  }
done:
  fv_csv_close(csv);
  return status;
}

/* A model knows which columns were about who rates; a file with one row an item cannot tell. */
static void heed_catalogue(reader *r, const fv_catalogue *c) {
  for (size_t k = 0; c && k < r->n; k++)
    for (int i = 0; i < c->n_traits; i++)
      if (!strcmp(r->header[k], c->trait_name[i])) r->of_item[k] = false;
}

static fv_status open_ratings(const fv_data_open *o, fv_dataset *d, reader *r) {
  const char *traits[MOST_COLUMNS];
  fv_ratings *ratings;
  int n = 0;
  fv_status status = FV_OK;
  FV_TRY(look(r));
  heed_catalogue(r, o->reading->catalogue);
  for (size_t k = 0; k < r->n; k++)
    if (is_category(r, k) && !r->of_item[k]) traits[n++] = r->header[k];
  FV_TRY(fv_ratings_new(d, n, traits, &ratings));
  for (int64_t i = 0; i < r->items.n; i++) FV_TRY_DONE(describe(r, ratings, i));
  FV_TRY_DONE(add_rows(r, ratings));
  FV_TRY_DONE(fv_ratings_hold(o, d, ratings));
done:
  fv_ratings_free(ratings);
  return status;
}

fv_status fv_path_open_ratings(const fv_data_open *o, fv_dataset *d) {
  reader r = {.path = o->path, .arena = d->arena};
  FV_REQUIRE(fv_path_is_table(o->path), FV_ERR_REQUEST, "dataset (%s): expected a .csv or .tsv file with ratings",
             o->path);
  FV_TRY(fv_data_no_fold(o));
  fv_status status = open_ratings(o, d, &r);
  fv_wordmap_free(&r.items);
  fv_free(r.seen);
  return status;
}
