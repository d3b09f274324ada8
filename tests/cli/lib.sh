# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# lib.sh: what the command-line tests share. A test is `sh NAME.sh FOVEA JSON [BUILD]`; it works in a directory of its
# own and ends with `finish`. The contract checked everywhere: exit 0 with nothing on standard error, or 1 or 2 with one
# line there.
set -u
absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
fovea=$(absolute "$1") json=$(absolute "$2") build=${3:-} here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) && cd "$work" || exit 1
trap 'rm -rf "$work"' EXIT
export FOVEA_CACHE="$work/cache" TERM=dumb LC_ALL=C
unset FOVEA_ISA FOVEA_KERNEL FOVEA_VERBOSE NO_COLOR
passed=0 failed=0 skipped=0

ok() { passed=$((passed + 1)); }
bad() {
  failed=$((failed + 1))
  echo "FAILED: $*"
  [ -f out ] && head -5 out | sed 's/^/  out: /'
  [ -f err ] && head -5 err | sed 's/^/  err: /'
}
skip() { skipped=$((skipped + 1)); echo "skipped: $*"; }

# expect CODE ARG...: runs fovea, checks its exit status and that errors are one line.
expect() {
  want=$1
  shift
  "$fovea" "$@" >out 2>err </dev/null
  code=$?
  if [ $code -ne "$want" ]; then bad "fovea $*: exit $want expected, got $code"
  elif [ "$want" -eq 0 ] && [ -s err ]; then bad "fovea $*: expected nothing on standard error"
  elif [ "$want" -ne 0 ] && { [ "$(wc -l <err)" -ne 1 ] || ! grep -q '^fovea: error: ' err; }; then
    bad "fovea $*: expected one line 'fovea: error: ...'"
  else ok; fi
}
# says FILE PATTERN: FILE (out, err, ...) matches the extended regular expression.
says() { if grep -Eq -e "$2" "$1"; then ok; else bad "'$1' after fovea: expected to match: $2"; fi; }
silent() { if [ -s "$1" ]; then bad "$1: expected to be empty"; else ok; fi; }
is() { if [ "$1" = "$2" ]; then ok; else bad "$3: expected '$2', got '$1'"; fi; }
# keys KEY...: out is one JSON object, one line, with these keys.
keys() {
  if [ "$(wc -l <out)" -ne 1 ]; then bad "--json: expected one line"
  elif "$json" "$@" <out >/dev/null 2>err; then ok
  else bad "--json: expected an object with: $*"; fi
}
value() { "$json" "$1" <out; }
exists() { for f in "$@"; do if [ -s "$f" ]; then ok; else bad "$f: expected a file that is not empty"; fi; done; }

finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ $failed -eq 0 ] || exit 1
  [ $passed -gt 0 ] || exit 77
  exit 0
}
