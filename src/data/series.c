/* SPDX-License-Identifier: Apache-2.0 */
/* series.c: series of numbers and the windows cut from them. All rows lie in one slab, standardised; a window is two
 * pieces of it, so none is ever stored. Splits follow each other in time, and mean and deviation come from the training
 * rows alone: nothing of what is to be forecast is known beforehand. Borders and standardisation are those of the
 * published comparisons (Zhou et al. 2021; Zeng et al. 2023). */
#include "data/sets.h"

#include <ctype.h>
#include <math.h>
#include <strings.h>

enum { MOST_CHANNELS = 4096, USUAL_PAST = 96, USUAL_HORIZON = 24 };

/* ---- channels ---------------------------------------------------------------------------------------------------- */
fv_status fv_channels_new(int64_t n, const char *const *names, fv_channels **channels) {
  size_t bytes = sizeof(fv_channels) + (size_t)n * (2 * sizeof(double) + sizeof(char *)), text = 0;
  *channels = NULL;
  for (int64_t i = 0; i < n; i++) text += strlen(names[i]) + 1;
  fv_channels *c = fv_alloc(bytes + text);
  FV_REQUIRE(c, FV_ERR_MEMORY, "series: no memory for %lld channels", (long long)n);
  c->n = n;
  c->mean = (double *)(void *)(c + 1);
  c->deviation = c->mean + n;
  c->name = (const char **)(void *)(c->deviation + n);
  char *at = (char *)c + bytes;
  for (int64_t i = 0; i < n; i++) {
    c->name[i] = at;
    at = stpcpy(at, names[i]) + 1;
  }
  *channels = c;
  return FV_OK;
}

/* Over all values of each column, as if they were all there is (no n - 1). One that never varies is left as it is. */
static fv_status learn_channels(const fv_steps *s, int64_t rows, fv_channels **channels) {
  FV_TRY(fv_channels_new(s->channels, s->name, channels));
  for (int64_t k = 0; k < s->channels; k++) {
    double sum = 0, square = 0;
    for (int64_t i = 0; i < rows; i++) sum += s->v[i * s->channels + k];
    const double mean = sum / (double)rows;
    for (int64_t i = 0; i < rows; i++) square += pow(s->v[i * s->channels + k] - mean, 2);
    const double deviation = sqrt(square / (double)rows);
    (*channels)->mean[k] = mean;
    (*channels)->deviation[k] = deviation > 1e-12 * fabs(mean) ? deviation : 1;
  }
  return FV_OK;
}

/* ---- windows ----------------------------------------------------------------------------------------------------- */
typedef struct windows {
  int64_t past, horizon, channels;
  int64_t first[FV_SPLITS]; /* the row at which the first window of a split begins */
  const float *v;           /* [rows,channels] */
  bool open_end;            /* the future is not there */
} windows;

static void read_window(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  (void)draw;
  const windows *w = d->impl;
  const float *past = w->v + (w->first[split] + index) * w->channels, *future = past + w->past * w->channels;
  const size_t bytes = (size_t)(w->horizon * w->channels) * sizeof(float);
  if (out[0]) memcpy(out[0], past, (size_t)(w->past * w->channels) * sizeof(float));
  if (out[1] && w->open_end) memset(out[1], 0, bytes);
  else if (out[1]) memcpy(out[1], future, bytes);
}

static fv_status new_windows(const fv_reading *r, int64_t channels, fv_dataset *d, windows **windows_of) {
  windows *w = fv_arena_alloc(d->arena, sizeof *w);
  FV_REQUIRE(w, FV_ERR_MEMORY, "dataset (%s): no memory", d->name);
  *w = (windows){.past = r->past, .horizon = r->horizon, .channels = channels};
  d->n_fields = 2;
  d->field[0] = (fv_field){.name = "past", .dtype = FV_F32, .shape = FV_SHAPE(w->past, channels)};
  d->field[1] = (fv_field){.name = "future", .dtype = FV_F32, .shape = FV_SHAPE(w->horizon, channels)};
  d->read = read_window;
  d->impl = *windows_of = w;
  return FV_OK;
}

/* In the file's order of time; the enumeration has another. */
static const fv_split order[] = {FV_SPLIT_TRAIN, FV_SPLIT_VALIDATION, FV_SPLIT_TEST};

