//! One MIME message with its headers.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use frontdesk_clock::Time;
use lettre::{
    Address, Message,
    message::{
        Body, Mailbox, Mailboxes, MultiPart, SinglePart,
        header::{self, Header, HeaderName, HeaderValue},
    },
};
use uuid::Uuid;

use super::{dkim::DkimKey, one_line, quoted_printable};

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
    pub(crate) optional: OptionalHeaders,
}

/// What only some mails have.
#[derive(Clone, Debug, Default)]
pub(crate) struct OptionalHeaders {
    /// The address for replies. Empty: the sender's.
    pub(crate) reply_to: String,
    /// The address for those who want no more mails. Empty: none.
    pub(crate) unsubscribe_to: String,
    /// The conversation whose mails are shown as one thread.
    pub(crate) conversation: Option<Uuid>,
    /// The key that signs the mail. None: it is not signed here.
    pub(crate) dkim: Option<Arc<DkimKey>>,
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

/// Returns the delivery whose mail may have this Message-ID. None: no mail of ours has it.
pub(crate) fn delivery_of(message_id: &str) -> Option<Uuid> {
    message_id.strip_prefix('<')?.split_once('@')?.0.parse().ok()
}

/// Returns the id under which mail clients show the mails of a conversation as one thread. No mail has it.
fn thread_id(conversation: Uuid, from: &str) -> String {
    message_id(conversation, from).replacen('<', "<conversation.", 1)
}

/// Builds the message of these parts.
pub(super) fn build(envelope: &Envelope, text: String, html: String) -> Result<ComposedMail, ComposeError> {
    build_encoded(envelope, quoted_printable::body(text), quoted_printable::body(html))
}

/// Builds the message of parts that are encoded. Header values are reduced to one line without control characters first: a line
/// break in a name would end the header, and the mail library panics on it.
pub(super) fn build_encoded(envelope: &Envelope, text: Body, html: Body) -> Result<ComposedMail, ComposeError> {
    let message_id = envelope.message_id.clone();
    let date = UNIX_EPOCH + Duration::from_secs(u64::try_from(envelope.date.0 / 1_000_000).unwrap_or(0));
    let optional = &envelope.optional;
    let parts = MultiPart::alternative()
        // No line of a part is the boundary: in the quoted-printable encoding no "_" follows a "=", and who writes in a thread does not
        // know the delivery.
        .boundary(format!("=_frontdesk-{}", envelope.delivery.simple()))
        .singlepart(SinglePart::plain(text))
        .singlepart(SinglePart::html(html));
    let mut builder = Message::builder()
        .message_id(Some(message_id.clone()))
        .date(date)
        .raw_header(address_header::<header::From>(mailbox(&envelope.from_name, &envelope.from)?))
        .raw_header(address_header::<header::To>(mailbox(&envelope.to_name, &envelope.to)?))
        .subject(one_line(&envelope.subject, 200))
        // Neither a person nor a program that answers for one replies to a program (RFC 3834).
        .raw_header(plain_header(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()))
        .raw_header(plain_header(HeaderName::new_from_ascii_str("X-Auto-Response-Suppress"), "All".into()));
    if let Some(conversation) = optional.conversation {
        let thread = thread_id(conversation, &envelope.from);
        builder = builder.raw_header(plain_header(HeaderName::new_from_ascii_str("References"), thread));
    }
    if !optional.reply_to.is_empty() {
        builder = builder.raw_header(address_header::<header::ReplyTo>(mailbox("", &optional.reply_to)?));
    }
    if !optional.unsubscribe_to.is_empty() {
        let unsubscribe = unsubscribe(&optional.unsubscribe_to, envelope.delivery)?;
        builder = builder.raw_header(plain_header(HeaderName::new_from_ascii_str("List-Unsubscribe"), unsubscribe));
    }
    let message =
        builder.multipart(parts).map_err(|error| ComposeError(format!("the mail cannot be composed: {error}")))?;
    let bytes = match &optional.dkim {
        Some(key) => key.sign(&message.formatted(), envelope.date)?,
        None => message.formatted(),
    };
    Ok(ComposedMail { from: envelope.from.clone(), to: envelope.to.clone(), message_id, bytes })
}

/// Returns a header of ASCII characters without line breaks.
fn plain_header(name: HeaderName, value: String) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value)
}

/// Returns the address to which a mail client writes for those who want no more mails; the subject says which mail it was.
fn unsubscribe(address: &str, delivery: Uuid) -> Result<String, ComposeError> {
    let address = mailbox("", address)?.email.to_string();
    // What has a meaning in an address of the web.
    let escaped: String = address
        .chars()
        .map(|char| match char {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '@' | '.' | '-' | '_' | '~' => char.to_string(),
            other => format!("%{:02X}", u32::from(other)),
        })
        .collect();
    Ok(format!("<mailto:{escaped}?subject=unsubscribe%20{delivery}>"))
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
