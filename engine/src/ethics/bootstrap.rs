//! Block bootstrap of the gated metrics.
//!
//! Each replicate draws 64 of the 64 sample blocks with replacement and recomputes the metrics from their counts; blocks instead of
//! samples keep the cost independent of the number of samples. Source: B. Efron, R. J. Tibshirani, *An Introduction to the Bootstrap*
//! (1993), percentile interval of chapter 13.

use super::accumulator::{Accumulator, BLOCKS};
use super::groups::{Confusion, Parities, RHO_BIAS_WORST, RhoBiasForms};
use super::report::{Intervals, Report, fairness, gap, gated_form, per_sample};
use crate::config::{BootstrapConfig, EthicsConfig};
use crate::rng::{Stream, bootstrap_stream};

/// Counts of one block.
struct Block {
    samples: u64,
    /// Signed calibration error of each bin times its samples, scale 2⁵³.
    errors: Vec<i128>,
    groups: Vec<Confusion>,
}

/// One resample of the gated metrics.
struct Replicate {
    ece: f64,
    rho_bias: f64,
    fairness: f64,
}

/// Intervals around the point estimates of `report`. Only called when ECE is measured.
pub(super) fn intervals(
    config: &EthicsConfig,
    accumulator: &Accumulator,
    report: &Report,
    seed: u64,
    cycle: u64,
) -> Intervals {
    let bootstrap = &config.bootstrap;
    let blocks = blocks(accumulator);
    let mut stream = Stream::new(seed, bootstrap_stream(cycle));
    let replicates: Vec<Replicate> = (0..bootstrap.replicates)
        .map(|_| replicate(config, &blocks, &mut stream))
        .collect();
    let interval = |pick: fn(&Replicate) -> f64, point: f64| {
        percentile_interval(bootstrap, replicates.iter().map(pick).collect(), point)
    };
    Intervals {
        replicates: bootstrap.replicates,
        confidence_permille: bootstrap.confidence_permille,
        ece: interval(|replicate| replicate.ece, report.ece.value),
        rho_bias: report
            .rho_bias
            .is_measured()
            .then(|| interval(|replicate| replicate.rho_bias, report.rho_bias.value)),
        fairness: report
            .fairness
            .is_measured()
            .then(|| interval(|replicate| replicate.fairness, report.fairness.value)),
    }
}

fn blocks(accumulator: &Accumulator) -> Vec<Block> {
    accumulator
        .blocks
        .chunks_exact(accumulator.bins())
        .enumerate()
        .map(|(index, cells)| Block {
            samples: cells.iter().map(|cell| cell.count).sum(),
            errors: cells
                .iter()
                .map(|cell| {
                    let size = gap(cell).cast_signed();
                    if u128::from(cell.positives) << 53 < cell.sum {
                        -size
                    } else {
                        size
                    }
                })
                .collect(),
            groups: accumulator
                .groups
                .values()
                .filter_map(|counts| counts.get(index).copied())
                .collect(),
        })
        .collect()
}

fn replicate(config: &EthicsConfig, blocks: &[Block], stream: &mut Stream) -> Replicate {
    let mut times = [0_u32; BLOCKS];
    for _ in 0..BLOCKS {
        let drawn = usize::try_from(stream.below(BLOCKS as u64)).unwrap_or(0);
        if let Some(count) = times.get_mut(drawn) {
            *count += 1;
        }
    }
    let width = |pick: fn(&Block) -> usize| blocks.first().map_or(0, pick);
    let mut samples = 0_u128;
    let mut errors = vec![0_i128; width(|block| block.errors.len())];
    let mut groups = vec![Confusion::default(); width(|block| block.groups.len())];
    for (block, times) in blocks.iter().zip(times).filter(|(_, times)| *times > 0) {
        samples += u128::from(block.samples) * u128::from(times);
        for (sum, error) in errors.iter_mut().zip(&block.errors) {
            *sum += error * i128::from(times);
        }
        for (sum, counts) in groups.iter_mut().zip(&block.groups) {
            sum.add_times(*counts, u64::from(times));
        }
    }
    let error = errors.iter().map(|error| error.unsigned_abs()).sum();
    let forms = RhoBiasForms::of(&groups);
    let empty = groups.iter().any(|counts| counts.samples() == 0);
    let fairness = fairness(
        config.fairness_metric,
        &Parities::of(&groups),
        forms.to_overall.is_none(),
    );
    Replicate {
        ece: if samples == 0 { 1.0 } else { per_sample(error, samples) },
        rho_bias: gated_form(config.bias_form, forms).unwrap_or(RHO_BIAS_WORST),
        fairness: fairness.filter(|_| !empty).unwrap_or(0.0),
    }
}

/// Percentile interval of `values`, widened to contain `point`.
fn percentile_interval(bootstrap: &BootstrapConfig, mut values: Vec<f64>, point: f64) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    let (replicates, permille) = (bootstrap.replicates, bootstrap.confidence_permille);
    let lower = replicates * (1000 - permille.min(1000)) / 2000;
    let upper = (replicates * (1000 + permille)).div_ceil(2000).saturating_sub(1);
    let at = |index: u64| {
        usize::try_from(index)
            .ok()
            .and_then(|index| values.get(index))
            .map_or(point, |value| *value)
    };
    [f64::min(at(lower), point), f64::max(at(upper), point)]
}
