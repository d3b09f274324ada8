/* SPDX-License-Identifier: Apache-2.0 */
/* loader.c: batches, one ahead of need. What a batch holds depends on (seed, epoch, position) and nothing else: an
 * epoch's order is a permutation drawn from (seed, epoch), what happens to a sample from (seed, epoch, sample). The
 * filling thread and the caller pass two slots back and forth through two counters: batches filled, and batches given
 * back. */
#include "data/augment.h"

#include <math.h>
#include <stdatomic.h>

enum { SLOTS = 2, DRAWS = 8 }; /* blocks of random numbers for each augmented sample */

struct fv_loader {
  fv_loader_options o;
  int64_t n, batches;          /* of an epoch */
  int image;                   /* the field, -1: none */
  int box;
  int64_t drawn;               /* pictures of a sample in fields that are `drawn` */
  int slots;
  void *slab;
  fv_batch slot[SLOTS];
  int64_t *index[SLOTS];
  int32_t *part, *order;       /* the samples of the part; the epoch's order of them */
  int32_t *batch_order;        /* of samples that vary: the epoch's order of batches */
  int32_t *scratch_order;      /* room to sort samples in */
  int64_t ordered_epoch;       /* of `order`; -1: none yet */
  uint8_t *raw, *changed;      /* one image */
  fv_augmenter augmenter;
  fv_scale scale;
  int64_t taken, made;         /* batches handed out; filled */
  int64_t epoch, position;     /* of the next batch to fill */
  fv_gate *filled, *given_back;
  fv_thread *thread;
  atomic_bool stop;
};

void fv_data_part_order(const fv_dataset *d, fv_split split, uint64_t seed, int32_t *order) {
  fv_rng rng = fv_rng_new(seed, fv_stream_of("data.part"));
  fv_rng_permutation(&rng, order, d->count[split]);
}

/* ---- the order of an epoch --------------------------------------------------------------------------------------- */
static int64_t sample_of(const fv_loader *l, int64_t k) { return l->part ? l->part[k] : k; }

int fv_length_bucket(const int64_t *lengths, int n, int64_t length) {
  int b = 0;
  while (b < n - 1 && lengths[b] < length) b++;
  return b;
}

static int bucket_of(const fv_loader *l, int64_t k) {
  int64_t length = l->o.data->length(l->o.data, l->o.split, sample_of(l, k));
  return fv_length_bucket(l->o.length, l->o.n_lengths, length);
}

/* Puts samples of like length together, otherwise in the order they have: a counting sort. Cut into batches, all but
 * few then hold samples of one length, and none is left over. */
static void sort_by_length(fv_loader *l) {
  int64_t begin[FV_MAX_LENGTHS + 1] = {0};
  for (int64_t k = 0; k < l->n; k++) begin[bucket_of(l, k) + 1]++;
  for (int b = 0; b < l->o.n_lengths; b++) begin[b + 1] += begin[b];
  for (int64_t k = 0; k < l->n; k++) l->scratch_order[begin[bucket_of(l, l->order[k])]++] = l->order[k];
  memcpy(l->order, l->scratch_order, (size_t)l->n * sizeof *l->order);
}

static fv_rng epoch_rng(const fv_loader *l, const char *stream) {
  fv_rng rng = fv_rng_new(l->o.seed, fv_stream_of(stream));
  rng.counter = (uint64_t)l->epoch << 32; /* an epoch takes fewer blocks than that */
  return rng;
}

static void order_epoch(fv_loader *l) {
  if (l->ordered_epoch == l->epoch || !l->order) return;
  bool first = l->ordered_epoch < 0;
  l->ordered_epoch = l->epoch;
  if (!l->o.shuffle && !first) return;
  for (int64_t k = 0; k < l->n; k++) l->order[k] = (int32_t)k;
  if (l->o.shuffle) {
    fv_rng rng = epoch_rng(l, "data.order");
    fv_rng_permutation(&rng, l->order, l->n);
  }
  if (l->o.n_lengths == 0) return;
  sort_by_length(l);
  for (int64_t b = 0; b < l->batches; b++) l->batch_order[b] = (int32_t)b;
  if (l->o.shuffle) {
    fv_rng rng = epoch_rng(l, "data.batches");
    fv_rng_permutation(&rng, l->batch_order, l->batches);
  }
}

static int64_t sample_at(const fv_loader *l, int64_t k) { return sample_of(l, l->order ? l->order[k] : k); }

