"""Trains the demonstration's four models on UCI Adult and writes what the workload ships.

Writes, below the folder given with --out:

  data/adult-test.csv     the test split, compact, with its categories in the head of the file
  models/<name>.json      weights of one model; the bytes of this file are the model's identity
  models/manifest.json    digests of all files above, and figures and counters of each model

The four models differ in their weights files only:

  champion   age, education and hours; one threshold a sex, fitted for equal selection rates
  better     every feature, the same constraint
  unfair     every feature, one threshold of 0.5 for all: the most accurate and the least fair
  failing    better's weights, and a declared defect of its feature cache

Two runs write the same bytes: the optimum of the convex loss is reached to far more digits than
the weights keep, and all figures are computed from the weights as written, not as fitted.
"""

import argparse
import hashlib
import json
import math
import pathlib
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression

# The rows as published; a different copy of the data would give different models.
SOURCES = {
    "adult.data": ("5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d", 32561),
    "adult.test": ("a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05", 16281),
}

# Column of each feature in the published files. Left out are fnlwgt, a census sampling weight and no
# attribute of a person, and education, which education_num repeats as a number.
COLUMNS = {
    "age": 0,
    "workclass": 1,
    "education_num": 4,
    "marital_status": 5,
    "occupation": 6,
    "relationship": 7,
    "race": 8,
    "sex": 9,
    "capital_gain": 10,
    "capital_loss": 11,
    "hours_per_week": 12,
    "native_country": 13,
}
LABEL_COLUMN = 14
LABEL = "income_above_50k"
NUMERIC = ["age", "capital_gain", "capital_loss", "education_num", "hours_per_week"]
CATEGORICAL = [name for name in COLUMNS if name not in NUMERIC]
GROUP = "sex"

CALIBRATION_BINS = 15
FIXED_POINT = 1 << 20
# Enough digits for every figure, few enough that another BLAS rounds to the same ones.
WEIGHT_DIGITS = 8

FEW_FEATURES = ["age", "education_num", "hours_per_week"]
DEFECT = {"kind": "FeatureCacheExpiry", "after_seconds": 100, "failing_permille": 100}


def read_rows(folder, name):
    """Rows of one published file as lists of strings, checked against its known digest and length."""
    content = (folder / name).read_bytes()
    digest, count = SOURCES[name]
    if hashlib.sha256(content).hexdigest() != digest:
        raise SystemExit(f"{folder / name}: not the published file (SHA-256 differs)")
    rows = []
    for line in content.decode("ascii").splitlines():
        # adult.test starts with a comment line; both files end with an empty one.
        if line and not line.startswith("|"):
            rows.append([cell.strip() for cell in line.split(",")])
    if len(rows) != count:
        raise SystemExit(f"{folder / name}: {len(rows)} rows instead of {count}")
    return rows


def labels(rows):
    """1 for an income above 50,000 dollars a year. The test file ends its labels with a full stop."""
    return np.array([int(row[LABEL_COLUMN].rstrip(".") == ">50K") for row in rows])


def column(rows, name):
    """One feature of all rows as strings."""
    return [row[COLUMNS[name]] for row in rows]


def rounded(value, digits=WEIGHT_DIGITS):
    """The value with a fixed number of significant digits, as the weights file keeps it."""
    return float(f"{value:.{digits - 1}e}")


