/* SPDX-License-Identifier: Apache-2.0 */
/* program.h (private to src/ir): what a compiled graph is. Every value has a spot: which memory, and where in it. */
#ifndef FV_IR_PROGRAM_H
#define FV_IR_PROGRAM_H

#include "ir/ir.h"

typedef enum fv_place {
  FV_PLACE_NONE,     /* absent */
  FV_PLACE_SLAB,     /* the exec's own slab */
  FV_PLACE_PARAM,    /* the parameter slab */
  FV_PLACE_CONST,    /* the graph's constants */
  FV_PLACE_INPUT,    /* bound by the caller; `at` is the input's index */
  FV_PLACE_GRADIENT, /* bound by the caller; laid out as the parameters */
  FV_PLACE_PACKED    /* computed by the prologue, shared by all execs */
} fv_place;
typedef struct fv_spot {
  fv_place place;
  int64_t at; /* bytes */
} fv_spot;

typedef struct fv_step {
  const fv_node *node;
  const fv_kernel *kernel; /* NULL: the operation's reference */
  fv_spot *in, *out, scratch;
  uint32_t packed;         /* inputs that are in the kernel's layout */
  int64_t units;
  fv_cost cost;
} fv_step;

typedef struct fv_pack_step { /* input `i` of `step`, from its plain spot into the packed slab */
  const fv_step *step;
  int i;
  fv_spot from;
  int64_t to;
} fv_pack_step;

struct fv_program {
  fv_graph *g;
  fv_arena *arena;
  fv_spot *spots; /* by value id */
  bool *invariant;
  fv_step *prologue, *body;
  int n_prologue, n_body;
  fv_pack_step *packs;
  int n_packs;
  void **states; /* of the prologue's kernels and of the packing ones */
  int64_t slab_bytes, packed_bytes;
};

/* select.c: the kernel for a node; *kernel NULL means the reference. Fails when FOVEA_KERNEL names one that cannot. */
fv_status fv_kernel_select(const fv_node *node, const fv_kernel **kernel);
/* plan.c: fills spots, scratch places and slab_bytes of the body. */
fv_status fv_program_plan(fv_program *p);
/* The value whose memory v is: itself, or what it is a view of. */
const fv_value *fv_value_root(const fv_value *v);

#endif