/* ---- filling ----------------------------------------------------------------------------------------------------- */
/* `raw` to `changed`: picture i of so many of a sample. */
static void change(fv_loader *l, int64_t sample, int64_t i, int64_t pictures, float *box) {
  const uint64_t before = (uint64_t)l->epoch * (uint64_t)l->o.data->count[l->o.split] + (uint64_t)sample;
  fv_rng rng = fv_rng_new(l->o.seed, fv_stream_of("data.augment"));
  rng.counter = (before * (uint64_t)pictures + (uint64_t)i) * DRAWS;
  fv_augment_apply(&l->augmenter, &rng, l->raw, l->changed, box);
}

static void finish_drawn(fv_loader *l, int64_t sample, void *const out[]) {
  const int64_t pixels = (int64_t)l->augmenter.h * l->augmenter.w * l->augmenter.c;
  for (int64_t f = 0, i = 0; f < l->o.data->n_fields; f++) {
    const fv_field *field = &l->o.data->field[f];
    for (int64_t k = 0; field->drawn && k < field->shape.dim[0]; k++, i++) {
      float *x = (float *)out[f] + k * pixels;
      for (int64_t p = 0; p < pixels; p++) l->raw[p] = (uint8_t)lrintf(255 * x[p]);
      change(l, sample, i, l->drawn, NULL);
      for (int64_t p = 0; p < pixels; p++) x[p] = (float)l->changed[p] * (1 / 255.0f);
    }
  }
}

static void finish_image(fv_loader *l, int64_t sample, float *box, float *out) {
  const uint8_t *pixels = l->raw;
  if (fv_augment_any(&l->augmenter.how)) {
    change(l, sample, 0, 1, box);
    pixels = l->changed;
  }
  fv_scale_apply(&l->scale, pixels, fv_shape_count(l->o.data->field[l->image].shape), out);
}

/* Bytes of one sample of a field, as a batch of that length holds it: pixels have become numbers. */
static int64_t item_bytes(const fv_loader *l, int f, int bucket) {
  const int64_t bytes = fv_field_bytes(&l->o.data->field[f], l->o.length[bucket]);
  return f == l->image ? bytes * (int64_t)sizeof(float) : bytes;
}

static void fill_sample(fv_loader *l, fv_batch *b, int64_t i, int64_t sample) {
  void *out[FV_MAX_FIELDS] = {0};
  for (int f = 0; f < l->o.data->n_fields; f++) {
    int64_t bytes = item_bytes(l, f, b->bucket);
    if (l->o.data->field[f].shared) continue;
    out[f] = (char *)b->field[f] + i * bytes;
    if (l->o.data->field[f].varies) memset(out[f], 0, (size_t)bytes);
  }
  float *image = l->image >= 0 ? out[l->image] : NULL;
  if (image) out[l->image] = l->raw;
  l->o.data->read(l->o.data, l->o.split, sample, (uint64_t)l->epoch, out);
  if (image) finish_image(l, sample, l->box >= 0 ? out[l->box] : NULL, image);
  if (l->drawn && fv_augment_any(&l->augmenter.how)) finish_drawn(l, sample, out);
}

/* The rest of a partial batch repeats its first sample: sound numbers that nobody counts. */
static void pad_batch(const fv_loader *l, fv_batch *b, int64_t *index) {
  for (int64_t i = b->n; i < l->o.batch; i++) {
    index[i] = index[0];
    for (int f = 0; f < l->o.data->n_fields; f++) {
      int64_t bytes = item_bytes(l, f, b->bucket);
      if (bytes) memcpy((char *)b->field[f] + i * bytes, b->field[f], (size_t)bytes);
    }
  }
}

static void fill_next(fv_loader *l) {
  int slot = (int)(l->made % l->slots);
  fv_batch *b = &l->slot[slot];
  order_epoch(l);
  int64_t start = (l->batch_order ? l->batch_order[l->position] : l->position) * l->o.batch;
  b->epoch = l->epoch;
  b->position = l->position;
  b->n = FV_MIN(l->o.batch, l->n - start);
  b->bucket = l->o.n_lengths > 0 ? bucket_of(l, l->order[start + b->n - 1]) : 0;
  b->length = l->o.n_lengths > 0 ? l->o.length[b->bucket] : 0;
  for (int64_t i = 0; i < b->n; i++) {
    l->index[slot][i] = sample_at(l, start + i);
    fill_sample(l, b, i, l->index[slot][i]);
  }
  pad_batch(l, b, l->index[slot]);
  l->made++;
  if (++l->position == l->batches) l->position = 0, l->epoch++;
}

