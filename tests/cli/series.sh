#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2086
# many runs of one request: side by side or one after the other, what each left is the same; stopped and resumed.
. "$(dirname "$0")/lib.sh"

small='text-classify --data verdicts --set width=8 hidden=4 pool=4 validation=0'
sha() { "$json" weights_sha256 <"$1/result.json"; }

expect 0 train $small --steps 6 --seeds 3 --threads 1 --out one --json
is "$(value together)" 1 'runs at once at one thread'
expect 0 train $small --steps 6 --seeds 3 --threads 3 --together 2 --out two
says out '^3 runs, 2 at a time with 1 thread each: '; says out '^seed-2 .*\([1-3] of 3\)$'; says out '\(3 of 3\)$'
for i in 0 1 2; do
  is "$(sha two/seed-$i)" "$(sha one/seed-$i)" "weights of seed $i"
  is "$("$json" step_allocations <two/seed-$i/result.json)" 0 "allocations of seed $i beside others"
done
[ "$(sha one/seed-0)" != "$(sha one/seed-1)" ] && ok || bad 'seeds do not differ'

# memory: what one takes and no more leaves no room for a second one beside it
bytes=$("$json" peak_bytes <one/seed-0/result.json)
expect 0 train $small --steps 6 --seeds 2 --threads 2 --out tight --json --memory $((2 * bytes - 1))
is "$(value together)" 1 'runs at once in memory for one'
expect 0 train $small --steps 6 --seeds 2 --threads 2 --out wide --json --memory $((2 * bytes))
is "$(value together)" 2 'runs at once in memory for two'; is "$(value peak_bytes)" $((2 * bytes)) 'memory of two'
expect 1 train $small --steps 6 --seeds 2 --threads 2 --out no --memory $((bytes / 2)); says err 'memory limit'

# a mistake is told once; the others are not begun
expect 2 train $small --steps 6 --seeds 9 --threads 2 --set batch=100000 --out no; says err 'batch'

# stopped: all that had begun is saved, and goes on to the same weights
"$fovea" train $small --steps 3000 --seeds 3 --threads 2 --out stopped --quiet >out 2>err &
pid=$!
sleep 1
kill -INT $pid 2>/dev/null
wait $pid
says err 'resume goes on'
expect 0 train $small --steps 3000 --seeds 3 --threads 2 --out stopped --resume --json
expect 0 train $small --steps 3000 --set seed=1 --threads 1 --out alone --json
is "$(sha stopped/seed-1)" "$(value weights_sha256)" 'weights of a series that was stopped'
finish
