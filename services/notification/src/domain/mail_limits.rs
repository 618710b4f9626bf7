//! Limits of mails (rules T2, S4). The store counts, these rules compare.

use std::time::Duration;

use frontdesk_clock::Time;

use super::DeliveryKind;

/// Window in which automatic transcripts to unverified addresses are counted (24 hours).
pub(crate) const COUNTED_UNVERIFIED: Duration = Duration::from_secs(24 * 3600);

/// Window in which mails that callers request are counted (1 hour).
pub(crate) const COUNTED_WINDOW: Duration = Duration::from_secs(3600);

/// Which mails of an account count towards a limit.
#[derive(Clone, Debug)]
pub(crate) enum LimitScope {
    /// All of them.
    Account,
    /// Those that this actor requested.
    RequestedBy(String),
    /// Those to this address, in any case of letters.
    Recipient(String),
}

/// Maximum number of mails of one kind and scope in [`COUNTED_WINDOW`].
#[derive(Clone, Debug)]
pub(crate) struct MailLimit {
    pub(crate) kind: DeliveryKind,
    pub(crate) scope: LimitScope,
    pub(crate) max: u64,
    /// Completes the sentence "too many mails ...".
    pub(crate) description: &'static str,
}

/// A limit was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MailLimitReached {
    pub(crate) description: &'static str,
    /// Time until another mail is allowed.
    pub(crate) retry_after: Duration,
}

impl MailLimit {
    /// Checks the limit, given when the oldest of the `max` newest mails in the window was created. None: there are fewer.
    pub(crate) fn check(&self, oldest_within_limit: Option<Time>, now: Time) -> Result<(), MailLimitReached> {
        match oldest_within_limit {
            None => Ok(()),
            Some(created_at) => Err(MailLimitReached {
                description: self.description,
                retry_after: created_at.plus(COUNTED_WINDOW).since(now),
            }),
        }
    }
}

/// Maximum numbers of automatic transcripts to unverified addresses in [`COUNTED_UNVERIFIED`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnverifiedLimits {
    pub(crate) per_contact: u64,
    pub(crate) per_account: u64,
}

/// Numbers of automatic transcripts in [`COUNTED_UNVERIFIED`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnverifiedCounts {
    /// To the contact.
    pub(crate) to_contact: u64,
    /// To unverified addresses of the account.
    pub(crate) of_account: u64,
}

impl UnverifiedLimits {
    /// Returns whether no further transcript goes to an unverified address of this contact (rule T2).
    pub(crate) fn unverified_limit_reached(&self, counts: UnverifiedCounts) -> bool {
        counts.to_contact >= self.per_contact || counts.of_account >= self.per_account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t2_the_unverified_limit_is_reached_by_the_contact_or_by_the_account() {
        let limits = UnverifiedLimits { per_contact: 2, per_account: 3 };
        for (to_contact, of_account, reached) in [(1, 2, false), (2, 2, true), (0, 3, true), (0, 0, false)] {
            assert_eq!(limits.unverified_limit_reached(UnverifiedCounts { to_contact, of_account }), reached);
        }
    }

    #[test]
    fn s4_a_limit_ends_when_its_oldest_mail_leaves_the_window() {
        let limit = MailLimit {
            kind: DeliveryKind::ManualTranscript,
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
