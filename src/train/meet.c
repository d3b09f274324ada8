/* SPDX-License-Identifier: Apache-2.0 */
/* meet.c: a model and its data: what it learns of them before it is built, and whether others are like them. */
#include "train/train.h"

/* Lengths of batches, rising to the longest sample's: multiples of 4, each about a quarter less than the next, so that
 * little of a batch is padding, whatever the lengths are like. */
static void choose_lengths(fv_model *m, int64_t longest) {
  int64_t falling[FV_MAX_LENGTHS], length = longest;
  int n = 0;
  falling[n++] = length;
  while (n < FV_MAX_LENGTHS && length > 4) {
    length = FV_MIN(fv_round_up(length * 3 / 4, 4), (length - 1) / 4 * 4);
    falling[n++] = length;
  }
  m->n_lengths = n;
  for (int i = 0; i < n; i++) m->length[i] = falling[n - 1 - i];
}

static fv_status copy_classes(fv_model *m, const fv_dataset *d) {
  const char **names = fv_arena_alloc(m->arena, (size_t)FV_MAX(d->n_classes, 1) * sizeof *names);
  for (int i = 0; names && i < d->n_classes; i++)
    if (!(names[i] = fv_arena_strdup(m->arena, d->classes[i]))) names = NULL;
  FV_REQUIRE(names, FV_ERR_MEMORY, "model: out of memory");
  m->classes = names;
  m->task.n_classes = d->n_classes;
  return FV_OK;
}

static bool has_run(const fv_model *m) {
  bool runs = m->eval.n > 0;
  for (int i = 0; i < FV_MAX_LENGTHS; i++) runs |= m->predict[i].program != NULL;
  return runs;
}

static void meet_series(fv_model *m, const fv_dataset *d) {
  const int past = fv_dataset_field(d, "past"), future = fv_dataset_field(d, "future");
  if (past < 0 || future < 0) return;
  m->task.past = d->field[past].shape.dim[0];
  m->task.channels = d->field[past].shape.dim[1];
  m->task.horizon = d->field[future].shape.dim[0];
}

/* Other episodes may have more ways or shots: the model takes that on, unless it was made to run for others already or
 * its network cannot. */
static fv_status meet_episodes(fv_model *m, const fv_dataset *d) {
  const fv_problem was = m->task;
  const int support = fv_dataset_field(d, "support"), query = fv_dataset_field(d, "query");
  if (support < 0 || query < 0) return FV_OK;
  const fv_shape s = d->field[support].shape;
  m->task.n_classes = d->n_classes;
  m->task.support = s.dim[0];
  m->task.asked = d->field[query].shape.dim[0];
  m->task.glyph = FV_SHAPE(s.dim[1], s.dim[2], s.dim[3]);
  if (!was.ways) {
    m->task.ways = d->n_classes;
    m->task.shots = m->task.support / d->n_classes;
    m->task.queries = m->task.asked / d->n_classes;
    return FV_OK;
  }
  FV_REQUIRE(fv_shape_equal(m->task.glyph, was.glyph), FV_ERR_REQUEST,
             "dataset '%s': expected pictures %s as the model was trained on, got %s", d->name,
             fv_shape_text(was.glyph), fv_shape_text(m->task.glyph));
  const bool same = m->task.n_classes == was.n_classes && m->task.support == was.support && m->task.asked == was.asked;
  FV_REQUIRE(same || !has_run(m), FV_ERR_REQUEST, "dataset '%s': expected episodes of the size of the last ones",
             d->name);
  FV_TRY(fv_model_check(m));
  return copy_classes(m, d);
}

static void meet_graph(fv_model *m, const fv_dataset *d) {
  const int place = fv_dataset_field(d, "neighbour"), word = fv_dataset_field(d, "word"),
            label = fv_dataset_field(d, "node_label");
  m->task.features = d->features;
  m->task.words = word < 0 ? 0 : d->field[word].shape.dim[1];
  m->task.nodes = label < 0 ? 0 : d->field[label].shape.dim[0];
  if (place >= 0) m->task.edges = d->field[place].shape.dim[m->task.nodes ? 0 : 1];
  m->task.block = place >= 0 && !m->task.nodes && !d->field[place].varies ? d->field[place].shape.dim[0] : 0;
}

void fv_model_meet_catalogue(fv_model *m) {
  const fv_catalogue *c = m->reading.catalogue;
  if (!c) return;
  m->task.users = c->user.n + 2;
  m->task.items = c->items + 2;
  m->task.trait_values = c->trait.n + 2;
  m->task.kind_values = c->kind.n + 2;
  m->task.traits = c->n_traits;
  m->task.kinds = c->n_kinds;
}

fv_status fv_model_meet(fv_model *m, const fv_dataset *d, int64_t n_train) {
  FV_TRY(copy_classes(m, d));
  meet_series(m, d);
  FV_TRY(meet_episodes(m, d));
  meet_graph(m, d);
  fv_model_meet_catalogue(m);
  for (int f = 0; f < d->n_fields; f++)
    if (d->field[f].varies) choose_lengths(m, d->field[f].shape.dim[0]);
  m->reading.longest = fv_model_longest(m);
  for (int k = 0; k < FV_TOKENIZED; k++)
    m->task.vocabulary[k] = m->reading.tokenizer[k] ? fv_tokenizer_size(m->reading.tokenizer[k]) : 0;
  int image = fv_dataset_field(d, "image");
  if (image < 0) return FV_OK;
  m->task.image = d->field[image].shape;
  if (m->ledger.dry) return FV_OK;
  return fv_data_statistics(d, FV_SPLIT_TRAIN, 0, n_train, (uint64_t)m->train.seed, m->mean, m->deviation);
}

