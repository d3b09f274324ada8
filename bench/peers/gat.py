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
import sys, warnings

warnings.filterwarnings("ignore")
import torch
import torch_geometric
from torch_geometric.nn import GATConv, GATv2Conv

import common

GATHERED = {"gat": 288 + 352, "gatv2": 256 + 256 + 576}  # bytes an edge, forward and backward, 8 x 8


def fovea(args, mechanism, threads):
    return common.fovea(args, "bench", "gat", "--mechanism", mechanism, "--nodes", args.nodes, "--edges", args.edges, "--heads",
                        8, "--width", 8, "--threads", threads, "--runs", args.runs, "--backward")


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
        return common.median_ms(self.run, runs, 1)


def measure(args, mechanism, threads):
    torch.set_num_threads(threads)
    peer = lambda ordered: lambda: Peer(mechanism, args.nodes, args.edges, ordered).median(args.runs)
    m = common.in_turn(args.rounds, {"fovea": lambda: fovea(args, mechanism, threads), "drawn": peer(False),
                                     "ordered": peer(True)})
    theirs = min(m["drawn"], m["ordered"])
    ratio = theirs / m["milliseconds"]
    floor = GATHERED[mechanism] * args.edges / m["copy_gigabytes_per_second"] / 1e6 / threads
    print(f"{mechanism}, {threads} threads: fovea {m['milliseconds']:.1f} ms (floor {floor:.1f}, graph prepared once in "
          f"{m['prologue_milliseconds']:.1f}), torch_geometric {m['drawn']:.1f} ms as drawn, {m['ordered']:.1f} by target: "
          f"ratio {ratio:.2f}", flush=True)
    return common.row(f"{mechanism} layer 8x8 {args.nodes} nodes {args.edges} edges forward+backward", threads,
                      f"{m['milliseconds']:.1f} ms", f"{theirs:.1f} ms", ratio,
                      f"torch_geometric {torch_geometric.__version__}")


def main():
    a = common.parser(__doc__, nargs="+", default=[1, 2])
    a.add_argument("--nodes", type=int, default=100000)
    a.add_argument("--edges", type=int, default=1000000)
    a.add_argument("--runs", type=int, default=5)
    a.add_argument("--mechanism", nargs="+", default=["gat", "gatv2"])
    args = a.parse_args()
    print(f"torch {torch.__version__}, torch_geometric {torch_geometric.__version__}, medians of {args.rounds} rounds of {args.runs}")
    each = [(m, t) for m in args.mechanism for t in args.threads]
    return common.compare(args, lambda: True, lambda: [measure(args, m, t) for m, t in each])


if __name__ == "__main__":
    sys.exit(main())
