/* SPDX-License-Identifier: Apache-2.0 */
/* ratings.c: who rated what, made into samples: one rating each, with what the same user had rated before. Ratings are
 * cut by one clock for all users, so that nothing learnt is from later than what is asked; and a history ends before
 * the second of the rating itself, since those given on one page have no order. */
#include "data/sets.h"

#include <math.h>
#include <stdlib.h>

enum { USUAL_LONGEST = 50 };
const char *const fv_level_names[FV_LEVELS] = {"nothing", "unknown", "not liked", "neither", "liked"};

typedef struct rating {
  int32_t user, item;
  int64_t order; /* of arrival: what else is equal stays in this order */
  double value, time;
} rating;

typedef struct described {
  fv_bytes title;
  int32_t kind[FV_MOST_KINDS];
  int n_kinds;
} described;

struct fv_ratings {
  const char *name;
  fv_arena *arena;
  fv_wordmap user, item, trait, kind;
  int n_traits, n_kinds; /* of an item at most */
  const char *trait_name[FV_MOST_TRAITS];
  rating *v;
  int32_t *traits; /* [room, n_traits] by order of arrival */
  int64_t n, room;
  described *about; /* [about_room] of items */
  int64_t about_room;
};

/* ---- gathering --------------------------------------------------------------------------------------------------- */
fv_status fv_ratings_new(const fv_dataset *d, int n_traits, const char *const *trait_names, fv_ratings **ratings) {
  fv_ratings *r;
  *ratings = NULL;
  FV_REQUIRE(n_traits <= FV_MOST_TRAITS, FV_ERR_REQUEST,
             "dataset (%s): expected at most %d columns that are not about items, got %d", d->name, FV_MOST_TRAITS,
             n_traits);
  FV_TRY(FV_NEW(&r, 1));
  r->name = d->name;
  r->n_traits = n_traits;
  for (int i = 0; i < n_traits; i++) r->trait_name[i] = trait_names[i];
  fv_status status = fv_arena_new(&r->arena);
  if (status == FV_OK) *ratings = r;
  else fv_free(r);
  return status;
}

void fv_ratings_free(fv_ratings *r) {
  if (!r) return;
  fv_wordmap_free(&r->user);
  fv_wordmap_free(&r->item);
  fv_wordmap_free(&r->trait);
  fv_wordmap_free(&r->kind);
  fv_free(r->v);
  fv_free(r->traits);
  fv_free(r->about);
  fv_arena_free(r->arena);
  fv_free(r);
}

static fv_status make_room(fv_ratings *r) {
  if (r->n < r->room) return FV_OK;
  const int64_t room = FV_MAX(2 * r->room, 1024);
  rating *v = fv_realloc(r->v, (size_t)room * sizeof *v);
  if (v) r->v = v;
  int32_t *traits = fv_realloc(r->traits, (size_t)(room * FV_MAX(r->n_traits, 1)) * sizeof *traits);
  if (traits) r->traits = traits;
  FV_REQUIRE(v && traits && room <= INT32_MAX, FV_ERR_MEMORY, "dataset (%s): no memory for %lld ratings", r->name,
             (long long)room);
  r->room = room;
  return FV_OK;
}

static fv_status number_of(fv_wordmap *map, fv_bytes name, int32_t *number) {
  int64_t i;
  FV_TRY(fv_wordmap_add(map, name.s, name.n, &i));
  *number = (int32_t)i;
  return FV_OK;
}

/* A value is one of its column: "age=25-34". */
static fv_status trait_of(fv_ratings *r, int column, fv_bytes value, int32_t *number) {
  char text[256];
  const int n = snprintf(text, sizeof text, "%s=%.*s", r->trait_name[column], (int)value.n, value.s);
  FV_REQUIRE(n >= 0 && (size_t)n < sizeof text, FV_ERR_REQUEST,
             "dataset (%s): column '%s': expected categories of fewer than %zu letters, got '%s'", r->name,
             r->trait_name[column], sizeof text, fv_show(value.s, value.n));
  return number_of(&r->trait, (fv_bytes){text, (size_t)n}, number);
}

fv_status fv_ratings_add(fv_ratings *r, fv_bytes user, fv_bytes item, double value, double time,
                         const fv_bytes *traits) {
  rating *v;
  FV_TRY(make_room(r));
  v = &r->v[r->n];
  *v = (rating){.order = r->n, .value = value, .time = time};
  FV_TRY(number_of(&r->user, user, &v->user));
  FV_TRY(number_of(&r->item, item, &v->item));
  for (int i = 0; i < r->n_traits; i++)
    FV_TRY(trait_of(r, i, traits[i], &r->traits[r->n * r->n_traits + i]));
  r->n++;
  return FV_OK;
}

