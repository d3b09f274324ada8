/* SPDX-License-Identifier: Apache-2.0 */
/* terminal.c: whether someone looks, how wide, and the wish to stop. */
#include "os/os.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool fv_is_terminal(int fd) { return isatty(fd) == 1; }

int fv_terminal_columns(int fd) {
  struct winsize size;
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static atomic_bool stop; /* lock-free: a handler may set it, any thread may ask */

static void on_signal(int number) {
  (void)number;
  stop = true;
}

/* Also where the signal was ignored: a shell script starts its background jobs that way, and they should be able to
 * save when told to end. */
void fv_stop_catch(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, NULL);
  action.sa_flags |= (int)SA_RESETHAND; /* the second one finds the system's own way */
  sigaction(SIGINT, &action, NULL);
}

bool fv_stop_requested(void) { return stop; }
