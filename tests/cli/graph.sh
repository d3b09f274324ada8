#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2086
# node-classify, graph-classify: made-up graphs, tables of one's own, nodes and what they heard of, refusals.
. "$(dirname "$0")/lib.sh"
small='--data communities --threads 2 --epochs 60 --set width=4 --set heads=4'

for net in gat gatv2; do
  expect 0 train node-classify --preset $net $small --json --out $net
  keys metrics.accuracy metrics.validation_accuracy weights_sha256
  peak=$(value peak_bytes)
  expect 0 plan node-classify --preset $net $small --json; is "$(value bytes_total)" "$peak" "$net: planned bytes"
  expect 0 eval $net --json; keys metrics.accuracy
done
expect 0 predict gat node:7,11 test:0; says out '^7  [0-3] [0-9.]+ %'; is "$(wc -l <out)" 3 'nodes asked for'
printf '3\n200\n' >ids.txt; expect 0 predict gat ids.txt --json; keys predictions
printf 'node:3\nnode:200\n' >asked.txt; "$fovea" predict gat - <asked.txt >out; is "$(wc -l <out)" 2 'nodes on standard input'
for bad in node:240 node:-1 node:x test:120 node:1,,2; do expect 2 predict gat $bad; done

expect 0 explain gat node:7 --json; keys method node.label neighbours edges
expect 0 explain gat test:5 --faithfulness --samples 20 --json
keys faithfulness.accuracy faithfulness.top.accuracy faithfulness.bottom.accuracy faithfulness.random.probability
expect 0 explain gat node:7; says out 'own features'; says out '^  0\.[0-9]+  [0-9]+ <- [0-9]+'
for out in look.json look.dot; do expect 0 explain gat node:7 --out $out; exists $out; done
says look.dot '^digraph'; says look.dot '-> n0 '
if ldconfig -p 2>/dev/null | grep -q libcairo.so.2; then
  for out in look.png look.html; do expect 0 explain gat node:7 --out $out; exists $out; done
else
  skip 'pictures: no cairo here'
fi
expect 2 explain gat node:7 --out look.txt; expect 2 explain gat node:7 --method gradient

# nodes with drawn neighbours; the model is then asked of the whole graph
expect 0 train node-classify --preset sampled --data communities --set neighbours=4,3 --set batch=8 --epochs 5 --json --out drawn
is "$(value test_samples)" 120 'each node a sample'
expect 0 predict drawn node:7; expect 0 explain drawn node:7 --json; keys neighbours
expect 2 train node-classify --data communities --set neighbours=90,90 --out x; says err 'neighbours'

# tables of one's own
awk 'BEGIN { print "id,kind,split,tall,wide"; for (i = 0; i < 60; i++)
  printf "n%d,%s,%s,%.2f,%.2f\n", i, i % 2 ? "odd" : "even", i < 20 ? "train" : i < 40 ? "val" : "test", i % 2 + (i * 7 % 10) / 10, i % 5 }' >nodes.csv
awk 'BEGIN { print "from,to"; for (i = 0; i < 58; i++) printf "n%d,n%d\n", i, i + 2 }' >edges.csv
expect 0 train node-classify --data nodes.csv,edges.csv --set label=kind --epochs 60 --quiet --out own
expect 0 predict own node:n41; says out '^n41  (odd|even)'
expect 0 explain own node:n41 --json; keys edges
sed 's/n7,/n700,/' edges.csv >dangling.csv; sed '5s/^/-/' edges.csv >negative.csv; sed '9s/,.*//' edges.csv >ragged.csv
for f in dangling negative ragged; do
  expect 1 train node-classify --data nodes.csv,$f.csv --set label=kind --out x; says err "$f.csv:[0-9]+"
done
expect 0 train node-classify --data nodes.csv,dangling.csv --set label=kind --set skip_bad=true --epochs 5 --out y; says out 'left out'
sed '7s/,[0-9.]*$/,wide/' nodes.csv >words.csv
expect 1 train node-classify --data words.csv,edges.csv --set label=kind --out x; says err "words.csv:7: .*'wide'"
expect 2 train node-classify --data nodes.csv,edges.csv --out x; says err "column 'label'"
expect 2 train node-classify --data digits --out x; says err 'graphs'
expect 2 train node-classify --data motifs --out x; expect 2 train graph-classify --data communities --out x
expect 2 train node-classify --data communities --set batch=2 --out x; says err 'batch'

# many graphs
expect 0 train graph-classify --data motifs --epochs 3 --json --out many; keys metrics.accuracy
expect 0 predict many test:3; says out '^test:3  (plain|hub)'
expect 2 predict many node:3; expect 2 explain many node:3; expect 2 predict gat many
expect 0 explain many test:3 --faithfulness --samples 10 --json; keys nodes label truth faithfulness.top.accuracy
for out in some.json some.dot; do expect 0 explain many test:3 --out $out; exists $out; done
finish
