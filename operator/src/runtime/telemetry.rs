//! Logs: one JSON object a line, with the trace id of the challenger's life on every line that belongs to it.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The filter could not be parsed.
#[derive(Debug, thiserror::Error)]
#[error("the log filter {filter:?} cannot be read: {reason}; write for example info or info,penin_operator=debug")]
pub struct BadFilter {
    filter: String,
    reason: String,
}

/// Starts logging to standard error. The filter is that of `tracing_subscriber::EnvFilter`.
///
/// # Errors
/// When the filter cannot be parsed.
pub fn start(filter: &str) -> Result<(), BadFilter> {
    let parsed = EnvFilter::try_new(filter).map_err(|error| BadFilter {
        filter: filter.to_owned(),
        reason: error.to_string(),
    })?;
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stderr);
    // A second start, as in tests, leaves the first in place.
    let _ = tracing_subscriber::registry().with(parsed).with(lines).try_init();
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_bad_filter_is_named() {
        let error = super::start("penin_operator=loud").unwrap_err().to_string();
        assert!(error.contains("penin_operator=loud"), "{error}");
    }
}
