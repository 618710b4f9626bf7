//! Sender addresses and the codes that verify them (rule T5).

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::code::{CODE_LIFETIME, MAX_CODE_TRIES, code_hash};

/// An address that the account's mails come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) email: String,
    pub(crate) display_name: String,
    /// Where replies go. Empty: to the address itself.
    pub(crate) reply_to_email: String,
    /// Where those write who want no more mails. Empty: its mails name none.
    pub(crate) unsubscribe_email: String,
    pub(crate) verified: bool,
    /// It is the sender for channels that chose none.
    pub(crate) fallback: bool,
    /// Hash of the code that was mailed last. None: no code is valid.
    pub(crate) code_hash: Option<Vec<u8>>,
    pub(crate) code_expires_at: Time,
    /// Remaining tries with the code.
    pub(crate) code_tries: i32,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    pub(crate) deleted_at: Option<Time>,
    /// 1 at its creation; rises with each change that callers see, so not with a code; also the etag.
    pub(crate) version: i64,
}

/// The fields to change. None: unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct SenderChange {
    pub(crate) display_name: Option<String>,
    pub(crate) reply_to_email: Option<String>,
    pub(crate) unsubscribe_email: Option<String>,
}

/// The sender was edited since the caller read it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SenderEdited;

/// Why there is no sender for a transcript; the text is the failure that the delivery shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SenderUnavailable {
    #[error("The sender address chosen for the channel is not verified. Verify it, or choose another, then retry.")]
    ChosenNotVerified,
    #[error("The sender address chosen for the channel was deleted. Choose another in its settings, then retry.")]
    ChosenDeleted,
    #[error("The account's fallback sender is not verified. Verify it, then retry.")]
    FallbackNotVerified,
    #[error("There is no sender address: choose one for the channel or set a fallback for the account, then retry.")]
    NoFallback,
}

impl Sender {
    /// Returns a sender that is not verified.
    pub(crate) fn new(id: Uuid, account: AccountId, email: String, display_name: String, now: Time) -> Self {
        Self {
            id,
            account,
            email,
            display_name,
            reply_to_email: String::new(),
            unsubscribe_email: String::new(),
            verified: false,
            fallback: false,
            code_hash: None,
            code_expires_at: now,
            code_tries: 0,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            version: 1,
        }
    }

    /// Returns the etag.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Changes the fields; an empty `etag` changes them unconditionally. Returns false when it has this content already, whatever the
    /// etag.
    pub(crate) fn update(&mut self, change: SenderChange, etag: &str, now: Time) -> Result<bool, SenderEdited> {
        let mut changed = self.clone();
        let fields = [
            (&mut changed.display_name, change.display_name),
            (&mut changed.reply_to_email, change.reply_to_email),
            (&mut changed.unsubscribe_email, change.unsubscribe_email),
        ];
        for (field, new) in fields {
            if let Some(new) = new {
                *field = new;
            }
        }
        if changed == *self {
            return Ok(false);
        }
        if !etag.is_empty() && etag != self.etag() {
            return Err(SenderEdited);
        }
        *self = changed;
        self.mark_changed(now);
        Ok(true)
    }

    /// Makes it the fallback of its account; the store ends the previous one first.
    pub(crate) fn set_fallback(&mut self, now: Time) {
        self.fallback = true;
        self.mark_changed(now);
    }

    fn mark_changed(&mut self, now: Time) {
        self.updated_at = now;
        self.version += 1;
    }

    /// Returns the sender of a transcript: `chosen` is the one that the channel chose, `found` that one or the account's
    /// fallback. A chosen sender never falls back silently.
    pub(crate) fn require_usable(chosen: Option<Uuid>, found: Option<Self>) -> Result<Self, SenderUnavailable> {
        match (chosen, found) {
            (_, Some(sender)) if sender.verified => Ok(sender),
            (Some(_), Some(_)) => Err(SenderUnavailable::ChosenNotVerified),
            (None, Some(_)) => Err(SenderUnavailable::FallbackNotVerified),
            (Some(_), None) => Err(SenderUnavailable::ChosenDeleted),
            (None, None) => Err(SenderUnavailable::NoFallback),
        }
    }

