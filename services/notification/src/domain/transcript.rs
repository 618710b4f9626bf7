//! A transcript: the part of a thread that the visitor saw (rules T6, T7).

use frontdesk_clock::Time;
use jiff::tz::TimeZone;
use url::{Host, Url};

use super::message::Message;

/// Content of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Message(Message),
    /// An agent; without a name the mail has a word for them, in its language.
    Joined {
        name: String,
    },
    Ended {
        visitor_inactive: bool,
    },
    Reopened,
    /// Messages that do not fit into a mail, by their number.
    Omitted {
        messages: usize,
        /// Link to the whole transcript, which ends with the links to attachments. Empty: there is none.
        url: String,
    },
}

/// One line with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TranscriptLine {
    pub(crate) at: Time,
    pub(crate) content: Content,
}

/// The name that the visitor's lines show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VisitorName {
    /// The recipient is the visitor, who has no name.
    You,
    /// The recipient is another contact, and the visitor has no name.
    Unknown,
    Known(String),
}

impl VisitorName {
    /// Returns the name of a visitor whose known name is `name`; empty: none is known.
    pub(crate) fn new(name: &str, to_visitor: bool) -> Self {
        match name.trim() {
            "" if to_visitor => Self::You,
            "" => Self::Unknown,
            name => Self::Known(name.to_owned()),
        }
    }
}

/// A conversation as its visitor saw it. Text is as it was written; rendering escapes it (rule T7).
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    pub(crate) channel: String,
    pub(crate) page_url: String,
    pub(crate) page_title: String,
    pub(crate) started_at: Time,
    /// Name of the visitor. Empty: unknown.
    pub(crate) visitor: String,
    /// The recipient is the visitor, not another contact.
    pub(crate) to_visitor: bool,
    pub(crate) zone: TimeZone,
    /// When the links to attachments end.
    pub(crate) links_end_at: Time,
    pub(crate) lines: Vec<TranscriptLine>,
}

/// Returns the time zone of the transcript: the first valid candidate, else UTC.
pub(crate) fn zone(candidates: &[&str]) -> TimeZone {
    candidates.iter().find_map(|name| frontdesk_time_zone::parse(name)).unwrap_or(TimeZone::UTC)
}

/// Returns the URL as a mail may link to it and show it: parsed, so that the text shown is the URL opened. None: it is not a
/// web page, or it can be mistaken for another one.
pub(crate) fn link(address: &str) -> Option<String> {
    // Maximum length of a linked URL (bytes).
    const MAX_LENGTH: usize = 2_000;
    let url = Url::parse(address).ok()?;
    // A host with quotation marks or other punctuation is none of the DNS, and its end cannot be seen in a text.
    let is_of_dns = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let has_host = match url.host() {
        Some(Host::Domain(name)) => !name.is_empty() && name.bytes().all(is_of_dns),
        host => host.is_some(),
    };
    let web = matches!(url.scheme(), "http" | "https") && has_host;
    // User information before an @ looks like a host.
    let plain = url.username().is_empty() && url.password().is_none();
    let link = String::from(url);
    (web && plain && link.len() <= MAX_LENGTH).then_some(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t6_the_zone_asked_for_comes_first_and_what_is_no_zone_is_passed_over() {
        let named = |candidates: &[&str]| zone(candidates).iana_name().unwrap().to_owned();
        assert_eq!(named(&["Europe/Rome", "Asia/Tokyo"]), "Europe/Rome");
        assert_eq!(named(&["", "Mars/Olympus", "Asia/Tokyo"]), "Asia/Tokyo");
        assert_eq!(named(&["", ""]), "UTC");
    }

    #[test]
    fn t4_t6_a_visitor_without_a_name_is_you_to_themselves_and_unknown_to_others() {
        assert_eq!(VisitorName::new(" ", true), VisitorName::You);
        assert_eq!(VisitorName::new("", false), VisitorName::Unknown);
        assert_eq!(VisitorName::new(" Ada ", false), VisitorName::Known("Ada".into()));
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
            "https://a\"b/",
            "https://shop.example,evil.example/",
            "https://",
            "//example.com",
            "http",
            "",
        ] {
            assert_eq!(link(bad), None, "{bad}");
        }
        assert_eq!(link(&format!("https://example.com/{}", "ä".repeat(400))), None, "too long once it is encoded");
    }

    #[test]
    fn s8_an_address_is_linked_as_what_it_opens_or_not_at_all() {
        const PIECES: &[&str] = &[
            "https://",
            "http:",
            "javascript:",
            "data:",
            "//",
            "\\",
            "/",
            "?",
            "#",
            "@",
            ":",
            ":443",
            "%2F",
            "%00",
            "shop.example",
            "[::1]",
            "xn--",
            "\u{202E}",
            "\u{200B}",
            "\u{FF0E}",
            "\t",
            "\n",
            " ",
            "\"",
            "<",
            "'",
        ];
        frontdesk_fuzz::check!().with_generator(frontdesk_fuzz::text(PIECES, 24)).for_each(|address| {
            let Some(link) = link(address) else { return };
            assert!(link.is_ascii() && link.len() <= 2_000, "{link:?}");
            let markup = |char: char| char.is_control() || matches!(char, ' ' | '"' | '<' | '>');
            assert!(!link.contains(markup), "{link:?}");
            let rest = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://")).unwrap();
            let host = rest.split(['/', '?', '#']).next().unwrap();
            assert!(!host.is_empty() && !host.contains(['@', '\\', '%']), "{link:?}");
            assert_eq!(super::link(&link), Some(link.clone()), "what is shown is what is opened");
        });
    }
}
