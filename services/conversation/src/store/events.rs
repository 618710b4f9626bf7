//! The events that this service publishes: one function for each. They carry ids, numbers, kinds and reasons, never names,
//! texts or addresses.
//!
//! The events of conversations are pushed to a batch, since one transaction may change several conversations; the others are
//! appended to the outbox at once.

use std::collections::BTreeSet;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_outbox::{Aggregate, Events, append};
use frontdesk_proto::{
    actor::v1::{Actor as PbActor, ActorKind as PbActorKind},
    assignment::v1::AssignmentCause as PbCause,
    conversation::v1::CloseReason as PbCloseReason,
    event::v1 as pb,
};
use prost::{Message, Name};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    NAME,
    domain::{
        AccountSettings, Actor, ActorKind, AssigneeChanged, AssignmentCause, Attachment, Channel, CloseReason, Closed,
        Contact, ContactJob, ContactJobStatus, Conversation, ConversationEvent, Insert, Owner, OwnerKind, Routing,
        Ticket,
    },
};

/// Where the event of a change goes: a batch, with the event's aggregate and the trace of the call.
struct Target<'a> {
    batch: &'a mut Events,
    aggregate: Aggregate,
    traceparent: &'a str,
}

impl Target<'_> {
    fn push<M: Message + Name>(self, event: &M) {
        self.batch.push(self.aggregate, event, self.traceparent);
    }
}

/// Pushes an event of the conversation, with what its row holds now. `version`: number of the event.
pub(super) fn push(
    batch: &mut Events,
    conversation: &Conversation,
    version: i64,
    event: &ConversationEvent,
    traceparent: &str,
) {
    use ConversationEvent as E;
    let aggregate = aggregate(conversation.account, "conversation", conversation.id, version);
    let target = Target { batch, aggregate, traceparent };
    match event {
        E::Started { routing } => push_conversation_started(target, conversation, *routing),
        E::MessagePosted { sequence, visitor_sequence, author, bot_session } => {
            push_message_posted(target, conversation, (*sequence, *visitor_sequence), author, *bot_session);
        }
        E::CommentPosted { sequence, author, mentioned } => {
            push_comment_posted(target, conversation, *sequence, author, mentioned);
        }
        E::AssigneeChanged(changed) => push_assignee_changed(target, conversation, changed),
        E::HandedOff { bot_session, bot, agent, routing, at } => {
            let to = (*agent, *routing);
            push_conversation_handed_off(target, conversation, *bot_session, *bot, to, *at);
        }
        E::Closed(closed) => push_conversation_closed(target, conversation, closed),
        E::Updated => push_conversation_updated(target, conversation),
        E::Reopened { by, timed_out_session, routing, last_owner, at } => {
            push_conversation_reopened(target, conversation, by, *timed_out_session, (*routing, *last_owner), *at);
        }
    }
}

fn push_conversation_started(target: Target<'_>, conversation: &Conversation, routing: Option<Routing>) {
    let session = conversation.bot_session.as_ref();
    let policy =
        |of_bot: bool| id_or_empty(routing.and_then(|routing| routing.policy).filter(|_| session.is_some() == of_bot));
    target.push(&pb::ConversationStarted {
        conversation_id: conversation.id.to_string(),
        channel_id: conversation.channel_id.to_string(),
        contact_id: id_or_empty(conversation.contact_id),
        bot_id: id_or_empty(session.map(|session| session.bot)),
        bot_session_id: id_or_empty(session.map(|session| session.id)),
        inactivity_timeout: session.and_then(|session| session.timeout?.try_into().ok()),
        start_time: Some(conversation.created_at.to_proto()),
        epoch: 1,
        routing_policy_id: policy(false),
        contact_owner_agent_id: id_or_empty(routing.and_then(|routing| routing.contact_owner)),
        hand_off_routing_policy_id: policy(true),
    });
}

fn push_message_posted(
    target: Target<'_>,
    conversation: &Conversation,
    (sequence, visitor_sequence): (i64, i64),
    author: &Actor,
    bot_session: Option<Uuid>,
) {
    target.push(&pb::MessagePosted {
        conversation_id: conversation.id.to_string(),
        sequence: counter(sequence),
        visitor_sequence: counter(visitor_sequence),
        author: Some(actor(author)),
        bot_session_id: id_or_empty(bot_session),
    });
}

