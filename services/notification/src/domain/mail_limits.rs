//! Limits of mails (rules T2, S4). The store counts, these rules compare.

use std::time::Duration;

use frontdesk_clock::Time;

use super::{DeliveryKind, SkipReason};

/// Window in which automatic transcripts to one address, and to unverified addresses, are counted (24 hours).
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Window in which every other mail is counted (1 hour).
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// What a limit counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    /// Mails of this kind, by the time of the request.
    Mails(DeliveryKind),
    /// Retries of any mail, by their own time.
    Retries,
}

/// Which mails or retries of an account count towards a limit.
#[derive(Clone, Debug)]
pub(crate) enum LimitScope {
    /// All of them.
    Account,
    /// Those that this actor requested.
    RequestedBy(String),
    /// Those to the [`mailbox`] of this address.
    Recipient(String),
}

/// Maximum number of mails of one kind, or of retries, of one scope in [`HOUR`].
#[derive(Clone, Debug)]
pub(crate) struct MailLimit {
    pub(crate) counted: Counted,
    pub(crate) scope: LimitScope,
    pub(crate) max: u64,
    /// Completes the sentence "too many mails ...".
    pub(crate) description: &'static str,
}

/// Returns the mailbox that an address leads to, as far as its spelling shows: in lower case, without the tag after `+`, and for
/// Gmail without dots.
pub(crate) fn mailbox(address: &str) -> String {
    let address = address.to_lowercase();
    let Some((local, host)) = address.rsplit_once('@') else { return address };
    let name = local.split('+').next().filter(|name| !name.is_empty()).unwrap_or(local);
    match host {
        "gmail.com" | "googlemail.com" => format!("{}@gmail.com", name.replace('.', "")),
        _ => format!("{name}@{host}"),
    }
}

/// A limit was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MailLimitReached {
    pub(crate) description: &'static str,
    /// Time until another mail is allowed.
    pub(crate) retry_after: Duration,
}

impl MailLimit {
    /// Checks the limit, given when the oldest of the `max` newest mails in the window was created. None: there are fewer. A
    /// limit of 0 allows no mail.
    pub(crate) fn check(&self, oldest_within_limit: Option<Time>, now: Time) -> Result<(), MailLimitReached> {
        match oldest_within_limit {
            // There is no mail to wait for: the setting must change.
            None if self.max == 0 => Err(MailLimitReached { description: self.description, retry_after: HOUR }),
            None => Ok(()),
            Some(created_at) => {
                Err(MailLimitReached { description: self.description, retry_after: created_at.plus(HOUR).since(now) })
            }
        }
    }
}

/// Limits of automatic transcripts. A maximum number of 0: none is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AutomaticLimits {
    /// Minimum time between two of one conversation to one address. Zero: none.
    pub(crate) interval: Duration,
    /// Of one conversation, in an [`HOUR`].
    pub(crate) per_conversation: u64,
    /// To one address, in a [`DAY`].
    pub(crate) per_recipient: u64,
    /// Of one account, in an [`HOUR`].
    pub(crate) per_account: u64,
    /// To one address that is not verified, in a [`DAY`].
    pub(crate) unverified_per_recipient: u64,
    /// To unverified addresses of one account, in a [`DAY`].
    pub(crate) unverified_per_account: u64,
}

/// Numbers of automatic transcripts in the windows of [`AutomaticLimits`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AutomaticCounts {
    /// Of the conversation to the address, in the interval.
    pub(crate) in_interval: u64,
    pub(crate) of_conversation: u64,
    pub(crate) to_recipient: u64,
    pub(crate) of_account: u64,
    /// To the address while it was not verified.
    pub(crate) unverified_to_recipient: u64,
    pub(crate) unverified_of_account: u64,
}

