#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# train and eval: a run directory, its result, resuming, refusals, disks that are full or closed.
. "$(dirname "$0")/lib.sh"
small='--preset tiny --data digits --batch 32 --threads 2'

# shellcheck disable=SC2086
train() { code=$1; shift; expect "$code" train image-classify $small "$@"; }

train 0 --steps 40; says out 'accuracy'; says out 'weights SHA-256'; says out '^epoch 1/'
run=runs/image-classify-digits
exists $run/model.safetensors $run/metrics.jsonl $run/config.json $run/events.out.tfevents*
[ -d $run/checkpoint ] && ok || bad 'no checkpoint directory'
if ldconfig -p 2>/dev/null | grep -q libcairo.so.2; then exists $run/curves.png; else skip 'curves.png: no cairo here'; fi
"$json" <$run/config.json >/dev/null && ok || bad config.json
while read -r line; do echo "$line" | "$json" epoch step loss >/dev/null && ok || bad metrics.jsonl; done <$run/metrics.jsonl

train 0 --steps 40 --json --out a
keys recipe dataset metrics.accuracy epochs seconds samples_per_second parameters peak_bytes weights_sha256
sha=$(value weights_sha256) peak=$(value peak_bytes) parameters=$(value parameters)
train 0 --steps 40 --quiet --out b; silent out

# the plan was right
# shellcheck disable=SC2086
expect 0 plan image-classify $small --steps 40 --json
is "$(value bytes_total)" "$peak" 'bytes: planned and used'
is "$(value parameters)" "$parameters" 'parameters: planned and used'

# the same bits at any number of threads
for t in 1 3 7; do
  train 0 --steps 40 --json --out t$t --threads $t
  is "$(value weights_sha256)" "$sha" "weights at $t threads"
done

# resume: a finished run is reported and left alone; other settings are refused and named; no run there: from the start
before=$(cksum <a/model.safetensors)
train 0 --steps 40 --json --out a --resume; is "$(value weights_sha256)" "$sha" 'a finished run, resumed'
is "$(cksum <a/model.safetensors)" "$before" 'a finished run, resumed: its model'
train 2 --steps 40 --out a --resume --lr 0.1; says err 'lr'
train 0 --steps 40 --json --out new --resume; is "$(value weights_sha256)" "$sha" 'resumed from nothing'
# an earlier run is moved aside, not written over
train 0 --steps 41 --out a; [ -d a.1 ] && ok || bad 'the earlier run is gone'
is "$(cksum <a.1/model.safetensors)" "$before" 'the run moved aside'

# killed at any moment and resumed: the same weights
kills=${FOVEA_TEST_KILLS:-2} tries=0 k=0
rm -rf killed
while [ "$k" -lt "$kills" ] && [ $tries -lt 60 ]; do
  tries=$((tries + 1))
  # shellcheck disable=SC2086
  "$fovea" train image-classify $small --steps 40 --set save_every=3 --out killed --resume --quiet >/dev/null 2>&1 &
  pid=$!
  sleep "0.$(awk -v s="$tries$$" 'BEGIN { srand(s); printf "%03d", 20 + rand() * 150 }')"
  if kill -9 $pid 2>/dev/null; then k=$((k + 1)); fi
  wait $pid 2>/dev/null
done
[ "$k" -gt 0 ] && ok || skip 'no run lasted long enough to be killed'
train 0 --steps 40 --set save_every=3 --json --out killed --resume
is "$(value weights_sha256)" "$sha" "weights after $k kills"

# interrupted: saved, exit 1, goes on
# shellcheck disable=SC2086
"$fovea" train image-classify $small --epochs 200 --out stopped --quiet >out 2>err &
pid=$!
sleep 1
kill -INT $pid; wait $pid
is $? 1 'interrupted'; says err 'resume'; says err '^fovea: error: '
ls stopped/checkpoint/* >/dev/null 2>&1 && ok || bad 'interrupted: no checkpoint'

# damaged checkpoints are passed over or refused, never believed
for f in stopped/checkpoint/step-*; do head -c 100 "$f" >part && cat part >"$f"; done
train 1 --epochs 200 --out stopped --resume

# a loss that explodes ends the run with a clear line
train 1 --steps 60 --lr 100 --set optimizer=sgd --set schedule=constant --set warmup=0 --out boom
says err 'finite|lr'

# eval
expect 0 eval a; says out 'accuracy +[0-9.]+ %'
expect 0 eval a/model.safetensors --json; keys metrics.accuracy samples
expect 0 eval a --split train --json
expect 2 eval a --data fashion-mnits; expect 2 eval a --data cluttered-digits
mkdir empty; expect 2 eval empty
for n in 0 4 8 100 5000; do head -c $n a/model.safetensors >cut.safetensors; expect 1 eval cut.safetensors; done
echo '{"a":1}' >x.safetensors; expect 1 eval x.safetensors
expect 1 train image-classify --memory 1M --preset tiny --data digits --out m; says err 'memory|bytes'

# places that cannot be written
echo file >file
train 2 --steps 5 --out file/run
tmpfs() { # OPTIONS SCRIPT: in a mount namespace of its own
  mkdir -p disk
  unshare -rm sh -c "mount -t tmpfs -o $1 none '$work/disk' && cd '$work' && $2"
}
if unshare -rm sh -c "mkdir -p '$work/disk' && mount -t tmpfs none '$work/disk'" 2>/dev/null; then
  tmpfs size=100k "'$fovea' train image-classify $small --steps 40 --out disk/run >out 2>err; echo \$? >code; find disk -type f >left"
  is "$(cat code)" 1 'a full disk'; is "$(wc -l <err)" 1 'a full disk: lines of error'; says err '^fovea: error: '
  grep -q 'model.safetensors' left && bad 'a full disk: half a model' || ok
  tmpfs ro "'$fovea' train image-classify $small --steps 5 --out disk/run >out 2>err; echo \$? >code"
  is "$(cat code)" 1 'a read-only disk'; says err '^fovea: error: '
else
  skip 'full and read-only disks: no mount namespaces here'
fi
finish
