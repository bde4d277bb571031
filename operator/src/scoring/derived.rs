//! Quantities that are computed from the counts of one revision or of two.
//!
//! Every one is a [`Result`]: an input that is unknown makes the quantity unknown for the same reason. Transcendental
//! functions are those of `libm`, so that a replay elsewhere gives the same bits.

use super::{Bin, Measured, ModelCounts, Unknown, UnknownReason, exact};

/// 2²⁰, the unit of the counters that add up probabilities and squared errors.
const Q20: f64 = 1_048_576.0;

/// Result of a computation on evidence.
pub type Derived = Result<f64, Unknown>;

/// Which bound on aborts a side is judged by: see [`TrafficCounts`](super::TrafficCounts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The revision that is judged: as many aborts as there can have been.
    Candidate,
    /// The revision that it is compared with: as few as there must have been.
    Reference,
}

impl Measured {
    /// Requests by outcome.
    ///
    /// # Errors
    /// Why the requests are unknown.
    pub fn outcomes(&self, side: Side) -> Result<super::Outcomes, Unknown> {
        let traffic = self.traffic.get()?;
        Ok(match side {
            Side::Candidate => traffic.against(),
            Side::Reference => traffic.in_favour(),
        })
    }

    /// Share of requests that failed or broke off.
    ///
    /// # Errors
    /// Why it is unknown.
    pub fn error_ratio(&self, side: Side) -> Derived {
        self.outcomes(side)?.error_ratio()
    }

    /// Share of requests that succeeded.
    ///
    /// # Errors
    /// Why it is unknown.
    pub fn success_ratio(&self, side: Side) -> Derived {
        self.outcomes(side)?.success_ratio()
    }
}

impl ModelCounts {
    /// Share of labelled predictions whose decision was the label.
    ///
    /// # Errors
    /// [`UnknownReason::Missing`] without outcomes by group, [`UnknownReason::Undefined`] without labels.
    pub fn accuracy(&self) -> Derived {
        if self.groups.is_empty() {
            return Err(Unknown::new(
                UnknownReason::Missing,
                "accuracy: outcomes by group are not exported",
            ));
        }
        let right = exact::sum(self.groups.values().flat_map(|group| [group.tp, group.tn]))?;
        let all = exact::sum(
            self.groups
                .values()
                .flat_map(|group| [group.tp, group.fp, group.tn, group.fn_]),
        )?;
        exact::share(right, all, "accuracy")
    }

    /// Brier score: mean squared error of the probabilities.
    ///
    /// # Errors
    /// [`UnknownReason::Missing`] when it is not exported, [`UnknownReason::Undefined`] without labels.
    pub fn brier(&self) -> Derived {
        let sum = self.squared_error_q20.ok_or_else(|| not_exported("squared errors"))?;
        positive(self.labelled, "Brier score")?;
        Ok(exact::number(sum) / exact::number(self.labelled) / Q20)
    }

    /// Brier score of the predictor that always says the base rate p̄: p̄·(1 − p̄).
    ///
    /// # Errors
    /// As [`ModelCounts::brier`].
    pub fn base_rate_brier(&self) -> Derived {
        let positives = exact::sum(self.labelled_bins()?.iter().map(|bin| bin.positives))?;
        let rate = exact::share(positives, self.labelled, "base rate")?;
        Ok(rate * (1.0 - rate))
    }

    /// Mean binary entropy of the labelled predictions in bits, each bin by the mean of its probabilities. Entropy is
    /// concave, so this is never below the mean over the single predictions.
    ///
    /// # Errors
    /// As [`ModelCounts::brier`].
    pub fn uncertainty(&self) -> Derived {
        let bins = self.labelled_bins()?;
        let all = positive(exact::sum(bins.iter().map(|bin| bin.samples))?, "uncertainty")?;
        let terms = bins.iter().filter(|bin| bin.samples > 0).map(|bin| {
            let samples = exact::number(bin.samples);
            samples * entropy(exact::number(bin.probability_q20) / samples / Q20)
        });
        Ok(terms.sum::<f64>() / all)
    }

    /// Share of predictions with a positive decision.
    ///
    /// # Errors
    /// [`UnknownReason::Missing`] without bins, [`UnknownReason::Undefined`] without predictions.
    pub fn selection_rate(&self) -> Derived {
        let bins = self.labelled_bins()?;
        exact::share(
            exact::sum(bins.iter().map(|bin| bin.selections))?,
            self.predictions,
            "selection rate",
        )
    }

    /// Share of predictions that no label has reached. Labels of a window may belong to earlier predictions; then none
    /// is open.
    ///
    /// # Errors
    /// [`UnknownReason::Undefined`] without predictions.
    pub fn unlabelled_share(&self) -> Derived {
        exact::share(
            self.predictions.saturating_sub(self.labelled),
            self.predictions,
            "unlabelled predictions",
        )
    }

    fn labelled_bins(&self) -> Result<&[Bin], Unknown> {
        if self.bins.is_empty() {
            Err(not_exported("probability bins"))
        } else {
            Ok(&self.bins)
        }
    }
}

/// Population stability index of the score bins of two revisions: Σ (qᵢ − pᵢ)·ln(qᵢ/pᵢ), with half a prediction added to
/// every bin so that an empty one has a logarithm. 0 means equal; above 0.25 is usually called a shift.
///
/// # Errors
/// [`UnknownReason::Inconsistent`] when the numbers of bins differ, [`UnknownReason::Undefined`] without predictions.
pub fn stability_index(candidate: &ModelCounts, reference: &ModelCounts) -> Derived {
    let (new, old) = (candidate.labelled_bins()?, reference.labelled_bins()?);
    if new.len() != old.len() {
        let detail = format!("{} score bins cannot be compared with {}", new.len(), old.len());
        return Err(Unknown::new(UnknownReason::Inconsistent, detail));
    }
    let half = exact::number(new.len() as u64) / 2.0;
    let all_new = positive(candidate.predictions, "score bins")? + half;
    let all_old = positive(reference.predictions, "score bins of the reference")? + half;
    let terms = new.iter().zip(old).map(|(new, old)| {
        let q = (exact::number(new.predictions) + 0.5) / all_new;
        let p = (exact::number(old.predictions) + 0.5) / all_old;
        (q - p) * libm::log(q / p)
    });
    Ok(terms.sum())
}

/// −p·log₂p − (1−p)·log₂(1−p).
fn entropy(p: f64) -> f64 {
    let term = |p: f64| if p > 0.0 { -p * libm::log2(p) } else { 0.0 };
    term(p) + term(1.0 - p)
}

fn positive(count: u64, what: &str) -> Derived {
    if count == 0 {
        return Err(Unknown::new(
            UnknownReason::Undefined,
            format_args!("{what}: nothing was counted"),
        ));
    }
    Ok(exact::number(count))
}

fn not_exported(what: &str) -> Unknown {
    Unknown::new(UnknownReason::Missing, format_args!("{what} are not exported"))
}
