//! Flow validation (rule B6): every link leads to a step of the flow, every step is reachable, every way ends with a hand-off or a
//! close, and no cycle runs without waiting for the visitor.

use std::collections::{BTreeSet, HashMap};

use super::{
    Button, Case, Condition, Flow, Question, StepAction,
    condition::Test,
    flow_paths::{Paths, Target},
    label::label_key,
};

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
    let mut problems = Problems::default();
    let mut ids = BTreeSet::new();
    let answers = possible_answers(flow);
    for (at, step) in flow.steps.iter().enumerate() {
        if !ids.insert(step.id.as_str()) {
            problems.add(at, "id", "another step has this id; give each step its own");
        }
        match &step.action {
            StepAction::Ask(question) => check_choices(at, question, &mut problems),
            StepAction::Buttons { buttons, .. } => check_buttons(at, buttons, &mut problems),
            StepAction::Branch { cases } => check_cases(&answers, at, cases, &mut problems),
            StepAction::SetProperty { property, .. } if property == "email" => {
                let what = "an address cannot be set, because it would be the same for all visitors; ask for it";
                problems.add(at, "set_property.property", what);
            }
            StepAction::Say { .. }
            | StepAction::SetProperty { .. }
            | StepAction::CreateTicket { .. }
            | StepAction::HandOff { .. }
            | StepAction::Close { .. } => {}
        }
    }
    check_paths(flow, &mut problems);
    problems.0
}

/// The problems that were found.
#[derive(Default)]
struct Problems(Vec<FlowProblem>);

impl Problems {
    fn add(&mut self, at: usize, field: &str, description: &str) {
        self.add_at(format!("flow.steps[{at}].{field}"), description);
    }

    fn add_at(&mut self, field: String, description: &str) {
        self.0.push(FlowProblem { field, description: description.to_owned() });
    }
}

fn check_paths(flow: &Flow, problems: &mut Problems) {
    let paths = Paths::new(flow);
    for link in paths.links().filter(|link| link.to == Target::Nowhere) {
        let what = "there is no step with this id; name one of the flow, or leave it empty for the next in the list";
        problems.add_at(link.field.clone(), what);
    }
    problems.0.extend(paths.run_problems());
    let reached = paths.reached();
    for field in paths.open_ends(&reached) {
        let what = "the flow ends here, and nobody would answer the visitor any more; lead to a hand_off or close step";
        problems.add_at(field.to_owned(), what);
    }
    for (at, _) in flow.steps.iter().enumerate().filter(|(at, _)| !reached.contains(at)) {
        problems.add(at, "id", unreachable(flow, at));
    }
}

/// Returns what is wrong with a step that is never reached.
fn unreachable(flow: &Flow, at: usize) -> &'static str {
    let follows_an_end = flow.steps.iter().enumerate().any(|(before, step)| {
        let names = step.next.as_deref().map_or(before + 1 == at, |next| next == flow.steps[at].id);
        step.ends() && names
    });
    if follows_an_end {
        "no step leads to this one: a hand_off or close ends the flow, also one with a next_step_id; link to it from another step, or \
         remove it"
    } else {
        "no step leads to this one; link to it or remove it"
    }
}

fn check_choices(at: usize, question: &Question, problems: &mut Problems) {
    if question.choices.len() == 1 {
        problems.add(at, "ask.choices", "one choice is none; add another, or leave the list empty");
    }
    let mut labels = BTreeSet::new();
    for (number, choice) in question.choices.iter().enumerate() {
        if !labels.insert(label_key(choice)) {
            let field = format!("ask.choices[{number}]");
            problems.add(at, &field, "another choice of the step has this text; give each its own");
        }
    }
}

fn check_buttons(at: usize, buttons: &[Button], problems: &mut Problems) {
    let (mut ids, mut labels) = (BTreeSet::new(), BTreeSet::new());
    for (number, button) in buttons.iter().enumerate() {
        let field = |name: &str| format!("buttons.buttons[{number}].{name}");
        if !ids.insert(button.id.as_str()) {
            problems.add(at, &field("id"), "another button of the step has this id; give each its own");
        }
        if !labels.insert(label_key(&button.label)) {
            let what =
                "another button of the step has this label; give each its own, so that a typed label names one button";
            problems.add(at, &field("label"), what);
        }
    }
}

/// The answers that a step may get.
enum Answers<'a> {
    /// Any text.
    Any,
    /// One of these buttons, by their ids.
    Buttons(BTreeSet<&'a str>),
    /// One of these choices, in the form in which texts are compared.
    Choices(BTreeSet<String>),
}

