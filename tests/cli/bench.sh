#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fovea bench attention, lstm, gru: what it says, what it writes, what it refuses. Shapes are tiny: speed is not the matter here.
. "$(dirname "$0")/lib.sh"
bench() { want=$1; shift; expect "$want" bench attention "$@"; }
true_of() { if awk "BEGIN { exit !($1) }"; then ok; else bad "expected $1"; fi; }

# one shape
bench 0 --shape 1,16,16,2,8 --threads 1 --json
keys milliseconds gflops peak_gflops fraction_of_peak milliseconds_forward bytes_scratch kernel isa threads runs
is "$(value shape)" 5 'numbers of the shape'; is "$(value threads)" 1 threads; is "$(value backward)" false backward
true_of "$(value milliseconds) > 0 && $(value gflops) > 0"
true_of "$(value fraction_of_peak) > 0 && $(value fraction_of_peak) < 1.2"
true_of "($(value fraction_of_peak) / ($(value gflops) / $(value peak_gflops)) - 1) ^ 2 < 1e-9"
# 4 D a pair: 4 x 8 x 16 x 16 x 2
true_of "($(value gflops) * $(value milliseconds) * 1e6 / 16384 - 1) ^ 2 < 1e-9"
bench 0 --shape 1,16,16,2,8 --threads 1; says out '^attention, forward, 1 thread'; says out '^  1,16,16,2,8 .* %'

# pairs that see each other: 10 of 4 x 4, 7 in a window of 2; 14 D with the gradient
bench 0 --shape 1,4,4,1,8 --causal --backward --runs 7 --threads 2 --json
is "$(value runs)" 7 runs; keys milliseconds_backward kernel_backward isa_backward
true_of "($(value gflops) * $(value milliseconds) * 1e6 / (14 * 8 * 10) - 1) ^ 2 < 1e-9"
bench 0 --shape 1,4,4,1,8 --causal --window 2 --runs 1 --json
true_of "($(value gflops) * $(value milliseconds) * 1e6 / (4 * 8 * 7) - 1) ^ 2 < 1e-9"

# all there is, large enough to be split; at any number of threads the same bits
all="--shape 2,97,101,4,16 --groups 2 --causal --backward --dropout 0.25 --bias --top-k 3 --totals --entropy --runs 1"
for t in 1 2 3 7; do
  # shellcheck disable=SC2086
  bench 0 $all --json --threads $t --out "r$t.safetensors"
  cmp -s r1.safetensors "r$t.safetensors" && ok || bad "results at $t threads differ from those at one"
done
is "$(value groups)" 2 groups; is "$(value top_k)" 3 top_k; is "$(value entropy)" true entropy
for name in q k v bias rng dy y lse totals entropy top top_index dq dk dv dbias; do
  head -c 4096 r1.safetensors | tr -d '\000' | grep -q "\"$name\"" && ok || bad "r1.safetensors: no $name"
done

# recurrent layers: H gates of 2 (I + H) and the functions, twice that for the gradient; the same bits at any threads
for layer in 'lstm 8 17' 'gru 6 14'; do
  # shellcheck disable=SC2086
  set -- $layer
  expect 0 bench "$1" --shape 3,5,4,7 --threads 1 --json
  keys milliseconds milliseconds_forward milliseconds_prepare kernel isa nodes fraction_of_peak peak_gflops
  is "$(value layer)" "$1" layer; is "$(value shape)" 4 'numbers of the shape'; is "$(value backward)" false backward
  true_of "($(value gflops) * $(value milliseconds) * 1e6 / (3 * 5 * 7 * ($2 * (4 + 7) + $3)) - 1) ^ 2 < 1e-9"
  for t in 1 2 3 7; do
    expect 0 bench "$1" --shape 53,9,20,37 --backward --runs 1 --json --threads $t --out "$1$t.safetensors"
    cmp -s "$1"1.safetensors "$1$t.safetensors" && ok || bad "$1: results at $t threads differ from those at one"
  done
  keys milliseconds_backward kernel_backward
  for name in x w_ih w_hh b_ih b_hh y h_n dy dx dw_ih dw_hh db_ih db_hh; do
    head -c 4096 "$1"1.safetensors | tr -d '\000' | grep -q "\"$name\"" && ok || bad "$1: no $name"
  done
  expect 0 bench "$1" --shape 3,5,4,7 --bidirectional --threads 1 --json
  true_of "($(value gflops) * $(value milliseconds) * 1e6 / (2 * 3 * 5 * 7 * ($2 * (4 + 7) + $3)) - 1) ^ 2 < 1e-9"
  for t in 1 2; do
    expect 0 bench "$1" --shape 5,9,20,37 --bidirectional --backward --runs 1 --threads $t --out "$1$t.safetensors"
  done
  cmp -s "$1"1.safetensors "$1"2.safetensors && ok || bad "$1: results of both directions differ at two threads"
  for name in w_ih_reverse dw_hh_reverse db_ih_reverse; do
    head -c 4096 "$1"1.safetensors | tr -d '\000' | grep -q "\"$name\"" && ok || bad "$1: no $name"
  done
  expect 0 bench "$1" --shape 1,1,8,8; says out "^$(echo "$1" | tr '[:lower:]' '[:upper:]'), forward, "; says out '^  1,1,8,8 .* %'
  expect 2 bench "$1" --shape 1,2,3; says err "bench $1.: expected four whole numbers B,T,I,H, got '1,2,3'"
  expect 2 bench "$1" --shape 1,2,3,0; says err "bench $1.: expected H from 1 to .*, got 0"
  expect 2 bench "$1" --shape 99999,99999,99,99; says err 'fits .* GiB of memory, got 99999,99999,99,99,'
  expect 2 bench "$1" --out r; says err 'expected with --shape'
  expect 2 bench "$1" --causal; says err "expected with 'attention', got it with '$1'"
  expect 0 bench "$1" --help; says out "^options of '$1'"
