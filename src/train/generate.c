/* SPDX-License-Identifier: Apache-2.0 */
/* generate.c: runs a recipe's steps. Sentences of one length of batches are put together in groups; a group is written
 * whole by one thread, so that the number of threads changes nothing. What goes from step to step lies in memory of the
 * thread's, twice where hypotheses that die out have their rows taken by others. */
#include "train/generate.h"

#include "ops/softmax.h"
#include "ops/topk.h"

#include <math.h>

enum { MOST_STATES = 256, MOST_ROWS = 8192, SENTENCES = 16 }; /* rows of caches, sentences of a group */

#define FIELD(name) #name, .offset = offsetof(fv_writing, name)
const fv_option fv_writing_options[] = {
    {.name = FIELD(beam), .type = FV_OPT_INT, .def = "5", .min = 1, .max = 64,
     .doc = "hypotheses that are kept; 1: the likeliest token each time"},
    {.name = FIELD(penalty), .type = FV_OPT_REAL, .def = "1", .min = 0, .max = 4,
     .doc = "of length: log probabilities are divided by ((5 + n) / 6) to this power"},
    {.name = FIELD(sample), .type = FV_OPT_BOOL, .def = "false", .doc = "draw tokens, do not search for the best"},
    {.name = FIELD(temperature), .type = FV_OPT_REAL, .def = "1", .min = 0.01, .max = 100,
     .doc = "sample: below 1 likely tokens become likelier"},
    {.name = FIELD(top_k), .type = FV_OPT_INT, .def = "0", .min = 0, .max = 1e9,
     .doc = "sample: among so many of the likeliest; 0: all"},
    {.name = FIELD(top_p), .type = FV_OPT_REAL, .def = "1", .min = 0.001, .max = 1,
     .doc = "sample: among the likeliest that have this probability together"},
    {.name = FIELD(seed), .type = FV_OPT_INT, .def = "0", .min = 0, .max = 9e15,
     .doc = "sample: of the random numbers"},
    {0}};

typedef enum kind { KEEP, CARRY, CACHE } kind;
typedef struct state {
  const char *name;
  kind kind;
  int64_t bytes; /* of a row; of a cache: of one place of it */
} state;

/* What belongs to one length of sources. */
typedef struct bucket {
  int64_t sentences, rows, limit; /* of a group; tokens written at most */
  int n_states;
  state state[MOST_STATES];
} bucket;

/* A thread's memory, laid out for one bucket. */
typedef struct desk {
  char *memory;
  int32_t *source, *target, *token, *place, *parent;
  int32_t *chosen; /* [limit]: which hypothesis of a step belongs to the result */
  uint8_t *seen;
  void *now[MOST_STATES], *then[MOST_STATES];
  fv_search *search;
  char *searches;
  fv_ranked_token *ranked;
  float *looked; /* [limit,rows,S]: alignments of each step; only when wanted */
} desk;

struct fv_writer {
  fv_model *m;
  fv_writing how;
  int n_buckets, workers;
  int64_t k, most; /* candidates a row; tokens of the longest sentence */
  bool aligns;
  bucket *bucket;
  fv_runners encode, step;
  desk *desk;
};

/* ---- graphs ------------------------------------------------------------------------------------------------------ */
static bool starts(const char *name, const char *with) { return strncmp(name, with, strlen(with)) == 0; }

static fv_status note_state(bucket *b, const char *name, const fv_value *v) {
  const kind k = starts(name, "keep.") ? KEEP : starts(name, "carry.") ? CARRY : CACHE;
  int64_t bytes = fv_shape_count(v->shape) / b->rows * (int64_t)fv_dtype_size(v->dtype);
  if (k == CACHE) bytes /= b->limit;
  FV_REQUIRE(b->n_states < MOST_STATES, FV_ERR_REQUEST, "writing: expected at most %d states of a network, got more",
             MOST_STATES);
  b->state[b->n_states++] = (state){.name = name, .kind = k, .bytes = bytes};
  return FV_OK;
}

