/* SPDX-License-Identifier: Apache-2.0 */
/* fedatt: a server moves towards its clients' models, the more towards those that are further away. One tensor of the
 * model at a time. Ji et al., IJCNN 2019, algorithm 1. */
#include "attention/compose.h"

typedef struct fedatt_attrs {
  double epsilon;
} fedatt_attrs;

static const fv_option attrs_table[] = {{.name = "epsilon",
                                         .type = FV_OPT_REAL,
                                         .offset = offsetof(fedatt_attrs, epsilon),
                                         .def = "1",
                                         .min = -1e6,
                                         .max = 1e6,
                                         .doc = "length of the step; 1 lands on the clients' weighted mean"},
                                        {0}};

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)par;
  int64_t n = fv_dim(in[0], 0), clients = fv_dim(in[1], 0);
  fv_value *apart = fv_op(g, "sub", NULL, in[0], in[1]);
  fv_value *distance = fv_op(g, "sqrt", NULL, fv_reduce(g, "sum", fv_op(g, "square", NULL, apart), FV_SHAPE(1), false));
  out[1] = fv_softmax_last(g, distance, NULL);
  fv_value *mean = fv_op(g, "matmul", NULL, fv_reshape(g, out[1], FV_SHAPE(1, clients)), apart);
  fv_value *step = fv_mul(g, fv_reshape(g, mean, FV_SHAPE(n)), fv_const(g, ((const fedatt_attrs *)attrs)->epsilon));
  out[0] = fv_op(g, "detach", NULL, fv_op(g, "sub", NULL, in[0], step));
  out[1] = fv_op(g, "detach", NULL, out[1]);
}

static const fv_attention_case cases[] = {{.sizes = "n=50 K=4", .attrs = "epsilon=0.8"},
                                          {.sizes = "n=1 K=1"},
                                          {.sizes = "n=17 K=9"},
                                          {.sizes = "n=3 K=0"},
                                          {0}};

extern const fv_attention_def fv_attention_fedatt;
const fv_attention_def fv_attention_fedatt = {
    .name = "fedatt",
    .doc =
        "attentive aggregation of clients: alpha = softmax_k(|w - w_k|), w_new = w - epsilon sum_k alpha_k (w - w_k)",
    .paper = "Ji et al. 2019, Learning Private Neural Language Modeling with Attentive Aggregation, arXiv:1812.07108",
    .attrs_size = sizeof(fedatt_attrs),
    .attrs = attrs_table,
    .inputs = (const char *const[]){"w [n]", "clients [K,n]", NULL},
    .outputs = (const char *const[]){"w_new [n]", "alpha [K]", NULL},
    .no_gradient = "aggregation happens between trainings",
    .build = build,
    .cases = cases};
