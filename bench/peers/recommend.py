# SPDX-License-Identifier: Apache-2.0
"""recommend beside PyTorch: the same network from the same file.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch numpy safetensors
    build/fovea train recommend --epochs 1 --out /tmp/din
    /tmp/peer/bin/python bench/peers/recommend.py --model /tmp/din --ratings u.data --threads 2

u.data is MovieLens 100K's file of ratings (user, item, rating, time). Reads model.safetensors with its catalogue, checks that the
logits of all films a few users have not rated agree to 1e-4, then times training (AdamW, sparse gradients for the tables) on batches of histories of the
greatest length, as `fovea bench recipe` does, and prediction of one item, of both in turn, several rounds, and prints
medians and ratios. Appends to bench/results.csv with --save.
"""
import argparse, csv, datetime, json, statistics, subprocess, sys, time

import torch
from safetensors import safe_open
from torch import nn


class Dice(nn.Module):
    """The running statistics follow PyTorch's way, as fovea's do."""

    def __init__(self, n):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(n))
        self.register_buffer("running_mean", torch.zeros(n))
        self.register_buffer("running_var", torch.ones(n))

    def forward(self, x):
        y = nn.functional.batch_norm(x, self.running_mean, self.running_var, None, None, self.training, 0.1, 1e-5)
        p = torch.sigmoid(y)
        return x * (p + (1 - p) * self.alpha)


def mean(x, there):
    there = there.to(x.dtype)
    return (there[..., None] * x).sum(-2) / there.sum(-1, keepdim=True).clamp(min=1)


class Net(nn.Module):
    def __init__(self, s, sizes, n_traits):
        super().__init__()
        width, small = int(s["width"]), int(s["small"])
        self.pool, self.p = s["pool"], float(s["dropout"])
        table = lambda name, w: nn.Embedding(sizes[name], w, padding_idx=0, sparse=True)
        self.user, self.item = table("user", width), table("item", width)
        self.level, self.kind, self.trait = table("level", small), table("kind", small), table("trait", small)
        e = width + 2 * small
        if self.pool == "target":
            hidden = int(s["attention"])
            self.interest = nn.Sequential(nn.Linear(4 * e, hidden), nn.Sigmoid(), nn.Linear(hidden, 1))
        n, self.layers, self.dice = width + n_traits * small + 3 * e, nn.ModuleList(), nn.ModuleList()
        for h in (int(h) for h in s["hidden"].split(",")):
            self.layers.append(nn.Linear(n, h))
            self.dice.append(Dice(h))
            n = h
        self.answer = nn.Linear(n, 1)

    def forward(self, user, traits, items, kinds, levels):
        """items [n,1+T]: the one asked about, then the history; likewise kinds [n,1+T,K] and levels, 1 for the former."""
        x = torch.cat([self.item(items), mean(self.kind(kinds), kinds != 0), self.level(levels)], -1)
        asked, history, mask = x[:, 0], x[:, 1:], items[:, 1:] != 0
        if self.pool == "target":
            t = asked[:, None].expand_as(history)
            weight = self.interest(torch.cat([history, t, history - t, history * t], -1))[..., 0] * mask
            past = (weight[..., None] * history).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        else:
            past = mean(history, mask)
        y = torch.cat([self.user(user), self.trait(traits).flatten(1), past, asked, past * asked], -1)
        for layer, dice in zip(self.layers, self.dice):
            y = nn.functional.dropout(dice(layer(y)), self.p, self.training)
        return self.answer(y)[:, 0]


def load(path):
    with safe_open(path, "pt") as f:
        meta = json.loads(f.metadata()["fovea"])
        state = {k: f.get_tensor(k) for k in f.keys()}
    sizes = {k[: -len(".weight")]: v.shape[0] for k, v in state.items() if k.count(".") == 1 and k != "answer.weight"}
    net = Net(meta["settings"], sizes, len(meta["catalogue"]["traits"]))
    net.load_state_dict(state)
    return net, meta


def fovea(args, *words):
    return json.loads(subprocess.run([args.fovea, *words, "--json"], check=True, capture_output=True, text=True).stdout)


def questions(meta, ratings, user, traits, items):
    """What is asked: each of `items` (their places in the catalogue) after all that the user has rated."""
    c, longest = meta["catalogue"], meta["lengths"][-1]
    place = {item[0]: i for i, item in enumerate(c["items"])}
    row = lambda i: i + 2 if i < c["items_trained"] else 1
    like, dislike = float(meta["training"]["like"]), float(meta["training"]["dislike"])
    level = lambda r: 4 if r >= like else 2 if r <= dislike else 3
    past = sorted((r for r in ratings if r[0] == user), key=lambda r: r[3])[-longest:]
    kinds = [c["items"][place[r[1]]][2:] for r in past]
    n = len(items)
    return (torch.tensor([c["users"].index(user) + 2 if user in c["users"] else 1] * n), traits.expand(n, -1),
            torch.tensor([[row(i)] + [row(place[r[1]]) for r in past] for i in items]),
            torch.tensor([[c["items"][i][2:]] + kinds for i in items]),
            torch.tensor([[1] + [level(r[2]) for r in past]] * n))


def people(meta, path):
    """Rows of the traits of each user of u.user, which lies beside u.data."""
    values = {v: i + 2 for i, v in enumerate(meta["catalogue"]["trait_values"])}
    ages = [(17, "0-17"), (24, "18-24"), (34, "25-34"), (44, "35-44"), (49, "45-49"), (55, "50-55"), (200, "56+")]
    rows = {}
    for line in open(path):
        user, age, gender, job, _ = line.split("|")
        age = next(name for most, name in ages if int(age) <= most)
        rows[user] = torch.tensor([[values.get(v, 1) for v in (f"age={age}", f"gender={gender}", f"occupation={job}")]])
    return rows


