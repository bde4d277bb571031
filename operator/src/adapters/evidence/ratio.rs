//! A share of good events of any two counters, by selectors with template variables.
//!
//! The variables stand inside quoted label values and are replaced after the selector has been read, so that what is
//! put in can never become syntax.

use super::promql::{Matcher, MetricName, Operator};
use super::read::{CounterQuery, Source};
use super::window::{Beginning, Vanished};
use crate::scoring::{RatioCounts, SourceRecord, Unknown, UnknownReason, Window};

/// Most conditions of a selector.
const MATCHER_LIMIT: usize = 32;

/// What the variables stand for.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'a> {
    /// `{{ namespace }}`: namespace of the revision.
    pub namespace: &'a str,
    /// `{{ service }}`: its Service.
    pub service: &'a str,
    /// `{{ revision }}`: its name.
    pub revision: &'a str,
}

/// A metric with conditions, such as `answers_total{service="{{ service }}"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    metric: MetricName,
    matchers: Vec<(String, Operator, String)>,
}

impl Selector {
    /// Reads a selector: a metric name, braces, conditions with values in double quotes.
    ///
    /// # Errors
    /// [`UnknownReason::InvalidQuery`] with the place where the text stops being one.
    pub fn parse(text: &str) -> Result<Self, Unknown> {
        let (name, mut rest) = text
            .trim()
            .split_once('{')
            .ok_or_else(|| invalid(text, "there is no '{'"))?;
        let metric = MetricName::new(name.trim_end())?;
        let mut matchers = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(end) = rest.strip_prefix('}') {
                return if end.is_empty() {
                    Ok(Self { metric, matchers })
                } else {
                    Err(invalid(end, "something follows '}'"))
                };
            }
            if matchers.len() == MATCHER_LIMIT {
                return Err(invalid(rest, "there are more than 32 conditions"));
            }
            let (matcher, after) = condition(rest)?;
            matchers.push(matcher);
            rest = after.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after,
                None if rest.starts_with('}') => {}
                None => return Err(invalid(rest, "a ',' or '}' is missing")),
            }
        }
    }

    /// The conditions with the variables replaced. In a pattern (`=~`, `!~`) what is put in is quoted.
    ///
    /// # Errors
    /// [`UnknownReason::InvalidQuery`] for a name that is no label name or a variable that is not known.
    fn matchers(&self, variables: &Variables<'_>) -> Result<Vec<Matcher>, Unknown> {
        let matcher = |(name, operator, value): &(String, Operator, String)| {
            let pattern = matches!(operator, Operator::Matches | Operator::NotMatches);
            Matcher::new(name, *operator, &fill(value, variables, pattern)?)
        };
        self.matchers.iter().map(matcher).collect()
    }
}

/// Reads `name op "value"` and returns what follows.
fn condition(text: &str) -> Result<((String, Operator, String), &str), Unknown> {
    let name_end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    let rest = rest.trim_start();
    let operators = [
        ("=~", Operator::Matches),
        ("!~", Operator::NotMatches),
        ("!=", Operator::NotEqual),
        ("=", Operator::Equal),
    ];
    let found = operators
        .iter()
        .find_map(|(symbol, operator)| rest.strip_prefix(symbol).map(|rest| (*operator, rest)));
    let (operator, rest) = found.ok_or_else(|| invalid(rest, "'=', '!=', '=~' or '!~' is missing"))?;
    let rest = rest
        .trim_start()
        .strip_prefix('"')
        .ok_or_else(|| invalid(rest, "a '\"' is missing"))?;
    let (value, rest) = literal(rest)?;
    Ok(((name.to_owned(), operator, value), rest))
}

/// Reads up to the closing quote.
fn literal(text: &str) -> Result<(String, &str), Unknown> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some(c @ ('\\' | '"' | '\'')) => value.push(c),
                _ => return Err(invalid(text, "an escape is not one of \\\\, \\\", \\n, \\t and \\r")),
            },
            '\n' => return Err(invalid(text, "a value runs over the end of a line")),
            c => value.push(c),
        }
    }
    Err(invalid(text, "the closing '\"' is missing"))
}

