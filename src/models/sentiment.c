/* SPDX-License-Identifier: Apache-2.0 */
/* sentiment: whether a sentence speaks well or ill of its matter, and by which words. The network of text-classify,
 * with what suits a few thousand sentences: many words made unknown, and the mean of the weights over the last
 * steps. */
#include "models/texts.h"

static const fv_preset presets[] = {
    {"lstm", "encoder=lstm", "the default"},
    {"tiny", "encoder=gru width=32 hidden=32", "seconds"},
    {0}};

extern const fv_recipe fv_recipe_sentiment;
const fv_recipe fv_recipe_sentiment = {
    .info = {.name = "sentiment",
             .doc = "whether a sentence is positive or negative, and which words make it so: a recurrent encoder with "
                    "attention pooling",
             .paper = "Yang et al. 2016 (attention pooling); Hochreiter & Schmidhuber 1997 (LSTM)",
             .default_data = "sst2",
             .options = fv_text_classify_options,
             .presets = presets},
    .settings_size = sizeof(fv_text_settings),
    .training = "word_dropout=0.2 epochs=10 batch=64 lr=0.002 optimizer=adamw schedule=onecycle weight_decay=0.01 "
                "clip=1 ema=0.995",
    .metric = "accuracy",
    .check = fv_text_classify_check,
    .build = fv_text_classify_build};
