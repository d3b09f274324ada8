# SPDX-License-Identifier: Apache-2.0
"""The attention operation beside those of PyTorch and ONNX Runtime, on the processor, with equal threads.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch numpy safetensors onnx onnxruntime
    /tmp/peer/bin/python bench/peers/attention.py --threads 2 --quick          some shapes: a minute or two
    /tmp/peer/bin/python bench/peers/attention.py --threads 2 --save           all of them, into bench/results.csv
    /tmp/peer/bin/python bench/peers/attention.py --check                      the results agree, nothing is timed
    /tmp/peer/bin/python bench/peers/attention.py --long                       65536 places: time and peak memory

First the results: fovea writes inputs, outputs and gradients of a few shapes, and PyTorch must find the same. Then the
times, shape by shape, fovea and its peers in turn, several rounds; a round of fovea is a process of its own. A time is the
median of a round's calls, the figure the median of the rounds; a ratio above 1 says that fovea is faster.

Each side gets the layout it prefers: fovea [B,T,H,D]; scaled_dot_product_attention and FlexAttention contiguous
[B,H,T,D]; ONNX Runtime both [B,H,T,D] (ai.onnx Attention) and [B,T,H D] (com.microsoft MultiHeadAttention), of which the
faster counts. A call of theirs includes what Python adds, some 10 us, and for the gradient some 50: at the smallest shapes
this is part of the ratio. Only ONNX Runtime forward is there: it has no gradient. FlexAttention has none on the processor
either; it is compiled for each shape, the first time for half a minute, and needs a C++ compiler (--no-flex leaves it out).
"""
import argparse, gc, itertools, json, math, os, resource, statistics, subprocess, sys, tempfile, time
import warnings

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention as sdpa

import common

try:
    import onnx
    import onnxruntime
except ImportError:
    onnx = None

COST = 60e9  # FLOP/s a thread, to guess how long a shape takes
LENGTHS, WIDTHS, HEADS = (64, 128, 512, 2048, 8192), (32, 64, 128), (8, 64)
LONG = (16384, 32768, 65536)  # with one head the last has 16 GiB of weights
QUICK = [(8, 64, 64), (64, 64, 32), (8, 128, 64), (64, 128, 64), (8, 512, 32), (8, 512, 64), (8, 512, 128), (8, 2048, 64)]


class Case:
    def __init__(self, heads, length, width, causal):
        self.batch, self.heads = heads // 8, 8
        self.length, self.width, self.causal = length, width, causal
        pairs = length * (length + 1) / 2 if causal else length * length
        self.flops = {"forward": 4 * heads * width * pairs, "forward+backward": 14 * heads * width * pairs}

    def shape(self):
        return f"{self.batch},{self.length},{self.length},{self.heads},{self.width}"

    def name(self):
        return self.shape() + (" causal" if self.causal else "")

    def tensors(self):
        torch.manual_seed(0)
        return [torch.randn(self.batch, self.heads, self.length, self.width) for _ in range(4)]

    def repetitions(self, seconds):
        """Calls a round: for 0.2 s, but one where a call takes seconds."""
        return max(1 if seconds > 1 else 3, min(int(0.2 / max(seconds, 1e-6)), 2000))


def fovea(args, case, backward, *more):
    words = ["--shape", case.shape(), *["--causal"] * case.causal, *["--backward"] * backward, "--threads", args.threads]
    return common.fovea(args, "bench", "attention", *words, *more)


def median_seconds(case, call):
    """Of one round, after warming up."""
    began = time.perf_counter()
    call()
    first = time.perf_counter() - began
    if first < 1:
        began = time.perf_counter()
        call()
        first = time.perf_counter() - began
    return statistics.median(common.seconds_of(call, case.repetitions(first), 0))


# ---- peers: each gives for a case and a direction a call, or None where it cannot ---------------------------------------
def torch_call(case, direction):
    q, k, v, dy = case.tensors()
    if direction == "forward":

        def call():
            with torch.inference_mode():
                return sdpa(q, k, v, is_causal=case.causal)

        return call
    leaves = [x.requires_grad_() for x in (q, k, v)]
    return lambda: torch.autograd.grad(sdpa(*leaves, is_causal=case.causal), leaves, dy)


