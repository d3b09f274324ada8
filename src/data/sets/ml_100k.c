/* SPDX-License-Identifier: Apache-2.0 */
/* ml-100k: what 943 people thought of 1682 films in seven months of 1997 and 1998, with the second at which they said
 * so. The age is cut as in MovieLens 1M. */
#include "data/sets.h"

static const fv_data_file repack = {"ml-100k/ml-100k.tar.gz", NULL,
                                    "e59ea044a0cbea5bf62d91b94a891b39ea3a90971ce92a03f965123a2bc7c408", 2032085, NULL};
static const fv_data_file files[] = {
    {"ml-100k/ml-100k.zip", "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
     "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229", 4924029, NULL},
    {0}};

enum { USERS, ITEMS, RATINGS, MEMBERS, PEOPLE = 943, TRAITS = 3, GENRES = 19, FIRST_GENRE = 5 };
static const char *const member_names[MEMBERS] = {"u.user", "u.item", "u.data"};
static const char *const traits[TRAITS] = {"age", "gender", "occupation"};
static const char *const genres[GENRES] = {"unknown",   "Action",   "Adventure",   "Animation", "Children's",
                                           "Comedy",    "Crime",    "Documentary", "Drama",     "Fantasy",
                                           "Film-Noir", "Horror",   "Musical",     "Mystery",   "Romance",
                                           "Sci-Fi",    "Thriller", "War",         "Western"};

static fv_bytes bytes_of(const char *s) { return (fv_bytes){s, strlen(s)}; }

/* ---- the archive ------------------------------------------------------------------------------------------------- */
static fv_status read_member(fv_archive *a, fv_text *text) {
  char piece[1 << 16];
  size_t got;
  do {
    FV_TRY(fv_archive_read(a, piece, sizeof piece, &got));
    fv_text_append(text, piece, got);
  } while (got == sizeof piece);
  FV_REQUIRE(!text->failed, FV_ERR_MEMORY, "dataset (ml-100k): no memory");
  return FV_OK;
}

static fv_status read_members(const char *path, fv_text text[MEMBERS]) {
  fv_archive *a;
  fv_status status = FV_OK;
  const char *name;
  FV_TRY(fv_archive_open(path, &a));
  for (;;) {
    FV_TRY_DONE(fv_archive_next(a, &name));
    if (!name) break;
    const char *slash = strrchr(name, '/');
    for (int i = 0; i < MEMBERS; i++)
      if (!strcmp(slash ? slash + 1 : name, member_names[i])) FV_TRY_DONE(read_member(a, &text[i]));
  }
  for (int i = 0; i < MEMBERS; i++)
    FV_REQUIRE_DONE(text[i].n > 0, FV_ERR_CORRUPT, "dataset (%s): expected a file '%s' in it, got none", path,
                    member_names[i]);
done:
  fv_archive_close(a);
  return status;
}

/* ---- its files --------------------------------------------------------------------------------------------------- */
typedef struct person {
  char age[8], gender[8], occupation[32];
} person;
typedef struct work {
  fv_ratings *r;
  person people[PEOPLE + 1];
} work;
typedef fv_status take_row(work *w, char **field);

static fv_status each_row(const fv_text *text, int member, char separator, size_t columns, take_row *take, work *w) {
  const fv_csv_options how = {.separator = separator, .no_quotes = true};
  fv_csv *csv;
  char **field;
  size_t n;
  fv_status status = FV_OK;
  FV_TRY(fv_csv_parse(text->s, text->n, member_names[member], &how, &csv));
  for (;;) {
    FV_TRY_DONE(fv_csv_next(csv, &field, &n));
    if (n == 0) break;
    FV_REQUIRE_DONE(n == columns, FV_ERR_CORRUPT, "dataset (ml-100k, %s:%lld): expected %zu columns, got %zu",
                    member_names[member], (long long)fv_csv_line(csv), columns, n);
    status = take(w, field);
    if (status != FV_OK) {
      status = fv_error_prefix(status, "%s:%lld", member_names[member], (long long)fv_csv_line(csv));
      goto done;
    }
  }
done:
  fv_csv_close(csv);
  return status;
}

static fv_status number_of(const char *text, int64_t low, int64_t high, int64_t *v) {
  FV_REQUIRE(fv_parse_int(text, v) && *v >= low && *v <= high, FV_ERR_CORRUPT,
             "expected a number from %lld to %lld, got '%s'", (long long)low, (long long)high,
             fv_show(text, strlen(text)));
  return FV_OK;
}

