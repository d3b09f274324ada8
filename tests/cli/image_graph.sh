#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2086
# image-graph-classify: superpixels of images, the cache they are kept in, pictures of one's own, refusals.
. "$(dirname "$0")/lib.sh"
small='--data digits --epochs 3 --set superpixels=30 --set widths=8,8'

expect 0 train image-graph-classify $small --threads 2 --out first; says out 'superpixels: images cut in'
expect 0 train image-graph-classify $small --threads 1 --json --out again
keys metrics.accuracy metrics.validation_accuracy weights_sha256
weights=$(value weights_sha256) peak=$(value peak_bytes)
expect 0 plan image-graph-classify $small --threads 1 --json; is "$(value bytes_total)" "$peak" 'planned bytes'

# made once; made anew where it is damaged; the same graphs in any case
is "$(find cache/superpixels -type f | wc -l)" 1 'files in the cache'
for f in cache/superpixels/*; do printf 'x' | dd of="$f" bs=1 seek=5000 conv=notrunc 2>/dev/null; done
expect 0 train image-graph-classify $small --threads 1 --out anew; says out 'superpixels: images cut in'
expect 0 train image-graph-classify $small --threads 1 --json --out kept; is "$(value weights_sha256)" "$weights" 'weights'
rm -r cache/superpixels; mkdir -p cache; : >cache/superpixels
expect 0 train image-graph-classify $small --threads 2 --json --out nowhere; is "$(value weights_sha256)" "$weights" 'weights'
rm cache/superpixels

expect 0 eval first --json; keys metrics.accuracy
expect 0 predict first test:3; says out '^test:3  [0-9] [0-9.]+ %'
expect 0 explain first test:3; says out '^test:3: [0-9] \([0-9.]+\), is [0-9]; [0-9]+ nodes'
expect 0 explain first test:3 --faithfulness --samples 20 --json
keys nodes label truth faithfulness.top.accuracy faithfulness.random.probability
for out in look.png look.html look.json look.dot; do expect 0 explain first test:3 --out $out; exists $out; done
says look.json '"segments": \[\[0, '; says look.html '<img'
expect 0 predict first look.png; says out '^look.png  [0-9] [0-9.]+ %'
expect 0 explain first look.png --out own.png --json; keys input label nodes; exists own.png
expect 0 explain first look.png --faithfulness --samples 5 --out own.html; exists own.html
expect 2 predict first nothing.png; expect 2 predict first test:359; expect 2 explain first node:3

# any recipe of graphs sees images so; none of images does
expect 0 train graph-classify --data digits --epochs 1 --set superpixels=12 --quiet --out plain; expect 0 predict plain look.png
expect 0 train image-graph-classify --data motifs --set superpixels=0 --epochs 1 --quiet --out motifs
expect 2 train image-graph-classify --data motifs --out x; says err 'expected images'
expect 2 train image-graph-classify --data digits --set superpixels=0 --out x; says err 'graphs'
expect 2 train image-classify --data digits --set superpixels=12 --out x; says err 'images'
expect 2 train image-graph-classify --data digits --set superpixels=300 --out x; says err 'superpixels'
finish
