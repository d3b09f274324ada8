# SPDX-License-Identifier: Apache-2.0
"""forecast beside PyTorch: the same three networks from the same files.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch numpy safetensors
    build/fovea train forecast --preset patchtst --data etth1 --epochs 1 --out /tmp/forecast      also dlinear, darnn
    /tmp/peer/bin/python bench/peers/forecast.py --model /tmp/forecast --check                    outputs alone
    /tmp/peer/bin/python bench/peers/forecast.py --model /tmp/forecast --threads 2 --save         and times

Reads model.safetensors, checks that the forecasts of random walks agree to 1e-4 of a channel's deviation, then times training
steps (the model's own batch, AdamW) and batch-1 prediction of both in turn, several rounds, and prints medians and ratios. A
busy machine makes the times worthless.
"""
import argparse, csv, datetime, json, os, statistics, subprocess, sys, tempfile, time

import numpy as np
import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional as F


class DLinear(nn.Module):
    def __init__(self, s, past, horizon, channels):
        super().__init__()
        self.window = int(s["window"])
        self.seasonal, self.trend = nn.Linear(past, horizon), nn.Linear(past, horizon)

    def forward(self, x):  # [n,L,C]
        x = x.transpose(1, 2)
        side = self.window // 2
        trend = F.avg_pool1d(F.pad(x, (side, side), mode="replicate"), self.window, 1) if side else x
        return (self.seasonal(x - trend) + self.trend(trend)).transpose(1, 2)


class Layer(nn.Module):
    def __init__(self, width, heads, inner, dropout, carry):
        super().__init__()
        self.heads, self.carry = heads, carry
        self.in_proj, self.out_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.linear1, self.linear2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x, scores):
        n, p, e = x.shape
        q, k, v = (t.view(n, p, self.heads, -1).transpose(1, 2) for t in self.in_proj(x).chunk(3, -1))
        if self.carry:
            score = q @ k.transpose(2, 3) / (e // self.heads) ** 0.5
            scores = score if scores is None else score + scores
            y = torch.softmax(scores, -1) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v)
        y = self.drop(self.drop(self.out_proj(y.transpose(1, 2).reshape(n, p, e))))
        x = self.norm1((x + y).transpose(1, 2)).transpose(1, 2)
        y = self.linear2(self.drop(F.gelu(self.linear1(x))))
        return self.norm2((x + self.drop(y)).transpose(1, 2)).transpose(1, 2), scores


class PatchTST(nn.Module):
    def __init__(self, s, past, horizon, channels):
        super().__init__()
        width, self.patch, self.stride = int(s["width"]), int(s["patch"]), int(s["stride"])
        patches = (past + self.stride - self.patch) // self.stride + 1
        self.embedding, self.head = nn.Linear(self.patch, width), nn.Linear(patches * width, horizon)
        self.position = nn.Parameter(torch.zeros(patches, width))
        self.layer = nn.ModuleList(Layer(width, int(s["heads"]), int(s["feedforward"]), float(s["dropout"]),
                                         s["carry"] == "true") for _ in range(int(s["layers"])))
        self.drop = nn.Dropout(float(s["dropout"]))

    def forward(self, x):
        n, rows, c = x.shape
        x = F.pad(x.transpose(1, 2), (0, self.stride), mode="replicate").reshape(n * c, -1)
        x = self.drop(self.embedding(x.unfold(1, self.patch, self.stride)) + self.position)
        scores = None
        for layer in self.layer:
            x, scores = layer(x, scores)
        return self.head(x.flatten(1)).view(n, c, -1).transpose(1, 2)


class Scorer(nn.Module):
    def __init__(self, inputs, width, m):
        super().__init__()
        self.keys, self.query = nn.Linear(inputs, width, bias=False), nn.Linear(2 * m, width, bias=False)
        self.v = nn.Parameter(torch.zeros(width))

    def forward(self, keys, state):
        if state is not None:
            keys = keys + self.query(torch.cat([state[0][0], state[1][0]], 1))[:, None]
        return torch.softmax(torch.tanh(keys) @ self.v, 1)


