/* SPDX-License-Identifier: Apache-2.0 */
/* rank.c: how well scores put the positive samples first. Exact: the statistic of Mann and Whitney over sorted scores,
 * in whole numbers of half pairs, so that no order of samples or threads shows in it. */
#include "train/train.h"

#include <math.h>

static bool is_before(const fv_ranked_sample *a, const fv_ranked_sample *b) {
  if (a->group != b->group) return a->group < b->group;
  return a->score < b->score;
}

static void sink(fv_ranked_sample *v, int64_t at, int64_t n) {
  for (int64_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && is_before(&v[child], &v[child + 1])) child++;
    if (!is_before(&v[at], &v[child])) return;
    const fv_ranked_sample other = v[at];
    v[at] = v[child];
    v[child] = other;
  }
}

/* A heap sort: in place, since a training step that ranks its batch may not allocate. */
static void sort(fv_ranked_sample *v, int64_t n) {
  for (int64_t i = n / 2 - 1; i >= 0; i--) sink(v, i, n);
  for (int64_t i = n - 1; i > 0; i--) {
    const fv_ranked_sample first = v[0];
    v[0] = v[i];
    v[i] = first;
    sink(v, 0, i);
  }
}

/* Of sorted samples of one group. */
static double sorted_auc(const fv_ranked_sample *v, int64_t n) {
  int64_t positive = 0, negative = 0, half_pairs = 0;
  for (int64_t i = 0, j; i < n; i = j) {
    int64_t up = 0, down = 0;
    for (j = i; j < n && v[j].score == v[i].score; j++) v[j].positive ? up++ : down++;
    half_pairs += up * (2 * negative + down);
    positive += up;
    negative += down;
  }
  return positive && negative ? (double)half_pairs / 2 / ((double)positive * (double)negative) : NAN;
}

double fv_auc(fv_ranked_sample *v, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    v[i].group = 0;
    if (isnan(v[i].score)) return NAN;
  }
  sort(v, n);
  return sorted_auc(v, n);
}

double fv_group_auc(fv_ranked_sample *v, int64_t n) {
  double sum = 0;
  int64_t counted = 0;
  for (int64_t i = 0; i < n; i++)
    if (isnan(v[i].score)) return NAN;
  sort(v, n);
  for (int64_t i = 0, j; i < n; i = j) {
    for (j = i; j < n && v[j].group == v[i].group; j++) continue;
    const double auc = sorted_auc(v + i, j - i);
    if (isnan(auc)) continue;
    sum += auc * (double)(j - i);
    counted += j - i;
  }
  return counted ? sum / (double)counted : NAN;
}
