# SPDX-License-Identifier: Apache-2.0
"""few-shot beside PyTorch: the same network, matching or SNAIL, from the same file.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch numpy safetensors
    build/fovea train few-shot --epochs 1 --out /tmp/few
    /tmp/peer/bin/python bench/peers/few_shot.py --model /tmp/few --threads 2

Adapts the model to a folder of drawn characters and checks that what it says of others agrees to 1e-4 with the same network in
PyTorch, then times training (AdamW, as many episodes a step as the model had) and the answers to all queries of one episode of both in turn, several
rounds, and prints medians and ratios. Appends to bench/results.csv with --save.
"""
import os, statistics, struct, sys, tempfile, zlib

import numpy as np
import torch
from torch import nn

import common


class Block(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x):
        return nn.functional.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)


class Net(nn.Module):
    def __init__(self, s, width):
        super().__init__()
        c, self.reads, self.scale, self.fce = int(s["channels"]), int(s["reads"]), float(s["scale"]), s["fce"] == "true"
        self.encoder = nn.Sequential(Block(1, c), Block(c, c), Block(c, c), Block(c, c))
        if self.fce:
            self.context = nn.LSTM(width, width, batch_first=True, bidirectional=True)
            self.reader = nn.LSTMCell(2 * width, width)

    def forward(self, support, label, query, ways):
        """support [S,1,H,W], label [S], query [Q,1,H,W]: logarithms of probabilities [Q,ways]."""
        x = self.encoder(torch.cat([support, query])).permute(0, 2, 3, 1).flatten(1)
        g, f = x[: len(support)], x[len(support) :]
        if self.fce:
            forth, back = self.context(g[None])[0][0].chunk(2, 1)
            g = g + forth + back
            h = c = torch.zeros_like(f)
            for _ in range(self.reads):
                r = torch.softmax(h @ g.T, 1) @ g
                h_hat, c = self.reader(torch.cat([f, r], 1), (h, c))
                h = h_hat + f
            f = h
        alpha = torch.softmax(self.scale * nn.functional.normalize(f) @ nn.functional.normalize(g).T, 1)
        return (alpha @ nn.functional.one_hot(label, ways).to(alpha.dtype)).clamp(min=1e-37).log()


class Temporal(nn.Module):
    def __init__(self, c, length, filters):
        super().__init__()
        for i in range((length - 1).bit_length()):
            self.add_module(str(i), nn.Conv1d(c + i * filters, 2 * filters, 2, dilation=2**i))

    def forward(self, x):
        for conv in self.children():
            what, gate = conv(nn.functional.pad(x.transpose(1, 2), (conv.dilation[0], 0))).transpose(1, 2).chunk(2, 2)
            x = torch.cat([x, torch.tanh(what) * torch.sigmoid(gate)], 2)
        return x


class Attention(nn.Module):
    def __init__(self, c, keys, values):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(c, keys), nn.Linear(c, keys), nn.Linear(c, values)

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        return torch.cat([x, nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)], 2)


class Snail(nn.Module):
    """Each query is the end of a sequence of its own."""

    def __init__(self, s, width, ways, length):
        super().__init__()
        c, steps = int(s["channels"]), 128 * (length - 1).bit_length()
        self.encoder = nn.Sequential(Block(1, c), Block(c, c), Block(c, c), Block(c, c))
        self.encoder.fc, c = nn.Linear(width, 64), 64 + ways
        self.attention1, c = Attention(c, 64, 32), c + 32
        self.temporal1, c = Temporal(c, length, 128), c + steps
        self.attention2, c = Attention(c, 256, 128), c + 128
        self.temporal2, c = Temporal(c, length, 128), c + steps
        self.attention3, c = Attention(c, 512, 256), c + 256
        self.output = nn.Linear(c, ways)

    def forward(self, support, label, query, ways):
        x = torch.cat([support, query])
        for block in self.encoder[:4]:
            x = block(x)
        x = self.encoder.fc(x.permute(0, 2, 3, 1).flatten(1))
        shown = torch.cat([x[: len(support)], nn.functional.one_hot(label, ways).to(x.dtype)], 1)
        asked = nn.functional.pad(x[len(support) :], (0, ways))
        x = torch.cat([shown.expand(len(query), -1, -1), asked[:, None]], 1)
        for block in (self.attention1, self.temporal1, self.attention2, self.temporal2, self.attention3):
            x = block(x)
        return self.output(x[:, -1])


