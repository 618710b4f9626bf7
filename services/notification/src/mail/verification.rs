//! The mail with the code that verifies a sender address (rule T5).

use serde::Serialize;

use super::{ComposeError, ComposedMail, Envelope, message, templates};

#[derive(Serialize)]
struct View<'a> {
    subject: &'a str,
    address: &'a str,
    code: &'a str,
}

/// Composes the mail with a code.
pub(crate) fn compose(envelope: &Envelope, code: &str) -> Result<ComposedMail, ComposeError> {
    let view = View { subject: &envelope.subject, address: &envelope.to, code };
    let html = templates::render("verification.html", &view)?;
    let text = templates::render("verification.txt", &view)?;
    message::build(envelope, text, html)
}
