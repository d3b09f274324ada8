/* SPDX-License-Identifier: Apache-2.0 */
/* ceiling.h: what this processor can do at best, measured once a process: the yardstick of profiles and benchmarks. */
#ifndef FV_CPU_CEILING_H
#define FV_CPU_CEILING_H

#include "os/os.h"

/* 1e9 floating-point operations a second of one core that does nothing but independent multiply-adds at a level; 0 when
 * the processor lacks it. Takes a few milliseconds the first time. */
double fv_ceiling_gflops(fv_isa isa);
/* The same of all threads of a pool at once, measured anew by each call (about 10 ms): clocks differ from one moment to
 * the next, and threads may share a core. */
double fv_ceiling_gflops_pool(fv_isa isa, fv_pool *pool);
/* 1e9 bytes a second (read and written both counted) of one core that copies one half of a 64 MiB buffer to the other;
 * 0 when there is no memory for it. Takes some tens of milliseconds the first time. */
double fv_ceiling_gbytes(void);

#endif
