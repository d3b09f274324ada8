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
import argparse, csv, datetime, json, statistics, subprocess, sys, tempfile, time

import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from torch import nn


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
    with safe_open(path, "pt") as f:
        meta = json.loads(f.metadata()["fovea"])
        state = {k: f.get_tensor(k) for k in f.keys()}
    net = Net(meta["settings"], state["embedding.weight"].shape[0], len(meta["labels"]))
    net.load_state_dict(state)
    return net, meta


def padded(rows):
    return nn.utils.rnn.pad_sequence([torch.tensor(r) for r in rows], batch_first=True)


def fovea(args, *words):
    return json.loads(subprocess.run([args.fovea, *words, "--json"], check=True, capture_output=True, text=True).stdout)


def check_logits(args, net, meta, lines, rows):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        f.write("\n".join(lines[:256]) + "\n")
        f.flush()
        ours = fovea(args, "predict", args.model, f.name, "--top", str(len(meta["labels"])))
    scores = torch.zeros(len(ours["predictions"]), len(meta["labels"]))
    for row, p in zip(scores, ours["predictions"]):
        for t in p["top"]:
            row[meta["labels"].index(t["label"])] = t["score"]
    net.eval()
    with torch.no_grad():
        theirs = net(padded(rows[:256]))
    worst = float((scores - theirs).abs().max())
    print(f"logits: largest difference {worst:.2e} over {len(scores)} texts (of magnitude {theirs.abs().max():.1f})")
    return worst


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


def torch_prediction(net, row, times=200):
    net.eval()
    net.packed = False  # one text has no padding
    x, seconds = torch.tensor(row)[None], []
    with torch.inference_mode():
        for i in range(times + 20):
            began = time.perf_counter()
            torch.softmax(net(x), 1)
            if i >= 20:
                seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1e3


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--model", required=True)
    a.add_argument("--texts", required=True, help="a text a line, of the kind the model reads")
    a.add_argument("--fovea", default="build/fovea")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--steps", type=int, default=60)
    a.add_argument("--save", action="store_true", help="append to bench/results.csv")
    args = a.parse_args()
    torch.set_num_threads(args.threads)
    path = args.model if args.model.endswith(".safetensors") else f"{args.model}/model.safetensors"
    net, meta = load(path)
    tokenizer = Tokenizer.from_str(meta["tokenizers"][0])
    lines = [line.rstrip("\n") for line in open(args.texts, encoding="utf-8")]
    rows = [tokenizer.encode(line).ids[: meta["lengths"][-1]] or [1] for line in lines]
    worst = check_logits(args, net, meta, lines, rows)
    batch = int(meta["training"]["batch"])
    sets = [w for k, v in meta["settings"].items() if v for w in ("--set", f"{k}={v}")]
    took = {k: [] for k in ("fovea", "torch", "torch packed", "fovea predict", "torch predict")}
    for _ in range(args.rounds):
        ours = fovea(args, "bench", "recipe", meta["recipe"], "--data", meta["data"], "--threads", str(args.threads),
                     "--runs", str(args.steps), *sets)
        took["fovea"].append(ours["samples_per_second"])
        took["fovea predict"].append(ours["predict_milliseconds"])
        first = len(sorted(rows, key=len)[len(rows) // 2])
        took["torch predict"].append(torch_prediction(load(path)[0], next(r for r in rows if len(r) == first)))
        for packed in (False, True):
            peer = load(path)[0]
            peer.packed = packed
            took["torch packed" if packed else "torch"].append(
                torch_training(peer, rows, len(meta["labels"]), batch, args.steps))
    m = {k: statistics.median(v) for k, v in took.items()}
    best = max(m["torch"], m["torch packed"])
    train, predict = m["fovea"] / best, m["torch predict"] / m["fovea predict"]
    print(f"torch {torch.__version__}, {args.threads} threads, medians of {args.rounds} rounds, {meta['recipe']} {meta['data']}")
    print(f"training, batch {batch}: fovea {m['fovea']:.0f} texts/s, torch {m['torch']:.0f}, packed {m['torch packed']:.0f}: "
          f"ratio {train:.2f}")
    print(f"prediction, one text: fovea {m['fovea predict']:.3f} ms, torch {m['torch predict']:.3f} ms: ratio {predict:.2f}")
    if args.save:
        with open("bench/results.csv", "a", newline="") as f:
            w = csv.writer(f)
            day = datetime.date.today().isoformat()
            name = f"{meta['recipe']} {meta['data']} {meta['settings']['encoder']}"
            w.writerow([day, f"{name} training batch {batch}", args.threads, f"{m['fovea']:.0f} texts/s",
                        f"torch {torch.__version__} {best:.0f} texts/s", f"{train:.2f}"])
            w.writerow([day, f"{name} prediction batch 1", args.threads, f"{m['fovea predict']:.3f} ms",
                        f"torch {torch.__version__} {m['torch predict']:.3f} ms", f"{predict:.2f}"])
    return 0 if worst <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
