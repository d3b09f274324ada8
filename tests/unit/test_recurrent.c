/* SPDX-License-Identifier: Apache-2.0 */
/* test_recurrent.c: lstm and gru have PyTorch's slopes: of a weighted sum of all outputs, to every input, in one
 * direction and in two, with lengths, states and biases and without (computed with PyTorch 2.15 in double from inputs
 * that a formula gives). */
#include "ir/ir.h"
#include "ops/recurrent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { B = 2, T = 3, I = 2, H = 2, MOST_IN = FV_LSTM_INPUTS, MOST_OUT = 3, FIRST_FACTOR = 20 };
static const int32_t lengths[B] = {3, 2};

/* The inputs' formula: element i of an input with number s. */
static float value(int64_t i, int s) { return (float)((i * 7 + s * 3) % 11 - 5) / 10; }

typedef struct layer {
  const char *op;
  bool both, bare; /* both directions and lengths; neither biases nor states */
} layer;

/* Numbers of the formula are places in lstm's list of inputs, whichever the operation. */
static int number_of(const layer *l, int i) { return strcmp(l->op, "gru") == 0 && i >= FV_GRU_LENGTHS ? i + 1 : i; }

static fv_shape shape_of(const layer *l, int number) {
  const int64_t rows = (strcmp(l->op, "gru") == 0 ? 3 : 4) * H, d = l->both ? 2 : 1;
  switch (number) {
    case 0: return FV_SHAPE(B, T, I);
    case 1: case 8: return FV_SHAPE(rows, I);
    case 2: case 9: return FV_SHAPE(rows, H);
    case FV_LSTM_H0: case FV_LSTM_C0: return FV_SHAPE(d, B, H);
    case FV_LSTM_LENGTHS: return FV_SHAPE(B);
    default: return FV_SHAPE(rows);
  }
}

static bool given(const layer *l, int number) {
  if (number >= FV_LSTM_LENGTHS) return l->both;
  return !l->bare || number < 3;
}

typedef struct run {
  fv_graph *g;
  fv_program *p;
  fv_exec *e;
  float *data[MOST_IN + MOST_OUT];
  char names[MOST_IN + MOST_OUT][16];
  int n_data;
} run;

static fv_value *add_input(run *r, int number, fv_dtype dtype, fv_shape shape) {
  char *name = r->names[r->n_data];
  const int64_t n = fv_shape_count(shape);
  snprintf(name, sizeof r->names[0], "x%d", number);
  assert_non_null(r->data[r->n_data] = fv_alloc((size_t)n * sizeof(float)));
  for (int64_t i = 0; i < n; i++) r->data[r->n_data][i] = value(i, number);
  if (dtype == FV_I32) memcpy(r->data[r->n_data], lengths, sizeof lengths);
  r->n_data++;
  return fv_input(r->g, name, dtype, shape);
}

static fv_value *weighted_sum(run *r, const fv_node *node, int n_out) {
  fv_value *loss = NULL;
  for (int i = 0; i < n_out; i++) {
    fv_value *factor = add_input(r, FIRST_FACTOR + i, FV_F32, node->out[i]->shape);
    fv_value *sum = fv_op(r->g, "sum", NULL, fv_op(r->g, "mul", NULL, node->out[i], factor));
    loss = loss ? fv_op(r->g, "add", NULL, loss, sum) : sum;
  }
  return loss;
}

static void build(run *r, const layer *l, int n_in, int n_out) {
  static const char *const out_names[] = {"out0", "out1", "out2"};
  static char grad_names[MOST_IN][16];
  fv_value *in[MOST_IN], *wrt[MOST_IN], *grads[MOST_IN];
  int n_wrt = 0;
  for (int i = 0; i < n_in; i++) {
    const int number = number_of(l, i);
    const bool whole = number == FV_LSTM_LENGTHS;
    in[i] = given(l, number) ? add_input(r, number, whole ? FV_I32 : FV_F32, shape_of(l, number)) : fv_absent(r->g);
    if (given(l, number) && !whole) wrt[n_wrt++] = in[i];
  }
  fv_value *y = fv_op_text(r->g, l->op, l->both ? "bidirectional=true" : "", n_in, in);
  assert_non_null(y);
  fv_value *loss = weighted_sum(r, y->producer, n_out);
  assert_int_equal(fv_graph_differentiate(r->g, loss, false, n_wrt, wrt, grads), FV_OK);
  for (int i = 0; i < n_out; i++) fv_output(r->g, out_names[i], y->producer->out[i]);
  for (int i = 0; i < n_wrt; i++) {
    snprintf(grad_names[i], sizeof grad_names[i], "grad%d", i);
    fv_output(r->g, grad_names[i], grads[i]);
  }
}

