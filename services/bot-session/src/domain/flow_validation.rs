//! Flow validation (rule B6): every link leads to a step of the flow, every step is reachable, and no cycle runs
//! without waiting for the visitor.

use std::collections::BTreeSet;

use super::{Button, Flow, RoutingTarget, Step, StepAction, label::label_key};

/// One thing that is wrong with a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FlowProblem {
    /// Path of the field in the request, for example `flow.steps[2].next_step_id`.
    pub(crate) field: String,
    /// What is wrong and how to fix it.
    pub(crate) description: String,
}

/// Returns all problems of the flow. Empty: the flow is valid.
pub(crate) fn validate(flow: &Flow) -> Vec<FlowProblem> {
    let mut problems = Vec::new();
    let mut ids = BTreeSet::new();
    for (at, step) in flow.steps.iter().enumerate() {
        if !ids.insert(step.id.as_str()) {
            problems.push(problem(at, "id", "another step has this id; give each step its own"));
        }
        check_next(flow, step.next.as_deref(), &format!("flow.steps[{at}].next_step_id"), &mut problems);
        if let StepAction::Buttons { buttons, .. } = &step.action {
            check_buttons(flow, at, buttons, &mut problems);
        }
        if closes_cycle_without_waiting(flow, at) {
            let what = "the steps form a cycle that does not wait for the visitor; put an ask or buttons step into it";
            problems.push(problem(at, "next_step_id", what));
        }
    }
    let reached = reachable(flow);
    for (at, _) in flow.steps.iter().enumerate().filter(|(at, _)| !reached.contains(at)) {
        problems.push(problem(at, "id", unreachable(flow, at)));
    }
    problems
}

/// Returns what is wrong with a step that is never reached.
fn unreachable(flow: &Flow, at: usize) -> &'static str {
    let follows_an_end = flow.steps.iter().enumerate().any(|(before, step)| {
        matches!(step.action, StepAction::HandOff { .. } | StepAction::Close { .. })
            && flow.following(before, step.next.as_deref()) == Some(at)
    });
    if follows_an_end {
        "no step leads to this one: a hand_off or close ends the flow, also one with a next_step_id; link to it from another step, or \
         remove it"
    } else {
        "no step leads to this one; link to it or remove it"
    }
}

/// What is wrong with a hand-off to a routing policy or a team that does not exist, or was deleted.
pub(crate) const UNKNOWN_TARGET: &str =
    "the account has none with this id, or it was deleted; create or undelete it first, or leave the field empty";

/// Returns the problem of a hand-off step whose agent is not in the roster, or was deactivated.
pub(crate) fn inactive_agent(at: usize) -> FlowProblem {
    let what =
        "the agent is not in the roster, or was deactivated; create or reactivate them first, or leave the field empty";
    problem(at, "hand_off.agent_id", what)
}

/// Returns the problem of a hand-off step whose routing policy or team does not exist, or was deleted.
pub(crate) fn unknown_target(at: usize, target: RoutingTarget) -> FlowProblem {
    problem(at, target.field(), UNKNOWN_TARGET)
}

fn problem(at: usize, field: &str, description: &str) -> FlowProblem {
    FlowProblem { field: format!("flow.steps[{at}].{field}"), description: description.to_owned() }
}

fn check_next(flow: &Flow, next: Option<&str>, field: &str, problems: &mut Vec<FlowProblem>) {
    if next.is_some_and(|id| flow.position(id).is_none()) {
        let description =
            "there is no step with this id; name one of the flow, or leave it empty for the next in the list";
        problems.push(FlowProblem { field: field.to_owned(), description: description.to_owned() });
    }
}

fn check_buttons(flow: &Flow, at: usize, buttons: &[Button], problems: &mut Vec<FlowProblem>) {
    let (mut ids, mut labels) = (BTreeSet::new(), BTreeSet::new());
    for (number, button) in buttons.iter().enumerate() {
        let field = |name: &str| format!("buttons.buttons[{number}].{name}");
        if !ids.insert(button.id.as_str()) {
            problems.push(problem(at, &field("id"), "another button of the step has this id; give each its own"));
        }
        if !labels.insert(label_key(&button.label)) {
            let what =
                "another button of the step has this label; give each its own, so that a typed label names one button";
            problems.push(problem(at, &field("label"), what));
        }
        let path = format!("flow.steps[{at}].{}", field("next_step_id"));
        check_next(flow, button.next.as_deref(), &path, problems);
    }
}

