//! Builders of the CEL rules in the generated schemas.
//!
//! A message starts with the field's full path in back quotes, so that it can be understood alone,
//! for instance when a Git tool shows it without the API server's own prefix.

use kube::core::{Message, Rule};

/// A duration field must lie in the closed range from `min` to `max`, both GEP-2257 texts.
///
/// Go's duration grammar, which CEL's `duration()` reads, contains GEP-2257.
pub(crate) fn duration_within(path: &str, min: &str, max: &str) -> Rule {
    Rule::new(format!(
        "duration(self) >= duration('{min}') && duration(self) <= duration('{max}')"
    ))
    .message(message(path, &format!("must be from {min} to {max}")))
}

/// A decimal string must lie in `range`.
pub(crate) fn decimal_within(path: &str, range: &Range) -> Rule {
    let low = if range.open_low { ">" } else { ">=" };
    let high = if range.open_high { "<" } else { "<=" };
    let Range { min, max, .. } = range;
    Rule::new(format!("double(self) {low} {min} && double(self) {high} {max}"))
        .message(message(path, &format!("must be in {range}")))
}

/// A free rule about the field at `path`.
pub(crate) fn must(path: &str, rule: &str, requirement: &str) -> Rule {
    Rule::new(rule).message(message(path, requirement))
}

/// A free rule about a direct field of the value that the rule is attached to: the error points at
/// the field instead of its parent. `field` is its name.
pub(crate) fn field_must(path: &str, field: &str, rule: &str, requirement: &str) -> Rule {
    must(path, rule, requirement).field_path(format!(".{field}"))
}

fn message(path: &str, requirement: &str) -> Message {
    Message::Message(format!("`{path}` {requirement}"))
}

/// A numeric interval; both ends are CEL double literals.
pub(crate) struct Range {
    min: &'static str,
    max: &'static str,
    open_low: bool,
    open_high: bool,
}

/// `[min, max]`
pub(crate) const fn closed(min: &'static str, max: &'static str) -> Range {
    Range {
        min,
        max,
        open_low: false,
        open_high: false,
    }
}

/// `(min, max]`
pub(crate) const fn above(min: &'static str, max: &'static str) -> Range {
    Range {
        min,
        max,
        open_low: true,
        open_high: false,
    }
}

/// `[min, max)`
pub(crate) const fn below(min: &'static str, max: &'static str) -> Range {
    Range {
        min,
        max,
        open_low: false,
        open_high: true,
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let open = if self.open_low { '(' } else { '[' };
        let close = if self.open_high { ')' } else { ']' };
        // Literals carry ".0" for CEL; people read the integer.
        let trim = |literal: &'static str| literal.strip_suffix(".0").unwrap_or(literal);
        write!(f, "{open}{}, {}{close}", trim(self.min), trim(self.max))
    }
}
