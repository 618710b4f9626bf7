//! Conversion of branches.

use frontdesk_proto::botsession::v1::{self as proto, condition::Test as ProtoTest};

use super::flow::non_empty;
use crate::domain::{Case, Condition, Test};

/// Returns the case of a request that passed the checks of its fields: each condition has a test, and ids are UUIDs.
pub(super) fn case_from_proto(case: proto::BranchCase) -> Case {
    let conditions = case.conditions.into_iter().filter_map(condition_from_proto).collect();
    Case { conditions, next: non_empty(case.next_step_id) }
}

fn condition_from_proto(condition: proto::Condition) -> Option<Condition> {
    let test = match condition.test? {
        ProtoTest::Answer(answer) => Test::Answer { step: answer.step_id, values: answer.values },
        ProtoTest::OpeningHours(hours) => Test::OpeningHours { id: hours.opening_hours_id.parse().ok()? },
        ProtoTest::ContactProperty(property) => Test::Property { name: property.property, values: property.values },
        ProtoTest::Language(language) => Test::Language { languages: language.languages },
    };
    Some(Condition { test, negated: condition.negated })
}

pub(super) fn case_to_proto(case: Case) -> proto::BranchCase {
    let conditions = case.conditions.into_iter().map(condition_to_proto).collect();
    proto::BranchCase { conditions, next_step_id: case.next.unwrap_or_default() }
}

fn condition_to_proto(condition: Condition) -> proto::Condition {
    let test = match condition.test {
        Test::Answer { step, values } => ProtoTest::Answer(proto::AnswerCondition { step_id: step, values }),
        Test::OpeningHours { id } => {
            ProtoTest::OpeningHours(proto::OpeningHoursCondition { opening_hours_id: id.to_string() })
        }
        Test::Property { name, values } => {
            ProtoTest::ContactProperty(proto::PropertyCondition { property: name, values })
        }
        Test::Language { languages } => ProtoTest::Language(proto::LanguageCondition { languages }),
    };
    proto::Condition { test: Some(test), negated: condition.negated }
}
