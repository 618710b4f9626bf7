//! Channels, visitor keys, contacts and tickets, which only the team sees, and the rules of their fields.

use frontdesk_api::{ApiError, FieldError};
use frontdesk_proto::conversation::v1 as pb;
use tonic::Status;

use super::id_or_empty;
use crate::domain::{Channel, Contact, Greeter, Ticket, TicketStatus, VisitorKey};

pub(crate) fn contact(contact: &Contact) -> pb::Contact {
    let emails = contact.emails.iter();
    pb::Contact {
        id: contact.id.to_string(),
        name: contact.name.clone(),
        emails: emails
            .map(|email| pb::ContactEmail { address: email.address.clone(), verified: email.verified })
            .collect(),
        phone: contact.phone.clone(),
        time_zone: contact.time_zone.clone(),
        properties: contact.properties.clone(),
        create_time: Some(contact.created_at.to_proto()),
        etag: contact.etag(),
    }
}

pub(crate) fn channel(channel: &Channel) -> pb::Channel {
    let greeter = match channel.greeter {
        Greeter::Bot => pb::Greeter::Bot,
        Greeter::Routing => pb::Greeter::Routing,
        Greeter::Nobody => pb::Greeter::Nobody,
    };
    pb::Channel {
        id: channel.id.to_string(),
        name: channel.name.clone(),
        website_url: channel.website_url.clone(),
        greeter: greeter.into(),
        bot_id: id_or_empty(channel.bot_id),
        transcript_enabled: channel.transcript_enabled,
        transcript_sender_id: id_or_empty(channel.transcript_sender_id),
        time_zone: channel.time_zone.clone(),
        deleted: channel.deleted,
        create_time: Some(channel.created_at.to_proto()),
        etag: channel.etag(),
    }
}

pub(crate) fn visitor_key(key: &VisitorKey) -> pb::VisitorKey {
    pb::VisitorKey {
        key_id: format!("{}.{}", key.channel_id, key.number),
        create_time: Some(key.created_at.to_proto()),
        end_time: key.ends_at.map(|ends| ends.to_proto()),
    }
}

/// The greeter in a request; the field's rule rejects the unspecified one.
pub(crate) fn greeter(greeter: pb::Greeter) -> Greeter {
    match greeter {
        pb::Greeter::Bot => Greeter::Bot,
        pb::Greeter::Routing => Greeter::Routing,
        pb::Greeter::Nobody | pb::Greeter::Unspecified => Greeter::Nobody,
    }
}

pub(crate) fn ticket(ticket: &Ticket) -> pb::Ticket {
    let status = match ticket.status {
        TicketStatus::Open => pb::TicketStatus::Open,
        TicketStatus::Closed => pb::TicketStatus::Closed,
    };
    pb::Ticket {
        id: ticket.id.to_string(),
        conversation_id: ticket.conversation_id.to_string(),
        contact_id: ticket.contact_id.to_string(),
        subject: ticket.subject.clone(),
        status: status.into(),
        url: ticket.url.clone(),
        create_time: Some(ticket.created_at.to_proto()),
    }
}

/// The value, or the error for its field.
pub(crate) fn one<T>(value: Result<T, FieldError>) -> Result<T, Status> {
    value.map_err(|field| ApiError::fields(vec![field]).into())
}

/// Both values, or the errors for all their fields at once.
pub(crate) fn both<A, B>(a: Result<A, FieldError>, b: Result<B, FieldError>) -> Result<(A, B), Status> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(ApiError::fields([a.err(), b.err()].into_iter().flatten().collect()).into()),
    }
}

/// A time zone by its IANA name, or empty.
pub(crate) fn time_zone(name: &str) -> Result<String, FieldError> {
    if name.is_empty() || name.parse::<chrono_tz::Tz>().is_ok() {
        return Ok(name.to_owned());
    }
    Err(FieldError::new("time_zone", "must be an IANA time zone such as Europe/Rome, or empty"))
}

/// An address that mail can go to, in its canonical spelling. None: empty.
pub(crate) fn email(text: &str) -> Result<Option<String>, FieldError> {
    if text.is_empty() {
        return Ok(None);
    }
    let remedy = "must be an address that mail can go to, such as ada@example.com";
    frontdesk_mail_address::canonical(text).map(Some).ok_or_else(|| FieldError::new("email", remedy))
}
