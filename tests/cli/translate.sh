#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2086
# translate: training on pairs, translations of lines, how to write, alignments, and what is refused.
. "$(dirname "$0")/lib.sh"
small='width=16 hidden=24 layers=1 heads=2'

expect 0 train translate --data number-words --set $small --steps 300 --out m --json
keys recipe metrics.bleu metrics.perplexity metrics.token_accuracy; is "$(value step_allocations)" 0 'allocations'
expect 0 eval m --json; keys metrics.bleu metrics.perplexity
printf 'two hundred\n\nsix\n' | "$fovea" predict m - >out 2>err
is $? 0 'predict -'; is "$(wc -l <out)" 3 'a line for each line'; silent err
expect 0 predict m 'text:twenty one' --json --tokens; says out '"translation":'; says out '"alignment":'; says out '"tokens":'
expect 0 predict m test:0 --set beam=1; cp out greedy
expect 0 predict m test:0 --set beam=1 --threads 1; is "$(cat out)" "$(cat greedy)" 'threads'
expect 0 predict m test:0 --set sample=true top_k=5 seed=3; cp out drawn
expect 0 predict m test:0 --set sample=true top_k=5 seed=3; is "$(cat out)" "$(cat drawn)" 'the same seed'
# the score of what it wrote is that with which it wrote it
score() { sed -n 's/.*"score": \([-0-9.]*\).*/\1/p' out | cut -c 1-7; }
expect 0 predict m 'text:twenty one' --set beam=1; said=$(cat out)
expect 0 predict m 'text:twenty one' --set beam=1 --json; wrote=$(score)
expect 0 predict m 'text:twenty one' --target "text:$said" --json; is "$(score)" "$wrote" 'the score of what it wrote'
expect 0 predict m 'text:twenty one' --target 'text:2 1' --json --tokens --top 2; says out '"log_probabilities":'; says out '"top":'
expect 0 predict m 'text:twenty one' --target 'text:2 1'; says out '^ *-[0-9.]+  2 1$'
expect 2 predict m test:0 --target text:1; expect 2 predict m - --target text:1
printf 'six\nten\n' >in; printf '6\n' >short; expect 2 predict m in --target short; says err 'as many lines'
expect 2 predict m test:0 --set beam=0; expect 2 predict m test:0 --set bream=2; expect 2 predict m test:100000
expect 0 explain m 'text:forty two' --out a.png; is "$(head -c 4 a.png | od -An -tx1 | tr -d ' ')" 89504e47 'a.png'
expect 0 explain m test:1 --out a.json --json; keys translation; exists a.json
expect 2 explain m test:1 --out a.html; expect 2 explain m test:1 --faithfulness

# two files of one's own
for i in 1 2 3 4 5 6 7 8; do echo "der Hund $i"; echo "die Katze $i"; done >train.de
for i in 1 2 3 4 5 6 7 8; do echo "the dog $i"; echo "the cat $i"; done >train.en
head -n 4 train.de >test.de; head -n 4 train.en >test.en
expect 0 train translate --data ./train.de,./train.en --set $small cell=gru batch=4 validation=0.2 --steps 4 --out own --json
is "$(value test_samples)" 4 'the test part beside'
echo one more >>train.en; expect 1 train translate --data ./train.de,./train.en --set $small batch=4 --steps 1 --out bad
expect 2 train translate --data verdicts --set $small --steps 1 --out bad; says err 'pairs of texts'
expect 2 train translate --data number-words --set width=10 heads=4 --steps 1 --out bad; says err 'divisor'
finish