/* All outputs whose names begin so, one after the other. */
static void expect(const run *r, const char *prefix, const float *want, size_t n) {
  size_t at = 0;
  for (int i = 0; i < r->g->outputs.n; i++) {
    const char *name = r->g->outputs.v[i].name;
    if (strncmp(name, prefix, strlen(prefix)) != 0) continue;
    const fv_tensor *t = fv_exec_output(r->e, name);
    const int64_t count = fv_shape_count(t->shape);
    assert_true(at + (size_t)count <= n);
    for (int64_t k = 0; k < count; k++) assert_float_equal(((const float *)t->data)[k], want[at++], 1e-6);
  }
  assert_int_equal(at, n);
}

static void check(const layer *l, const float *sums, size_t n_sums, const float *slopes, size_t n_slopes) {
  const bool gru = strcmp(l->op, "gru") == 0;
  const int all = gru ? FV_GRU_INPUTS : FV_LSTM_INPUTS, one = gru ? FV_GRU_LENGTHS : FV_LSTM_LENGTHS;
  run r = {0};
  assert_int_equal(fv_graph_new(NULL, FV_F32, &r.g), FV_OK);
  build(&r, l, l->both ? all : one, gru ? 2 : 3);
  assert_int_equal(fv_program_new(r.g, &r.p), FV_OK);
  assert_int_equal(fv_exec_new(r.p, NULL, NULL, NULL, &r.e), FV_OK);
  for (int i = 0; i < r.n_data; i++) fv_exec_bind_input(r.e, fv_exec_input(r.e, r.names[i]), r.data[i]);
  fv_exec_run(r.e);
  if (n_sums) expect(&r, "out", sums, n_sums);
  expect(&r, "grad", slopes, n_slopes);
  fv_exec_free(r.e);
  fv_program_free(r.p);
  fv_graph_free(r.g);
  for (int i = 0; i < r.n_data; i++) fv_free(r.data[i]);
}
#define CHECK(op, both, bare, outputs, slopes) \
  check(&(layer){op, both, bare}, outputs, sizeof(outputs) / sizeof(float), slopes, FV_COUNT(slopes))

static void lstm_both_directions(void **state) {
  (void)state;
  static const float slopes[] = {
      -0.039474454f, 0.12624754f, 0.031466132f, 0.086295758f, -0.0090866632f, 0.087097602f, -0.036212301f,
      0.19603865f, -0.0040039182f, 0.20891049f, 0, 0, -0.0038315455f, 0.0061592632f, 0.0067479937f, -0.027497446f,
      -0.0027466602f, -0.013883175f, 0.01650585f, -0.012656339f, 0.09812862f, -0.17228365f, 0.018481663f,
      0.053105432f, -0.0031329324f, -0.007203524f, -0.016548188f, -0.024372655f, -0.0024585564f, 0.0097624274f,
      -0.026945478f, 0.019627524f, -0.012606752f, 0.018003839f, -0.0051123113f, 0.0071933937f, -0.083930234f,
      0.20737348f, 0.071985716f, -0.065188215f, -0.0054668988f, 0.0016962207f, -0.010396983f, -0.024259918f,
      -0.034383217f, -0.14247185f, -0.084065687f, -0.043364681f, -0.83683459f, 0.39744762f, -0.017817791f,
      0.04111627f, -0.034383217f, -0.14247185f, -0.084065687f, -0.043364681f, -0.83683459f, 0.39744762f,
      -0.017817791f, 0.04111627f, -0.020299508f, -0.0026744665f, 0.061967458f, 0.041268489f, 0.033689624f,
      -0.02380462f, -0.012404518f, -0.051003382f, -0.048021775f, -0.051118492f, -0.138496f, 0.18142918f, 0.059336533f,
      0.039599776f, 0.14830114f, -0.13146595f, -0.0061481381f, 0.0019061852f, -0.0060837716f, -0.0022059885f,
      -0.0023553339f, 0.0056326645f, 0.0089251876f, 0.0043692113f, -0.033805981f, 0.030310641f, -0.0052381398f,
      -0.025464333f, -0.0017173655f, 0.0052373492f, -0.01601183f, 0.025359679f, -0.004899883f, -0.00028284183f,
      0.0030148654f, 0.0036645833f, -0.0066760598f, -0.00046294598f, -0.0018033031f, 0.0017417135f, -0.017778564f,
      0.06809369f, 0.034678277f, -0.0094590032f, -0.0087459309f, -0.0020951787f, -0.0031674863f, 0.0084937303f,
      -0.028268071f, -0.012795086f, -0.0096519178f, 0.042686993f, 0.47951797f, -0.23546011f, -0.018464404f,
      0.082488617f, -0.028268071f, -0.012795086f, -0.0096519178f, 0.042686993f, 0.47951797f, -0.23546011f,
      -0.018464404f, 0.082488617f};
  check(&(layer){"lstm", true, false}, NULL, 0, slopes, FV_COUNT(slopes)); /* test_semantics.c has the outputs */
}

