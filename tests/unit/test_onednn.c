/* SPDX-License-Identifier: Apache-2.0 */
/* test_onednn: the layer over oneDNN. Work stays on the calling thread, whatever OpenMP is set to; bits do not depend
 * on the thread, on OpenMP's settings or on who packed the weights; the instruction-set level is honoured. */
#include "cpu/onednn/dnn.h"
#include "os/os.h"

#include <dirent.h>
#include <dlfcn.h>
#include <dnnl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { N = 8, H = 28, W = 28, C = 32, O = 33, K = 3 }; /* O: a padded layout */

static fv_dnn_spec conv_spec(fv_dnn_kind kind) {
  return (fv_dnn_spec){.kind = kind, .free_weight = true, .stride = {1, 1}, .dilation = {1, 1}, .pad = {1, 1},
                       .role = {[FV_DNN_SRC] = {4, {N, C, H, W}, {H * W * C, 1, W * C, C}},
                                [FV_DNN_WEIGHT] = {4, {O, C, K, K}, {C * K * K, K * K, K, 1}},
                                [FV_DNN_BIAS] = {kind == FV_DNN_CONV_DATA ? 0 : 1, {O}, {1}},
                                [FV_DNN_DST] = {4, {N, O, H, W}, {H * W * O, 1, W * O, O}}}};
}

static float *numbers(int64_t n, const char *name) {
  fv_rng r = fv_rng_new(1, fv_stream_of(name));
  float *v = fv_alloc((size_t)n * sizeof *v);
  assert_non_null(v);
  for (int64_t i = 0; i < n; i++) v[i] = (float)(2 * fv_rng_uniform(&r) - 1);
  return v;
}

typedef struct job {
  float *x, *w, *b, *y;
  int omp;      /* threads OpenMP is told to use on this thread; 0: not told */
  bool packed;
  int omp_after;
} job;

static void (*omp_set)(int);
static int (*omp_get)(void);

static void run_job(void *arg) {
  job *j = arg;
  if (j->omp && omp_set) omp_set(j->omp);
  fv_dnn_spec spec = conv_spec(FV_DNN_CONV);
  fv_dnn *dnn = NULL;
  assert_int_equal(fv_dnn_new(&spec, &dnn), FV_OK);
  void *scratch = fv_alloc((size_t)fv_dnn_scratch(dnn) + 64), *packed = fv_alloc((size_t)fv_dnn_packed(dnn) + 64);
  assert_non_null(scratch);
  assert_non_null(packed);
  fv_dnn_pack(dnn, j->w, packed);
  void *data[FV_DNN_ROLES] = {j->x, j->packed ? packed : j->w, j->b, j->y, NULL};
  for (int i = 0; i < 3; i++) fv_dnn_run(dnn, data, j->packed, scratch);
  j->omp_after = omp_get ? omp_get() : 0;
  fv_dnn_free(dnn);
  fv_free(scratch);
  fv_free(packed);
}

static int count_threads(void) {
  int n = 0;
  DIR *d = opendir("/proc/self/task");
  assert_non_null(d);
  while (readdir(d)) n++;
  closedir(d);
  return n;
}

static job new_job(int omp, bool packed) {
  return (job){.x = numbers(N * H * W * C, "x"), .w = numbers(O * C * K * K, "w"), .b = numbers(O, "b"),
               .y = numbers(N * H * W * O, "y"), .omp = omp, .packed = packed};
}

static void free_job(job *j) {
  fv_free(j->x);
  fv_free(j->w);
  fv_free(j->b);
  fv_free(j->y);
}