class DARNN(nn.Module):
    def __init__(self, s, past, horizon, channels):
        super().__init__()
        m = int(s["hidden"])
        self.shape = horizon, channels
        self.encoder, self.decoder = nn.LSTM(channels, m, batch_first=True), nn.LSTM(channels, m, batch_first=True)
        self.input_attention, self.temporal_attention = Scorer(past, past, m), Scorer(m, m, m)
        self.decoder_input = nn.Linear(channels + m, channels)
        self.output, self.head = nn.Linear(2 * m, m), nn.Linear(m, horizon * channels)

    def forward(self, x):
        keys, state, states = self.input_attention.keys(x.transpose(1, 2)), None, []
        for t in range(x.shape[1]):
            y, state = self.encoder((self.input_attention(keys, state) * x[:, t])[:, None], state)
            states.append(y)
        states = torch.cat(states, 1)
        keys, state = self.temporal_attention.keys(states), None
        for t in range(x.shape[1]):
            context = (self.temporal_attention(keys, state)[:, None] @ states)[:, 0]
            _, state = self.decoder(self.decoder_input(torch.cat([x[:, t], context], 1))[:, None], state)
        return self.head(self.output(torch.cat([state[0][0], context], 1))).view(-1, *self.shape)


class Normalised(nn.Module):
    """Each window by its own mean and deviation, given back to the forecast."""

    def __init__(self, net, on):
        super().__init__()
        self.net, self.on = net, on

    def forward(self, x):
        if not self.on:
            return self.net(x)
        mean, deviation = x.mean(1, True), torch.sqrt(x.var(1, unbiased=False, keepdim=True) + 1e-5)
        return self.net((x - mean) / deviation) * deviation + mean


def load(path):
    with safe_open(path, "pt") as f:
        meta = json.loads(f.metadata()["fovea"])
        s, series = meta["settings"], meta["series"]
        net = {"dlinear": DLinear, "patchtst": PatchTST, "darnn": DARNN}[s["model"]](
            s, series["past"], series["horizon"], len(series["channels"]))
        state = {k.replace("decoder.input.", "decoder_input."): f.get_tensor(k) for k in f.keys()}
    missing, unexpected = net.load_state_dict(state, strict=False)
    missing = [k for k in missing if not k.endswith("num_batches_tracked")]
    assert not missing and not unexpected, (missing, unexpected)
    return Normalised(net, s["normalise"] == "true"), meta


def fovea(args, *words):
    return json.loads(subprocess.run([args.fovea, *words, "--json"], check=True, capture_output=True, text=True).stdout)


def random_walk(rng, series):
    """[L,C] in the data's own units, as numbers that a file of text holds exactly."""
    steps = rng.normal(size=(series["past"], len(series["channels"]))).cumsum(0) * 0.3
    scale = np.array([[c["deviation"], c["mean"]] for c in series["channels"]])
    return np.array([[float(f"{v:.9g}") for v in row] for row in steps * scale[:, 0] + scale[:, 1]])


def check_forecasts(args, net, meta, windows=8):
    series, rng, worst, largest = meta["series"], np.random.default_rng(0), 0.0, 0.0
    mean, deviation = (np.array([c[k] for c in series["channels"]]) for k in ("mean", "deviation"))
    net.eval()
    for _ in range(windows):
        rows = random_walk(rng, series)
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as f:
            w = csv.writer(f)
            w.writerow(["step"] + [c["name"] for c in series["channels"]])
            w.writerows([i, *map(repr, map(float, row))] for i, row in enumerate(rows))
            f.flush()
            ours = fovea(args, "predict", args.model, f.name)["predictions"][0]["forecast"]
        ours = (np.array([c["values"] for c in ours]).T - mean) / deviation
        with torch.no_grad():
            theirs = net(torch.tensor((rows - mean) / deviation, dtype=torch.float32)[None])[0].numpy()
        worst, largest = max(worst, float(np.abs(ours - theirs).max())), max(largest, float(np.abs(theirs).max()))
    print(f"{meta['settings']['model']}: largest difference {worst:.2e} over {windows} forecasts (of magnitude {largest:.1f})")
    return worst