static bool is_state(const char *name) {
  return starts(name, "keep.") || starts(name, "carry.") || starts(name, "cache.");
}

static bool alone(const fv_writing *how) { return how->sample || how->given; }
static int64_t beam_of(const fv_writer *w) { return alone(&w->how) ? 1 : w->how.beam; }

/* A step also gives each row's likeliest tokens. */
static fv_status add_candidates(const fv_writer *w, fv_graph *g) {
  fv_value *scores = NULL, *top[2];
  for (int i = 0; i < g->outputs.n; i++)
    if (!strcmp(g->outputs.v[i].name, "scores")) scores = g->outputs.v[i].value;
  FV_REQUIRE(scores, FV_ERR_INTERNAL, "recipe: expected an output 'scores' of a step, got none");
  for (int i = 0; i < g->outputs.n && !w->how.align; i++)
    if (!strcmp(g->outputs.v[i].name, "alignment")) g->outputs.v[i] = g->outputs.v[--g->outputs.n];
  if (w->how.sample && !w->how.given) return FV_OK;
  fv_value *log_p = fv_op(g, "log_softmax", &(fv_softmax_attrs){.axis = -1}, scores);
  if (!fv_op_n(g, "topk", &(fv_topk_attrs){.k = w->k}, 1, &log_p, 2, top)) return fv_graph_check(g);
  if (w->how.given) fv_output(g, "log_p", log_p);
  fv_output(g, "top.log_p", top[0]);
  fv_output(g, "top.token", top[1]);
  return fv_graph_check(g);
}

static fv_status graphs_of(fv_writer *w, int i, fv_graph **encode, fv_graph **step) {
  fv_model *m = w->m;
  bucket *b = &w->bucket[i];
  m->task.length = m->length[i];
  m->task.places = b->limit;
  FV_TRY(fv_model_graph(m, FV_MODE_ENCODE, b->sentences, false, encode));
  FV_TRY(fv_model_graph(m, FV_MODE_STEP, b->rows, false, step));
  for (int k = 0; k < (*step)->inputs.n; k++)
    if (is_state((*step)->inputs.v[k].name))
      FV_TRY(note_state(b, (*step)->inputs.v[k].name, (*step)->inputs.v[k].value));
  return add_candidates(w, *step);
}

/* A sentence may become longer than what it comes from, up to twice. */
static void size_bucket(fv_writer *w, int i, int64_t sentences) {
  bucket *b = &w->bucket[i];
  const int64_t beam = beam_of(w), longest = w->m->length[w->n_buckets - 1] - 1;
  b->limit = FV_MAX(w->how.given ? longest : FV_MIN(longest, 2 * w->m->length[i] + 8), 1);
  b->sentences = FV_MAX(FV_MIN(sentences, MOST_ROWS / (b->limit * beam)), 1);
  b->rows = b->sentences * beam;
  w->most = FV_MAX(w->most, b->limit);
}

