//! Names and label values that are derived from a cycle's name.
//!
//! A cycle may be named by any DNS subdomain (up to 253 characters, dots, a leading digit). A Service needs
//! an RFC 1035 label and a label value at most 63 characters. Where the cycle's name does not fit, it is
//! shortened and a hash of the whole name keeps two cycles apart.

use penin_engine::event::Digest;

/// Length limit of label values and of DNS labels.
const MAX_LABEL: usize = 63;
/// Hexadecimal digits of a digest that stand in a name: 40 bits.
const HASH_DIGITS: usize = 10;
/// Characters of a name that are left for the cycle, in front of `-<hash>`.
const MAX_STEM: usize = MAX_LABEL - HASH_DIGITS - 1;

/// Name of a revision's Deployment and Service: `<cycle>-<10 hex>` of the digest of its pod template.
/// At most 63 characters, an RFC 1035 label.
#[must_use]
pub fn revision_name(cycle: &str, digest: &Digest) -> String {
    if cycle.len() <= MAX_STEM && is_dns_label(cycle) {
        return format!("{cycle}-{}", short_hash(digest));
    }
    let clean: String = cycle
        .chars()
        .map(|c| if matches!(c, 'a'..='z' | '0'..='9') { c } else { '-' })
        .collect();
    // A name that starts with a digit is no RFC 1035 label.
    let prefix = if clean.starts_with(|c: char| c.is_ascii_lowercase()) {
        ""
    } else {
        "c"
    };
    let stem = with_hash(&format!("{prefix}{clean}"), cycle, MAX_STEM);
    format!("{stem}-{}", short_hash(digest))
}

/// Value of the label `penin.ai/cycle`: the cycle's name, shortened with a hash when it is longer than 63 characters.
#[must_use]
pub fn cycle_label(cycle: &str) -> String {
    if cycle.len() <= MAX_LABEL {
        return cycle.to_owned();
    }
    with_hash(cycle, cycle, MAX_LABEL)
}

/// `text` cut so that it fits into `limit` together with a hash of `whole`.
fn with_hash(text: &str, whole: &str, limit: usize) -> String {
    let cut: String = text.chars().take(limit - HASH_DIGITS - 1).collect();
    let cut = cut.trim_end_matches(['-', '.']);
    format!("{cut}-{}", short_hash(&Digest::of(whole.as_bytes())))
}

fn short_hash(digest: &Digest) -> String {
    digest.to_string().chars().take(HASH_DIGITS).collect()
}

/// RFC 1035 label, without regard to its length.
fn is_dns_label(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
}

#[cfg(test)]
mod tests;
