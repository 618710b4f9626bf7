//! Routing policies and explanations.

use std::{collections::BTreeSet, time::Duration};

use frontdesk_api::{ApiError, FieldError, parse_id, parse_optional_id};
use frontdesk_clock::Time;
use frontdesk_proto::{assignment::v1 as pb, says_something};
use tonic::Status;
use uuid::Uuid;

use super::counter;
use crate::{
    domain::{
        LocalizedText, NotRouted, OutsideHours, QueuePlace, RoutingPolicy, RoutingRules, RoutingStep, RoutingStrategy,
    },
    queries::Explanation,
};

pub(crate) fn routing_policy(policy: &RoutingPolicy) -> pb::RoutingPolicy {
    pb::RoutingPolicy {
        id: policy.id.to_string(),
        name: policy.name.clone(),
        rules: Some(rules_to_proto(&policy.rules)),
        create_time: Some(policy.created_at.to_proto()),
        update_time: Some(policy.updated_at.to_proto()),
        delete_time: policy.deleted_at.map(Time::to_proto),
        version: counter(policy.version),
        etag: policy.etag(),
    }
}

fn rules_to_proto(rules: &RoutingRules) -> pb::RoutingRules {
    let strategy = match rules.strategy {
        RoutingStrategy::RoundRobin => pb::RoutingStrategy::RoundRobin,
        RoutingStrategy::FewestOpen => pb::RoutingStrategy::FewestOpen,
    };
    let outside = match rules.outside {
        OutsideHours::Wait => pb::OutsideOpeningHours::Wait,
        OutsideHours::Unassigned => pb::OutsideOpeningHours::Unassigned,
    };
    let step = |step: &RoutingStep| pb::RoutingStep {
        agent_ids: step.agents.iter().map(Uuid::to_string).collect(),
        team_ids: step.teams.iter().map(Uuid::to_string).collect(),
        contact_owner: step.contact_owner,
        anybody: step.anybody,
        widen_after: step.widen_after.and_then(|after| after.try_into().ok()),
    };
    pb::RoutingRules {
        steps: rules.steps.iter().map(step).collect(),
        strategy: strategy.into(),
        only_available: rules.only_available,
        opening_hours_id: rules.opening_hours.map(|id| id.to_string()).unwrap_or_default(),
        outside_opening_hours: outside.into(),
        outside_opening_hours_texts: rules.outside_texts.iter().map(outside_text).collect(),
        take_back_after: rules.take_back_after.and_then(|after| after.try_into().ok()),
    }
}

fn outside_text(text: &LocalizedText) -> pb::OutsideHoursText {
    pb::OutsideHoursText { language: text.language.clone(), text: text.text.clone() }
}

/// The rules, if each step names a target, and each text has a language of its own and says something.
pub(crate) fn routing_rules(rules: pb::RoutingRules) -> Result<RoutingRules, Status> {
    let strategy = match rules.strategy() {
        pb::RoutingStrategy::RoundRobin => RoutingStrategy::RoundRobin,
        pb::RoutingStrategy::FewestOpen | pb::RoutingStrategy::Unspecified => RoutingStrategy::FewestOpen,
    };
    let outside = match rules.outside_opening_hours() {
        pb::OutsideOpeningHours::Unassigned => OutsideHours::Unassigned,
        pb::OutsideOpeningHours::Wait | pb::OutsideOpeningHours::Unspecified => OutsideHours::Wait,
    };
    let mut steps = Vec::new();
    let mut problems = Vec::new();
    for (place, step) in rules.steps.into_iter().enumerate() {
        let step = RoutingStep {
            agents: ids("rules.steps.agent_ids", &step.agent_ids)?,
            teams: ids("rules.steps.team_ids", &step.team_ids)?,
            contact_owner: step.contact_owner,
            anybody: step.anybody,
            widen_after: step.widen_after.and_then(|after| Duration::try_from(after).ok()),
        };
        if step.agents.is_empty() && step.teams.is_empty() && !step.contact_owner && !step.anybody {
            let remedy = "must have an agent, a team, contact_owner or anybody";
            problems.push(FieldError::new(format!("rules.steps[{place}]"), remedy));
        }
        steps.push(step);
    }
    let mut languages = BTreeSet::new();
    let mut outside_texts = Vec::new();
    for (place, text) in rules.outside_opening_hours_texts.into_iter().enumerate() {
        let field = |name: &str| format!("rules.outside_opening_hours_texts[{place}].{name}");
        if !languages.insert(text.language.to_ascii_lowercase()) {
            problems.push(FieldError::new(field("language"), "must differ from the languages of the other texts"));
        }
        if !says_something(&text.text) {
            let remedy = "must say something: it holds only spaces, line breaks and invisible characters";
            problems.push(FieldError::new(field("text"), remedy));
        }
        outside_texts.push(LocalizedText { language: text.language, text: text.text });
    }
    if !problems.is_empty() {
        return Err(ApiError::fields(problems).into());
    }
    Ok(RoutingRules {
        steps,
        strategy,
        only_available: rules.only_available,
        opening_hours: parse_optional_id("rules.opening_hours_id", &rules.opening_hours_id)?,
        outside,
        outside_texts,
        take_back_after: rules.take_back_after.and_then(|after| Duration::try_from(after).ok()),
    })
}

pub(crate) fn ids(field: &'static str, ids: &[String]) -> Result<BTreeSet<Uuid>, Status> {
    ids.iter().map(|id| parse_id(field, id)).collect()
}

pub(crate) fn explanation(explanation: Explanation) -> pb::ExplainRoutingResponse {
    let chosen = explanation.candidates.iter().find(|(_, reasons)| reasons.is_empty());
    let agent_id = chosen.map(|(candidate, _)| candidate.agent.to_string()).unwrap_or_default();
    let candidates = explanation.candidates.into_iter().map(|(candidate, reasons)| pb::RoutingCandidate {
        agent_id: candidate.agent.to_string(),
        open_conversations: counter(candidate.load),
        reasons: reasons.into_iter().map(|reason| not_routed(reason).into()).collect(),
    });
    pb::ExplainRoutingResponse {
        as_of_time: Some(explanation.as_of.to_proto()),
        agent_id,
        routing_policy_id: explanation.policy.map(|id| id.to_string()).unwrap_or_default(),
        candidates: candidates.collect(),
    }
}

pub(crate) fn queue_place(conversation: Uuid, place: QueuePlace) -> pb::QueuePlace {
    pb::QueuePlace {
        conversation_id: conversation.to_string(),
        place: counter(place.place),
        waiting: counter(place.waiting),
        expected_wait: place.expected_wait.and_then(|wait| wait.try_into().ok()),
    }
}

fn not_routed(reason: NotRouted) -> pb::NotRoutedReason {
    match reason {
        NotRouted::NotInStep => pb::NotRoutedReason::NotInStep,
        NotRouted::Deactivated => pb::NotRoutedReason::Deactivated,
        NotRouted::Away => pb::NotRoutedReason::Away,
        NotRouted::Full => pb::NotRoutedReason::Full,
        NotRouted::CapacityZero => pb::NotRoutedReason::CapacityZero,
        NotRouted::OutsideHours => pb::NotRoutedReason::OutsideOpeningHours,
        NotRouted::OthersFirst => pb::NotRoutedReason::OthersFirst,
        NotRouted::NotChosen => pb::NotRoutedReason::NotChosen,
    }
}
