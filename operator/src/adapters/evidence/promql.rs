//! `PromQL` expressions built from parts, so that no value can change the meaning of a query.
//!
//! Names come from custom resources, which a workload's team writes; a label value may hold anything. Metric and label
//! names are checked against the grammar, values are quoted as a string literal.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::scoring::{Unknown, UnknownReason};

/// Longest metric name, label name or label value in bytes.
pub const NAME_LIMIT: usize = 512;

/// Name of a metric: `[a-zA-Z_:][a-zA-Z0-9_:]*`, the form that every version of Prometheus reads unquoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MetricName(String);

impl MetricName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`UnknownReason::InvalidQuery`] when the name is empty, too long or has a character outside the grammar.
    pub fn new(name: &str) -> Result<Self, Unknown> {
        if is_identifier(name, true) {
            return Ok(Self(name.to_owned()));
        }
        Err(invalid(format_args!(
            "{name:?} is no metric name: use letters, digits, '_' and ':', not a digit first"
        )))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One condition on a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Matcher {
    name: String,
    operator: Operator,
    value: String,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends.
    Matches,
    /// `!~`, anchored at both ends.
    NotMatches,
}

impl Operator {
    const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        }
    }
}

impl Matcher {
    /// A condition on the label `name`.
    ///
    /// # Errors
    /// [`UnknownReason::InvalidQuery`] when the name is no label name or a part is too long.
    pub fn new(name: &str, operator: Operator, value: &str) -> Result<Self, Unknown> {
        if !is_identifier(name, false) {
            return Err(invalid(format_args!(
                "{name:?} is no label name: use letters, digits and '_', not a digit first"
            )));
        }
        if value.len() > NAME_LIMIT {
            return Err(invalid(format_args!(
                "the value of label {name} is longer than {NAME_LIMIT} bytes"
            )));
        }
        Ok(Self {
            name: name.to_owned(),
            operator,
            value: value.to_owned(),
        })
    }

    /// The label `name` has exactly this value.
    ///
    /// # Errors
    /// As [`Matcher::new`].
    pub fn equal(name: &str, value: &str) -> Result<Self, Unknown> {
        Self::new(name, Operator::Equal, value)
    }

    /// The label that this condition is about.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.name, self.operator.symbol(), Quoted(&self.value))
    }
}

/// A string literal in double quotes, with Go's escapes, which `PromQL` uses.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// All series of some metrics that meet all conditions: `{__name__=~"a|b",x="y"}`.
#[must_use]
pub fn selector<'a>(metrics: impl IntoIterator<Item = &'a MetricName>, matchers: &[Matcher]) -> String {
    let names: Vec<&str> = metrics.into_iter().map(MetricName::as_str).collect();
    let mut text = match names.as_slice() {
        // The grammar of names has no character that means something in a regular expression.
        [one] => format!("{{__name__=\"{one}\""),
        many => format!("{{__name__=~\"{}\"", many.join("|")),
    };
    for matcher in matchers {
        let _ = write!(text, ",{matcher}");
    }
    text.push('}');
    text
}

/// A duration as a range: `[90500ms]`.
#[must_use]
pub fn range(milliseconds: u64) -> String {
    format!("[{milliseconds}ms]")
}

/// Label under which [`resets`] keeps the name of the counter, because functions drop metric names.
pub const COUNTER_LABEL: &str = "penin_counter";

/// How often each counter went back in the range before the query's time, one series for each series that has a sample
/// in it. The metric's name is in [`COUNTER_LABEL`].
#[must_use]
pub fn resets(metrics: &[MetricName], matchers: &[Matcher], milliseconds: u64) -> String {
    let terms = metrics.iter().map(|metric| {
        let series = selector([metric], matchers);
        format!(
            "label_replace(resets({series}{}),\"{COUNTER_LABEL}\",\"{metric}\",\"\",\"\")",
            range(milliseconds)
        )
    });
    terms.collect::<Vec<_>>().join(" or ")
}

fn is_identifier(name: &str, colons: bool) -> bool {
    let mut bytes = name.bytes();
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_' || (colons && b == b':');
    name.len() <= NAME_LIMIT && bytes.next().is_some_and(letter) && bytes.all(|b| letter(b) || b.is_ascii_digit())
}

fn invalid(detail: impl fmt::Display) -> Unknown {
    Unknown::new(UnknownReason::InvalidQuery, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str) -> MetricName {
        MetricName::new(name).unwrap()
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        for bad in ["", "1x", "a b", "a\"b", "a{", "a|b", "ü", &"a".repeat(NAME_LIMIT + 1)] {
            assert_eq!(
                MetricName::new(bad).unwrap_err().reason,
                UnknownReason::InvalidQuery,
                "{bad}"
            );
            assert_eq!(
                Matcher::equal(bad, "x").unwrap_err().reason,
                UnknownReason::InvalidQuery,
                "{bad}"
            );
        }
        assert!(MetricName::new("job:rq:sum").is_ok());
        assert!(Matcher::equal("job:rq", "x").is_err(), "label names have no colon");
        assert!(Matcher::equal("a", &"x".repeat(NAME_LIMIT + 1)).is_err());
    }

    #[test]
    fn values_cannot_end_their_literal() {
        let evil = "a\"} or vector(0) #\\\n\u{7}";
        let matcher = Matcher::equal("pod", evil).unwrap();
        assert_eq!(matcher.to_string(), r#"pod="a\"} or vector(0) #\\\n\u0007""#);
    }

    #[test]
    fn selectors_hold_all_names_and_conditions() {
        let matchers = [
            Matcher::equal("a", "b").unwrap(),
            Matcher::new("c", Operator::NotMatches, "d.*").unwrap(),
        ];
        assert_eq!(selector([&metric("x")], &matchers), r#"{__name__="x",a="b",c!~"d.*"}"#);
        assert_eq!(selector(&[metric("x"), metric("y")], &[]), r#"{__name__=~"x|y"}"#);
        assert_eq!(
            resets(&[metric("x"), metric("y")], &matchers[..1], 1500),
            "label_replace(resets({__name__=\"x\",a=\"b\"}[1500ms]),\"penin_counter\",\"x\",\"\",\"\") or \
             label_replace(resets({__name__=\"y\",a=\"b\"}[1500ms]),\"penin_counter\",\"y\",\"\",\"\")"
        );
    }
}