static fv_status about_room(fv_ratings *r, int64_t item) {
  if (item < r->about_room) return FV_OK;
  const int64_t room = FV_MAX(2 * r->about_room, item + 64);
  described *about = fv_realloc(r->about, (size_t)room * sizeof *about);
  FV_REQUIRE(about, FV_ERR_MEMORY, "dataset (%s): no memory for %lld items", r->name, (long long)room);
  memset(about + r->about_room, 0, (size_t)(room - r->about_room) * sizeof *about);
  r->about = about;
  r->about_room = room;
  return FV_OK;
}

fv_status fv_ratings_describe(fv_ratings *r, fv_bytes item, fv_bytes title, const fv_bytes *kinds, int n_kinds) {
  int32_t i;
  FV_TRY(number_of(&r->item, item, &i));
  FV_TRY(about_room(r, i));
  described *about = &r->about[i];
  FV_REQUIRE(n_kinds <= FV_MOST_KINDS, FV_ERR_REQUEST, "dataset (%s): item '%s': expected at most %d kinds, got %d",
             r->name, fv_show(item.s, item.n), FV_MOST_KINDS, n_kinds);
  if (title.s) {
    about->title.s = fv_arena_printf(r->arena, "%.*s", (int)title.n, title.s);
    FV_REQUIRE(about->title.s, FV_ERR_MEMORY, "dataset (%s): no memory for a title", r->name);
  }
  for (int k = 0; k < n_kinds; k++) FV_TRY(number_of(&r->kind, kinds[k], &about->kind[k]));
  about->n_kinds = n_kinds;
  r->n_kinds = FV_MAX(r->n_kinds, n_kinds);
  return FV_OK;
}

/* ---- the clock --------------------------------------------------------------------------------------------------- */
static int by_time(const void *a, const void *b) {
  const rating *x = a, *y = b;
  if (x->time != y->time) return x->time < y->time ? -1 : 1;
  return (x->order > y->order) - (x->order < y->order);
}

static int by_user(const void *a, const void *b) {
  const rating *x = a, *y = b;
  if (x->user != y->user) return x->user < y->user ? -1 : 1;
  return by_time(a, b);
}

/* The second at which a share of all ratings has been given; those of that second come after it. */
static double time_at(const fv_ratings *r, double share) {
  return r->v[FV_MIN((int64_t)(share * (double)r->n), r->n - 1)].time;
}

typedef struct clock {
  double validation, test; /* where these parts begin */
} clock;

static fv_split part_of(const clock *c, const rating *v) {
  if (v->time < c->validation) return FV_SPLIT_TRAIN;
  return v->time < c->test ? FV_SPLIT_VALIDATION : FV_SPLIT_TEST;
}

/* ---- what is learnt ---------------------------------------------------------------------------------------------- */
/* Rows: the place in the catalogue behind 0, nothing, and 1, not known. */
static int32_t row_of(const fv_wordmap *map, fv_bytes name) {
  return (int32_t)(fv_wordmap_find(map, name.s, name.n) + 2);
}
static int32_t known_row(const fv_wordmap *map, fv_bytes name) { return FV_MAX(row_of(map, name), 1); }

static fv_status add_name(fv_wordmap *to, fv_bytes name) {
  int64_t i;
  return fv_wordmap_add(to, name.s, name.n, &i);
}

static described about_of(const fv_ratings *r, int32_t item) {
  return item < r->about_room ? r->about[item] : (described){0};
}

static fv_status add_item(const fv_ratings *r, fv_catalogue *c, int32_t item) {
  const fv_bytes name = fv_wordmap_at(&r->item, item);
  const described about = about_of(r, item);
  int32_t kinds[FV_MOST_KINDS] = {0};
  if (fv_wordmap_find(&c->item, name.s, name.n) >= 0) return FV_OK;
  for (int k = 0; k < about.n_kinds; k++) kinds[k] = known_row(&c->kind, fv_wordmap_at(&r->kind, about.kind[k]));
  return fv_catalogue_add(c, name.s, name.n, about.title.s, kinds);
}

/* From ratings in the order of time: users, items and categories of the first n of them; then all other items, so that
 * each has a name and its kinds. */
