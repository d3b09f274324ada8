/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.h (private to src/os): the processor time a container grants. */
#ifndef FV_OS_CGROUP_H
#define FV_OS_CGROUP_H

/* Processors' worth of time the tightest control group grants, 0 when there is no limit. `self` is a file like
 * /proc/self/cgroup, `root` where the groups are mounted. */
double fv_cgroup_processors(const char *self, const char *root);

#endif
