#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2086
# few-shot: episodes of made-up characters and of a folder of one's own; other ways and shots with the same model;
# refusals.
. "$(dirname "$0")/lib.sh"
small='--data strokes --threads 2 --steps 40 --set ways=3 queries=2 channels=8 lr=0.005 validation=0.2'

for net in matching simple; do
  expect 0 train few-shot --preset $net $small --json --out $net
  keys metrics.accuracy metrics.accuracy_interval metrics.validation_accuracy weights_sha256
  is "$(value step_allocations)" 0 "$net: allocations"
  peak=$(value peak_bytes)
  expect 0 plan few-shot --preset $net $small --json; is "$(value bytes_total)" "$peak" "$net: planned bytes"
done
expect 0 eval matching; says out '^  accuracy interval +[0-9.]+ %'
expect 0 eval matching simple; says out '^  model +accuracy +accuracy_interval +loss'

# the same model on other episodes; --set takes nothing but what makes these
expect 0 eval matching --json; three=$(value metrics.accuracy); is "$(value samples)" 100 'test episodes'
expect 0 eval matching --set ways=20 --json; twenty=$(value metrics.accuracy)
expect 0 eval matching --set ways=20 shots=5 --split validation --json; keys metrics.accuracy_interval
if awk "BEGIN { exit !($three > $twenty) }"; then ok; else bad "of 3 and of 20 classes: $three, $twenty"; fi
expect 2 eval matching --set ways=31; says err 'of its 120 classes'
expect 2 eval matching --set lr=1; says err 'ways, shots or queries'
expect 2 eval matching --data digits; says err 'episodes'

# an episode of the test part: an answer for each query
expect 0 predict matching test:3; says out 'test:3'; is "$(grep -c . out)" 6 'answers'
expect 0 predict matching test:3 --json; keys predictions
expect 2 predict matching test:100; says err 'from 0 to 99'

# the same weights at one thread
expect 0 train few-shot $small --json --out whole; sha=$(value weights_sha256)
expect 0 train few-shot $small --threads 1 --json --out whole2; is "$(value weights_sha256)" "$sha" 'one thread'

# pictures changed by chance: other weights, at any number of threads the same
expect 0 train few-shot $small --set shift=1 rotate=10 zoom=0.1 --json --out moved; moved=$(value weights_sha256)
if [ "$moved" = "$sha" ]; then bad 'shift, rotate and zoom did nothing'; else ok; fi
expect 0 train few-shot $small --set shift=1 rotate=10 zoom=0.1 --threads 1 --json --out moved1
is "$(value weights_sha256)" "$moved" 'changed by chance, one thread'
expect 2 train text-classify --data verdicts --set flip=true --out r; says err 'expected data of images'

# a folder of one's own, of pictures of all sizes and kinds
mkdir own
for c in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  mkdir own/c$c
  for f in good-bit.png good-rgb.jpg good-16bit.png; do cp "$here/../fuzz/corpus/image/$f" own/c$c; done
done
expect 2 train few-shot --data own --set ways=4 queries=1 --out x; says err '4 or more of its 15 classes'
expect 2 train few-shot --data own --set ways=3 shots=3 queries=1 --out x; says err '4 pictures or more'
expect 2 train few-shot --data own@12x12 --set ways=3 queries=2 --out x; says err 'at least 16x16'
expect 0 train few-shot --data own@20x24 --steps 4 --set ways=3 queries=2 channels=4 batch=2 --json --out mine; keys metrics.accuracy
expect 0 eval matching --data own --json; keys metrics.accuracy
expect 2 eval mine --data strokes; says err '20,24'
echo 'no picture' >own/c7/good-bit.png; expect 1 train few-shot --data own --set ways=3 queries=2 --out x; says err 'own/c7/good-bit.png'
rm own/c7/*; expect 2 train few-shot --data own --set ways=3 queries=2 --out x; says err 'own/c7'
if [ -e x ]; then bad 'a refused run left files'; else ok; fi

expect 2 train few-shot --data digits --set ways=5 --out x; says err 'episodes'
expect 2 train few-shot --data strokes --set ways=1 --out x; says err 'at least 2'
expect 2 train image-classify --data strokes --out x; says err 'images'
finish
