//! Naming objects as kubectl does: `cycle income`, `challengers`, `challenger/better`.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;

/// What can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `PeninCycle`.
    Cycle,
    /// `Challenger`.
    Challenger,
}

impl Kind {
    /// Plural, singular and short name, and a name for people.
    const fn names(self) -> [&'static str; 4] {
        match self {
            Self::Cycle => ["penincycles", "penincycle", "pcyc", "cycle"],
            Self::Challenger => ["challengers", "challenger", "chlr", "challenger"],
        }
    }

    /// As it stands before a name in the output, such as `penincycle.penin.ai`.
    #[must_use]
    pub fn qualified(self) -> String {
        let [_, singular, ..] = self.names();
        format!("{singular}.{}", penin_api::names::GROUP)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let name = text.strip_suffix(".penin.ai").unwrap_or(&text);
        let means = |kind: &Self| name == "cycles" && *kind == Self::Cycle || kind.names().contains(&name);
        [Self::Cycle, Self::Challenger].into_iter().find(means)
    }
}

/// A kind, or a kind and a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct What {
    /// The kind.
    pub kind: Kind,
    /// The name behind a slash.
    pub name: Option<String>,
}

impl What {
    fn parse(text: &str) -> Result<Self, String> {
        let (kind, name) = match text.split_once('/') {
            Some((_, "")) => return Err(format!("{text:?} has no name behind the slash")),
            Some((kind, name)) => (kind, Some(name.to_owned())),
            None => (text, None),
        };
        let kind = Kind::parse(kind).ok_or_else(|| {
            format!("there is no kind {kind:?} here; write cycle or challenger, or use kubectl for other kinds")
        })?;
        Ok(Self { kind, name })
    }
}

/// Reads a [`What`] from the command line.
#[derive(Clone, Debug)]
pub struct WhatParser;

impl TypedValueParser for WhatParser {
    type Value = What;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let text = value.to_string_lossy();
        What::parse(&text)
            .map_err(|problem| clap::Error::raw(ErrorKind::InvalidValue, format!("{problem}\n")).with_cmd(command))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values = [
            PossibleValue::new("cycle").alias("cycles"),
            PossibleValue::new("challenger").alias("challengers"),
        ];
        Some(Box::new(values.into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_names_that_kubectl_knows_and_a_short_one() {
        for text in ["cycle", "cycles", "pcyc", "PeninCycle", "penincycles.penin.ai"] {
            assert_eq!(Kind::parse(text), Some(Kind::Cycle), "{text}");
        }
        for text in ["challenger", "challengers", "chlr", "Challenger.penin.ai"] {
            assert_eq!(Kind::parse(text), Some(Kind::Challenger), "{text}");
        }
        for text in ["", "pods", "cycle.apps", "promotiongates"] {
            assert_eq!(Kind::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_may_stand_behind_a_slash() {
        let what = What::parse("chlr/better").unwrap();
        assert_eq!((what.kind, what.name.as_deref()), (Kind::Challenger, Some("better")));
        assert!(What::parse("cycle/").is_err());
        assert!(What::parse("pod/x").unwrap_err().contains("kubectl"));
    }
}