def check_logits(args, net, meta, ratings, traits):
    c, worst, n, largest = meta["catalogue"], 0.0, 0, 0.0
    place = {item[0]: i for i, item in enumerate(c["items"])}
    net.eval()
    for user in args.users.split(","):
        (ours,) = fovea(args, "predict", args.model, f"user:{user}", "--top", "100")["predictions"]
        items = [place[t["item"]] for t in ours["top"]]
        with torch.no_grad():
            theirs = net(*questions(meta, ratings, user, traits[user], items))
        worst = max(worst, float((theirs - torch.tensor([t["score"] for t in ours["top"]])).abs().max()))
        largest, n = max(largest, float(theirs.abs().max())), n + len(items)
    print(f"logits: largest difference {worst:.2e} over {n} questions (of magnitude {largest:.1f})")
    return worst


def torch_training(net, meta, batch, steps):
    c, longest = meta["catalogue"], meta["lengths"][-1]
    draw = lambda high, *shape: torch.randint(2, high, shape)
    kinds, traits = len(c["items"][0]) - 2, len(c["traits"])
    data = (draw(len(c["users"]) + 2, batch), draw(len(c["trait_values"]) + 2, batch, traits),
            draw(c["items_trained"] + 2, batch, 1 + longest), draw(len(c["kinds"]) + 2, batch, 1 + longest, kinds),
            draw(5, batch, 1 + longest))
    liked = torch.randint(0, 2, (batch,)).float()
    tables = [m.weight for m in net.modules() if isinstance(m, nn.Embedding)]
    rest = [p for p in net.parameters() if all(p is not t for t in tables)]
    optimizers = [torch.optim.AdamW(rest, lr=1e-5), torch.optim.SparseAdam(tables, lr=1e-5)]
    net.train()
    for i in range(steps + 3):
        if i == 3:
            began = time.perf_counter()
        for o in optimizers:
            o.zero_grad(set_to_none=True)
        nn.functional.binary_cross_entropy_with_logits(net(*data), liked).backward()
        for o in optimizers:
            o.step()
    return steps * batch / (time.perf_counter() - began)


def torch_prediction(net, question, times=200):
    net.eval()
    seconds = []
    with torch.inference_mode():
        for i in range(times + 20):
            began = time.perf_counter()
            torch.sigmoid(net(*question))
            if i >= 20:
                seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1e3


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--model", required=True)
    a.add_argument("--ratings", required=True, help="u.data, with u.user beside it")
    a.add_argument("--users", default="1,196,405,900")
    a.add_argument("--fovea", default="build/fovea")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--steps", type=int, default=60)
    a.add_argument("--save", action="store_true", help="append to bench/results.csv")
    args = a.parse_args()
    torch.set_num_threads(args.threads)
    path = args.model if args.model.endswith(".safetensors") else f"{args.model}/model.safetensors"
    net, meta = load(path)
    ratings = [(u, i, float(r), int(t)) for u, i, r, t in (line.split() for line in open(args.ratings))]
    traits = people(meta, args.ratings.replace("u.data", "u.user"))
    worst = check_logits(args, net, meta, ratings, traits)
    batch, user = int(meta["training"]["batch"]), args.users.split(",")[0]
    sets = [w for k, v in meta["settings"].items() if v for w in ("--set", f"{k}={v}")] + ["--set", f"batch={batch}"]
    took = {k: [] for k in ("fovea", "torch", "fovea predict", "torch predict")}
    for _ in range(args.rounds):
        ours = fovea(args, "bench", "recipe", meta["recipe"], "--data", meta["data"], "--threads", str(args.threads),
                     "--runs", str(args.steps), *sets)
        took["fovea"].append(ours["samples_per_second"])
        took["fovea predict"].append(ours["predict_milliseconds"])
        took["torch"].append(torch_training(load(path)[0], meta, batch, args.steps))
        took["torch predict"].append(torch_prediction(net, questions(meta, ratings, user, traits[user], [0])))
    m = {k: statistics.median(v) for k, v in took.items()}
    train, predict = m["fovea"] / m["torch"], m["torch predict"] / m["fovea predict"]
    print(f"torch {torch.__version__}, {args.threads} threads, medians of {args.rounds} rounds, {meta['recipe']} {meta['data']}")
    print(f"training, batch {batch}: fovea {m['fovea']:.0f} samples/s, torch {m['torch']:.0f}: ratio {train:.2f}")
    print(f"prediction, one item: fovea {m['fovea predict']:.3f} ms, torch {m['torch predict']:.3f} ms: ratio {predict:.2f}")
    if args.save:
        with open("bench/results.csv", "a", newline="") as f:
            w = csv.writer(f)
            day, name = datetime.date.today().isoformat(), f"{meta['recipe']} {meta['data']} {meta['settings']['pool']}"
            w.writerow([day, f"{name} training batch {batch}", args.threads, f"{m['fovea']:.0f} samples/s",
                        f"torch {torch.__version__} {m['torch']:.0f} samples/s", f"{train:.2f}"])
            w.writerow([day, f"{name} prediction batch 1", args.threads, f"{m['fovea predict']:.3f} ms",
                        f"torch {torch.__version__} {m['torch predict']:.3f} ms", f"{predict:.2f}"])
    return 0 if worst <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
