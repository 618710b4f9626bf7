//! Addresses that an account does not mail any more: a mail server said that there is no such mailbox, the recipient complained, or an
//! administrator added the address (rules T2, T8, S4).

use aws_lc_rs::hmac;
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{Bounce, BounceKind, mailbox};

/// Status codes of RFC 3463 and its registry that blame the recipient's address, whatever the sender, the settings and the content of the mail
/// are: no such mailbox, no such host, no address at all, a mailbox that has moved, a host that takes no mail, a disabled mailbox. A full
/// mailbox (5.2.2), a policy (5.7.x), a route (5.4.x) or the sender (5.1.7, 5.1.8) says nothing about the address.
const BLAME_RECIPIENT: [&str; 6] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];

/// Returns whether a final refusal with this status code is about the recipient's address and nothing else.
pub(crate) fn blames_recipient(status_code: &str) -> bool {
    BLAME_RECIPIENT.contains(&status_code)
}

/// Why an address is not mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuppressionReason {
    /// The mail server refused a mail to it, with a code that blames the address.
    Refused,
    /// A mail to it came back, with such a code.
    Bounced,
    /// The recipient complained of a mail.
    Complained,
    /// An administrator added it.
    Added,
    /// One that only a later release knows, which added it.
    Other,
}

impl SuppressionReason {
    const ALL: [Self; 5] = [Self::Refused, Self::Bounced, Self::Complained, Self::Added, Self::Other];

    /// Returns its name in rows.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "REFUSED",
            Self::Bounced => "BOUNCED",
            Self::Complained => "COMPLAINED",
            Self::Added => "ADDED",
            Self::Other => "OTHER",
        }
    }

    /// Returns the reason with this name, [`Self::Other`] if there is none.
    pub(crate) fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name).unwrap_or(Self::Other)
    }

    /// Returns the address that is suppressed with the recipient's: a person who complains wants no mail in any spelling of their mailbox. A mail
    /// server that knows no such address may know the one without the tag.
    pub(crate) fn address(self, recipient: &str) -> String {
        if self == Self::Complained { mailbox(recipient) } else { recipient.to_owned() }
    }

    /// Returns why a mail that came back suppresses its recipient. None: it does not.
    pub(crate) fn of_bounce(bounce: &Bounce) -> Option<Self> {
        match bounce.kind {
            BounceKind::Complaint => Some(Self::Complained),
            BounceKind::Hard if blames_recipient(&bounce.status_code) => Some(Self::Bounced),
            BounceKind::Hard | BounceKind::Soft => None,
        }
    }
}

/// An address that is not mailed. Rows have a hash of it; a delivery names it until the contact is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suppression {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    /// See [`address_hash`].
    pub(crate) address_hash: Vec<u8>,
    pub(crate) reason: SuppressionReason,
    /// Status code of the refusal or the report, such as `5.1.1`. Empty: there was none.
    pub(crate) status_code: String,
    /// The mail that was refused, came back, or was complained of. None: an administrator added the address.
    pub(crate) delivery: Option<Uuid>,
    pub(crate) created_at: Time,
    /// When an administrator allowed mails again. None: it is not mailed.
    pub(crate) removed_at: Option<Time>,
}

/// Returns the stored form of an address of an account, in any case of letters.
pub(crate) fn address_hash(key: &[u8], email: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, email.to_lowercase().as_bytes()).as_ref().to_vec()
}

/// Returns the stored forms by which an address is suppressed: its own, and that of the mailbox that it leads to.
pub(crate) fn address_hashes(key: &[u8], email: &str) -> [Vec<u8>; 2] {
    [address_hash(key, email), address_hash(key, &mailbox(email))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t8_only_codes_about_the_recipients_address_blame_it() {
        for code in ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"] {
            assert!(blames_recipient(code), "{code}");
        }
        for code in [
            "", "5", "5.1", "4.1.1", "4.2.1", "5.0.0", "5.1.0", "5.1.4", "5.1.7", "5.1.8", "5.1.9", "5.1.11", "5.2.0",
            "5.2.2", "5.2.3", "5.2.4", "5.3.4", "5.4.1", "5.4.4", "5.5.1", "5.6.0", "5.7.0", "5.7.1", "5.7.8",
            "5.7.25", "5.7.26", "5.7.129", "15.1.1",
        ] {
            assert!(!blames_recipient(code), "{code}");
        }
    }

    #[test]
    fn t8_a_bounce_suppresses_its_recipient_only_if_it_blames_them_or_they_complain() {
        let reason = |kind, status_code: &str| {
            let bounce = Bounce { kind, status_code: status_code.into(), reported_at: Time(0) };
            SuppressionReason::of_bounce(&bounce)
        };
        assert_eq!(reason(BounceKind::Hard, "5.1.1"), Some(SuppressionReason::Bounced));
        assert_eq!(reason(BounceKind::Hard, "5.7.1"), None);
        assert_eq!(reason(BounceKind::Hard, ""), None);
        assert_eq!(reason(BounceKind::Soft, "5.1.1"), None);
        assert_eq!(reason(BounceKind::Complaint, ""), Some(SuppressionReason::Complained));
    }

    #[test]
    fn s4_an_address_is_stored_as_a_hash_under_the_key_of_its_account() {
        let hash = address_hash(&[7; 32], "Vera@visitor.example");
        assert_eq!(hash, address_hash(&[7; 32], "vera@VISITOR.example"));
        assert_ne!(hash, address_hash(&[8; 32], "vera@visitor.example"));
        assert_ne!(hash, address_hash(&[7; 32], "vera@visitor.test"));
        assert!(!hash.windows(4).any(|part| part == b"vera"));
    }

    #[test]
    fn s4_a_spelling_is_suppressed_with_its_mailbox_and_not_the_other_way_round() {
        let hashes = address_hashes(&[7; 32], "Vera+chat@visitor.example");
        assert!(hashes.contains(&address_hash(&[7; 32], "vera@visitor.example")));
        assert!(hashes.contains(&address_hash(&[7; 32], "vera+chat@visitor.example")));
        let of_mailbox = address_hashes(&[7; 32], "vera@visitor.example");
        assert!(!of_mailbox.contains(&address_hash(&[7; 32], "vera+chat@visitor.example")));
        let address = |reason: SuppressionReason| reason.address("vera+chat@visitor.example");
        assert_eq!(address(SuppressionReason::Complained), "vera@visitor.example");
        assert_eq!(address(SuppressionReason::Refused), "vera+chat@visitor.example");
    }

    #[test]
    fn t8_a_stored_reason_is_read_back() {
        for reason in SuppressionReason::ALL {
            assert_eq!(SuppressionReason::parse(reason.as_str()), reason);
        }
        assert_eq!(SuppressionReason::parse("OF_A_LATER_RELEASE"), SuppressionReason::Other);
    }
}