    /// Sets the code that was mailed last, which replaces an earlier one.
    pub(crate) fn set_code(&mut self, code: &str, now: Time) {
        self.code_hash = Some(code_hash(self.id.as_bytes(), code));
        self.code_expires_at = now.plus(CODE_LIFETIME);
        self.code_tries = MAX_CODE_TRIES;
    }

    /// Tries a code. Returns whether the address is verified now. A wrong code uses up one try.
    pub(crate) fn try_code(&mut self, code: &str, now: Time) -> bool {
        let Some(expected) = &self.code_hash else { return false };
        if self.code_tries <= 0 || now >= self.code_expires_at {
            return false;
        }
        if *expected != code_hash(self.id.as_bytes(), code) {
            self.code_tries -= 1;
            return false;
        }
        self.verified = true;
        self.code_hash = None;
        self.mark_changed(now);
        true
    }

    /// Deletes the sender. Its address can be added again and must then be verified again.
    pub(crate) fn delete(&mut self, now: Time) {
        self.deleted_at = Some(now);
        self.fallback = false;
        self.verified = false;
        self.code_hash = None;
        self.mark_changed(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000_000_000_000);
    const ID: Uuid = Uuid::from_u128(1);

    fn sender() -> Sender {
        let mut sender = Sender::new(ID, AccountId(Uuid::from_u128(2)), "team@example.com".into(), "Team".into(), NOW);
        sender.set_code("12345678", NOW);
        sender
    }

    #[test]
    fn t5_the_right_code_verifies_once() {
        let mut sender = sender();
        assert!(sender.try_code("12345678", NOW));
        assert!(sender.verified);
        assert!(!sender.try_code("12345678", NOW), "a used code is not valid");
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
    fn t5_a_code_expires_after_a_day() {
        let mut sender = sender();
        assert!(!sender.try_code("12345678", NOW.plus(CODE_LIFETIME)));
    }

    #[test]
    fn t5_an_update_changes_what_is_given_and_needs_the_etag_only_for_a_change() {
        let mut sender = sender();
        let change = SenderChange { reply_to_email: Some("help@example.com".into()), ..SenderChange::default() };
        assert_eq!(sender.update(change.clone(), "1", NOW), Ok(true));
        assert_eq!((sender.display_name.as_str(), sender.reply_to_email.as_str()), ("Team", "help@example.com"));
        assert_eq!((sender.update(change, "1", NOW), sender.version), (Ok(false), 2));
        let other = SenderChange { display_name: Some(String::new()), ..SenderChange::default() };
        assert_eq!(sender.update(other, "1", NOW), Err(SenderEdited));
    }

    #[test]
    fn t5_a_code_is_stored_as_a_hash_for_its_sender_only() {
        let sender = sender();
        assert_ne!(sender.code_hash.unwrap(), b"12345678");
        assert_ne!(code_hash(ID.as_bytes(), "12345678"), code_hash(Uuid::from_u128(3).as_bytes(), "12345678"));
    }

    #[test]
    fn t5_a_chosen_sender_never_falls_back_and_each_reason_is_named() {
        let verified = Sender { verified: true, ..sender() };
        assert_eq!(Sender::require_usable(Some(ID), Some(verified.clone())), Ok(verified.clone()));
        assert_eq!(Sender::require_usable(None, Some(verified.clone())), Ok(verified));
        for (chosen, found, reason) in [
            (Some(ID), Some(sender()), SenderUnavailable::ChosenNotVerified),
            (Some(ID), None, SenderUnavailable::ChosenDeleted),
            (None, Some(sender()), SenderUnavailable::FallbackNotVerified),
            (None, None, SenderUnavailable::NoFallback),
        ] {
            assert_eq!(Sender::require_usable(chosen, found), Err(reason));
        }
    }
}
