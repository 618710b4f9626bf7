//! The name in the token of a caller, as others may see it (rule A8).

use frontdesk_auth::{Caller, CallerKind};
use frontdesk_proto::normalized_line;

/// Maximum number of characters of a name.
const MAX_LENGTH: usize = 200;

/// Returns the name in the caller's token. Empty: it has none, or one with a mail address.
pub(crate) fn shown_name(caller: &Caller) -> String {
    caller.name.as_deref().map(shown).unwrap_or_default()
}

/// The same of an administrator, who is on no roster. Empty for other callers.
pub(crate) fn administrator_name(caller: &Caller) -> String {
    if caller.actor.kind == CallerKind::Admin { shown_name(caller) } else { String::new() }
}

/// One line of visible text.
fn shown(text: &str) -> String {
    // Before normalisation, which takes a control character for one that is shown.
    let text: String = text.chars().filter(|c| !c.is_control() || c.is_whitespace()).collect();
    let words = normalized_line(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    if words.contains('@') { String::new() } else { words.chars().take(MAX_LENGTH).collect() }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a8_a_name_is_one_line_and_none_is_a_mail_address() {
        for (name, expected) in
            [(" Olga\n Z\0 ", "Olga Z"), ("", ""), ("olga@shop.example", ""), ("O <o@shop.example>", "")]
        {
            assert_eq!(shown(name), expected);
        }
        assert_eq!(shown(&"é".repeat(300)).chars().count(), 200);
    }
}
