/* SPDX-License-Identifier: Apache-2.0 */
/* bench_recurrent.c: how fast lstm and gru are, beside what the processor can do: a graph of the operation and of all
 * that its gradient takes, the products for the weights included. */
#include "ops/recurrent.h"
#include "train/bench_graph.h"
#include "train/train.h"

#include <math.h>

enum { X, W_IH, W_HH, B_IH, B_HH, INPUTS };
static const char *const size_names[] = {"B", "T", "I", "H"};
static const char *const in_names[INPUTS] = {"x", "w_ih", "w_hh", "b_ih", "b_hh"};
static const char *const grad_names[INPUTS] = {"dx", "dw_ih", "dw_hh", "db_ih", "db_hh"};
static const char *const ops[] = {"lstm", "gru"}, *const grad_ops[] = {"lstm_grad", "gru_grad"};

typedef struct bench {
  const fv_recurrent_request *rq;
  int64_t gates;
  char shape[96];
  fv_graph_bench run;
} bench;

static double tensor_bytes(const bench *b) {
  const int64_t *n = b->rq->shape;
  double rows = (double)n[0] * (double)n[1], i = (double)n[2], h = (double)n[3], g = (double)b->gates;
  double floats = rows * (i + 6 * h) + g * h * (i + h + 2); /* x, y, gates, cells; weights */
  if (b->rq->backward) floats += rows * (i + (2 * g + 2) * h) + g * h * (i + h + 2);
  return 4 * floats;
}

static fv_status check(bench *b) {
  const int64_t *n = b->rq->shape;
  for (int i = 0; i < 4; i++)
    FV_REQUIRE(n[i] >= 1 && n[i] <= INT32_MAX, FV_ERR_REQUEST, "shape (bench %s): expected %s from 1 to %d, got %lld",
               b->run.op, size_names[i], INT32_MAX, (long long)n[i]);
  snprintf(b->shape, sizeof b->shape, "%lld,%lld,%lld,%lld", (long long)n[0], (long long)n[1], (long long)n[2],
           (long long)n[3]);
  return fv_graph_bench_check(&b->run, tensor_bytes(b));
}

/* The operation builds its gradient from dy itself: with a loss there would be more in the graph than the layer. */
static fv_status build_backward(bench *b, const fv_node *node) {
  fv_graph *g = b->run.g;
  fv_value *dout[FV_MAX_OUTS] = {NULL}, *din[INPUTS] = {NULL};
  bool need[INPUTS] = {true, true, true, true, true};
  dout[0] = fv_input(g, "dy", FV_F32, node->out[0]->shape);
  FV_TRY(fv_graph_check(g));
  fv_grad grad = {.g = g, .node = node, .dout = dout, .need = need, .din = din};
  FV_TRY(node->op->grad(&grad));
  for (int i = 0; i < INPUTS; i++) fv_output(g, grad_names[i], din[i]);
  return fv_graph_check(g);
}

static fv_status build(bench *b) {
  const int64_t *n = b->rq->shape, rows = b->gates * n[3];
  const fv_shape shape[INPUTS] = {FV_SHAPE(n[0], n[1], n[2]), FV_SHAPE(rows, n[2]), FV_SHAPE(rows, n[3]),
                                  FV_SHAPE(rows), FV_SHAPE(rows)};
  const fv_init uniform = {.kind = FV_INIT_UNIFORM, .a = 1 / sqrt((double)n[3])}; /* PyTorch's */
  fv_graph *g = b->run.g;
  fv_value *in[INPUTS] = {fv_input(g, in_names[X], FV_F32, shape[X])}, *out[FV_MAX_OUTS];
  for (int i = W_IH; i < INPUTS; i++) in[i] = fv_param(g, in_names[i], shape[i], uniform, FV_GROUP_DECAY);
  const int n_out = b->rq->kind == FV_RECURRENT_LSTM ? 5 : 3;
  if (!fv_op_n(g, b->run.op, NULL, INPUTS, in, n_out, out)) return fv_graph_check(g);
  fv_output(g, "y", out[0]);
  fv_output(g, "h_n", out[1]);
  if (b->rq->kind == FV_RECURRENT_LSTM) fv_output(g, "c_n", out[2]);
  return b->rq->backward ? build_backward(b, out[0]->producer) : fv_graph_check(g);
}

static void request_json(const bench *b, fv_json *j) {
  fv_json_text(j, "layer", b->run.op);
  fv_json_begin(j, "shape", '[');
  for (int i = 0; i < 4; i++) fv_json_int(j, NULL, b->rq->shape[i]);
  fv_json_end(j, ']');
  fv_json_bool(j, "backward", b->rq->backward);
}

fv_status fv_bench_recurrent(const fv_recurrent_request *rq, char **json) {
  fv_json j = {0};
  fv_status status = FV_OK;
  *json = NULL;
  FV_REQUIRE(rq->kind == FV_RECURRENT_LSTM || rq->kind == FV_RECURRENT_GRU, FV_ERR_REQUEST,
             "kind (bench): expected lstm or gru, got %d", (int)rq->kind);
  bench b = {.rq = rq, .gates = rq->kind == FV_RECURRENT_LSTM ? 4 : 3,
             .run = {.op = ops[rq->kind], .grad_op = grad_ops[rq->kind], .out = rq->out, .want_runs = rq->runs,
                     .memory_limit = rq->memory_limit, .threads = rq->threads}};
  b.run.shape = b.shape;
  FV_TRY_DONE(check(&b));
  FV_TRY_DONE(fv_graph_bench_open(&b.run));
  FV_TRY_DONE(build(&b));
  FV_TRY_DONE(fv_graph_bench_run(&b.run));
  fv_json_begin(&j, NULL, '{');
  request_json(&b, &j);
  fv_graph_bench_json(&b.run, &j);
  fv_json_end(&j, '}');
  FV_REQUIRE_DONE(!j.text.failed, FV_ERR_MEMORY, "bench: out of memory");
done:
  fv_graph_bench_close(&b.run);
  if (status == FV_OK) *json = j.text.s;
  else fv_json_free(&j);
  return status;
}
