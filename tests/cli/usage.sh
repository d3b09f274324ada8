#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Wrong requests: exit 2, one line, the nearest name. And what needs no work: help, version, list.
. "$(dirname "$0")/lib.sh"

expect 2; says err 'command \(fovea\): expected one, got none'
expect 2 trian; says err "did you mean 'train'"
expect 2 zzzzzz; says err 'expected one of list, train'
expect 0 version; says out '^fovea [0-9]+\.[0-9]+'
expect 0 -V; expect 0 --version; expect 0 --help; says out 'usage: fovea'
expect 0 help; says out 'predict'
for c in list train eval predict explain plan data tokenizer bench completion help version; do
  expect 0 "$c" --help; says out "usage: fovea $c"
  expect 0 help "$c"
  expect 2 "$c" --no-such-option; says err "option \(fovea $c\): expected a known one, got '--no-such-option'"
done
expect 2 help nosuch
expect 0 train image-classify --help; says out 'weight_decay .*'; says out '^  width '; says out 'presets'
expect 2 train image-clasify --help; says err "did you mean 'image-classify'"

# names
expect 2 train; says err 'expected one recipe, got none'
expect 2 train image-classify surplus; says err "got also 'surplus'"
expect 2 train image-clasify; says err "did you mean 'image-classify'"
expect 2 plan no-such-recipe; says err "no-such-recipe"
expect 2 train image-classify --data fashion-mnits --out r; says err "did you mean 'fashion-mnist'"
expect 2 data gte mnist; says err "did you mean 'get'"
expect 2 data info fashion-mnits; says err "did you mean 'fashion-mnist'"
expect 2 data get; says err 'got none'
expect 2 eval nothere; says err nothere
expect 2 predict nothere x.png; expect 2 predict; expect 2 explain
expect 2 completion fish; says err bash

# options and values
expect 2 train image-classify --ouut r; says err "did you mean '--out'"
expect 2 train image-classify --optimizer sgd; says err 'set optimizer=VALUE'
expect 2 train image-classify --out; says err 'expected a value, got none'
expect 2 train image-classify --out=; says err 'expected a value'
expect 2 train image-classify --json=yes; says err "expected no value, got 'yes'"
expect 2 train image-classify --threads x; says err "expected a whole number from 0 to 1024, got 'x'"
expect 2 train image-classify -t 1025
expect 2 train image-classify -t-1
expect 2 train image-classify --threads 99999999999999999999
expect 2 train image-classify --set width; says err 'KEY=VALUE'
expect 2 train image-classify --set =3
expect 2 train image-classify --set widht=3 --out r; says err "did you mean 'width'"
expect 2 train image-classify --set width=abc --out r; says err "got 'abc'"
expect 2 train image-classify --set width=1e9 --out r
expect 2 train image-classify --set optimizer=sdg --out r; says err 'sgd'
expect 2 train image-classify --epochs 0 --out r; says err epochs
expect 2 train image-classify --batch -3 --out r; says err batch
expect 2 train image-classify --lr nan --out r; says err lr
expect 2 train image-classify --preset tinny --out r; says err "did you mean 'tiny'"
expect 2 plan image-classify --memory 3X; says err '800M'
expect 2 eval m --split tset; says err "did you mean 'test'"
expect 2 explain m --out look.gif; says err '\.png'
expect 2 predict m x --top 0; says err 'from 1'
expect 2 train "$(printf 'bad\nname')"; is "$(wc -l <err)" 1 'a name with a line break'
expect 2 -- list
[ -e r ] && bad 'a refused request left a run directory' || ok

# options and names in any order, -- ends options
expect 0 plan --json --data digits image-classify -b 32 --set=width=16
keys parameters flops_forward flops_step bytes_parameters bytes_activations bytes_total fits
is "$(value batch)" 32 batch
expect 2 plan -- --json; says err "recipe '--json'"
FOVEA_ISA=nosuch; export FOVEA_ISA
expect 2 plan image-classify --data digits; says err 'FOVEA_ISA'
unset FOVEA_ISA

# a full disk behind standard output
if [ -c /dev/full ]; then
  "$fovea" list >/dev/full 2>err
  is $? 1 'list to a full disk'; says err 'standard output'
fi
finish
