//! Conversion between domain types and messages.

use frontdesk_auth::{ACCOUNT_HEADER, Caller};
use frontdesk_proto::notification::{v1 as proto, v1beta1 as beta};
use uuid::Uuid;

use crate::{
    domain::{
        Bounce, BounceKind, Delivery, DeliveryKind, DeliveryStatus, Requester, Sender, Suppression, SuppressionReason,
        TranscriptDecision, WebhookDelivery, WebhookDeliveryStatus, WebhookEndpoint, explain,
    },
    error::NotificationError,
    queries::{Preview, TranscriptPart},
};

/// Returns an address that mail can go to, in ASCII.
pub(super) fn email(text: &str) -> Result<String, NotificationError> {
    email_of("email", text)
}

/// The same, of a field that may be empty or unset.
pub(super) fn optional_email(field: &'static str, text: Option<String>) -> Result<Option<String>, NotificationError> {
    match text {
        Some(text) if !text.is_empty() => email_of(field, &text).map(Some),
        none => Ok(none),
    }
}

fn email_of(field: &'static str, text: &str) -> Result<String, NotificationError> {
    let description = "must be an address that mail can go to, such as team@example.com: ASCII before the @, without quotes or routes";
    frontdesk_mail_address::normalized(text)
        .ok_or_else(|| NotificationError::Field { field, description: description.into() })
}

/// Returns an address that mail can go to, in the one spelling in which addresses of contacts are stored.
pub(super) fn canonical_email(text: &str) -> Result<String, NotificationError> {
    email(text).map(|address| address.to_lowercase())
}

/// Requires the account that a service names, of calls that create what they do not find (rule S5).
pub(super) fn require_account(caller: &Caller) -> Result<(), NotificationError> {
    match caller.account.0.is_nil() {
        true => Err(NotificationError::Field {
            field: ACCOUNT_HEADER,
            description: "is required: the account to act in".into(),
        }),
        false => Ok(()),
    }
}

fn id_or_empty(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

pub(super) fn version(version: i64) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}

pub(super) fn delivery(delivery: Delivery) -> proto::Delivery {
    let kind = match delivery.kind {
        DeliveryKind::Transcript => proto::DeliveryKind::Transcript,
        DeliveryKind::ManualTranscript => proto::DeliveryKind::ManualTranscript,
        DeliveryKind::SenderVerification => proto::DeliveryKind::SenderVerification,
        DeliveryKind::AddressVerification => proto::DeliveryKind::AddressVerification,
        DeliveryKind::AgentNotice => proto::DeliveryKind::AgentNotice,
    };
    let status = match delivery.status {
        DeliveryStatus::Queued => proto::DeliveryStatus::Queued,
        DeliveryStatus::Sending => proto::DeliveryStatus::Sending,
        DeliveryStatus::Sent => proto::DeliveryStatus::Sent,
        DeliveryStatus::Failed => proto::DeliveryStatus::Failed,
        DeliveryStatus::Parked => proto::DeliveryStatus::Parked,
        DeliveryStatus::Cancelled => proto::DeliveryStatus::Cancelled,
    };
    let requested_by = Requester::of(&delivery).map(Into::into);
    proto::Delivery {
        id: delivery.id.to_string(),
        kind: kind.into(),
        status: status.into(),
        conversation_id: id_or_empty(delivery.conversation),
        contact_id: id_or_empty(delivery.contact),
        recipient_email: delivery.recipient_email,
        mail_message_id: delivery.mail_message_id,
        attempt_count: delivery.attempt_count,
        last_response: delivery.last_response,
        failure: delivery.failure,
        create_time: Some(delivery.created_at.to_proto()),
        next_attempt_time: (delivery.status == DeliveryStatus::Queued).then(|| delivery.due_at.to_proto()),
        send_time: delivery.sent_at.map(|at| at.to_proto()),
        requested_by,
        subject: delivery.subject,
        bounce: delivery.bounce.map(bounce),
    }
}

