//! Placeholders of snippets, such as `{{contact.first_name|there}}`: a name, and after a `|` what stands there without a value (rule C6).

use std::collections::BTreeMap;

/// Maximum number of placeholders of a snippet.
const MAX_PLACEHOLDERS: usize = 50;
/// Maximum length of a placeholder's value (characters); the rest is cut off, so that the size of a message has a limit.
const MAX_VALUE: usize = 300;
/// Maximum length of a property's name (characters).
const MAX_PROPERTY_NAME: usize = 40;
/// How the names of placeholders for a contact's properties begin.
const PROPERTY: &str = "contact.properties.";
/// The placeholders, for people.
const KNOWN_PLACEHOLDERS: &str = "contact.name, contact.first_name, contact.email, contact.phone, contact.properties.<name>, agent.name, \
                                  channel.name";
/// The values of the placeholders for one agent in one conversation. Empty: none.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlaceholderValues {
    pub(crate) contact_name: String,
    pub(crate) contact_email: String,
    pub(crate) contact_phone: String,
    pub(crate) contact_properties: BTreeMap<String, String>,
    pub(crate) agent_name: String,
    pub(crate) channel_name: String,
}
/// A part of a snippet's text.
enum Part<'a> {
    Text(&'a str),
    Placeholder {
        name: &'a str,
        fallback: &'a str,
    },
    /// Two opening braces that nothing closes, and the text after them.
    Unclosed(&'a str),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, opened)) = rest.split_once("{{") {
        parts.push(Part::Text(before));
        let Some((inside, after)) = opened.split_once("}}") else {
            parts.push(Part::Unclosed(&rest[before.len()..]));
            return parts;
        };
        let (name, fallback) = inside.split_once('|').unwrap_or((inside, ""));
        parts.push(Part::Placeholder { name: name.trim(), fallback: fallback.trim() });
        rest = after;
    }
    parts.push(Part::Text(rest));
    parts
}

/// What is wrong with the placeholders of a snippet's text, for people. Empty: nothing.
pub(crate) fn placeholder_errors(text: &str) -> Vec<String> {
    let (known, mut count) = (PlaceholderValues::default(), 0);
    for part in parts(text) {
        match part {
            Part::Text(_) => {}
            Part::Unclosed(_) => return vec!["must have }} after each {{, which begins a placeholder".to_owned()],
            Part::Placeholder { name, .. } if known.get(name).is_none() => {
                return vec![
                    format!("has the unknown placeholder {{{{{name}}}}}"),
                    format!("may have the placeholders {KNOWN_PLACEHOLDERS}"),
                ];
            }
            Part::Placeholder { .. } => count += 1,
        }
    }
    if count > MAX_PLACEHOLDERS {
        vec![format!("must have at most {MAX_PLACEHOLDERS} placeholders")]
    } else {
        Vec::new()
    }
}

impl PlaceholderValues {
    /// The value of a placeholder; empty: it has none. None: there is no such placeholder.
    fn get(&self, name: &str) -> Option<&str> {
        Some(match name {
            "contact.name" => self.contact_name.as_str(),
            "contact.first_name" => self.contact_name.split_whitespace().next().unwrap_or_default(),
            "contact.email" => self.contact_email.as_str(),
            "contact.phone" => self.contact_phone.as_str(),
            "agent.name" => self.agent_name.as_str(),
            "channel.name" => self.channel_name.as_str(),
            name => {
                let property = name.strip_prefix(PROPERTY).filter(|name| is_property_name(name))?;
                self.contact_properties.get(property).map_or("", String::as_str)
            }
        })
    }

    /// The text with its placeholders filled, and the names of those that have no value, each once.
    pub(crate) fn fill(&self, text: &str) -> (String, Vec<String>) {
        let (mut filled, mut missing) = (String::new(), Vec::new());
        for part in parts(text) {
            match part {
                Part::Text(text) | Part::Unclosed(text) => filled.push_str(text),
                Part::Placeholder { name, fallback } => {
                    let value = self.get(name).unwrap_or_default().trim();
                    if value.is_empty() {
                        filled.push_str(fallback);
                        if !missing.iter().any(|missing| missing == name) {
                            missing.push(name.to_owned());
                        }
                    }
                    filled.extend(value.chars().take(MAX_VALUE));
                }
            }
        }
        (filled, missing)
    }
}

fn is_property_name(name: &str) -> bool {
    name.len() <= MAX_PROPERTY_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|character| matches!(character, 'a'..='z' | '0'..='9' | '_'))
}
#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> PlaceholderValues {
        PlaceholderValues {
            contact_name: "Ada Lovelace".into(),
            contact_properties: BTreeMap::from([("plan".into(), "gold".into())]),
            agent_name: "Bob".into(),
            ..PlaceholderValues::default()
        }
    }

    #[test]
    fn c6_placeholders_are_filled_with_values_or_fallbacks() {
        let cases: [(&str, &str, &[&str]); 6] = [
            ("no placeholder", "no placeholder", &[]),
            ("Hello {{contact.first_name}}, {{ agent.name }} here", "Hello Ada, Bob here", &[]),
            ("{{contact.name|friend}}: {{contact.properties.plan}}", "Ada Lovelace: gold", &[]),
            ("{{contact.email|your address}}/{{contact.email}}", "your address/", &["contact.email"]),
            (
                "{{contact.phone| a | b }}{{contact.properties.age|?}}",
                "a | b?",
                &["contact.phone", "contact.properties.age"],
            ),
            ("open {{contact.name", "open {{contact.name", &[]),
        ];
        for (text, filled, missing) in cases {
            let expected = (filled.to_owned(), missing.iter().map(|name| (*name).to_owned()).collect());
            assert_eq!(values().fill(text), expected, "{text}");
        }
        // What a value contains is text.
        let odd = PlaceholderValues { contact_name: "{{agent.name}}".into(), ..values() };
        assert_eq!(odd.fill("{{contact.name}}").0, "{{agent.name}}");
        let long = PlaceholderValues { agent_name: "é".repeat(1_000), ..values() };
        assert_eq!(long.fill("{{agent.name}}").0, "é".repeat(MAX_VALUE));
    }

    #[test]
    fn c6_a_snippet_with_an_unknown_placeholder_is_refused_with_the_known_ones() {
        for text in ["", "Hello", "}}", "{{contact.name}} {{ channel.name | us }}", "{{contact.properties.order_1}}"] {
            assert_eq!(placeholder_errors(text), Vec::<String>::new(), "{text}");
        }
        for (text, named) in [
            ("Hi {{contact.nmae|x}}", "{{contact.nmae}}"),
            ("{{}}", "{{}}"),
            ("{{contact.properties.}}", "{{contact.properties.}}"),
            ("{{contact.properties.A}}", "{{contact.properties.A}}"),
        ] {
            let [unknown, known] = &placeholder_errors(text)[..] else { panic!("{text}") };
            assert!(unknown.ends_with(named) && known.contains("contact.first_name"), "{unknown}, {known}");
        }
        assert_eq!(placeholder_errors("{{contact.name").len(), 1);
        assert_eq!(placeholder_errors(&"{{agent.name}}".repeat(MAX_PLACEHOLDERS)).len(), 0);
        assert_eq!(placeholder_errors(&"{{agent.name}}".repeat(MAX_PLACEHOLDERS + 1)).len(), 1);
    }
}
