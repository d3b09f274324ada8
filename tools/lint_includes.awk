# SPDX-License-Identifier: Apache-2.0
# lint_includes.awk: which layer of src/ may include which. This is the one place where the order is written down.
#   find src tests examples -name '*.[ch]' | xargs awk -f tools/lint_includes.awk
# A file may include its own layer and those named here; "fovea" stands for the public headers.
BEGIN {
  may["base"] = "fovea"
  may["os"] = "base"
  may["ir"] = "fovea base os"
  may["ops"] = "base ir"
  may["cpu"] = "base os ir ops"
  may["nn"] = "base ir ops"
  may["attention"] = "ir ops nn"
  may["models"] = "fovea ops nn attention"
  may["io"] = "base os"
  may["text"] = "fovea base os io"
  may["data"] = "fovea base os io text"
  may["env"] = "fovea base os"
  may["dist"] = "base os"
  may["train"] = "fovea base os io text ir ops cpu attention models data"
  may["serve"] = may["train"] " train"
  may["cli"] = "fovea"
  # Passes read and write nodes, so they know the attribute structs of the operations they rewrite; nothing else of ops.
  for (f in struct_users) delete struct_users[f]
  n = split("pass_fuse pass_join pass_simplify autodiff", list, " ")
  for (i = 1; i <= n; i++) struct_users["src/ir/" list[i] ".c"] = 1
}
FNR == 1 {
  split(FILENAME, part, "/")
  layer = part[1] == "src" && FILENAME != "src/rows.c" ? part[2] : ""
  example = part[1] == "examples"
}
/^#include "/ {
  split($2, quoted, "\"")
  to = quoted[2]
  target = to
  if (!sub("/.*", "", target)) target = layer  # beside it
  if (target == to) target = layer             # generated or beside it
  if (layer == "" || target == layer || (" " may[layer] " ") ~ (" " target " ")) next
  if (target == "ops" && (FILENAME in struct_users)) next
  print FILENAME ":" FNR ": " layer " must not include " to "; it may include: " may[layer]
  bad = 1
}
/^#include <fovea\// && !example { print FILENAME ":" FNR ": " $2 ": write \"fovea/...\" inside the tree"; bad = 1 }
END { exit bad }
