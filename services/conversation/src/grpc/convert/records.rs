//! Channels, visitor keys, contacts with their jobs, tickets, and ends of accounts, which only the team sees.

use frontdesk_proto::conversation::v1::{self as pb, channel::Greeter};
use uuid::Uuid;

use super::{id_or_empty, version};
use crate::domain::{
    AccountJob, AccountJobStatus, Channel, Contact, ContactJob, ContactJobKind, ContactJobStatus, DeletedReferences,
    MergedContact, Ticket, TicketStatus, VisitorKey,
};

pub(crate) fn contact(contact: &Contact) -> pb::Contact {
    let emails = contact.emails.iter();
    pb::Contact {
        id: contact.id.to_string(),
        external_id: contact.external_id.clone(),
        name: contact.name.clone(),
        emails: emails
            .map(|email| pb::ContactEmail { email: email.address.clone(), verified: email.verified })
            .collect(),
        phone: contact.phone.clone(),
        time_zone: contact.time_zone.clone(),
        properties: contact.properties.clone(),
        create_time: Some(contact.created_at.to_proto()),
        update_time: Some(contact.updated_at.to_proto()),
        version: version(contact.version),
        etag: contact.etag(),
        owner_agent_id: id_or_empty(contact.owner),
        language: contact.language.clone(),
    }
}

pub(crate) fn merged_contact(merged: &MergedContact) -> pb::MergedContact {
    let values = &merged.other_values;
    pb::MergedContact {
        source_contact_id: merged.source_id.to_string(),
        merge_time: Some(merged.merged_at.to_proto()),
        external_id: merged.external_id.clone(),
        name: values.name.clone(),
        phone: values.phone.clone(),
        time_zone: values.time_zone.clone(),
        language: values.language.clone(),
        owner_agent_id: id_or_empty(values.owner),
        properties: values.properties.clone(),
    }
}

pub(crate) fn contact_job(job: &ContactJob) -> pb::ContactJob {
    let kind = match job.kind {
        ContactJobKind::Erasure => pb::ContactJobKind::Erasure,
        ContactJobKind::Export => pb::ContactJobKind::Export,
    };
    let status = match job.status {
        ContactJobStatus::Running => pb::ContactJobStatus::Running,
        ContactJobStatus::Done => pb::ContactJobStatus::Done,
        ContactJobStatus::Failed => pb::ContactJobStatus::Failed,
    };
    pb::ContactJob {
        id: job.id.to_string(),
        contact_id: job.contact_id.to_string(),
        kind: kind.into(),
        status: status.into(),
        create_time: Some(job.created_at.to_proto()),
        end_time: job.ended_at.map(|time| time.to_proto()),
        missing_services: job.missing_services.iter().cloned().collect(),
        failure: job.failure.clone(),
        file_expire_time: job.file.as_ref().map(|file| file.expires_at.to_proto()),
    }
}

pub(crate) fn account_job(job: &AccountJob) -> pb::AccountJob {
    let status = match job.status {
        AccountJobStatus::Suspending => pb::AccountJobStatus::Suspending,
        AccountJobStatus::Exporting => pb::AccountJobStatus::Exporting,
        AccountJobStatus::Waiting => pb::AccountJobStatus::Waiting,
        AccountJobStatus::Erasing => pb::AccountJobStatus::Erasing,
        AccountJobStatus::Done => pb::AccountJobStatus::Done,
        AccountJobStatus::Cancelled => pb::AccountJobStatus::Cancelled,
    };
    pb::AccountJob {
        id: job.id.to_string(),
        account_id: job.account.to_string(),
        status: status.into(),
        create_time: Some(job.created_at.to_proto()),
        end_time: job.ended_at.map(|time| time.to_proto()),
        missing_services: job.missing_services.iter().cloned().collect(),
        failure: job.failure.clone(),
        erase_time: job.erase_at.map(|time| time.to_proto()),
    }
}

/// `widget_token`: the channel's, which is shown while it has anonymous visitors.
/// `deleted`: what channels name and was deleted.
pub(crate) fn channel(channel: &Channel, widget_token: String, deleted: &DeletedReferences) -> pb::Channel {
    let anonymous = channel.anonymous_visitors.as_ref();
    let policy_deleted = |policy: Uuid| deleted.routing_policies.contains(&policy);
    let greeter = match (channel.bot_id, channel.routing_policy_id) {
        (Some(bot), _) => Greeter::BotId(bot.to_string()),
        (None, Some(policy)) => Greeter::RoutingPolicyId(policy.to_string()),
        (None, None) => Greeter::NoGreeter(pb::NoGreeter {}),
    };
    pb::Channel {
        id: channel.id.to_string(),
        name: channel.name.clone(),
        website_url: channel.website_url.clone(),
        greeter: Some(greeter),
        transcript_enabled: channel.transcript_enabled,
        transcript_sender_id: id_or_empty(channel.transcript_sender_id),
        time_zone: channel.time_zone.clone(),
        language: channel.language.clone(),
        create_time: Some(channel.created_at.to_proto()),
        update_time: Some(channel.updated_at.to_proto()),
        delete_time: channel.deleted_at.map(|time| time.to_proto()),
        version: version(channel.version),
        etag: channel.etag(),
        anonymous_visitors: anonymous.map(|all| pb::AnonymousVisitors { allowed_origins: all.allowed_origins.clone() }),
        widget_token: anonymous.map(|_| widget_token).unwrap_or_default(),
        opening_hours_id: id_or_empty(channel.opening_hours_id),
        hand_off_routing_policy_id: id_or_empty(channel.hand_off_policy_id),
        bot_deleted: channel.bot_id.is_some_and(|bot| deleted.bots.contains(&bot)),
        routing_policy_deleted: channel.routing_policy().is_some_and(policy_deleted),
        hand_off_routing_policy_deleted: channel.hand_off_policy_id.is_some_and(policy_deleted),
    }
}

pub(crate) fn visitor_key(key: &VisitorKey) -> pb::VisitorKey {
    pb::VisitorKey {
        key_id: format!("{}.{}", key.channel_id, key.number),
        create_time: Some(key.created_at.to_proto()),
        end_time: key.ends_at.map(|ends| ends.to_proto()),
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
        update_time: Some(ticket.updated_at.to_proto()),
        version: version(ticket.version),
        etag: ticket.etag(),
    }
}

/// The status in a request. None: unset; the field's rule rejects an unspecified one.
pub(crate) fn ticket_status(status: pb::TicketStatus) -> Option<TicketStatus> {
    match status {
        pb::TicketStatus::Unspecified => None,
        pb::TicketStatus::Open => Some(TicketStatus::Open),
        pb::TicketStatus::Closed => Some(TicketStatus::Closed),
    }
}
