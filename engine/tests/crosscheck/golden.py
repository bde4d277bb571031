"""Writes the golden vectors of calibration: ECE as netcal and torchmetrics compute it, with the versions that did.

Both packages need torch, which is far too large for a test suite. So this program runs by hand, once, and `golden_calibration.rs` reads
what it wrote. To make the file again, from the folder `engine`:

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install netcal==1.4.0 torchmetrics==1.9.0
    /tmp/golden/bin/python tests/crosscheck/golden.py tests/data/golden-calibration.json

The samples depend on the seed alone. All arithmetic is binary64: `binary_calibration_error` keeps the type of its input, unlike
`multiclass_calibration_error`, which goes through float32.

What is computed, as read in the sources of these versions: both compare, for a binary problem, the mean probability of the positive class
with the share of positive labels in each bin of equal width; neither takes the confidence in the predicted class. Three things differ.

- "left-closed": their bins are [k/B, (k+1)/B), those of the engine and of scikit-learn (k/B, (k+1)/B]. Only a probability on a border
  is placed elsewhere. Swapping the classes (1 - p and 1 - label) leaves each bin's gap as it is and turns one kind of bin into the other,
  so each set is also computed mirrored. The sets on borders use 8 and 16 bins, where p and 1 - p are exact.
- "a bin of its own": torchmetrics puts p = 1 into an additional bin. netcal's last bin is closed.
- "clipped": netcal moves 0 and 1 inwards by 2.2e-16, which is far below the tolerance.
"""

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from netcal.metrics import ECE
from torchmetrics.functional.classification import binary_calibration_error

SEED = 20260301
# No sample of a set without borders is nearer to one than this.
CLEARANCE = 1e-10


def drawn(rng, probs, skew=0.0):
    """Labels that come true with probability p + skew."""
    return rng.random(len(probs)) < np.clip(probs + skew, 0.0, 1.0)


def beside_borders(bins):
    """Two samples for each inner border, a billionth below and above it, and one near each end."""
    borders = np.arange(1, bins) / bins
    return np.concatenate([[1e-9], borders - 1e-9, borders + 1e-9, [1.0 - 1e-9]])


def sets():
    """(name, case, numbers of bins, probabilities, labels)"""
    rng = np.random.default_rng(SEED)
    income = rng.beta(0.55, 1.7, 400)
    yield "skewed to low probabilities, like incomes of UCI Adult; calibrated", "plain", [10, 15], income, drawn(rng, income)
    yield "the same probabilities, labels too rare", "plain", [10, 15], income, drawn(rng, income, -0.1)
    uniform = rng.random(300)
    yield "uniform, labels too frequent", "plain", [2, 10, 15, 37], uniform, drawn(rng, uniform, 0.2)
    sharp = np.concatenate([rng.uniform(0.001, 0.05, 150), rng.uniform(0.95, 0.999, 100)])
    yield "sharp on both sides, overconfident", "plain", [10, 15], sharp, rng.random(250) < np.where(sharp < 0.5, 0.15, 0.85)
    narrow = rng.uniform(0.41, 0.46, 120)
    yield "all in one bin", "plain", [10, 15], narrow, drawn(rng, narrow, 0.05)
    few = rng.random(12)
    yield "few samples, most bins empty", "plain", [10, 15], few, drawn(rng, few)
    yield "only positive labels", "plain", [10, 15], uniform[:50], np.ones(50, bool)
    yield "only negative labels", "plain", [10, 15], uniform[:50], np.zeros(50, bool)
    for bins in (10, 15):
        probs = beside_borders(bins)
        yield f"a billionth beside the borders of {bins} bins", "plain", [bins], probs, np.arange(len(probs)) % 3 == 0
    for bins in (8, 16):
        # Positive labels on the borders, few between them: it matters which of its neighbours a border belongs to.
        borders, middles = np.arange(1, bins) / bins, (np.arange(bins) + 0.5) / bins
        probs = np.concatenate([np.repeat(borders, 4), np.repeat(middles, 3)])
        truth = np.concatenate([drawn(rng, probs[: 4 * len(borders)], 0.2), drawn(rng, probs[4 * len(borders) :], -0.2)])
        yield f"on the borders of {bins} bins", "left-closed", [bins], probs, truth
    ends = np.concatenate([np.zeros(20), np.ones(20), rng.uniform(0.001, 0.06, 20), rng.uniform(0.94, 0.999, 20)])
    # Under 0 and 1 the labels err to one side, beside them to the other: whoever counts the ends apart gets another number.
    truth = np.concatenate([rng.random(20) < 0.4, rng.random(20) < 0.6, np.zeros(20, bool), np.ones(20, bool)])
    yield "certain predictions, half of them wrong", "a bin of its own", [10, 15], ends, truth


def of_netcal(probs, labels, bins):
    return float(ECE(bins).measure(probs, labels.astype(int)))


def of_torchmetrics(probs, labels, bins):
    result = binary_calibration_error(torch.from_numpy(probs), torch.from_numpy(labels.astype(int)), n_bins=bins, norm="l1")
    assert result.dtype == torch.float64, result.dtype
    return float(result)


def results(probs, labels, bins):
    """Both libraries, on the samples and on the samples with swapped classes."""
    mirrored = (1.0 - probs, ~labels, bins)
    return {
        "bins": bins,
        "netcal": of_netcal(probs, labels, bins),
        "torchmetrics": of_torchmetrics(probs, labels, bins),
        "netcalMirrored": of_netcal(*mirrored),
        "torchmetricsMirrored": of_torchmetrics(*mirrored),
    }


def vectors():
    for name, case, numbers, probs, labels in sets():
        for bins in numbers:
            inner = np.arange(1, bins) / bins
            nearest = np.min(np.abs(probs[:, None] - inner))
            assert (nearest == 0.0) == (case == "left-closed") and (nearest == 0.0 or nearest > CLEARANCE), (name, bins, nearest)
        yield {
            "name": name,
            "case": case,
            "probs": probs.tolist(),
            "labels": labels.astype(int).tolist(),
            "results": [results(probs, labels, bins) for bins in numbers],
        }


def document():
    versions = {package: version(package) for package in ("netcal", "numpy", "scipy", "torch", "torchmetrics")}
    return {
        "about": "ECE as other libraries compute it. Written by tests/crosscheck/golden.py, which explains the cases; do not edit.",
        "seed": SEED,
        "versions": {"python": platform.python_version(), **versions},
        "sets": list(vectors()),
    }


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: golden.py FILE")
    text = json.dumps(document(), indent=None, separators=(", ", ": "), allow_nan=False)
    # One set a line.
    text = text.replace('{"name"', '\n{"name"').replace('"sets"', '\n"sets"')
    Path(sys.argv[1]).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
