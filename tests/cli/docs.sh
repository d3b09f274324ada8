#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Manual pages, pages of recipes and completion agree with the program.
. "$(dirname "$0")/lib.sh"
commands=$("$fovea" help | sed -n '/^commands/,/^$/p' | awk '/^  [a-z]/ {print $1}')
[ "$(echo "$commands" | wc -l)" -ge 9 ] && ok || bad 'help lists too few commands'
for c in $commands; do
  says "$here/../../man/fovea.1" "^\.B(R)? (fovea )?$c( |$)"
  expect 0 help --man "$c"; says out "^\.TH FOVEA.-$c"; says out '^\.SH OPTIONS'
  if command -v groff >/dev/null; then
    groff -man -Tutf8 -ww -z out 2>err || bad "groff: $c"
    silent err
  fi
done
sed -n '/^\.SH COMMANDS/,/^\.SH ENV/s/^\.B fovea \([a-z]*\).*/\1/p' "$here/../../man/fovea.1" | sort >told
is "$(cat told)" "$(echo "$commands" | sort)" 'commands in fovea.1'

# every recipe has its page, which shows its command, names its presets and is linked from the guide
docs=$here/../../docs
for r in $("$fovea" list recipes); do
  page=$docs/recipes/$r.md
  exists "$page"; says "$page" "^fovea train $r"; says "$page" "^fovea explain runs/"
  for p in $("$fovea" train "$r" --help | sed -n '/^presets/,/^$/p' | awk '/^  [a-z]/ {print $1}'); do says "$page" "\`[^\`]*$p"; done
  if cat "$docs"/guide/*.md | grep -q "(../recipes/$r.md)"; then ok; else bad "$r.md: no chapter of the guide links to it"; fi
  [ "$(wc -l <"$page")" -le 45 ] && ok || bad "$r.md: expected at most 45 lines"
done
for page in "$docs"/recipes/*.md; do
  "$fovea" list recipes | grep -qx "$(basename "$page" .md)" && ok || bad "$(basename "$page"): a page of no recipe"
done

expect 0 completion bash; cp out script
if command -v bash >/dev/null; then
  # offer WORD...: what bash would offer for the last word
  offer() {
    bash --norc -c '. ./script
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
      _fovea
      printf "%s\n" "${COMPREPLY[@]}"' - "$fovea" "$@" >out 2>err
    silent err
  }
  offer tr; is "$(cat out)" train 'completion of tr'
  offer train ''; says out '^image-classify$'
  offer train image-classify --thr; is "$(cat out)" --threads 'completion of --thr'
  offer train image-classify --data fas; says out '^fashion-mnist$'
  offer data ''; says out '^verify$'
  offer data info ''; says out '^mnist$'
  offer bench att; says out '^attention$'
  offer bench attention --ca; is "$(cat out)" --causal 'completion of --ca'
  offer bench recipe ''; says out '^image-classify$'
  offer eval m --split ''; says out '^test$'
  offer help pl; is "$(cat out)" plan 'completion of help pl'
else
  skip 'completion: no bash here'
fi
finish
