# SPDX-License-Identifier: Apache-2.0
"""forecast beside PyTorch: the same three networks from the same files.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch numpy safetensors
    build/fovea train forecast --preset patchtst --data etth1 --epochs 1 --out /tmp/forecast      also dlinear, darnn
    /tmp/peer/bin/python bench/peers/forecast.py --model /tmp/forecast --check                    outputs alone
    /tmp/peer/bin/python bench/peers/forecast.py --model /tmp/forecast --threads 2 --save         and times

Reads model.safetensors, checks that the forecasts of random walks agree to 1e-4 of a channel's deviation, then times training
steps (the model's own batch, AdamW) and batch-1 prediction of both in turn, several rounds, and prints medians and ratios.
"""
import csv, statistics, sys, tempfile

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import common


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
    meta, state = common.read_model(path)
    s, series = meta["settings"], meta["series"]
    kind = {"dlinear": DLinear, "patchtst": PatchTST, "darnn": DARNN}[s["model"]]
    net = kind(s, series["past"], series["horizon"], len(series["channels"]))
    common.fill(net, {name.replace("decoder.input.", "decoder_input."): v for name, v in state.items()})
    return Normalised(net, s["normalise"] == "true"), meta


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
            ours = common.fovea(args, "predict", args.model, f.name)["predictions"][0]["forecast"]
        ours = (np.array([c["values"] for c in ours]).T - mean) / deviation
        with torch.no_grad():
            theirs = net(torch.tensor((rows - mean) / deviation, dtype=torch.float32)[None])[0].numpy()
        worst, largest = max(worst, float(np.abs(ours - theirs).max())), max(largest, float(np.abs(theirs).max()))
    print(f"{meta['settings']['model']}: largest difference {worst:.2e} over {windows} forecasts (of magnitude {largest:.1f})")
    return worst <= 1e-4


def torch_training(net, series, batch, steps):
    net.train()
    c = len(series["channels"])
    x, y = torch.randn(batch, series["past"], c), torch.randn(batch, series["horizon"], c)
    opt = torch.optim.AdamW(net.parameters(), lr=1e-5)

    def step():
        opt.zero_grad(set_to_none=True)
        F.mse_loss(net(x), y).backward()
        opt.step()

    return batch / statistics.median(common.seconds_of(step, steps, 2))


@torch.inference_mode()
def torch_prediction(net, series):
    net.eval()
    x = torch.randn(1, series["past"], len(series["channels"]))
    return common.median_ms(lambda: net(x), 100, 10)


def measure(args, meta):
    series, batch, name = meta["series"], int(meta["training"]["batch"]), meta["settings"]["model"]
    m = common.in_turn(args.rounds, {
        "fovea": lambda: common.bench_recipe(args, meta, "--runs", args.steps),
        "torch": lambda: torch_training(load(args.model)[0], series, batch, args.steps),
        "torch predict": lambda: torch_prediction(load(args.model)[0], series)})
    return common.recipe_rows(args, f"forecast {name}", "windows", batch, m)


def main():
    a = common.parser(__doc__)
    a.add_argument("--model", required=True)
    a.add_argument("--steps", type=int, default=10)
    args = a.parse_args()
    torch.set_num_threads(args.threads)
    net, meta = load(args.model)
    return common.compare(args, lambda: check_forecasts(args, net, meta), lambda: measure(args, meta))


if __name__ == "__main__":
    sys.exit(main())
