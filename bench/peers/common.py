# SPDX-License-Identifier: Apache-2.0
"""What the comparisons have in common: options, running fovea, models from its files, timing in turn, a busy machine, saving.

Two processes that share processors tell nothing, and not to the same degree: threads that wait for each other at the end of
each loop, as PyTorch's do, then wait for the others' time slices. So nothing is saved on a busy machine.
"""
import argparse, csv, datetime, json, os, statistics, subprocess, sys, time

from torch import __version__ as torch_version

RESULTS = "bench/results.csv"


def parser(doc, rounds=3, **threads):
    """`threads`: what is special about that option."""
    a = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--fovea", default="build/fovea")
    a.add_argument("--threads", type=int, **{"default": 2, **threads})
    a.add_argument("--rounds", type=int, default=rounds, help="of each in turn; figures are medians over them")
    a.add_argument("--check", action="store_true", help="only whether results agree")
    a.add_argument("--save", action="store_true", help=f"append to {RESULTS}")
    return a


def fovea(args, *words):
    """What a command says with --json."""
    words = [args.fovea, *map(str, words), "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip() or f"{' '.join(words)}: exit {done.returncode}")
    return json.loads(done.stdout)


# ---- models ------------------------------------------------------------------------------------------------------------------
def read_model(path):
    """What model.safetensors, or a run's, says of itself, and its tensors by name."""
    from safetensors import safe_open

    with safe_open(os.path.join(path, "model.safetensors") if os.path.isdir(path) else path, "pt") as f:
        return json.loads(f.metadata()["fovea"]), {name: f.get_tensor(name) for name in f.keys()}


def fill(net, state):
    """Every tensor must have its place and every parameter a tensor."""
    missing, unexpected = net.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    assert not missing and not unexpected, (missing, unexpected)
    return net


def bench_recipe(args, meta, *words):
    """The same recipe with the same settings, timed by fovea."""
    sets = [w for part in ("settings", "training") for k, v in meta[part].items() if v for w in ("--set", f"{k}={v}")]
    return fovea(args, "bench", "recipe", meta["recipe"], "--data", meta["data"], "--threads", args.threads, *words, *sets)


# ---- times -------------------------------------------------------------------------------------------------------------------
def seconds_of(call, times, warm):
    """Of each call, after `warm` others."""
    seconds = []
    for i in range(warm + times):
        began = time.perf_counter()
        call()
        if i >= warm:
            seconds.append(time.perf_counter() - began)
    return seconds


def median_ms(call, times, warm):
    return statistics.median(seconds_of(call, times, warm)) * 1e3


def in_turn(rounds, sides):
    """Each side's figure, or what fovea said, once a round; medians of the figures over the rounds."""
    found = {}
    for _ in range(rounds):
        for name, side in sides.items():
            got = side()
            for key, figure in (got.items() if isinstance(got, dict) else [(name, got)]):
                if isinstance(figure, (int, float)):
                    found.setdefault(key, []).append(figure)
            time.sleep(0.02)  # threads of theirs that still spin must not disturb the next
    return {key: statistics.median(figures) for key, figures in found.items()}


# ---- the machine -------------------------------------------------------------------------------------------------------------
def snapshot():
    """CPU seconds that all processes have used, and this one with its children; the time."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq, steal = (int(x) for x in f.readline().split()[1:9])
    own = os.times()
    used = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return used, own.user + own.system + own.children_user + own.children_system, time.monotonic()


def quiet(since):
    """Whether others left the processors alone since then; says so where they did not."""
    used, own, seconds = (b - a for a, b in zip(since, snapshot()))
    others = (used - own) / seconds
    if others > 0.1:
        print(f"the machine is busy: others use {others:.1f} of {os.cpu_count()} processors; the times mean nothing")
    return others <= 0.1


# ---- the whole ---------------------------------------------------------------------------------------------------------------
def row(name, threads, ours, theirs, ratio, peer=None):
    """A line of the results; `peer`: another than PyTorch."""
    return [datetime.date.today().isoformat(), name, threads, ours, f"{peer or 'torch ' + torch_version} {theirs}".strip(),
            f"{ratio:.2f}"]


def recipe_rows(args, name, things, batch, m):
    """Rows of a recipe's training and prediction, which it prints. `m` is in_turn's, of bench_recipe, "torch predict" and one or
    more "torch ..." ways to train, of which the fastest counts."""
    ours, ms, predict = m["samples_per_second"], m["predict_milliseconds"], m["torch predict"]
    ways = {way: m[way] for way in m if way.startswith("torch") and way != "torch predict"}
    best = max(ways.values())
    print(f"{name}: torch {torch_version}, {args.threads} threads, medians of {args.rounds} rounds")
    print(f"training, batch {batch}: fovea {ours:.0f} {things}/s, {', '.join(f'{way} {v:.0f}' for way, v in ways.items())}: "
          f"ratio {ours / best:.2f}")
    print(f"prediction, batch 1: fovea {ms:.3f} ms, torch {predict:.3f} ms: ratio {predict / ms:.2f}")
    return [row(f"{name} training batch {batch}", args.threads, f"{ours:.0f} {things}/s", f"{best:.0f} {things}/s", ours / best),
            row(f"{name} prediction batch 1", args.threads, f"{ms:.3f} ms", f"{predict:.3f} ms", predict / ms)]


def compare(args, agree, measure):
    """The exit status. agree(): whether results are the same; measure(): rows, when they are and more is wanted."""
    if not agree():
        return 1
    if args.check:
        return 0
    start = snapshot()
    time.sleep(1)
    if not quiet(start) and args.save:
        print("nothing was measured, since it was to be saved")
        return 1
    start = snapshot()
    rows = measure()
    if quiet(start) and args.save:
        with open(RESULTS, "a", newline="") as f:
            csv.writer(f).writerows(rows)
    return 0
