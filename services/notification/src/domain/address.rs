//! Which addresses mail comes from and goes to. The mail library accepts odd ones, so this is the policy.

/// The address, if it is a plain one: ASCII, `local@domain.tld`, without quoting, address literals or routes.
pub(crate) fn mail_address(text: &str) -> Option<&str> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let local_fits = !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        // '%' and '!' are routes through other hosts in old mail servers.
        && local.chars().all(|char| char.is_ascii_alphanumeric() || "#$&'*+-/=?^_`{|}~.".contains(char));
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
    };
    let domain_fits = domain.contains('.')
        && domain.split('.').all(label)
        && !domain.rsplit('.').next().is_some_and(|tld| tld.chars().all(|char| char.is_ascii_digit()));
    (local_fits && domain_fits && text.len() <= 254).then_some(text)
}

/// Splits `Name <address>` or `address`.
pub(crate) fn mailbox(text: &str) -> Option<(String, String)> {
    match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => {
            Some((super::one_line(name.trim().trim_matches('"'), 100), mail_address(address)?.to_owned()))
        }
        None => Some((String::new(), mail_address(text)?.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_only_plain_addresses_get_mail() {
        for good in ["ada@example.com", "a.b+c@sub.example.co", "o'neil@example.com"] {
            assert_eq!(mail_address(good), Some(good));
        }
        for bad in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "b@[127.0.0.1]",
            "b%c@y.test",
            "a!b@y.test",
            "\"a b\"@y.test",
            "a@b",
            "a@1.2.3.4",
            "a..b@y.test",
            ".a@y.test",
            "a@-y.test",
            "a@y..test",
            "a\n@y.test",
            "ä@y.test",
            "a@ü.test",
            "a b@y.test",
            "a@b@",
            "a@y.test\r\nRCPT TO:<x@y.test>",
        ] {
            assert_eq!(mail_address(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_mailbox_is_a_name_and_an_address() {
        assert_eq!(
            mailbox("Frontdesk <f@localhost.localdomain>").unwrap(),
            ("Frontdesk".into(), "f@localhost.localdomain".into())
        );
        assert_eq!(mailbox("f@example.com").unwrap(), (String::new(), "f@example.com".into()));
        assert!(mailbox("Frontdesk <f@localhost").is_none());
    }
}