fn bounce(bounce: Bounce) -> proto::Bounce {
    let kind = match bounce.kind {
        BounceKind::Soft => proto::BounceKind::Soft,
        BounceKind::Hard => proto::BounceKind::Hard,
        BounceKind::Complaint => proto::BounceKind::Complaint,
    };
    proto::Bounce {
        kind: kind.into(),
        status_code: bounce.status_code,
        report_time: Some(bounce.reported_at.to_proto()),
    }
}

/// `email`: the address, as far as a delivery names it.
pub(super) fn suppression(suppression: Suppression, email: String) -> proto::Suppression {
    let reason = match suppression.reason {
        SuppressionReason::Refused => proto::SuppressionReason::Refused,
        SuppressionReason::Bounced => proto::SuppressionReason::Bounced,
        SuppressionReason::Complained => proto::SuppressionReason::Complained,
        SuppressionReason::Added => proto::SuppressionReason::Added,
        SuppressionReason::Other => proto::SuppressionReason::Other,
    };
    proto::Suppression {
        id: suppression.id.to_string(),
        email,
        reason: reason.into(),
        status_code: suppression.status_code,
        delivery_id: id_or_empty(suppression.delivery),
        create_time: Some(suppression.created_at.to_proto()),
    }
}

/// Returns the statuses to filter by, each once.
pub(super) fn statuses(statuses: impl Iterator<Item = proto::DeliveryStatus>) -> Vec<DeliveryStatus> {
    let mut converted = Vec::new();
    for status in statuses {
        let status = match status {
            proto::DeliveryStatus::Unspecified => continue,
            proto::DeliveryStatus::Queued => DeliveryStatus::Queued,
            proto::DeliveryStatus::Sending => DeliveryStatus::Sending,
            proto::DeliveryStatus::Sent => DeliveryStatus::Sent,
            proto::DeliveryStatus::Failed => DeliveryStatus::Failed,
            proto::DeliveryStatus::Parked => DeliveryStatus::Parked,
            proto::DeliveryStatus::Cancelled => DeliveryStatus::Cancelled,
        };
        if !converted.contains(&status) {
            converted.push(status);
        }
    }
    converted
}

pub(super) fn preview(preview: Preview) -> proto::PreviewTranscriptResponse {
    let (part_url, part_url_expire_time) = preview.link.map(|(url, end)| (url, end.to_proto())).unzip();
    proto::PreviewTranscriptResponse {
        decision: Some(decision(preview.decision)),
        content: preview.content,
        total_size: preview.total_size,
        missing_mail: preview.missing,
        part_sha256: preview.sha256,
        part_url: part_url.unwrap_or_default(),
        part_url_expire_time,
    }
}

/// Returns the part to preview. None: the decision only.
pub(super) fn part(part: proto::TranscriptPart) -> Option<TranscriptPart> {
    match part {
        proto::TranscriptPart::Unspecified => None,
        proto::TranscriptPart::Html => Some(TranscriptPart::Html),
        proto::TranscriptPart::Text => Some(TranscriptPart::Text),
        proto::TranscriptPart::Mail => Some(TranscriptPart::Mail),
        proto::TranscriptPart::Json => Some(TranscriptPart::Json),
    }
}

pub(super) fn decision(decision: TranscriptDecision) -> proto::TranscriptDecision {
    let skip_reason = decision.skip_reason.map_or(proto::SkipReason::Unspecified, Into::into);
    let facts = decision.close.facts;
    proto::TranscriptDecision {
        // A foreseen decision is not stored and has no id.
        id: id_or_empty(Some(decision.id).filter(|id| !id.is_nil())),
        conversation_id: decision.close.conversation.to_string(),
        close_number: decision.close.number,
        send: decision.skip_reason.is_none(),
        skip_reason: skip_reason.into(),
        explanation: explain(decision.skip_reason, &facts),
        delivery_id: id_or_empty(decision.delivery),
        create_time: Some(decision.created_at.to_proto()),
        had_bot_session: facts.had_bot_session,
        had_agent: facts.had_agent,
        had_ticket: facts.had_ticket,
        email_usable: facts.email_usable,
        email_verified: facts.email_verified,
        transcript_enabled: facts.transcript_enabled,
        token_email_unusable: facts.token_email_unusable,
    }
}

