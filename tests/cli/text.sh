#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2086
# texts: training on tables of one's own, predicting lines, folds and seeds, and what is refused.
. "$(dirname "$0")/lib.sh"

i=0
printf 'kind,body\n' >mine.csv
while [ $i -lt 60 ]; do
  printf 'fruit,"a ripe apple, number %s"\ntool,a rusty hammer and %s nails\n' $i $i
  i=$((i + 1))
done >>mine.csv
small='width=8 hidden=4 pool=4 epochs=4 batch=16 lr=0.02 validation=0'

# several settings behind one --set; the model file alone is enough
expect 0 train text-classify --data mine.csv --set text=body label=kind $small --out run --json
keys recipe dataset metrics weights_sha256; is "$(value step_allocations)" 0 'allocations'
expect 0 eval run/model.safetensors --json; says out '"accuracy": 1'
printf 'an apple\na hammer\n\nzebras\n' | "$fovea" predict run - >out; is "$(wc -l <out)" 4 'a line for each text'
says out '^an apple  fruit'; says out '^a hammer  tool'
expect 0 predict run 'text:two rusty nails' --json; says out '"label":"tool"'; says out '"text":"two rusty nails"'
printf 'a ripe one\nnails\n' >lines.txt
expect 0 predict run lines.txt; says out '^a ripe one  fruit'; is "$(wc -l <out)" 2 'lines of a file'
expect 0 predict run test:0
expect 2 predict run test:1000; says err 'expected a number from 0 to'

# columns by their usual names; none of these is no table of texts
sed 's/kind,body/label,text/' mine.csv >usual.csv
expect 0 train text-classify --data usual.csv --set $small epochs=1 --out usual --json; is "$(value steps)" 6 'usual names'
expect 1 train text-classify --data mine.csv --out no; says err 'mine.csv, line 2): .*text=COLUMN'

# folds are all rows once; seeds differ; a finished series is not done again
expect 0 train text-classify --data mine.csv --set text=body label=kind $small --folds --out folds --json
is "$(value runs)" 5 'folds'; [ -f folds/fold-4/model.safetensors ] && ok || bad 'the last fold has no model'
expect 0 train text-classify --data verdicts --set $small --steps 3 --seeds 2 --out seeds --json
is "$(value over)" seeds 'over'; [ -d seeds/seed-1 ] && ok || bad 'the second seed has no directory'
expect 2 train text-classify --data verdicts --folds --out no; says err 'without a test part'

# JSON lines; broken rows with file and line, or left out
printf '{"text": "a b", "label": "x"}\n{"text": "c d", "label": "y"}\n{"text": 3}\n' >t.jsonl
for n in 1 2 3 4 5 6; do printf '{"text": "a %s", "label": "x"}\n{"text": "c %s", "label": "y"}\n' $n $n; done >>t.jsonl
expect 1 train text-classify --data t.jsonl --set $small --out no; says err 't.jsonl:3'
expect 0 train text-classify --data t.jsonl --set $small batch=4 skip_bad=true --out jsonl --json
is "$(value skipped_rows)" 1 'rows left out'
expect 2 train text-classify --data mine.csv --set text=words label=kind --out no; says err "'words'"
expect 2 train text-classify --data digits --out no; says err 'expected a dataset of texts'
expect 2 train image-classify --data verdicts --out no; says err 'expected a dataset of images'

# as many scales as the setting takes
expect 0 plan text-classify-multiscale --data verdicts --preset tiny --set phrases=3,5,7,9,11,13,15,3
[ -e no ] && bad 'a refused request left a directory' || ok
finish