def fit(rows, features):
    """Weights of a logistic regression: intercept, slope by numeric feature, offset by category."""
    numeric = [name for name in NUMERIC if name in features]
    names, columns = [], []
    for name in numeric:
        names.append((name, None))
        columns.append(np.array(column(rows, name), dtype=float))
    for name in (name for name in CATEGORICAL if name in features):
        values = np.array(column(rows, name))
        for category in sorted(set(values)):
            names.append((name, category))
            columns.append((values == category).astype(float))
    matrix = np.column_stack(columns)
    # Standardised, so that the penalty treats years and dollars alike; categories stay 0 or 1.
    mean = np.where([category is None for _, category in names], matrix.mean(axis=0), 0.0)
    scale = np.where([category is None for _, category in names], matrix.std(axis=0), 1.0)
    regression = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    regression.fit((matrix - mean) / scale, labels(rows))
    slopes = regression.coef_[0] / scale
    weights = {"intercept": rounded(regression.intercept_[0] - float(slopes @ mean)), "numeric": {}, "categorical": {}}
    for (name, category), slope in zip(names, slopes, strict=True):
        if category is None:
            weights["numeric"][name] = rounded(slope)
        else:
            weights["categorical"].setdefault(name, {})[category] = rounded(slope)
    return weights


def probabilities(weights, rows):
    """Probability of label 1 by row, added up in the order the server uses: features by name."""
    answer = []
    numeric = [(COLUMNS[name], slope) for name, slope in sorted(weights["numeric"].items())]
    categorical = [(COLUMNS[name], offsets) for name, offsets in sorted(weights["categorical"].items())]
    for row in rows:
        logit = weights["intercept"]
        for index, slope in numeric:
            logit += slope * float(row[index])
        for index, offsets in categorical:
            logit += offsets.get(row[index], 0.0)
        answer.append(1.0 / (1.0 + math.exp(-logit)))
    return answer


def parity_thresholds(scores, groups, share):
    """For each group the threshold above which this share of its training rows lies."""
    thresholds = {}
    for group in sorted(set(groups)):
        own = sorted((score for score, g in zip(scores, groups, strict=True) if g == group), reverse=True)
        wanted = round(share * len(own))
        # Equal scores cannot be parted: take the nearest place where two neighbours differ.
        partings = (cut for cut in range(1, len(own)) if own[cut - 1] - own[cut] > 1e-6)
        cut = min(partings, key=lambda cut: (abs(cut - wanted), cut))
        thresholds[group] = rounded((own[cut - 1] + own[cut]) / 2)
        if not own[cut - 1] > thresholds[group] > own[cut]:
            raise SystemExit(f"threshold of {group} does not part its neighbours")
    return thresholds


def bin_of(probability):
    """Right-closed bin (k/15, (k+1)/15] of a probability; 0 lies in the first."""
    count = CALIBRATION_BINS
    index = min(max(math.ceil(probability * count), 1), count)
    while index > 1 and probability <= (index - 1) / count:
        index -= 1
    while index < count and probability > index / count:
        index += 1
    return index - 1


def counters(scores, truth, groups, thresholds):
    """The integers the server would export after one pass over the rows with every label delivered."""
    samples, positives, sums = ([0] * CALIBRATION_BINS for _ in range(3))
    outcomes = {group: {"tp": 0, "fp": 0, "tn": 0, "fn": 0} for group in sorted(thresholds)}
    selections = [0] * CALIBRATION_BINS
    squared_error = 0
    for score, label, group in zip(scores, truth, groups, strict=True):
        index = bin_of(score)
        selected = score > thresholds[group]
        samples[index] += 1
        positives[index] += int(label)
        # round() breaks ties to even, as IEEE 754 and the server do.
        sums[index] += round(score * FIXED_POINT)
        squared_error += round((score - float(label)) ** 2 * FIXED_POINT)
        selections[index] += int(selected)
        outcomes[group][("t" if selected == bool(label) else "f") + ("p" if selected else "n")] += 1
    return {
        "calibration_samples": samples,
        "calibration_positives": positives,
        "calibration_probability_q20": sums,
        "selections": selections,
        "squared_error_q20": squared_error,
        "group_outcomes": outcomes,
    }


