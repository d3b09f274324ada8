/* SPDX-License-Identifier: Apache-2.0 */
/* texts.c: datasets of texts. Rows are gathered from tables, tokenisers learnt from those for training unless the
 * reading has them, and every text becomes token ids that lie one behind the other in the dataset's slab. */
#include "data/sets.h"

typedef struct row {
  fv_bytes text[FV_TOKENIZED], label; /* label.s NULL: of_class counts */
  int32_t of_class;
  int8_t split;
  const fv_text_table *table; /* for messages */
  int64_t number;
} row;

struct fv_texts {
  const char *name; /* of the dataset */
  fv_arena *arena;
  row *v;
  int64_t n, room;
  bool pairs;
  fv_text_table **table;
  int n_tables;
  int64_t skipped;
};

/* In the slab: begin[k][i] .. begin[k][i+1] of token[k] is text k of row i; likewise `written`, the text itself,
 * but for rows for training, of which there is none. */
typedef struct held_texts {
  int n_texts;
  int64_t *begin[FV_TOKENIZED];
  int32_t *token[FV_TOKENIZED], *label, *of[FV_SPLITS]; /* rows of a split */
  int64_t *from[FV_TOKENIZED];
  char *written[FV_TOKENIZED];
  int64_t longest;
} held_texts;

/* ---- gathering --------------------------------------------------------------------------------------------------- */
fv_status fv_texts_new(const fv_dataset *d, fv_texts **texts) {
  fv_texts *t;
  *texts = NULL;
  FV_TRY(FV_NEW(&t, 1));
  t->name = d->name;
  fv_status status = fv_arena_new(&t->arena);
  if (status == FV_OK) *texts = t;
  else fv_free(t);
  return status;
}

void fv_texts_free(fv_texts *t) {
  if (!t) return;
  for (int i = 0; i < t->n_tables; i++) fv_text_table_free(t->table[i]);
  fv_free(t->table);
  fv_free(t->v);
  fv_arena_free(t->arena);
  fv_free(t);
}

static fv_status reserve(fv_texts *t, int64_t more) {
  if (t->n + more <= t->room) return FV_OK;
  int64_t room = FV_MAX(2 * t->room, t->n + more);
  row *v = fv_realloc(t->v, (size_t)room * sizeof *v);
  FV_REQUIRE(v, FV_ERR_MEMORY, "dataset (%s): no memory for %lld rows", t->name, (long long)room);
  t->v = v;
  t->room = room;
  return FV_OK;
}

static fv_status join(fv_texts *t, fv_bytes *a, fv_bytes b) {
  char *both = fv_arena_alloc(t->arena, a->n + b.n + 2);
  FV_REQUIRE(both, FV_ERR_MEMORY, "dataset (%s): no memory for a text", t->name);
  memcpy(both, a->s, a->n);
  both[a->n] = ' ';
  memcpy(both + a->n + 1, b.s, b.n);
  *a = (fv_bytes){both, a->n + 1 + b.n};
  return FV_OK;
}

static fv_status keep_table(fv_texts *t, fv_text_table *table) {
  fv_text_table **grown = fv_realloc(t->table, (size_t)(t->n_tables + 1) * sizeof *grown);
  if (!grown) fv_text_table_free(table);
  FV_REQUIRE(grown, FV_ERR_MEMORY, "dataset (%s): no memory for a table", t->name);
  t->table = grown;
  t->table[t->n_tables++] = table;
  t->skipped += fv_text_table_skipped(table);
  return FV_OK;
}

static fv_status add_rows(fv_texts *t, fv_split split, const fv_texts_from *from, const fv_text_table *table) {
  int64_t n = fv_text_table_rows(table);
  FV_TRY(reserve(t, n));
  t->pairs |= from->target > 0;
  for (int64_t i = 0; i < n; i++) {
    row *r = &t->v[t->n++];
    *r = (row){.text = {fv_text_table_get(table, i, from->text - 1)}, .of_class = from->of_class,
               .split = (int8_t)split, .table = table, .number = i};
    if (from->more) FV_TRY(join(t, &r->text[0], fv_text_table_get(table, i, from->more - 1)));
    if (from->target) r->text[1] = fv_text_table_get(table, i, from->target - 1);
    if (from->label) r->label = fv_text_table_get(table, i, from->label - 1);
  }
  return FV_OK;
}