impl AutomaticLimits {
    /// Returns the limit that allows no further transcript to an address, which is verified or not. None: one may be sent.
    pub(crate) fn reached(&self, counts: AutomaticCounts, verified: bool) -> Option<SkipReason> {
        let unverified = counts.unverified_to_recipient >= self.unverified_per_recipient
            || counts.unverified_of_account >= self.unverified_per_account;
        if !verified && unverified {
            Some(SkipReason::UnverifiedLimit)
        } else if counts.in_interval > 0 && !self.interval.is_zero() {
            Some(SkipReason::RecentlyMailed)
        } else if counts.of_conversation >= self.per_conversation {
            Some(SkipReason::ConversationLimit)
        } else if counts.to_recipient >= self.per_recipient {
            Some(SkipReason::RecipientLimit)
        } else if counts.of_account >= self.per_account {
            Some(SkipReason::AccountLimit)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AutomaticLimits = AutomaticLimits {
        interval: Duration::from_secs(600),
        per_conversation: 2,
        per_recipient: 4,
        per_account: 6,
        unverified_per_recipient: 3,
        unverified_per_account: 5,
    };

    #[test]
    fn s4_the_spellings_of_one_mailbox_are_counted_together() {
        for (address, expected) in [
            ("Vera@Shop.example", "vera@shop.example"),
            ("vera+1@shop.example", "vera@shop.example"),
            ("v.era+a+b@shop.example", "v.era@shop.example"),
            ("v.e.ra+1@gmail.com", "vera@gmail.com"),
            ("Vera@GoogleMail.com", "vera@gmail.com"),
            ("+1@shop.example", "+1@shop.example"),
            ("", ""),
        ] {
            assert_eq!(mailbox(address), expected);
        }
    }

    #[test]
    fn t2_the_unverified_limit_is_reached_by_the_address_or_by_the_account() {
        for (unverified_to_recipient, unverified_of_account, reached) in
            [(2, 4, None), (3, 4, Some(SkipReason::UnverifiedLimit)), (0, 5, Some(SkipReason::UnverifiedLimit))]
        {
            let counts =
                AutomaticCounts { unverified_to_recipient, unverified_of_account, ..AutomaticCounts::default() };
            assert_eq!(LIMITS.reached(counts, false), reached);
            assert_eq!(LIMITS.reached(counts, true), None, "a verified address");
        }
    }

    #[test]
    fn s4_automatic_transcripts_are_limited_per_conversation_recipient_and_account_also_to_verified_addresses() {
        use SkipReason::{AccountLimit, ConversationLimit, RecipientLimit};
        for (of_conversation, to_recipient, of_account, reached) in [
            (1, 3, 5, None),
            (2, 3, 5, Some(ConversationLimit)),
            (1, 4, 5, Some(RecipientLimit)),
            (1, 3, 6, Some(AccountLimit)),
        ] {
            let counts = AutomaticCounts { of_conversation, to_recipient, of_account, ..AutomaticCounts::default() };
            for verified in [true, false] {
                assert_eq!(LIMITS.reached(counts, verified), reached);
            }
        }
    }

    #[test]
    fn s4_a_conversation_is_not_mailed_to_an_address_twice_in_the_interval_unless_there_is_none() {
        let counts =
            AutomaticCounts { in_interval: 1, of_conversation: 1, to_recipient: 1, ..AutomaticCounts::default() };
        for verified in [true, false] {
            assert_eq!(LIMITS.reached(counts, verified), Some(SkipReason::RecentlyMailed));
            let without = AutomaticLimits { interval: Duration::ZERO, ..LIMITS };
            assert_eq!(without.reached(counts, verified), None);
        }
    }

    #[test]
    fn s4_a_limit_of_zero_allows_no_mail() {
        let none = AutomaticLimits { per_account: 0, ..LIMITS };
        assert_eq!(none.reached(AutomaticCounts::default(), true), Some(SkipReason::AccountLimit));
        let limit = MailLimit {
            counted: Counted::Mails(DeliveryKind::ManualTranscript),
            scope: LimitScope::Account,
            max: 0,
            description: "of this account",
        };
        assert_eq!(limit.check(None, Time(0)).unwrap_err().retry_after, HOUR);
    }

    #[test]
    fn s4_a_limit_ends_when_its_oldest_mail_leaves_the_window() {
        let limit = MailLimit {
            counted: Counted::Mails(DeliveryKind::ManualTranscript),
            scope: LimitScope::Account,
            max: 5,
            description: "of this account",
        };
        let now = Time(1_000_000_000_000_000);
        assert_eq!(limit.check(None, now), Ok(()));
        let reached = limit.check(Some(now.minus(Duration::from_secs(600))), now).unwrap_err();
        assert_eq!(reached.retry_after, Duration::from_secs(3000));
    }
}
