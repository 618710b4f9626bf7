//! What a branch of a flow depends on (rule B6). Pure: what is known is an argument.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Case, label::label_key};

/// A condition of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Condition {
    pub(crate) test: Test,
    /// Whether it holds where the test does not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) negated: bool,
}

/// What is tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Test {
    /// The newest answer at a step is one of the values. No values: there is an answer.
    Answer { step: String, values: Vec<String> },
    /// These opening hours are open.
    OpeningHours { id: Uuid },
    /// A property of the contact is one of the values. No values: they have the property.
    Property { name: String, values: Vec<String> },
    /// The visitor's language is one of these.
    Language { languages: Vec<String> },
}

/// What is known when a branch is decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Answers by the ids of their steps: texts, and ids of buttons of `buttons` steps.
    pub(crate) answers: BTreeMap<String, String>,
    /// Properties of the contact.
    pub(crate) properties: BTreeMap<String, String>,
    /// Tag of BCP 47. Empty: unknown.
    pub(crate) language: String,
    /// Opening hours that are open.
    pub(crate) open_hours: BTreeSet<Uuid>,
}

impl Condition {
    /// Returns the opening hours that it names.
    pub(crate) fn opening_hours(&self) -> Option<Uuid> {
        match self.test {
            Test::OpeningHours { id } => Some(id),
            Test::Answer { .. } | Test::Property { .. } | Test::Language { .. } => None,
        }
    }

    /// Returns the step whose answer it tests.
    pub(crate) fn answer_of(&self) -> Option<&str> {
        match &self.test {
            Test::Answer { step, .. } => Some(step),
            Test::OpeningHours { .. } | Test::Property { .. } | Test::Language { .. } => None,
        }
    }

    /// Returns whether it depends on the contact or on the visitor's language.
    pub(crate) fn is_about_visitor(&self) -> bool {
        matches!(self.test, Test::Property { .. } | Test::Language { .. })
    }

    fn holds(&self, known: &Known) -> bool {
        let passes = match &self.test {
            Test::Answer { step, values } => is_one_of(known.answers.get(step), values),
            Test::OpeningHours { id } => known.open_hours.contains(id),
            Test::Property { name, values } => is_one_of(known.properties.get(name), values),
            Test::Language { languages } => languages.iter().any(|tag| includes(tag, &known.language)),
        };
        passes != self.negated
    }
}

/// Returns the index of the first case whose conditions all hold; the number of cases if there is none.
pub(crate) fn choose(cases: &[Case], known: &Known) -> usize {
    let holds = |case: &Case| case.conditions.iter().all(|condition| condition.holds(known));
    cases.iter().position(holds).unwrap_or(cases.len())
}

fn is_one_of(value: Option<&String>, values: &[String]) -> bool {
    value.is_some_and(|value| {
        let key = label_key(value);
        values.is_empty() || values.iter().any(|expected| label_key(expected) == key)
    })
}

/// Returns whether the tag is the language or a more general one: `pt` includes `pt-BR`.
fn includes(tag: &str, language: &str) -> bool {
    let (tag, language) = (tag.to_ascii_lowercase(), language.to_ascii_lowercase());
    language.strip_prefix(&tag).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(test: Test) -> Condition {
        Condition { test, negated: false }
    }

    fn known() -> Known {
        let map = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Known {
            answers: map("topic", "Delivery"),
            properties: map("plan", "gold"),
            language: "pt-BR".into(),
            open_hours: BTreeSet::from([Uuid::from_u128(1)]),
        }
    }

    #[test]
    fn b6_each_test_holds_by_what_is_known_and_a_negated_one_where_it_does_not() {
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        for (test, expected) in [
            (Test::Answer { step: "topic".into(), values: values(&["returns", " DELIVERY"]) }, true),
            (Test::Answer { step: "topic".into(), values: Vec::new() }, true),
            (Test::Answer { step: "other".into(), values: Vec::new() }, false),
            (Test::OpeningHours { id: Uuid::from_u128(1) }, true),
            (Test::OpeningHours { id: Uuid::from_u128(2) }, false),
            (Test::Property { name: "plan".into(), values: values(&["Gold"]) }, true),
            (Test::Property { name: "plan".into(), values: values(&["silver"]) }, false),
            (Test::Property { name: "email".into(), values: Vec::new() }, false),
            (Test::Language { languages: values(&["it", "PT"]) }, true),
            (Test::Language { languages: values(&["pt-PT", "p"]) }, false),
        ] {
            let negated = Condition { test: test.clone(), negated: true };
            assert_eq!(condition(test.clone()).holds(&known()), expected, "{test:?}");
            assert_eq!(negated.holds(&known()), !expected, "{test:?}");
        }
    }

    #[test]
    fn b6_the_first_case_whose_conditions_all_hold_is_chosen() {
        let open = |id| condition(Test::OpeningHours { id: Uuid::from_u128(id) });
        let case = |conditions| Case { conditions, next: None };
        let cases = [case(vec![open(1), open(2)]), case(vec![open(1)]), case(vec![open(1)])];
        assert_eq!(choose(&cases, &known()), 1);
        assert_eq!(choose(&cases, &Known::default()), 3);
        assert!(!includes("", "it") && !includes("it", ""));
    }
}
