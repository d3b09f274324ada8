/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c: the table of settings that every recipe has. */
#include "train/train.h"

static const char *const optimizers[] = {"sgd", "adamw", "rmsprop", NULL};
static const char *const schedules[] = {"constant", "step", "cosine", "onecycle", NULL};

#define FIELD(field) #field, .offset = offsetof(fv_train_settings, field)
const fv_option fv_train_settings_table[] = {
    {.name = FIELD(epochs), .type = FV_OPT_INT, .def = "10", .min = 1, .max = 1e6,
     .doc = "passes over the training set"},
    {.name = FIELD(steps), .type = FV_OPT_INT, .def = "0", .min = 0, .max = 1e12,
     .doc = "stop after so many batches; 0: by epochs"},
    {.name = FIELD(batch), .type = FV_OPT_INT, .def = "128", .min = 1, .max = 65536, .doc = "samples a step"},
    {.name = FIELD(shards), .type = FV_OPT_INT, .def = "8", .min = 1, .max = 256,
     .doc = "pieces of a batch, the unit of parallel work; lowered to a divisor of batch"},
    {.name = FIELD(seed), .type = FV_OPT_INT, .def = "0", .min = 0, .max = 9e15, .doc = "of all random numbers"},
    {.name = FIELD(optimizer), .type = FV_OPT_ENUM, .def = "adamw", .choices = optimizers, .doc = "update rule"},
    {.name = FIELD(lr), .type = FV_OPT_REAL, .def = "0.001", .min = 1e-12, .max = 100,
     .doc = "learning rate (the peak of a schedule)"},
    {.name = FIELD(momentum), .type = FV_OPT_REAL, .def = "0.9", .min = 0, .max = 0.9999,
     .doc = "sgd, rmsprop: momentum; adamw: beta1"},
    {.name = FIELD(nesterov), .type = FV_OPT_BOOL, .def = "false", .doc = "sgd: Nesterov's form of momentum"},
    {.name = FIELD(beta2), .type = FV_OPT_REAL, .def = "0.999", .min = 0, .max = 0.999999,
     .doc = "adamw: decay of the squares; rmsprop: alpha"},
    {.name = FIELD(eps), .type = FV_OPT_REAL, .def = "1e-8", .min = 1e-16, .max = 1,
     .doc = "adamw, rmsprop: added to the root"},
    {.name = FIELD(weight_decay), .type = FV_OPT_REAL, .def = "0.01", .min = 0, .max = 10,
     .doc = "of weights; biases and norms have none"},
    {.name = FIELD(clip), .type = FV_OPT_REAL, .def = "0", .min = 0, .max = 1e9,
     .doc = "largest norm of the gradient; 0: any"},
    {.name = FIELD(schedule), .type = FV_OPT_ENUM, .def = "onecycle", .choices = schedules,
     .doc = "course of the learning rate"},
    {.name = FIELD(warmup), .type = FV_OPT_REAL, .def = "0.2", .min = 0, .max = 1,
     .doc = "share of the steps that climb to lr"},
    {.name = FIELD(lr_final), .type = FV_OPT_REAL, .def = "0.001", .min = 0, .max = 1,
     .doc = "share of lr at the end of cosine and onecycle"},
    {.name = FIELD(step_size), .type = FV_OPT_INT, .def = "10", .min = 1, .max = 1e6,
     .doc = "schedule=step: epochs between drops"},
    {.name = FIELD(gamma), .type = FV_OPT_REAL, .def = "0.1", .min = 1e-6, .max = 1,
     .doc = "schedule=step: factor of a drop"},
    {.name = FIELD(ema), .type = FV_OPT_REAL, .def = "0", .min = 0, .max = 0.99999,
     .doc = "decay of the running mean of weights that is evaluated and kept; 0: none"},
    {.name = FIELD(label_smoothing), .type = FV_OPT_REAL, .def = "0", .min = 0, .max = 0.9,
     .doc = "share of the target spread over all classes"},
    {.name = FIELD(validation), .type = FV_OPT_REAL, .def = "0.05", .min = 0, .max = 0.9,
     .doc = "share of the training set kept for choosing; 0: none"},
    {.name = FIELD(patience), .type = FV_OPT_INT, .def = "0", .min = 0, .max = 1e6,
     .doc = "stop after so many epochs without a better validation metric; 0: never"},
    {.name = FIELD(shift), .type = FV_OPT_INT, .def = "0", .min = 0, .max = 64,
     .doc = "images: shift by up to so many pixels"},
    {.name = FIELD(flip), .type = FV_OPT_BOOL, .def = "false", .doc = "images: mirror one in two"},
    {.name = FIELD(cutout), .type = FV_OPT_INT, .def = "0", .min = 0, .max = 256,
     .doc = "images: blank a square of this side"},
    {.name = FIELD(rotate), .type = FV_OPT_REAL, .def = "0", .min = 0, .max = 180,
     .doc = "images: turn by up to so many degrees"},
    {.name = FIELD(zoom), .type = FV_OPT_REAL, .def = "0", .min = 0, .max = 0.9,
     .doc = "images: scale by up to this share"},
    {.name = FIELD(save_every), .type = FV_OPT_INT, .def = "0", .min = 0, .max = 1e12,
     .doc = "steps between checkpoints; 0: each epoch"},
    {.name = FIELD(keep), .type = FV_OPT_INT, .def = "2", .min = 1, .max = 1000, .doc = "checkpoints kept"},
    {0}};

const fv_option *fv_train_options(void) { return fv_train_settings_table; }
