/* SPDX-License-Identifier: Apache-2.0 */
/* bench_recurrent.c: how fast lstm and gru are, beside what the processor can do: a graph of the operation and of all
 * that its gradient takes, the products for the weights included. */
#include "ops/recurrent.h"
#include "train/bench_graph.h"
#include "train/train.h"

#include <math.h>

enum { WEIGHTS = 4 }; /* of a direction */
static const char *const size_names[] = {"B", "T", "I", "H"};
static const char *const weight_names[2][WEIGHTS] = {{"w_ih", "w_hh", "b_ih", "b_hh"},
                                                     {"w_ih_reverse", "w_hh_reverse", "b_ih_reverse", "b_hh_reverse"}};
static const char *const grad_names[2][WEIGHTS] = {
    {"dw_ih", "dw_hh", "db_ih", "db_hh"}, {"dw_ih_reverse", "dw_hh_reverse", "db_ih_reverse", "db_hh_reverse"}};
static const char *const ops[] = {"lstm", "gru"}, *const grad_ops[] = {"lstm_grad", "gru_grad"};

typedef struct bench {
  const fv_recurrent_request *rq;
  int64_t gates, directions;
  bool lstm;
  char shape[96];
  fv_graph_bench run;
} bench;

static double tensor_bytes(const bench *b) {
  const int64_t *n = b->rq->shape;
  double rows = (double)n[0] * (double)n[1], i = (double)n[2], h = (double)n[3], g = (double)b->gates;
  double floats = rows * 6 * h + g * h * (i + h + 2); /* y, gates, cells; weights */
  if (b->rq->backward) floats += rows * (2 * g + 2) * h + g * h * (i + h + 2);
  return 4 * ((double)b->directions * floats + rows * i * (b->rq->backward ? 2 : 1)); /* x, dx */
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

static int reverse_at(const bench *b) { return b->lstm ? FV_LSTM_REVERSE : FV_GRU_REVERSE; }
static int weight_at(const bench *b, int64_t direction, int i) { return (direction ? reverse_at(b) : 1) + i; }

/* The operation builds its gradient from dy itself: with a loss there would be more in the graph than the layer. */
static fv_status build_backward(bench *b, const fv_node *node) {
  fv_graph *g = b->run.g;
  fv_value *dout[FV_MAX_OUTS] = {NULL}, *din[FV_LSTM_INPUTS] = {NULL};
  bool need[FV_LSTM_INPUTS] = {true};
  for (int64_t d = 0; d < b->directions; d++)
    for (int i = 0; i < WEIGHTS; i++) need[weight_at(b, d, i)] = true;
  dout[0] = fv_input(g, "dy", FV_F32, node->out[0]->shape);
  FV_TRY(fv_graph_check(g));
  fv_grad grad = {.g = g, .node = node, .dout = dout, .need = need, .din = din};
  FV_TRY(node->op->grad(&grad));
  fv_output(g, "dx", din[0]);
  for (int64_t d = 0; d < b->directions; d++)
    for (int i = 0; i < WEIGHTS; i++) fv_output(g, grad_names[d][i], din[weight_at(b, d, i)]);
  return fv_graph_check(g);
}

static fv_status build(void *arg) {
  bench *b = arg;
  const int64_t *n = b->rq->shape, rows = b->gates * n[3];
  const fv_shape shape[WEIGHTS] = {FV_SHAPE(rows, n[2]), FV_SHAPE(rows, n[3]), FV_SHAPE(rows), FV_SHAPE(rows)};
  const fv_init uniform = {.kind = FV_INIT_UNIFORM, .a = 1 / sqrt((double)n[3])}; /* PyTorch's */
  const fv_recurrent_attrs attrs = {.bidirectional = b->rq->bidirectional};
  fv_graph *g = b->run.g;
  fv_value *in[FV_LSTM_INPUTS] = {fv_input(g, "x", FV_F32, FV_SHAPE(n[0], n[1], n[2]))}, *out[FV_MAX_OUTS];
  const int n_in = weight_at(b, b->directions - 1, WEIGHTS), n_out = b->lstm ? 5 : 3;
  for (int i = 1 + WEIGHTS; i < reverse_at(b); i++) in[i] = fv_absent(g);
  for (int64_t d = 0; d < b->directions; d++)
    for (int i = 0; i < WEIGHTS; i++)
      in[weight_at(b, d, i)] = fv_param(g, weight_names[d][i], shape[i], uniform, FV_GROUP_DECAY);
  if (!fv_op_n(g, b->run.op, &attrs, n_in, in, n_out, out)) return fv_graph_check(g);
  fv_output(g, "y", out[0]);
  fv_output(g, "h_n", out[1]);
  if (b->lstm) fv_output(g, "c_n", out[2]);
  return b->rq->backward ? build_backward(b, out[0]->producer) : fv_graph_check(g);
}

static void request_json(const void *arg, fv_json *j) {
  const bench *b = arg;
  fv_json_text(j, "layer", b->run.op);
  fv_json_begin(j, "shape", '[');
  for (int i = 0; i < 4; i++) fv_json_int(j, NULL, b->rq->shape[i]);
  fv_json_end(j, ']');
  fv_json_bool(j, "bidirectional", b->rq->bidirectional);
  fv_json_bool(j, "backward", b->rq->backward);
}

fv_status fv_bench_recurrent(const fv_recurrent_request *rq, char **json) {
  *json = NULL;
  FV_REQUIRE(rq->kind == FV_RECURRENT_LSTM || rq->kind == FV_RECURRENT_GRU, FV_ERR_REQUEST,
             "kind (bench): expected lstm or gru, got %d", (int)rq->kind);
  bench b = {.rq = rq, .lstm = rq->kind == FV_RECURRENT_LSTM, .directions = rq->bidirectional ? 2 : 1,
             .run = {.op = ops[rq->kind], .grad_op = grad_ops[rq->kind], .out = rq->out, .want_runs = rq->runs,
                     .memory_limit = rq->memory_limit, .threads = rq->threads}};
  b.run.shape = b.shape;
  b.gates = b.lstm ? 4 : 3;
  FV_TRY(check(&b));
  return fv_graph_bench_run(&b.run, build, request_json, &b, json);
}
