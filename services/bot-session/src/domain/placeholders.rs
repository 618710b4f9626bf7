//! Placeholders in the texts of a flow, such as `{{contact.first_name|there}}` (rule B6). The conversation service fills them when a
//! message is sent; here a flow with other ones is refused.

/// Maximum number of placeholders of a text: with values of 300 characters each, the longest text stays within a message.
const MAX_PLACEHOLDERS: usize = 20;
/// Maximum length of a property's name (characters).
const MAX_PROPERTY_NAME: usize = 40;
/// The placeholders that need no further name.
const NAMES: [&str; 5] = ["contact.name", "contact.first_name", "contact.email", "contact.phone", "channel.name"];
/// How the names of placeholders for a contact's properties begin.
const PROPERTY: &str = "contact.properties.";

/// Returns whether the text has placeholders.
pub(super) fn has_placeholders(text: &str) -> bool {
    text.contains("{{")
}

/// Returns what is wrong with the placeholders of a text. None: nothing.
pub(crate) fn placeholder_problem(text: &str) -> Option<String> {
    let (mut rest, mut count) = (text, 0_usize);
    while let Some((_, opened)) = rest.split_once("{{") {
        let Some((inside, after)) = opened.split_once("}}") else {
            return Some("the text has a {{, which begins a placeholder, without a }} after it".to_owned());
        };
        let name = inside.split_once('|').map_or(inside, |(name, _)| name).trim();
        if !is_known(name) {
            let names = NAMES.join(", ");
            return Some(format!("there is no placeholder {{{{{name}}}}}; the names are {names} and {PROPERTY}<name>"));
        }
        count += 1;
        rest = after;
    }
    (count > MAX_PLACEHOLDERS).then(|| format!("the text has more than {MAX_PLACEHOLDERS} placeholders"))
}

/// Returns the text as it is when no placeholder has a value.
pub(crate) fn without_values(text: &str) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, opened)) = rest.split_once("{{") {
        let Some((inside, after)) = opened.split_once("}}") else { break };
        filled.push_str(before);
        filled.push_str(inside.split_once('|').map_or("", |(_, fallback)| fallback).trim());
        rest = after;
    }
    filled + rest
}

fn is_known(name: &str) -> bool {
    NAMES.contains(&name) || name.strip_prefix(PROPERTY).is_some_and(is_property_name)
}

fn is_property_name(name: &str) -> bool {
    name.len() <= MAX_PROPERTY_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|character| matches!(character, 'a'..='z' | '0'..='9' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_only_known_placeholders_that_are_closed_are_accepted() {
        for text in ["", "Hi }}", "Hi {{ contact.first_name | you }}", "{{contact.properties.order_1}}{{channel.name}}"]
        {
            assert_eq!(placeholder_problem(text), None, "{text}");
        }
        for (text, named) in [
            ("Hi {{contact.nmae|x}}", "{{contact.nmae}}"),
            ("{{agent.name}}", "{{agent.name}}"),
            ("{{contact.properties.A}}", "{{contact.properties.A}}"),
            ("{{contact.name", "without a }}"),
        ] {
            assert!(placeholder_problem(text).is_some_and(|problem| problem.contains(named)), "{text}");
        }
        assert_eq!(placeholder_problem(&"{{channel.name}}".repeat(MAX_PLACEHOLDERS)), None);
        assert!(placeholder_problem(&"{{channel.name}}".repeat(MAX_PLACEHOLDERS + 1)).is_some());
    }

    #[test]
    fn b6_a_text_without_values_has_its_fallbacks() {
        assert_eq!(without_values("Hi {{contact.name | you }}, {{channel.name}}!"), "Hi you, !");
        assert_eq!(without_values("{{contact.name}}"), "");
        assert_eq!(without_values("a {{contact.name"), "a {{contact.name");
    }

    #[test]
    fn s8_the_placeholders_of_any_text_are_judged() {
        const PIECES: &[&str] = &["{{", "}}", "{", "}", "|", "contact.name", "contact.properties.", "a", " "];
        frontdesk_fuzz::check!().with_generator(frontdesk_fuzz::text(PIECES, 24)).for_each(|text| {
            let filled = without_values(text);
            assert!(filled.len() <= text.len(), "{text:?}");
            if placeholder_problem(text).is_none() && !has_placeholders(text) {
                assert_eq!(&filled, text);
            }
        });
    }
}
