//! Which addresses mail comes from and goes to. The mail library accepts odd ones, so this is the policy.

/// The address, if it is a plain one: ASCII, `name@host.tld`, without quoting, address literals or routes. The same policy
/// as the conversation service's, so that what it froze at a close is what may be mailed.
pub(crate) fn mail_address(text: &str) -> Option<&str> {
    let text = text.trim();
    let (name, host) = text.rsplit_once('@')?;
    let name_fits = name.len() <= 64
        && name.split('.').all(|part| !part.is_empty())
        // '%' and '!' are routes through other hosts in old mail servers, and a backtick is a shell's.
        && name.chars().all(|char| char.is_ascii_alphanumeric() || "#$&'*+-/=?^_{|}~.".contains(char));
    let label_fits = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
    };
    let (_, last) = host.rsplit_once('.')?;
    let host_fits = host.len() <= 253
        && host.split('.').all(label_fits)
        // Else it is an address of the network's, such as 1.2.3.4.
        && last.len() >= 2
        && last.chars().any(|char| char.is_ascii_alphabetic());
    (name_fits && host_fits && text.len() <= 254).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_only_plain_addresses_get_mail() {
        // The same list as the conversation service's.
        for good in ["ada.l+chat@example.com", "o'neil@x-y.example"] {
            assert_eq!(mail_address(good), Some(good));
        }
        for bad in [
            "",
            "a",
            "@b.c",
            "a@",
            "a@b",
            "a@[127.0.0.1]",
            "a@1.2.3.4",
            "b%c@y.test",
            "bang!path@x.example",
            "\"a b\"@c.de",
            "a@b..cd",
            "a@-b.cd",
            "a\n@b.cd",
            "a..b@c.de",
            "a@b.cd,d@e.fg",
            "ä@b.cd",
            "a@b.c",
        ] {
            assert_eq!(mail_address(bad), None, "{bad:?}");
        }
        for bad in ["back`tick@y.test", ".a@y.test", "a@ü.test", "a@b@", "a@y.test\r\nRCPT TO:<x@y.test>"] {
            assert_eq!(mail_address(bad), None, "{bad:?}");
        }
    }
}
