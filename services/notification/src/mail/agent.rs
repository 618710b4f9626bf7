//! The mails to agents (rule N4). They hold numbers and a link, and nothing of what was written.

use serde::Serialize;

use super::{ComposeError, ComposedMail, Envelope, language::Language, message, parts::address, templates};

/// What a mail to an agent is about.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    pub(crate) mentions: i32,
    pub(crate) assignments: i32,
    /// Address of the conversation in the inbox.
    pub(crate) url: String,
}

#[derive(Serialize)]
struct View<'a> {
    language: &'a str,
    subject: &'a str,
    notices: Vec<String>,
    open: &'a str,
    url: String,
    linked: bool,
    reason: &'a str,
}

/// Returns the subject of the mail.
pub(crate) fn subject(language: &Language) -> &str {
    &language.words.notice_subject
}

/// Composes the mail to an agent.
pub(crate) fn compose(
    envelope: &Envelope,
    notices: &Notices,
    language: &Language,
) -> Result<ComposedMail, ComposeError> {
    let words = &language.words;
    let counted = |count: i32, one: &str, other: &str| {
        let count = usize::try_from(count).unwrap_or_default();
        (count > 0).then(|| language.counted(count, one, other))
    };
    let mentions = counted(notices.mentions, &words.mentioned_one, &words.mentioned_other);
    let assignments = counted(notices.assignments, &words.assigned_one, &words.assigned_other);
    let (url, linked) = address(&notices.url);
    let view = View {
        language: &language.tag,
        subject: &envelope.subject,
        notices: mentions.into_iter().chain(assignments).collect(),
        open: &words.open_conversation,
        url,
        linked,
        reason: &words.notice_reason,
    };
    let html = templates::render("agent.html", &view)?;
    let text = templates::render("agent.txt", &view)?;
    message::build(envelope, text, html)
}
