//! The rules of fields that the protos cannot state: addresses, time zones, and the size of properties.

use std::collections::{BTreeMap, HashSet};

use frontdesk_api::{ApiError, FieldError};
use frontdesk_proto::conversation::v1 as pb;
use tonic::Status;
use uuid::Uuid;

use super::start_context::is_language_tag;

use crate::domain::{AnonymousVisitors, Mention, NewEmail};

/// Collects the errors of several fields, so that one response names them all.
#[derive(Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    /// The value; its default when the field is invalid, which [`Self::check`] reports.
    pub(crate) fn take<T: Default>(&mut self, value: Result<T, Vec<FieldError>>) -> T {
        value.unwrap_or_else(|errors| {
            self.0.extend(errors);
            T::default()
        })
    }

    /// Fails if a field was invalid.
    pub(crate) fn check(self) -> Result<(), Status> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::fields(self.0).into()) }
    }
}

/// The value, or the error for its field.
pub(crate) fn one<T>(value: Result<T, Vec<FieldError>>) -> Result<T, Status> {
    value.map_err(|errors| ApiError::fields(errors).into())
}

/// A time zone by its IANA name, or empty.
pub(crate) fn time_zone(name: &str) -> Result<String, Vec<FieldError>> {
    if name.is_empty() || frontdesk_time_zone::parse(name).is_some() {
        return Ok(name.to_owned());
    }
    Err(vec![FieldError::new("time_zone", "must be an IANA time zone such as Europe/Rome, or empty")])
}

/// A language by its BCP 47 tag, or empty.
pub(crate) fn language(tag: &str) -> Result<String, Vec<FieldError>> {
    if tag.is_empty() || is_language_tag(tag) {
        return Ok(tag.to_owned());
    }
    Err(vec![FieldError::new("language", "must be a BCP 47 language tag such as pt-BR, or empty")])
}

/// An address that mail can go to, in its canonical spelling. None: empty.
pub(crate) fn email(text: &str) -> Result<Option<String>, Vec<FieldError>> {
    match text {
        "" => Ok(None),
        text => canonical("email".to_owned(), text).map(Some).map_err(|error| vec![error]),
    }
}

/// A visitor of the channel who is not anonymous, in the spelling in which calls have their id.
pub(crate) fn visitor_id(channel: Uuid, id: &str) -> Result<String, Vec<FieldError>> {
    let is_of_channel = |scope: &str| scope.parse::<Uuid>().is_ok_and(|scope| scope == channel);
    let parts = id.split_once('/').filter(|(scope, sub)| is_of_channel(scope) && !sub.is_empty());
    let Some((_, sub)) = parts else {
        let remedy =
            "must be <channel_id>/<sub>, with the channel_id of the request and the sub of the visitor's tokens";
        return Err(vec![FieldError::new("visitor_id", remedy)]);
    };
    let sub = sub.parse::<Uuid>().map_or_else(|_| sub.to_owned(), |id| id.to_string());
    Ok(format!("{channel}/{sub}"))
}

/// The list of addresses in the field `path`, in which no address occurs twice.
pub(crate) fn emails(path: &str, emails: Vec<pb::ContactEmail>) -> Result<Vec<NewEmail>, Vec<FieldError>> {
    let (mut list, mut errors, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (index, email) in emails.into_iter().enumerate() {
        let path = format!("{path}[{index}].email");
        match canonical(path.clone(), &email.email) {
            Ok(address) if seen.insert(address.clone()) => list.push(NewEmail { address, verified: email.verified }),
            Ok(_) => errors.push(FieldError::new(path, "must not be in the list twice")),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(list) } else { Err(errors) }
}

/// Settings of anonymous visitors, without the origins that no browser sends: those that name the port of their scheme.
pub(crate) fn anonymous_visitors(settings: pb::AnonymousVisitors) -> Result<AnonymousVisitors, Vec<FieldError>> {
    let names_default_port = |origin: &&String| {
        let port = |scheme: &str, port: &str| origin.starts_with(scheme) && origin.ends_with(port);
        port("https://", ":443") || port("http://", ":80")
    };
    if let Some(place) = settings.allowed_origins.iter().position(|origin| names_default_port(&origin)) {
        let path = format!("anonymous_visitors.allowed_origins[{place}]");
        return Err(vec![FieldError::new(path, "must not name the port of its scheme: browsers leave it out")]);
    }
    Ok(AnonymousVisitors { allowed_origins: settings.allowed_origins })
}

/// The mentions of a text, which lie within it in its order and do not overlap.
pub(crate) fn mentions(text: &str, mentions: &[pb::Mention]) -> Result<Vec<Mention>, Vec<FieldError>> {
    let (length, mut free_from, mut read) = (text.chars().count(), 0, Vec::new());
    for (place, mention) in mentions.iter().enumerate() {
        let number = |number: i32| usize::try_from(number).unwrap_or(usize::MAX);
        let (start, end) = (number(mention.start), number(mention.start).saturating_add(number(mention.length)));
        let error = |remedy: &str| vec![FieldError::new(format!("mentions[{place}]"), remedy)];
        if end > length {
            return Err(error("must lie within the text, counted in code points of its stored form"));
        }
        if start < free_from {
            return Err(error("must begin after the mention before it ends"));
        }
        let agent_id = mention.agent_id.parse().map_err(|_| error("must have the UUID of an agent"))?;
        read.push(Mention { start, length: end - start, agent_id });
        free_from = end;
    }
    Ok(read)
}

fn canonical(path: String, text: &str) -> Result<String, FieldError> {
    let remedy = "must be an address that mail can go to, such as ada@example.com";
    frontdesk_mail_address::canonical(text).ok_or_else(|| FieldError::new(path, remedy))
}

/// The properties in the field `path`, whose names and values have at most `max_size` bytes in all.
pub(crate) fn properties(
    path: &str,
    properties: BTreeMap<String, String>,
    max_size: usize,
) -> Result<BTreeMap<String, String>, Vec<FieldError>> {
    let size: usize = properties.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > max_size {
        let remedy = format!("must have at most {} KiB in all names and values", max_size / 1024);
        return Err(vec![FieldError::new(path, remedy)]);
    }
    Ok(properties)
}
