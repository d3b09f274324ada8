# SPDX-License-Identifier: Apache-2.0
"""node-classify beside PyTorch Geometric: the same network from the same file.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch torch_geometric numpy safetensors
    build/fovea train node-classify --data NODES.tsv,EDGES.tsv --out /tmp/cora
    /tmp/peer/bin/python bench/peers/node_classify.py --model /tmp/cora --nodes NODES.tsv --edges EDGES.tsv --check

Reads model.safetensors into GATConv or GATv2Conv, checks that the probabilities of all nodes agree to 1e-4, then times an epoch: one step of
Adam over the whole graph and one look at it for validation. The peer has no dropout on what the weights weigh; it is given its features dense
and sparse, and the better one counts. Tables are those of chapter 23, with a column of words.
"""
import gzip, tempfile, warnings

warnings.filterwarnings("ignore")
import torch
from torch import nn
from torch_geometric.nn import GATConv, GATv2Conv

import common


def lines(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt") as f:
        return [line.rstrip("\n").split("\t") for line in f]


def graph(args):
    head, *rows = lines(args.nodes)
    at = {name.lstrip("#"): i for i, name in enumerate(head)}
    place = {row[at["node"]]: i for i, row in enumerate(rows)}
    words = [[int(w) for w in row[at["features"]].split()] for row in rows]
    x = torch.zeros(len(rows), 1 + max(w for bag in words for w in bag))
    for i, bag in enumerate(words):
        x[i, bag] = 1 / max(len(bag), 1)
    names = sorted({int(row[at["label"]]) for row in rows} - {-1})
    y = torch.tensor([names.index(int(r[at["label"]])) if int(r[at["label"]]) in names else -1 for r in rows])
    train = torch.tensor([r[at["split"]] == "train" for r in rows])
    ends = torch.tensor([[place[a], place[b]] for a, b in (e[:2] for e in lines(args.edges))]).T
    return x, torch.cat([ends, ends.flip(0)], 1), y, train, list(place)


class Net(nn.Module):
    def __init__(self, s, features, classes):
        super().__init__()
        kind = GATv2Conv if s["v2"] == "true" else GATConv
        heads, width, self.p = int(s["heads"]), int(s["width"]), float(s["dropout"])
        self.n = int(s["layers"])
        for i in range(self.n):
            last, inputs = i + 1 == self.n, features if i == 0 else heads * width
            layer = kind(inputs, classes, int(s["out_heads"]), concat=False, dropout=self.p) if last else kind(
                inputs, width, heads, dropout=self.p)
            self.add_module(f"conv{i + 1}", layer)

    def forward(self, x, edges):
        for i in range(self.n):
            if x.layout == torch.sparse_csr:
                layer, h = getattr(self, f"conv{i + 1}"), x
                h = torch.sparse.mm(h, layer.lin.weight.T).view(-1, layer.heads, layer.out_channels)
                alpha = ((h * layer.att_src).sum(-1), (h * layer.att_dst).sum(-1))
                loops = torch.arange(h.shape[0])
                full = torch.cat([edges, torch.stack([loops, loops])], 1)
                alpha = layer.edge_updater(full, alpha=alpha, edge_attr=None, size=None)
                x = layer.propagate(full, x=(h, h), alpha=alpha, size=None).flatten(1) + layer.bias
            else:
                x = getattr(self, f"conv{i + 1}")(nn.functional.dropout(x, self.p, self.training), edges)
            if i + 1 < self.n:
                x = nn.functional.elu(x)
        return x


def check(args, net, x, edges, names, labels):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        f.write("\n".join(names) + "\n")
        f.flush()
        told = common.fovea(args, "predict", args.model, f.name, "--top", 1000)["predictions"]
    with torch.no_grad():
        p = torch.softmax(net.eval()(x, edges), 1)
    each = [{t["label"]: t["probability"] for t in entry["top"]} for entry in told]
    worst = (torch.tensor([[e[label] for label in labels] for e in each]) - p).abs().max().item()
    assert worst < 1e-4, f"probabilities differ by {worst}"
    print(f"probabilities of {len(names)} nodes agree to {worst:.1e}")


def epoch(net, optimizer, x, edges, y, train):
    net.train()
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x, edges)[train], y[train]).backward()
    optimizer.step()
    with torch.no_grad():
        net.eval()(x, edges)


def fovea_epoch(args):
    """Milliseconds."""
    with tempfile.TemporaryDirectory() as out:
        told = common.fovea(args, "train", "node-classify", "--data", f"{args.nodes},{args.edges}", "--epochs", args.runs,
                            "--threads", args.threads, "--out", f"{out}/run", "--quiet")
    return told["seconds"] / told["epochs"] * 1e3


def main():
    parser = common.parser(__doc__)
    for name in ("model", "nodes", "edges"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--runs", type=int, default=100, help="epochs a round")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    x, edges, y, train, names = graph(args)
    meta, state = common.read_model(args.model)
    net = common.fill(Net(meta["settings"], x.shape[1], len(meta["labels"])), state)
    check(args, net, x, edges, names, meta["labels"])
    if args.check:
        return
    sides = {"fovea": lambda: fovea_epoch(args)}
    for kind, given in (("dense", x), ("sparse", x.to_sparse_csr())):
        if kind == "sparse" and meta["settings"]["v2"] == "true":
            continue
        optimizer = torch.optim.Adam(net.parameters(), 0.005, weight_decay=5e-4)
        sides[kind] = lambda o=optimizer, g=given: common.median_ms(lambda: epoch(net, o, g, edges, y, train), args.runs // 4, 2)
    found = common.in_turn(args.rounds, sides)
    peer = min(v for k, v in found.items() if k != "fovea")
    print(f"an epoch: {found['fovea']:.2f} ms, PyTorch Geometric {peer:.2f} ms: {peer / found['fovea']:.1f}x "
          f"at {args.threads} threads")


if __name__ == "__main__":
    main()
