//! The name of an administrator who changes an owner (rule A8). Administrators are on no roster: their names come from their tokens.

use frontdesk_auth::{Caller, CallerKind};
use frontdesk_proto::normalized_line;

/// Maximum number of characters of a name.
const MAX_LENGTH: usize = 200;

/// Returns the name in the token of a calling administrator, as others may see it. Empty: it has none, or one with a mail address, or the caller
/// is no administrator.
pub(crate) fn administrator_name(caller: &Caller) -> String {
    let name = caller.name.as_deref().filter(|_| caller.actor.kind == CallerKind::Admin);
    name.map(shown_name).unwrap_or_default()
}

/// One line of visible text.
fn shown_name(text: &str) -> String {
    // Before normalisation, which takes a control character for one that is shown.
    let text: String = text.chars().filter(|c| !c.is_control() || c.is_whitespace()).collect();
    let words = normalized_line(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    if words.contains('@') { String::new() } else { words.chars().take(MAX_LENGTH).collect() }
}

#[cfg(test)]
mod tests {
    use super::shown_name;

    #[test]
    fn a8_a_name_is_one_line_and_none_is_a_mail_address() {
        for (name, shown) in
            [(" Olga\n Z\0 ", "Olga Z"), ("", ""), ("olga@shop.example", ""), ("O <o@shop.example>", "")]
        {
            assert_eq!(shown_name(name), shown);
        }
        assert_eq!(shown_name(&"é".repeat(300)).chars().count(), 200);
    }
}
