//! Kubernetes resource quantities: one spelling for one amount.
//!
//! The API server stores `1000m` as `1`. A revision is named by the hash of its template, so a template is
//! hashed with the spelling that the server will give back. Grammar and canonical form are those of
//! the documentation of `k8s.io/apimachinery/pkg/api/resource.Quantity`: no precision is lost down to 10^-9
//! (below, amounts are rounded up), no fraction is written, and the suffix is the largest that allows this.

use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Decimal places that are kept.
const PLACES: u32 = 9;
/// Parts of a unit that are kept.
const NANOS: u128 = 10_u128.pow(PLACES);
/// Largest amount the server accepts, in units.
const MAX_UNITS: u128 = i64::MAX as u128;
/// Longest text that is read.
const MAX_LENGTH: usize = 64;

/// A text that is no quantity that a container may request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number with a known suffix.
    #[error(
        "must be a number with one of the suffixes n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent such as e3"
    )]
    Malformed,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// Above 2^63 - 1.
    #[error("must be at most 9223372036854775807")]
    TooLarge,
}

/// An amount in parts of 10^-9, and whether it was written with a power of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Amount {
    nanos: u128,
    binary: bool,
}

/// The spelling that the API server gives back for `quantity`.
///
/// # Errors
/// [`QuantityError`] when it is malformed, negative or too large.
pub fn canonical_quantity(quantity: &Quantity) -> Result<Quantity, QuantityError> {
    parse(&quantity.0).map(|amount| Quantity(amount.spell()))
}

/// The amount in units (cores, bytes), to the precision of `f64`.
///
/// # Errors
/// [`QuantityError`] when it is malformed, negative or too large.
#[expect(
    clippy::cast_precision_loss,
    reason = "a comparison of sizes needs no more than 53 bits"
)]
pub fn quantity_value(quantity: &Quantity) -> Result<f64, QuantityError> {
    parse(&quantity.0).map(|amount| amount.nanos as f64 / 1e9)
}

/// What one pod requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PodRequests {
    /// CPU cores.
    pub cpu_cores: f64,
    /// Bytes of memory.
    pub memory_bytes: f64,
}

/// Sum of the requests of all containers that run for the life of the pod (init containers with restart policy
/// `Always` among them) and of the pod's overhead. A container that names only a limit requests that limit, as
/// the API server has it. None when a container names neither: then the pod's size is unknown, not zero.
#[must_use]
pub fn pod_requests(template: &PodTemplateSpec) -> Option<PodRequests> {
    let spec = template.spec.as_ref()?;
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let overhead = |name: &str| spec.overhead.as_ref().and_then(|overhead| overhead.get(name));
    let mut sum = PodRequests {
        cpu_cores: overhead("cpu").map_or(Some(0.0), |q| quantity_value(q).ok())?,
        memory_bytes: overhead("memory").map_or(Some(0.0), |q| quantity_value(q).ok())?,
    };
    for container in spec.containers.iter().chain(sidecars) {
        sum.cpu_cores += request_of(container, "cpu")?;
        sum.memory_bytes += request_of(container, "memory")?;
    }
    Some(sum)
}

fn request_of(container: &Container, resource: &str) -> Option<f64> {
    let resources = container.resources.as_ref()?;
    let named = |list: &Option<std::collections::BTreeMap<String, Quantity>>| {
        list.as_ref().and_then(|list| list.get(resource)).cloned()
    };
    let quantity = named(&resources.requests).or_else(|| named(&resources.limits))?;
    quantity_value(&quantity).ok()
}

fn parse(text: &str) -> Result<Amount, QuantityError> {
    if text.len() > MAX_LENGTH {
        return Err(QuantityError::Malformed);
    }
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(QuantityError::Malformed);
    }
    let unit = Unit::parse(suffix)?;
    let binary = matches!(unit, Unit::Binary { .. });
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(Amount { nanos: 0, binary });
    }
    if negative {
        return Err(QuantityError::Negative);
    }
    let mantissa: u128 = digits.parse().map_err(|_| QuantityError::TooLarge)?;
    let places = u32::try_from(fraction.len()).map_err(|_| QuantityError::Malformed)?;
    let nanos = unit.scale(mantissa, places)?;
    if nanos > MAX_UNITS * NANOS {
        return Err(QuantityError::TooLarge);
    }
    Ok(Amount { nanos, binary })
}

/// A suffix: a power of ten or of 1024.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Ten { exponent: i32 },
    Binary { power: u32 },
}

impl Unit {
    fn parse(suffix: &str) -> Result<Self, QuantityError> {
        if let Some(power) = BINARY.iter().position(|known| *known == suffix) {
            let power = u32::try_from(power + 1).map_err(|_| QuantityError::Malformed)?;
            return Ok(Self::Binary { power });
        }
        if let Some((_, exponent)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
            return Ok(Self::Ten { exponent: *exponent });
        }
        // `E` alone is exa and was found above; `E3` and `e3` are exponents.
        let exponent = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Malformed)?;
        exponent
            .parse()
            .map(|exponent| Self::Ten { exponent })
            .map_err(|_| QuantityError::Malformed)
    }

    /// `mantissa / 10^places` of this unit in parts of 10^-9, rounded up.
    fn scale(self, mantissa: u128, places: u32) -> Result<u128, QuantityError> {
        let too_large = QuantityError::TooLarge;
        let (factor, exponent) = match self {
            Self::Ten { exponent } => (1, exponent),
            Self::Binary { power } => (1024_u128.pow(power), 0),
        };
        let shift = i64::from(exponent) + i64::from(PLACES) - i64::from(places);
        let scaled = mantissa.checked_mul(factor).ok_or(too_large)?;
        let power = u32::try_from(shift.unsigned_abs())
            .ok()
            .and_then(|shift| 10_u128.checked_pow(shift));
        match (power, shift >= 0) {
            (Some(power), true) => scaled.checked_mul(power).ok_or(too_large),
            (Some(power), false) => Ok(scaled.div_ceil(power)),
            (None, true) => Err(too_large),
            // Smaller than any part that is kept, and not zero.
            (None, false) => Ok(1),
        }
    }
}

const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] = [
    ("E", 18),
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("", 0),
    ("m", -3),
    ("u", -6),
    ("n", -9),
];

impl Amount {
    /// With the largest suffix that needs no fraction. An exponent is written as a suffix: both are
    /// stored unchanged, and one spelling for one amount is the aim.
    fn spell(self) -> String {
        // The server leaves the binary suffixes below 1024 and where they would need a fraction.
        if self.binary && self.nanos >= 1024 * NANOS && self.nanos.is_multiple_of(NANOS) {
            return spell_binary(self.nanos / NANOS);
        }
        if self.nanos == 0 {
            return "0".to_owned();
        }
        let (mut mantissa, mut suffix) = (self.nanos, "n");
        for (larger, _) in DECIMAL.iter().rev().skip(1) {
            if !mantissa.is_multiple_of(1000) {
                break;
            }
            (mantissa, suffix) = (mantissa / 1000, larger);
        }
        format!("{mantissa}{suffix}")
    }
}

fn spell_binary(mut units: u128) -> String {
    let mut suffix = "";
    for larger in BINARY {
        if !units.is_multiple_of(1024) {
            break;
        }
        (units, suffix) = (units / 1024, larger);
    }
    format!("{units}{suffix}")
}

#[cfg(test)]
mod tests;