def torch_training(net, series, batch, steps):
    net.train()
    c = len(series["channels"])
    x, y = torch.randn(batch, series["past"], c), torch.randn(batch, series["horizon"], c)
    opt, times = torch.optim.AdamW(net.parameters(), lr=1e-5), []
    for i in range(steps + 2):
        began = time.perf_counter()
        opt.zero_grad(set_to_none=True)
        F.mse_loss(net(x), y).backward()
        opt.step()
        if i >= 2:
            times.append(time.perf_counter() - began)
    return batch / statistics.median(times)


def torch_prediction(net, series, times=100):
    net.eval()
    x, seconds = torch.randn(1, series["past"], len(series["channels"])), []
    with torch.inference_mode():
        for i in range(times + 10):
            began = time.perf_counter()
            net(x)
            if i >= 10:
                seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1e3


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--model", required=True)
    a.add_argument("--fovea", default="build/fovea")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--steps", type=int, default=10)
    a.add_argument("--check", action="store_true", help="compare the outputs, time nothing")
    a.add_argument("--save", action="store_true", help="append to bench/results.csv")
    args = a.parse_args()
    torch.set_num_threads(args.threads)
    path = args.model if args.model.endswith(".safetensors") else f"{args.model}/model.safetensors"
    net, meta = load(path)
    series, batch = meta["series"], int(meta["training"]["batch"])
    worst = check_forecasts(args, net, meta)
    if args.check:
        return 0 if worst <= 1e-4 else 1
    rows = {"train": ([], []), "predict": ([], [])}
    sets = [w for part in ("settings", "training") for k, v in meta[part].items() if v for w in ("--set", f"{k}={v}")]
    for _ in range(args.rounds):
        ours = fovea(args, "bench", "recipe", "forecast", "--data", meta["data"], "--threads", str(args.threads), "--steps",
                     str(args.steps), *sets)
        for key, mine, theirs in (("train", ours["samples_per_second"], torch_training(load(path)[0], series, batch, args.steps)),
                                  ("predict", ours["predict_milliseconds"], torch_prediction(load(path)[0], series))):
            rows[key][0].append(mine)
            rows[key][1].append(theirs)
    m = {k: [statistics.median(v) for v in pair] for k, pair in rows.items()}
    train, predict = m["train"][0] / m["train"][1], m["predict"][1] / m["predict"][0]
    name = meta["settings"]["model"]
    print(f"torch {torch.__version__}, {args.threads} threads, medians of {args.rounds} rounds")
    print(f"{name} training, batch {batch}: fovea {m['train'][0]:.0f} windows/s, torch {m['train'][1]:.0f}: ratio {train:.2f}")
    print(f"{name} prediction, batch 1: fovea {m['predict'][0]:.3f} ms, torch {m['predict'][1]:.3f} ms: ratio {predict:.2f}")
    if args.save:
        with open("bench/results.csv", "a", newline="") as f:
            w = csv.writer(f)
            day = datetime.date.today().isoformat()
            w.writerow([day, f"forecast {name} training batch {batch}", args.threads, f"{m['train'][0]:.0f} windows/s",
                        f"torch {torch.__version__} {m['train'][1]:.0f} windows/s", f"{train:.2f}"])
            w.writerow([day, f"forecast {name} prediction batch 1", args.threads, f"{m['predict'][0]:.3f} ms",
                        f"torch {torch.__version__} {m['predict'][1]:.3f} ms", f"{predict:.2f}"])
    return 0 if worst <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