static int64_t longest_of(const fv_dataset *d) {
  for (int f = 0; f < d->n_fields; f++)
    if (d->field[f].varies) return d->field[f].shape.dim[0];
  return 0;
}

/* Another graph may have another size: the model takes it on, unless it was made to run for one already. */
static void meet_size(fv_model *m, const fv_dataset *d, bool *changed) {
  const fv_problem was = m->task;
  const int64_t longest = longest_of(d), most = fv_model_longest(m);
  meet_graph(m, d);
  *changed = m->task.words != was.words || m->task.nodes != was.nodes || m->task.edges != was.edges ||
             m->task.block != was.block || longest > most || (longest == 0 && most > 0);
  if (longest > most) choose_lengths(m, longest);
  if (longest == 0) m->n_lengths = 0, m->length[0] = 0;
}

static fv_status check_graph(fv_model *m, const fv_dataset *d) {
  const fv_problem was = m->task;
  bool changed = false;
  const bool whole = fv_dataset_field(d, "node_label") >= 0;
  const bool kind = !was.features || whole == (was.nodes > 0) || (whole && was.block > 0);
  FV_REQUIRE(d->features == was.features && kind, FV_ERR_REQUEST,
             "dataset '%s': expected %s of %lld features as the model was trained on, got %s of %lld", d->name,
             was.nodes ? "a graph" : "graphs", (long long)was.features, whole ? "a graph" : "graphs",
             (long long)d->features);
  if (was.features) meet_size(m, d, &changed);
  FV_REQUIRE(!changed || !has_run(m), FV_ERR_REQUEST, "dataset '%s': expected a graph of the size of the last one",
             d->name);
  return FV_OK;
}

static fv_status check_data(fv_model *m, const fv_dataset *d) {
  int image = fv_dataset_field(d, "image"), text = fv_dataset_field(d, m->task.vocabulary[1] ? "source" : "tokens");
  FV_REQUIRE(!m->task.image.ndim || (image >= 0 && fv_shape_equal(d->field[image].shape, m->task.image)),
             FV_ERR_REQUEST, "dataset '%s': expected images %s as the model was trained on, got %s", d->name,
             fv_shape_text(m->task.image), image < 0 ? "none" : fv_shape_text(d->field[image].shape));
  FV_REQUIRE(!m->task.vocabulary[0] || text >= 0, FV_ERR_REQUEST,
             "dataset '%s': expected texts%s as the model was trained on, got none", d->name,
             m->task.vocabulary[1] ? " in two languages" : "");
  const int past = fv_dataset_field(d, "past");
  FV_REQUIRE(!m->task.horizon || (past >= 0 && d->field[past].shape.dim[1] == m->task.channels), FV_ERR_REQUEST,
             "dataset '%s': expected a series of %d channels as the model was trained on, got %s", d->name,
             (int)m->task.channels, past < 0 ? "none" : fv_shape_text(d->field[past].shape));
  FV_REQUIRE(!m->task.ways || fv_dataset_field(d, "support") >= 0, FV_ERR_REQUEST,
             "dataset '%s': expected episodes as the model was trained on, got none", d->name);
  if (m->task.ways) FV_TRY(meet_episodes(m, d));
  FV_TRY(check_graph(m, d));
  FV_REQUIRE(!d->length == !m->n_lengths, FV_ERR_REQUEST,
             "dataset '%s': expected samples of %s length as the model was trained on, got the other kind", d->name,
             m->n_lengths ? "varying" : "one");
  FV_REQUIRE(!m->task.items || fv_dataset_field(d, "history") >= 0, FV_ERR_REQUEST,
             "dataset '%s': expected ratings as the model was trained on, got none", d->name);
  FV_REQUIRE(d->n_classes == m->task.n_classes, FV_ERR_REQUEST,
             "dataset '%s': expected %d classes as the model knows, got %d", d->name, (int)m->task.n_classes,
             d->n_classes);
  return FV_OK;
}

fv_status fv_model_open_data(fv_model *m, const char *data, fv_dataset **d) {
  const char *name = data ? data : m->data;
  FV_REQUIRE(!m->support, FV_ERR_REQUEST,
             "dataset '%s': expected the model that was adapted, not what became of it", name);
  FV_TRY(fv_dataset_open(name, &m->reading, (uint64_t)m->train.seed, &m->ledger, NULL, NULL, d));
  fv_status status = check_data(m, *d);
  if (status == FV_OK) return FV_OK;
  fv_dataset_close(*d);
  *d = NULL;
  return status;
}

static const char sample_prefix[] = "test:";

bool fv_is_test_sample(const char *input) { return !strncmp(input, sample_prefix, sizeof sample_prefix - 1); }

fv_status fv_test_sample(const char *input, const fv_dataset *d, int64_t *index) {
  const int64_t n = d->count[FV_SPLIT_TEST];
  FV_REQUIRE(fv_parse_int(input + sizeof sample_prefix - 1, index) && *index >= 0 && *index < n, FV_ERR_REQUEST,
             "%s: expected a number from 0 to %lld", input, (long long)n - 1);
  return FV_OK;
}

fv_loader_options fv_model_loader(const fv_model *m, const fv_dataset *d, fv_split split) {
  fv_loader_options o = {.data = d, .split = split, .to = d->count[split], .batch = m->train.batch,
                         .seed = (uint64_t)m->train.seed, .ahead = true, .n_channels = (int)m->task.image.dim[2],
                         .n_lengths = d->length ? m->n_lengths : 0};
  memcpy(o.mean, m->mean, sizeof o.mean);
  memcpy(o.deviation, m->deviation, sizeof o.deviation);
  memcpy(o.length, m->length, sizeof o.length);
  return o;
}