static fv_status cut_windows(const fv_dataset *d, const int64_t rows[3], windows *w, int64_t count[FV_SPLITS]) {
  int64_t begin = 0;
  FV_REQUIRE(rows[0] >= w->past + w->horizon, FV_ERR_REQUEST,
             "dataset (%s): expected at least past + horizon = %lld + %lld rows for training, got %lld", d->name,
             (long long)w->past, (long long)w->horizon, (long long)rows[0]);
  for (int i = 0; i < 3; begin += rows[i++]) {
    FV_REQUIRE(rows[i] >= w->horizon, FV_ERR_REQUEST,
               "dataset (%s): expected at least horizon = %lld rows for %s, got %lld", d->name, (long long)w->horizon,
               fv_split_names[order[i]], (long long)rows[i]);
    w->first[order[i]] = i ? begin - w->past : 0;
    count[order[i]] = rows[i] - w->horizon + 1 - (i ? 0 : w->past);
  }
  return FV_OK;
}

static void standardise(const fv_steps *s, int64_t first, int64_t rows, const fv_channels *c, float *out) {
  for (int64_t i = 0; i < rows * s->channels; i++) {
    const int64_t k = i % s->channels;
    out[i] = (float)((s->v[first * s->channels + i] - c->mean[k]) / c->deviation[k]);
  }
}

static fv_status settle_reading(fv_reading *r, const fv_dataset *d) {
  if (r->past == 0) r->past = USUAL_PAST;
  if (r->horizon == 0) r->horizon = USUAL_HORIZON;
  FV_REQUIRE(r->past > 0 && r->horizon > 0, FV_ERR_REQUEST, "dataset (%s): expected past and horizon above 0", d->name);
  return FV_OK;
}

fv_status fv_steps_hold(const fv_data_open *o, fv_dataset *d, const fv_steps *s, const int64_t rows[3]) {
  fv_reading *r = o->reading;
  const int64_t all = rows[0] + rows[1] + rows[2];
  windows *w;
  FV_TRY(settle_reading(r, d));
  FV_TRY(new_windows(r, s->channels, d, &w));
  FV_TRY(cut_windows(d, rows, w, d->count));
  FV_TRY(fv_slab_new(o->ledger, FV_ACCOUNT_DATA, all * s->channels * (int64_t)sizeof(float), &d->slab));
  if (!d->slab) return FV_OK;
  if (!r->channels) FV_TRY(learn_channels(s, rows[0], &r->channels));
  standardise(s, 0, all, r->channels, d->slab);
  w->v = d->slab;
  return FV_OK;
}

/* ---- times ------------------------------------------------------------------------------------------------------- */
/* Evenly spaced it is not, which nobody needs. */
bool fv_time_parse(const char *s, double *t) {
  static const int most[] = {9999, 12, 31, 24, 59, 60};
  int part[6] = {0}, n = 0;
  if (fv_parse_real(s, t)) return true;
  for (; n < 6 && isdigit((unsigned char)*s); n++) {
    int digits = 0;
    for (; isdigit((unsigned char)*s) && digits < 4; s++, digits++) part[n] = 10 * part[n] + (*s - '0');
    if (digits != (n ? 2 : 4) && !(n && digits == 1)) return false;
    if (part[n] > most[n]) return false;
    if (*s && strchr("-/.:T ", *s) && isdigit((unsigned char)s[1])) s++;
  }
  if (n < 2) return false;
  *t = 0;
  for (int i = 0; i < 6; i++) *t = 64 * *t + part[i]; /* each of the later ones is below 64 */
  double fraction = 0;
  for (double unit = 0.1; n == 6 && isdigit((unsigned char)*s); s++, unit /= 10) fraction += unit * (*s - '0');
  *t += fraction;
  return *s == 0 || *s == 'Z' || *s == '+' || *s == '-'; /* a zone, the same throughout */
}

