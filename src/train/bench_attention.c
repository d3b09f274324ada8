/* SPDX-License-Identifier: Apache-2.0 */
/* bench_attention.c: how fast the attention operation is, beside what the processor can do: a graph of sdpa and its
 * gradient. */
#include "ops/sdpa.h"
#include "train/bench_graph.h"
#include "train/train.h"

static const char *const size_names[] = {"B", "T", "S", "H", "D"};

typedef struct bench {
  const fv_attention_request *rq;
  int64_t b, t, s, h, d, groups;
  char shape[128];
  fv_graph_bench run;
} bench;

/* ---- the request ------------------------------------------------------------------------------------------------- */
/* Inputs and outputs, in doubles: the sizes may be any. */
static double tensor_bytes(const bench *b) {
  const fv_attention_request *rq = b->rq;
  double queries = (double)b->b * (double)b->t * (double)b->h, keys = (double)b->b * (double)b->s * (double)b->groups;
  double floats = 2 * (queries + keys) * (double)b->d; /* q, y, k, v */
  if (rq->backward) floats += (2 * queries + 2 * keys) * (double)b->d; /* dy, dq, dk, dv */
  if (rq->bias) floats += (rq->backward ? 2 : 1) * (double)b->h * (double)b->t * (double)b->s;
  if (rq->totals) floats += (double)b->b * (double)b->h * (double)b->s;
  return 4 * (floats + queries * (2 + 2 * (double)rq->top_k)); /* lse, entropy, top and its index */
}

static fv_status check(bench *b) {
  const fv_attention_request *rq = b->rq;
  for (int i = 0; i < 5; i++)
    FV_REQUIRE(rq->shape[i] >= 1 && rq->shape[i] <= INT32_MAX, FV_ERR_REQUEST,
               "shape (bench attention): expected %s from 1 to %d, got %lld", size_names[i], INT32_MAX,
               (long long)rq->shape[i]);
  b->b = rq->shape[0], b->t = rq->shape[1], b->s = rq->shape[2], b->h = rq->shape[3], b->d = rq->shape[4];
  b->groups = rq->groups ? rq->groups : b->h;
  FV_REQUIRE(b->groups > 0 && b->h % b->groups == 0, FV_ERR_REQUEST,
             "groups (bench attention): expected a number that divides the %lld heads, got %lld", (long long)b->h,
             (long long)rq->groups);
  FV_REQUIRE(rq->dropout >= 0 && rq->dropout < 1, FV_ERR_REQUEST,
             "dropout (bench attention): expected at least 0 and less than 1, got %g", rq->dropout);
  FV_REQUIRE(rq->window >= 0, FV_ERR_REQUEST, "window (bench attention): expected at least 0, got %lld",
             (long long)rq->window);
  FV_REQUIRE(rq->top_k >= 0 && rq->top_k <= 64, FV_ERR_REQUEST, "top_k (bench attention): expected 0 to 64, got %lld",
             (long long)rq->top_k);
  snprintf(b->shape, sizeof b->shape, "%lld,%lld,%lld,%lld,%lld", (long long)b->b, (long long)b->t, (long long)b->s,
           (long long)b->h, (long long)b->d);
  return fv_graph_bench_check(&b->run, tensor_bytes(b));
}

/* ---- the graph --------------------------------------------------------------------------------------------------- */
/* The operation builds its gradient from dy itself: with a loss there would be more in the graph than attention. */
static fv_status build_backward(bench *b, const fv_node *node) {
  fv_graph *g = b->run.g;
  fv_value *dout[FV_SDPA_OUTPUTS] = {NULL}, *din[FV_SDPA_INPUTS] = {NULL};
  bool need[FV_SDPA_INPUTS] = {[FV_SDPA_Q] = true, [FV_SDPA_K] = true, [FV_SDPA_V] = true};
  need[FV_SDPA_BIAS] = b->rq->bias;
  dout[FV_SDPA_Y] = fv_input(g, "dy", FV_F32, node->out[FV_SDPA_Y]->shape);
  FV_TRY(fv_graph_check(g));
  fv_grad grad = {.g = g, .node = node, .dout = dout, .need = need, .din = din};
  FV_TRY(node->op->grad(&grad));
  fv_output(g, "dq", din[FV_SDPA_Q]);
  fv_output(g, "dk", din[FV_SDPA_K]);
  fv_output(g, "dv", din[FV_SDPA_V]);
  if (b->rq->bias) fv_output(g, "dbias", din[FV_SDPA_BIAS]);
  return fv_graph_check(g);
}