def flex_call(case, direction):
    if direction != "forward":
        return None
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    q, k, v, _ = case.tensors()
    torch._dynamo.reset()  # with more than a few shapes it would give up compiling
    compiled = torch.compile(flex_attention, dynamic=False)
    causal = lambda b, h, i, j: i >= j
    mask = create_block_mask(causal, None, None, case.length, case.length, device="cpu") if case.causal else None

    def call():
        with torch.no_grad():
            return compiled(q, k, v, block_mask=mask)

    return call


def onnx_model(case, heads_apart):
    if heads_apart:
        shape = [case.batch, case.heads, case.length, case.width]
        node = onnx.helper.make_node("Attention", ["q", "k", "v"], ["y"], is_causal=int(case.causal))
    else:
        shape = [case.batch, case.length, case.heads * case.width]
        node = onnx.helper.make_node("MultiHeadAttention", ["q", "k", "v"], ["y"], domain="com.microsoft",
                                     num_heads=case.heads, unidirectional=int(case.causal))
    info = lambda name: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    graph = onnx.helper.make_graph([node], "attention", [info(name) for name in "qkv"], [info("y")])
    domains = [onnx.helper.make_opsetid("", 23), onnx.helper.make_opsetid("com.microsoft", 1)]
    return onnx.helper.make_model(graph, opset_imports=domains, ir_version=11)


