//! The secret segment of a webhook address.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The tokens that are good, as hashes: comparing takes as long for a near miss as for a wild guess, whatever its length.
pub(crate) struct Tokens(Vec<[u8; 32]>);

impl Tokens {
    /// Blank tokens are none: an empty setting never opens a door.
    pub(crate) fn new(tokens: &[SecretString]) -> Self {
        let good = tokens.iter().map(|token| token.expose_secret().trim()).filter(|token| !token.is_empty());
        Self(good.map(hash).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn accept(&self, presented: &str) -> bool {
        let presented = hash(presented);
        self.0.iter().fold(Choice::from(0), |found, good| found | good.ct_eq(&presented)).into()
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_several_tokens_is_good_and_nothing_else_is() {
        let tokens = Tokens::new(&["old-token".into(), " new-token ".into()]);
        assert!(tokens.accept("old-token") && tokens.accept("new-token"));
        assert!(!tokens.accept("") && !tokens.accept("old-toke") && !tokens.accept("old-token "));
    }

    #[test]
    fn blank_tokens_open_nothing() {
        let tokens = Tokens::new(&["".into(), "  ".into()]);
        assert!(tokens.is_empty() && !tokens.accept(""));
    }
}
