/* SPDX-License-Identifier: Apache-2.0 */
/* waves: a made-up series of four channels: a season of 24 rows whose height follows a slower one, its echo six rows
 * later, a drifting level with both, and noise that nothing foretells. Small and always the same, for trying things
 * without a network. */
#include "data/sets.h"

#include <math.h>

enum { TRAIN = 1400, VALIDATION = 200, TEST = 400, ROWS = TRAIN + VALIDATION + TEST, CHANNELS = 4, DAY = 24, LAG = 6 };
static const char *names[CHANNELS] = {"tide", "echo", "level", "noise"};

static double tide(int row) {
  const double turn = 2 * 3.14159265358979323846 * row;
  return (1 + 0.5 * sin(turn / (7 * DAY))) * sin(turn / DAY) + 0.3 * sin(2 * turn / DAY + 1);
}

static void make_rows(double *v) {
  fv_rng rng = fv_rng_new(0, fv_stream_of("waves"));
  double level = 0;
  for (int i = 0; i < ROWS; i++, v += CHANNELS) {
    level += 0.05 * fv_rng_normal(&rng);
    v[0] = 10 + 3 * tide(i) + 0.3 * fv_rng_normal(&rng);
    v[1] = -2 + tide(i - LAG) + 0.1 * fv_rng_normal(&rng);
    v[2] = 100 + 20 * level + 8 * tide(i) + 2 * fv_rng_normal(&rng);
    v[3] = 0.5 * fv_rng_normal(&rng);
  }
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  fv_steps s = {.rows = ROWS, .channels = CHANNELS, .name = names};
  FV_TRY(FV_NEW(&s.v, ROWS * CHANNELS));
  make_rows(s.v);
  fv_status status = fv_steps_hold(o, d, &s, (const int64_t[]){TRAIN, VALIDATION, TEST});
  fv_free(s.v);
  return status;
}

const fv_dataset_def fv_dataset_waves = {
    .info = {.name = "waves",
             .doc = "a made-up series: a tide, its echo, a drifting level and noise",
             .licence = "Apache-2.0",
             .source = "generated",
             .cite = "none",
             .shape = "series of 4 channels: 1400 rows train, 200 validation, 400 test",
             .training = "past=48 horizon=12 epochs=10"},
    .open = open_set};