/// Returns the answers of the steps that wait, by their ids. They are found once: a flow has thousands of conditions.
fn possible_answers(flow: &Flow) -> HashMap<&str, Answers<'_>> {
    let mut answers = HashMap::new();
    // Of steps with one id, the first counts.
    for (id, at) in flow.positions() {
        let of_step = match &flow.steps[at].action {
            StepAction::Ask(question) if question.choices.is_empty() => Answers::Any,
            StepAction::Ask(question) => {
                Answers::Choices(question.choices.iter().map(|text| label_key(text)).collect())
            }
            StepAction::Buttons { buttons, .. } => {
                Answers::Buttons(buttons.iter().map(|one| one.id.as_str()).collect())
            }
            _ => continue,
        };
        answers.insert(id, of_step);
    }
    answers
}

fn check_cases(answers: &HashMap<&str, Answers<'_>>, at: usize, cases: &[Case], problems: &mut Problems) {
    for (number, case) in cases.iter().enumerate() {
        for (place, condition) in case.conditions.iter().enumerate() {
            if let Some((field, what)) = answer_problem(answers, condition) {
                problems.add(at, &format!("branch.cases[{number}].conditions[{place}].answer.{field}"), what);
            }
        }
    }
}

/// Returns the field and the problem of a condition on an answer that can never be given.
fn answer_problem(answers: &HashMap<&str, Answers<'_>>, condition: &Condition) -> Option<(String, &'static str)> {
    let Test::Answer { step, values } = &condition.test else { return None };
    let (unknown, what) = match answers.get(step.as_str()) {
        Some(Answers::Any) => return None,
        Some(Answers::Buttons(ids)) => {
            (values.iter().position(|value| !ids.contains(value.as_str())), "the step has no button with this id")
        }
        Some(Answers::Choices(keys)) => {
            (values.iter().position(|value| !keys.contains(&label_key(value))), "the step has no such choice")
        }
        None => return Some(("step_id".to_owned(), "there is no ask or buttons step with this id")),
    };
    unknown.map(|number| (format!("values[{number}]"), what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AnswerCheck, Attempts, Step};

    fn step(id: &str, action: StepAction, next: Option<&str>) -> Step {
        Step { id: id.into(), action, next: next.map(Into::into) }
    }

    fn say(id: &str, next: Option<&str>) -> Step {
        step(id, StepAction::Say { text: id.into(), inserts: Vec::new() }, next)
    }

    fn close(id: &str) -> Step {
        step(id, StepAction::Close { text: String::new() }, None)
    }

    fn hand_off(id: &str, next: Option<&str>) -> Step {
        let action =
            StepAction::HandOff { text: String::new(), reason: String::new(), agent: None, policy: None, team: None };
        step(id, action, next)
    }

    fn ask(id: &str, fallback: Option<&str>, choices: &[&str]) -> Step {
        let question = Question {
            text: "?".into(),
            property: "name".into(),
            check: AnswerCheck::Anything,
            retry_text: String::new(),
            choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
            attempts: fallback.map(|fallback| Attempts { max: 1, fallback: fallback.into() }),
            takes_first_message: false,
        };
        step(id, StepAction::Ask(question), None)
    }

    fn choice(id: &str, buttons: &[(&str, &str, Option<&str>)]) -> Step {
        let buttons = buttons
            .iter()
            .map(|(id, label, next)| Button { id: (*id).into(), label: (*label).into(), next: next.map(Into::into) })
            .collect();
        step(id, StepAction::Buttons { text: "?".into(), buttons, attempts: None }, None)
    }

    fn branch(id: &str, conditions: Vec<Condition>, case: Option<&str>, next: Option<&str>) -> Step {
        let cases = vec![Case { conditions, next: case.map(Into::into) }];
        step(id, StepAction::Branch { cases }, next)
    }

    fn answer(step: &str, values: &[&str]) -> Condition {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Condition { test: Test::Answer { step: step.into(), values }, negated: false }
    }

    fn fields(steps: Vec<Step>) -> Vec<String> {
        validate(&Flow { steps }).into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn b6_a_valid_flow_has_no_problems_even_with_a_cycle_that_waits_for_the_visitor() {
        let steps = vec![
            say("hi", None),
            choice("pick", &[("a", "Again", Some("hi")), ("b", "Go on", None)]),
            ask("size", Some("bye"), &["Small", "Large"]),
            branch("which", vec![answer("pick", &["b"]), answer("size", &["SMALL"])], Some("pick"), Some("bye")),
            close("bye"),
        ];
        assert_eq!(fields(steps), Vec::<String>::new());
    }

    #[test]
    fn b6_every_problem_is_named_with_its_place() {
        let steps = vec![
            say("hi", Some("nowhere")),
            say("hi", Some("pick")),
            choice("pick", &[("a", "Yes", None), ("a", " yes ", Some("gone"))]),
            ask("ask", Some("lost"), &["One", "one"]),
            ask("single", None, &["One"]),
            branch("where", vec![answer("hi", &[]), answer("pick", &["c"]), answer("ask", &["two"])], Some("no"), None),
            step("set", StepAction::SetProperty { property: "email".into(), value: "a@b.co".into() }, None),
            close("bye"),
        ];
        let found = fields(steps);
        for expected in [
            "flow.steps[0].next_step_id",
            "flow.steps[1].id",
            "flow.steps[2].buttons.buttons[1].id",
            "flow.steps[2].buttons.buttons[1].label",
            "flow.steps[2].buttons.buttons[1].next_step_id",
            "flow.steps[3].ask.choices[1]",
            "flow.steps[3].ask.fallback_step_id",
            "flow.steps[4].ask.choices",
            "flow.steps[5].branch.cases[0].conditions[0].answer.step_id",
            "flow.steps[5].branch.cases[0].conditions[1].answer.values[0]",
            "flow.steps[5].branch.cases[0].conditions[2].answer.values[0]",
            "flow.steps[5].branch.cases[0].next_step_id",
            "flow.steps[6].set_property.property",
        ] {
            assert!(found.iter().any(|field| field == expected), "{expected} in {found:?}");
        }
    }

    #[test]
    fn b6_a_cycle_without_waiting_is_reported_once_at_the_step_that_closes_it() {
        assert_eq!(fields(vec![say("a", None), say("b", None), say("c", Some("a"))]), ["flow.steps[2].next_step_id"]);
        assert_eq!(fields(vec![say("a", Some("a"))]), ["flow.steps[0].next_step_id"]);
        let open = || vec![Condition { test: Test::Language { languages: vec!["it".into()] }, negated: false }];
        let steps = vec![say("a", None), branch("b", open(), Some("a"), None), close("c")];
        assert_eq!(fields(steps), ["flow.steps[1].branch.cases[0].next_step_id"]);
    }

    #[test]
    fn b6_an_unreachable_step_is_a_problem() {
        assert_eq!(fields(vec![say("a", Some("c")), say("b", None), close("c")]), ["flow.steps[1].id"]);
    }

    #[test]
    fn b8_a_step_behind_a_hand_off_is_reported_with_the_reason() {
        for next in [Some("b"), None] {
            let problems = validate(&Flow { steps: vec![hand_off("a", next), close("b")] });
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].field, "flow.steps[1].id");
            assert!(problems[0].description.contains("a hand_off or close ends the flow"), "{problems:?}");
        }
    }

    #[test]
    fn b8_each_way_that_ends_without_a_hand_off_or_close_is_a_problem() {
        assert_eq!(fields(vec![say("a", None)]), ["flow.steps[0].next_step_id"]);
        let steps =
            vec![choice("pick", &[("a", "A", Some("bye")), ("b", "B", Some("end"))]), close("bye"), say("end", None)];
        assert_eq!(fields(steps), ["flow.steps[2].next_step_id"]);
        let language = || vec![Condition { test: Test::Language { languages: vec!["it".into()] }, negated: false }];
        let steps = vec![say("a", Some("c")), close("b"), branch("c", language(), None, Some("b"))];
        assert_eq!(fields(steps), ["flow.steps[2].branch.cases[0].next_step_id"]);
    }

    #[test]
    fn b6_a_turn_of_more_than_fifty_steps_is_a_problem() {
        let chain = |says: usize| {
            let says = (0..says).map(|number| say(&format!("s{number}"), None));
            says.chain([close("bye")]).collect::<Vec<_>>()
        };
        assert_eq!(fields(chain(49)), Vec::<String>::new());
        assert_eq!(fields(chain(50)), ["flow.steps[0].id"]);
    }

    /// A flow of the largest size, whose choices are costly to compare.
    #[test]
    fn b6_s8_a_hostile_flow_is_judged_in_bounded_time() {
        let long = |number: usize| format!("{number}{}", "\u{FDFA}".repeat(98));
        let choices: Vec<String> = (0..9).map(long).chain(["x".to_owned()]).collect();
        let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
        let conditions = || (0..5).map(|_| answer("ask", &["x"; 20])).collect::<Vec<_>>();
        let cases = || (0..10).map(|_| Case { conditions: conditions(), next: Some("bye".into()) }).collect::<Vec<_>>();
        let branches = (0..98).map(|at| step(&format!("b{at}"), StepAction::Branch { cases: cases() }, None));
        let steps: Vec<Step> = [ask("ask", None, &choices)].into_iter().chain(branches).chain([close("bye")]).collect();
        let started = std::time::Instant::now();
        assert_eq!(fields(steps), ["flow.steps[1].id"], "99 steps without waiting");
        assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    }
}
