#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2086
# recommend: networks on made-up ratings and on a CSV of one's own; what a user will like and why, refusals.
. "$(dirname "$0")/lib.sh"
small='--data tastes --threads 2 --steps 40 --set width=8 --set hidden=16'

for net in din mean afm; do
  expect 0 train recommend --preset $net $small --json --out $net
  keys metrics.auc metrics.gauc metrics.validation_auc weights_sha256; is "$(value step_allocations)" 0 "$net: allocations"
  peak=$(value peak_bytes)
  expect 0 plan recommend --preset $net $small --json; is "$(value bytes_total)" "$peak" "$net: planned bytes"
done
expect 0 train recommend --preset sum $small --set rows_decay=1 --quiet --out sum
expect 0 eval din mean; says out '^  model +auc +gauc +loss'
expect 0 eval din --split validation --json; keys metrics.auc samples

expect 0 predict din user:200; says out '^user 200, from the last [0-9]+ ratings$'; says out '^ +[0-9.]+ %  thing [0-9]+  from thing [0-9]+ \((liked|not liked|neither)\), '
is "$(grep -c '%' out)" 3 'items ranked'
expect 0 predict din user:200 --top 7 --json; keys predictions
expect 0 predict afm test:3 --json; keys predictions
expect 2 predict din user:nobody; says err 'nobody'
expect 2 predict din test:100000; expect 2 predict din nothere.csv

# somebody whom the model has never met, with a thing that it does not know either
printf 'user,item,rating,time,town\nme,thing 1,5,1,south\nme,thing 2,1,2,south\nme,thing x,5,3,abroad\n' >me.csv
expect 0 predict din me.csv; says out '^user me, from the last 3 ratings'; says out 'an item that the model does not know'
sed 's/,town//; s/,south//; s/,abroad//' me.csv >short.csv; expect 2 predict din short.csv; says err "'?town'?|columns"

for net in din mean afm; do
  expect 0 explain $net test:5 --json; keys method
  expect 0 explain $net test:5 --out why.json; exists why.json
done
expect 0 explain din test:5 --json; keys method item label probability history; is "$(value method)" attention 'din explained by'
expect 0 explain mean test:5 --json; is "$(value method)" effect 'mean explained by'
expect 0 explain afm --samples 20 --json; keys method pairs
expect 0 explain din test:5; says out '^thing [0-9]+ \((liked|not liked|neither)\) +-?[0-9.]+ '
expect 0 explain din test:5 --faithfulness --samples 20 --json
keys faithfulness.samples faithfulness.change_attention faithfulness.change_effect faithfulness.change_random
if ldconfig -p 2>/dev/null | grep -q libcairo.so.2; then
  for out in why.png why.html; do expect 0 explain din test:5 --faithfulness --samples 9 --out $out; exists $out; done
  is "$(head -c 4 why.png | od -An -tx1 | tr -d ' ')" 89504e47 'why.png'
else
  skip 'pictures: no cairo here'
fi
expect 2 explain mean test:5 --method attention; expect 2 explain din test:5 --method nosuch; expect 2 explain din me.csv

# a CSV of one's own
awk 'BEGIN { print "user_id,movie,score,date,device,genre,title"
  for (i = 0; i < 1500; i++) { u = (i * 7 + int(i / 11)) % 40; m = (i * 13 + int(i / 17)) % 30
    printf "u%d,m%d,%d,2024-01-%02d %02d:%02d:%02d,%s,%s,Film %d\n", u, m, (u % 3 == m % 3) ? 5 : 1, 1 + int(i / 100), int(i / 10) % 24, i % 60, int(i / 3) % 60, \
      i % 2 ? "phone" : "desk", (m % 3) ? "War|Love" : "Opera", m } }' >own.csv
expect 0 train recommend --data own.csv --threads 2 --steps 40 --batch 64 --json --out own; keys metrics.auc
expect 0 predict own user:u3; says out 'Film [0-9]+'
expect 0 train recommend --data own.csv --set like=5 --set dislike=4 --steps 4 --batch 64 --quiet --out own2

# what is wrong with a file is told with its line
sed '7s/,[0-9]*,2024/,much,2024/' own.csv >rating.csv; sed '8s/2024-01/soon/' own.csv >time.csv; sed '9s/$/,1/' own.csv >ragged.csv
for f in rating time ragged; do expect 1 train recommend --data $f.csv --out x; says err "$f.csv:[789]"; done
sed 's/score/opinion/' own.csv >nameless.csv; expect 2 train recommend --data nameless.csv --out x; says err 'rating'
expect 2 train recommend --data digits --out x; says err 'ratings'
expect 2 train image-classify --data tastes --out x
expect 2 train recommend --data tastes --set like=2 --set dislike=3 --out x; says err 'dislike'
expect 2 eval din --data digits; expect 2 eval din --data own.csv
finish
