# SPDX-License-Identifier: Apache-2.0
"""recommend beside PyTorch: the same network from the same file.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch numpy safetensors
    build/fovea train recommend --epochs 1 --out /tmp/din
    /tmp/peer/bin/python bench/peers/recommend.py --model /tmp/din --ratings u.data --threads 2

u.data is MovieLens 100K's file of ratings (user, item, rating, time). Reads model.safetensors with its catalogue, checks that the
logits of the films a few users have not rated agree to 1e-4, then times training (AdamW, sparse gradients for the tables) on
batches of histories of the greatest length, as `fovea bench recipe` does, and prediction of one item, of both in turn, several
rounds, and prints medians and ratios. Appends to bench/results.csv with --save.
"""
import statistics, sys

import torch
from torch import nn

import common


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
    meta, state = common.read_model(path)
    sizes = {k[: -len(".weight")]: v.shape[0] for k, v in state.items() if k.count(".") == 1 and k != "answer.weight"}
    return common.fill(Net(meta["settings"], sizes, len(meta["catalogue"]["traits"])), state), meta


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
        (ours,) = common.fovea(args, "predict", args.model, f"user:{user}", "--top", "100")["predictions"]
        items = [place[t["item"]] for t in ours["top"]]
        with torch.no_grad():
            theirs = net(*questions(meta, ratings, user, traits[user], items))
        worst = max(worst, float((theirs - torch.tensor([t["score"] for t in ours["top"]])).abs().max()))
        largest, n = max(largest, float(theirs.abs().max())), n + len(items)
    print(f"logits: largest difference {worst:.2e} over {n} questions (of magnitude {largest:.1f})")
    return worst <= 1e-4


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

    def step():
        for o in optimizers:
            o.zero_grad(set_to_none=True)
        nn.functional.binary_cross_entropy_with_logits(net(*data), liked).backward()
        for o in optimizers:
            o.step()

    return batch / statistics.median(common.seconds_of(step, steps, 3))


@torch.inference_mode()
def torch_prediction(net, question):
    net.eval()
    return common.median_ms(lambda: torch.sigmoid(net(*question)), 200, 20)


def measure(args, meta, ratings, traits):
    batch, user = int(meta["training"]["batch"]), args.users.split(",")[0]
    question = questions(meta, ratings, user, traits[user], [0])
    m = common.in_turn(args.rounds, {
        "fovea": lambda: common.bench_recipe(args, meta, "--runs", args.steps),
        "torch": lambda: torch_training(load(args.model)[0], meta, batch, args.steps),
        "torch predict": lambda: torch_prediction(load(args.model)[0], question)})
    return common.recipe_rows(args, f"{meta['recipe']} {meta['data']} {meta['settings']['pool']}", "samples", batch, m)


def main():
    a = common.parser(__doc__)
    a.add_argument("--model", required=True)
    a.add_argument("--ratings", required=True, help="u.data, with u.user beside it")
    a.add_argument("--users", default="1,196,405,900")
    a.add_argument("--steps", type=int, default=60)
    args = a.parse_args()
    torch.set_num_threads(args.threads)
    net, meta = load(args.model)
    ratings = [(u, i, float(r), int(t)) for u, i, r, t in (line.split() for line in open(args.ratings))]
    traits = people(meta, args.ratings.replace("u.data", "u.user"))
    return common.compare(args, lambda: check_logits(args, net, meta, ratings, traits),
                          lambda: measure(args, meta, ratings, traits))


if __name__ == "__main__":
    sys.exit(main())
