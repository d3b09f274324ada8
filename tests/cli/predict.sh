#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# predict and explain on a model trained here for a moment.
. "$(dirname "$0")/lib.sh"
expect 0 train image-classify --preset tiny --data cluttered-digits --steps 12 --batch 32 --quiet --out m

expect 0 predict m test:0; says out '^test:0  [0-9] [0-9.]+ %'
expect 0 predict m test:0 test:1 --top 2 --json; keys predictions; is "$(value predictions)" 2 predictions
printf 'test:3\ntest:4\n\ntest:5\n' | "$fovea" predict m - >out 2>err
is $? 0 'predict -'; is "$(wc -l <out)" 3 'predict -: lines'; silent err
printf 'test:3\nnothere.png\n' | "$fovea" predict m - >out 2>err
is $? 2 'predict - with a missing file'; is "$(wc -l <err)" 1 'predict -: lines of error'
expect 2 predict m test:999999; expect 2 predict m test:x; expect 2 predict m nothere.png
expect 2 predict m .
: >empty.png; expect 1 predict m empty.png
head -c 300 /dev/urandom >noise.png; expect 1 predict m noise.png
printf '\211PNG\r\n\032\n' >cut.png; expect 1 predict m cut.png
printf '\377\330\377' >cut.jpg; expect 1 predict m cut.jpg
printf '\223NUMPY\001' >cut.npy; expect 1 predict m cut.npy

for out in look.png look.html look.json; do
  expect 0 explain m test:0 --out $out; exists $out
done
"$json" <look.json >/dev/null 2>&1 && ok || bad look.json
says look.html '<html|<!DOCTYPE|<!doctype'
is "$(head -c 4 look.png | od -An -tx1 | tr -d ' ')" 89504e47 'look.png'
expect 0 predict m look.png # any picture: it is resized
expect 0 explain m test:0 --json; keys method maps
expect 0 explain m --samples 20 --faithfulness --json
keys faithfulness.deletion_auc faithfulness.deletion_auc_random faithfulness.insertion_auc faithfulness.pointing_game \
  faithfulness.samples
expect 0 explain m test:0 --quiet --out q.png; silent out
expect 2 explain m test:0 --method nosuch
expect 2 explain m nothere.png --out n.png; [ -e n.png ] && bad 'n.png was written' || ok
expect 2 explain m test:0 --out nothere/x.png

# texts
expect 0 train sentiment --preset tiny --data verdicts --steps 12 --batch 32 --quiet --out t
expect 0 explain t 'text:the food was not bad'; says out 'food\([0-9.]+\) was\('
printf 'the film was dull\nthe bed was lovely\n' | "$fovea" explain t - --json >out 2>err
is $? 0 'explain -'; is "$(value texts)" 2 'explain -: texts'; silent err
for out in words.png words.html words.json; do
  expect 0 explain t test:0 --out $out; exists $out
done
"$json" <words.json >/dev/null 2>&1 && ok || bad words.json
says words.html 'class="words"'
expect 0 explain t --samples 10 --faithfulness --json
keys faithfulness.comprehensiveness faithfulness.comprehensiveness_random faithfulness.comprehensiveness_gradient \
  faithfulness.sufficiency faithfulness.samples texts maps
expect 2 explain t nothere.txt; expect 2 explain t test:500; expect 2 explain t 'text:good' --method rollout
printf 'food 1 2 3 4\nfilm 1 2 3\n' >ragged.txt
expect 1 train sentiment --preset tiny --data verdicts --set width=4 --set vectors=ragged.txt --steps 1 --quiet --out v
says err 'ragged.txt:2'; [ -e v/model.safetensors ] && bad 'v was written' || ok
printf '2 4\nfood 1 2 3 4\nfilm 1 2 3 -4e-1\n' >vectors.txt
expect 0 train sentiment --preset tiny --data verdicts --set width=4 --set vectors=vectors.txt --steps 1 --json --out v
is "$(value vectors_found)" 2 vectors_found
printf 'food 1 2 3 4\nquokka 1 2 3 4\nwombat 4 3 2 1\n' >words.txt
set -- train sentiment --preset tiny --data verdicts --set width=4 --set vectors=words.txt --steps 1 --json
expect 0 "$@" --out v; is "$(value vectors_found)" 3 'words that no text has'
expect 0 explain v 'text:a wombat sings' --json; says out '"wombat"'
expect 0 "$@" --set vectors_words=2 --out v; is "$(value vectors_found)" 2 vectors_words
expect 2 train sentiment --preset tiny --data verdicts --set vectors=vectors.txt --steps 1 --quiet --out v2
finish
