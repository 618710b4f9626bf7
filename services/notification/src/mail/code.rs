//! The mails with codes that verify an address: of a sender (rule T5), or of a visitor (rule X1). No text of a caller is in them.

use serde::Serialize;

use super::{ComposeError, ComposedMail, Envelope, language::Language, message, templates};

/// What the code verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeMail {
    /// An address that mails of an account come from.
    Sender,
    /// An address that a visitor typed in a chat.
    Visitor,
}

impl CodeMail {
    /// Returns the subject of the mail.
    pub(crate) fn subject(self, language: &Language) -> &str {
        match self {
            Self::Sender => &language.words.sender_code_subject,
            Self::Visitor => &language.words.visitor_code_subject,
        }
    }

    /// Returns the texts before and after the code.
    fn texts(self, language: &Language) -> [&str; 2] {
        let words = &language.words;
        match self {
            Self::Sender => [&words.sender_code_request, &words.sender_code_validity],
            Self::Visitor => [&words.visitor_code_request, &words.visitor_code_validity],
        }
    }
}

#[derive(Serialize)]
struct View<'a> {
    language: &'a str,
    subject: &'a str,
    before_address: &'a str,
    address: &'a str,
    after_address: &'a str,
    code: &'a str,
    validity: &'a str,
}

/// Composes the mail with a code.
pub(crate) fn compose(
    envelope: &Envelope,
    code: &str,
    about: CodeMail,
    language: &Language,
) -> Result<ComposedMail, ComposeError> {
    let [request, validity] = about.texts(language);
    let (before_address, after_address) = request.split_once("{address}").unwrap_or((request, ""));
    let view = View {
        language: &language.tag,
        subject: &envelope.subject,
        before_address,
        address: &envelope.to,
        after_address,
        code,
        validity,
    };
    let html = templates::render("code.html", &view)?;
    let text = templates::render("code.txt", &view)?;
    message::build(envelope, text, html)
}
