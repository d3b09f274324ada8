#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# list, plan, data: what is told without working.
. "$(dirname "$0")/lib.sh"

expect 0 list; says out '^recipes'; says out '^datasets'; says out '^mechanisms'
says out '^  image-classify'; says out '^  cluttered-digits'; says out '^  cbam'
expect 0 list --json; keys version recipes datasets mechanisms
expect 0 list recipes; says out '^image-classify$'
expect 0 list datasets; says out '^fashion-mnist$'

# The time is told, not judged: machines differ.
start=$(date +%s%N)
for _ in 1 2 3 4 5 6 7 8 9 10; do "$fovea" list >/dev/null; done
echo "list: $((($(date +%s%N) - start) / 10000)) us each"

expect 0 data list; says out 'digits +built in'
expect 0 data list --json; keys datasets
for d in $("$fovea" list datasets); do
  expect 0 data info "$d"; says out licence
  expect 0 data info "$d" --json; keys name licence files
done
expect 0 data get digits --json; keys dataset files ready
expect 0 data verify digits
expect 0 data verify --json; keys verified
expect 2 data list surplus

# a file that is not what it should be is refused, never used
mkdir -p mirror/mnist && echo wrong >mirror/mnist/train-images-idx3-ubyte.gz
FOVEA_DATA_MIRROR="$work/mirror"; export FOVEA_DATA_MIRROR
expect 1 data get mnist; says err 'train-images-idx3-ubyte.gz'
expect 1 data verify mnist
FOVEA_DATA_MIRROR="$work/nothere"
expect 2 data get mnist; says err 'FOVEA_DATA_MIRROR'
unset FOVEA_DATA_MIRROR

# plan: exact, and for every preset; a limit that is too small is an answer, not an error
for preset in tiny small vit-tiny; do
  expect 0 plan image-classify --preset $preset --json
  keys parameters flops_forward flops_step bytes_parameters bytes_activations bytes_total
  is "$(value fits)" true "plan of $preset"
done
expect 0 plan image-classify --memory 1M --json; is "$(value fits)" false 'plan with 1 MiB'
expect 0 plan image-classify --data mnist --json # its files need not be here
expect 0 plan image-classify; says out 'memory in all +[0-9.]+ MiB'; says out 'fits +yes'
expect 0 plan image-classify --preset tiny --dot graph.dot; says graph.dot '^digraph'
expect 2 plan image-classify --preset tiny --dot nothere/graph.dot
finish
