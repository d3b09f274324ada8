#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What is installed can be used: the example is built against the shared and the static library and run.
. "$(dirname "$0")/lib.sh"
meson install -C "$build" --no-rebuild --quiet --destdir "$work/root" >out 2>&1 || bad 'meson install'
prefix=$(find root -path '*/bin/fovea' | sed 's|/bin/fovea$||')
for f in bin/fovea include/fovea/fovea.h include/fovea/train.h share/man/man1/fovea.1 share/man/man1/fovea-train.1 \
  share/bash-completion/completions/fovea share/doc/fovea/LICENSE; do exists "$prefix/$f"; done
pc=$(find root -name fovea.pc)
[ -n "$pc" ] && ok || bad 'no fovea.pc'
PKG_CONFIG_PATH="$work/$(dirname "$pc")" PKG_CONFIG_SYSROOT_DIR="$work/root"
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
lib="$work/$(dirname "$(dirname "$pc")")"
"$work/$prefix/bin/fovea" version >out 2>err && says out '^fovea '

# build_and_run NAME FLAG...
build_and_run() {
  name=$1
  shift
  # shellcheck disable=SC2046
  if ${CC:-cc} -std=c11 -Wall -Wextra -Werror -o "$name" "$here/../../examples/digits.c" $(pkg-config --cflags fovea) \
    "$@" >out 2>&1; then ok
  else bad "example, $name"; return; fi
  LD_LIBRARY_PATH="$lib" ./"$name" "run-$name" >out 2>err && ok || bad "example, $name: run"
  says out 'accuracy'
  exists "run-$name/model.safetensors"
}
is "$(pkg-config --modversion fovea)" "$("$fovea" version | cut -d' ' -f2)" version
# shellcheck disable=SC2046 # words are meant to be split
build_and_run shared $(pkg-config --libs fovea)
# shellcheck disable=SC2046
build_and_run static "$lib/libfovea.a" $(pkg-config --static --libs fovea | tr ' ' '\n' | grep -v '^-lfovea$')
if ldd ./static | grep -q libfovea; then bad 'the static one wants libfovea.so'; else ok; fi
# C++ can read the headers
if command -v g++ >/dev/null; then
  echo '#include <fovea/fovea.h>
int main() { return fv_recipe_count() > 0 ? 0 : 1; }' >x.cc
  # shellcheck disable=SC2046
  g++ -Wall -Wextra -Werror -o x x.cc $(pkg-config --cflags --libs fovea) >out 2>&1 &&
    LD_LIBRARY_PATH="$lib" ./x && ok || bad 'C++'
else
  skip 'C++: no g++ here'
fi
# nothing but the interface is exported
nm -D --defined-only "$lib/libfovea.so" | awk '$3 !~ /^fv_/ && $2 != "A" {print $3}' >out
silent out
finish
