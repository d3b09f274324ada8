/* SPDX-License-Identifier: Apache-2.0 */
/* bahdanau: additive attention. A one-layer net scores each key against the query; the softmax of the scores weighs the
 * keys. A decoder that looks at the same keys step after step projects them once and gives Wk keys as `projected`.
 * Bahdanau, Cho, Bengio, ICLR 2015, eq. 6 and appendix A.1.2. */
#include "attention/compose.h"

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)attrs;
  bool projected = fv_given(g, in[3]);
  FV_BUILD_REQUIRE(g, projected != fv_given(g, par[1]), "bahdanau: Wk: expected it or projected keys, got %s",
                   projected ? "both" : "none");
  fv_value *query = fv_project(g, in[0], par[0], NULL);
  fv_value *score = projected ? fv_additive_score(g, in[3], NULL, NULL, query, par[2])
                              : fv_additive_score(g, in[1], par[1], NULL, query, par[2]);
  out[1] = fv_softmax_last(g, score, in[2]);
  out[0] = fv_weigh(g, out[1], in[1]);
}

static const fv_attention_case cases[] = {{.sizes = "B=3 S=6 Q=5 K=4 A=3", .absent = "mask projected"},
                                          {.sizes = "B=4 S=9 Q=3 K=7 A=5", .absent = "projected"},
                                          {.sizes = "B=2 S=1 Q=1 K=1 A=1", .absent = "projected"},
                                          {.sizes = "B=2 S=0 Q=3 K=2 A=2", .absent = "projected"},
                                          {.sizes = "B=3 S=40 Q=5 K=201 A=9", .absent = "projected"},
                                          {.sizes = "B=3 S=7 Q=5 K=4 A=6", .absent = "Wk"},
                                          {0}};

extern const fv_attention_def fv_attention_bahdanau;
const fv_attention_def fv_attention_bahdanau = {
    .name = "bahdanau",
    .doc = "additive attention: alpha = softmax_S(v . tanh(Wq query + Wk keys_s)), y = sum_s alpha_s keys_s",
    .paper =
        "Bahdanau et al. 2015, Neural Machine Translation by Jointly Learning to Align and Translate, arXiv:1409.0473",
    .inputs = (const char *const[]){"query [B,Q]", "keys [B,S,K]", "mask? [B,S] u8", "projected? [B,S,A]", NULL},
    .params = (const char *const[]){"Wq [A,Q]", "Wk? [A,K]", "v [A]", NULL},
    .outputs = (const char *const[]){"y [B,K]", "alpha [B,S]", NULL},
    .build = build,
    .cases = cases};
