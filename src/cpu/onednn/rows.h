/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h: what the kernels that run a node through oneDNN have in common. A kernel file says how a node becomes a spec;
 * its rows get the rest from FV_DNN_ROW. */
#ifndef FV_CPU_ONEDNN_ROWS_H
#define FV_CPU_ONEDNN_ROWS_H

#include "cpu/onednn/dnn.h"
#include "ir/ir.h"

typedef struct fv_dnn_row {
  void (*spec)(const fv_node *n, fv_dnn_spec *spec);
  int8_t in[4];  /* the role of each input */
  int8_t out[2]; /* and output */
  bool images;   /* src and dst are images, independent of each other: a few at a time, on any thread */
} fv_dnn_row;

bool fv_dnn_row_can(const fv_node *n); /* f32, no empty tensor */
int64_t fv_dnn_row_units(const fv_dnn_row *row, const fv_node *n); /* a matter of shapes alone, as bits are */
int64_t fv_dnn_row_scratch(const fv_dnn_row *row, const fv_node *n);
fv_status fv_dnn_row_prepare(const fv_dnn_row *row, const fv_node *n, void **state);
void fv_dnn_row_release(void *state);
int64_t fv_dnn_row_packed(const fv_dnn_row *row, const fv_node *n, int i);
void fv_dnn_row_pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state);
void fv_dnn_row_run(const fv_dnn_row *row, const fv_call *c);

/* The functions of one operation's row, then the row itself. */
#define FV_DNN_FUNCTIONS(op)                                                                                      \
  static int64_t op##_units(const fv_node *n) { return fv_dnn_row_units(&op##_row, n); }                          \
  static int64_t op##_scratch(const fv_node *n) { return fv_dnn_row_scratch(&op##_row, n); }                      \
  static fv_status op##_prepare(const fv_node *n, void **state) { return fv_dnn_row_prepare(&op##_row, n, state); } \
  static int64_t op##_packed(const fv_node *n, int i) { return fv_dnn_row_packed(&op##_row, n, i); }              \
  static void op##_run(const fv_call *c) { fv_dnn_row_run(&op##_row, c); }
#define FV_DNN_ROW(op_, level)                                                                                  \
  {.op = #op_, .name = "onednn", .isa = level, .priority = 10, .can = fv_dnn_row_can, .units = op_##_units,     \
   .scratch = op_##_scratch, .prepare = op_##_prepare, .release = fv_dnn_row_release, .packed = op_##_packed,   \
   .pack = fv_dnn_row_pack, .run = op_##_run}

#endif