/// Indexes of the steps that can follow a step.
fn successors(flow: &Flow, at: usize, step: &Step) -> Vec<usize> {
    let after = flow.following(at, step.next.as_deref());
    match &step.action {
        StepAction::Say { .. } | StepAction::Ask { .. } => after.into_iter().collect(),
        StepAction::Buttons { buttons, .. } => buttons
            .iter()
            .filter_map(|button| button.next.as_deref().map_or(after, |next| flow.position(next)))
            .collect(),
        StepAction::HandOff { .. } | StepAction::Close { .. } => Vec::new(),
    }
}

/// Returns whether the step closes a cycle of steps that do not wait. Only a step that links back in the list is
/// reported: every cycle has one.
fn closes_cycle_without_waiting(flow: &Flow, start: usize) -> bool {
    let says = |at: usize| matches!(flow.steps[at].action, StepAction::Say { .. });
    let next = |at: usize| flow.following(at, flow.steps[at].next.as_deref());
    if !says(start) || next(start).is_none_or(|next| next > start) {
        return false;
    }
    let mut at = start;
    for _ in 0..flow.steps.len() {
        match next(at) {
            Some(next) if next == start => return true,
            Some(next) if says(next) => at = next,
            _ => return false,
        }
    }
    false
}

/// Indexes of the steps that a session can reach from the first.
fn reachable(flow: &Flow) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut pending: Vec<usize> = if flow.steps.is_empty() { Vec::new() } else { vec![0] };
    while let Some(at) = pending.pop() {
        if reached.insert(at) {
            pending.extend(successors(flow, at, &flow.steps[at]));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(id: &str, next: Option<&str>) -> Step {
        Step { id: id.into(), action: StepAction::Say { text: id.into() }, next: next.map(Into::into) }
    }

    fn choice(id: &str, buttons: &[(&str, &str, Option<&str>)]) -> Step {
        let buttons = buttons
            .iter()
            .map(|(id, label, next)| Button { id: (*id).into(), label: (*label).into(), next: next.map(Into::into) })
            .collect();
        Step { id: id.into(), action: StepAction::Buttons { text: "?".into(), buttons }, next: None }
    }

    fn fields(steps: Vec<Step>) -> Vec<String> {
        validate(&Flow { steps }).into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn b6_a_valid_flow_has_no_problems_even_with_a_cycle_that_waits_for_the_visitor() {
        let steps = vec![
            say("hi", None),
            choice("pick", &[("a", "Again", Some("hi")), ("b", "Go on", None)]),
            say("end", None),
        ];
        assert!(fields(steps).is_empty());
    }

    #[test]
    fn b6_every_problem_is_named_with_its_place() {
        let steps = vec![
            say("hi", Some("nowhere")),
            say("hi", Some("pick")),
            choice("pick", &[("a", "Yes", None), ("a", " yes ", Some("gone"))]),
        ];
        let found = fields(steps);
        for expected in [
            "flow.steps[0].next_step_id",
            "flow.steps[1].id",
            "flow.steps[2].buttons.buttons[1].id",
            "flow.steps[2].buttons.buttons[1].label",
            "flow.steps[2].buttons.buttons[1].next_step_id",
        ] {
            assert!(found.iter().any(|field| field == expected), "{expected} in {found:?}");
        }
    }

    #[test]
    fn b6_a_cycle_without_waiting_is_reported_once_at_the_step_that_closes_it() {
        assert_eq!(fields(vec![say("a", None), say("b", None), say("c", Some("a"))]), ["flow.steps[2].next_step_id"]);
        assert_eq!(fields(vec![say("a", Some("a"))]), ["flow.steps[0].next_step_id"]);
    }

    #[test]
    fn b6_an_unreachable_step_is_a_problem() {
        assert_eq!(fields(vec![say("a", Some("c")), say("b", None), say("c", None)]), ["flow.steps[1].id"]);
    }

    #[test]
    fn b8_a_step_behind_a_hand_off_is_reported_with_the_reason() {
        let hand_off =
            StepAction::HandOff { text: String::new(), reason: String::new(), agent: None, policy: None, team: None };
        for next in [Some("b"), None] {
            let end = Step { id: "a".into(), action: hand_off.clone(), next: next.map(Into::into) };
            let problems = validate(&Flow { steps: vec![end, say("b", None)] });
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].field, "flow.steps[1].id");
            assert!(problems[0].description.contains("a hand_off or close ends the flow"), "{problems:?}");
        }
    }
}
