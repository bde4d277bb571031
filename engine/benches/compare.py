"""Times calibration and group counts: the engine beside numpy and fairlearn, on the same samples in the same run.

Usage: compare.py ENGINE [SAMPLES], where ENGINE is the example `accumulate`, built for release. Needs numpy, pandas and fairlearn
(`tests/crosscheck/requirements.txt`).

Every figure is processor time of one thread, so that other work on the machine does not count. The engine's pass is timed as the
difference of two runs that repeat it a different number of times, the others directly. All three must agree on what they computed.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np
from fairlearn import metrics as fairlearn

BINS, GROUPS, REPEATS = 15, 8, 5


def samples(count):
    """Columns of calibrated samples."""
    rng = np.random.default_rng(1)
    probs = rng.random(count)
    return {
        "probs": probs,
        "predictions": (probs >= 0.5).astype(np.uint8),
        "labels": (rng.random(count) < probs).astype(np.uint8),
        "codes": rng.integers(0, GROUPS, count, dtype=np.uint16),
        "keys": rng.integers(0, 2**64, count, dtype=np.uint64),
    }


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def engine(path, folder):
    """Seconds of one pass, and the report."""
    seconds, report = {}, ""
    for repeat in (1, 1 + REPEATS):
        before = children_seconds()
        report = subprocess.run([path, folder, str(repeat)], check=True, capture_output=True, text=True).stdout
        seconds[repeat] = children_seconds() - before
    return (seconds[1 + REPEATS] - seconds[1]) / REPEATS, json.loads(report)


def timed(function, repeats):
    """Best processor time of `function`, and its result."""
    best, result = float("inf"), None
    for _ in range(repeats):
        before = time.process_time()
        result = function()
        best = min(best, time.process_time() - before)
    return best, result


def with_numpy(columns):
    """ECE and selection rates the way one writes them with numpy."""
    probs, labels = columns["probs"], columns["labels"]
    index = np.clip(np.ceil(probs * BINS).astype(np.int64) - 1, 0, BINS - 1)
    positives = np.bincount(index, weights=labels, minlength=BINS)
    mass = np.bincount(index, weights=probs, minlength=BINS)
    ece = np.abs(positives - mass).sum() / len(probs)
    cells = columns["codes"].astype(np.int64) * 4 + columns["predictions"] * 2 + labels
    confusion = np.bincount(cells, minlength=GROUPS * 4).reshape(GROUPS, 4)
    return ece, confusion[:, 2:].sum(axis=1) / confusion.sum(axis=1)


def with_fairlearn(columns):
    """Group rates only; fairlearn has no calibration error."""
    frame = fairlearn.MetricFrame(
        metrics={"selection": fairlearn.selection_rate, "tpr": fairlearn.true_positive_rate, "fpr": fairlearn.false_positive_rate},
        y_true=columns["labels"],
        y_pred=columns["predictions"],
        sensitive_features=columns["codes"],
    )
    return frame.by_group["selection"].to_numpy(float)


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    count = int(sys.argv[2]) if len(sys.argv) == 3 else 10_000_000
    columns = samples(count)
    with tempfile.TemporaryDirectory() as folder:
        for name, column in columns.items():
            (Path(folder) / name).write_bytes(column.tobytes())
        ours, report = engine(sys.argv[1], folder)
    numpy_seconds, (ece, rates) = timed(lambda: with_numpy(columns), 3)
    fairlearn_seconds, fairlearn_rates = timed(lambda: with_fairlearn(columns), 1)

    engine_rates = [group["selectionRate"] for group in report["groups"]]
    # numpy adds ten million binary64 numbers with rounding; the engine adds integers.
    assert abs(report["ece"]["value"] - ece) < 1e-9, (report["ece"], ece)
    assert np.allclose(engine_rates, rates, rtol=0, atol=1e-12) and np.allclose(rates, fairlearn_rates, rtol=0, atol=1e-12)

    print(f"{count} samples, {BINS} bins, {GROUPS} groups, processor time of one thread")
    print(f"engine     {ours:8.3f} s  {count / ours / 1e6:8.1f} million samples/s  (ECE, MCE, adaptive ECE, Brier, groups, 64 blocks)")
    print(f"numpy      {numpy_seconds:8.3f} s  {count / numpy_seconds / 1e6:8.1f} million samples/s  {numpy_seconds / ours:6.1f} x  (ECE, groups)")
    print(f"fairlearn  {fairlearn_seconds:8.3f} s  {count / fairlearn_seconds / 1e6:8.1f} million samples/s  {fairlearn_seconds / ours:6.1f} x  (groups)")


if __name__ == "__main__":
    main()