static fv_status learn_catalogue(const fv_ratings *r, int64_t n, fv_catalogue **catalogue) {
  fv_catalogue *c;
  FV_TRY(fv_catalogue_new(r->n_traits, r->n_kinds, r->trait_name, &c));
  *catalogue = c;
  for (int64_t i = 0; i < n; i++) {
    const rating *v = &r->v[i];
    const described about = about_of(r, v->item);
    FV_TRY(add_name(&c->user, fv_wordmap_at(&r->user, v->user)));
    for (int k = 0; k < r->n_traits; k++)
      FV_TRY(add_name(&c->trait, fv_wordmap_at(&r->trait, r->traits[v->order * r->n_traits + k])));
    for (int k = 0; k < about.n_kinds; k++) FV_TRY(add_name(&c->kind, fv_wordmap_at(&r->kind, about.kind[k])));
  }
  for (int64_t i = 0; i < n; i++) FV_TRY(add_item(r, c, r->v[i].item));
  c->items = c->item.n;
  for (int32_t i = 0; i < r->item.n; i++) FV_TRY(add_item(r, c, i));
  return FV_OK;
}

/* ---- the dataset ------------------------------------------------------------------------------------------------- */
/* Ratings lie by user and then by time, so that a history is a piece of them. */
typedef struct held_ratings {
  const fv_catalogue *c;
  int64_t n, n_traits, n_kinds, longest, n_own;
  int32_t *user, *number, *item, *level; /* [n]; number: the user's own, whether known or not; item: rows */
  int32_t *place;                        /* [n]: of the item in the catalogue; below 0: ~ its number in `own` */
  int32_t *from, *to;                    /* [n]: the history */
  int32_t *trait;                        /* [n, n_traits] */
  int32_t *own;                          /* [n_own, n_kinds]: kinds of items that the catalogue does not have */
  int32_t *of[FV_SPLITS];                /* ratings that are samples */
  const char **user_name;                /* by number */
} held_ratings;

static const int32_t *kinds_of(const held_ratings *h, int64_t i) {
  const int32_t place = h->place[i];
  return place >= 0 ? h->c->kinds + place * h->n_kinds : h->own + ~place * h->n_kinds;
}

static int64_t length_of(const fv_dataset *d, fv_split split, int64_t index) {
  const held_ratings *h = d->impl;
  const int64_t i = h->of[split][index];
  return FV_MAX(h->to[i] - h->from[i], 1);
}

enum { USER, ITEM, LABEL, HISTORY, LIKED, TRAITS, KINDS, PAST_KINDS, FIELDS };

static void read_history(const held_ratings *h, int64_t i, const int *field, void *const out[]) {
  int32_t *item = out[field[HISTORY]], *liked = out[field[LIKED]];
  int32_t *kinds = h->n_kinds ? out[field[PAST_KINDS]] : NULL;
  const int64_t n = h->to[i] - h->from[i], width = h->n_kinds;
  if (item && n) memcpy(item, h->item + h->from[i], (size_t)n * sizeof *item);
  if (liked && n) memcpy(liked, h->level + h->from[i], (size_t)n * sizeof *liked);
  for (int64_t t = 0; kinds && t < n; t++)
    memcpy(kinds + t * width, kinds_of(h, h->from[i] + t), (size_t)width * sizeof *kinds);
  if (n) return;
  if (item) *item = 0;
  if (liked) *liked = 0;
  if (kinds) memset(kinds, 0, (size_t)width * sizeof *kinds);
}

static void read_rating(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  (void)draw;
  static const int field[FIELDS] = {0, 1, 2, 3, 4, 5, 6, 7}, without_traits[FIELDS] = {0, 1, 2, 3, 4, -1, 5, 6};
  const held_ratings *h = d->impl;
  const int *at = h->n_traits ? field : without_traits;
  const int64_t i = h->of[split][index];
  if (out[USER]) *(int32_t *)out[USER] = h->user[i];
  if (out[ITEM]) *(int32_t *)out[ITEM] = h->item[i];
  if (out[LABEL]) *(int32_t *)out[LABEL] = h->level[i] == FV_LEVEL_GOOD;
  if (h->n_traits && out[at[TRAITS]])
    memcpy(out[at[TRAITS]], h->trait + i * h->n_traits, (size_t)h->n_traits * sizeof(int32_t));
  if (h->n_kinds && out[at[KINDS]]) memcpy(out[at[KINDS]], kinds_of(h, i), (size_t)h->n_kinds * sizeof(int32_t));
  read_history(h, i, at, out);
}

