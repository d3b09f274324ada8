/* SPDX-License-Identifier: Apache-2.0 */
/* heap.h (private to src/base): the counters that heap and slabs share. */
#ifndef FV_BASE_HEAP_H
#define FV_BASE_HEAP_H

#include "base/base.h"

/* Call before asking the system: false when fv_memory_fail_after says that this one fails. */
bool fv_heap_admit(void);
/* `bytes` more are live (fewer when negative). */
void fv_heap_count(int64_t bytes);

#endif
