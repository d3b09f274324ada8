#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tables.sh [FOVEA [THREADS]]: what a training step costs when the table of items grows from 10^4 to 10^7 rows of 16 numbers. Only rows
# that a batch looks up are touched, so it should cost the same; 10^7 rows take some 2 GiB with Adam's means.
fovea=${1:-build/fovea} threads=${2:-1}
printf '%10s  %12s  %12s\n' rows 'step, ms' parameters
for rows in 10000 100000 1000000 10000000; do
  step=$("$fovea" bench recipe recommend --data tastes --threads "$threads" --runs 200 --set batch=256 --set spare=$rows --json |
    sed 's/.*"step_milliseconds": *\([0-9.]*\).*/\1/')
  parameters=$("$fovea" plan recommend --data tastes --threads "$threads" --set spare=$rows --json |
    sed 's/.*"parameters": *\([0-9]*\).*/\1/')
  printf '%10s  %12.3f  %12s\n' "$rows" "$step" "$parameters"
done
