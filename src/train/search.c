/* SPDX-License-Identifier: Apache-2.0 */
/* search.c: beam search. Each hypothesis is a chain of steps back through (token, from). In every step the likeliest
 * continuations of all hypotheses are ranked; those of the first `beam` ranks that are <eos> have ended, the first
 * `beam` others go on. It ends when as many have ended as there are hypotheses, or when none can become better than
 * the best that has: a score only falls, and its penalty is at most that of the longest sentence. */
#include "train/search.h"

#include <math.h>
#include <stdlib.h>

static double penalised(const fv_search_rules *r, double score, int64_t n) {
  return score / pow((5 + (double)n) / 6, r->penalty);
}

int64_t fv_search_bytes(const fv_search_rules *r) {
  return fv_round_up(r->beam * 2 * (int64_t)sizeof(double) + (2 * r->limit + 1) * r->beam * (int64_t)sizeof(int32_t),
                     FV_ALIGN);
}

void fv_search_begin(fv_search *s, const fv_search_rules *r, void *memory) {
  double *d = memory;
  *s = (fv_search){.rules = r, .score = d, .next = d + r->beam, .best = -INFINITY};
  s->token = (int32_t *)(d + 2 * r->beam);
  s->from = s->token + r->limit * r->beam;
  s->head = s->from + r->limit * r->beam;
  for (int64_t b = 0; b < r->beam; b++) s->score[b] = b ? -INFINITY : 0;
}

static bool never(const int32_t list[2], int32_t token) { return token == list[0] || token == list[1]; }

typedef struct candidate {
  double score;
  int64_t from, at; /* hypothesis, place in its list */
} candidate;

/* The best continuation not taken yet; of equals that of the lower hypothesis. `at` are the heads of the lists. */
static candidate best_left(const fv_search *s, int64_t k, const float *log_p, const int32_t *token, int32_t *at) {
  candidate best = {.score = -INFINITY, .from = -1};
  for (int64_t b = 0; b < s->rules->beam; b++) {
    while (at[b] < k && never(s->rules->never, token[b * k + at[b]])) at[b]++;
    if (at[b] == k || !isfinite(s->score[b])) continue;
    const double score = s->score[b] + (double)log_p[b * k + at[b]];
    if (score > best.score) best = (candidate){score, b, at[b]};
  }
  if (best.from >= 0) at[best.from]++;
  return best;
}

static void finish(fv_search *s, const candidate *c) {
  const double score = penalised(s->rules, c->score, s->t + 1);
  s->finished++;
  if (score <= s->best) return;
  s->best = score;
  s->best_t = s->t;
  s->best_from = c->from;
}

static void end_step(fv_search *s) {
  const fv_search_rules *r = s->rules;
  double most = -INFINITY;
  for (int64_t b = 0; b < r->beam; b++) most = fmax(most, s->score[b]);
  s->done = s->t == r->limit || !isfinite(most) || s->finished >= r->beam || s->best >= penalised(r, most, r->limit);
}

void fv_search_step(fv_search *s, int64_t k, const float *log_p, const int32_t *token) {
  const fv_search_rules *r = s->rules;
  int32_t *to = s->token + s->t * r->beam, *from = s->from + s->t * r->beam, *heads = s->head;
  int64_t kept = 0;
  memset(heads, 0, (size_t)r->beam * sizeof *heads);
  for (int64_t rank = 0; kept < r->beam; rank++) {
    const candidate c = best_left(s, k, log_p, token, heads);
    if (c.from < 0) break;
    const int32_t id = token[c.from * k + c.at];
    if (id == r->eos) {
      if (rank < r->beam) finish(s, &c);
      continue;
    }
    s->next[kept] = c.score;
    to[kept] = id;
    from[kept++] = (int32_t)c.from;
  }
  for (; kept < r->beam; kept++) s->next[kept] = -INFINITY, to[kept] = r->eos, from[kept] = 0;
  double *room = s->score;
  s->score = s->next;
  s->next = room;
  s->t++;
  end_step(s);
}

int64_t fv_search_result(const fv_search *s, int32_t *token, int32_t *hypothesis, double *score) {
  const int64_t beam = s->rules->beam;
  int64_t n = s->best_t, b = s->best_from;
  *score = s->best;
  if (!isfinite(s->best)) { /* hypotheses are in falling order */
    n = s->t;
    b = 0;
    *score = penalised(s->rules, s->score[0], n);
  }
  if (n < s->rules->limit) hypothesis[n] = (int32_t)b;
  for (int64_t t = n - 1; t >= 0; t--) {
    token[t] = s->token[t * beam + b];
    b = s->from[t * beam + b];
    hypothesis[t] = (int32_t)b;
  }
  return n;
}

/* ---- drawing ----------------------------------------------------------------------------------------------------- */
static int falling(const void *a, const void *b) {
  const fv_ranked_token *x = a, *y = b;
  return x->p != y->p ? (x->p < y->p) - (x->p > y->p) : (x->id > y->id) - (x->id < y->id);
}

static double log_sum(const float *x, int64_t n) {
  double most = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; i++) most = fmax(most, (double)x[i]);
  for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - most);
  return most + log(sum);
}

int32_t fv_draw_token(const fv_draw_rules *r, const float *logit, int64_t n, double u, fv_ranked_token *room,
                      double *log_p) {
  int64_t kept = 0, among = 0;
  for (int64_t i = 0; i < n; i++)
    if (!never(r->never, (int32_t)i)) room[kept++] = (fv_ranked_token){logit[i], (int32_t)i};
  qsort(room, (size_t)kept, sizeof *room, falling);
  if (r->top_k > 0) kept = FV_MIN(kept, r->top_k);
  double sum = 0, part = 0, most = (double)room[0].p;
  for (int64_t i = 0; i < kept; i++) sum += exp(((double)room[i].p - most) / r->temperature);
  while (among < kept && part < r->top_p * sum) part += exp(((double)room[among++].p - most) / r->temperature);
  int64_t i = 0;
  for (double left = u * part; i < among - 1; i++) {
    left -= exp(((double)room[i].p - most) / r->temperature);
    if (left < 0) break;
  }
  *log_p = (double)room[i].p - log_sum(logit, n);
  return room[i].id;
}
