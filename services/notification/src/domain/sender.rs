//! Sender addresses and the codes that verify them (rule T5).

use std::time::Duration;

use frontdesk_clock::Time;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub(crate) use crate::store::entity::sender::Model as Sender;

/// A code can be used for so long.
const CODE_VALID: Duration = Duration::from_secs(24 * 3600);
/// So many tries with one code.
const CODE_TRIES: i32 = 5;

/// What is kept of a code. The sender's id is in it, so that a code is worth nothing for another.
fn code_hash(sender: Uuid, code: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(sender.as_bytes());
    hash.update(code.as_bytes());
    hash.finalize().to_vec()
}

impl Sender {
    /// A new code was mailed: only this one counts.
    pub(crate) fn expect_code(&mut self, code: &str, now: Time) {
        self.code_hash = Some(code_hash(self.id, code));
        self.code_expires_at = now.plus(CODE_VALID);
        self.code_tries = CODE_TRIES;
    }

    /// Tries a code. True: the address is verified now. A wrong one uses up a try.
    pub(crate) fn try_code(&mut self, code: &str, now: Time) -> bool {
        let Some(expected) = &self.code_hash else { return false };
        if self.code_tries <= 0 || now >= self.code_expires_at {
            return false;
        }
        if *expected != code_hash(self.id, code) {
            self.code_tries -= 1;
            return false;
        }
        self.verified = true;
        self.code_hash = None;
        true
    }

    /// Deletes it. Its address can be added again and is then to be verified again.
    pub(crate) fn delete(&mut self, now: Time) {
        self.deleted_at = Some(now);
        self.fallback = false;
        self.verified = false;
        self.code_hash = None;
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_db::AccountId;

    use super::*;

    const NOW: Time = Time(1_000_000_000_000_000);

    fn sender() -> Sender {
        let mut sender = Sender {
            id: frontdesk_clock::testing::new_id(),
            account_id: AccountId(frontdesk_clock::testing::new_id()),
            address: "team@example.com".into(),
            display_name: "Team".into(),
            verified: false,
            fallback: false,
            code_hash: None,
            code_expires_at: Time(0),
            code_tries: 0,
            created_at: NOW,
            deleted_at: None,
            version: 1,
        };
        sender.expect_code("12345678", NOW);
        sender
    }

    #[test]
    fn t5_the_right_code_verifies_once() {
        let mut sender = sender();
        assert!(sender.try_code("12345678", NOW));
        assert!(sender.verified);
        assert!(!sender.try_code("12345678", NOW), "a used code is no code");
    }

    #[test]
    fn t5_five_wrong_tries_use_a_code_up() {
        let mut sender = sender();
        for _ in 0..5 {
            assert!(!sender.try_code("00000000", NOW));
        }
        assert!(!sender.try_code("12345678", NOW));
    }

    #[test]
    fn t5_a_code_ends_after_a_day() {
        let mut sender = sender();
        assert!(!sender.try_code("12345678", NOW.plus(CODE_VALID)));
    }

    #[test]
    fn t5_a_code_is_kept_as_a_hash_of_this_sender_only() {
        let sender = sender();
        assert_ne!(sender.code_hash.unwrap(), b"12345678");
        assert_ne!(code_hash(sender.id, "12345678"), code_hash(frontdesk_clock::testing::new_id(), "12345678"));
    }
}
