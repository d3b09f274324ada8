#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# rows.sh LIST DIR: every name in LIST has a file DIR/NAME.c and every DIR/*.c has a name in LIST.
cd "$(dirname "$0")/.." || exit 1
[ -f "$1" ] || { echo "rows: $1 is missing"; exit 1; }
names=$(sed 's/#.*//' "$1" | awk 'NF {print $1}' | sort)
files=$(find "$2" -maxdepth 1 -name '*.c' -exec basename {} .c \; 2>/dev/null | sort)
twice=$(echo "$names" | uniq -d)
[ -z "$twice" ] || { echo "rows: named twice in $1: $twice"; exit 1; }
for n in $names; do echo "$files" | grep -qx -- "$n" || { echo "rows: $1 names '$n' but there is no $2/$n.c"; exit 1; }; done
# kept out of a table on purpose: what starts with an underscore, and the helpers named in the layer's meson.build
for f in $files; do
  echo "$names" | grep -qx -- "$f" && continue
  grep -q "'$f.c'" "$2/meson.build" 2>/dev/null && continue
  echo "rows: $2/$f.c is not named in $1"; exit 1
done
