//! The line tree of the project's first version, kept so that its published roots can still be compared.
//!
//! Leaf: hexadecimal SHA-256 of a line with its newline. Parent: SHA-256 of the two hexadecimal texts joined. An
//! odd node is paired with itself, so two files can share a root: use the RFC 6962 root for anything new.

use std::io::{self, BufRead};

use crate::hash::Digest;

/// Root over the lines of `reader`; `None` when there is none. Memory grows with the logarithm of their number.
///
/// # Errors
/// When reading fails.
pub fn line_root(mut reader: impl BufRead) -> io::Result<Option<Digest>> {
    // One waiting left node for each level.
    let mut levels: Vec<Option<Digest>> = Vec::new();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        add(&mut levels, 0, Digest::of(&line));
        line.clear();
    }
    let mut level = 0;
    while level < levels.len() {
        let waiting = levels.get_mut(level).and_then(Option::take);
        if let Some(node) = waiting {
            if level + 1 == levels.len() {
                return Ok(Some(node));
            }
            add(&mut levels, level + 1, pair(&node, &node));
        }
        level += 1;
    }
    Ok(None)
}

fn add(levels: &mut Vec<Option<Digest>>, mut level: usize, mut node: Digest) {
    loop {
        if levels.len() <= level {
            levels.push(None);
        }
        let Some(slot) = levels.get_mut(level) else {
            return;
        };
        match slot.take() {
            None => {
                *slot = Some(node);
                return;
            }
            Some(left) => {
                node = pair(&left, &node);
                level += 1;
            }
        }
    }
}

fn pair(left: &Digest, right: &Digest) -> Digest {
    Digest::of(format!("{left}{right}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_definition(lines: &[Digest]) -> Digest {
        if let [root] = lines {
            return *root;
        }
        let next: Vec<_> = lines.chunks(2).map(|two| pair(&two[0], two.last().unwrap())).collect();
        by_definition(&next)
    }

    #[test]
    fn roots_are_those_of_the_first_version() {
        let root = |text: &str| line_root(text.as_bytes()).unwrap().map(|r| r.to_string());
        assert_eq!(root(""), None);
        assert_eq!(
            root("a\n").as_deref(),
            Some("87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7")
        );
        assert_eq!(
            root("a\nb\nc\n").as_deref(),
            Some("22401808617f89791b53a009dd7882da7b91580209834e0d1b3e54f27873650e")
        );
    }

    #[test]
    fn streaming_equals_the_definition_at_every_length() {
        for count in 1..40 {
            let text = "line\n".repeat(count - 1) + "last\n";
            let lines: Vec<_> = text
                .split_inclusive('\n')
                .map(|line| Digest::of(line.as_bytes()))
                .collect();
            assert_eq!(
                line_root(text.as_bytes()).unwrap(),
                Some(by_definition(&lines)),
                "{count}"
            );
        }
    }
}
