//! The mails with codes that verify an address: of a sender (rule T5), or of a visitor (rule X1). No text of a caller is in them.

use serde::Serialize;

use super::{ComposeError, ComposedMail, Envelope, message, templates};

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
    pub(crate) fn subject(self) -> &'static str {
        match self {
            Self::Sender => "Your code to verify this address",
            Self::Visitor => "Your code for the chat",
        }
    }

    /// Returns the names of the templates of the HTML and of the text.
    fn templates(self) -> [&'static str; 2] {
        match self {
            Self::Sender => ["verification.html", "verification.txt"],
            Self::Visitor => ["address_code.html", "address_code.txt"],
        }
    }
}

#[derive(Serialize)]
struct View<'a> {
    subject: &'a str,
    address: &'a str,
    code: &'a str,
}

/// Composes the mail with a code.
pub(crate) fn compose(envelope: &Envelope, code: &str, about: CodeMail) -> Result<ComposedMail, ComposeError> {
    let view = View { subject: &envelope.subject, address: &envelope.to, code };
    let [html, text] = about.templates();
    let html = templates::render(html, &view)?;
    let text = templates::render(text, &view)?;
    message::build(envelope, text, html)
}