static fv_status make_programs(fv_writer *w, fv_ledger *ledger) {
  fv_graph *encode[FV_MAX_LENGTHS] = {NULL}, *step[FV_MAX_LENGTHS] = {NULL};
  fv_status status = FV_OK;
  for (int i = 0; i < w->n_buckets; i++) FV_TRY_DONE(graphs_of(w, i, &encode[i], &step[i]));
  status = fv_runners_new(ledger, w->n_buckets, encode, w->m->slab, w->workers, NULL, 1, &w->encode);
  memset(encode, 0, sizeof encode);
  FV_TRY_DONE(status);
  status = fv_runners_new(ledger, w->n_buckets, step, w->m->slab, w->workers, NULL, 1, &w->step);
  memset(step, 0, sizeof step);
done:
  for (int i = 0; i < w->n_buckets; i++) {
    fv_graph_free(encode[i]);
    fv_graph_free(step[i]);
  }
  return status;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */
static fv_search_rules rules_of(const fv_writer *w, int64_t limit) {
  const fv_tokenizer *t = w->m->reading.tokenizer[1];
  return (fv_search_rules){.beam = beam_of(w),
                           .limit = limit,
                           .penalty = w->how.penalty,
                           .eos = fv_tokenizer_special(t, FV_SPECIAL_EOS),
                           .never = {fv_tokenizer_special(t, FV_SPECIAL_PAD), fv_tokenizer_special(t, FV_SPECIAL_BOS)}};
}

static int64_t lay_out(const fv_writer *w, int i, char *memory, desk *k) {
  const bucket *b = &w->bucket[i];
  const fv_search_rules rules = rules_of(w, b->limit);
  int64_t at = 0;
  k->source = fv_slab_take(memory, &at, b->sentences * w->m->length[i] * 4);
  k->target = fv_slab_take(memory, &at, w->how.given ? b->sentences * (b->limit + 1) * 4 : 0);
  k->token = fv_slab_take(memory, &at, b->rows * 4);
  k->place = fv_slab_take(memory, &at, b->rows * 4);
  k->parent = fv_slab_take(memory, &at, b->rows * 4);
  k->chosen = fv_slab_take(memory, &at, b->limit * 4);
  k->seen = fv_slab_take(memory, &at, b->rows * (b->limit + 1));
  for (int s = 0; s < b->n_states; s++) {
    const int64_t bytes = b->rows * b->state[s].bytes * (b->state[s].kind == CACHE ? b->limit : 1);
    k->now[s] = fv_slab_take(memory, &at, bytes);
    k->then[s] = b->state[s].kind == KEEP ? NULL : fv_slab_take(memory, &at, bytes);
  }
  k->search = fv_slab_take(memory, &at, b->sentences * (int64_t)sizeof *k->search);
  k->searches = fv_slab_take(memory, &at, b->sentences * fv_search_bytes(&rules));
  k->ranked = fv_slab_take(memory, &at, w->how.sample ? w->m->task.vocabulary[1] * (int64_t)sizeof *k->ranked : 0);
  k->looked = fv_slab_take(memory, &at, w->aligns ? b->limit * b->rows * w->m->length[i] * 4 : 0);
  return at;
}

static fv_status make_desks(fv_writer *w, fv_ledger *ledger) {
  int64_t most = 0;
  desk none = {0};
  for (int i = 0; i < w->n_buckets; i++) most = FV_MAX(most, lay_out(w, i, NULL, &none));
  FV_TRY(FV_NEW(&w->desk, w->workers));
  for (int i = 0; i < w->workers; i++)
    FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_ACTIVATIONS, most, (void **)&w->desk[i].memory));
  return FV_OK;
}

static bool gives(const fv_runners *r, const char *name) {
  const fv_named_list *outputs = &r->of[0].g->outputs;
  for (int i = 0; i < outputs->n; i++)
    if (!strcmp(outputs->v[i].name, name)) return true;
  return false;
}

static fv_status make_writer(fv_writer *w, fv_ledger *ledger, int64_t sentences) {
  FV_REQUIRE(w->m->recipe->writes && w->m->n_lengths > 0, FV_ERR_REQUEST,
             "%s: expected a model that writes, got one that does not", w->m->recipe->info.name);
  w->n_buckets = w->m->n_lengths;
  w->workers = fv_pool_threads(w->m->pool);
  w->k = FV_MIN(w->how.given ? FV_MAX(w->how.top, 1) : beam_of(w) + 3, w->m->task.vocabulary[1]);
  FV_TRY(FV_NEW(&w->bucket, w->n_buckets));
  for (int i = 0; i < w->n_buckets; i++) size_bucket(w, i, sentences);
  FV_TRY(make_programs(w, ledger));
  w->aligns = gives(&w->step, "alignment");
  return make_desks(w, ledger);
}

fv_status fv_writer_new(fv_model *m, fv_ledger *ledger, int64_t sentences, const fv_writing *how, fv_writer **writer) {
  fv_writer *w;
  *writer = NULL;
  FV_TRY(FV_NEW(&w, 1));
  w->m = m;
  w->how = *how;
  fv_status status = make_writer(w, ledger, sentences);
  if (status == FV_OK) *writer = w;
  else fv_writer_free(w);
  return status;
}