static void add_field(fv_dataset *d, const char *name, fv_shape shape, bool varies) {
  d->field[d->n_fields++] = (fv_field){.name = name, .dtype = FV_I32, .shape = shape, .varies = varies};
}

static int64_t user_of(const fv_dataset *d, fv_split split, int64_t index) {
  const held_ratings *h = d->impl;
  return h->number[h->of[split][index]];
}

static void set_fields(fv_dataset *d, const held_ratings *h) {
  static const char *const classes[] = {"not liked", "liked"};
  add_field(d, "user", FV_SCALAR, false);
  add_field(d, "item", FV_SCALAR, false);
  add_field(d, "label", FV_SCALAR, false);
  add_field(d, "history", FV_SHAPE(h->longest), true);
  add_field(d, "history_liked", FV_SHAPE(h->longest), true);
  if (h->n_traits) add_field(d, "traits", FV_SHAPE(h->n_traits), false);
  if (h->n_kinds) add_field(d, "kinds", FV_SHAPE(h->n_kinds), false);
  if (h->n_kinds) add_field(d, "history_kinds", FV_SHAPE(h->longest, h->n_kinds), true);
  d->classes = classes;
  d->n_classes = 2;
  d->read = read_rating;
  d->length = length_of;
  d->group = user_of;
}

static int64_t lay_out(held_ratings *h, const fv_dataset *d, char *slab) {
  int32_t **const each[] = {&h->user, &h->number, &h->item, &h->level, &h->place, &h->from, &h->to};
  int64_t at = 0;
  for (size_t i = 0; i < FV_COUNT(each); i++) *each[i] = fv_slab_take(slab, &at, 4 * h->n);
  h->trait = fv_slab_take(slab, &at, 4 * h->n * h->n_traits);
  h->own = fv_slab_take(slab, &at, 4 * h->n_own * h->n_kinds);
  for (int s = 0; s < FV_SPLITS; s++) h->of[s] = fv_slab_take(slab, &at, 4 * d->count[s]);
  return at;
}

static int32_t level_of(const fv_reading *r, double value) {
  if (value >= r->like) return FV_LEVEL_GOOD;
  return value <= r->dislike ? FV_LEVEL_BAD : FV_LEVEL_NEITHER;
}

/* Which part a rating is a sample of; FV_SPLITS: of none, but for histories. With a question the answers asked for are
 * the only samples. */
static fv_split sample_of(const fv_data_open *o, const clock *c, const rating *v) {
  if (o->reading->ask) return isinf(v->time) ? FV_SPLIT_TEST : FV_SPLITS;
  return level_of(o->reading, v->value) == FV_LEVEL_NEITHER ? FV_SPLITS : part_of(c, v);
}

/* Where the item is in the catalogue. An item that it does not have keeps kinds of its own. */
static int32_t place_item(const fv_ratings *r, held_ratings *h, int32_t *own_of, int32_t item) {
  const fv_bytes name = fv_wordmap_at(&r->item, item);
  const int64_t place = fv_wordmap_find(&h->c->item, name.s, name.n);
  if (place >= 0) return (int32_t)place;
  const described about = about_of(r, item);
  for (int k = 0; k < FV_MIN(about.n_kinds, (int)h->n_kinds); k++)
    h->own[own_of[item] * h->n_kinds + k] = known_row(&h->c->kind, fv_wordmap_at(&r->kind, about.kind[k]));
  return ~own_of[item];
}

static void pour_rating(const fv_data_open *o, const fv_ratings *r, held_ratings *h, int32_t *own_of, int64_t i) {
  const rating *v = &r->v[i];
  h->user[i] = known_row(&h->c->user, fv_wordmap_at(&r->user, v->user));
  h->number[i] = v->user;
  h->place[i] = place_item(r, h, own_of, v->item);
  h->item[i] = fv_catalogue_item_row(h->c, h->place[i]);
  h->level[i] = level_of(o->reading, v->value);
  for (int64_t k = 0; k < h->n_traits; k++)
    h->trait[i * h->n_traits + k] =
        known_row(&h->c->trait, fv_wordmap_at(&r->trait, r->traits[v->order * h->n_traits + k]));
}