static void lstm_one_direction(void **state) {
  (void)state;
  static const float outputs[] = {
      0.078265134f, -0.27384594f, 0.0064835816f, -0.32140093f, 0.093609851f, -0.26415403f, 0.17369358f, -0.11585076f,
      0.066487026f, -0.24962874f, 0.13552612f, -0.23182391f, 0.093609851f, -0.26415403f, 0.13552612f, -0.23182391f,
      0.14656716f, -0.63635989f, 0.22299465f, -0.55820811f};
  static const float slopes[] = {
      -0.018363481f, 0.022782907f, 0.012348155f, 0.010975138f, 0.067419059f, 0.087781774f, 0.026610938f,
      -0.0033585553f, 0.0071994182f, -0.001784813f, 0.087071617f, -0.020961748f, -0.00358927f, 0.027100097f,
      -0.0067799041f, 0.033599698f, -0.004487418f, 0.0030834258f, 0.010330174f, 0.037042936f, -0.032929863f,
      0.11913783f, 0.027138719f, -0.12468786f, -0.0062782554f, 0.006386813f, -0.04272344f, 0.032661719f,
      -0.0026270477f, 0.022074807f, -0.020459862f, 0.033053672f, -0.0028933789f, 0.0053015759f, -0.0068222003f,
      0.029792664f, -0.018830287f, 0.13570769f, 0.059714328f, -0.11968734f, -0.0015336811f, 0.0046484931f,
      -0.0083056753f, -0.00776632f, -0.075346253f, -0.16438444f, -0.021992143f, -0.11731514f, -0.45765063f,
      0.53567788f, -0.016351243f, -0.0026689342f, -0.075346253f, -0.16438444f, -0.021992143f, -0.11731514f,
      -0.45765063f, 0.53567788f, -0.016351243f, -0.0026689342f, -0.0080160904f, -0.021626208f, 0.051801939f,
      0.026646985f, -0.0046268149f, -0.067757299f, -0.041891299f, 0.13179888f};
  CHECK("lstm", false, false, outputs, slopes);
}

static void lstm_bare(void **state) {
  (void)state;
  static const float outputs[] = {
      -0.012158818f, -0.036572488f, -0.067571858f, -0.059318664f, -0.0043327852f, -0.01361615f, -0.010550126f,
      0.019126043f, -0.033541378f, -0.02431748f, 0.036128098f, 0.0052898103f, -0.0043327852f, -0.01361615f,
      0.036128098f, 0.0052898103f, -0.0085946898f, -0.029073105f, 0.076189512f, 0.011499662f};
  static const float slopes[] = {
      -0.01147962f, 0.03605373f, 0.012271769f, 0.039642312f, 0.068463934f, 0.096953022f, 0.036450127f, -0.0081332153f,
      0.010171428f, -0.0072804281f, 0.080218564f, -0.023641129f, -0.0025127737f, 0.018619847f, 0.0021789468f,
      -0.0077410404f, 0.0014047943f, -0.0079905681f, -0.00024653802f, 0.0047274729f, 0.0056986736f, 0.077377451f,
      0.044611349f, -0.16463983f, 0.0043948647f, -0.0057157206f, -0.002302186f, 0.0021607088f, 0.001791166f,
      0.0012724872f, -0.00036385054f, -0.00031953798f, -0.0015888718f, -0.0013992355f, 0.00065750472f, 0.00063177876f,
      0.022949686f, 0.021755287f, -0.020448392f, -0.015667722f, 0.00020721751f, 0.00032109866f, -2.7022426e-06f,
      6.2638988e-05f};
  CHECK("lstm", false, true, outputs, slopes);
}

