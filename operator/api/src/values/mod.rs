//! Value types that are strings on the wire and checked values in memory.
//!
//! The Kubernetes API conventions forbid floating point numbers in a spec, so fractions travel as
//! decimal strings, and 64-bit integers travel as strings because JSON readers lose bits above 2⁵³.
//! Every type here is checked when it is read, keeps the text it was given (a controller never
//! rewrites a user's value) and carries the schema that makes the API server refuse the rest.

mod decimal;
mod duration;
mod percent;
mod unsigned;

pub use decimal::{DecimalError, DecimalString};
pub use duration::{Duration, DurationError};
pub use percent::{Percent, PercentError};
pub use unsigned::{UnsignedError, UnsignedString};
