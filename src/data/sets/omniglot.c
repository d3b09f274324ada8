/* SPDX-License-Identifier: Apache-2.0 */
/* omniglot: 1,623 characters of fifty alphabets, each drawn once by twenty people, for learning from few examples. The
 * split is of Vinyals et al. 2016, who took 1,200 characters at random for training, and all others for testing, and
 * made a class of each quarter turn; which characters they took is not known: here they are those of a shuffle that
 * nothing changes, and the last 100 of them are kept for validation. */
#include "data/sets.h"

static const fv_data_file files[] = {
    {"omniglot/images_background.zip",
     "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/images_background.zip",
     "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640", 9464212, NULL},
    {"omniglot/images_evaluation.zip",
     "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/images_evaluation.zip",
     "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee", 6462886, NULL},
    {0}};
/* The same pictures in an archive made anew. */
static const fv_data_file repack[] = {
    {"omniglot/images_background.zip", NULL,
     "fe6f32e7e1f35a8d449a8a4dd6bf60c87419d11adc352b08d988f1546f5e6d3b", 8545058, NULL},
    {"omniglot/images_evaluation.zip", NULL,
     "1da27d271b559eca7856c3a5dc8ff9300cef35b3adac8574d2823e984204e3f7", 5833360, NULL}};

enum { CHARACTERS = 1623, DRAWERS = 20, TRAIN = 1100, VALIDATION = 100, PIXELS = FV_INK_SIDE * FV_INK_SIDE };

/* Character and drawer of ".../0709_01.png", both from 0; false for what is no picture. */
static bool is_picture(const char *name, int *character, int *drawer) {
  const char *slash = strrchr(name, '/');
  int used = 0;
  if (sscanf(slash ? slash + 1 : name, "%4d_%2d.png%n", character, drawer, &used) < 2 || !used) return false;
  return --*character >= 0 && *character < CHARACTERS && --*drawer >= 0 && *drawer < DRAWERS;
}

static fv_status take_pictures(fv_archive *a, uint8_t *ink, int64_t *taken) {
  uint8_t bytes[1 << 14];
  const char *name;
  size_t got;
  int character, drawer;
  for (;;) {
    FV_TRY(fv_archive_next(a, &name));
    if (!name) return FV_OK;
    if (!is_picture(name, &character, &drawer)) continue;
    FV_TRY(fv_archive_read(a, bytes, sizeof bytes, &got));
    FV_TRY(fv_ink_parse(bytes, got, name, FV_INK_SIDE, FV_INK_SIDE,
                        ink + ((int64_t)character * DRAWERS + drawer) * PIXELS));
    ++*taken;
  }
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  int32_t examples[CHARACTERS];
  uint8_t *ink;
  int64_t taken = 0;
  for (int i = 0; i < CHARACTERS; i++) examples[i] = DRAWERS;
  const fv_glyphs g = {.classes = CHARACTERS, .examples = examples, .h = FV_INK_SIDE, .w = FV_INK_SIDE, .turns = 4,
                       .part = {TRAIN, CHARACTERS - TRAIN - VALIDATION, VALIDATION}, .episodes = FV_EPISODES};
  FV_TRY(fv_episodes_hold(o, d, &g, &ink));
  for (int i = 0; ink && files[i].path; i++) {
    const char *path;
    fv_archive *a;
    FV_TRY(fv_data_need(o, &files[i], d->arena, &path));
    FV_TRY(fv_archive_open(path, &a));
    fv_status status = take_pictures(a, ink, &taken);
    fv_archive_close(a);
    if (status != FV_OK) return status;
  }
  FV_REQUIRE(!ink || taken == CHARACTERS * DRAWERS, FV_ERR_CORRUPT,
             "dataset (omniglot): expected %d pictures, got %lld", CHARACTERS * DRAWERS, (long long)taken);
  return FV_OK;
}

const fv_dataset_def fv_dataset_omniglot = {
    .info = {.name = "omniglot",
             .doc = "characters of fifty alphabets by twenty people, as tasks of telling a few apart (Omniglot)",
             .licence = "MIT",
             .source = "https://github.com/brendenlake/omniglot",
             .cite = "B. M. Lake, R. Salakhutdinov, J. B. Tenenbaum: Human-level concept learning through "
                     "probabilistic program induction. Science 350, 2015",
             .shape = "episodes of 28x28x1: 1000 train, 200 validation, 1000 test, from 1100, 100 and 423 characters "
                      "in four turns",
             .files = files},
    .repack = repack,
    .open = open_set};
