//! RFC 8785 (JCS) writer: any `Serialize` value straight to canonical bytes, without an intermediate tree.
//!
//! Members are written in the order in which they come and put into canonical order when their object ends; types whose fields are
//! declared in order cost nothing extra. Numbers are binary64 in the shortest ECMAScript form (`ryu-js`). Tests hold the bytes equal to
//! those of the `serde_json_canonicalizer` crate.

use std::cmp::Ordering;
use std::fmt::{self, Display, Write as _};

use serde::ser::{self, Serialize};

/// Why a value has no canonical form: a map key that is not text, a repeated key, a non-finite number, or the type's own refusal.
#[derive(Debug)]
pub(super) struct NotCanonical(String);

impl Display for NotCanonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotCanonical {}

impl ser::Error for NotCanonical {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

pub(super) type Done = Result<(), NotCanonical>;

/// Canonical text of `value`.
pub(super) fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, NotCanonical> {
    let mut writer = Writer::default();
    value.serialize(&mut writer)?;
    Ok(writer.out)
}

/// One member of an object that is being written: where its text begins, and its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    start: usize,
    key_start: usize,
    key_end: usize,
}

/// Output and the open objects' members. Both member lists are stacks, shared by all open objects.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) out: String,
    pub(super) members: Vec<Member>,
    keys: String,
    scratch: String,
}

impl Writer {
    pub(super) fn string(&mut self, text: &str) {
        self.out.push('"');
        escape(&mut self.out, text);
        self.out.push('"');
    }

    pub(super) fn number(&mut self, value: f64) -> Done {
        if !value.is_finite() {
            return Err(ser::Error::custom("NaN and infinities have no JSON form"));
        }
        self.out.push_str(ryu_js::Buffer::new().format_finite(value));
        Ok(())
    }

    /// Starts the member `key` and writes everything up to its value.
    pub(super) fn key(&mut self, key: &str) {
        let key_start = self.keys.len();
        self.keys.push_str(key);
        self.members.push(Member {
            start: self.out.len(),
            key_start,
            key_end: self.keys.len(),
        });
        self.string(key);
        self.out.push(':');
    }

    fn key_of(&self, member: &Member) -> &str {
        self.keys.get(member.key_start..member.key_end).unwrap_or("")
    }

    /// Ends an object whose members begin at `first`; every member's text ends with a comma.
    pub(super) fn close(&mut self, first: usize) -> Done {
        let members = self.members.get(first..).unwrap_or(&[]);
        let Some((begin, key_begin)) = members.first().map(|member| (member.start, member.key_start)) else {
            self.out.push('}');
            return Ok(());
        };
        let pairs = members.iter().zip(members.iter().skip(1));
        if !pairs
            .clone()
            .all(|(a, b)| compare(self.key_of(a), self.key_of(b)) == Ordering::Less)
        {
            self.sort(first, begin)?;
        }
        self.members.truncate(first);
        self.keys.truncate(key_begin);
        self.out.pop();
        self.out.push('}');
        Ok(())
    }

    /// Ends the object around the content of an enum variant, if there is one.
    pub(super) fn close_variant(&mut self, outer: Option<usize>) -> Done {
        let Some(first) = outer else {
            return Ok(());
        };
        self.out.push(',');
        self.close(first)
    }

    /// Puts the members from `first` on, whose text begins at `begin`, into canonical order.
    fn sort(&mut self, first: usize, begin: usize) -> Done {
        let mut sorted = std::mem::take(&mut self.scratch);
        sorted.clear();
        let members = self.members.get(first..).unwrap_or(&[]);
        let ends = members.iter().skip(1).map(|next| next.start).chain([self.out.len()]);
        let mut segments: Vec<(&str, &str)> = members
            .iter()
            .zip(ends)
            .map(|(member, end)| (self.key_of(member), self.out.get(member.start..end).unwrap_or("")))
            .collect();
        segments.sort_unstable_by(|(a, _), (b, _)| compare(a, b));
        if segments
            .iter()
            .zip(segments.iter().skip(1))
            .any(|((a, _), (b, _))| a == b)
        {
            return Err(ser::Error::custom("an object has a key twice"));
        }
        for (_, text) in segments {
            sorted.push_str(text);
        }
        self.out.truncate(begin);
        self.out.push_str(&sorted);
        self.scratch = sorted;
        Ok(())
    }
}

/// Order of keys: by UTF-16 code units, as RFC 8785 §3.2.3 says.
fn compare(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        a.cmp(b)
    } else {
        a.encode_utf16().cmp(b.encode_utf16())
    }
}

/// Appends `text` with the escapes of RFC 8785 §3.2.2.2.
pub(super) fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(position) = rest
        .bytes()
        .position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
    {
        // The byte found is ASCII, so both cuts lie between characters.
        let (clean, tail) = rest.split_at(position);
        out.push_str(clean);
        let mut characters = tail.chars();
        match characters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\t') => out.push_str("\\t"),
            Some('\n') => out.push_str("\\n"),
            Some('\u{c}') => out.push_str("\\f"),
            Some('\r') => out.push_str("\\r"),
            Some(control) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
}
