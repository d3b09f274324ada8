#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# graph_edges.sh [FOVEA [THREADS]]: what a training step over a whole graph costs when its edges grow from 10^4 to 10^6, five a node. Graphs are drawn
# into tables that are removed afterwards: ends anywhere, so that nothing is near what it needs next. Memory is what `plan` announces, what a
# training run then took by its own account, and what the system saw of its process.
fovea=${1:-build/fovea} threads=${2:-1}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT || exit 1
number() { sed 's/.*"'"$1"'": *\([0-9.]*\).*/\1/'; }
printf '%8s  %8s  %10s  %12s  %10s  %10s  %12s\n' edges nodes 'step, ms' 'ns an edge' 'plan, MiB' 'run, MiB' 'resident, MiB'
for edges in 10000 30000 100000 300000 1000000; do
  nodes=$((edges / 5))
  awk -v n=$nodes 'BEGIN { srand(1); print "node,label,a,b,c,d"
    for (i = 0; i < n; i++) printf "%d,%d,%.3f,%.3f,%.3f,%.3f\n", i, i % 3, rand() + i % 3, rand(), rand(), rand() }' >"$work/nodes.csv"
  awk -v n=$nodes -v m=$edges 'BEGIN { srand(2); print "from,to"
    for (k = 0; k < m; k++) print int(rand() * n) "," int(rand() * n) }' >"$work/edges.csv"
  set -- node-classify --data "$work/nodes.csv,$work/edges.csv" --threads "$threads" --json
  step=$("$fovea" bench recipe "$@" --runs $((4 + 1000000 / edges)) | number step_milliseconds)
  plan=$("$fovea" plan "$@" | number bytes_total)
  run=$("$fovea" train "$@" --epochs 2 --out "$work/run") || exit 1
  echo "$step $plan $(echo "$run" | number peak_bytes) $(echo "$run" | number resident_bytes)" |
    awk -v edges=$edges -v nodes=$nodes '{ printf "%8d  %8d  %10.2f  %12.1f  %10.1f  %10.1f  %12.1f\n", edges, nodes, $1, $1 / edges * 1e6,
      $2 / 1048576, $3 / 1048576, $4 / 1048576 }'
  rm -rf "$work/run"
done