void fv_writer_free(fv_writer *w) {
  if (!w) return;
  fv_runners_free(&w->encode);
  fv_runners_free(&w->step);
  for (int i = 0; w->desk && i < w->workers; i++) fv_slab_free(w->desk[i].memory);
  fv_free(w->desk);
  fv_free(w->bucket);
  fv_free(w);
}

fv_writing fv_model_writing(const fv_model *m) {
  return (fv_writing){.beam = m->train.beam, .penalty = m->train.penalty, .temperature = 1, .top_p = 1};
}

static bool same(const fv_writing *a, const fv_writing *b) {
  return a->beam == b->beam && a->penalty == b->penalty && a->sample == b->sample &&
         a->temperature == b->temperature && a->top_p == b->top_p && a->top_k == b->top_k && a->seed == b->seed &&
         a->align == b->align && a->given == b->given && a->top == b->top;
}

fv_status fv_model_writer(fv_model *m, const fv_writing *how, bool one, fv_writer **writer) {
  fv_writer **own = one ? &m->writer_of_one : &m->writer;
  const fv_writing settled = fv_model_writing(m);
  if (!how) how = &settled;
  if (*own && !same(&(*own)->how, how)) {
    fv_writer_free(*own);
    *own = NULL;
  }
  if (!*own) FV_TRY(fv_writer_new(m, &m->ledger, one ? 1 : SENTENCES, how, own));
  *writer = *own;
  return FV_OK;
}

fv_status fv_written_new(const fv_writer *w, int64_t n, bool alignment, fv_written *out) {
  fv_status status = FV_OK;
  *out = (fv_written){.n = n, .most = w->most, .read = w->m->length[w->n_buckets - 1]};
  FV_TRY_DONE(FV_NEW(&out->token, n * w->most));
  FV_TRY_DONE(FV_NEW(&out->length, n));
  FV_TRY_DONE(FV_NEW(&out->score, n));
  FV_TRY_DONE(FV_NEW(&out->ended, n));
  FV_TRY_DONE(FV_NEW(&out->order, n));
  if (alignment && w->aligns) FV_TRY_DONE(FV_NEW(&out->alignment, n * w->most * out->read));
  if (w->how.given) {
    out->choices = 1 + FV_MIN(w->how.top, w->k);
    FV_TRY_DONE(FV_NEW(&out->choice, n * w->most * out->choices));
  }
done:
  if (status != FV_OK) fv_written_free(out);
  return status;
}

void fv_written_free(fv_written *out) {
  fv_free(out->token);
  fv_free(out->length);
  fv_free(out->score);
  fv_free(out->ended);
  fv_free(out->order);
  fv_free(out->alignment);
  fv_free(out->choice);
  *out = (fv_written){0};
}

/* ---- a group ----------------------------------------------------------------------------------------------------- */
typedef struct job {
  fv_writer *w;
  const fv_dataset *data;
  fv_split split;
  const int64_t *index;
  const int64_t *order; /* sentences of this bucket: places in the result */
  int64_t n;
  int b;
  fv_written *out;
} job;

typedef struct group {
  const job *j;
  const bucket *b;
  desk *k;
  fv_exec *encode, *step;
  int64_t first, n, beam; /* sentences of order that count */
  fv_search_rules rules;
} group;

static void bind(fv_exec *e, const char *name, const void *data) {
  const int input = fv_exec_input(e, name);
  if (input >= 0) fv_exec_bind_input(e, input, data);
}

static int64_t sample_of(const job *j, int64_t i) { return j->index ? j->index[i] : i; }

/* Those that are missing repeat the first. */
static void read_sources(const group *g) {
  const int64_t length = g->j->w->m->length[g->j->b];
  memset(g->k->source, 0, (size_t)(g->b->sentences * length) * 4);
  for (int64_t i = 0; i < g->b->sentences; i++) {
    const int64_t sample = sample_of(g->j, g->j->order[g->first + (i < g->n ? i : 0)]);
    fv_dataset_read_field(g->j->data, g->j->split, sample, "source", g->k->source + i * length);
    if (g->j->w->how.given)
      fv_dataset_read_field(g->j->data, g->j->split, sample, "target", g->k->target + i * (g->b->limit + 1));
  }
}

