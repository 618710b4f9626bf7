//! The mail addresses that mail may come from and go to.
//!
//! Stricter than the grammar of RFC 5322: ASCII, `name@host.tld`, without quoted names, address literals or source routes. The
//! mail library accepts more, and two services must agree: an address that one of them stores is one that the other can mail
//! to.

use std::borrow::Cow;

use frontdesk_proto::visible_line;
use idna::AsciiDenyList;

#[cfg(test)]
mod fuzz;

/// Maximum length of an address in bytes (RFC 5321, 4.5.3.1.3, without the angle brackets).
const MAX_LENGTH: usize = 254;
/// Maximum length of the part before the `@` in bytes.
const MAX_NAME_LENGTH: usize = 64;
/// Maximum length of the host in bytes.
const MAX_HOST_LENGTH: usize = 253;
/// Maximum length of a label of the host in bytes.
const MAX_LABEL_LENGTH: usize = 63;

/// The address without surrounding white space, in the case in which it was written. None: mail cannot or must not go there.
pub fn parse(text: &str) -> Option<&str> {
    let text = text.trim();
    let (name, host) = text.rsplit_once('@')?;
    (is_name(name) && is_host(host) && text.len() <= MAX_LENGTH).then_some(text)
}

/// The address that a person typed or pasted, in the case in which it was written: without invisible characters, full-width
/// characters as ASCII, and an internationalised host in its ASCII form (RFC 5891). None: mail cannot or must not go there.
pub fn normalized(text: &str) -> Option<String> {
    let text: String = visible_line(text).chars().map(to_half_width).collect();
    let (name, host) = text.rsplit_once('@')?;
    let host = match host.is_ascii() {
        true => Cow::Borrowed(host),
        false => idna::domain_to_ascii_cow(host.as_bytes(), AsciiDenyList::STD3).ok()?,
    };
    parse(&format!("{name}@{host}")).map(str::to_owned)
}

/// The address as [`normalized`], in the one spelling in which it is stored and compared: in lower case. None: mail cannot or
/// must not go there.
pub fn canonical(text: &str) -> Option<String> {
    normalized(text).map(|address| address.to_ascii_lowercase())
}

/// Full-width forms of ASCII characters, as Japanese keyboards write them.
fn to_half_width(character: char) -> char {
    match character {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(character) - 0xFEE0).unwrap_or(character),
        _ => character,
    }
}

fn is_name(name: &str) -> bool {
    // Without '%' and '!', which route mail through other hosts in old mail servers, and the backtick of shells.
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || "#$&'*+-/=?^_{|}~.".contains(character);
    name.len() <= MAX_NAME_LENGTH && name.split('.').all(|part| !part.is_empty()) && name.chars().all(is_allowed)
}

fn is_host(host: &str) -> bool {
    let Some((_, top)) = host.rsplit_once('.') else { return false };
    host.len() <= MAX_HOST_LENGTH
        && host.split('.').all(is_label)
        // Otherwise the host is an IP address, such as 1.2.3.4.
        && top.len() >= 2
        && top.chars().any(|character| character.is_ascii_alphabetic())
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_LENGTH).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x1_an_address_is_stored_in_one_spelling() {
        assert_eq!(canonical(" Ada.L+chat@Example.COM ").as_deref(), Some("ada.l+chat@example.com"));
        assert_eq!(canonical("o'neil@x-y.example").as_deref(), Some("o'neil@x-y.example"));
        assert_eq!(parse(" Ada.L+chat@Example.COM "), Some("Ada.L+chat@Example.COM"));
    }

    #[test]
    fn s4_only_plain_addresses_are_accepted() {
        for plain in ["ada.l+chat@example.com", "o'neil@x-y.example"] {
            assert_eq!(parse(plain), Some(plain));
        }
        let odd = [
            "",
            "a",
            "@b.c",
            "@b.cd",
            "a@",
            "a@b",
            "a@[127.0.0.1]",
            "a@1.2.3.4",
            "b%c@y.test",
            "bang!path@x.example",
            "\"a b\"@c.de",
            "a@b..cd",
            "a@-b.cd",
            "a@b-.cd",
            "a\n@b.cd",
            "a..b@c.de",
            "a@b.cd,d@e.fg",
            "ä@b.cd",
            "a@b.c",
            "back`tick@y.test",
            ".a@y.test",
            "a@ü.test",
            "a@b@",
            "a@y.test\r\nRCPT TO:<x@y.test>",
        ];
        for odd in odd {
            assert_eq!(parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn x1_internationalised_hosts_are_stored_in_their_ascii_form() {
        for (written, stored) in [
            ("anna@bücher.example", "anna@xn--bcher-kva.example"),
            ("anna@xn--bcher-kva.example", "anna@xn--bcher-kva.example"),
            ("Anna@BÜCHER.example", "anna@xn--bcher-kva.example"),
            ("anna@bu\u{308}cher.example", "anna@xn--bcher-kva.example"),
            ("anna＠visitor．example", "anna@visitor.example"),
            ("ａｎｎａ＠ｖｉｓｉｔｏｒ。example", "anna@visitor.example"),
            ("anna@例え.テスト", "anna@xn--r8jz45g.xn--zckzah"),
        ] {
            assert_eq!(canonical(written).as_deref(), Some(stored), "{written:?}");
        }
        assert_eq!(normalized(" Anna@Bücher.example ").as_deref(), Some("Anna@xn--bcher-kva.example"));
        // The part before the `@` stays ASCII, and a host that maps to other parts of an address is none.
        for odd in
            ["änna@bücher.example", "用户@例え.テスト", "a@b℀.example", "a@\u{2488}.example", "a@ü", "a@ü..example"]
        {
            assert_eq!(canonical(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn x1_invisible_characters_of_a_pasted_address_are_removed() {
        for pasted in [
            "\u{200B}anna@visitor.example",
            "\u{2068}anna@visitor.example\u{2069}",
            "\u{200E}anna@visitor.example",
            "an\u{2060}na@visitor.example",
            "anna@visi\u{AD}tor.example",
            "\u{FEFF}anna@visitor.example\u{A0}",
        ] {
            assert_eq!(canonical(pasted).as_deref(), Some("anna@visitor.example"), "{pasted:?}");
        }
    }

    #[test]
    fn s4_addresses_that_are_too_long_are_refused() {
        let (name, label) = ("n".repeat(64), "h".repeat(63));
        let host = format!("{label}.{label}.example");
        assert!(parse(&format!("{name}@{host}")).is_some());
        assert!(parse(&format!("{name}n@{host}")).is_none(), "the name");
        assert!(parse(&format!("{name}@h{host}")).is_none(), "a label");
        assert!(parse(&format!("{name}@{label}.{label}.{label}.example")).is_none(), "the whole");
    }
}
