#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2086
# forecast: three networks on a made-up series and on a CSV of one's own, side by side; predictions, explanations, refusals.
. "$(dirname "$0")/lib.sh"
small='--data waves --threads 2 --steps 60 --set past=24 --set horizon=6'

for net in dlinear patchtst darnn; do
  expect 0 train forecast --preset $net $small --set hidden=8 --json --out $net
  keys metrics.mse metrics.mae metrics.validation_mse weights_sha256; is "$(value test_samples)" 395 "$net: all windows"
  peak=$(value peak_bytes)
  expect 0 plan forecast --preset $net $small --set hidden=8 --json; is "$(value bytes_total)" "$peak" "$net: planned bytes"
done
expect 0 train forecast --preset dlinear $small --epochs 12 --steps 0; says out 'mse'; says out 'best epoch'
expect 0 eval dlinear patchtst darnn; says out '^  model +mse +mae +loss'; says out '^  patchtst +[0-9]'
expect 0 eval dlinear patchtst darnn --json; keys models
expect 0 eval dlinear --split validation --json; keys metrics.mse samples; is "$(value samples)" 195 'windows for validation'
expect 0 plan forecast --data ettm1 --json # its file need not be here

expect 0 predict darnn test:0; says out '^ +row +tide +echo +level +noise$'; is "$(grep -c '^ *[1-6]  ' out)" 6 'rows forecast'
expect 0 predict darnn test:0 --json; keys predictions
expect 2 predict darnn test:395; expect 2 predict darnn nothere.csv

# a CSV of one's own: what training saw of it comes back in its units
awk 'BEGIN { print "when,place,load,heat"
  for (i = 0; i < 300; i++) printf "2024-%02d-%02d %02d:00,here,%.3f,%.3f\n", 1 + int(i / 480), 1 + int(i / 24), i % 24, 500 + 100 * sin(i / 4), 20 + i / 100 }' >own.csv
expect 0 train forecast --preset dlinear --data own.csv --steps 60 --set past=24 --set horizon=4 --quiet --out own
expect 0 predict own own.csv; says out '^ +row +load +heat$'; says out '^ +1 +[4-6][0-9][0-9]'
head -10 own.csv >short.csv; expect 2 predict own short.csv; says err 'at least the 24 rows'
sed 's/heat/cold/' own.csv >renamed.csv; expect 2 predict own renamed.csv; says err "column 'heat'"
expect 2 eval own --data waves; says err "column|channels"

# what is wrong with a file is told with its line
sed '7s/,[^,]*$/,/' own.csv >gap.csv; sed '9s/$/,1/' own.csv >ragged.csv
awk 'NR == 5 { line = $0; next } { print } NR == 6 { print line }' own.csv >order.csv
sed 1d own.csv | cut -d, -f3- >nameless.csv; cut -d, -f1,2 own.csv >words.csv
for f in gap ragged order; do expect 1 train forecast --data $f.csv --set past=24 --set horizon=4 --out x; says err "$f.csv:[0-9]+"; done
for f in nameless words; do expect 2 train forecast --data $f.csv --set past=24 --set horizon=4 --out x; done
expect 2 train forecast --preset dlinear --data own.csv --set past=300 --set horizon=4 --out x; says err 'past \+ horizon'
expect 2 train forecast --data waves --set past=23 --out x; says err 'stride'
expect 2 train forecast --data digits --out x; says err 'series'
expect 2 train image-classify --data waves --out x

for net in dlinear patchtst darnn; do
  expect 0 explain $net test:5 --json; keys method channel past forecast truth rows
  expect 0 explain $net test:5 --out look.json; exists look.json
done
expect 0 explain darnn test:5 --json; keys rows_channels channels; is "$(value method)" attention 'darnn explained by'
expect 0 explain dlinear --json; is "$(value method)" input-gradient 'dlinear explained by'
expect 0 explain own own.csv --json; keys method past forecast rows
if ldconfig -p 2>/dev/null | grep -q libcairo.so.2; then
  for out in look.png look.html; do expect 0 explain patchtst test:5 --out $out; exists $out; done
  is "$(head -c 4 look.png | od -An -tx1 | tr -d ' ')" 89504e47 'look.png'
else
  skip 'plots: no cairo here'
fi
expect 2 explain dlinear test:5 --method attention; expect 2 explain patchtst test:5 --method nosuch
expect 2 explain patchtst test:x; expect 2 explain own other.csv

# whether the rows that are shown count: figures beside those of a random order, the same at any number of threads
for net in dlinear patchtst darnn; do
  expect 0 explain $net test:5 --faithfulness --samples 5 --json --threads 1
  for key in deletion_auc insertion_auc comprehensiveness sufficiency error_without error_alone; do
    keys faithfulness.$key faithfulness.${key}_random faithfulness.${key}_gradient
  done
  is "$(value faithfulness.samples)" 5 "$net: windows measured"; cp out one
  expect 0 explain $net test:5 --faithfulness --samples 5 --json --threads 3; is "$(cat out)" "$(cat one)" "$net: threads"
done
expect 0 explain patchtst --faithfulness --samples 3; says out 'attention over the last 24 rows'; says out 'comprehensiveness random'
expect 0 explain own own.csv --faithfulness --samples 3 --out why.json --json; says why.json '"orders"'
finish
