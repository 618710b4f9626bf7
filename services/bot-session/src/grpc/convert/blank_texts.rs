//! Texts of a flow that a visitor would not see: the conversation service rejects a message without a character that is shown.

use frontdesk_proto::{
    botsession::v1::{Flow, Step, step::Action},
    says_something,
};

use crate::domain::FlowProblem;

/// Returns the blank texts of the flow as problems. A text that may be absent may be empty, but not blank.
pub(super) fn find_blank_texts(flow: &Flow) -> Vec<FlowProblem> {
    let blank = |(at, step)| {
        let blank = texts(step).into_iter().filter(|text| !says_something(text.text));
        blank.filter_map(move |text| text.problem(at))
    };
    flow.steps.iter().enumerate().flat_map(blank).collect()
}

struct Text<'a> {
    /// Path within the step.
    field: &'static str,
    text: &'a str,
    is_optional: bool,
}

impl Text<'_> {
    fn problem(&self, at: usize) -> Option<FlowProblem> {
        let description = match self.is_optional {
            true if self.text.is_empty() => return None,
            true => "the text has no visible character; write one, or leave it empty",
            false => "the text has no visible character; write one",
        };
        Some(FlowProblem { field: format!("flow.steps[{at}].{}", self.field), description: description.to_owned() })
    }
}

fn texts(step: &Step) -> Vec<Text<'_>> {
    let required = |field, text| Text { field, text, is_optional: false };
    let optional = |field, text| Text { field, text, is_optional: true };
    match &step.action {
        Some(Action::Say(say)) => vec![required("say.text", &say.text)],
        Some(Action::Ask(ask)) => vec![required("ask.text", &ask.text), optional("ask.retry_text", &ask.retry_text)],
        // A blank label is empty after normalisation, which its field's rule refuses.
        Some(Action::Buttons(buttons)) => vec![required("buttons.text", &buttons.text)],
        Some(Action::HandOff(hand_off)) => vec![optional("hand_off.text", &hand_off.text)],
        Some(Action::Close(close)) => vec![optional("close.text", &close.text)],
        None => Vec::new(),
    }
}
