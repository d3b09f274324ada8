# SPDX-License-Identifier: Apache-2.0
"""text-classify beside PyTorch: the same network from the same file.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch numpy safetensors tokenizers
    build/fovea train text-classify --data sst2 --epochs 1 --out /tmp/sst2
    /tmp/peer/bin/python bench/peers/text_classify.py --model /tmp/sst2 --texts dev.txt --threads 2

Reads model.safetensors with its tokenizer, checks that the logits of 256 texts (a text a line) agree to 1e-4, then times training
(AdamW) on batches of those texts, sorted by length so that little is padding, and prediction of one text, of both in turn, several
rounds, and prints medians and ratios. PyTorch's recurrent networks get padded batches as they are, or packed, whichever is faster;
only the latter gives the right result for shorter texts of a batch. Appends to bench/results.csv with --save.
"""
import sys, tempfile, time

import torch
from tokenizers import Tokenizer
from torch import nn

import common


class Pool(nn.Module):
    def __init__(self, c, width):
        super().__init__()
        self.attention = nn.Linear(c, width)
        self.context = nn.Parameter(torch.zeros(width))

    def forward(self, x, mask):
        score = torch.tanh(self.attention(x)) @ self.context
        a = torch.softmax(score.masked_fill(~mask, float("-inf")), 1)
        return (a[:, :, None] * x).sum(1)


class Net(nn.Module):
    def __init__(self, s, vocabulary, classes):
        super().__init__()
        width, hidden, self.p = int(s["width"]), int(s["hidden"]), float(s["dropout"])
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        self.windows = [int(w) for w in s["windows"].split(",")] if s["encoder"] in ("cnn", "both") else []
        self.conv = nn.ModuleList(nn.Conv1d(width, hidden, w, padding=w // 2) for w in self.windows)
        c = hidden * len(self.windows) if self.windows else width
        self.cell = {"lstm": "lstm", "both": "lstm", "gru": "gru"}.get(s["encoder"])
        if self.cell:
            kind = nn.LSTM if self.cell == "lstm" else nn.GRU
            self.add_module(self.cell, kind(c, hidden, int(s["layers"]), batch_first=True, bidirectional=True))
            c = 2 * hidden
        self.pool = Pool(c, int(s["pool"]))
        self.classifier = nn.Linear(c, classes)
        self.packed = True

    def forward(self, tokens):
        mask = tokens != 0
        drop = lambda x: nn.functional.dropout(x, self.p, self.training)
        x = drop(self.embedding(tokens))
        if self.windows:
            y = x.transpose(1, 2)
            x = torch.cat([torch.relu(c(y)) for c in self.conv], 1).transpose(1, 2)
        if self.cell:
            if self.windows:
                x = drop(x)
            net = getattr(self, self.cell)
            if self.packed:
                p = nn.utils.rnn.pack_padded_sequence(x, mask.sum(1), batch_first=True, enforce_sorted=False)
                x = nn.utils.rnn.pad_packed_sequence(net(p)[0], batch_first=True, total_length=x.shape[1])[0]
            else:
                x = net(x)[0]
        return self.classifier(drop(self.pool(x, mask)))


def load(path):
    meta, state = common.read_model(path)
    return common.fill(Net(meta["settings"], state["embedding.weight"].shape[0], len(meta["labels"])), state), meta


def padded(rows):
    return nn.utils.rnn.pad_sequence([torch.tensor(r) for r in rows], batch_first=True)


def check_logits(args, net, meta, lines, rows):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        f.write("\n".join(lines[:256]) + "\n")
        f.flush()
        ours = common.fovea(args, "predict", args.model, f.name, "--top", len(meta["labels"]))
    scores = torch.zeros(len(ours["predictions"]), len(meta["labels"]))
    for row, p in zip(scores, ours["predictions"]):
        for t in p["top"]:
            row[meta["labels"].index(t["label"])] = t["score"]
    net.eval()
    with torch.no_grad():
        theirs = net(padded(rows[:256]))
    worst = float((scores - theirs).abs().max())
    print(f"logits: largest difference {worst:.2e} over {len(scores)} texts (of magnitude {theirs.abs().max():.1f})")
    return worst <= 1e-4


def torch_training(net, rows, classes, batch, steps):
    net.train()
    rows = sorted(rows, key=len)
    batches = [padded(rows[i : i + batch]) for i in range(0, len(rows) - batch + 1, batch)]
    opt = torch.optim.AdamW(net.parameters(), lr=1e-5)
    y = torch.randint(0, classes, (batch,))
    began, seen = 0, 0
    order = torch.randperm(len(batches), generator=torch.Generator().manual_seed(0)).tolist()
    for i in range(steps + 3):
        if i == 3:
            began = time.perf_counter()
        opt.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net(batches[order[i % len(order)]]), y, label_smoothing=0.1).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1)
        opt.step()
        seen += batch * (i >= 3)
    return seen / (time.perf_counter() - began)


@torch.inference_mode()
def torch_prediction(net, row):
    net.eval()
    net.packed = False  # one text has no padding
    x = torch.tensor(row)[None]
    return common.median_ms(lambda: torch.softmax(net(x), 1), 200, 20)


def measure(args, meta, rows):
    batch = int(meta["training"]["batch"])
    middling = sorted(rows, key=len)[len(rows) // 2]

    def training(packed):
        peer = load(args.model)[0]
        peer.packed = packed
        return torch_training(peer, rows, len(meta["labels"]), batch, args.steps)

    m = common.in_turn(args.rounds, {
        "fovea": lambda: common.bench_recipe(args, meta, "--runs", args.steps),
        "torch predict": lambda: torch_prediction(load(args.model)[0], middling),
        "torch": lambda: training(False),
        "torch packed": lambda: training(True)})
    return common.recipe_rows(args, f"{meta['recipe']} {meta['data']} {meta['settings']['encoder']}", "texts", batch, m)


def main():
    a = common.parser(__doc__)
    a.add_argument("--model", required=True)
    a.add_argument("--texts", required=True, help="a text a line, of the kind the model reads")
    a.add_argument("--steps", type=int, default=60)
    args = a.parse_args()
    torch.set_num_threads(args.threads)
    net, meta = load(args.model)
    tokenizer = Tokenizer.from_str(meta["tokenizers"][0])
    lines = [line.rstrip("\n") for line in open(args.texts, encoding="utf-8")]
    rows = [tokenizer.encode(line).ids[: meta["lengths"][-1]] or [1] for line in lines]
    return common.compare(args, lambda: check_logits(args, net, meta, lines, rows), lambda: measure(args, meta, rows))


if __name__ == "__main__":
    sys.exit(main())
