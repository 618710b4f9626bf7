//! Asking the notification service, which owns the sender addresses and the codes that verify addresses of visitors.

use frontdesk_auth::Caller;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    error::v1::Reason as SharedReason,
    notification::{
        internal::v1::{
            AddressCodeOutcome, CheckAddressCodeRequest, MailAddressCodeRequest,
            address_code_service_client::AddressCodeServiceClient,
        },
        v1::{GetSenderRequest, sender_service_client::SenderServiceClient},
    },
};
use tonic::Status;
use uuid::Uuid;

use crate::{App, domain::CodeRefusal, error::ConversationError};

/// Succeeds if the account has this sender address now, verified or not.
pub(crate) async fn get_sender(app: &App, account: AccountId, id: Uuid) -> Result<(), Status> {
    let mut senders = SenderServiceClient::new(app.notification.for_account(account));
    senders.get_sender(GetSenderRequest { sender_id: id.to_string() }).await?;
    Ok(())
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
    match response.into_inner().retry_after {
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
