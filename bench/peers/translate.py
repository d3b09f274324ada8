# SPDX-License-Identifier: Apache-2.0
"""translate beside PyTorch: the same networks from the same file.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch numpy safetensors
    build/fovea train translate --data number-words --preset tiny --out /tmp/numbers
    /tmp/peer/bin/python bench/peers/translate.py --model /tmp/numbers --lines sentences.txt

Reads model.safetensors into torch.nn's own layers (Transformer, GRU, LSTM with the attention written out), lets fovea
translate the lines, the likeliest token each time, and feeds what it wrote to PyTorch as a target: the log probability
of every sentence must agree to 1e-4, and every token must be the likeliest there, too. Rotary positions are fovea's
alone.
"""
import argparse, json, math, os, subprocess, sys

import torch
from safetensors import safe_open
from torch import nn

BOS, EOS = 2, 3


def sinusoids(n, width):
    at = torch.arange(n, dtype=torch.float64)[:, None]
    angle = at * torch.pow(10000.0, -(torch.arange(width) // 2 * 2).double() / width)
    return torch.where(torch.arange(width) % 2 == 0, angle.sin(), angle.cos()).float()


class Tables(nn.Module):
    """Vectors of tokens, and logits."""

    def setup(self, s, v, joint):
        width = int(s["width"])
        self.scale = math.sqrt(width)
        if joint:
            self.embedding = nn.Embedding(v[0], width)
        else:
            self.encoder.embedding = nn.Embedding(v[0], width)
            self.decoder.embedding = nn.Embedding(v[1], width)
        self.output = nn.Module()
        self.output.bias = nn.Parameter(torch.zeros(v[1]))
        if s["tie"] != "true":
            self.output.weight = nn.Parameter(torch.zeros(v[1], width))

    def table(self, written):
        if hasattr(self, "embedding"):
            return self.embedding
        return (self.decoder if written else self.encoder).embedding

    def embed(self, tokens, written):
        return self.table(written)(tokens) * self.scale

    def logits(self, x):
        w = self.output.weight if hasattr(self.output, "weight") else self.table(True).weight
        return x @ w.T + self.output.bias


class Transformer(Tables):
    def __init__(self, s, v, joint, longest):
        super().__init__()
        width, heads, hidden, layers = (int(s[k]) for k in ("width", "heads", "hidden", "layers"))
        shape = dict(dim_feedforward=hidden, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(width, heads, **shape), layers,
                                             nn.LayerNorm(width), enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(width, heads, **shape), layers,
                                             nn.LayerNorm(width))
        assert s["positions"] != "rotary", "rotary positions are fovea's alone"
        if s["positions"] == "learned":
            self.encoder.positions = nn.Embedding(longest, width)
            self.decoder.positions = nn.Embedding(longest, width)
        self.setup(s, v, joint)

    def enter(self, tokens, written):
        side, x = self.decoder if written else self.encoder, self.embed(tokens, written)
        if hasattr(side, "positions"):
            return x + side.positions.weight[: x.shape[1]]
        return x + sinusoids(x.shape[1], x.shape[2])

    def forward(self, source, target):
        mask = torch.triu(torch.ones(target.shape[1], target.shape[1], dtype=torch.bool), 1)
        memory = self.encoder(self.enter(source, False))
        return self.logits(self.decoder(self.enter(target, True), memory, tgt_mask=mask))


class Recurrent(Tables):
    def __init__(self, s, v, joint, longest):
        super().__init__()
        self.gru = s["cell"] == "gru"
        width, hidden, layers = (int(s[k]) for k in ("width", "hidden", "layers"))
        k = hidden // 2 * 2
        kind, cell = (nn.GRU, nn.GRUCell) if self.gru else (nn.LSTM, nn.LSTMCell)
        self.encoder = kind(width, hidden // 2, layers, batch_first=True, bidirectional=True)
        d = self.decoder = nn.Module()
        d.cell = cell(width + (k if self.gru else width), hidden)
        d.attention, d.first = nn.Module(), nn.Module()
        d.first.h = nn.Linear(hidden // 2, hidden)
        if self.gru:
            d.attention.query = nn.Linear(hidden, hidden, bias=False)
            d.attention.key = nn.Linear(k, hidden, bias=False)
            d.attention.v = nn.Parameter(torch.zeros(hidden))
            self.readout = nn.Linear(hidden + k + width, width)
        else:
            d.attention.weight = nn.Parameter(torch.zeros(k, hidden))
            d.attention.combine = nn.Linear(k + hidden, width, bias=False)
            d.first.c = nn.Linear(hidden // 2, hidden)
        self.setup(s, v, joint)

    def step_gru(self, x, h, memory):
        a = self.decoder.attention
        score = torch.tanh(a.query(h)[:, None] + a.key(memory)) @ a.v
        found = (torch.softmax(score, 1)[:, :, None] * memory).sum(1)
        h = self.decoder.cell(torch.cat([x, found], 1), h)
        return h, torch.tanh(self.readout(torch.cat([h, found, x], 1)))

    def step_lstm(self, x, state, memory):
        h, c, feed = state
        a = self.decoder.attention
        h, c = self.decoder.cell(torch.cat([x, feed], 1), (h, c))
        score = (memory @ a.weight * h[:, None]).sum(2)
        found = (torch.softmax(score, 1)[:, :, None] * memory).sum(1)
        feed = torch.tanh(a.combine(torch.cat([found, h], 1)))
        return (h, c, feed), feed

    def forward(self, source, target):
        memory, first = self.encoder(self.embed(source, False))[0], self.decoder.first
        summary = memory[:, 0, memory.shape[2] // 2 :]
        state = torch.tanh(first.h(summary))
        if not self.gru:
            state = (state, torch.tanh(first.c(summary)), torch.zeros(len(source), self.table(True).weight.shape[1]))
        step, outs = self.step_gru if self.gru else self.step_lstm, []
        for x in self.embed(target, True).unbind(1):
            state, out = step(x, state, memory)
            outs.append(out)
        return self.logits(torch.stack(outs, 1))


def load(path):
    with safe_open(path, "pt") as f:
        meta = json.loads(f.metadata()["fovea"])
        state = {k: f.get_tensor(k) for k in f.keys()}
    s, joint = meta["settings"], meta["training"]["joint"] == "true"
    v = [len(json.loads(t)["model"]["vocab"]) for t in meta["tokenizers"]]
    net = (Transformer if s["cell"] == "transformer" else Recurrent)(s, v, joint, meta["lengths"][-1])
    net.load_state_dict(state)
    return net.eval()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--fovea", default="build/fovea")
    p.add_argument("--model", required=True)
    p.add_argument("--lines", required=True, help="a file with a sentence a line")
    a = p.parse_args()
    path = os.path.join(a.model, "model.safetensors") if os.path.isdir(a.model) else a.model
    net = load(path)
    said = subprocess.run([a.fovea, "predict", path, a.lines, "--json", "--tokens", "--set", "beam=1", "--set",
                           "penalty=0"], capture_output=True, text=True, check=True).stdout
    worst, other = 0.0, 0
    entries = json.loads(said)["predictions"]
    with torch.no_grad():
        for e in entries:
            ids = e["ids"][:-1] if e["ids"][-1] == EOS else e["ids"]
            log_p = torch.log_softmax(net(torch.tensor([e["source_ids"]]), torch.tensor([[BOS] + ids]))[0], 1)
            want = torch.tensor(e["ids"])
            log_p = log_p[: len(want)]
            log_p[:, 0] = log_p[:, BOS] = -math.inf  # never written
            best = log_p.max(1)[0] - log_p[range(len(want)), want]
            other += int((best > 1e-4).any())
            worst = max(worst, abs(log_p[range(len(want)), want].sum().item() - e["score"]))
    print(f"{len(entries)} sentences: log probabilities differ by at most {worst:.2e}; {other} with another token")
    return int(worst > 1e-4 or other > 0)


if __name__ == "__main__":
    sys.exit(main())
