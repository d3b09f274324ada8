/* SPDX-License-Identifier: Apache-2.0 */
/* threads.h (private to src/os): how every thread of the library starts. */
#ifndef FV_OS_THREADS_H
#define FV_OS_THREADS_H

#include "os/os.h"

#include <pthread.h>

/* With a 2 MiB stack, and signals left to the threads that were there before. */
fv_status fv_pthread_start(pthread_t *thread, void *(*body)(void *), void *arg);

#endif