fn push_comment_posted(
    target: Target<'_>,
    conversation: &Conversation,
    sequence: i64,
    author: &Actor,
    mentioned: &BTreeSet<Uuid>,
) {
    target.push(&pb::CommentPosted {
        conversation_id: conversation.id.to_string(),
        sequence: counter(sequence),
        author: Some(actor(author)),
        mentioned_agent_ids: mentioned.iter().map(Uuid::to_string).collect(),
    });
}

fn push_assignee_changed(target: Target<'_>, conversation: &Conversation, changed: &AssigneeChanged) {
    target.push(&pb::AssigneeChanged {
        conversation_id: conversation.id.to_string(),
        epoch: counter(changed.epoch),
        previous_owner: changed.from.map(owner),
        new_owner: changed.to.map(owner),
        by: Some(actor(&changed.by)),
        ended_bot_session_id: id_or_empty(changed.ended_session),
        change_time: Some(changed.at.to_proto()),
        cause: cause(changed.cause).into(),
    });
}

fn push_conversation_handed_off(
    target: Target<'_>,
    conversation: &Conversation,
    bot_session: Uuid,
    bot: Uuid,
    (agent, routing): (Option<Uuid>, Routing),
    at: Time,
) {
    target.push(&pb::ConversationHandedOff {
        conversation_id: conversation.id.to_string(),
        epoch: counter(conversation.epoch),
        bot_session_id: bot_session.to_string(),
        bot_id: bot.to_string(),
        agent_id: id_or_empty(agent),
        change_time: Some(at.to_proto()),
        routing_policy_id: id_or_empty(routing.policy),
        team_id: id_or_empty(routing.team),
        contact_owner_agent_id: id_or_empty(routing.contact_owner),
    });
}

fn push_conversation_closed(target: Target<'_>, conversation: &Conversation, closed: &Closed) {
    let reason = match closed.reason {
        CloseReason::Agent => PbCloseReason::Agent,
        CloseReason::VisitorInactive => PbCloseReason::VisitorInactive,
        CloseReason::BotCompleted => PbCloseReason::BotCompleted,
    };
    let facts = &closed.facts;
    target.push(&pb::ConversationClosed {
        conversation_id: conversation.id.to_string(),
        close_number: conversation.close_number,
        reason: reason.into(),
        by: Some(actor(&closed.by)),
        channel_id: conversation.channel_id.to_string(),
        contact_id: id_or_empty(conversation.contact_id),
        email_usable: facts.recipient.is_some(),
        email_verified: facts.recipient_verified,
        had_bot_session: conversation.bot_session.is_some(),
        had_agent: conversation.had_agent,
        had_ticket: facts.had_ticket,
        transcript_enabled: facts.transcript_enabled,
        sender_id: id_or_empty(facts.sender_id),
        last_sequence: counter(conversation.last_sequence),
        bot_session_id: id_or_empty(closed.bot_session),
        epoch: counter(conversation.epoch),
        close_time: Some(closed.at.to_proto()),
        token_email_unusable: facts.token_email_unusable,
    });
}

fn push_conversation_reopened(
    target: Target<'_>,
    conversation: &Conversation,
    by: &Actor,
    timed_out_session: Option<Uuid>,
    (routing, last_owner): (Option<Routing>, Option<Uuid>),
    at: Time,
) {
    target.push(&pb::ConversationReopened {
        conversation_id: conversation.id.to_string(),
        epoch: counter(conversation.epoch),
        by: Some(actor(by)),
        reopen_time: Some(at.to_proto()),
        timed_out_bot_session_id: id_or_empty(timed_out_session),
        routed: routing.is_some(),
        routing_policy_id: id_or_empty(routing.and_then(|routing| routing.policy)),
        contact_owner_agent_id: id_or_empty(routing.and_then(|routing| routing.contact_owner)),
        last_owner_agent_id: id_or_empty(last_owner.filter(|_| routing.is_some())),
    });
}

fn push_conversation_updated(target: Target<'_>, conversation: &Conversation) {
    target.push(&pb::ConversationUpdated {
        conversation_id: conversation.id.to_string(),
        last_sequence: counter(conversation.last_sequence),
    });
}

/// Appends `ChannelCreated`.
pub(super) async fn append_channel_created(tx: &mut Tx, channel: &Channel) -> Result<(), DbErr> {
    append(tx, channel_aggregate(channel), &pb::ChannelCreated { channel_id: channel.id.to_string() }).await
}