static void gru_both_directions(void **state) {
  (void)state;
  static const float slopes[] = {
      -0.002649689f, 0.068101519f, 0.058361656f, 0.010320936f, -0.055525895f, -0.032580799f, 0.023777733f,
      0.18838975f, -0.04865232f, 0.26808784f, 0, 0, 0.0055920934f, -0.020038143f, -0.0042384133f, -0.0014547893f,
      -0.0092146065f, 0.0017012258f, 0.017002385f, -0.0056488046f, 0.078191986f, -0.27620445f, 0.09340143f,
      0.01845299f, -0.0063869067f, 0.011475445f, -0.0026476466f, -0.0095888763f, -0.0029330121f, 0.027078667f,
      0.0050434407f, 0.0004651229f, -0.044688555f, 0.11091082f, 0.031424097f, 0.061752598f, -0.042225723f,
      0.014274592f, -0.064312537f, 0.010117764f, -0.61540842f, -0.10075456f, -0.042225723f, 0.014274592f,
      -0.064312537f, 0.010117764f, -0.36046172f, -0.051715214f, -0.079463609f, -0.21178499f, -0.18088139f,
      0.17024224f, 0.13799393f, 0.33641615f, 0.1789715f, -0.39266166f, 0.0019512859f, -0.0032892625f, 0.010125295f,
      -0.0052770056f, 0.017688728f, -0.02558056f, 7.1303425e-05f, 0.016486404f, -0.11042943f, -0.017876278f,
      -0.12531552f, 0.03955093f, 0.0046108345f, -0.00077205566f, -0.006175564f, 0.0050104343f, 0.040725946f,
      -0.0049772594f, -0.023407316f, -0.0099923034f, 0.010963591f, 0.061328531f, 0.070411062f, -0.0157707f,
      0.0033100103f, 0.0027969355f, 0.037245667f, -0.062969715f, 0.50596127f, 0.13347773f, 0.0033100103f,
      0.0027969355f, 0.037245667f, -0.062969715f, 0.22103782f, 0.07626577f};
  check(&(layer){"gru", true, false}, NULL, 0, slopes, FV_COUNT(slopes)); /* test_semantics.c has the outputs */
}

static void gru_one_direction(void **state) {
  (void)state;
  static const float outputs[] = {
      -0.021395384f, -0.56929508f, -0.10134734f, -0.60491569f, 0.085654712f, -0.57185103f, 0.076450426f, -0.34587984f,
      -0.006299579f, -0.47447013f, 0.19143182f, -0.49651712f, 0.085654712f, -0.57185103f, 0.19143182f, -0.49651712f};
  static const float slopes[] = {
      -0.020310391f, -0.014846053f, -0.015584271f, -0.066680996f, 0.02717f, 0.05078004f, 0.034320823f, 0.025678055f,
      -0.0098434082f, -0.019743557f, 0.023500549f, 0.014954423f, -0.0092951795f, 0.012334353f, -0.0067419868f,
      0.0055727371f, -0.0036680216f, -0.0042710769f, 0.023758241f, -0.0084390212f, -0.13183052f, 0.16895624f,
      0.13953652f, -0.087852342f, -0.0009413425f, -8.5339351e-05f, -0.0012960164f, -0.00013617592f, -0.0028556475f,
      -0.012341716f, 0.005792286f, 0.0088476414f, -0.0076897907f, -0.016632275f, 0.022320865f, -0.016683559f,
      -0.0031359793f, -0.0017354838f, 0.016941334f, -0.0066021721f, -0.037586934f, 0.12811779f, -0.0031359793f,
      -0.0017354838f, 0.016941334f, -0.0066021721f, 0.0085606792f, 0.087098607f, 0.012026145f, -0.25805805f,
      -0.029094849f, 0.17786342f};
  CHECK("gru", false, false, outputs, slopes);
}

static void gru_bare(void **state) {
  (void)state;
  static const float outputs[] = {
      -0.027468813f, -0.060555805f, -0.12918533f, -0.09852128f, -0.00055719198f, -0.025954504f, -0.018393596f,
      0.043101282f, -0.070750418f, -0.038540052f, 0.092308996f, 0.012384184f, -0.00055719198f, -0.025954504f,
      0.092308996f, 0.012384184f};
  static const float slopes[] = {
      -0.035593635f, 0.0053294056f, -0.0085750978f, -0.045831166f, 0.026412367f, 0.036535281f, 0.052713332f,
      -0.0025074112f, -0.016011155f, -0.0048563375f, 0.030559406f, 0.0018048599f, 2.0851249e-05f, -3.6578255e-05f,
      -4.8936256e-05f, 0.0008615312f, -0.0034026361f, -0.0024824868f, 0.0079556667f, -0.0023970646f, -0.09940275f,
      0.12274348f, 0.20599519f, -0.13598994f, -2.6287658e-05f, -3.1582012e-05f, 0.00019198751f, 0.00013362711f,
      -0.0025769317f, -0.0021203647f, 0.00097718841f, 0.00020641586f, 0.0052431735f, 0.0026364259f, -0.0064026215f,
      -0.005962275f};
  CHECK("gru", false, true, outputs, slopes);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(lstm_both_directions),
                                     cmocka_unit_test(lstm_one_direction),
                                     cmocka_unit_test(lstm_bare),
                                     cmocka_unit_test(gru_both_directions),
                                     cmocka_unit_test(gru_one_direction),
                                     cmocka_unit_test(gru_bare)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