done
expect 2 bench recipe image-classify --backward; says err "expected with 'attention, lstm, gru, gat', got it with 'recipe'"

# refused
bench 2 --shape 1,2,3,4; says err "five whole numbers B,T,S,H,D, got '1,2,3,4'"
for s in 1,2,3,4,x 1,2,3,4,5,6 '1,2,3,4,' ',1,2,3,4' 1,2,3,4,5.5 1,2,3,4,0x8 '1 2 3 4 5' \
  99999999999999999999,1,1,1,1; do
  bench 2 --shape "$s"; says err 'five whole numbers'
done
bench 2 --shape 1,2,0,4,5; says err 'expected S from 1 to .*, got 0'
bench 2 --shape 1,-2,3,4,5; says err 'expected T from 1 to .*, got -2'
bench 2 --shape 1,2,3,4,9999999999; says err 'expected D from 1'
bench 2 --shape 1000,1000000,1000000,64,128; says err 'fits .* GiB of memory, got 1000,1000000,1000000,64,128,'
bench 2 --shape 1,9999999,9999999,1,1 --bias; says err 'fits .* GiB of memory'
m=2147483647; bench 2 --shape $m,$m,$m,$m,$m; says err 'fits .* GiB of memory'
bench 2 --shape 1,2,3,4,5 --groups 3; says err 'divides the 4 heads, got 3'
bench 2 --shape 1,2,3,4,5 --groups 8; says err 'divides the 4 heads, got 8'
bench 2 --shape 1,2,3,4,5 --groups 0; says err "from 1 to .*, got '0'"
bench 2 --shape 1,2,3,4,5 --dropout 1; says err 'less than 1, got 1'
bench 2 --shape 1,2,3,4,5 --dropout 0.2x; says err "expected a number from 0 to 1, got '0.2x'"
bench 2 --shape 1,2,3,4,5 --dropout nan
bench 2 --shape 1,2,3,4,5 --top-k 65; says err 'from 0 to 64'
bench 2 --shape 1,2,3,4,5 --runs 0; bench 2 --shape 1,2,3,4,5 --window -1; bench 2 --shape 1,2,3,4,5 --threads 1025
bench 2 --shape 1,2,3,4,5 --out nosuch/r.safetensors
bench 2 --out r; says err 'expected with --shape'
bench 2 image-classify; says err "got also 'image-classify'"
bench 2 --epochs 3; says err "option --epochs .*: expected with 'recipe', got it with 'attention'"
bench 2 --shpae 1,2,3,4,5; says err "did you mean '--shape'"
expect 2 bench recipe image-classify --causal; says err "expected with 'attention', got it with 'recipe'"
expect 2 bench recipe; says err 'expected one recipe, got none'
expect 2 bench attenton; says err "did you mean 'attention'|expected one of"
expect 0 bench attention --help; says out "^options of 'attention'"; says out '^ +--backward'
expect 0 bench recipe image-classify --help; says out '^  width '
finish
