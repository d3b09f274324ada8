/* SPDX-License-Identifier: Apache-2.0 */
/* chain.h: several element-wise nodes run as one pass over memory. The fusion pass makes these nodes; a kernel runs
 * them tile by tile, so that what lies between two steps never leaves the first-level cache. */
#ifndef FV_OPS_CHAIN_H
#define FV_OPS_CHAIN_H

#include "ir/ir.h"

#define FV_CHAIN_STEPS 32
#define FV_CHAIN_INPUTS 12
#define FV_CHAIN_OUTPUTS 4

typedef struct fv_chain_step {
  const fv_op_def *op; /* FV_OP_ELEMENTWISE */
  const void *attrs;
  int operand[4];      /* i < n_in: the chain's input i (broadcast); n_in + j: the result of step j < this one */
} fv_chain_step;
typedef struct fv_chain_attrs {
  int64_t n_steps, n_out;
  fv_chain_step step[FV_CHAIN_STEPS];
  int64_t out[FV_CHAIN_OUTPUTS]; /* which step's result each output is; its shape is that of all inputs broadcast */
  fv_dtype out_dtype[FV_CHAIN_OUTPUTS];
  /* The steps as text, for cases: read by infer when n_steps is 0. Steps are separated by ';', operands by ',': a
   * number is an input, a letter the result of a step (a the first); then the step's attributes. After '>' the outputs,
   * the last step's when left out: "mul(0,1);clip(a,min=0,max=1);add(b,2)>a,c". */
  const char *steps;
} fv_chain_attrs;

#endif