def onnx_call(case, direction, heads_apart, threads):
    if direction != "forward":
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(onnx_model(case, heads_apart).SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    tensors = case.tensors()[:3]
    if not heads_apart:
        tensors = [x.transpose(1, 2).reshape(case.batch, case.length, -1) for x in tensors]
    feed = {name: np.ascontiguousarray(x.numpy()) for name, x in zip("qkv", tensors)}
    return lambda: session.run(None, feed)


def peers(args):
    every = {"torch": torch_call}
    if not args.no_flex:
        every["flex"] = flex_call
    if onnx and not args.no_onnx:
        every["onnx heads"] = lambda case, direction: onnx_call(case, direction, True, args.threads)
        every["onnx rows"] = lambda case, direction: onnx_call(case, direction, False, args.threads)
    return every


# ONNX Runtime holds all T x S weights, of both operators.
def fits(case, peer):
    weights = 4 * case.batch * case.heads * case.length**2
    return not peer.startswith("onnx") or 2.5 * weights < 0.6 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


# ---- agreement -----------------------------------------------------------------------------------------------------------
def worst(got, want):
    return float((got - want).abs().max() / want.abs().max())


def agreement(args):
    """The largest difference from PyTorch's math in f64, relative to the largest element: fovea's and PyTorch's own."""
    from safetensors.torch import load_file

    bad = 0
    for heads, length, width, causal in ((8, 128, 64, True), (8, 197, 32, False), (16, 512, 128, True)):
        case = Case(heads, length, width, causal)
        with tempfile.TemporaryDirectory() as where:
            path = os.path.join(where, "attention.safetensors")
            fovea(args, case, True, "--runs", "1", "--out", path)
            file = {name: x.clone() for name, x in load_file(path).items()}
        apart = {name: file[name].transpose(1, 2).contiguous() for name in ("q", "k", "v", "dy", "y", "dq", "dk", "dv")}

        def run(dtype, backend):
            leaves = [apart[name].to(dtype).requires_grad_() for name in "qkv"]
            with torch.nn.attention.sdpa_kernel(backend):
                y = sdpa(*leaves, is_causal=causal)
            return [y.detach(), *torch.autograd.grad(y, leaves, apart["dy"].to(dtype))]

        exact = run(torch.float64, torch.nn.attention.SDPBackend.MATH)
        theirs = run(torch.float32, torch.nn.attention.SDPBackend.FLASH_ATTENTION)
        ours = [apart[name] for name in ("y", "dq", "dk", "dv")]
        far = [worst(a.double(), e) for a, e in zip(ours, exact)]
        their_far = [worst(a.double(), e) for a, e in zip(theirs, exact)]
        bad += not max(far) <= 1e-5
        print(f"{case.name()}: y, dq, dk, dv differ from f64 by at most {max(far):.1e}; torch's by {max(their_far):.1e}")
    return bad == 0


# ---- the grid --------------------------------------------------------------------------------------------------------------
def measure(args, case, direction):
    """Seconds of each side, the median of its rounds; fovea's fraction of the ceiling."""
    guess = case.flops[direction] / (COST * args.threads)
    rounds = args.rounds if guess < 2 else 1
    calls = {}
    for peer, make in peers(args).items():
        try:
            calls[peer] = make(case, direction) if fits(case, peer) else None
        except Exception as e:  # a peer that cannot is told, the others go on
            print(f"  {peer} cannot run {case.name()}: {str(e).splitlines()[0][:120]}")
    seconds, fractions = {"fovea": []}, []
    for _ in range(rounds):
        more = [] if guess < 2 else ["--runs", "1"]
        ours = fovea(args, case, direction != "forward", *more)
        seconds["fovea"].append(ours["milliseconds"] * 1e-3)
        fractions.append(ours["fraction_of_peak"])
        for peer, call in calls.items():
            if call:
                seconds.setdefault(peer, []).append(median_seconds(case, call))
                time.sleep(0.02)  # threads of theirs that still spin must not disturb the next
    calls.clear()
    gc.collect()
    medians = {side: statistics.median(v) for side, v in seconds.items()}
    onnx_best = min((medians.pop(p) for p in ("onnx heads", "onnx rows") if p in medians), default=None)
    if onnx_best:
        medians["onnx"] = onnx_best
    return medians, statistics.median(fractions)


def grid(args):
    sizes = QUICK if args.quick else list(itertools.product(HEADS, LENGTHS, WIDTHS))
    cases = [Case(*size, causal) for size in sizes for causal in (False, True)]
    if args.most:
        cases = [c for c in cases if c.flops["forward+backward"] / (COST * args.threads) <= args.most]
    return sorted(cases, key=lambda c: (c.flops["forward"], c.name()))


def milliseconds(seconds):
    return f"{seconds * 1e3:.4g} ms"


def table(args):
    results = []
    names = [p for p in ("torch", "onnx", "flex") if p == "torch" or any(q.startswith(p) for q in peers(args))]
    print(f"\n{'B,T,S,H,D':24} {'direction':17} {'fovea':>11} {'of best':>8}", *(f"{n:>11} {'ratio':>6}" for n in names))
    for case, direction in itertools.product(grid(args), ("forward", "forward+backward")):
        medians, fraction = measure(args, case, direction)
        ours, line = medians["fovea"], []
        for name in names:
            line.append(f"{milliseconds(medians[name]):>11} {medians[name] / ours:6.2f}" if name in medians else " " * 18)
        print(f"{case.name():24} {direction:17} {milliseconds(ours):>11} {100 * fraction:6.1f} %", *line, flush=True)
        results += [(case, direction, name, ours, medians[name]) for name in names if name in medians]
    return results


def summary(results):
    """Rows (peer, direction, geometric mean, smallest ratio, its case, count)."""
    print()
    rows = []
    for peer, direction in itertools.product(("torch", "onnx", "flex"), ("forward", "forward+backward")):
        ratios = [(theirs / ours, case.name()) for case, d, p, ours, theirs in results if (d, p) == (direction, peer)]
        if not ratios:
            continue
        mean = math.exp(statistics.fmean(math.log(r) for r, _ in ratios))
        least, where = min(ratios)
        rows.append((peer, direction, mean, least, where, len(ratios)))
        print(f"{peer:6} {direction:17} geometric mean {mean:.2f} over {len(ratios)} shapes, smallest {least:.2f} at {where}")
    return rows


def measured(args):
    results = table(args)
    version = {"torch": None, "flex": f"FlexAttention, torch {torch.__version__}"}
    if onnx:
        version["onnx"] = f"onnxruntime {onnxruntime.__version__}"
    plain = lambda name: name.replace(",", "x")  # no quotes in the file
    line = lambda name, peer, ratio, ours="", theirs="": common.row(f"attention {name}", args.threads, ours, theirs, ratio,
                                                                     version[peer])
    rows = [line(f"{direction} {plain(case.name())}", peer, theirs / ours, milliseconds(ours), milliseconds(theirs))
            for case, direction, peer, ours, theirs in results]
    for peer, direction, mean, least, where, n in summary(results):
        rows.append(line(f"{direction} geometric mean of {n} shapes", peer, mean))
        rows.append(line(f"{direction} smallest: {plain(where)}", peer, least))
    return rows


# ---- long sequences ----------------------------------------------------------------------------------------------------------
def long_torch(length, heads, backward, threads):
    """In a process of its own: its time, and its memory beyond what PyTorch takes before."""
    torch.set_num_threads(threads)
    small = torch.randn(1, heads, 64, 64, requires_grad=True)
    sdpa(small, small, small, is_causal=True).sum().backward()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tensors = [torch.randn(1, heads, length, 64).requires_grad_(backward) for _ in range(3)]
    dy = torch.randn(1, heads, length, 64) if backward else None
    began = time.perf_counter()
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
        y = sdpa(*tensors, is_causal=True)
    if backward:
        torch.autograd.grad(y, tensors, dy)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "bytes": (after - before) * 1024, "all": after * 1024}))


