/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c: the time of one kernel on one case, as rates and as a share of what the machine was measured to be able to do. */
#include "check.h"

#include "cpu/ceiling.h"
