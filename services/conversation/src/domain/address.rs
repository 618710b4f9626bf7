//! Which addresses mail may go to.

/// The address in the one spelling that it is kept in; None: mail cannot or should not go there.
///
/// Stricter than the grammar: no quoted names, no literal hosts, no source routes, at least one dot in the host.
pub(crate) fn usable_address(text: &str) -> Option<String> {
    let text = text.trim();
    let (name, host) = text.rsplit_once('@')?;
    let name_ok = !name.is_empty()
        && name.len() <= 64
        && name.split('.').all(|part| !part.is_empty())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "#$&'*+-/=?^_{|}~.".contains(c));
    let host_ok = host.len() <= 253
        && host.contains('.')
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        });
    // A literal address of a machine is no mailbox of a person.
    let top_ok =
        host.rsplit('.').next().is_some_and(|top| top.len() >= 2 && top.chars().any(|c| c.is_ascii_alphabetic()));
    (name_ok && host_ok && top_ok && text.len() <= 254).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    // The notification service holds the same list: what is decided to be sent can be sent.
    #[test]
    fn x1_addresses_are_kept_in_one_spelling_and_odd_ones_are_not_used() {
        assert_eq!(usable_address(" Ada.L+chat@Example.COM ").as_deref(), Some("ada.l+chat@example.com"));
        assert_eq!(usable_address("o'neil@x-y.example").as_deref(), Some("o'neil@x-y.example"));
        let odd = [
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
        ];
        for odd in odd {
            assert_eq!(usable_address(odd), None, "{odd}");
        }
    }
}
