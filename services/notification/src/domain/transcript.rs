//! A transcript: what of a thread the visitor saw (rules T6, T7).

use chrono_tz::Tz;
use frontdesk_clock::Time;

use super::text::turns_direction;

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    Visitor,
    Agent,
    Bot,
}

impl Author {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Agent => "agent",
            Self::Bot => "bot",
        }
    }
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Message { author: Author, name: String, text: String, buttons: Vec<String> },
    Joined { name: String },
    Ended { visitor_inactive: bool },
    Reopened,
}

/// One line with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: Time,
    pub(crate) content: Content,
}

/// A conversation as its visitor saw it. Text is as it was written; whoever shows it makes it safe there.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    pub(crate) channel: String,
    pub(crate) page_url: String,
    pub(crate) page_title: String,
    pub(crate) started_at: Time,
    pub(crate) visitor: String,
    pub(crate) zone: Tz,
    pub(crate) lines: Vec<Line>,
}

/// The zone of the times: the first that is one, else UTC.
pub(crate) fn zone(candidates: &[&str]) -> Tz {
    candidates.iter().find_map(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

/// The address, if it is one that a mail may link to.
pub(crate) fn link(url: &str) -> Option<&str> {
    let web = ["http://", "https://"]
        .iter()
        .any(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let plain = url.len() <= 2_000
        && url.chars().all(|char| {
            !char.is_whitespace() && !char.is_control() && !turns_direction(char) && !"\"<>\\^`{|}".contains(char)
        });
    (web && plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t6_the_zone_asked_for_comes_first_and_what_is_no_zone_is_passed_over() {
        assert_eq!(zone(&["Europe/Rome", "Asia/Tokyo"]), Tz::Europe__Rome);
        assert_eq!(zone(&["", "Mars/Olympus", "Asia/Tokyo"]), Tz::Asia__Tokyo);
        assert_eq!(zone(&["", ""]), Tz::UTC);
    }

    #[test]
    fn t7_only_web_pages_are_linked() {
        assert!(link("https://example.com/a?b=c#d").is_some());
        for bad in
            ["javascript:alert(1)", "data:text/html,x", "https://a\" onclick=x", "https://a b", "//example.com", "http"]
        {
            assert!(link(bad).is_none(), "{bad}");
        }
    }
}
