/* SPDX-License-Identifier: Apache-2.0 */
/* fail.h (private to src/os): what the system's errno says, as a failure. */
#ifndef FV_OS_FAIL_H
#define FV_OS_FAIL_H

#include "os/os.h"

#include <errno.h>

/* "WHAT (PATH): expected WANTED, got 'No space left on device'" with the status that goes with `error`. */
#define FV_FAIL_OS(error, what, path, wanted)                                                      \
  fv_fail_at(fv_status_of_errno(error), __FILE__, __LINE__, __func__, "%s (%s): expected %s, got '%s'", \
             (what), (path), (wanted), strerror(error))

static inline fv_status fv_status_of_errno(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR: return FV_ERR_NOTFOUND;
    case ENOMEM: return FV_ERR_MEMORY;
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP: return FV_ERR_REQUEST;
    default: return FV_ERR_IO;
  }
}

#endif
