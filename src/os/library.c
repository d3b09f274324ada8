/* SPDX-License-Identifier: Apache-2.0 */
/* library.c: libraries opened when first needed. dlopen itself counts, so asking twice loads once. */
#include "os/os.h"

#include <dlfcn.h>

fv_status fv_library_load(const char *soname, const char *package, const char *const *names, void **functions) {
  void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
  FV_REQUIRE(library, FV_ERR_NOTFOUND, "library (%s): expected it to be installed (Debian package %s), got '%s'",
             soname, package, dlerror());
  for (size_t i = 0; names[i]; i++) {
    functions[i] = dlsym(library, names[i]);
    FV_REQUIRE(functions[i], FV_ERR_NOTFOUND,
               "library (%s): expected a version with the function %s (Debian package %s), got one without", soname,
               names[i], package);
  }
  return FV_OK;
}
