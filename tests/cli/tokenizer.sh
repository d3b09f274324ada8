#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tokenizer: learning, text to ids and back, and what is refused.
. "$(dirname "$0")/lib.sh"

i=0
while [ $i -lt 40 ]; do
  echo "The cat didn't see the $i other cats, said l'homme."
  i=$((i + 1))
done >text
printf 'caf\303\251 cats\n' >>text

expect 0 tokenizer train text --size 280 --out bpe.json --json; keys tokenizer kind tokens texts bytes skipped seconds
is "$(value tokens)" 280 'size of bpe'; is "$(value texts)" 41 'texts'
expect 0 tokenizer train text --kind words --lower --out words.json; says out 'kind +words'
"$fovea" tokenizer train text --size 280 --out again.json -q; is "$(cat again.json)" "$(cat bpe.json)" 'trained twice'

# every byte comes back, line by line and as a whole; standard input is a file as any other
expect 0 tokenizer encode bpe.json text; cp out ids
expect 0 tokenizer decode bpe.json ids; is "$(cat out)" "$(cat text)" 'lines through bpe'
cp "$fovea" program
"$fovea" tokenizer encode bpe.json --whole <program | "$fovea" tokenizer decode bpe.json --whole >copy
if cmp -s copy program; then ok; else bad 'bytes of a program through bpe'; fi
printf '' | "$fovea" tokenizer encode bpe.json --whole >out; is "$(cat out)" '' 'no bytes'

# words: as SST and MR are cut
echo "The cat DIDN'T, zebra" >line
expect 0 tokenizer encode words.json line; cp out ids
expect 0 tokenizer decode words.json ids --specials; is "$(cat out)" "the cat did n't , <unk>" 'words'
expect 0 tokenizer decode words.json ids; is "$(cat out)" "the cat did n't ," 'words without special ones'
expect 0 tokenizer encode words.json line --json; keys texts
says out '"spans": \[\[0, 3\], \[4, 7\], \[8, 11\], \[11, 14\]'

# special tokens in a text are text unless asked for
echo '<eos>' >line
expect 0 tokenizer encode bpe.json line; [ "$(wc -w <out)" -gt 1 ] && ok || bad '<eos> was taken for the token'
expect 0 tokenizer encode bpe.json line --specials; is "$(cat out)" 3 '<eos>'

# columns, encodings, broken rows
printf 'label,text\n1,"a ""quoted"", cat"\n2,b,c\n3,dog\n' >t.csv
expect 0 tokenizer train t.csv --column text --kind words --skip-bad --out w.json --json
is "$(value skipped)" 1 'rows skipped'; is "$(value texts)" 2 'rows kept'
expect 0 tokenizer train t.csv --column text --kind words --skip-bad --out w.json; says out 't.csv:3'
expect 1 tokenizer train t.csv --column text --kind words --out w.json; says err 'table \(t.csv:3\): expected 2 fields'
expect 2 tokenizer train t.csv --column txet --out w.json; says err "did you mean 'text'"
printf '{"s": "caf\\u00e9"}\n' >t.jsonl
expect 0 tokenizer train t.jsonl --column s --kind words --out w.json
expect 0 tokenizer encode w.json t.jsonl -c s; is "$(cat out)" 4 'a column of JSON lines'
printf 'caf\351\n' >latin
expect 1 tokenizer train latin --kind words --out w.json; says err 'latin:1.*expected utf-8, got byte 0xe9'
expect 0 tokenizer train latin --kind words --encoding latin-1 --out w.json; says w.json "$(printf 'caf\303\251')"
gzip -c text >text.gz
expect 0 tokenizer train text.gz --size 280 --out gz.json; is "$(cat gz.json)" "$(cat bpe.json)" gzip

# refused
expect 2 tokenizer; expect 2 tokenizer trian; says err "did you mean 'train'"
expect 2 tokenizer train text; says err 'expected --out'
expect 2 tokenizer train --out x.json; says err 'got none'
expect 2 tokenizer train nothere --out x.json; says err nothere
expect 2 tokenizer train text --size 100 --out x.json; says err '260'
expect 2 tokenizer encode; expect 2 tokenizer encode nothere text
expect 2 tokenizer encode bpe.json text --size 5; says err "expected with 'train'"
expect 2 tokenizer train text --kind wrods --out x.json; says err 'words'
[ -e x.json ] && bad 'a refused request left a file' || ok
echo '{' >bad.json; expect 1 tokenizer encode bad.json text; says err 'bad.json'
echo '{"model": {"type": "Unigram"}}' >bad.json; expect 2 tokenizer encode bad.json text; says err 'got Unigram'
echo '5 x 7' >bad; expect 2 tokenizer decode bpe.json bad; says err "bad:1.*got 'x'"
echo '5 999999' >bad; expect 2 tokenizer decode bpe.json bad; says err 'expected an id below 280'
finish