/// Appends `ChannelUpdated`.
pub(super) async fn append_channel_updated(tx: &mut Tx, channel: &Channel) -> Result<(), DbErr> {
    append(tx, channel_aggregate(channel), &pb::ChannelUpdated { channel_id: channel.id.to_string() }).await
}

/// Appends `ChannelDeleted`.
pub(super) async fn append_channel_deleted(tx: &mut Tx, channel: &Channel) -> Result<(), DbErr> {
    append(tx, channel_aggregate(channel), &pb::ChannelDeleted { channel_id: channel.id.to_string() }).await
}

/// Appends `ChannelUndeleted`.
pub(super) async fn append_channel_undeleted(tx: &mut Tx, channel: &Channel) -> Result<(), DbErr> {
    append(tx, channel_aggregate(channel), &pb::ChannelUndeleted { channel_id: channel.id.to_string() }).await
}

/// Appends `ContactCreated`.
pub(super) async fn append_contact_created(tx: &mut Tx, contact: &Contact) -> Result<(), DbErr> {
    append(tx, contact_aggregate(contact), &pb::ContactCreated { contact_id: contact.id.to_string() }).await
}

/// Appends `ContactUpdated`.
pub(super) async fn append_contact_updated(tx: &mut Tx, contact: &Contact) -> Result<(), DbErr> {
    append(tx, contact_aggregate(contact), &pb::ContactUpdated { contact_id: contact.id.to_string() }).await
}

/// Appends `ContactDeleted`.
pub(super) async fn append_contact_deleted(tx: &mut Tx, contact: &Contact) -> Result<(), DbErr> {
    append(tx, contact_aggregate(contact), &pb::ContactDeleted { contact_id: contact.id.to_string() }).await
}

/// Appends `ContactMerged`, an event of the contact that was merged.
pub(super) async fn append_contact_merged(tx: &mut Tx, source: &Contact, target: Uuid) -> Result<(), DbErr> {
    let event = pb::ContactMerged { source_contact_id: source.id.to_string(), target_contact_id: target.to_string() };
    append(tx, contact_aggregate(source), &event).await
}

/// Appends `ContactErasureRequested`, the first event of a job.
pub(super) async fn append_contact_erasure_requested(tx: &mut Tx, job: &ContactJob) -> Result<(), DbErr> {
    let event =
        pb::ContactErasureRequested { contact_id: job.contact_id.to_string(), contact_job_id: job.id.to_string() };
    append(tx, aggregate(job.account, "contact_job", job.id, 1), &event).await
}

/// Appends `ContactErased`, the last event of a job.
pub(super) async fn append_contact_erased(tx: &mut Tx, job: &ContactJob) -> Result<(), DbErr> {
    let event = pb::ContactErased { contact_id: job.contact_id.to_string(), contact_job_id: job.id.to_string() };
    append(tx, aggregate(job.account, "contact_job", job.id, 2), &event).await
}

/// Appends `ContactExported` or `ContactExportFailed`, the only event of an export.
pub(super) async fn append_contact_export_ended(tx: &mut Tx, job: &ContactJob) -> Result<(), DbErr> {
    let (contact_id, contact_job_id) = (job.contact_id.to_string(), job.id.to_string());
    let aggregate = aggregate(job.account, "contact_job", job.id, 1);
    match job.status {
        ContactJobStatus::Failed => {
            append(tx, aggregate, &pb::ContactExportFailed { contact_id, contact_job_id }).await
        }
        ContactJobStatus::Done | ContactJobStatus::Running => {
            append(tx, aggregate, &pb::ContactExported { contact_id, contact_job_id }).await
        }
    }
}

/// Appends `InsertCreated`.
pub(super) async fn append_insert_created(tx: &mut Tx, insert: &Insert) -> Result<(), DbErr> {
    append(tx, insert_aggregate(insert), &pb::InsertCreated { insert_id: insert.id.to_string() }).await
}

/// Appends `InsertUpdated`.
pub(super) async fn append_insert_updated(tx: &mut Tx, insert: &Insert) -> Result<(), DbErr> {
    append(tx, insert_aggregate(insert), &pb::InsertUpdated { insert_id: insert.id.to_string() }).await
}

