# SPDX-License-Identifier: Apache-2.0
"""image-graph-classify beside PyTorch Geometric: the same network from the same file, on graphs made here anew.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch torch_geometric numpy safetensors
    build/fovea train image-graph-classify --out /tmp/mnist75
    /tmp/peer/bin/python bench/peers/image_graph_classify.py --model /tmp/mnist75 --images t10k-images-idx3-ubyte.gz

Takes the superpixels of test images from `fovea explain`, makes features and borders of them, and checks that GATConv or GATv2Conv, batch norm and
attention pooling give fovea's probabilities to 1e-4.
"""
import gzip, tempfile, warnings

warnings.filterwarnings("ignore")
import numpy as np
import torch
from torch import nn
from torch_geometric.nn import GATConv, GATv2Conv

import common


def graph(pixels, segments):
    """Mean grey and place of each superpixel, to 16 bits as fovea keeps them; borders both ways."""
    h, w = segments.shape
    rows, columns = np.mgrid[:h, :w]
    share = [pixels / 255, (columns + 0.5) / w, (rows + 0.5) / h]
    x = np.stack([[s[segments == k].mean() for s in share] for k in range(segments.max() + 1)])
    x = np.rint(x * 65535) / 65535
    x[:, 1:] = 2 * x[:, 1:] - 1
    ends = [(segments[1:], segments[:-1]), (segments[:, 1:], segments[:, :-1])]
    pairs = {(int(a), int(b)) for p, q in ends for a, b in zip(p.ravel(), q.ravel()) if a != b}
    return torch.tensor(x, dtype=torch.float32), torch.tensor(sorted(pairs | {(b, a) for a, b in pairs})).T


class Net(nn.Module):
    def __init__(self, s, features, classes):
        super().__init__()
        kind = GATv2Conv if s["v2"] == "true" else GATConv
        heads, sizes = int(s["heads"]), [int(w) for w in s["widths"].split(",")]
        self.n, inputs = len(sizes), features
        for i, width in enumerate(sizes):
            self.add_module(f"conv{i + 1}", kind(inputs, width, heads, residual=True))
            self.add_module(f"norm{i + 1}", nn.BatchNorm1d(heads * width))
            inputs = heads * width
        self.pool = nn.Module()
        self.pool.attention = nn.Linear(heads * sum(sizes), int(s["pool"]))
        self.pool.context = nn.Parameter(torch.zeros(int(s["pool"])))
        self.hidden = nn.Linear(heads * sum(sizes), int(s["hidden"]))
        self.classifier = nn.Linear(int(s["hidden"]), classes)

    def forward(self, x, edges):
        each = []
        for i in range(1, self.n + 1):
            x = getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x, edges)).relu()
            each.append(x)
        x = torch.cat(each, 1)
        weights = (self.pool.attention(x).tanh() @ self.pool.context).softmax(0)
        return self.classifier(self.hidden(weights @ x).relu()).softmax(0)


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", required=True, help="IDX file of the test images the model's data have")
    parser.add_argument("--samples", type=int, default=20)
    args = parser.parse_args()
    meta, state = common.read_model(args.model)
    h, w, channels = meta["picture"]
    assert channels == 1
    with gzip.open(args.images) as f:
        images = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, h, w)
    net = common.fill(Net(meta["settings"], meta["graph"]["features"], len(meta["labels"])), state).eval()
    worst = 0
    with tempfile.NamedTemporaryFile(suffix=".json") as out, torch.no_grad():
        for i in range(args.samples):
            segments = np.array(common.fovea(args, "explain", args.model, f"test:{i}", "--out", out.name)["segments"])
            said = common.fovea(args, "predict", args.model, f"test:{i}", "--top", len(meta["labels"]))["predictions"][0]
            ours = torch.tensor([{t["label"]: t["probability"] for t in said["top"]}[name] for name in meta["labels"]])
            worst = max(worst, (net(*graph(images[i], segments)) - ours).abs().max().item())
    print(f"{args.samples} images: probabilities differ by at most {worst:.2g}")
    assert worst < 1e-4


if __name__ == "__main__":
    main()
