//! A transcript: what of a thread the visitor saw (rules T6, T7).

use chrono_tz::Tz;
use frontdesk_clock::Time;

use url::Url;

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// The visitor, shown by a name that nobody chose: You, or to others Visitor.
    Unnamed,
    Visitor,
    Agent,
    Bot,
}

impl Author {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unnamed | Self::Visitor => "visitor",
            Self::Agent => "agent",
            Self::Bot => "bot",
        }
    }

    /// What stands beside the name, which its bearer chose: a visitor named like an agent is still seen to be one.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Unnamed => "",
            Self::Visitor => "visitor",
            Self::Agent => "team",
            Self::Bot => "bot",
        }
    }
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Message {
        author: Author,
        name: String,
        text: String,
        buttons: Vec<String>,
    },
    Joined {
        name: String,
    },
    Ended {
        visitor_inactive: bool,
    },
    Reopened,
    /// So many messages do not fit into a mail.
    LeftOut {
        messages: usize,
    },
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
    /// The mail goes to the visitor, not to another contact.
    pub(crate) to_visitor: bool,
    pub(crate) zone: Tz,
    pub(crate) lines: Vec<Line>,
}

/// The zone of the times: the first that is one, else UTC.
pub(crate) fn zone(candidates: &[&str]) -> Tz {
    candidates.iter().find_map(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

/// Where a link to the address leads, as a mail may link to it and show it: parsed, so that what is read is what is opened.
/// None: it is no web page, or it could be read as another one.
pub(crate) fn link(address: &str) -> Option<String> {
    const LONGEST: usize = 2_000;
    let url = Url::parse(address).ok()?;
    let web = matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty());
    // What stands before an @ looks like the host that it is not.
    let plain = url.username().is_empty() && url.password().is_none();
    let link = String::from(url);
    (web && plain && link.len() <= LONGEST).then_some(link)
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
    fn t7_a_link_is_shown_as_what_it_opens() {
        for (address, opens) in [
            ("https://example.com/a?b=c#d", "https://example.com/a?b=c#d"),
            ("HTTPS://Example.COM", "https://example.com/"),
            ("https://\u{430}cme.example/", "https://xn--cme-5cd.example/"),
            ("https://shop\u{FF0E}example/", "https://shop.example/"),
            ("https://shop.exam\u{200B}ple/\u{202E}cod.exe", "https://shop.example/%E2%80%AEcod.exe"),
            ("https:\\\\evil.example\\shop.example", "https://evil.example/shop.example"),
        ] {
            assert_eq!(link(address).as_deref(), Some(opens), "{address:?}");
        }
    }

    #[test]
    fn t7_only_web_pages_that_show_their_host_are_linked() {
        for bad in [
            "https://shop.example@evil.example/",
            "https://shop.example:443@evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "ftp://example.com/",
            "https://a\" onclick=x",
            "https://a b",
            "https://",
            "//example.com",
            "http",
            "",
        ] {
            assert_eq!(link(bad), None, "{bad}");
        }
        assert_eq!(link(&format!("https://example.com/{}", "ä".repeat(400))), None, "too long once it is encoded");
    }
}