fv_status fv_texts_add(fv_texts *t, fv_split split, const fv_texts_from *from) {
  fv_text_table *table = from->table;
  if (!table) FV_TRY(fv_text_table_open(from->path, &from->options, &table));
  FV_TRY(keep_table(t, table));
  return add_rows(t, split, from, table);
}

/* ---- classes ----------------------------------------------------------------------------------------------------- */
static int compare_labels(fv_bytes a, fv_bytes b) {
  int c = memcmp(a.s, b.s, FV_MIN(a.n, b.n));
  return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* Where `label` is or would be among the n sorted ones. */
static int place_of(const fv_bytes *sorted, int n, fv_bytes label, bool *there) {
  int from = 0, to = n;
  *there = false;
  while (from < to) {
    int mid = (from + to) / 2, c = compare_labels(sorted[mid], label);
    if (c == 0) *there = true;
    if (c < 0) from = mid + 1;
    else to = mid;
  }
  return from;
}

enum { MOST_CLASSES = 1000 };

/* The labels that are there, sorted, are the classes. */
static fv_status learn_classes(const fv_texts *t, fv_dataset *d) {
  fv_bytes sorted[MOST_CLASSES];
  int n = 0;
  bool there;
  for (int64_t i = 0; i < t->n; i++) {
    int at = place_of(sorted, n, t->v[i].label, &there);
    if (there) continue;
    FV_REQUIRE(n < MOST_CLASSES, FV_ERR_REQUEST,
               "dataset (%s): expected at most %d labels, got more: is this the column of labels?", t->name,
               MOST_CLASSES);
    memmove(sorted + at + 1, sorted + at, (size_t)(n++ - at) * sizeof *sorted);
    sorted[at] = t->v[i].label;
  }
  const char **names = fv_arena_alloc(d->arena, (size_t)FV_MAX(n, 1) * sizeof *names);
  for (int c = 0; names && c < n; c++)
    if (!(names[c] = fv_arena_printf(d->arena, "%.*s", (int)sorted[c].n, sorted[c].s))) names = NULL;
  FV_REQUIRE(names, FV_ERR_MEMORY, "dataset (%s): no memory for %d class names", t->name, n);
  for (int64_t i = 0; i < t->n; i++) t->v[i].of_class = place_of(sorted, n, t->v[i].label, &there);
  d->classes = names;
  d->n_classes = n;
  return FV_OK;
}

static fv_status given_classes(const fv_texts *t, fv_dataset *d, const fv_class_name *given) {
  int n = 0;
  while (given[n].label) n++;
  const char **names = fv_arena_alloc(d->arena, (size_t)n * sizeof *names);
  FV_REQUIRE(names, FV_ERR_MEMORY, "dataset (%s): no memory for %d class names", t->name, n);
  for (int c = 0; c < n; c++) names[c] = given[c].name;
  for (int64_t i = 0; i < t->n; i++) {
    row *r = &t->v[i];
    if (!r->label.s) continue;
    int c = 0;
    while (c < n && (strlen(given[c].label) != r->label.n || memcmp(given[c].label, r->label.s, r->label.n))) c++;
    FV_REQUIRE(c < n, FV_ERR_CORRUPT, "dataset (%s, %s:%lld): expected a label of the %d from '%s' to '%s', got '%.*s'",
               t->name, fv_text_table_file(r->table), (long long)fv_text_table_line(r->table, r->number), n,
               given[0].label, given[n - 1].label, (int)r->label.n, r->label.s);
    r->of_class = c;
  }
  d->classes = names;
  d->n_classes = n;
  return FV_OK;
}

/* Without rows for testing: a fold of them. */
static fv_status cut_test(const fv_data_open *o, const fv_dataset *d, const fv_texts *t) {
  fv_status status = FV_OK;
  int32_t *label = NULL;
  uint8_t *is_test = NULL;
  for (int64_t i = 0; i < t->n; i++)
    if (t->v[i].split == FV_SPLIT_TEST) return fv_data_no_fold(o);
  FV_TRY_DONE(FV_NEW(&label, t->n));
  FV_TRY_DONE(FV_NEW(&is_test, t->n));
  for (int64_t i = 0; i < t->n; i++) label[i] = t->v[i].of_class;
  FV_TRY_DONE(fv_data_cut(label, t->n, FV_MAX(d->n_classes, 1), o->def->info.folds, o->reading->fold, is_test));
  for (int64_t i = 0; i < t->n; i++)
    if (is_test[i]) t->v[i].split = FV_SPLIT_TEST;
done:
  fv_free(label);
  fv_free(is_test);
  return status;
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */
static fv_status add_side(const fv_texts *t, int k, fv_tokenizer_trainer *trainer) {
  fv_status status = FV_OK;
  for (int64_t i = 0; i < t->n && status == FV_OK; i++)
    if (t->v[i].split == FV_SPLIT_TRAIN)
      status = fv_tokenizer_trainer_add(trainer, t->v[i].text[k].s, t->v[i].text[k].n);
  return status;
}

/* Of texts from .. to-1 of the rows. */
static fv_status learn_tokenizer(const fv_texts *t, const fv_reading *r, int from, int to, fv_tokenizer **tokenizer) {
  fv_tokenizer_trainer *trainer;
  fv_status status = FV_OK;
  FV_TRY(fv_tokenizer_trainer_new(&r->tokens, &trainer));
  for (int k = from; k < to && status == FV_OK; k++) status = add_side(t, k, trainer);
  if (status == FV_OK && r->vectors && r->tokens.kind == FV_TOKENIZER_WORDS)
    status = fv_vectors_words(r->vectors, r->vectors_words, trainer);
  if (status == FV_OK) return fv_tokenizer_trainer_finish(trainer, tokenizer);
  fv_tokenizer_trainer_free(trainer);
  return status;
}

static fv_status copy_tokenizer(const fv_tokenizer *from, fv_tokenizer **to) {
  char *text;
  FV_TRY(fv_tokenizer_print(from, &text));
  fv_status status = fv_tokenizer_parse(text, strlen(text), "tokenizer", to);
  fv_string_free(text);
  return status;
}

static fv_status learn_tokenizers(const fv_texts *t, fv_reading *r) {
  const int sides = t->pairs ? 2 : 1;
  const bool joint = sides == 2 && r->joint;
  for (int k = 0; k < sides; k++) {
    if (r->tokenizer[k]) continue;
    if (joint && k == 1) FV_TRY(copy_tokenizer(r->tokenizer[0], &r->tokenizer[1]));
    else FV_TRY(learn_tokenizer(t, r, joint ? 0 : k, joint ? 2 : k + 1, &r->tokenizer[k]));
  }
  return FV_OK;
}

typedef struct ids {
  int32_t *v;
  int64_t n, room;
} ids;

static fv_status push(ids *a, const int32_t *v, int64_t n) {
  if (a->n + n > a->room) {
    int64_t room = FV_MAX(2 * a->room, a->n + n + 1024);
    int32_t *grown = fv_realloc(a->v, (size_t)room * sizeof *grown);
    FV_REQUIRE(grown, FV_ERR_MEMORY, "dataset: no memory for %lld tokens", (long long)room);
    a->v = grown;
    a->room = room;
  }
  if (n) memcpy(a->v + a->n, v, (size_t)n * sizeof *v);
  a->n += n;
  return FV_OK;
}

/* Text k of every row; begin[i] .. begin[i+1] is row i's. A pair's ends count among `longest`, too. */
static fv_status encode(const fv_texts *t, const fv_tokenizer *tokenizer, int k, int64_t longest, ids *all,
                        int64_t *begin) {
  fv_encoder *e;
  fv_tokens tokens;
  fv_status status = FV_OK;
  const int32_t unk = fv_tokenizer_special(tokenizer, FV_SPECIAL_UNK),
                bos = fv_tokenizer_special(tokenizer, FV_SPECIAL_BOS),
                eos = fv_tokenizer_special(tokenizer, FV_SPECIAL_EOS);
  const int64_t ends = t->pairs ? 1 + k : 0;
  FV_REQUIRE(fv_tokenizer_special(tokenizer, FV_SPECIAL_PAD) == 0 && unk > 0 && bos > 0 && eos > 0, FV_ERR_REQUEST,
             "dataset (%s): expected a tokenizer whose <pad> is 0 and that has <unk>, <bos> and <eos>", t->name);
  FV_TRY(fv_encoder_new(tokenizer, &e));
  for (int64_t i = 0; i < t->n; i++) {
    begin[i] = all->n;
    FV_TRY_DONE(fv_encoder_run(e, t->v[i].text[k].s, t->v[i].text[k].n, 0, &tokens));
    int64_t n = longest ? FV_MIN(tokens.n, FV_MAX(longest - ends, 1)) : tokens.n;
    if (t->pairs && k == 1) FV_TRY_DONE(push(all, &bos, 1));
    FV_TRY_DONE(push(all, tokens.id, n));
    if (n == 0 && !t->pairs) FV_TRY_DONE(push(all, &unk, 1));
    if (t->pairs) FV_TRY_DONE(push(all, &eos, 1));
  }
  begin[t->n] = all->n;
done:
  fv_encoder_free(e);
  return status;
}

/* ---- the dataset ------------------------------------------------------------------------------------------------- */
static int64_t length_of(const fv_dataset *d, fv_split split, int64_t index) {
  const held_texts *h = d->impl;
  int64_t i = h->of[split][index], most = 1;
  for (int k = 0; k < h->n_texts; k++) most = FV_MAX(most, h->begin[k][i + 1] - h->begin[k][i]);
  return most;
}

static void read_texts(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  (void)draw;
  const held_texts *h = d->impl;
  int64_t i = h->of[split][index];
  for (int k = 0; k < h->n_texts; k++)
    if (out[k]) memcpy(out[k], h->token[k] + h->begin[k][i], (size_t)(h->begin[k][i + 1] - h->begin[k][i]) * 4);
  if (h->n_texts == 1 && out[1]) *(int32_t *)out[1] = h->label[i];
}

static fv_bytes text_of(const fv_dataset *d, fv_split split, int64_t index, int k) {
  const held_texts *h = d->impl;
  const int64_t i = h->of[split][index];
  return (fv_bytes){h->written[k] + h->from[k][i], (size_t)(h->from[k][i + 1] - h->from[k][i])};
}

static bool is_kept(const row *r) { return r->split != FV_SPLIT_TRAIN; }

static int64_t kept_bytes(const fv_texts *t, int k) {
  int64_t n = 0;
  for (int64_t i = 0; i < t->n; i++) n += is_kept(&t->v[i]) ? (int64_t)t->v[i].text[k].n : 0;
  return n;
}

static int64_t lay_out(const fv_texts *t, const fv_dataset *d, const ids *all, held_texts *h, char *slab) {
  int64_t at = 0;
  for (int k = 0; k < h->n_texts; k++) {
    h->begin[k] = fv_slab_take(slab, &at, 8 * (t->n + 1));
    h->token[k] = fv_slab_take(slab, &at, 4 * all[k].n);
    h->from[k] = fv_slab_take(slab, &at, 8 * (t->n + 1));
    h->written[k] = fv_slab_take(slab, &at, kept_bytes(t, k));
  }
  if (h->n_texts == 1) h->label = fv_slab_take(slab, &at, 4 * t->n);
  for (int s = 0; s < FV_SPLITS; s++) h->of[s] = fv_slab_take(slab, &at, 4 * d->count[s]);
  return at;
}

static void set_fields(const fv_texts *t, fv_dataset *d, int64_t longest) {
  const fv_field text = {.dtype = FV_I32, .shape = FV_SHAPE(longest), .varies = true};
  d->n_fields = 2;
  d->field[0] = d->field[1] = text;
  d->field[0].name = t->pairs ? "source" : "tokens";
  d->field[1].name = "target";
  if (!t->pairs) d->field[1] = (fv_field){.name = "label", .dtype = FV_I32, .shape = FV_SCALAR};
  d->read = read_texts;
  d->length = length_of;
  d->text = text_of;
  d->skipped = t->skipped;
  for (int i = t->n_tables - 1; i >= 0; i--)
    if (fv_text_table_first_bad(t->table[i]))
      d->first_bad = fv_arena_strdup(d->arena, fv_text_table_first_bad(t->table[i])); /* NULL says less */
}

static void pour_texts(const fv_texts *t, held_texts *h, int k) {
  int64_t at = 0;
  for (int64_t i = 0; i < t->n; i++) {
    const fv_bytes text = t->v[i].text[k];
    h->from[k][i] = at;
    if (!is_kept(&t->v[i]) || text.n == 0) continue;
    memcpy(h->written[k] + at, text.s, text.n);
    at += (int64_t)text.n;
  }
  h->from[k][t->n] = at;
}

static void pour(const fv_texts *t, fv_dataset *d, const ids *all, int64_t *const begin[], held_texts *h) {
  int64_t at[FV_SPLITS] = {0};
  for (int k = 0; k < h->n_texts; k++) {
    memcpy(h->begin[k], begin[k], (size_t)(t->n + 1) * 8);
    memcpy(h->token[k], all[k].v, (size_t)all[k].n * 4);
    pour_texts(t, h, k);
  }
  for (int64_t i = 0; i < t->n; i++) {
    if (h->label) h->label[i] = t->v[i].of_class;
    h->of[t->v[i].split][at[t->v[i].split]++] = (int32_t)i;
  }
  d->impl = h;
}

static fv_status hold(const fv_data_open *o, fv_dataset *d, const fv_texts *t, const ids *all,
                      int64_t *const begin[]) {
  held_texts *h = fv_arena_alloc(d->arena, sizeof *h);
  FV_REQUIRE(h, FV_ERR_MEMORY, "dataset (%s): no memory", t->name);
  *h = (held_texts){.n_texts = t->pairs ? 2 : 1};
  int64_t longest = 1;
  for (int64_t i = 0; i < t->n; i++)
    for (int k = 0; k < h->n_texts; k++) longest = FV_MAX(longest, begin[k][i + 1] - begin[k][i]);
  for (int64_t i = 0; i < t->n; i++) d->count[t->v[i].split]++;
  set_fields(t, d, longest);
  FV_TRY(fv_slab_new(o->ledger, FV_ACCOUNT_DATA, lay_out(t, d, all, h, NULL), &d->slab));
  if (!d->slab) return FV_OK;
  lay_out(t, d, all, h, d->slab);
  pour(t, d, all, begin, h);
  return FV_OK;
}

fv_status fv_texts_hold(const fv_data_open *o, fv_dataset *d, const fv_texts *t, const fv_class_name *names) {
  fv_status status = FV_OK;
  ids all[FV_TOKENIZED] = {0};
  int64_t *begin[FV_TOKENIZED] = {NULL};
  FV_REQUIRE(t->n > 0 && t->n <= INT32_MAX, FV_ERR_REQUEST, "dataset (%s): expected 1 to %d rows, got %lld", t->name,
             INT32_MAX, (long long)t->n);
  if (names) FV_TRY(given_classes(t, d, names));
  else if (!t->pairs) FV_TRY(learn_classes(t, d));
  FV_TRY(cut_test(o, d, t));
  FV_TRY_DONE(learn_tokenizers(t, o->reading));
  for (int k = 0; k < (t->pairs ? 2 : 1); k++) {
    FV_TRY_DONE(FV_NEW(&begin[k], t->n + 1));
    FV_TRY_DONE(encode(t, o->reading->tokenizer[k], k, o->reading->longest, &all[k], begin[k]));
  }
  FV_TRY_DONE(hold(o, d, t, all, begin));
done:
  for (int k = 0; k < FV_TOKENIZED; k++) {
    fv_free(all[k].v);
    fv_free(begin[k]);
  }
  return status;
}

fv_status fv_texts_open_files(const fv_data_open *o, fv_dataset *d, const fv_texts_file *files, int n,
                              const fv_texts_from *from, const fv_class_name *names) {
  fv_texts *t;
  fv_status status = FV_OK;
  FV_TRY(fv_texts_new(d, &t));
  for (int i = 0; i < n; i++) {
    fv_texts_from one = *from;
    one.of_class = files[i].of_class;
    FV_TRY_DONE(fv_data_need(o, &o->def->info.files[files[i].file], d->arena, &one.path));
    FV_TRY_DONE(fv_texts_add(t, files[i].split, &one));
  }
  FV_TRY_DONE(fv_texts_hold(o, d, t, names));
done:
  fv_texts_free(t);
  return status;
}

fv_status fv_texts_add_parallel(fv_texts *t, fv_split split, const char *const path[2], bool skip_bad) {
  const fv_text_options lines = {.format = FV_TEXT_LINES, .skip_bad = skip_bad};
  fv_texts_from from = {.text = 1, .target = 2};
  FV_TRY(fv_text_table_open_parallel(path, 2, &lines, &from.table));
  return fv_texts_add(t, split, &from);
}

fv_status fv_texts_open_parallel(const fv_data_open *o, fv_dataset *d) {
  enum { PARTS = 3 };
  static const fv_split order[PARTS] = {FV_SPLIT_TRAIN, FV_SPLIT_VALIDATION, FV_SPLIT_TEST};
  fv_texts *t;
  fv_status status = FV_OK;
  FV_TRY(fv_texts_new(d, &t));
  for (int i = 0; i < PARTS; i++) {
    const char *path[2];
    for (int k = 0; k < 2; k++) FV_TRY_DONE(fv_data_need(o, &o->def->info.files[k * PARTS + i], d->arena, &path[k]));
    FV_TRY_DONE(fv_texts_add_parallel(t, order[i], path, o->reading->skip_bad));
  }
  FV_TRY_DONE(fv_texts_hold(o, d, t, NULL));
done:
  fv_texts_free(t);
  return status;
}

static fv_status of_texts(const fv_text_table *texts, const fv_text_table *targets, fv_reading *reading,
                          fv_dataset *d) {
  static const fv_class_name no_class[] = {{"", ""}, {NULL, NULL}};
  const fv_data_open o = {.reading = &(fv_reading){.tokenizer = {reading->tokenizer[0], reading->tokenizer[1]},
                                                   .longest = reading->longest}};
  fv_texts *t;
  fv_status status = FV_OK;
  d->reading = reading;
  d->name = "texts";
  FV_TRY(fv_arena_new(&d->arena));
  FV_TRY(fv_texts_new(d, &t));
  FV_TRY_DONE(add_rows(t, FV_SPLIT_TEST, &(fv_texts_from){.text = 1}, texts));
  t->pairs = reading->tokenizer[1];
  for (int64_t i = 0; i < t->n; i++)
    t->v[i].text[1] = targets ? fv_text_table_get(targets, i, 0) : (fv_bytes){"", 0};
  FV_TRY_DONE(fv_texts_hold(&o, d, t, no_class));
done:
  fv_texts_free(t);
  return status;
}

fv_status fv_dataset_of_texts(const fv_text_table *texts, const fv_text_table *targets, fv_reading *reading,
                              fv_dataset **dataset) {
  fv_dataset *d;
  *dataset = NULL;
  FV_TRY(FV_NEW(&d, 1));
  return fv_dataset_give(d, of_texts(texts, targets, reading, d), dataset);
}
