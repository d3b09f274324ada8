# SPDX-License-Identifier: Apache-2.0
"""translate beside PyTorch: the same networks from the same file.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch numpy safetensors tokenizers
    build/fovea train translate --preset gru --epochs 1 --out /tmp/gru                            also transformer, lstm
    /tmp/peer/bin/python bench/peers/translate.py --model /tmp/gru --lines test.de --targets test.en --check
    /tmp/peer/bin/python bench/peers/translate.py --model /tmp/gru --lines train.de --targets train.en --threads 2 --save

Reads model.safetensors into torch.nn's own layers (Transformer, GRU, LSTM with the attention written out). First every
logit of the given translations of some sentences, and every token of what both write, the likeliest each time and by beam
search: logits must agree to 1e-4. Rotary positions are fovea's alone.

Then training (AdamW, the model's own batch) and translating one sentence at a time, of both in turn, several rounds. Batches
hold sentences of like length on both sides; PyTorch's are padded to their own longest, fovea's to one of a few lengths.
A translation of fovea's is a line through a pipe to `fovea predict MODEL -`, with cutting it into tokens and putting it
together; PyTorch's begins with tokens and ends with them, with what was computed once for the source kept, and keys and
values of earlier places in caches. --compile adds PyTorch's compiler, for a Transformer's whole network and for a step of the
others; it needs a C++ compiler and minutes.
"""
import itertools, math, random, statistics, subprocess, sys, tempfile

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F

import common

PAD, BOS, EOS = 0, 2, 3


