//! From evidence to the engine's inputs: pure, no I/O, no clock.

mod counts;
pub mod exact;
mod record;
mod unknown;

pub use counts::{Bin, Group, Latency, ModelCounts, Outcomes, RatioCounts, ResourceUse, TrafficCounts};
pub use record::{
    BucketRecord, GaugeRecord, HistogramRecord, QueryRecord, RawSample, SeriesRecord, SourceRecord, Window,
};
pub use unknown::{Reading, Unknown, UnknownReason};
