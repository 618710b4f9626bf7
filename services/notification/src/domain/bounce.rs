//! Mails that came back after a mail server accepted them, and complaints about them (rule T8), as the account's inbound mail reports them.

use frontdesk_clock::Time;

use super::blames_recipient;

/// What came back, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BounceKind {
    /// It may pass: a full mailbox, a server that is away.
    Soft,
    /// It will not pass.
    Hard,
    /// The recipient does not want such mails.
    Complaint,
}

impl BounceKind {
    const ALL: [Self; 3] = [Self::Soft, Self::Hard, Self::Complaint];

    /// Returns its name in rows.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Soft => "SOFT",
            Self::Hard => "HARD",
            Self::Complaint => "COMPLAINT",
        }
    }

    /// Returns the kind with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What was reported about a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounce {
    pub(crate) kind: BounceKind,
    /// Status code of the report, such as `5.1.1`. Empty: it had none.
    pub(crate) status_code: String,
    pub(crate) reported_at: Time,
}

impl Bounce {
    /// Returns whether it says more than what was reported before: it is stronger, or it is the first hard one that blames the address. A
    /// report that arrives again, or a weaker one, says nothing new.
    pub(crate) fn is_news_after(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|before| before.strength() < self.strength())
    }

    fn strength(&self) -> (BounceKind, bool) {
        (self.kind, self.kind == BounceKind::Hard && blames_recipient(&self.status_code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t8_a_report_that_arrives_again_or_says_less_is_no_news() {
        let bounce = |kind| Bounce { kind, status_code: "5.1.1".into(), reported_at: Time(7) };
        assert!(bounce(BounceKind::Soft).is_news_after(None));
        assert!(bounce(BounceKind::Hard).is_news_after(Some(&bounce(BounceKind::Soft))));
        assert!(!bounce(BounceKind::Hard).is_news_after(Some(&bounce(BounceKind::Hard))));
        assert!(!bounce(BounceKind::Hard).is_news_after(Some(&bounce(BounceKind::Complaint))));
    }

    #[test]
    fn t8_a_hard_report_that_blames_the_address_is_news_after_one_that_does_not() {
        let hard = |code: &str| Bounce { kind: BounceKind::Hard, status_code: code.into(), reported_at: Time(7) };
        for unclear in ["", "5.7.1", "5.2.2"] {
            assert!(hard("5.1.1").is_news_after(Some(&hard(unclear))), "{unclear}");
            assert!(!hard(unclear).is_news_after(Some(&hard("5.1.1"))), "{unclear}");
        }
        assert!(!hard("5.1.10").is_news_after(Some(&hard("5.1.1"))));
    }

    #[test]
    fn t8_a_stored_kind_is_read_back() {
        for kind in BounceKind::ALL {
            assert_eq!(BounceKind::parse(kind.as_str()), Some(kind));
        }
    }
}