/// Appends `InsertDeleted`.
pub(super) async fn append_insert_deleted(tx: &mut Tx, insert: &Insert) -> Result<(), DbErr> {
    append(tx, insert_aggregate(insert), &pb::InsertDeleted { insert_id: insert.id.to_string() }).await
}

/// Appends `InsertUndeleted`.
pub(super) async fn append_insert_undeleted(tx: &mut Tx, insert: &Insert) -> Result<(), DbErr> {
    append(tx, insert_aggregate(insert), &pb::InsertUndeleted { insert_id: insert.id.to_string() }).await
}

/// Appends `AttachmentStored`, the only event of an attachment.
pub(super) async fn append_attachment_stored(tx: &mut Tx, attachment: &Attachment) -> Result<(), DbErr> {
    let event = pb::AttachmentStored {
        attachment_id: attachment.id.to_string(),
        conversation_id: id_or_empty(attachment.conversation_id),
    };
    append(tx, aggregate(attachment.account, "attachment", attachment.id, 1), &event).await
}

/// Appends `TicketCreated`.
pub(super) async fn append_ticket_created(tx: &mut Tx, ticket: &Ticket) -> Result<(), DbErr> {
    let event = pb::TicketCreated {
        ticket_id: ticket.id.to_string(),
        conversation_id: ticket.conversation_id.to_string(),
        contact_id: ticket.contact_id.to_string(),
    };
    append(tx, ticket_aggregate(ticket), &event).await
}

/// Appends `TicketUpdated`.
pub(super) async fn append_ticket_updated(tx: &mut Tx, ticket: &Ticket) -> Result<(), DbErr> {
    append(tx, ticket_aggregate(ticket), &pb::TicketUpdated { ticket_id: ticket.id.to_string() }).await
}

/// Appends `SettingsUpdated`.
pub(super) async fn append_settings_updated(tx: &mut Tx, settings: &AccountSettings) -> Result<(), DbErr> {
    let AccountSettings { account, version, .. } = *settings;
    // Not the account's id: versions are counted for each id, and those of the account are of its states.
    let id = Uuid::new_v5(&account.0, b"settings");
    append(tx, aggregate(account, "settings", id, version), &pb::SettingsUpdated {}).await
}

fn channel_aggregate(channel: &Channel) -> Aggregate {
    aggregate(channel.account, "channel", channel.id, channel.version)
}

fn contact_aggregate(contact: &Contact) -> Aggregate {
    aggregate(contact.account, "contact", contact.id, contact.version)
}

fn insert_aggregate(insert: &Insert) -> Aggregate {
    aggregate(insert.account, "insert", insert.id, insert.version)
}

fn ticket_aggregate(ticket: &Ticket) -> Aggregate {
    aggregate(ticket.account, "ticket", ticket.id, ticket.version)
}

fn aggregate(account: AccountId, kind: &'static str, id: Uuid, version: i64) -> Aggregate {
    Aggregate { source: NAME, account, kind, id, version }
}

fn actor(actor: &Actor) -> PbActor {
    let kind = match actor.kind {
        ActorKind::Visitor => PbActorKind::Visitor,
        ActorKind::Agent => PbActorKind::Agent,
        ActorKind::Bot => PbActorKind::Bot,
        ActorKind::System => PbActorKind::System,
        ActorKind::Admin => PbActorKind::Admin,
    };
    PbActor { kind: kind.into(), id: actor.id.clone(), name: String::new() }
}

fn owner(owner: Owner) -> PbActor {
    let kind = match owner.kind {
        OwnerKind::Agent => PbActorKind::Agent,
        OwnerKind::Bot => PbActorKind::Bot,
    };
    PbActor { kind: kind.into(), id: owner.id.to_string(), name: String::new() }
}

fn cause(cause: AssignmentCause) -> PbCause {
    match cause {
        AssignmentCause::Started => PbCause::Started,
        AssignmentCause::ByHand => PbCause::ByHand,
        AssignmentCause::HandedOff => PbCause::HandedOff,
        AssignmentCause::Reopened => PbCause::Reopened,
        AssignmentCause::Routed => PbCause::Routed,
        AssignmentCause::AgentDeactivated => PbCause::AgentDeactivated,
        AssignmentCause::AgentUnreachable => PbCause::AgentUnreachable,
    }
}

/// A counter of one conversation as the contract has it.
fn counter(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn id_or_empty(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