/* In a process of its own: oneDNN fixes its level at the first call. */
static void test_level_is_honoured(void **state) {
  (void)state;
  if (!fv_cpu_has(FV_ISA_AVX512)) skip();
  pid_t child = fork();
  if (child == 0) {
    setenv("FOVEA_ISA", "avx2", 1);
    fv_dnn_spec spec = conv_spec(FV_DNN_CONV);
    fv_dnn *dnn = NULL;
    bool ok = fv_cpu_init() == FV_OK && fv_dnn_new(&spec, &dnn) == FV_OK;
    const char *name = ok ? fv_dnn_implementation(dnn) : "";
    _exit(ok && strstr(name, "avx2") && !strstr(name, "avx512") ? 0 : 1);
  }
  int status = 1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

static void test_no_other_thread_wakes(void **state) {
  (void)state;
  if (!omp_set) skip();
  int before = count_threads();
  job j = new_job(4, true);
  run_job(&j);
  assert_int_equal(count_threads(), before);
  assert_int_equal(j.omp_after, 4); /* and the caller's own setting is as it was */
  float *big = numbers(512 * 512, "gemm"), *out = numbers(512 * 512, "out");
  /* The same library left alone does wake others: the test can fail. */
  assert_int_equal(dnnl_sgemm('N', 'T', 512, 512, 512, 1, big, 512, big, 512, 0, out, 512), dnnl_success);
  assert_true(count_threads() > before);
  omp_set(1);
  fv_free(big);
  fv_free(out);
  free_job(&j);
}

static void test_bits_do_not_depend_on_threads(void **state) {
  (void)state;
  job first = new_job(0, true);
  run_job(&first);
  for (int i = 0; i < 6; i++) {
    job two[2] = {new_job(i, i & 1), new_job(7 - i, !(i & 1))};
    fv_thread *thread[2];
    for (int t = 0; t < 2; t++) assert_int_equal(fv_thread_new(run_job, &two[t], &thread[t]), FV_OK);
    for (int t = 0; t < 2; t++) {
      fv_thread_join(thread[t]);
      assert_memory_equal(two[t].y, first.y, N * H * W * O * sizeof(float));
      free_job(&two[t]);
    }
  }
  free_job(&first);
}

/* One output pixel by hand, so that agreement above is agreement about the right numbers. */
static void test_value(void **state) {
  (void)state;
  job j = new_job(0, false);
  run_job(&j);
  int n = 3, y = 0, x = 27, o = 32;
  double sum = j.b[o];
  for (int ky = 0; ky < K; ky++)
    for (int kx = 0; kx < K; kx++)
      for (int c = 0; c < C && y + ky >= 1 && x + kx - 1 < W; c++)
        sum += (double)j.x[((n * H + y + ky - 1) * W + x + kx - 1) * C + c] *
               (double)j.w[((o * C + c) * K + ky) * K + kx];
  assert_true(fabs(sum - (double)j.y[((n * H + y) * W + x) * O + o]) < 1e-4);
  free_job(&j);
}

static void test_a_run_allocates_nothing(void **state) {
  (void)state;
  static const fv_dnn_kind kinds[] = {FV_DNN_CONV, FV_DNN_CONV_DATA, FV_DNN_CONV_WEIGHT};
  job j = new_job(0, false);
  for (size_t i = 0; i < FV_COUNT(kinds); i++) {
    fv_dnn_spec spec = conv_spec(kinds[i]);
    fv_dnn *dnn = NULL;
    assert_int_equal(fv_dnn_new(&spec, &dnn), FV_OK);
    void *scratch = fv_alloc((size_t)fv_dnn_scratch(dnn) + 64);
    uint64_t before = fv_memory_get_stats().count;
    fv_dnn_run(dnn, (void *[]){j.x, j.w, kinds[i] == FV_DNN_CONV_DATA ? NULL : j.b, j.y, NULL}, false, scratch);
    assert_int_equal(fv_memory_get_stats().count, before);
    fv_dnn_free(dnn);
    fv_free(scratch);
  }
  free_job(&j);
}

static void test_refusal(void **state) {
  (void)state;
  fv_dnn_spec spec = conv_spec(FV_DNN_CONV);
  spec.role[FV_DNN_DST].dim[2] = H + 5;
  fv_dnn *dnn = NULL;
  assert_int_not_equal(fv_dnn_new(&spec, &dnn), FV_OK);
  assert_null(dnn);
  assert_non_null(strstr(fv_error_message(), "oneDNN"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_level_is_honoured), cmocka_unit_test(test_no_other_thread_wakes),
      cmocka_unit_test(test_bits_do_not_depend_on_threads), cmocka_unit_test(test_value),
      cmocka_unit_test(test_a_run_allocates_nothing), cmocka_unit_test(test_refusal)};
  *(void **)&omp_set = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  *(void **)&omp_get = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
  return cmocka_run_group_tests(tests, NULL, NULL);
}
