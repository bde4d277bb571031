//! A JSON value with its path, so that a malformed document is refused with the name of the offending field.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::num::{Code, Num};

/// Path and code of the first structural problem.
pub(super) type Problem = (String, Code);

/// A value somewhere in a document.
pub(super) struct Node<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    pub(super) const fn root(value: &'a Value) -> Self {
        Self {
            value,
            path: String::new(),
        }
    }

    pub(super) fn problem(&self, code: Code) -> Problem {
        (self.path.clone(), code)
    }

    /// The member `key`; an absent one reads as null.
    pub(super) fn get(&self, key: &str) -> Self {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Self {
            value: self.value.get(key).unwrap_or(&Value::Null),
            path,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.value.is_null()
    }

    /// `None` for null, otherwise the result of `read`.
    pub(super) fn optional<T>(&self, read: impl FnOnce(&Self) -> Result<T, Problem>) -> Result<Option<T>, Problem> {
        if self.is_null() { Ok(None) } else { read(self).map(Some) }
    }

    /// The members of an object that has no other keys than `known`.
    pub(super) fn record(&self, known: &[&str]) -> Result<(), Problem> {
        let members = self.object()?;
        match members.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(self.get(key).problem(Code::UnknownField)),
            None => Ok(()),
        }
    }

    fn object(&self) -> Result<&'a Map<String, Value>, Problem> {
        self.value.as_object().ok_or_else(|| self.problem(Code::WrongType))
    }

    /// A map with free names; null is the empty map.
    pub(super) fn map<T>(&self, read: impl Fn(&Self) -> Result<T, Problem>) -> Result<BTreeMap<String, T>, Problem> {
        if self.is_null() {
            return Ok(BTreeMap::new());
        }
        self.object()?
            .keys()
            .map(|key| Ok((key.clone(), read(&self.get(key))?)))
            .collect()
    }

    /// A list; null is the empty list.
    pub(super) fn list<T>(&self, read: impl Fn(&Self) -> Result<T, Problem>) -> Result<Vec<T>, Problem> {
        if self.is_null() {
            return Ok(Vec::new());
        }
        let items = self.value.as_array().ok_or_else(|| self.problem(Code::WrongType))?;
        items
            .iter()
            .enumerate()
            .map(|(index, value)| {
                read(&Self {
                    value,
                    path: format!("{}[{index}]", self.path),
                })
            })
            .collect()
    }

    pub(super) fn num(&self) -> Result<Num, Problem> {
        self.parse(Code::WrongType)
    }

    pub(super) fn text(&self) -> Result<String, Problem> {
        self.parse(Code::WrongType)
    }

    pub(super) fn boolean(&self) -> Result<bool, Problem> {
        self.parse(Code::WrongType)
    }

    /// Any type with a serde form; `code` when the value has another one.
    pub(super) fn parse<T: DeserializeOwned>(&self, code: Code) -> Result<T, Problem> {
        T::deserialize(self.value).map_err(|_| self.problem(code))
    }

    /// A decimal string.
    pub(super) fn decimal(&self) -> Result<u64, Problem> {
        let text = self.value.as_str().ok_or_else(|| self.problem(Code::InvalidInteger))?;
        crate::num::parse_decimal(text).map_err(|code| self.problem(code))
    }
}