def figures(counts):
    """Accuracy, ECE, Brier score and rho_bias between groups, from the counters alone."""
    total = sum(counts["calibration_samples"])
    gap = sum(
        abs(positives * FIXED_POINT - sums)
        for positives, sums in zip(counts["calibration_positives"], counts["calibration_probability_q20"], strict=True)
    )
    groups = counts["group_outcomes"].values()
    rates = [(g["tp"] + g["fp"]) / sum(g.values()) for g in groups]
    return {
        "accuracy": sum(g["tp"] + g["tn"] for g in groups) / total,
        "ece": gap / FIXED_POINT / total,
        "brier": counts["squared_error_q20"] / FIXED_POINT / total,
        "rho_bias_between_groups": max(rates) / min(rates),
    }


def compact_split(rows):
    """The test split as text: categories in the head, one row a line, categories by their index."""
    categories = {name: sorted(set(column(rows, name))) for name in CATEGORICAL}
    lines = [
        "# UCI Adult (Becker, Kohavi 1996), test split, doi:10.24432/C5XW20, CC BY 4.0.",
        "# Changed: fnlwgt and education left out, categories written as their index below.",
    ]
    lines += [f"#{name}={'|'.join(categories[name])}" for name in CATEGORICAL]
    lines.append(",".join([*COLUMNS, LABEL]))
    codes = {name: {value: str(index) for index, value in enumerate(values)} for name, values in categories.items()}
    for row, label in zip(rows, labels(rows), strict=True):
        cells = [codes[name][row[index]] if name in codes else row[index] for name, index in COLUMNS.items()]
        lines.append(",".join([*cells, str(label)]))
    return "\n".join(lines) + "\n"


def train(training):
    """Weights files of the four models by name, as objects."""
    truth, groups = labels(training), column(training, GROUP)
    models = {}
    for name, features in (("champion", FEW_FEATURES), ("better", list(COLUMNS))):
        weights = fit(training, features)
        # As many are selected as earn above 50,000 dollars, in each group alike.
        share = float(truth.mean())
        thresholds = parity_thresholds(probabilities(weights, training), groups, share)
        models[name] = {"schema": "penin-workload/1", "name": name, **weights, "group": GROUP, "thresholds": thresholds}
    models["unfair"] = {**models["better"], "name": "unfair", "thresholds": dict.fromkeys(sorted(set(groups)), 0.5)}
    models["failing"] = {**models["better"], "name": "failing", "defect": DEFECT}
    return models


def build(source):
    """Every file to write, as bytes by relative path."""
    training, test = read_rows(source, "adult.data"), read_rows(source, "adult.test")
    files = {"data/adult-test.csv": compact_split(test).encode("ascii")}
    manifest = {
        "schema": "penin-workload-manifest/1",
        "training_rows": len(training),
        "test_rows": len(test),
        "test_split_sha256": hashlib.sha256(files["data/adult-test.csv"]).hexdigest(),
        "models": {},
    }
    for name, model in train(training).items():
        content = (json.dumps(model, sort_keys=True, separators=(",", ":")) + "\n").encode("ascii")
        files[f"models/{name}.json"] = content
        counts = counters(probabilities(model, test), labels(test), column(test, GROUP), model["thresholds"])
        manifest["models"][name] = {
            "file": f"{name}.json",
            "sha256": hashlib.sha256(content).hexdigest(),
            "figures": figures(counts),
            "counters": counts,
        }
    files["models/manifest.json"] = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode("ascii")
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=pathlib.Path, required=True, help="folder of adult.data and adult.test")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of data/ and models/")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file differs")
    arguments = parser.parse_args()
    files = build(arguments.source)
    differing = []
    for path, content in files.items():
        target = arguments.out / path
        if not arguments.check:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        elif not target.is_file() or target.read_bytes() != content:
            differing.append(path)
    for name, model in json.loads(files["models/manifest.json"])["models"].items():
        print(f"{name:9}", "  ".join(f"{key} {value:.4f}" for key, value in model["figures"].items()))
    if differing:
        sys.exit("differs from what training gives: " + ", ".join(differing))


if __name__ == "__main__":
    main()