fn fill(value: &str, variables: &Variables<'_>, pattern: bool) -> Result<String, Unknown> {
    let mut filled = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after
            .split_once("}}")
            .ok_or_else(|| invalid(value, "'{{' has no '}}'"))?;
        let put_in = match name.trim() {
            "namespace" => variables.namespace,
            "service" => variables.service,
            "revision" => variables.revision,
            _ => return Err(invalid(value, "the variables are namespace, service and revision")),
        };
        filled.push_str(before);
        for c in put_in.chars() {
            if pattern && !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
                filled.push('\\');
            }
            filled.push(c);
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn invalid(near: &str, problem: &str) -> Unknown {
    Unknown::new(
        UnknownReason::InvalidQuery,
        format_args!("selector: {problem}, near {near:?}"),
    )
}

/// The two counters of a ratio and how they are judged.
#[derive(Clone, Debug)]
pub struct Ratio {
    /// Good events.
    pub good: Selector,
    /// All events.
    pub total: Selector,
}

/// Counts the events of a ratio for one revision.
///
/// # Errors
/// [`Unknown`] when a counter is missing or unusable, or more events are good than there are.
pub async fn ratio(
    source: &Source,
    ratio: &Ratio,
    variables: &Variables<'_>,
    (purpose, vanished, beginning): (&str, Vanished, Beginning),
    window: Window,
) -> Result<(RatioCounts, Vec<SourceRecord>), Unknown> {
    let query = |selector: &Selector| -> Result<CounterQuery, Unknown> {
        let matchers = selector.matchers(variables)?;
        Ok(CounterQuery {
            counters: vec![selector.metric.clone()],
            histograms: Vec::new(),
            matchers,
            vanished,
            beginning,
        })
    };
    let total = source
        .count(&format!("{purpose}/total"), &query(&ratio.total)?, window)
        .await?;
    let all = total.deltas.required(ratio.total.metric.as_str())?;
    // No series of good events is not the same as none of them: the counter may be named wrongly or dropped on its way.
    let good = source
        .count(&format!("{purpose}/good"), &query(&ratio.good)?, window)
        .await?;
    let counts = RatioCounts {
        good: good.deltas.required(ratio.good.metric.as_str())?,
        total: all,
    };
    if counts.good > counts.total {
        let detail = format!(
            "{} events are good, but there are {}: `good` must be a part of `total`",
            counts.good, all
        );
        return Err(Unknown::new(UnknownReason::Inconsistent, detail));
    }
    Ok((counts, vec![total.record, good.record]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: Variables<'static> = Variables {
        namespace: "shop",
        service: "shop-v1",
        revision: "a.b",
    };

    fn filled(text: &str) -> Result<String, UnknownReason> {
        let selector = Selector::parse(text).map_err(|unknown| unknown.reason)?;
        let matchers = selector.matchers(&HERE).map_err(|unknown| unknown.reason)?;
        Ok(super::super::promql::selector([&selector.metric], &matchers))
    }

    #[test]
    fn selectors_are_read_and_filled() {
        let cases = [
            (r#"a{x="{{ service }}"}"#, r#"{__name__="a",x="shop-v1"}"#),
            (
                r#"a { x = "{{namespace}}/{{ service }}" , y!="b\"}", }"#,
                r#"{__name__="a",x="shop/shop-v1",y!="b\"}"}"#,
            ),
            (
                r#"a:b{x=~"({{ revision }}|y)",z!~"c"}"#,
                r#"{__name__="a:b",x=~"(a\\.b|y)",z!~"c"}"#,
            ),
            ("a{}", r#"{__name__="a"}"#),
        ];
        for (text, wanted) in cases {
            assert_eq!(filled(text), Ok(wanted.to_owned()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let many = format!("a{{{}}}", r#"x="1","#.repeat(MATCHER_LIMIT + 1));
        for text in [
            "",
            "a",
            "sum(a{})",
            "a{x=\"1\"}[5m]",
            "a{x=\"1\"} or b",
            "a{x=1}",
            "a{x=\"1}",
            "a{x=\"\\q\"}",
            "a{=\"1\"}",
            "a{x=\"1\" y=\"2\"}",
            "a{x=\"{{ pod }}\"}",
            "a{x=\"{{ service\"}",
            "a{x=\"1\n\"}",
            "{x=\"1\"}",
            &many,
        ] {
            assert_eq!(filled(text), Err(UnknownReason::InvalidQuery), "{text}");
        }
    }

    proptest! {
        /// Whatever the service is called, the filled selector has the same shape: it reads back to the same value.
        #[test]
        fn values_never_become_syntax(service in "\\PC{0,20}") {
            let selector = Selector::parse(r#"a{x="{{ service }}",y="z"}"#).unwrap();
            let variables = Variables { service: &service, ..HERE };
            let text = super::super::promql::selector([&selector.metric], &selector.matchers(&variables).unwrap());
            let again = Selector::parse(&text.replacen("{__name__=\"a\",", "a{", 1)).unwrap();
            prop_assert_eq!(&again.matchers[0].2, &service);
            prop_assert_eq!(again.matchers.len(), 2);
        }
    }
}
