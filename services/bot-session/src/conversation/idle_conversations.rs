//! Asks the conversation service to close conversations whose visitor stays silent (rules B4, B5).

use frontdesk_auth::AccountId;
use frontdesk_clock::Time;
use frontdesk_proto::conversation::v1::{
    CloseIdleConversationsRequest, IdleConversation, IdleOutcome as ProtoIdleOutcome, IdleResult,
    conversation_service_client::ConversationServiceClient,
};
use frontdesk_rpc::Peer;
use uuid::Uuid;

use super::CallError;
use crate::domain::{DueSession, IdleOutcome};

/// Asks about all due sessions in one call. Returns one outcome for each, in their order.
pub(crate) async fn close_idle(peer: &Peer, due: &[DueSession]) -> Result<Vec<IdleOutcome>, CallError> {
    let conversations = due.iter().map(|due| IdleConversation {
        account_id: due.account.to_string(),
        conversation_id: due.conversation.to_string(),
        bot_session_id: due.session.to_string(),
    });
    let request = CloseIdleConversationsRequest { conversations: conversations.collect() };
    // The call spans accounts: each conversation names its own.
    let mut client = ConversationServiceClient::new(peer.for_account(AccountId(Uuid::nil())));
    let response = client.close_idle_conversations(request).await?.into_inner();
    if response.results.len() != due.len() {
        return Err(CallError::Rejected(format!("{} results for {} sessions", response.results.len(), due.len())));
    }
    Ok(response.results.iter().map(outcome).collect())
}

fn outcome(result: &IdleResult) -> IdleOutcome {
    match (result.outcome(), &result.idle_time) {
        (ProtoIdleOutcome::Closed, _) => IdleOutcome::Closed,
        (ProtoIdleOutcome::VisitorActive, Some(time)) => {
            IdleOutcome::VisitorActive { deadline: Time::from_proto(time) }
        }
        _ => IdleOutcome::NotInCharge,
    }
}