static fv_status build(void *arg) {
  bench *b = arg;
  const fv_attention_request *rq = b->rq;
  fv_graph *g = b->run.g;
  fv_value *in[FV_SDPA_INPUTS], *out[FV_SDPA_OUTPUTS];
  for (int i = 0; i < FV_SDPA_INPUTS; i++) in[i] = fv_absent(g);
  in[FV_SDPA_Q] = fv_input(g, "q", FV_F32, FV_SHAPE(b->b, b->t, b->h, b->d));
  in[FV_SDPA_K] = fv_input(g, "k", FV_F32, FV_SHAPE(b->b, b->s, b->groups, b->d));
  in[FV_SDPA_V] = fv_input(g, "v", FV_F32, FV_SHAPE(b->b, b->s, b->groups, b->d));
  if (rq->bias) in[FV_SDPA_BIAS] = fv_input(g, "bias", FV_F32, FV_SHAPE(b->h, b->t, b->s));
  if (rq->dropout > 0) in[FV_SDPA_RNG] = fv_input(g, "rng", FV_I32, FV_SHAPE(4));
  fv_sdpa_attrs a = {.causal = rq->causal, .window = rq->window, .p = rq->dropout, .topk = rq->top_k,
                     .totals = rq->totals, .entropy = rq->entropy};
  if (!fv_op_n(g, "sdpa", &a, FV_SDPA_INPUTS, in, FV_SDPA_OUTPUTS, out)) return fv_graph_check(g);
  fv_output(g, "y", out[FV_SDPA_Y]);
  fv_output(g, "lse", out[FV_SDPA_LSE]);
  if (rq->totals) fv_output(g, "totals", out[FV_SDPA_TOTALS]);
  if (rq->entropy) fv_output(g, "entropy", out[FV_SDPA_ENTROPY]);
  if (rq->top_k > 0) fv_output(g, "top", out[FV_SDPA_TOP]), fv_output(g, "top_index", out[FV_SDPA_TOP_INDEX]);
  return rq->backward ? build_backward(b, out[FV_SDPA_Y]->producer) : fv_graph_check(g);
}

/* ---- results ----------------------------------------------------------------------------------------------------- */
static void request_json(const void *arg, fv_json *j) {
  const bench *b = arg;
  const fv_attention_request *rq = b->rq;
  fv_json_begin(j, "shape", '[');
  for (int i = 0; i < 5; i++) fv_json_int(j, NULL, rq->shape[i]);
  fv_json_end(j, ']');
  fv_json_bool(j, "causal", rq->causal);
  fv_json_bool(j, "backward", rq->backward);
  fv_json_int(j, "groups", b->groups);
  fv_json_int(j, "window", rq->window);
  fv_json_real(j, "dropout", rq->dropout);
  fv_json_bool(j, "bias", rq->bias);
  fv_json_int(j, "top_k", rq->top_k);
  fv_json_bool(j, "totals", rq->totals);
  fv_json_bool(j, "entropy", rq->entropy);
}

fv_status fv_bench_attention(const fv_attention_request *rq, char **json) {
  bench b = {.rq = rq,
             .run = {.op = "sdpa", .grad_op = "sdpa_grad", .out = rq->out, .want_runs = rq->runs,
                     .memory_limit = rq->memory_limit, .threads = rq->threads}};
  *json = NULL;
  b.run.shape = b.shape;
  FV_TRY(check(&b));
  return fv_graph_bench_run(&b.run, build, request_json, &b, json);
}
