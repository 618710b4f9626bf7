//! Types of the properties of contacts (rule X2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Maximum number of digits of a number before its point, and after it.
const MAX_DIGITS: [usize; 2] = [15, 10];

/// What the values of a property are. Stored as JSON: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PropertyType {
    Text,
    Number,
    Date,
    Boolean,
    Link,
}

/// Types by the names of properties. A property without one is a text.
pub(crate) type PropertyTypes = BTreeMap<String, PropertyType>;

/// A value that is not of the type of its property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MistypedProperty {
    pub(crate) property: String,
    pub(crate) expected: PropertyType,
}

impl PropertyType {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Number => "NUMBER",
            Self::Date => "DATE",
            Self::Boolean => "BOOLEAN",
            Self::Link => "LINK",
        }
    }

    /// What a value must be, for a message.
    pub(crate) const fn remedy(self) -> &'static str {
        match self {
            Self::Text => "must be a text",
            Self::Number => "must be a decimal number such as -12.5",
            Self::Date => "must be a day such as 2026-12-31",
            Self::Boolean => "must be true or false",
            Self::Link => "must be an http or https address",
        }
    }

    /// Whether the text is a value of this type. An empty one is a value of each: the property has none.
    fn admits(self, value: &str) -> bool {
        value.is_empty()
            || match self {
                Self::Text => true,
                Self::Number => is_number(value),
                Self::Date => is_date(value),
                Self::Boolean => ["true", "false"].contains(&value),
                Self::Link => is_link(value),
            }
    }
}

/// Requires that new and changed values are of the types of their properties. What a contact has already may be of another one.
pub(crate) fn check_types(
    types: &PropertyTypes,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Result<(), MistypedProperty> {
    for (property, value) in after.iter().filter(|(property, value)| before.get(*property) != Some(*value)) {
        if let Some(expected) = types.get(property)
            && !expected.admits(value)
        {
            return Err(MistypedProperty { property: property.clone(), expected: *expected });
        }
    }
    Ok(())
}

fn is_number(value: &str) -> bool {
    let digits = |part: &str, max: usize| {
        !part.is_empty() && part.len() <= max && part.bytes().all(|digit| digit.is_ascii_digit())
    };
    let [before_point, after_point] = MAX_DIGITS;
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    match unsigned.split_once('.') {
        Some((whole, part)) => digits(whole, before_point) && digits(part, after_point),
        None => digits(unsigned, before_point),
    }
}

fn is_date(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let number = |part: &str, length: usize| {
        let is_digits = part.len() == length && part.bytes().all(|digit| digit.is_ascii_digit());
        part.parse::<u32>().ok().filter(|_| is_digits)
    };
    let [year, month, day] = parts[..] else { return false };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 0,
    };
    (1..=days).contains(&day)
}

fn is_link(value: &str) -> bool {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x2_each_type_admits_its_values_and_an_empty_one() {
        let cases: [(PropertyType, &[&str], &[&str]); 5] = [
            (PropertyType::Text, &["-1", "anything"], &[]),
            (
                PropertyType::Number,
                &["0", "-12.5", "007", "999999999999999.0123456789"],
                &["-", ".5", "5.", "1,5", "1e3", "٣", "1.2.3", "1234567890123456", "1.01234567890"],
            ),
            (
                PropertyType::Date,
                &["2026-12-31", "2028-02-29", "2000-02-29"],
                &[
                    "2026-02-29",
                    "1900-02-29",
                    "2026-13-01",
                    "2026-00-10",
                    "2026-04-31",
                    "2026-1-01",
                    "31.12.2026",
                    "2026-12-31T",
                ],
            ),
            (PropertyType::Boolean, &["true", "false"], &["True", "1", "yes"]),
            (
                PropertyType::Link,
                &["https://shop.example/a?b=c#d", "http://x"],
                &["https://", "shop.example", "javascript:alert(1)", "https://a b", "https://\u{fc}ber.example"],
            ),
        ];
        for (kind, good, bad) in cases {
            assert!(kind.admits(""), "{kind:?}");
            for value in good {
                assert!(kind.admits(value), "{kind:?} {value}");
            }
            for value in bad {
                assert!(!kind.admits(value), "{kind:?} {value}");
            }
        }
    }

    #[test]
    fn x2_only_new_values_are_checked_and_properties_without_a_type_are_texts() {
        let types = PropertyTypes::from([("age".to_owned(), PropertyType::Number)]);
        let properties = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let before = properties(&[("age", "old"), ("town", "Rome")]);
        assert_eq!(check_types(&types, &before, &properties(&[("age", "old"), ("town", "42")])), Ok(()));
        assert_eq!(check_types(&types, &before, &properties(&[])), Ok(()));
        assert_eq!(check_types(&types, &before, &properties(&[("age", "7")])), Ok(()));
        let mistyped = MistypedProperty { property: "age".into(), expected: PropertyType::Number };
        assert_eq!(check_types(&types, &before, &properties(&[("age", "older")])), Err(mistyped));
    }
}