pub(super) fn sender(sender: Sender) -> proto::Sender {
    proto::Sender {
        id: sender.id.to_string(),
        etag: sender.etag(),
        email: sender.email,
        display_name: sender.display_name,
        reply_to_email: sender.reply_to_email,
        unsubscribe_email: sender.unsubscribe_email,
        verified: sender.verified,
        fallback: sender.fallback,
        create_time: Some(sender.created_at.to_proto()),
        update_time: Some(sender.updated_at.to_proto()),
        version: version(sender.version),
    }
}

pub(super) fn webhook_endpoint(endpoint: WebhookEndpoint) -> beta::WebhookEndpoint {
    beta::WebhookEndpoint {
        id: endpoint.id.to_string(),
        etag: endpoint.etag(),
        url: endpoint.url,
        description: endpoint.description,
        event_types: endpoint.event_types,
        ordered: endpoint.ordered,
        enabled: endpoint.enabled,
        disabled_by_failures: endpoint.disabled_by_failures,
        failing_since_time: endpoint.failing_since.map(|at| at.to_proto()),
        previous_secret_expire_time: endpoint.previous_secret.map(|(_, ends_at)| ends_at.to_proto()),
        create_time: Some(endpoint.created_at.to_proto()),
        update_time: Some(endpoint.updated_at.to_proto()),
        version: version(endpoint.version),
    }
}

pub(super) fn webhook_delivery(delivery: WebhookDelivery) -> beta::WebhookDelivery {
    let status = match delivery.status {
        WebhookDeliveryStatus::Queued => beta::WebhookDeliveryStatus::Queued,
        WebhookDeliveryStatus::Sent => beta::WebhookDeliveryStatus::Sent,
        WebhookDeliveryStatus::Failed => beta::WebhookDeliveryStatus::Failed,
    };
    let is_queued = delivery.status == WebhookDeliveryStatus::Queued;
    let duration = delivery.attempted_at.and_then(|_| delivery.response_duration.try_into().ok());
    beta::WebhookDelivery {
        id: delivery.id.to_string(),
        webhook_endpoint_id: delivery.endpoint.to_string(),
        event_id: delivery.event.id.to_string(),
        event_type: delivery.event.kind,
        aggregate_id: delivery.event.aggregate.to_string(),
        aggregate_version: version(delivery.event.version),
        payload: delivery.event.payload,
        status: status.into(),
        attempt_count: delivery.attempt_count,
        response_status: delivery.response_status,
        response_body: delivery.response_body,
        response_duration: duration,
        failure: delivery.failure,
        create_time: Some(delivery.created_at.to_proto()),
        last_attempt_time: delivery.attempted_at.map(|at| at.to_proto()),
        next_attempt_time: is_queued.then(|| delivery.due_at.to_proto()),
    }
}

/// Returns the statuses to filter by.
pub(super) fn webhook_statuses(
    statuses: impl Iterator<Item = beta::WebhookDeliveryStatus>,
) -> Vec<WebhookDeliveryStatus> {
    let convert = |status| match status {
        beta::WebhookDeliveryStatus::Unspecified => None,
        beta::WebhookDeliveryStatus::Queued => Some(WebhookDeliveryStatus::Queued),
        beta::WebhookDeliveryStatus::Sent => Some(WebhookDeliveryStatus::Sent),
        beta::WebhookDeliveryStatus::Failed => Some(WebhookDeliveryStatus::Failed),
    };
    statuses.filter_map(convert).collect()
}