/* Ratings by user and time: each one's history is what comes before its second, the last ones of it. */
static void find_history(const fv_ratings *r, int64_t i, int64_t *first, int64_t *second, int64_t longest,
                         int32_t *from, int32_t *to) {
  if (i == 0 || r->v[i].user != r->v[i - 1].user) *first = *second = i;
  else if (r->v[i].time != r->v[i - 1].time) *second = i;
  *to = (int32_t)*second;
  *from = (int32_t)FV_MAX(*first, *second - longest);
}

static void pour(const fv_data_open *o, const fv_ratings *r, const clock *c, int32_t *own_of, fv_dataset *d,
                 held_ratings *h) {
  int64_t at[FV_SPLITS] = {0}, first = 0, second = 0;
  for (int64_t i = 0; i < h->n; i++) {
    const fv_split s = sample_of(o, c, &r->v[i]);
    pour_rating(o, r, h, own_of, i);
    find_history(r, i, &first, &second, o->reading->longest, &h->from[i], &h->to[i]);
    if (s < FV_SPLITS) h->of[s][at[s]++] = (int32_t)i;
  }
  d->impl = h;
}

static int64_t longest_history(const fv_ratings *r, int64_t most) {
  int64_t first = 0, second = 0, longest = 1;
  for (int64_t i = 0; i < r->n; i++) {
    int32_t from, to;
    find_history(r, i, &first, &second, most, &from, &to);
    longest = FV_MAX(longest, to - from);
  }
  return longest;
}

static fv_status number_own(const fv_ratings *r, const fv_catalogue *c, int32_t *own_of, int64_t *n) {
  for (int32_t i = 0; i < r->item.n; i++) {
    const fv_bytes name = fv_wordmap_at(&r->item, i);
    if (fv_wordmap_find(&c->item, name.s, name.n) < 0) own_of[i] = (int32_t)(*n)++;
  }
  return FV_OK;
}

static fv_status name_users(const fv_ratings *r, fv_dataset *d, held_ratings *h) {
  h->user_name = fv_arena_alloc(d->arena, (size_t)FV_MAX(r->user.n, 1) * sizeof *h->user_name);
  for (int64_t i = 0; h->user_name && i < r->user.n; i++)
    if (!(h->user_name[i] = fv_arena_strdup(d->arena, fv_wordmap_at(&r->user, i).s))) h->user_name = NULL;
  FV_REQUIRE(h->user_name, FV_ERR_MEMORY, "dataset (%s): no memory for names", d->name);
  return FV_OK;
}

static fv_status hold(const fv_data_open *o, fv_dataset *d, fv_ratings *r, const clock *c, int32_t *own_of) {
  held_ratings *h = fv_arena_alloc(d->arena, sizeof *h);
  FV_REQUIRE(h, FV_ERR_MEMORY, "dataset (%s): no memory", d->name);
  *h = (held_ratings){.c = o->reading->catalogue, .n = r->n, .n_traits = r->n_traits,
                      .n_kinds = o->reading->catalogue->n_kinds};
  FV_TRY(number_own(r, h->c, own_of, &h->n_own));
  FV_TRY(name_users(r, d, h));
  qsort(r->v, (size_t)r->n, sizeof *r->v, by_user);
  h->longest = longest_history(r, o->reading->longest);
  for (int64_t i = 0; i < r->n; i++) {
    const fv_split s = sample_of(o, c, &r->v[i]);
    if (s < FV_SPLITS) d->count[s]++;
  }
  set_fields(d, h);
  FV_TRY(fv_slab_new(o->ledger, FV_ACCOUNT_DATA, lay_out(h, d, NULL), &d->slab));
  if (!d->slab) return FV_OK;
  lay_out(h, d, d->slab);
  pour(o, r, c, own_of, d, h);
  return FV_OK;
}

/* ---- questions --------------------------------------------------------------------------------------------------- */
/* After all time, every item of the catalogue that the user has not rated. */
static fv_status ask_for(fv_ratings *r, const fv_catalogue *c, int32_t user, const int32_t *traits) {
  uint8_t *rated;
  fv_status status = FV_OK;
  const int64_t n = r->n;
  FV_TRY(FV_NEW(&rated, c->item.n + 1));
  for (int64_t i = 0; i < n; i++) {
    const fv_bytes name = fv_wordmap_at(&r->item, r->v[i].item);
    const int64_t place = fv_wordmap_find(&c->item, name.s, name.n);
    if (r->v[i].user == user && place >= 0) rated[place] = 1;
  }
  for (int64_t p = 0; p < c->item.n; p++) {
    if (rated[p]) continue;
    FV_TRY_DONE(make_room(r));
    r->v[r->n] = (rating){.user = user, .order = r->n, .time = INFINITY};
    FV_TRY_DONE(number_of(&r->item, fv_wordmap_at(&c->item, p), &r->v[r->n].item));
    for (int k = 0; k < r->n_traits; k++) r->traits[r->n * r->n_traits + k] = traits[k];
    r->n++;
  }
done:
  fv_free(rated);
  return status;
}