static fv_status take_person(work *w, char **field) {
  static const struct {
    int64_t to;
    const char *name;
  } ages[] = {{17, "0-17"}, {24, "18-24"}, {34, "25-34"}, {44, "35-44"}, {49, "45-49"}, {55, "50-55"}, {200, "56+"}};
  int64_t id, age;
  int a = 0;
  FV_TRY(number_of(field[0], 1, PEOPLE, &id));
  FV_TRY(number_of(field[1], 0, 200, &age));
  while (age > ages[a].to) a++;
  person *p = &w->people[id];
  snprintf(p->age, sizeof p->age, "%s", ages[a].name);
  snprintf(p->gender, sizeof p->gender, "%s", field[2]);
  snprintf(p->occupation, sizeof p->occupation, "%s", field[3]);
  return FV_OK;
}

static fv_status take_film(work *w, char **field) {
  fv_bytes kinds[GENRES];
  int n = 0;
  for (int k = 0; k < GENRES; k++)
    if (!strcmp(field[FIRST_GENRE + k], "1")) kinds[n++] = bytes_of(genres[k]);
  return fv_ratings_describe(w->r, bytes_of(field[0]), bytes_of(field[1]), kinds, n);
}

static fv_status take_rating(work *w, char **field) {
  int64_t user, value, time;
  FV_TRY(number_of(field[0], 1, PEOPLE, &user));
  FV_TRY(number_of(field[2], 1, 5, &value));
  FV_TRY(number_of(field[3], 0, INT64_MAX, &time));
  const person *p = &w->people[user];
  return fv_ratings_add(w->r, bytes_of(field[0]), bytes_of(field[1]), (double)value, (double)time,
                        (const fv_bytes[TRAITS]){bytes_of(p->age), bytes_of(p->gender), bytes_of(p->occupation)});
}

static fv_status gather(const fv_text text[MEMBERS], work *w) {
  fv_text films = {0};
  size_t bad;
  fv_encoding_convert(FV_ENCODING_LATIN1, text[ITEMS].s, text[ITEMS].n, &films, &bad);
  fv_status status = films.failed ? FV_FAIL(FV_ERR_MEMORY, "dataset (ml-100k): no memory") : FV_OK;
  if (status == FV_OK) status = each_row(&text[USERS], USERS, '|', 5, take_person, w);
  if (status == FV_OK) status = each_row(&films, ITEMS, '|', FIRST_GENRE + GENRES, take_film, w);
  if (status == FV_OK) status = each_row(&text[RATINGS], RATINGS, '\t', 4, take_rating, w);
  fv_text_free(&films);
  return status;
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  fv_text text[MEMBERS] = {{0}};
  work *w = NULL;
  const char *path;
  fv_status status = FV_OK;
  FV_TRY_DONE(FV_NEW(&w, 1));
  FV_TRY_DONE(fv_data_need(o, &files[0], d->arena, &path));
  FV_TRY_DONE(read_members(path, text));
  FV_TRY_DONE(fv_ratings_new(d, TRAITS, traits, &w->r));
  FV_TRY_DONE(gather(text, w));
  FV_TRY_DONE(fv_ratings_hold(o, d, w->r));
done:
  if (w) fv_ratings_free(w->r);
  fv_free(w);
  for (int i = 0; i < MEMBERS; i++) fv_text_free(&text[i]);
  return status;
}

const fv_dataset_def fv_dataset_ml_100k = {
    .info = {.name = "ml-100k",
             .doc = "100,000 ratings of films from 1 to 5 with their times, genres, and who gave them (MovieLens 100K)",
             .licence = "GroupLens terms: research, no redistribution without permission, no commercial use",
             .source = "https://grouplens.org/datasets/movielens/100k/",
             .cite = "F. M. Harper, J. A. Konstan: The MovieLens datasets: history and context. ACM Transactions on "
                     "Interactive Intelligent Systems 5(4), 2015",
             .shape = "ratings of 1682 items by 943 users: 80000 train, 10000 validation, 10000 test, by time",
             .training = "like=4 dislike=2",
             .read_to_know = true,
             .files = files},
    .repack = &repack,
    .open = open_set};
