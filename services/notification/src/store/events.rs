//! The events that this service publishes: one function for each.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_outbox::{Aggregate, Events, append};
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    event::v1::{
        ContactErasureConfirmed, DeliveryFailed, DeliveryParked, DeliverySent, Event, TranscriptDecided,
        WebhookEndpointDisabled, WebhookEndpointTested,
    },
    notification::v1 as proto,
};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    NAME,
    domain::{Delivery, DeliveryKind, Requester, SkipReason, TranscriptDecision, WebhookEndpoint},
};

pub(crate) async fn append_transcript_decided(tx: &mut Tx, decision: &TranscriptDecision) -> Result<(), DbErr> {
    let mut events = Events::new(tx.now().await?);
    push_transcript_decided(&mut events, decision, &frontdesk_telemetry::traceparent());
    events.insert(tx).await
}

/// Adds the event of a decision, caused by what `traceparent` names.
pub(crate) fn push_transcript_decided(events: &mut Events, decision: &TranscriptDecision, traceparent: &str) {
    let aggregate = Aggregate {
        source: NAME,
        account: decision.close.account,
        kind: "transcript_decision",
        id: decision.id,
        version: 1,
    };
    let decided = TranscriptDecided {
        decision_id: decision.id.to_string(),
        conversation_id: decision.close.conversation.to_string(),
        close_number: decision.close.number,
        send: decision.skip_reason.is_none(),
        skip_reason: decision.skip_reason.map_or(proto::SkipReason::Unspecified, Into::into).into(),
        delivery_id: id_or_empty(decision.delivery),
    };
    events.push(aggregate, &decided, traceparent);
}

/// The conversation in whose thread the delivery is an entry. Mails with codes are none.
fn conversation_of(delivery: &Delivery) -> Option<Uuid> {
    delivery.conversation.filter(|_| !delivery.kind.has_code())
}

pub(crate) async fn append_delivery_sent(tx: &mut Tx, delivery: &Delivery) -> Result<(), DbErr> {
    append(tx, delivery_aggregate(delivery), &delivery_sent(delivery)).await
}

/// Adds the event to those that are written together.
pub(crate) fn push_delivery_sent(events: &mut Events, delivery: &Delivery, traceparent: &str) {
    events.push(delivery_aggregate(delivery), &delivery_sent(delivery), traceparent);
}

fn delivery_sent(delivery: &Delivery) -> DeliverySent {
    DeliverySent {
        delivery_id: delivery.id.to_string(),
        conversation_id: id_or_empty(conversation_of(delivery)),
        contact_id: id_or_empty(delivery.contact),
        manual: delivery.kind == DeliveryKind::ManualTranscript,
        requested_by: Requester::of(delivery).map(Into::into),
    }
}

pub(crate) async fn append_delivery_failed(tx: &mut Tx, delivery: &Delivery) -> Result<(), DbErr> {
    let (delivery_id, conversation_id) = (delivery.id.to_string(), id_or_empty(conversation_of(delivery)));
    append(tx, delivery_aggregate(delivery), &DeliveryFailed { delivery_id, conversation_id }).await
}

pub(crate) async fn append_delivery_parked(tx: &mut Tx, delivery: &Delivery) -> Result<(), DbErr> {
    let (delivery_id, conversation_id) = (delivery.id.to_string(), id_or_empty(conversation_of(delivery)));
    append(tx, delivery_aggregate(delivery), &DeliveryParked { delivery_id, conversation_id }).await
}

/// Appends the only event that this service has of a job.
pub(crate) async fn append_contact_erasure_confirmed(
    tx: &mut Tx,
    account: AccountId,
    contact: Uuid,
    job: Uuid,
) -> Result<(), DbErr> {
    let aggregate = Aggregate { source: NAME, account, kind: "contact_job", id: job, version: 1 };
    let confirmed = ContactErasureConfirmed { contact_id: contact.to_string(), contact_job_id: job.to_string() };
    append(tx, aggregate, &confirmed).await
}

/// Appends the event of an endpoint that its failures disabled.
pub(crate) async fn append_webhook_endpoint_disabled(tx: &mut Tx, endpoint: &WebhookEndpoint) -> Result<(), DbErr> {
    let (account, id, version) = (endpoint.account, endpoint.id, endpoint.event_version);
    let aggregate = Aggregate { source: NAME, account, kind: "webhook_endpoint", id, version };
    append(tx, aggregate, &WebhookEndpointDisabled { webhook_endpoint_id: id.to_string() }).await
}

/// Returns the event that tests an endpoint. It is sent to the endpoint, and published nowhere; so it is about an aggregate of its own.
pub(crate) fn webhook_endpoint_tested(id: Uuid, endpoint: &WebhookEndpoint, now: Time) -> Event {
    let tested = WebhookEndpointTested { webhook_endpoint_id: endpoint.id.to_string() };
    let aggregate = Aggregate { source: NAME, account: endpoint.account, kind: "webhook_test", id, version: 1 };
    Event { id: id.to_string(), ..aggregate.event(&tested, now, &frontdesk_telemetry::traceparent()) }
}

impl From<SkipReason> for proto::SkipReason {
    fn from(reason: SkipReason) -> Self {
        match reason {
            SkipReason::Disabled => Self::Disabled,
            SkipReason::BotConversation => Self::BotConversation,
            SkipReason::Ticket => Self::Ticket,
            SkipReason::NoAddress => Self::NoAddress,
            SkipReason::Suppressed => Self::Suppressed,
            SkipReason::UnverifiedLimit => Self::UnverifiedLimit,
            SkipReason::RecentlyMailed => Self::RecentlyMailed,
            SkipReason::ConversationLimit => Self::ConversationLimit,
            SkipReason::RecipientLimit => Self::RecipientLimit,
            SkipReason::AccountLimit => Self::AccountLimit,
            SkipReason::Other => Self::Other,
        }
    }
}

impl From<Requester> for Actor {
    fn from(requester: Requester) -> Self {
        let (kind, id) = match requester {
            Requester::Agent(id) => (ActorKind::Agent, id),
            Requester::Admin(id) => (ActorKind::Admin, id),
        };
        Self { kind: kind.into(), id, name: String::new() }
    }
}

fn delivery_aggregate(delivery: &Delivery) -> Aggregate {
    let Delivery { account, id, version, .. } = *delivery;
    Aggregate { source: NAME, account, kind: "delivery", id, version }
}

/// Returns the id as events hold it. Only transcripts have a conversation and a contact.
fn id_or_empty(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