/* ---- ahead ------------------------------------------------------------------------------------------------------- */
static void fill_ahead(void *arg) {
  fv_loader *l = arg;
  for (;;) {
    fv_gate_wait(l->given_back, l->made - SLOTS + 1);
    if (atomic_load(&l->stop)) return;
    fill_next(l);
    fv_gate_add(l->filled, 1);
  }
}

const fv_batch *fv_loader_next(fv_loader *l) {
  if (!l->thread) {
    fill_next(l);
    return &l->slot[0];
  }
  if (l->taken > 0) fv_gate_add(l->given_back, 1);
  fv_gate_wait(l->filled, ++l->taken);
  return &l->slot[(l->taken - 1) % SLOTS];
}

static fv_status start_thread(fv_loader *l) {
  FV_TRY(fv_gate_new(&l->filled));
  FV_TRY(fv_gate_new(&l->given_back));
  return fv_thread_new(fill_ahead, l, &l->thread);
}

static void stop_thread(fv_loader *l) {
  if (!l->thread) return;
  atomic_store(&l->stop, true);
  fv_gate_add(l->given_back, INT32_MAX);
  fv_thread_join(l->thread);
}

/* ---- making one -------------------------------------------------------------------------------------------------- */
static fv_status check_options(const fv_loader_options *o) {
  int64_t count = o->data->count[o->split];
  FV_REQUIRE(o->from >= 0 && o->from < o->to && o->to <= count && count <= INT32_MAX, FV_ERR_REQUEST,
             "loader (%s, %s): expected a part of its %lld samples, got [%lld,%lld)", o->data->name,
             fv_split_names[o->split], (long long)count, (long long)o->from, (long long)o->to);
  FV_REQUIRE(o->batch >= 1, FV_ERR_REQUEST, "loader (%s): expected a batch of 1 or more, got %lld", o->data->name,
             (long long)o->batch);
  FV_REQUIRE(!o->drop_last || o->batch <= o->to - o->from, FV_ERR_REQUEST,
             "loader (%s, %s): expected a batch of at most its %lld samples, got %lld", o->data->name,
             fv_split_names[o->split], (long long)(o->to - o->from), (long long)o->batch);
  FV_REQUIRE(!o->data->length == (o->n_lengths == 0) && o->n_lengths <= FV_MAX_LENGTHS, FV_ERR_REQUEST,
             "loader (%s): expected lengths for samples that vary and none for others, got %d", o->data->name,
             o->n_lengths);
  for (int i = 0; i < o->n_lengths; i++)
    FV_REQUIRE(o->length[i] > (i ? o->length[i - 1] : 0), FV_ERR_REQUEST,
               "loader (%s): expected lengths that rise, got %lld", o->data->name, (long long)o->length[i]);
  for (int f = 0; f < o->data->n_fields && o->n_lengths > 0; f++)
    FV_REQUIRE(!o->data->field[f].varies || o->data->field[f].shape.dim[0] <= o->length[o->n_lengths - 1],
               FV_ERR_REQUEST, "loader (%s): expected lengths up to that of the longest sample, %lld, got %lld",
               o->data->name, (long long)o->data->field[f].shape.dim[0], (long long)o->length[o->n_lengths - 1]);
  const fv_augment *a = &o->augment;
  FV_REQUIRE(a->shift >= 0 && a->shift <= 4096 && a->cutout >= 0 && a->cutout <= 4096 && a->rotate >= 0 &&
                 a->rotate <= 180 && a->scale >= 0 && a->scale < 1,
             FV_ERR_REQUEST,
             "loader (%s): expected shift and cutout of 0 to 4096, rotate of 0 to 180, scale below 1, got %lld, %lld, "
             "%g, %g",
             o->data->name, (long long)a->shift, (long long)a->cutout, a->rotate, a->scale);
  return FV_OK;
}

static fv_status set_image(fv_loader *l) {
  const fv_dataset *d = l->o.data;
  l->image = fv_dataset_field(d, "image");
  l->box = fv_dataset_field(d, "box");
  if (l->image >= 0 && d->field[l->image].dtype != FV_U8) l->image = -1;
  if (l->image < 0) return FV_OK;
  fv_shape s = d->field[l->image].shape;
  FV_REQUIRE(s.ndim == 3 && s.dim[2] >= 1 && s.dim[2] <= 4 && s.dim[0] <= 32768 && s.dim[1] <= 32768, FV_ERR_REQUEST,
             "loader (%s): expected images [H,W,C] of 1 to 4 channels", d->name);
  FV_REQUIRE(l->o.n_channels == 0 || l->o.n_channels == s.dim[2], FV_ERR_REQUEST,
             "loader (%s): expected standardisation of %lld channels, got %d", d->name, (long long)s.dim[2],
             l->o.n_channels);
  l->augmenter = (fv_augmenter){.how = l->o.augment, .h = (int)s.dim[0], .w = (int)s.dim[1], .c = (int)s.dim[2]};
  for (int k = 0; k < l->augmenter.c; k++) {
    if (l->o.n_channels == 0) l->o.mean[k] = l->o.deviation[k] = 0;
    l->augmenter.blank[k] = (uint8_t)FV_MIN(FV_MAX(lrintf(255 * l->o.mean[k]), 0), 255);
  }
  fv_scale_init(l->augmenter.c, l->o.mean, l->o.deviation, &l->scale);
  return FV_OK;
}

