#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# attention.sh [FOVEA [RUNS]]: attention's share of the multiply-add ceiling, forward and with backward, at one thread and two: medians (and the
# best) of RUNS processes a figure, each of which measures the ceiling on its own threads. The processes take turns over all the shapes, so that a minute in
# which something else had the caches disturbs each figure a little and none a lot.
fovea=${1:-build/fovea} runs=${2:-7}
work=$(mktemp) && trap 'rm -f "$work"' EXIT || exit 1
shapes='D=64: --shape 1,2048,2048,8,64
D=128: --shape 1,2048,2048,8,128
D=64, causal: --shape 1,2048,2048,8,64 --causal
D=128, causal: --shape 1,2048,2048,8,128 --causal
128 places, 8 x 8 heads: --shape 8,128,128,8,64
128 places, 64 x 1 head: --shape 64,128,128,1,64
512 places, D=40: --shape 1,512,512,8,40
D=64, AVX2: --shape 1,2048,2048,8,64'
fraction() { sed 's/.*"fraction_of_peak": *\([0-9.]*\).*/\1/'; }
run=0
while [ $run -lt "$runs" ]; do
  run=$((run + 1))
  echo "$shapes" | while IFS=: read -r name flags; do
    case $name in *AVX2) isa=avx2 ;; *) isa= ;; esac
    for threads in 1 2; do
      for backward in '' --backward; do
        # shellcheck disable=SC2086
        share=$(FOVEA_ISA=$isa "$fovea" bench attention $flags $backward --threads $threads --json | fraction)
        echo "$name:$threads:$backward:$share"
      done
    done
  done >>"$work"
done
printf '| 2048 places, 8 heads, unless said | 1 thread: forward | with backward | 2 threads: forward | with backward |\n|---|---|---|---|---|\n'
echo "$shapes" | while IFS=: read -r name _; do
  printf '| %s |' "$name"
  for which in 1: 1:--backward 2: 2:--backward; do
    grep -F "$name:$which:" "$work" | sed 's/.*://' | sort -n | awk '{ v[NR] = $1 } END { printf " %.3f (%.3f) |", v[int((NR + 1) / 2)], v[NR] }'
  done
  echo
done
