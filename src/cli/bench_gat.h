/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_CLI_BENCH_GAT_H
#define FV_CLI_BENCH_GAT_H

#include "cli.h"

/* Options of 'gat', for the table of fovea bench. */
#define CLI_BENCH_GAT_SIZE(field_, most_, doc_)                                                               \
  {.name = #field_, .kind = CLI_NUMBER, CLI_FIELD(field_), .value = "N", .min = 1, .max = most_, .verb = "gat", \
   .doc = doc_ " unless given"}
#define CLI_BENCH_GAT                                                              \
  {.name = "mechanism", .kind = CLI_TEXT, CLI_FIELD(mechanism), .value = "NAME", .verb = "gat", \
   .doc = "gat or gatv2; gat unless given"},                                       \
      CLI_BENCH_GAT_SIZE(nodes, INT32_MAX - 1, "of the graph; 100000"),            \
      CLI_BENCH_GAT_SIZE(edges, INT32_MAX - 1, "of the graph; 1000000"),           \
      CLI_BENCH_GAT_SIZE(heads, 1024, "of the layer; 8"),                          \
      CLI_BENCH_GAT_SIZE(width, 65536, "features of each head; 8")

int cli_bench_gat(const cli_args *a);

#endif