/* All of one size. */
static void set_drawn(fv_loader *l) {
  for (int f = 0; f < l->o.data->n_fields; f++) {
    const fv_shape s = l->o.data->field[f].shape;
    if (!l->o.data->field[f].drawn) continue;
    l->augmenter =
        (fv_augmenter){.how = l->o.augment, .h = (int)s.dim[1], .w = (int)s.dim[2], .c = (int)s.dim[3]};
    l->drawn += s.dim[0];
  }
}

static int64_t lay_out(fv_loader *l, char *slab) {
  const fv_dataset *d = l->o.data;
  const int longest = FV_MAX(l->o.n_lengths - 1, 0);
  int64_t at = 0, count = d->count[l->o.split], pixels = (int64_t)l->augmenter.h * l->augmenter.w * l->augmenter.c;
  for (int s = 0; s < l->slots; s++) {
    for (int f = 0; f < d->n_fields; f++) {
      const int64_t bytes = l->o.batch * item_bytes(l, f, longest);
      l->slot[s].field[f] = d->field[f].shared ? (void *)(uintptr_t)d->field[f].all : fv_slab_take(slab, &at, bytes);
    }
    l->slot[s].index = l->index[s] = fv_slab_take(slab, &at, l->o.batch * 8);
  }
  l->raw = fv_slab_take(slab, &at, pixels);
  l->changed = fv_slab_take(slab, &at, pixels);
  if (l->o.shuffle || l->o.n_lengths > 0) l->order = fv_slab_take(slab, &at, 4 * l->n);
  if (l->o.n_lengths > 0) {
    l->scratch_order = fv_slab_take(slab, &at, 4 * l->n);
    l->batch_order = fv_slab_take(slab, &at, 4 * l->batches);
  }
  if (l->n < count) l->part = fv_slab_take(slab, &at, 4 * count);
  return at;
}

static void set_part(fv_loader *l) {
  l->ordered_epoch = -1;
  if (!l->part) return;
  fv_data_part_order(l->o.data, l->o.split, l->o.seed, l->part);
  l->part += l->o.from;
}

fv_status fv_loader_new(const fv_loader_options *options, fv_ledger *ledger, fv_loader **loader) {
  fv_status status = FV_OK;
  fv_loader *l = NULL;
  *loader = NULL;
  FV_TRY(check_options(options));
  FV_TRY_DONE(FV_NEW(&l, 1));
  l->o = *options;
  l->n = l->o.to - l->o.from;
  l->batches = l->o.drop_last ? l->n / l->o.batch : fv_ceil_div(l->n, l->o.batch);
  l->slots = l->o.ahead ? SLOTS : 1;
  l->epoch = l->o.epoch + l->o.position / l->batches;
  l->position = l->o.position % l->batches;
  FV_REQUIRE_DONE(l->o.epoch >= 0 && l->o.position >= 0, FV_ERR_REQUEST,
                  "loader (%s): expected to begin at epoch and position 0 or later, got %lld and %lld", l->o.data->name,
                  (long long)l->o.epoch, (long long)l->o.position);
  FV_TRY_DONE(set_image(l));
  set_drawn(l);
  FV_TRY_DONE(fv_slab_new(ledger, FV_ACCOUNT_BATCHES, lay_out(l, NULL), &l->slab));
  if (l->slab) {
    lay_out(l, l->slab);
    set_part(l);
    if (l->o.ahead) FV_TRY_DONE(start_thread(l));
  }
  *loader = l;
  l = NULL;
done:
  fv_loader_free(l);
  return status;
}

void fv_loader_free(fv_loader *l) {
  if (!l) return;
  stop_thread(l);
  fv_gate_free(l->filled);
  fv_gate_free(l->given_back);
  fv_slab_free(l->slab);
  fv_free(l);
}

int64_t fv_loader_batches(const fv_loader *l) { return l->batches; }

fv_split fv_loader_split(const fv_loader *l) { return l->o.split; }