/* What the steps need of the source, a row for each hypothesis. */
static void take_encoded(const group *g) {
  for (int s = 0; s < g->b->n_states; s++) {
    const state *st = &g->b->state[s];
    if (st->kind == CACHE) {
      memset(g->k->now[s], 0, (size_t)(g->b->rows * g->b->limit * st->bytes));
      memset(g->k->then[s], 0, (size_t)(g->b->rows * g->b->limit * st->bytes));
      continue;
    }
    const char *from = fv_exec_output(g->encode, st->name)->data;
    for (int64_t r = 0; r < g->b->rows; r++)
      memcpy((char *)g->k->now[s] + r * st->bytes, from + r / g->beam * st->bytes, (size_t)st->bytes);
  }
}

static void begin_group(const group *g) {
  const int32_t bos = g->rules.never[1];
  read_sources(g);
  bind(g->encode, "source", g->k->source);
  fv_exec_run(g->encode);
  take_encoded(g);
  memset(g->k->seen, 0, (size_t)(g->b->rows * (g->b->limit + 1)));
  for (int64_t r = 0; r < g->b->rows; r++) {
    g->k->token[r] = bos;
    g->k->seen[r * (g->b->limit + 1) + g->b->limit] = 1;
  }
  for (int64_t i = 0; i < g->b->sentences; i++)
    fv_search_begin(&g->k->search[i], &g->rules, g->k->searches + i * fv_search_bytes(&g->rules));
  bind(g->step, "token", g->k->token);
  bind(g->step, "place", g->k->place);
  bind(g->step, "seen", g->k->seen);
}

static void run_step(const group *g, int64_t t) {
  for (int64_t r = 0; r < g->b->rows; r++) {
    g->k->place[r] = (int32_t)t;
    if (t > 0) g->k->seen[r * (g->b->limit + 1) + t - 1] = 1;
  }
  for (int s = 0; s < g->b->n_states; s++) bind(g->step, g->b->state[s].name, g->k->now[s]);
  fv_exec_run(g->step);
  const fv_tensor *look = g->j->w->aligns ? fv_exec_output(g->step, "alignment") : NULL;
  const int64_t row = look ? g->b->rows * g->j->w->m->length[g->j->b] : 0;
  if (look) memcpy(g->k->looked + t * row, look->data, (size_t)row * 4);
}

static void draw(const group *g, int64_t i, int64_t t) {
  const fv_writing *how = &g->j->w->how;
  const fv_draw_rules rules = {.temperature = how->temperature, .top_k = how->top_k, .top_p = how->top_p,
                               .never = {g->rules.never[0], g->rules.never[1]}};
  const int64_t v = g->j->w->m->task.vocabulary[1], place = g->j->order[g->first + (i < g->n ? i : 0)];
  fv_rng rng = fv_rng_new((uint64_t)how->seed, fv_stream_of("write") + (uint64_t)sample_of(g->j, place));
  rng.counter = (uint64_t)t;
  double log_p;
  const float *logits = (const float *)fv_exec_output(g->step, "scores")->data + i * v;
  const int32_t token = fv_draw_token(&rules, logits, v, fv_rng_uniform(&rng), g->k->ranked, &log_p);
  fv_search_step(&g->k->search[i], 1, (const float[]){(float)log_p}, &token);
}

static fv_scored_token choice_of(const group *g, int64_t i, int32_t id) {
  const int64_t at = i * g->j->w->m->task.vocabulary[1] + id;
  return (fv_scored_token){id, ((const float *)fv_exec_output(g->step, "scores")->data)[at],
                     ((const float *)fv_exec_output(g->step, "log_p")->data)[at]};
}

