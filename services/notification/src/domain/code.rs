//! Codes that are mailed to an address to verify it (rules T5, X1): how they are stored, how long they are valid, and how often they can
//! be tried.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// How long a code is valid (24 hours).
pub(super) const CODE_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Maximum number of tries with one code.
pub(super) const MAX_CODE_TRIES: i32 = 5;

/// Returns the stored form of a code. It includes what the code is for, so that it is not valid for anything else.
pub(super) fn code_hash(subject: &[u8], code: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(subject);
    hash.update(code.as_bytes());
    hash.finalize().to_vec()
}
