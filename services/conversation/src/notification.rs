//! Asking the notification service, which owns the sender addresses.

use frontdesk_db::AccountId;
use frontdesk_proto::notification::v1::{GetSenderRequest, sender_service_client::SenderServiceClient};
use tonic::Status;
use uuid::Uuid;

use crate::App;

/// Succeeds if the account has this sender address now, verified or not.
pub(crate) async fn get_sender(app: &App, account: AccountId, id: Uuid) -> Result<(), Status> {
    let mut senders = SenderServiceClient::new(app.notification.for_account(account));
    senders.get_sender(GetSenderRequest { sender_id: id.to_string() }).await?;
    Ok(())
}
