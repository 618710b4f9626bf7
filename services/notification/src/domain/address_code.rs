//! Codes that verify addresses of visitors (rule X1).

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sha2::{Digest, Sha256};

use super::code::{CODE_LIFETIME, MAX_CODE_TRIES, code_hash};

/// The code that was mailed last to an address for a visitor. It stays valid when it was entered, so that a repeat has the same
/// effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddressCode {
    pub(crate) account: AccountId,
    /// See [`AddressCode::subject_of`].
    pub(crate) subject: String,
    pub(crate) code_hash: Vec<u8>,
    pub(crate) expires_at: Time,
    /// Remaining tries.
    pub(crate) tries: i32,
}

/// What a code is that a visitor entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeOutcome {
    Right,
    Wrong {
        /// Remaining tries.
        remaining: i32,
    },
    /// None was mailed within the time that it is valid.
    Expired,
    UsedUp,
}

impl AddressCode {
    /// Returns a new code. `actor`: the visitor, as `kind:id`.
    pub(crate) fn new(account: AccountId, actor: &str, email: &str, code: &str, now: Time) -> Self {
        let subject = Self::subject_of(actor, email);
        Self {
            account,
            code_hash: code_hash(subject.as_bytes(), code),
            subject,
            expires_at: now.plus(CODE_LIFETIME),
            tries: MAX_CODE_TRIES,
        }
    }

    /// Returns what a code is for: a hash of the visitor and of the address, in hexadecimal digits.
    pub(crate) fn subject_of(actor: &str, email: &str) -> String {
        let mut hash = Sha256::new();
        // No address has a line break, so two pairs do not make the same text.
        hash.update(format!("{email}\n{actor}"));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Tries a code. A wrong one uses up one try.
    pub(crate) fn try_code(&mut self, code: &str, now: Time) -> CodeOutcome {
        if now >= self.expires_at {
            return CodeOutcome::Expired;
        }
        if self.tries <= 0 {
            return CodeOutcome::UsedUp;
        }
        if self.code_hash == code_hash(self.subject.as_bytes(), code) {
            return CodeOutcome::Right;
        }
        self.tries -= 1;
        CodeOutcome::Wrong { remaining: self.tries }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: Time = Time(1_000_000_000_000_000);

    fn code() -> AddressCode {
        AddressCode::new(AccountId(Uuid::from_u128(1)), "visitor:v", "vera@example.com", "12345678", NOW)
    }

    #[test]
    fn x1_the_right_code_is_right_again_until_it_expires() {
        let mut code = code();
        for _ in 0..2 {
            assert_eq!(code.try_code("12345678", NOW), CodeOutcome::Right);
        }
        assert_eq!(code.try_code("12345678", NOW.plus(CODE_LIFETIME)), CodeOutcome::Expired);
    }

    #[test]
    fn x1_five_wrong_tries_use_a_code_up() {
        let mut code = code();
        for remaining in (0..5).rev() {
            assert_eq!(code.try_code("00000000", NOW), CodeOutcome::Wrong { remaining });
        }
        assert_eq!(code.try_code("12345678", NOW), CodeOutcome::UsedUp);
    }

    #[test]
    fn x1_a_code_is_for_one_visitor_and_one_address_and_is_stored_as_a_hash() {
        let code = code();
        assert_ne!(code.code_hash, b"12345678");
        for (actor, email) in [("visitor:w", "vera@example.com"), ("visitor:v", "w@example.com")] {
            let other = AddressCode::new(code.account, actor, email, "12345678", NOW);
            assert_ne!(other.subject, code.subject, "{actor} {email}");
            assert_ne!(other.code_hash, code.code_hash, "{actor} {email}");
        }
        assert!(!code.subject.contains("vera"));
    }
}
