# SPDX-License-Identifier: Apache-2.0
"""One layer of graph attention beside PyTorch Geometric: GATConv and GATv2Conv, forward and backward.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch torch_geometric
    /tmp/peer/bin/python bench/peers/gat.py --threads 1 2

100,000 nodes, 1,000,000 edges drawn alike, 64 inputs, 8 heads of 8, gradients of x and all parameters, no self-loops added. Both
programs run in turn, several rounds; medians and ratios are printed. The peer is given its edges in two orders (as drawn, sorted by
target) and the better one counts.

The floor: a pass over the edges must fetch a row of features for each, 64 numbers or 256 bytes, and the numbers of its far end (32
bytes a head-row). gat: 288 bytes an edge forward, 352 backward; over the copying bandwidth of the machine that is the "floor" column,
what the gathers alone would take if none came from a cache.
"""
import argparse, csv, datetime, json, statistics, subprocess, sys, time, warnings

warnings.filterwarnings("ignore")
import torch
import torch_geometric
from torch_geometric.nn import GATConv, GATv2Conv

GATHERED = {"gat": 288 + 352, "gatv2": 256 + 256 + 576}  # bytes an edge, forward and backward, 8 x 8


def fovea(args, mechanism, threads):
    words = [args.fovea, "bench", "gat", "--mechanism", mechanism, "--nodes", str(args.nodes), "--edges", str(args.edges),
             "--heads", "8", "--width", "8", "--threads", str(threads), "--runs", str(args.runs), "--backward", "--json"]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


class Peer:
    def __init__(self, mechanism, nodes, edges, ordered):
        torch.manual_seed(1)
        kind = {"gat": GATConv, "gatv2": GATv2Conv}[mechanism]
        self.layer = kind(64, 8, heads=8, add_self_loops=False)
        self.x = torch.randn(nodes, 64, requires_grad=True)
        self.edges = torch.randint(0, nodes, (2, edges))
        if ordered:
            self.edges = self.edges[:, torch.argsort(self.edges[1], stable=True)]
        self.weight = torch.randn(nodes, 64)

    def run(self):
        self.x.grad = None
        self.layer.zero_grad(set_to_none=True)
        self.layer(self.x, self.edges).backward(self.weight)

    def median(self, runs):
        seconds = []
        for i in range(runs + 1):
            began = time.perf_counter()
            self.run()
            if i:
                seconds.append(time.perf_counter() - began)
        return statistics.median(seconds) * 1e3


def compare(args, mechanism, threads):
    torch.set_num_threads(threads)
    ours, theirs, ours_all = [], {}, None
    for _ in range(args.rounds):
        ours_all = fovea(args, mechanism, threads)
        ours.append(ours_all["milliseconds"])
        for ordered in (False, True):
            theirs.setdefault(ordered, []).append(Peer(mechanism, args.nodes, args.edges, ordered).median(args.runs))
    mine, drawn, ordered = statistics.median(ours), statistics.median(theirs[False]), statistics.median(theirs[True])
    ratio = min(drawn, ordered) / mine
    floor = GATHERED[mechanism] * args.edges / ours_all["copy_gigabytes_per_second"] / 1e6 / threads
    print(f"{mechanism}, {threads} threads: fovea {mine:.1f} ms (floor {floor:.1f}, graph prepared once in "
          f"{ours_all['prologue_milliseconds']:.1f}), torch_geometric {drawn:.1f} ms as drawn, {ordered:.1f} by target: "
          f"ratio {ratio:.2f}", flush=True)
    return [datetime.date.today().isoformat(), f"{mechanism} layer 8x8 {args.nodes} nodes {args.edges} edges forward+backward", threads,
            f"{mine:.1f} ms", f"torch_geometric {torch_geometric.__version__} {min(drawn, ordered):.1f} ms", f"{ratio:.2f}"]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--fovea", default="build/fovea")
    a.add_argument("--nodes", type=int, default=100000)
    a.add_argument("--edges", type=int, default=1000000)
    a.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--runs", type=int, default=5)
    a.add_argument("--mechanism", nargs="+", default=["gat", "gatv2"])
    a.add_argument("--save", action="store_true", help="append to bench/results.csv")
    args = a.parse_args()
    print(f"torch {torch.__version__}, torch_geometric {torch_geometric.__version__}, medians of {args.rounds} rounds of {args.runs}")
    rows = [compare(args, m, t) for m in args.mechanism for t in args.threads]
    if args.save:
        with open("bench/results.csv", "a", newline="") as f:
            csv.writer(f).writerows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