static void follow(const group *g, int64_t i, int64_t t) {
  const fv_written *out = g->j->out;
  const int32_t *top = (const int32_t *)fv_exec_output(g->step, "top.token")->data + i * g->j->w->k;
  const fv_scored_token next = choice_of(g, i, g->k->target[i * (g->b->limit + 1) + t + 1]);
  fv_search_step(&g->k->search[i], 1, &next.log_p, &next.id);
  if (i >= g->n) return;
  fv_scored_token *to = out->choice + (g->j->order[g->first + i] * out->most + t) * out->choices;
  to[0] = next;
  for (int64_t c = 1; c < out->choices; c++) to[c] = choice_of(g, i, top[c - 1]);
}

/* What each hypothesis writes next and whose row it goes on from. False: all sentences have ended. */
static bool choose(const group *g, int64_t t) {
  const int64_t k = g->j->w->k;
  bool open = false;
  for (int64_t i = 0; i < g->b->sentences; i++) {
    fv_search *s = &g->k->search[i];
    const int64_t row = i * g->beam;
    const bool was_done = s->done;
    if (!was_done && g->j->w->how.given) follow(g, i, t);
    else if (!was_done && g->j->w->how.sample) draw(g, i, t);
    else if (!was_done)
      fv_search_step(s, k, (const float *)fv_exec_output(g->step, "top.log_p")->data + row * k,
                     (const int32_t *)fv_exec_output(g->step, "top.token")->data + row * k);
    for (int64_t b = 0; b < g->beam; b++) {
      g->k->token[row + b] = was_done ? g->rules.eos : s->token[t * g->beam + b];
      g->k->parent[row + b] = (int32_t)(row + (was_done ? b : s->from[t * g->beam + b]));
    }
    open |= !s->done && i < g->n;
  }
  return open;
}

static bool stays(const group *g) {
  for (int64_t r = 0; r < g->b->rows; r++)
    if (g->k->parent[r] != (int32_t)r) return false;
  return true;
}

/* The t places of a cache so far, by the rows they go on in, then the place just written. */
static void advance_cache(const group *g, int s, int64_t t, bool same) {
  const int64_t bytes = g->b->state[s].bytes, row = bytes * g->b->limit;
  const char *fresh = fv_exec_output(g->step, g->b->state[s].name)->data;
  char *from = g->k->now[s], *to = same ? from : g->k->then[s];
  for (int64_t r = 0; r < g->b->rows; r++) {
    const int64_t p = g->k->parent[r];
    if (!same) memcpy(to + r * row, from + p * row, (size_t)(t * bytes));
    memcpy(to + r * row + t * bytes, fresh + p * bytes, (size_t)bytes);
  }
  g->k->then[s] = same ? g->k->then[s] : from;
  g->k->now[s] = to;
}

static void advance(const group *g, int64_t t) {
  const bool same = stays(g);
  for (int s = 0; s < g->b->n_states; s++) {
    const state *st = &g->b->state[s];
    if (st->kind == CACHE) advance_cache(g, s, t, same);
    if (st->kind != CARRY) continue;
    const char *fresh = fv_exec_output(g->step, st->name)->data;
    for (int64_t r = 0; r < g->b->rows; r++)
      memcpy((char *)g->k->now[s] + r * st->bytes, fresh + g->k->parent[r] * st->bytes, (size_t)st->bytes);
  }
}

static void give_result(const group *g, int64_t i) {
  fv_written *out = g->j->out;
  const int64_t place = g->j->order[g->first + i], read = g->j->w->m->length[g->j->b];
  out->length[place] =
      fv_search_result(&g->k->search[i], out->token + place * out->most, g->k->chosen, &out->score[place]);
  out->ended[place] = g->k->search[i].finished > 0;
  const int64_t rows = out->length[place] + out->ended[place];
  for (int64_t t = 0; out->alignment && t < rows; t++)
    memcpy(out->alignment + (place * out->most + t) * out->read,
           g->k->looked + (t * g->b->rows + i * g->beam + g->k->chosen[t]) * read, (size_t)read * 4);
}

