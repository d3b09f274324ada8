# SPDX-License-Identifier: Apache-2.0
"""LSTM and GRU layers beside torch.nn.LSTM and torch.nn.GRU, on the processor, with equal threads.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch numpy safetensors
    /tmp/peer/bin/python bench/peers/recurrent.py --threads 1            a table: a minute or two
    /tmp/peer/bin/python bench/peers/recurrent.py --threads 1 --save     and into bench/results.csv
    /tmp/peer/bin/python bench/peers/recurrent.py --check                the results agree, nothing is timed
    ... --bidirectional                                                  both directions

First the results: fovea writes inputs, weights, outputs and gradients, and PyTorch in double must find the same. Then the
times, shape by shape, fovea and PyTorch in turn, several rounds; a round of fovea is a process of its own. A time is the
median of a round's calls, the figure the median of the rounds, and beside it the fastest call of all; a ratio above 1
says that fovea is faster.

Forward is a prediction: PyTorch in inference mode, fovea with weights packed before the first call. Forward + backward
gives the gradients of inputs, weights and biases; fovea's time includes packing the weights anew, as after each step of
training. A call of PyTorch's includes what Python adds.
"""
import os, statistics, sys, tempfile, time

import torch

import common

SHAPES = [(32, 64, 256, 256), (8, 64, 256, 256), (8, 40, 128, 128), (8, 20, 64, 64), (1, 60, 128, 128),
          (32, 1, 256, 256), (5, 1, 512, 512), (1, 1, 256, 256), (1, 1, 512, 512)]
LAYERS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
NAMES = ("w_ih", "w_hh", "b_ih", "b_hh", "w_ih_reverse", "w_hh_reverse", "b_ih_reverse", "b_hh_reverse")


def text(shape):
    return ",".join(map(str, shape))


def fovea(args, layer, shape, backward, *more):
    return common.fovea(args, "bench", layer, "--shape", text(shape), *["--backward"] * backward,
                        *["--bidirectional"] * args.bidirectional, "--threads", args.threads, *more)


def torch_call(args, layer, shape, backward):
    batch, steps, inputs, hidden = shape
    torch.manual_seed(0)
    net = LAYERS[layer](inputs, hidden, batch_first=True, bidirectional=args.bidirectional)
    x = torch.randn(batch, steps, inputs, requires_grad=backward)
    if backward:
        dy = torch.randn(batch, steps, hidden * (1 + args.bidirectional))
        wanted = [x, *net.parameters()]
        return lambda: torch.autograd.grad(net(x)[0], wanted, dy)

    def call():
        with torch.inference_mode():
            return net(x)

    return call


def times_of(call):
    """Seconds of one round's calls, after warming up."""
    call()
    began = time.perf_counter()
    call()
    count = max(3, min(int(0.3 / (time.perf_counter() - began)), 5000))
    return common.seconds_of(call, count, 0)


def agreement(args):
    """The largest difference from PyTorch in f64, relative to the largest element of each tensor."""
    from safetensors.torch import load_file

    bad = 0
    for layer in LAYERS:
        for shape in ((32, 64, 256, 256), (3, 17, 20, 37), (1, 1, 64, 100)):
            with tempfile.TemporaryDirectory() as where:
                path = os.path.join(where, "layer.safetensors")
                fovea(args, layer, shape, True, "--runs", "1", "--out", path)
                file = {name: v.double() for name, v in load_file(path).items()}
            net = LAYERS[layer](shape[2], shape[3], batch_first=True, bidirectional=args.bidirectional).double()
            with torch.no_grad():
                for p, name in zip(net.parameters(), NAMES):
                    p.copy_(file[name])
            x = file["x"].requires_grad_()
            y, last = net(x)
            exact = {"y": y, "h_n": last[0] if layer == "lstm" else last}
            slopes = torch.autograd.grad(y, [x, *net.parameters()], file["dy"])
            exact |= {"d" + name: v for name, v in zip(("x", *NAMES), slopes)}
            with torch.no_grad():
                far = max(float((file[name] - v).abs().max() / v.abs().max()) for name, v in exact.items())
            bad += not far <= 2e-5
            print(f"{layer} {text(shape)}: outputs and gradients differ from f64 by at most {far:.1e}")
    return bad == 0


def measure(args, layer, shape, backward):
    call = torch_call(args, layer, shape, backward)
    ours, theirs, fastest, peaks = [], [], [], []
    for _ in range(args.rounds):
        result = fovea(args, layer, shape, backward)
        ours.append(result["milliseconds"] * 1e-3)
        fastest.append(result["milliseconds_fastest"] * 1e-3)
        best = result["gflops"] * result["milliseconds"] / result["milliseconds_fastest"]
        peaks.append(best / result["peak_gflops_most"])
        theirs.append(times_of(call))
        time.sleep(0.02)  # threads of theirs that still spin must not disturb the next
    return {"ours": statistics.median(ours), "theirs": statistics.median(map(statistics.median, theirs)),
            "our_best": min(fastest), "their_best": min(map(min, theirs)), "of_peak": max(peaks)}


def table(args):
    results = []
    ms = lambda seconds: f"{seconds * 1e3:.4g} ms"
    print(f"\n{'layer B,T,I,H':22} {'direction':17} {'fovea':>10} {'torch':>10} {'ratio':>6} | {'fastest':>10} "
          f"{'of peak':>8} {'torch':>10} {'ratio':>6}")
    for layer in LAYERS:
        for shape in args.shape or SHAPES:
            for backward in (False, True):
                if backward and shape[1] == 1:
                    continue  # a decoder's step
                m = measure(args, layer, shape, backward)
                direction = "forward+backward" if backward else "forward"
                print(f"{layer + ' ' + text(shape):22} {direction:17} {ms(m['ours']):>10} {ms(m['theirs']):>10} "
                      f"{m['theirs'] / m['ours']:6.2f} | {ms(m['our_best']):>10} {100 * m['of_peak']:6.1f} % "
                      f"{ms(m['their_best']):>10} {m['their_best'] / m['our_best']:6.2f}", flush=True)
                both = "bidirectional " * args.bidirectional
                results.append(common.row(f"{both}{layer} {direction} {'x'.join(map(str, shape))}", args.threads,
                                          ms(m["ours"]), ms(m["theirs"]), m["theirs"] / m["ours"]))
    return results


def main():
    a = common.parser(__doc__, rounds=5, default=1)
    a.add_argument("--shape", type=lambda s: tuple(map(int, s.split(","))), action="append", metavar="B,T,I,H")
    a.add_argument("--bidirectional", action="store_true")
    args = a.parse_args()
    torch.set_num_threads(args.threads)
    return common.compare(args, lambda: agreement(args), lambda: table(args))


if __name__ == "__main__":
    sys.exit(main())