static bool is_time_name(const char *s) {
  static const char *const names[] = {"date", "time", "datetime", "timestamp", "ds", "month", "day", "year", NULL};
  for (int i = 0; names[i]; i++)
    if (strcasecmp(s, names[i]) == 0) return true;
  return false;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */
typedef struct reader {
  const char *path;
  fv_csv *csv;
  fv_arena *arena;
  const char **header;
  int64_t columns;
  int64_t *column;    /* of each channel */
  int64_t time;       /* -1: none */
  double last;        /* time */
  fv_steps *steps;
  int64_t room;
} reader;

static bool is_missing(const char *s) {
  static const char *const words[] = {"", "na", "n/a", "nan", "null", "none", "?", "-", NULL};
  for (int i = 0; words[i]; i++)
    if (strcasecmp(s, words[i]) == 0) return true;
  return false;
}

static char *trimmed(char *s) {
  while (*s == ' ') s++;
  for (size_t n = strlen(s); n > 0 && s[n - 1] == ' '; n--) s[n - 1] = 0;
  return s;
}

static fv_status read_header(reader *r) {
  char **field;
  size_t n;
  double number;
  FV_TRY(fv_csv_next(r->csv, &field, &n));
  FV_REQUIRE(n > 0, FV_ERR_REQUEST, "series (%s): expected a first row of names, got an empty file", r->path);
  r->columns = (int64_t)n;
  r->header = fv_arena_alloc(r->arena, n * sizeof *r->header);
  r->column = fv_arena_alloc(r->arena, n * sizeof *r->column);
  FV_REQUIRE(r->header && r->column, FV_ERR_MEMORY, "series (%s): no memory for names", r->path);
  for (size_t i = 0; i < n; i++) {
    char *name = trimmed(field[i]);
    FV_REQUIRE(!fv_parse_real(name, &number), FV_ERR_REQUEST, "series (%s): expected a first row of names, got '%s'",
               r->path, fv_show(name, strlen(name)));
    FV_REQUIRE(r->header[i] = fv_arena_strdup(r->arena, name), FV_ERR_MEMORY, "series (%s): no memory for names",
               r->path);
  }
  return FV_OK;
}

static fv_status add_channel(reader *r, int64_t column) {
  fv_steps *s = r->steps;
  FV_REQUIRE(s->channels < MOST_CHANNELS, FV_ERR_REQUEST,
             "series (%s): expected at most %d columns of numbers, got more", r->path, MOST_CHANNELS);
  s->name[s->channels] = r->header[column];
  r->column[s->channels++] = column;
  return FV_OK;
}

static fv_status find_wanted(reader *r, const fv_channels *wanted) {
  for (int64_t k = 0; k < wanted->n; k++) {
    int64_t i = 0;
    while (i < r->columns && strcmp(r->header[i], wanted->name[k]) != 0) i++;
    FV_REQUIRE(i < r->columns, FV_ERR_REQUEST,
               "series (%s): expected a column '%s' as the model was trained on, got none", r->path, wanted->name[k]);
    FV_TRY(add_channel(r, i));
  }
  return FV_OK;
}

/* What columns are, by their names and the first row behind. A value that is missing there is missed later, by name. */
static fv_status find_columns(reader *r, char **field, const fv_channels *wanted) {
  double number;
  const int64_t most = wanted ? wanted->n : r->columns;
  r->steps->name = fv_arena_alloc(r->arena, (size_t)FV_MAX(most, 1) * sizeof *r->steps->name);
  FV_REQUIRE(r->steps->name, FV_ERR_MEMORY, "series (%s): no memory for names", r->path);
  r->time = -1;
  for (int64_t i = 0; i < r->columns; i++) {
    const bool numeric = fv_parse_real(field[i], &number);
    if (r->time < 0 && fv_time_parse(field[i], &number) && (!numeric || is_time_name(r->header[i]))) r->time = i;
    else if (!wanted && (numeric || is_missing(field[i]))) FV_TRY(add_channel(r, i));
  }
  if (wanted) FV_TRY(find_wanted(r, wanted));
  FV_REQUIRE(r->steps->channels > 0, FV_ERR_REQUEST, "series (%s): expected a column of numbers, got none", r->path);
  return FV_OK;
}

static fv_status take_time(reader *r, const char *text) {
  double t;
  const long long line = (long long)fv_csv_line(r->csv);
  if (r->time < 0) return FV_OK;
  FV_REQUIRE(fv_time_parse(text, &t), FV_ERR_CORRUPT,
             "series (%s:%lld): column '%s': expected a time as year-month-day hour:minute or a number, got '%s'",
             r->path, line, r->header[r->time], fv_show(text, strlen(text)));
  FV_REQUIRE(r->steps->rows == 0 || t > r->last, FV_ERR_CORRUPT,
             "series (%s:%lld): column '%s': expected a time after that of the row before, got '%s'", r->path, line,
             r->header[r->time], fv_show(text, strlen(text)));
  r->last = t;
  return FV_OK;
}

static fv_status make_room(reader *r) {
  fv_steps *s = r->steps;
  if (s->rows < r->room) return FV_OK;
  const int64_t room = FV_MAX(2 * r->room, 1024);
  double *v = fv_realloc(s->v, (size_t)(room * s->channels) * sizeof *v);
  FV_REQUIRE(v, FV_ERR_MEMORY, "series (%s): no memory for %lld rows", r->path, (long long)room);
  s->v = v;
  r->room = room;
  return FV_OK;
}

static fv_status take_row(reader *r, char **field) {
  fv_steps *s = r->steps;
  FV_TRY(make_room(r));
  if (r->time >= 0) FV_TRY(take_time(r, field[r->time]));
  for (int64_t k = 0; k < s->channels; k++) {
    const char *text = field[r->column[k]];
    FV_REQUIRE(fv_parse_real(text, &s->v[s->rows * s->channels + k]), FV_ERR_CORRUPT,
               "series (%s:%lld): column '%s': expected a number, got %s%s%s", r->path, (long long)fv_csv_line(r->csv),
               s->name[k], *text ? "'" : "nothing", fv_show(text, strlen(text)), *text ? "'" : "");
  }
  s->rows++;
  return FV_OK;
}

static fv_status read_rows(reader *r, const fv_channels *wanted) {
  char **field;
  size_t n;
  FV_TRY(read_header(r));
  for (;;) {
    FV_TRY(fv_csv_next(r->csv, &field, &n));
    if (n == 0) break;
    FV_REQUIRE((int64_t)n == r->columns, FV_ERR_CORRUPT, "series (%s:%lld): expected %lld columns, got %zu", r->path,
               (long long)fv_csv_line(r->csv), (long long)r->columns, n);
    for (size_t i = 0; i < n; i++) field[i] = trimmed(field[i]);
    if (r->steps->rows == 0) FV_TRY(find_columns(r, field, wanted));
    FV_TRY(take_row(r, field));
  }
  FV_REQUIRE(r->steps->rows > 0, FV_ERR_REQUEST, "series (%s): expected rows of numbers, got none", r->path);
  return FV_OK;
}

fv_status fv_steps_read(const char *path, fv_arena *arena, const fv_channels *wanted, fv_steps *steps) {
  *steps = (fv_steps){0};
  reader r = {.path = path, .arena = arena, .steps = steps};
  FV_TRY(fv_path_open_table(path, &r.csv));
  fv_status status = read_rows(&r, wanted);
  fv_csv_close(r.csv);
  if (status == FV_OK) return FV_OK;
  fv_free(steps->v);
  *steps = (fv_steps){0};
  return status;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */
fv_status fv_steps_open_row(const fv_data_open *o, fv_dataset *d, const int64_t rows[3], int64_t channels) {
  const char *path;
  fv_steps s = {.rows = rows[0] + rows[1] + rows[2], .channels = channels};
  if (o->ledger && o->ledger->dry) return fv_steps_hold(o, d, &s, rows);
  FV_TRY(fv_data_need(o, &o->def->info.files[0], d->arena, &path));
  FV_TRY(fv_steps_read(path, d->arena, o->reading->channels, &s));
  fv_status status = FV_OK;
  if (s.rows < rows[0] + rows[1] + rows[2])
    status = FV_FAIL(FV_ERR_CORRUPT, "dataset (%s): expected %lld rows, got %lld", d->name,
                     (long long)(rows[0] + rows[1] + rows[2]), (long long)s.rows);
  if (status == FV_OK) status = fv_steps_hold(o, d, &s, rows);
  fv_free(s.v);
  return status;
}

fv_status fv_path_open_series(const fv_data_open *o, fv_dataset *d) {
  fv_steps s;
  FV_REQUIRE(fv_path_is_table(o->path), FV_ERR_REQUEST, "dataset (%s): expected a .csv or .tsv file with a series",
             o->path);
  FV_TRY(fv_data_no_fold(o));
  FV_TRY(fv_steps_read(o->path, d->arena, o->reading->channels, &s));
  const int64_t train = s.rows * 7 / 10, test = s.rows * 2 / 10;
  fv_status status = fv_steps_hold(o, d, &s, (const int64_t[]){train, s.rows - train - test, test});
  fv_free(s.v);
  return status;
}

static fv_status of_series(const char *path, fv_reading *reading, fv_dataset *d) {
  fv_steps s = {0};
  windows *w;
  fv_status status = FV_OK;
  d->reading = reading;
  FV_TRY(fv_arena_new(&d->arena));
  FV_REQUIRE(d->name = fv_arena_strdup(d->arena, path), FV_ERR_MEMORY, "series: no memory for a name");
  FV_TRY(fv_steps_read(path, d->arena, reading->channels, &s));
  FV_REQUIRE_DONE(s.rows >= reading->past, FV_ERR_REQUEST,
                  "series (%s): expected at least the %lld rows that the model looks at, got %lld", path,
                  (long long)reading->past, (long long)s.rows);
  FV_TRY_DONE(new_windows(reading, s.channels, d, &w));
  FV_TRY_DONE(fv_slab_new(NULL, FV_ACCOUNT_DATA, reading->past * s.channels * (int64_t)sizeof(float), &d->slab));
  standardise(&s, s.rows - reading->past, reading->past, reading->channels, d->slab);
  w->v = d->slab;
  w->open_end = true;
  d->count[FV_SPLIT_TEST] = 1;
done:
  fv_free(s.v);
  return status;
}

fv_status fv_dataset_of_series(const char *path, fv_reading *reading, fv_dataset **dataset) {
  fv_dataset *d;
  *dataset = NULL;
  FV_TRY(FV_NEW(&d, 1));
  return fv_dataset_give(d, of_series(path, reading, d), dataset);
}
