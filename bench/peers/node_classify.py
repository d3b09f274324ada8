# SPDX-License-Identifier: Apache-2.0
"""node-classify beside PyTorch Geometric: the same network from the same file.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch torch_geometric numpy safetensors
    build/fovea train node-classify --data NODES.tsv,EDGES.tsv --out /tmp/cora
    /tmp/peer/bin/python bench/peers/node_classify.py --model /tmp/cora --nodes NODES.tsv --edges EDGES.tsv --threads 2

Reads model.safetensors into GATConv or GATv2Conv, checks that the probabilities of all nodes agree to 1e-4, then times an epoch: one step of
Adam over the whole graph and one look at it for validation. The peer has no dropout on what the weights weigh; it is given its features dense
and sparse, and the better one counts. Tables are those of chapter 23, with a column of words.
"""
import argparse, gzip, json, statistics, subprocess, tempfile, time, warnings

warnings.filterwarnings("ignore")
import torch
from safetensors import safe_open
from torch import nn
from torch_geometric.nn import GATConv, GATv2Conv


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


def load(path, x):
    with safe_open(path + "/model.safetensors", "pt") as f:
        meta = json.loads(f.metadata()["fovea"])
        net = Net(meta["settings"], x.shape[1], len(meta["labels"]))
        net.load_state_dict({name: f.get_tensor(name) for name in f.keys()})
    return net, meta


def check(args, net, x, edges, names):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        f.write("\n".join(names) + "\n")
        f.flush()
        words = [args.fovea, "predict", args.model, f.name, "--top", "1000", "--json"]
        told = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)["predictions"]
    with torch.no_grad():
        p = torch.softmax(net.eval()(x, edges), 1)
    labels = sorted({t["label"] for t in told[0]["top"]}, key=lambda v: args.labels.index(v))
    mine = torch.tensor([[next(t["probability"] for t in e["top"] if t["label"] == v) for v in labels] for e in told])
    worst = (mine - p).abs().max().item()
    assert worst < 1e-4, f"probabilities differ by {worst}"
    print(f"probabilities of {len(names)} nodes agree to {worst:.1e}")


def peer_epoch(net, optimizer, x, edges, y, train):
    began = time.perf_counter()
    net.train()
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x, edges)[train], y[train]).backward()
    optimizer.step()
    net.eval()
    with torch.no_grad():
        net(x, edges)
    return time.perf_counter() - began


def fovea_epoch(args):
    with tempfile.TemporaryDirectory() as out:
        words = [args.fovea, "train", "node-classify", "--data", args.nodes + "," + args.edges, "--epochs", str(args.runs),
                 "--threads", str(args.threads), "--out", out + "/run", "--json", "--quiet"]
        told = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return told["seconds"] / told["epochs"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "nodes", "edges"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--fovea", default="build/fovea")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=100, help="epochs a round")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    x, edges, y, train, names = graph(args)
    net, meta = load(args.model, x)
    args.labels = meta["labels"]
    check(args, net, x, edges, names)
    mine, peer = [], {"dense": [], "sparse": []}
    for _ in range(args.rounds):
        mine.append(fovea_epoch(args))
        for kind, given in (("dense", x), ("sparse", x.to_sparse_csr())):
            if kind == "sparse" and meta["settings"]["v2"] == "true":
                continue
            optimizer = torch.optim.Adam(net.parameters(), 0.005, weight_decay=5e-4)
            peer[kind] += [peer_epoch(net, optimizer, given, edges, y, train) for _ in range(args.runs // 4)]
    best = min(statistics.median(v) for v in peer.values() if v)
    print(f"an epoch: {statistics.median(mine) * 1e3:.2f} ms, PyTorch Geometric {best * 1e3:.2f} ms: "
          f"{best / statistics.median(mine):.1f}x at {args.threads} threads")


if __name__ == "__main__":
    main()
