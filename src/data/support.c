/* SPDX-License-Identifier: Apache-2.0 */
/* support.c: a few pictures of each of someone's own classes, and one more of them to be told what it is: an episode
 * with one query. */
#include "data/sets.h"

enum { SUPPORT, SUPPORT_LABEL, QUERY, FIELDS };

fv_status fv_support_new(fv_arena **arena, int64_t n, int64_t h, int64_t w, fv_support **support) {
  *support = NULL;
  FV_REQUIRE(n >= 1 && n <= FV_MOST_PICTURES, FV_ERR_REQUEST, "support set: expected 1 to %d pictures, got %lld",
             FV_MOST_PICTURES, (long long)n);
  fv_support *s = fv_arena_alloc(*arena, sizeof *s);
  FV_REQUIRE(s, FV_ERR_MEMORY, "support set: no memory");
  *s = (fv_support){.n = n, .h = h, .w = w, .picture = fv_arena_alloc(*arena, (size_t)n * sizeof *s->picture),
                    .label = fv_arena_alloc(*arena, (size_t)n * sizeof *s->label),
                    .ink = fv_arena_alloc(*arena, (size_t)(n * h * w))};
  FV_REQUIRE(s->picture && s->label && s->ink, FV_ERR_MEMORY, "support set: no memory for %lld pictures", (long long)n);
  s->arena = *arena;
  *arena = NULL;
  *support = s;
  return FV_OK;
}

void fv_support_free(fv_support *s) {
  if (s) fv_arena_free(s->arena);
}

/* ---- the episode ------------------------------------------------------------------------------------------------- */
static float *as_real(fv_arena *arena, const uint8_t *ink, int64_t n) {
  float *v = fv_arena_alloc(arena, (size_t)n * sizeof *v);
  for (int64_t i = 0; v && i < n; i++) v[i] = (float)ink[i] * (1 / 255.0f);
  return v;
}

static void read_query(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  (void)split, (void)index, (void)draw;
  const fv_shape *s = &d->field[QUERY].shape;
  if (out[QUERY]) memcpy(out[QUERY], d->impl, (size_t)fv_shape_count(*s) * sizeof(float));
}

static fv_status fill(const fv_support *s, const char *path, fv_dataset *d) {
  uint8_t *ink;
  FV_TRY(fv_arena_new(&d->arena));
  d->name = fv_arena_strdup(d->arena, path);
  ink = fv_arena_alloc(d->arena, (size_t)(s->h * s->w));
  float *support = as_real(d->arena, s->ink, s->n * s->h * s->w);
  FV_REQUIRE(d->name && ink && support, FV_ERR_MEMORY, "%s: no memory", path);
  FV_TRY(fv_ink_read(path, s->h, s->w, ink));
  d->impl = as_real(d->arena, ink, s->h * s->w);
  FV_REQUIRE(d->impl, FV_ERR_MEMORY, "%s: no memory", path);
  d->n_fields = FIELDS;
  d->field[SUPPORT] = (fv_field){.name = "support", .dtype = FV_F32, .shape = FV_SHAPE(s->n, s->h, s->w, 1),
                                 .shared = true, .all = support};
  d->field[SUPPORT_LABEL] = (fv_field){.name = "support_label", .dtype = FV_I32, .shape = FV_SHAPE(s->n),
                                       .shared = true, .all = s->label};
  d->field[QUERY] = (fv_field){.name = "query", .dtype = FV_F32, .shape = FV_SHAPE(1, s->h, s->w, 1)};
  d->count[FV_SPLIT_TEST] = 1;
  d->read = read_query;
  return FV_OK;
}

fv_status fv_dataset_of_query(const fv_support *s, const char *path, fv_dataset **dataset) {
  fv_dataset *d;
  *dataset = NULL;
  FV_TRY(FV_NEW(&d, 1));
  return fv_dataset_give(d, fill(s, path, d), dataset);
}