def long(args):
    """Twice the length must take twice the memory, not four times."""
    mib = lambda n: f"{n / 2**20:.0f} MiB"
    heads, directions = args.long_heads, ("forward", "forward+backward")
    print(f"{'B,T,S,H,D causal':24} {'direction':17} {'fovea':>9} {'memory':>9} {'scratch':>9} {'torch':>9} {'memory':>9} "
          f"{'T x S weights':>14}")
    for length, direction in itertools.product(LONG, directions):
        backward = direction != "forward"
        shape = f"1,{length},{length},{heads},64"
        ours = common.fovea(args, "bench", "attention", "--shape", shape, "--causal", "--runs", "1", "--threads", args.threads,
                            *["--backward"] * backward)
        child = [sys.executable, __file__, "--long-torch", str(length), "--long-heads", str(heads), "--threads",
                 str(args.threads), "--long-direction", direction]
        done = subprocess.run(child, capture_output=True, text=True)
        theirs = json.loads(done.stdout) if done.returncode == 0 else None
        line = f"{theirs['seconds']:7.2f} s {mib(theirs['bytes']):>9}" if theirs else f"{'failed':>9} {'':>9}"
        print(f"{shape:24} {direction:17} {ours['milliseconds'] * 1e-3:7.2f} s {mib(ours['peak_bytes']):>9} "
              f"{mib(ours['bytes_scratch']):>9} {line} {mib(4 * heads * length**2):>14}", flush=True)
    print("memory: fovea, the most the whole process held; torch, the most beyond what it held before the tensors. Of both "
          "it\nincludes inputs and results. T x S weights: what an implementation that holds them needs besides.")


def main():
    a = common.parser(__doc__)
    a.add_argument("--quick", action="store_true", help="a few shapes of the grid")
    a.add_argument("--most", type=float, metavar="S", help="leave out shapes whose gradient is guessed to take longer")
    a.add_argument("--no-flex", action="store_true", help="without FlexAttention")
    a.add_argument("--no-onnx", action="store_true", help="without ONNX Runtime")
    a.add_argument("--long", action="store_true", help="only 65536 places, causal: time and memory")
    a.add_argument("--long-heads", type=int, default=1, metavar="H", help="heads of --long")
    a.add_argument("--long-torch", type=int, help=argparse.SUPPRESS)
    a.add_argument("--long-direction", default="forward", help=argparse.SUPPRESS)
    args = a.parse_args()
    warnings.filterwarnings("ignore")
    if args.long_torch:
        return long_torch(args.long_torch, args.long_heads, args.long_direction != "forward", args.threads)
    if args.long:
        return long(args)
    torch.set_num_threads(args.threads)
    if not onnx and not args.no_onnx:
        print("onnx or onnxruntime is not installed: without ONNX Runtime")
    return common.compare(args, lambda: agreement(args), lambda: measured(args))


if __name__ == "__main__":
    sys.exit(main())