def sinusoids(n, width):
    at = torch.arange(n, dtype=torch.float64)[:, None]
    angle = at * torch.pow(10000.0, -(torch.arange(width) // 2 * 2).double() / width)
    return torch.where(torch.arange(width) % 2 == 0, angle.sin(), angle.cos()).float()


class Tables(nn.Module):
    """Vectors of tokens, and logits."""

    def setup(self, s, v, joint):
        width = int(s["width"])
        self.scale, self.rate = math.sqrt(width), float(s["dropout"])
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

    def drop(self, x):
        return F.dropout(x, self.rate, self.training)

    def logits(self, x):
        w = self.output.weight if hasattr(self.output, "weight") else self.table(True).weight
        return F.linear(x, w, self.output.bias)


class Transformer(Tables):
    def __init__(self, s, v, joint, longest):
        super().__init__()
        width, self.heads, hidden, layers = (int(s[k]) for k in ("width", "heads", "hidden", "layers"))
        shape = dict(dim_feedforward=hidden, dropout=float(s["dropout"]), batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(width, self.heads, **shape), layers,
                                             nn.LayerNorm(width), enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(width, self.heads, **shape), layers,
                                             nn.LayerNorm(width))
        assert s["positions"] != "rotary", "rotary positions are fovea's alone"
        if s["positions"] == "learned":
            self.encoder.positions = nn.Embedding(longest, width)
            self.decoder.positions = nn.Embedding(longest, width)
        self.angles = sinusoids(longest, width)
        self.setup(s, v, joint)

    def enter(self, tokens, written, place=0):
        side, x = self.decoder if written else self.encoder, self.embed(tokens, written)
        places = side.positions.weight if hasattr(side, "positions") else self.angles
        return self.drop(x + places[place : place + x.shape[1]])

    def forward(self, source, target):
        pad, n = source == PAD, target.shape[1]
        mask = torch.full((n, n), float("-inf")).triu(1)
        memory = self.encoder(self.enter(source, False), src_key_padding_mask=pad)
        x = self.decoder(self.enter(target, True), memory, tgt_mask=mask, tgt_is_causal=True, memory_key_padding_mask=pad)
        return self.logits(x)

    # ---- a token at a time: one sentence, a row for each hypothesis
    def apart(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def begin(self, source, rows, limit):
        memory = self.encoder(self.enter(source, False))
        self.kept, self.caches = [], []
        for layer in self.decoder.layers:
            w, b = layer.multihead_attn.in_proj_weight, layer.multihead_attn.in_proj_bias
            e = memory.shape[2]
            k, v = F.linear(memory, w[e:], b[e:]).chunk(2, -1)
            self.kept.append(tuple(self.apart(x).expand(rows, -1, -1, -1) for x in (k, v)))
            self.caches.append(tuple(memory.new_zeros(rows, self.heads, limit, e // self.heads) for _ in "kv"))

    def go_on(self, parents):
        self.caches = [tuple(x[parents] for x in pair) for pair in self.caches]

    def attend(self, q, k, v, projection):
        y = F.scaled_dot_product_attention(self.apart(q), k, v)
        return projection(y.transpose(1, 2).reshape(q.shape))

    def step(self, tokens, t):
        x = self.enter(tokens[:, None], True, t)
        for layer, kept, (ks, vs) in zip(self.decoder.layers, self.kept, self.caches):
            own, other, e = layer.self_attn, layer.multihead_attn, x.shape[2]
            q, k, v = F.linear(layer.norm1(x), own.in_proj_weight, own.in_proj_bias).chunk(3, -1)
            ks[:, :, t : t + 1], vs[:, :, t : t + 1] = self.apart(k), self.apart(v)
            x = x + self.attend(q, ks[:, :, : t + 1], vs[:, :, : t + 1], own.out_proj)
            q = F.linear(layer.norm2(x), other.in_proj_weight[:e], other.in_proj_bias[:e])
            x = x + self.attend(q, *kept, other.out_proj)
            x = x + layer.linear2(F.relu(layer.linear1(layer.norm3(x))))
        return self.logits(self.decoder.norm(x))[:, 0]


class Recurrent(Tables):
    def __init__(self, s, v, joint, longest):
        super().__init__()
        self.gru = s["cell"] == "gru"
        width, hidden, layers = (int(s[k]) for k in ("width", "hidden", "layers"))
        k = hidden // 2 * 2
        kind, cell = (nn.GRU, nn.GRUCell) if self.gru else (nn.LSTM, nn.LSTMCell)
        self.encoder = kind(width, hidden // 2, layers, batch_first=True, bidirectional=True,
                            dropout=float(s["dropout"]) * (layers > 1))
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
        self.one = self.one_gru if self.gru else self.one_lstm

    def encode(self, source):
        """What the steps need, and the first state. Only packed sequences are right for shorter sentences of a batch."""
        mask, x = source != PAD, self.drop(self.embed(source, False))
        if bool(mask.all()):
            memory = self.encoder(x)[0]
        else:
            p = nn.utils.rnn.pack_padded_sequence(x, mask.sum(1), batch_first=True, enforce_sorted=False)
            memory = nn.utils.rnn.pad_packed_sequence(self.encoder(p)[0], batch_first=True, total_length=x.shape[1])[0]
        memory, first, a = self.drop(memory), self.decoder.first, self.decoder.attention
        summary = memory[:, 0, memory.shape[2] // 2 :]
        projected = a.key(memory) if self.gru else memory @ a.weight
        bias = torch.zeros(mask.shape).masked_fill(~mask, float("-inf"))
        state = (torch.tanh(first.h(summary)),)
        if not self.gru:
            state += (torch.tanh(first.c(summary)), summary.new_zeros(len(source), self.table(True).weight.shape[1]))
        return (memory, projected, bias), state

    def one_gru(self, x, state, memory, projected, bias):
        a, (h,) = self.decoder.attention, state
        score = torch.tanh(a.query(h)[:, None] + projected) @ a.v + bias
        found = torch.bmm(torch.softmax(score, 1)[:, None], memory)[:, 0]
        h = self.decoder.cell(torch.cat([x, found], 1), h)
        return (h,), torch.cat([h, found, x], 1)

    def one_lstm(self, x, state, memory, projected, bias):
        h, c, feed = state
        h, c = self.decoder.cell(torch.cat([x, feed], 1), (h, c))
        score = torch.bmm(projected, h[:, :, None])[:, :, 0] + bias
        found = torch.bmm(torch.softmax(score, 1)[:, None], memory)[:, 0]
        feed = torch.tanh(self.decoder.attention.combine(torch.cat([found, h], 1)))
        return (h, c, feed), feed

    def read_out(self, x):
        return self.logits(self.drop(torch.tanh(self.readout(x)) if self.gru else x))

    def forward(self, source, target):
        read, state = self.encode(source)
        outs = []
        for x in self.drop(self.embed(target, True)).unbind(1):
            state, out = self.one(x, state, *read)
            outs.append(out)
        return self.read_out(torch.stack(outs, 1))

    # ---- a token at a time
    def begin(self, source, rows, limit):
        self.read, self.state = (tuple(x.expand(rows, *x.shape[1:]) for x in part) for part in self.encode(source))

    def go_on(self, parents):
        self.state = tuple(x[parents] for x in self.state)

    def step(self, tokens, t):
        self.state, out = self.one(self.embed(tokens, True), self.state, *self.read)
        return self.read_out(out)


def load(path):
    meta, state = common.read_model(path)
    s, joint = meta["settings"], meta["training"]["joint"] == "true"
    v = [Tokenizer.from_str(t).get_vocab_size() for t in meta["tokenizers"]]
    kind = Transformer if s["cell"] == "transformer" else Recurrent
    return common.fill(kind(s, v, joint, meta["lengths"][-1]), state).eval(), meta


def padded(rows):
    return nn.utils.rnn.pad_sequence([torch.tensor(r) for r in rows], batch_first=True)


# ---- writing -------------------------------------------------------------------------------------------------------------------
def greedy(net, source, limit):
    net.begin(source, 1, limit)
    ids = []
    for t in range(limit):
        logits = net.step(torch.tensor([ids[-1] if ids else BOS]), t)[0]
        logits[PAD] = logits[BOS] = -math.inf
        ids.append(int(logits.argmax()))
        if ids[-1] == EOS:
            break
    return ids


def beam_search(net, source, limit, beam, penalty):
    """As fovea does: of the ranked continuations those among the first `beam` that are <eos> have ended."""
    net.begin(source, beam, limit)
    worth = lambda score, n: score / ((5 + n) / 6) ** penalty
    score = torch.tensor([0.0] + [-math.inf] * (beam - 1))
    texts, best, ended, found = [[BOS]] * beam, -math.inf, 0, None
    for t in range(limit):
        log_p = torch.log_softmax(net.step(torch.tensor([x[-1] for x in texts]), t), 1)
        log_p[:, PAD] = log_p[:, BOS] = -math.inf
        top, at = (score[:, None] + log_p).flatten().topk(2 * beam)
        kept = []
        for rank, (p, i) in enumerate(zip(top.tolist(), at.tolist())):
            parent, token = divmod(i, log_p.shape[1])
            if token != EOS and len(kept) < beam:
                kept.append((p, parent, token))
            elif token == EOS and rank < beam:
                ended += 1
                if worth(p, t + 1) > best:
                    best, found = worth(p, t + 1), texts[parent][1:] + [EOS]
        if ended >= beam or best >= worth(kept[0][0], limit):
            break
        score, parents = torch.tensor([p for p, _, _ in kept]), [parent for _, parent, _ in kept]
        texts = [texts[parent] + [token] for _, parent, token in kept]
        net.go_on(torch.tensor(parents))
    return found or texts[0][1:]


def limit_of(meta, ids):
    """As many tokens as fovea writes at most."""
    length = next(n for n in meta["lengths"] if n >= min(len(ids), meta["lengths"][-1]))
    return min(meta["lengths"][-1] - 1, 2 * length + 8)


@torch.inference_mode()
def write(net, meta, ids, beam):
    source, limit = torch.tensor([ids]), limit_of(meta, ids)
    return greedy(net, source, limit) if beam == 1 else beam_search(net, source, limit, beam, float(meta["training"]["penalty"]))


# ---- agreement -----------------------------------------------------------------------------------------------------------------
def predict(args, lines, *more):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as f:
        f.write("".join(line + "\n" for line in lines))
        f.flush()
        return common.fovea(args, "predict", args.model, f.name, "--tokens", "--threads", args.threads, *more)["predictions"]


def check_logits(args, net, meta, pairs):
    """All logits at all places of the targets, of sentences by themselves and of all in one batch."""
    vocabulary = net.output.bias.shape[0]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as f:
        f.write("".join(target + "\n" for _, target in pairs))
        f.flush()
        ours = predict(args, [source for source, _ in pairs], "--target", f.name, "--top", vocabulary)
    worst, largest, count = 0.0, 0.0, 0
    together = net(padded([e["source_ids"] for e in ours]), padded([[BOS] + e["ids"][:-1] for e in ours]))
    for e, batched in zip(ours, together):
        alone = net(torch.tensor([e["source_ids"]]), torch.tensor([[BOS] + e["ids"][:-1]]))[0]
        for t, top in enumerate(e["top"]):
            mine = torch.empty(vocabulary)
            mine[[c["id"] for c in top]] = torch.tensor([c["score"] for c in top])
            assert len(top) == vocabulary
            worst = max(worst, *(float((mine - theirs[t]).abs().max()) for theirs in (alone, batched)))
            largest, count = max(largest, float(mine.abs().max())), count + vocabulary
    print(f"logits: largest difference {worst:.2e} over {count} of {len(ours)} sentences (of magnitude {largest:.1f})")
    return worst <= 1e-4


def check_written(args, net, meta, lines):
    same = True
    for beam in (1, 5):
        ours = predict(args, lines, "--set", f"beam={beam}")
        other = sum(write(net, meta, e["source_ids"], beam) != e["ids"] for e in ours)
        print(f"written with beam {beam}: {other} of {len(ours)} sentences differ")
        same &= other == 0
    return same


def agreement(args, net, meta, pairs):
    with torch.inference_mode():
        return check_logits(args, net, meta, pairs[:8]) and check_written(args, net, meta, [a for a, _ in pairs[:24]])


# ---- times ---------------------------------------------------------------------------------------------------------------------
def batches_of(meta, pairs, most=20000):
    """Sentences of like length together, as tokens."""
    read, write = (Tokenizer.from_str(t) for t in meta["tokenizers"])
    longest, batch = meta["lengths"][-1], int(meta["training"]["batch"])
    pairs = random.Random(0).sample(pairs, min(len(pairs), most))
    sources = [e.ids[: longest - 1] + [EOS] for e in read.encode_batch([a for a, _ in pairs])]
    targets = [[BOS] + e.ids[: longest - 2] + [EOS] for e in write.encode_batch([b for _, b in pairs])]
    rows = sorted(zip(sources, targets), key=lambda r: (max(map(len, r)), len(r[0])))
    tokens = statistics.fmean(len(target) - 1 for _, target in rows)
    cut = [rows[i : i + batch] for i in range(0, len(rows) - batch + 1, batch)]
    random.Random(1).shuffle(cut)
    return [tuple(padded(side) for side in zip(*rows)) for rows in cut], tokens


def torch_training(args, meta, batches, compiled):
    net = load(args.model)[0].train()
    batch, training = int(meta["training"]["batch"]), meta["training"]
    if compiled:
        compile_steps(net)
    run = net.compiled if compiled and isinstance(net, Transformer) else net
    opt = torch.optim.AdamW(net.parameters(), lr=1e-5, fused=True)
    order = itertools.cycle(batches)

    def step():
        source, target = next(order)
        opt.zero_grad(set_to_none=True)
        logits = run(source, target[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD,
                        label_smoothing=float(training["label_smoothing"])).backward()
        nn.utils.clip_grad_norm_(net.parameters(), float(training["clip"]))
        opt.step()

    warm = 20 if compiled else 3  # it is compiled anew for some lengths
    return batch * args.steps / sum(common.seconds_of(step, args.steps, warm))


def compile_steps(net):
    torch._dynamo.reset()
    if isinstance(net, Transformer):
        net.compiled = torch.compile(net, dynamic=True)
    else:
        net.one = torch.compile(net.one, dynamic=True)


def torch_prediction(net, meta, sentences, beam):
    return statistics.fmean(common.median_ms(lambda: write(net, meta, ids, beam), 3, 1) for ids in sentences)


def fovea_prediction(args, lines, beam):
    words = [args.fovea, "predict", args.model, "-", "--threads", str(args.threads), "--set", f"beam={beam}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as p:

        def ask(line):
            p.stdin.write(line + "\n")
            p.stdin.flush()
            assert p.stdout.readline()

        return statistics.fmean(common.median_ms(lambda: ask(line), 3, 1) for line in lines)


def measure(args, net, meta, pairs):
    lines = [a for a, _ in pairs[: args.sentences]]
    tokenizer, longest = Tokenizer.from_str(meta["tokenizers"][0]), meta["lengths"][-1]
    sentences = [tokenizer.encode(line).ids[: longest - 1] + [EOS] for line in lines]
    batches, tokens = batches_of(meta, pairs)
    sides = {"fovea": lambda: common.bench_recipe(args, meta, "--runs", args.steps),
             "torch": lambda: torch_training(args, meta, batches, False)}
    if args.compile:
        sides["torch compiled"] = lambda: torch_training(args, meta, batches, True)
    for beam in (1, 5):
        sides[f"fovea beam {beam}"] = lambda beam=beam: fovea_prediction(args, lines, beam)
        sides[f"torch beam {beam}"] = lambda beam=beam: torch_prediction(net, meta, sentences, beam)
    m = common.in_turn(args.rounds, sides)
    batch, name = int(meta["training"]["batch"]), f"translate {meta['data']} {meta['settings']['cell']}"
    ours, best = m["samples_per_second"], max(m["torch"], m.get("torch compiled", 0))
    compiled = f", compiled {m['torch compiled']:.0f}" if args.compile else ""
    print(f"torch {torch.__version__}, {args.threads} threads, medians of {args.rounds} rounds, {name}")
    print(f"training, batch {batch}: fovea {ours:.0f} sentences/s ({ours * tokens:.0f} written tokens/s), torch {m['torch']:.0f}"
          f"{compiled}: ratio {ours / best:.2f}")
    rows = [common.row(f"{name} training batch {batch}", args.threads, f"{ours:.0f} sentences/s", f"{best:.0f} sentences/s",
                       ours / best)]
    for beam in (1, 5):
        mine, theirs = m[f"fovea beam {beam}"], m[f"torch beam {beam}"]
        print(f"one sentence, beam {beam}: fovea {mine:.2f} ms, torch {theirs:.2f} ms: ratio {theirs / mine:.2f}")
        rows.append(common.row(f"{name} one sentence beam {beam}", args.threads, f"{mine:.2f} ms", f"{theirs:.2f} ms",
                               theirs / mine))
    return rows


def main():
    a = common.parser(__doc__)
    a.add_argument("--model", required=True)
    a.add_argument("--lines", required=True, help="a file with a sentence a line, of the kind the model reads")
    a.add_argument("--targets", required=True, help="their translations")
    a.add_argument("--steps", type=int, default=40, help="of training, a round")
    a.add_argument("--sentences", type=int, default=20, help="translated one at a time")
    a.add_argument("--compile", action="store_true", help="also with PyTorch's compiler, for training")
    args = a.parse_args()
    torch.set_num_threads(args.threads)
    net, meta = load(args.model)
    pairs = list(zip(*(open(path, encoding="utf-8").read().splitlines() for path in (args.lines, args.targets))))
    return common.compare(args, lambda: agreement(args, net, meta, pairs), lambda: measure(args, net, meta, pairs))


if __name__ == "__main__":
    sys.exit(main())
