//! Entropy of the operating system, for signing keys and for tokens that nobody may guess. Never for decisions: the
//! engine draws from its own recorded stream.

/// The system refused entropy; nothing that needs it may go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes: {0}")]
pub struct NoEntropy(String);

/// `N` random bytes.
///
/// # Errors
/// When the operating system gives none.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|error| NoEntropy(error.to_string()))?;
    Ok(bytes)
}

/// A token of 128 random bits in lowercase hexadecimal.
///
/// # Errors
/// When the operating system gives no entropy.
pub fn token() -> Result<String, NoEntropy> {
    use std::fmt::Write as _;
    let mut token = String::with_capacity(32);
    for byte in bytes::<16>()? {
        // Writing to a String cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    #[test]
    fn tokens_are_128_bits_and_differ() {
        let (one, two) = (super::token().unwrap(), super::token().unwrap());
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, two);
    }
}
