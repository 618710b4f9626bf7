//! Texts of a flow that the conversation service would reject or that a visitor would not see: blank ones, and ones with unknown
//! placeholders.

use frontdesk_proto::{
    botsession::v1::{Flow, Step, step::Action},
    says_something,
};

use crate::domain::{FlowProblem, placeholder_problem, without_values};

/// Returns the problems of the flow's texts. A text that may be absent may be empty, but not blank.
pub(super) fn find_text_problems(flow: &Flow) -> Vec<FlowProblem> {
    let problems = |(at, step)| texts(step).into_iter().filter_map(move |text| text.problem(at));
    flow.steps.iter().enumerate().flat_map(problems).collect()
}

struct Text<'a> {
    /// Path within the step.
    field: &'static str,
    text: &'a str,
    is_optional: bool,
    /// Whether placeholders in it are filled.
    is_sent: bool,
}

impl Text<'_> {
    fn problem(&self, at: usize) -> Option<FlowProblem> {
        let problem =
            |description: String| Some(FlowProblem { field: format!("flow.steps[{at}].{}", self.field), description });
        if self.is_optional && self.text.is_empty() {
            return None;
        }
        if self.is_sent
            && let Some(description) = placeholder_problem(self.text)
        {
            return problem(description);
        }
        if !says_something(self.text) {
            return problem(match self.is_optional {
                true => "the text has no visible character; write one, or leave it empty".to_owned(),
                false => "the text has no visible character; write one".to_owned(),
            });
        }
        if self.is_sent && !says_something(&without_values(self.text)) {
            let what =
                "the text has no visible character where its placeholders have no values; give one of them a fallback";
            return problem(what.to_owned());
        }
        None
    }
}

fn texts(step: &Step) -> Vec<Text<'_>> {
    let required = |field, text| Text { field, text, is_optional: false, is_sent: true };
    let optional = |field, text| Text { field, text, is_optional: true, is_sent: true };
    match &step.action {
        Some(Action::Say(say)) => vec![required("say.text", &say.text)],
        Some(Action::Ask(ask)) => vec![required("ask.text", &ask.text), optional("ask.retry_text", &ask.retry_text)],
        // A blank label is empty after normalisation, which its field's rule refuses.
        Some(Action::Buttons(buttons)) => vec![required("buttons.text", &buttons.text)],
        Some(Action::SetProperty(set)) => {
            vec![Text { is_sent: false, ..required("set_property.value", &set.value) }]
        }
        Some(Action::HandOff(hand_off)) => vec![optional("hand_off.text", &hand_off.text)],
        Some(Action::Close(close)) => vec![optional("close.text", &close.text)],
        // A blank subject is empty after normalisation, too.
        Some(Action::CreateTicket(_) | Action::Branch(_)) | None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_proto::botsession::v1::{SayStep, SetPropertyStep};

    use super::*;

    fn problem(action: Action) -> Option<String> {
        let step = Step { id: "a".into(), action: Some(action), next_step_id: String::new() };
        find_text_problems(&Flow { steps: vec![step] }).pop().map(|problem| problem.description)
    }

    #[test]
    fn b6_a_sent_text_is_visible_without_the_values_of_its_placeholders() {
        let say = |text: &str| problem(Action::Say(SayStep { text: text.into(), ..SayStep::default() }));
        for text in ["Hi {{contact.name}}", "{{contact.name|you}}"] {
            assert_eq!(say(text), None, "{text}");
        }
        for (text, named) in [
            ("\u{200b}", "no visible character; write"),
            ("{{contact.name}}", "give one of them a fallback"),
            ("{{contact.nmae|you}}", "{{contact.nmae}}"),
        ] {
            assert!(say(text).is_some_and(|problem| problem.contains(named)), "{text}");
        }
        let set =
            |value: &str| problem(Action::SetProperty(SetPropertyStep { property: "a".into(), value: value.into() }));
        assert_eq!(set("{{x}}"), None);
        assert!(set(" ").is_some());
    }
}
