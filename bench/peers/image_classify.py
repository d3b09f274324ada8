# SPDX-License-Identifier: Apache-2.0
"""image-classify beside PyTorch: the same network from the same file.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch numpy safetensors
    build/fovea train image-classify --data fashion-mnist --epochs 1 --out /tmp/fashion
    /tmp/peer/bin/python bench/peers/image_classify.py --model /tmp/fashion --threads 2

Reads model.safetensors, checks that the logits of 256 test images agree to 1e-4, then times training steps (batch 128, AdamW) and
batch-1 prediction of both in turn, several rounds, and prints medians and ratios. Appends to bench/results.csv with --save.
"""
import gzip, os, statistics, sys, tempfile

import numpy as np
import torch
from torch import nn

import common


class Block(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))
        else:
            self.downsample = nn.Identity()

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Cbam(nn.Module):
    def __init__(self, c, reduction, kernel):
        super().__init__()
        r = max(c // reduction, 4)
        self.mlp = nn.Sequential(nn.Linear(c, r), nn.ReLU(), nn.Linear(r, c))
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2)

    def forward(self, x):
        g = torch.sigmoid(self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3))))
        x = x * g[:, :, None, None]
        s = torch.sigmoid(self.conv(torch.cat([x.mean(1, True), x.amax(1, True)], 1)))
        return x * s


class Pool(nn.Module):
    def __init__(self, c, width):
        super().__init__()
        self.attention = nn.Linear(c, width)
        self.context = nn.Parameter(torch.zeros(width))

    def forward(self, x):  # [N,C,H,W]
        t = x.flatten(2).transpose(1, 2)
        a = torch.softmax(torch.tanh(self.attention(t)) @ self.context, 1)
        return (a[:, :, None] * t).sum(1)


class Cnn(nn.Module):
    def __init__(self, s, channels, classes):
        super().__init__()
        width, blocks = int(s["width"]), [int(b) for b in s["blocks"].split(",")]
        self.stem = nn.Sequential()
        self.stem.conv = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.stem.bn = nn.BatchNorm2d(width)
        c = width
        self.stages = len(blocks)
        for i, n in enumerate(blocks):
            stage = nn.Module()
            stage.n = n
            for b in range(n):
                stage.add_module(str(b), Block(c, width << i, 2 if i > 0 and b == 0 else 1))
                c = width << i
            if s["cbam"] == "true" and i > 0:
                stage.cbam = Cbam(c, int(s["reduction"]), int(s["kernel"]))
            self.add_module(f"stage{i + 1}", stage)
        self.pool = Pool(c, int(s["pool"]))
        self.fc = nn.Linear(c, classes)

    def forward(self, x):
        x = torch.relu(self.stem.bn(self.stem.conv(x)))
        for i in range(self.stages):
            stage = getattr(self, f"stage{i + 1}")
            for b in range(stage.n):
                x = getattr(stage, str(b))(x)
            if hasattr(stage, "cbam"):
                x = stage.cbam(x)
        return self.fc(self.pool(x))


def load(path):
    meta, state = common.read_model(path)
    return common.fill(Cnn(meta["settings"], meta["image"][2], len(meta["labels"])), state), meta


def test_images(meta, n):
    """The first n test images, u8 [n,H,W]."""
    base = os.environ.get("FOVEA_DATA_MIRROR")
    name = meta["data"]
    path = f"{base}/{name}/t10k-images-idx3-ubyte.gz" if base else f"/usr/share/datasets/{name}/t10k-images-idx3-ubyte.gz"
    raw = gzip.open(path).read(16 + n * 784)
    return np.frombuffer(raw, np.uint8, offset=16).reshape(n, 28, 28)


def standardised(images, meta):
    p = meta["preprocessing"]
    x = torch.from_numpy(images.astype(np.float32) / 255)[:, None]
    return (x - p["mean"][0]) / (p["deviation"][0] or 1)


def check_logits(args, net, meta):
    images = test_images(meta, 256)
    with tempfile.NamedTemporaryFile(suffix=".npy") as f:
        np.save(f, images)
        f.flush()
        ours = common.fovea(args, "predict", args.model, f.name, "--top", len(meta["labels"]))
    index = {label: i for i, label in enumerate(meta["labels"])}
    scores = np.zeros((256, len(index)), np.float32)
    for row, p in zip(scores, ours["predictions"]):
        for t in p["top"]:
            row[index[t["label"]]] = t["score"]
    net.eval()
    with torch.no_grad():
        theirs = net(standardised(images, meta)).numpy()
    worst = float(np.abs(scores - theirs).max())
    print(f"logits: largest difference {worst:.2e} over 256 images (of magnitude {np.abs(theirs).max():.1f})")
    return worst <= 1e-4


def torch_training(net, batch, steps, channels_last):
    net.train()
    x, y = torch.randn(batch, 1, 28, 28), torch.randint(0, 10, (batch,))
    if channels_last:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    opt = torch.optim.AdamW(net.parameters(), lr=1e-5)

    def step():
        opt.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net(x), y).backward()
        opt.step()

    return batch / statistics.median(common.seconds_of(step, steps, 3))


@torch.inference_mode()
def torch_prediction(net):
    net.eval()
    x = torch.randn(1, 1, 28, 28)
    return common.median_ms(lambda: torch.softmax(net(x), 1), 200, 20)


def measure(args, meta):
    net = lambda: load(args.model)[0]
    m = common.in_turn(args.rounds, {
        "fovea": lambda: common.bench_recipe(args, meta, "--batch", 128, "--runs", args.steps),
        "torch predict": lambda: torch_prediction(net()),
        "torch": lambda: torch_training(net(), 128, args.steps, False),
        "torch channels-last": lambda: torch_training(net(), 128, args.steps, True)})
    return common.recipe_rows(args, "image-classify", "images", 128, m)


def main():
    a = common.parser(__doc__)
    a.add_argument("--model", required=True)
    a.add_argument("--steps", type=int, default=15)
    args = a.parse_args()
    torch.set_num_threads(args.threads)
    net, meta = load(args.model)
    return common.compare(args, lambda: check_logits(args, net, meta), lambda: measure(args, meta))


if __name__ == "__main__":
    sys.exit(main())