/* What a user says of himself is what he said last. */
static fv_status ask_of(fv_ratings *r, const fv_catalogue *c, int32_t user) {
  int32_t traits[FV_MOST_TRAITS] = {0};
  int64_t last = -1;
  for (int64_t i = 0; i < r->n; i++)
    if (r->v[i].user == user && !isinf(r->v[i].time) && (last < 0 || by_time(&r->v[i], &r->v[last]) > 0)) last = i;
  for (int k = 0; k < r->n_traits; k++) traits[k] = r->traits[r->v[last].order * r->n_traits + k];
  return ask_for(r, c, user, traits);
}

static fv_status ask(const fv_data_open *o, fv_ratings *r) {
  const char *who = o->reading->ask;
  const int64_t users = r->user.n, one = fv_wordmap_find(&r->user, who, strlen(who));
  const bool all = !strcmp(who, "*");
  FV_REQUIRE(all || one >= 0, FV_ERR_REQUEST, "user '%s' (%s): expected one who has rated something, got nobody", who,
             r->name);
  for (int64_t i = all ? 0 : one; i < (all ? users : one + 1); i++)
    FV_TRY(ask_of(r, o->reading->catalogue, (int32_t)i));
  return FV_OK;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */
static fv_status check_like(const fv_data_open *o, const fv_ratings *r) {
  const fv_catalogue *c = o->reading->catalogue;
  FV_REQUIRE(r->n > 0, FV_ERR_REQUEST, "dataset (%s): expected ratings, got none", r->name);
  FV_REQUIRE(o->reading->dislike < o->reading->like, FV_ERR_REQUEST,
             "dislike: expected less than like = %g, got %g", o->reading->like, o->reading->dislike);
  FV_REQUIRE(!c || c->n_traits == r->n_traits, FV_ERR_REQUEST,
             "dataset (%s): expected %d columns that are not about items, as the model was trained on, got %d", r->name,
             c ? c->n_traits : 0, r->n_traits);
  for (int i = 0; c && i < r->n_traits; i++)
    FV_REQUIRE(!strcmp(c->trait_name[i], r->trait_name[i]), FV_ERR_REQUEST,
               "dataset (%s): expected a column '%s' as the model was trained on, got '%s'", r->name, c->trait_name[i],
               r->trait_name[i]);
  return FV_OK;
}

fv_status fv_ratings_hold(const fv_data_open *o, fv_dataset *d, fv_ratings *r) {
  fv_reading *reading = o->reading;
  int32_t *own_of = NULL;
  int64_t n_train = 0;
  if (reading->like == 0) reading->like = 4, reading->dislike = 2;
  if (reading->longest == 0) reading->longest = USUAL_LONGEST;
  FV_TRY(check_like(o, r));
  qsort(r->v, (size_t)r->n, sizeof *r->v, by_time);
  const clock c = {time_at(r, 0.8), time_at(r, 0.9)};
  while (n_train < r->n && part_of(&c, &r->v[n_train]) == FV_SPLIT_TRAIN) n_train++;
  if (!reading->catalogue) FV_TRY(learn_catalogue(r, n_train, &reading->catalogue));
  if (reading->ask) FV_TRY(ask(o, r));
  FV_TRY(FV_NEW(&own_of, FV_MAX(r->item.n, 1)));
  fv_status status = hold(o, d, r, &c, own_of);
  fv_free(own_of);
  return status;
}

int64_t fv_ratings_item(const fv_dataset *d, fv_split split, int64_t index, int64_t k) {
  const held_ratings *h = d->impl;
  const int64_t i = h->of[split][index];
  return FV_MAX(h->place[k < 0 ? i : h->from[i] + k], -1);
}

const char *fv_ratings_user(const fv_dataset *d, fv_split split, int64_t index) {
  const held_ratings *h = d->impl;
  return h->user_name[user_of(d, split, index)];
}
