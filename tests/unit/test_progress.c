/* SPDX-License-Identifier: Apache-2.0 */
/* test_progress.c: which lines of a run are shown where there is no terminal, by a clock of the test's own. Of the
 * program only progress.c is here. */
#include <unistd.h>

#include "cli/cli.h"
#include "test_io.h"
#include "text/text.h"

static double seconds;
static int own_stdout = -1;

/* The linker puts it in the place of clock_gettime. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t) {
  (void)clock;
  *t = (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)(1e9 * (seconds - floor(seconds)))};
  return 0;
}

bool cli_is_terminal(void) { return false; }
int cli_columns(void) { return CLI_COLUMNS; }
const char *cli_count(double n, cli_text text) {
  snprintf(text, sizeof(cli_text), "%.0f", n);
  return text;
}
const char *cli_bytes(double n, cli_text text) { return cli_count(n, text); }
const char *cli_duration(double s, cli_text text) { return cli_count(s, text); }

static cli_progress start(void) {
  seconds = 1000;
  fflush(stdout);
  own_stdout = dup(STDOUT_FILENO);
  assert_non_null(freopen(in_scratch("shown"), "w", stdout));
  return (cli_progress){.last = seconds, .verb = "fetching"};
}

/* What was shown has these epochs' lines and no other. */
static void shown(cli_progress *p, const int64_t *epochs, int n) {
  fv_text_table *lines;
  cli_progress_end(p);
  dup2(own_stdout, STDOUT_FILENO);
  close(own_stdout);
  OK(fv_text_table_open(in_scratch("shown"), &(fv_text_options){.format = FV_TEXT_LINES}, &lines));
  assert_int_equal(fv_text_table_rows(lines), n);
  for (int i = 0; i < n; i++) {
    char want[32];
    snprintf(want, sizeof want, "epoch %lld/", (long long)epochs[i]);
    assert_memory_equal(fv_text_table_get(lines, i, 0).s, want, strlen(want));
  }
  fv_text_table_free(lines);
}

static void epoch(cli_progress *p, int64_t number, double took) {
  seconds += took;
  cli_progress_report(p, &(fv_train_event){.phase = "epoch", .epoch = number, .epochs = 100, .step = number});
}

static void test_fast_epochs(void **state) {
  (void)state;
  cli_progress p = start();
  for (int i = 1; i <= 100; i++) epoch(&p, i, 0.125);
  shown(&p, (const int64_t[]){1, 25, 49, 73, 97, 100}, 6);
}

static void test_slow_epochs(void **state) {
  (void)state;
  cli_progress p = start();
  epoch(&p, 1, 5);
  epoch(&p, 2, 0.5); /* left out: the next one follows at once */
  epoch(&p, 3, 0.5);
  epoch(&p, 4, 5);
  epoch(&p, 5, 3);
  epoch(&p, 6, 1);
  shown(&p, (const int64_t[]){1, 4, 5, 6}, 4);
}

/* Within a long epoch a line now and then; the last epoch's comes before what follows the training, and once. */
static void test_order(void **state) {
  (void)state;
  cli_progress p = start();
  epoch(&p, 1, 1);
  epoch(&p, 2, 1);
  cli_progress_report(&p, &(fv_train_event){.phase = "evaluate"});
  for (int i = 0; i < 40; i++, seconds++)
    cli_progress_report(&p, &(fv_train_event){.phase = "train", .epoch = 3, .epochs = 100});
  shown(&p, (const int64_t[]){1, 2, 3, 3}, 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_fast_epochs), cmocka_unit_test(test_slow_epochs),
                                     cmocka_unit_test(test_order)};
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
