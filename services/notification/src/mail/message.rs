//! One MIME message with its headers.

use std::time::{Duration, UNIX_EPOCH};

use frontdesk_clock::Time;
use lettre::{
    Address, Message,
    message::{
        Mailbox, Mailboxes, MultiPart, SinglePart,
        header::{self, Header, HeaderName, HeaderValue},
    },
};
use uuid::Uuid;

use super::one_line;

/// A mail cannot be composed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ComposeError(pub(crate) String);

/// The values of the headers, as users entered them.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) delivery: Uuid,
    /// See [`message_id`]. A mail that is composed again keeps it.
    pub(crate) message_id: String,
    pub(crate) date: Time,
    pub(crate) from_name: String,
    pub(crate) from: String,
    pub(crate) to_name: String,
    pub(crate) to: String,
    pub(crate) subject: String,
}

/// A composed mail with its SMTP envelope.
#[derive(Clone, Debug)]
pub(crate) struct ComposedMail {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) message_id: String,
    pub(crate) bytes: Vec<u8>,
}

/// Returns the Message-ID, the same for every attempt of a delivery, so that mail clients show a mail sent twice as one (rule
/// T8).
pub(crate) fn message_id(delivery: Uuid, from: &str) -> String {
    let domain = from.rsplit_once('@').map_or("frontdesk.invalid", |(_, domain)| domain);
    format!("<{delivery}@{domain}>")
}

/// Builds the message. Header values are reduced to one line without control characters first: a line break in a name would
/// end the header, and the mail library panics on it.
pub(super) fn build(envelope: &Envelope, text: String, html: String) -> Result<ComposedMail, ComposeError> {
    let message_id = envelope.message_id.clone();
    let date = UNIX_EPOCH + Duration::from_secs(u64::try_from(envelope.date.0 / 1_000_000).unwrap_or(0));
    let auto_submitted = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into());
    let parts = MultiPart::alternative()
        .boundary(format!("frontdesk-{}", envelope.delivery.simple()))
        .singlepart(SinglePart::plain(text))
        .singlepart(SinglePart::html(html));
    let message = Message::builder()
        .message_id(Some(message_id.clone()))
        .date(date)
        .raw_header(address_header::<header::From>(mailbox(&envelope.from_name, &envelope.from)?))
        .raw_header(address_header::<header::To>(mailbox(&envelope.to_name, &envelope.to)?))
        .subject(one_line(&envelope.subject, 200))
        .raw_header(auto_submitted)
        .multipart(parts)
        .map_err(|error| ComposeError(format!("the mail cannot be composed: {error}")))?;
    Ok(ComposedMail { from: envelope.from.clone(), to: envelope.to.clone(), message_id, bytes: message.formatted() })
}

fn mailbox(name: &str, address: &str) -> Result<Mailbox, ComposeError> {
    let invalid = || ComposeError("an address is not one that mail may come from or go to".into());
    let address: Address =
        frontdesk_mail_address::parse(address).ok_or_else(invalid)?.parse().map_err(|_| invalid())?;
    // A name that looks like an address would be mistaken for the sender.
    let name = one_line(&name.replace('@', " at "), 100);
    Ok(Mailbox::new((!name.is_empty()).then_some(name), address))
}

/// Returns the header of a mailbox. RFC 5322 allows a full stop in a name only within quotes, which the mail library does not
/// write around one word.
fn address_header<H: Header + From<Mailboxes>>(mailbox: Mailbox) -> HeaderValue {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    match &mailbox.name {
        Some(name) if name.contains('.') && name.chars().all(is_plain) => {
            let quoted = format!("\"{name}\" <{}>", mailbox.email);
            HeaderValue::dangerous_new_pre_encoded(H::name(), quoted.clone(), quoted)
        }
        _ => H::from(Mailboxes::from(mailbox)).display(),
    }
}
