/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c: the tables, from the lists. The one place where rows are gathered. */
#include "attention/attention.h"
#include "data/data.h"
#include "ir/ir.h"
#include "models/recipe.h"

#define X(n) extern const fv_op_def fv_op_##n;
#include "ops.def"
#undef X
const fv_op_def *const fv_ops[] = {
#define X(n) &fv_op_##n,
#include "ops.def"
#undef X
    NULL};

#define X(n, isa) extern const fv_kernel fv_kernels_##n##_##isa[];
#include "kernels.def"
#undef X
const fv_kernel *const fv_kernel_tables[] = {
#define X(n, isa) fv_kernels_##n##_##isa,
#include "kernels.def"
#undef X
    NULL};

#define X(n) extern const fv_attention_def fv_attention_##n;
#include "attention.def"
#undef X
const fv_attention_def *const fv_attentions[] = {
#define X(n) &fv_attention_##n,
#include "attention.def"
#undef X
    NULL};

#define X(n) extern const fv_recipe fv_recipe_##n;
#include "models.def"
#undef X
const fv_recipe *const fv_recipes[] = {
#define X(n) &fv_recipe_##n,
#include "models.def"
#undef X
    NULL};

#define X(n) extern const fv_dataset_def fv_dataset_##n;
#include "datasets.def"
#undef X
const fv_dataset_def *const fv_datasets[] = {
#define X(n) &fv_dataset_##n,
#include "datasets.def"
#undef X
    NULL};
