//! Asking the notification service, which owns the sender addresses, the codes that verify addresses of visitors, and what was decided about
//! transcripts and delivered.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, AccountRows};
use frontdesk_proto::{
    error::v1::Reason as SharedReason,
    notification::{
        internal::v1::{
            AddressCodeOutcome, CheckAddressCodeRequest, ListAccountRowsRequest, MailAddressCodeRequest,
            account_row_service_client::AccountRowServiceClient, address_code_service_client::AddressCodeServiceClient,
        },
        v1::{
            self as pb, GetSenderRequest, ListDeliveriesRequest, ListTranscriptDecisionsRequest,
            delivery_service_client::DeliveryServiceClient, sender_service_client::SenderServiceClient,
            transcript_service_client::TranscriptServiceClient,
        },
    },
};
use serde_json::json;
use tonic::Status;
use uuid::Uuid;

use crate::{
    App,
    domain::{CodeRefusal, RecordPage, record_time},
    error::ConversationError,
};

/// Number of decisions and of deliveries that are asked for at once.
const PAGE_SIZE: i32 = 200;

/// Succeeds if the account has this sender address now, verified or not.
pub(crate) async fn get_sender(app: &App, account: AccountId, id: Uuid) -> Result<(), Status> {
    let mut senders = SenderServiceClient::new(app.notification.for_account(account));
    senders.get_sender(GetSenderRequest { sender_id: id.to_string() }).await?;
    Ok(())
}

/// A page of what was decided about transcripts of the conversation, as records of an export.
pub(crate) async fn list_transcript_decisions(
    app: &App,
    account: AccountId,
    conversation: Uuid,
    page_token: String,
) -> Result<RecordPage, Status> {
    let mut transcripts = TranscriptServiceClient::new(app.notification.for_account(account));
    let request =
        ListTranscriptDecisionsRequest { conversation_id: conversation.to_string(), page_size: PAGE_SIZE, page_token };
    let response = transcripts.list_transcript_decisions(request).await?.into_inner();
    let record = |decision: &pb::TranscriptDecision| {
        json!({
            "record": "transcript_decision",
            "transcript_decision_id": decision.id,
            "conversation_id": decision.conversation_id,
            "close_number": decision.close_number,
            "send": decision.send,
            "explanation": decision.explanation,
            "delivery_id": decision.delivery_id,
            "create_time": decision.create_time.as_ref().map(Time::from_proto).map(record_time),
        })
    };
    let records = response.decisions.iter().map(record).collect();
    Ok(RecordPage { records, next_page_token: response.next_page_token })
}

/// A page of the mails to the contact, as records of an export. A mail of a contact that was merged keeps that one's id.
pub(crate) async fn list_deliveries(
    app: &App,
    account: AccountId,
    contact: Uuid,
    page_token: String,
) -> Result<RecordPage, Status> {
    let mut deliveries = DeliveryServiceClient::new(app.notification.for_account(account));
    let request = ListDeliveriesRequest {
        contact_id: contact.to_string(),
        page_size: PAGE_SIZE,
        page_token,
        ..ListDeliveriesRequest::default()
    };
    let response = deliveries.list_deliveries(request).await?.into_inner();
    let record = |delivery: &pb::Delivery| {
        json!({
            "record": "delivery",
            "delivery_id": delivery.id,
            "kind": delivery.kind().as_str_name().trim_start_matches("DELIVERY_KIND_"),
            "status": delivery.status().as_str_name().trim_start_matches("DELIVERY_STATUS_"),
            "conversation_id": delivery.conversation_id,
            "contact_id": delivery.contact_id,
            "recipient_email": delivery.recipient_email,
            "subject": delivery.subject,
            "mail_message_id": delivery.mail_message_id,
            "last_response": delivery.last_response,
            "failure": delivery.failure,
            "create_time": delivery.create_time.as_ref().map(Time::from_proto).map(record_time),
            "send_time": delivery.send_time.as_ref().map(Time::from_proto).map(record_time),
        })
    };
    let records = response.deliveries.iter().map(record).collect();
    Ok(RecordPage { records, next_page_token: response.next_page_token })
}

/// Mails the calling visitor a code to this address, in this language if the notification service has it.
pub(crate) async fn mail_address_code(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    email: &str,
    language: &str,
    request_id: &str,
) -> Result<(), ConversationError> {
    let mut codes = AddressCodeServiceClient::new(app.notification.acting_for(caller.account, &caller.actor));
    let request = MailAddressCodeRequest {
        email: email.to_owned(),
        request_id: request_id.to_owned(),
        language: language.to_owned(),
        conversation_id: chat.to_string(),
    };
    let response = codes.mail_address_code(request).await.map_err(|status| {
        let reused = SharedReason::RequestIdReused.as_str_name().trim_start_matches("REASON_");
        match frontdesk_api::has_reason(&status, reused) {
            true => ConversationError::RequestIdReused,
            false => unanswered(&status),
        }
    })?;
    let response = response.into_inner();
    if response.suppressed {
        return Err(ConversationError::AddressSuppressed);
    }
    match response.retry_after {
        None => Ok(()),
        Some(delay) => Err(ConversationError::TooManyCodes { retry_after: delay.try_into().unwrap_or_default() }),
    }
}

/// Succeeds if this code was mailed to this address for the calling visitor, and is valid.
pub(crate) async fn check_address_code(
    app: &App,
    caller: &Caller,
    email: &str,
    code: &str,
) -> Result<(), ConversationError> {
    let mut codes = AddressCodeServiceClient::new(app.notification.acting_for(caller.account, &caller.actor));
    let request = CheckAddressCodeRequest { email: email.to_owned(), code: code.to_owned() };
    let checked = codes.check_address_code(request).await.map_err(|status| unanswered(&status))?.into_inner();
    match checked.outcome() {
        AddressCodeOutcome::Right => Ok(()),
        AddressCodeOutcome::Wrong => Err(CodeRefusal::Wrong { remaining: checked.remaining_attempts }.into()),
        AddressCodeOutcome::Expired | AddressCodeOutcome::Unspecified => Err(CodeRefusal::Expired.into()),
        AddressCodeOutcome::UsedUp => Err(CodeRefusal::UsedUp.into()),
    }
}

fn unanswered(status: &Status) -> ConversationError {
    tracing::warn!(code = ?status.code(), message = status.message(), "the notification service did not answer about a code");
    ConversationError::Unreachable("notification")
}

/// A page of all that the service stores of the account, as records of an export.
pub(crate) async fn list_account_rows(app: &App, account: AccountId, cursor: String) -> Result<AccountRows, Status> {
    let mut rows = AccountRowServiceClient::new(app.notification.for_account(account));
    let page = rows.list_account_rows(ListAccountRowsRequest { cursor }).await?.into_inner();
    Ok(AccountRows { records: page.records, next_cursor: page.next_cursor })
}