static void write_group(void *arg, int64_t n, int worker) {
  const job *j = arg;
  const bucket *b = &j->w->bucket[j->b];
  desk *k = &j->w->desk[worker];
  group g = {.j = j, .b = b, .k = k, .encode = j->w->encode.of[j->b].exec[worker],
             .step = j->w->step.of[j->b].exec[worker], .first = n * b->sentences, .rules = rules_of(j->w, b->limit)};
  g.beam = g.rules.beam;
  g.n = FV_MIN(b->sentences, j->n - g.first);
  lay_out(j->w, j->b, k->memory, k);
  begin_group(&g);
  for (int64_t t = 0; t < b->limit; t++) {
    run_step(&g, t);
    if (!choose(&g, t)) break;
    advance(&g, t);
  }
  for (int64_t i = 0; i < g.n; i++) give_result(&g, i);
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */
/* Places by length of their source, in order within each: begin[b] .. begin[b+1] of `order`. */
static void sort_by_length(const fv_writer *w, const fv_dataset *d, fv_split split, const int64_t *index, int64_t n,
                           int64_t *order, int64_t begin[FV_MAX_LENGTHS + 1]) {
  int64_t at = 0;
  for (int b = 0; b < w->n_buckets; b++) {
    begin[b] = at;
    for (int64_t i = 0; i < n; i++)
      if (fv_length_bucket(w->m->length, w->n_buckets, d->length(d, split, index ? index[i] : i)) == b) order[at++] = i;
  }
  begin[w->n_buckets] = at;
}

fv_status fv_writer_run(fv_writer *w, const float *params, const fv_dataset *d, fv_split split, const int64_t *index,
                        bool stoppable, fv_written *out, fv_train_report *report, void *arg) {
  int64_t begin[FV_MAX_LENGTHS + 1], *order = out->order;
  sort_by_length(w, d, split, index, out->n, order, begin);
  for (int b = 0; b < w->n_buckets; b++) {
    job j = {.w = w, .data = d, .split = split, .index = index, .order = order + begin[b],
             .n = begin[b + 1] - begin[b], .b = b, .out = out};
    if (j.n == 0) continue;
    FV_TRY(fv_runners_refresh(&w->encode, b, params, w->m->pool));
    FV_TRY(fv_runners_refresh(&w->step, b, params, w->m->pool));
    const int64_t groups = fv_ceil_div(j.n, w->bucket[b].sentences);
    if (groups == 1) write_group(&j, 0, 0);
    else fv_pool_run(w->m->pool, groups, write_group, &j);
    if (report) report(arg, &(fv_train_event){.phase = "evaluate", .step = begin[b + 1], .steps = out->n});
    FV_REQUIRE(!stoppable || !fv_stop_requested(), FV_ERR_STOPPED, "stopped while writing");
  }
  return FV_OK;
}

/* ---- BLEU -------------------------------------------------------------------------------------------------------- */
static fv_status add_sentence(const fv_writer *w, const fv_dataset *d, fv_split split, const fv_written *out, int64_t i,
                              fv_bleu *bleu) {
  char *text;
  size_t n;
  FV_TRY(fv_tokenizer_decode(w->m->reading.tokenizer[1], out->token + i * out->most, out->length[i], false, &text, &n));
  const fv_bytes reference = d->text(d, split, i, 1);
  fv_status status = fv_bleu_add(bleu, (fv_bytes){text, n}, &reference, 1);
  fv_string_free(text);
  return status;
}

fv_status fv_writer_bleu(fv_writer *w, const float *params, const fv_dataset *d, fv_split split, bool stoppable,
                         double *bleu, fv_train_report *report, void *arg) {
  fv_written out;
  fv_bleu sum = {0};
  fv_status status = FV_OK;
  FV_TRY(fv_written_new(w, d->count[split], false, &out));
  w->encode.fresh = w->step.fresh = -1;
  FV_TRY_DONE(fv_writer_run(w, params, d, split, NULL, stoppable, &out, report, arg));
  for (int64_t i = 0; i < out.n; i++) FV_TRY_DONE(add_sentence(w, d, split, &out, i, &sum));
  *bleu = fv_bleu_score(&sum);
done:
  fv_written_free(&out);
  return status;
}
