/* SPDX-License-Identifier: Apache-2.0 */
/* bench_gat.c: fovea bench gat: one layer of graph attention on a random graph. */
#include "bench_gat.h"

static int64_t given(int64_t n, int64_t otherwise) { return n ? n : otherwise; }

static void print_nodes(const json_t *result) {
  const json_t *n;
  size_t i;
  printf("\n  %-34s %-10s %9s %8s\n", "operation", "kernel", "ms", "GB/s");
  json_array_foreach(json_object_get(result, "nodes"), i, n)
    printf("  %-34.34s %-10.10s %9.3f %8.1f\n", json_string_value(json_object_get(n, "op")),
           json_string_value(json_object_get(n, "kernel")), json_number_value(json_object_get(n, "milliseconds")),
           json_number_value(json_object_get(n, "gigabytes_per_second")));
}

int cli_bench_gat(const cli_args *a) {
  char *json = NULL;
  json_error_t error;
  if (a->n_names > 1) return cli_refuse("fovea bench gat: expected options alone, got also '%s'", a->names[1]);
  fv_bench_gat_request request = {.mechanism = a->mechanism ? a->mechanism : "gat",
                                  .nodes = given(a->nodes, 100000),
                                  .edges = given(a->edges, 1000000),
                                  .heads = given(a->heads, 8),
                                  .width = given(a->width, 8),
                                  .threads = (int)a->threads,
                                  .runs = (int)given(a->samples, 10),
                                  .backward = a->backward};
  fv_status status = fv_bench_gat(&request, &json);
  if (status != FV_OK) return cli_failed(status);
  json_t *result = a->json ? NULL : json_loads(json, 0, &error);
  int code = cli_print_result(a, json);
  if (result) print_nodes(result);
  json_decref(result);
  return code;
}