def load(path):
    meta, state = common.read_model(path)
    support = {k: state.pop(k) for k in list(state) if k.startswith("support.")}
    last = state["encoder.3.norm.weight"].numel()
    size = meta["episodes"]
    width = last * (size["height"] // 16) * (size["width"] // 16)
    ways, snail = size["ways"], meta["settings"].get("net") == "snail"
    net = Snail(meta["settings"], width, ways, ways * size["shots"] + 1) if snail else Net(meta["settings"], width)
    return common.fill(net, state), meta, support


# ---- drawn characters --------------------------------------------------------------------------------------------------------
def character(rng, shake, seed):
    """Two strokes of one character by a shaky hand, u8 [28,28], bright ink."""
    ends = np.random.default_rng(seed).uniform(5, 23, (2, 3, 2))
    ink, t = np.zeros((28, 28)), np.linspace(0, 1, 40)[:, None]
    y, x = np.mgrid[0:28, 0:28] + 0.5
    for p in ends + rng.normal(0, shake, ends.shape):
        for px, py in (1 - t) ** 2 * p[0] + 2 * t * (1 - t) * p[1] + t**2 * p[2]:
            ink = np.maximum(ink, np.clip(1.7 - np.hypot(x - px, y - py), 0, 1))
    return (255 * ink).astype(np.uint8)


def write_png(path, grey):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    h, w = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 0, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


# ---- agreement ---------------------------------------------------------------------------------------------------------------
def as_input(ink):
    return torch.as_tensor(ink).float()[:, None] / 255


def check_scores(args, queries=8):
    _, meta, _ = load(args.model)
    ways, shots = (meta["episodes"][k] for k in ("ways", "shots")) if meta["settings"].get("net") == "snail" else (6, 2)
    rng, worst, largest = np.random.default_rng(1), 0.0, 0.0
    with tempfile.TemporaryDirectory() as dir:
        for c in range(ways):
            os.makedirs(f"{dir}/support/{c}")
            for k in range(shots):
                write_png(f"{dir}/support/{c}/{k}.png", character(rng, 0.8, c))
        common.fovea(args, "adapt", args.model, f"{dir}/support", "--out", f"{dir}/adapted.safetensors")
        net, meta, support = load(f"{dir}/adapted.safetensors")
        net.eval()
        for q in range(queries):
            ink = character(rng, 0.8, q % ways)
            write_png(f"{dir}/query.png", ink)
            ours = common.fovea(args, "predict", f"{dir}/adapted.safetensors", f"{dir}/query.png", "--top", ways)
            with torch.no_grad():
                theirs = net(as_input(support["support.ink"]), support["support.label"].long(), as_input(ink[None]), ways)[0]
            for t in ours["predictions"][0]["top"]:
                of = float(theirs[meta["labels"].index(t["label"])])
                worst, largest = max(worst, abs(t["score"] - of)), max(largest, abs(of))
    print(f"scores: largest difference {worst:.2e} over {queries} pictures (of magnitude {largest:.1f})")
    return worst <= 1e-4


# ---- times -------------------------------------------------------------------------------------------------------------------
def episode(meta, channels_last):
    e = meta["episodes"]
    how = torch.channels_last if channels_last else torch.contiguous_format
    draw = lambda n: torch.rand(n, 1, e["height"], e["width"]).contiguous(memory_format=how)
    ways = torch.arange(e["ways"])
    return draw(e["ways"] * e["shots"]), ways.repeat(e["shots"]), draw(e["ways"] * e["queries"]), ways.repeat_interleave(e["queries"])


def torch_training(net, meta, steps, channels_last):
    """Episodes a second: those of a step one after the other, each normalised by itself as in fovea."""
    net.train()
    if channels_last:
        net = net.to(memory_format=torch.channels_last)
    support, label, query, asked = episode(meta, channels_last)
    batch, opt = int(meta["training"]["batch"]), torch.optim.AdamW(net.parameters(), lr=1e-5)

    def step():
        opt.zero_grad(set_to_none=True)
        for _ in range(batch):
            (nn.functional.cross_entropy(net(support, label, query, meta["episodes"]["ways"]), asked) / batch).backward()
        opt.step()

    return batch / statistics.median(common.seconds_of(step, steps, 3))


@torch.inference_mode()
def torch_prediction(net, meta, channels_last):
    net.eval()
    if channels_last:
        net = net.to(memory_format=torch.channels_last)
    support, label, query, _ = episode(meta, channels_last)
    return common.median_ms(lambda: net(support, label, query, meta["episodes"]["ways"]), 20, 3)


def measure(args, meta):
    net = lambda: load(args.model)[0]
    m = common.in_turn(args.rounds, {
        "fovea": lambda: common.bench_recipe(args, meta, "--runs", args.steps),
        "predict": lambda: torch_prediction(net(), meta, False),
        "predict last": lambda: torch_prediction(net(), meta, True),
        "torch": lambda: torch_training(net(), meta, args.steps, False),
        "torch last": lambda: torch_training(net(), meta, args.steps, True)})
    ours, ms = m["samples_per_second"], m["predict_milliseconds"]
    train, predict = ours / max(m["torch"], m["torch last"]), min(m["predict"], m["predict last"]) / ms
    e = meta["episodes"]
    what = f"few-shot {e['ways']} ways {e['shots']} shots {e['queries']} queries"
    print(f"torch {torch.__version__}, {args.threads} threads, medians of {args.rounds} rounds")
    print(f"training, {what}: fovea {ours:.2f} episodes/s, torch {m['torch']:.2f}, channels-last {m['torch last']:.2f}: "
          f"ratio {train:.2f}")
    print(f"answers: fovea {ms:.2f} ms an episode, torch {m['predict']:.2f}, channels-last {m['predict last']:.2f}: "
          f"ratio {predict:.2f}")
    return [common.row(what + " training", args.threads, f"{ours:.2f} episodes/s",
                       f"{max(m['torch'], m['torch last']):.2f} episodes/s", train),
            common.row(what + " prediction", args.threads, f"{ms:.2f} ms", f"{min(m['predict'], m['predict last']):.2f} ms",
                       predict)]


def main():
    a = common.parser(__doc__)
    a.add_argument("--model", required=True)
    a.add_argument("--steps", type=int, default=15)
    args = a.parse_args()
    torch.set_num_threads(args.threads)
    _, meta, _ = load(args.model)
    return common.compare(args, lambda: check_scores(args), lambda: measure(args, meta))


if __name__ == "__main__":
    sys.exit(main())
