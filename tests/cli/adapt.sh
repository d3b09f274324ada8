#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2086
# adapt: folders of pictures make classifiers of few-shot's models, which name classes and say what that rests on.
. "$(dirname "$0")/lib.sh"
small='--data strokes --threads 2 --steps 20 --set ways=3 queries=2 channels=8 validation=0'
pictures=$here/../fuzz/corpus/image

expect 0 train few-shot $small --json --out matching
expect 0 train few-shot --preset snail $small --json --out snail; keys metrics.accuracy_interval
is "$(value step_allocations)" 0 'snail: allocations'; peak=$(value peak_bytes)
expect 0 plan few-shot --preset snail $small --json; is "$(value bytes_total)" "$peak" 'snail: planned bytes'

# three classes, of one picture and of two
mkdir -p one/bit one/rgb 'one/six teen' && mkdir two && cp -r one/* two
for d in one two; do
  cp "$pictures/good-bit.png" $d/bit; cp "$pictures/good-rgb.jpg" $d/rgb; cp "$pictures/good-16bit.png" "$d/six teen"
done
cp "$pictures/good-rgb.jpg" two/bit/again.jpg
expect 0 adapt matching two --out own.safetensors; says out '^  bit +2$'; says out '^  pictures +4$'
expect 0 adapt matching two --out own.safetensors --json; is "$(value pictures)" 4 pictures; keys model 'classes.six teen'
expect 0 adapt matching/model.safetensors one --out own1.safetensors --quiet; silent out
expect 0 predict own.safetensors one/bit/good-bit.png one/rgb/good-rgb.jpg
says out '^one/bit/good-bit.png  (bit|rgb|six teen) [0-9.]+ %'; is "$(wc -l <out)" 2 'pictures answered'
expect 0 predict own.safetensors one/bit/good-bit.png --top 2 --json; keys predictions
printf 'one/bit/good-bit.png\none/rgb/good-rgb.jpg\n' >list; "$fovea" predict own.safetensors - <list >out
is "$(wc -l <out)" 2 'pictures on standard input'
expect 0 adapt snail one --out own2.safetensors; expect 0 predict own2.safetensors one/bit/good-bit.png
expect 0 adapt own.safetensors one --out own3.safetensors; expect 0 predict own3.safetensors one/bit/good-bit.png --json
"$fovea" predict own1.safetensors one/bit/good-bit.png --json >as; is "$(cat out)" "$(cat as)" 'adapted twice'

# episodes, too, are answered and explained
expect 0 predict matching test:3; says out '^test:3\[5\]  [0-2] [0-9.]+ %'
for m in matching snail; do
  expect 0 explain $m test:3 --json; keys method queries
  expect 0 explain $m --samples 3 --faithfulness --json
  keys faithfulness.change_attention faithfulness.change_effect faithfulness.change_random; is "$(value faithfulness.samples)" 18 queries
done
expect 0 explain own.safetensors one/rgb/good-rgb.jpg --faithfulness --json; keys queries faithfulness.change_random
expect 0 explain own.safetensors one/rgb/good-rgb.jpg --method effect
says out '^query: (bit|rgb|six teen) \([0-9.]+ %\)$'; says out '^two/|^bit/again.jpg +-?[0-9.]+'
expect 0 explain own.safetensors one/rgb/good-rgb.jpg --out why.json; exists why.json
if ldconfig -p 2>/dev/null | grep -q libcairo.so.2; then
  for out in why.png why.html; do expect 0 explain own.safetensors one/rgb/good-rgb.jpg --out $out; exists $out; done
  expect 0 explain snail test:1 --faithfulness --samples 2 --out all.html; exists all.html
else
  skip 'pictures: no cairo here'
fi
expect 2 explain own.safetensors one/rgb/good-rgb.jpg --out why.dot; expect 2 explain own.safetensors one/rgb/good-rgb.jpg --method rollout

# what cannot be is said, and nothing is written
expect 2 adapt snail two --out x; says err 'expected 3 classes and 1 of each'
expect 2 adapt matching nothere --out x; says err 'nothere'
mkdir few few/only none && cp -r one/* none && cp one/bit/* few/only
expect 2 adapt matching few --out x; says err 'at least 2 class folders'
rm none/rgb/*; expect 2 adapt matching none --out x; says err 'none/rgb'
echo 'no picture' >one/bit/words.png; expect 1 adapt matching one --out x; says err 'one/bit/words.png'
: >one/bit/words.png; expect 1 adapt matching one --out x; says err 'one/bit/words.png'
[ -e x ] && bad 'a refused request left a file' || ok
expect 2 adapt matching two; says err '\-\-out'
expect 2 predict matching one/rgb/good-rgb.jpg; says err 'fovea adapt'
expect 2 predict own.safetensors test:0; expect 2 eval own.safetensors; says err 'adapted'
expect 2 predict own.safetensors nothere.png; expect 1 predict own.safetensors one/bit/words.png
expect 2 eval snail --set ways=5; says err 'for which it was trained'
head -c 3000 own.safetensors >cut.safetensors; expect 1 predict cut.safetensors two/rgb/good-rgb.jpg
expect 0 train image-classify --preset tiny --data digits --steps 2 --quiet --out digits
expect 2 adapt digits two --out x; says err 'few-shot'

# a training that starts from another's weights
expect 0 train few-shot --preset snail $small --out again --set start=matching; says out '^start: [0-9]+ of [0-9]+'
expect 2 train few-shot --preset snail $small --out none2 --set start=digits; says err 'start'
finish
