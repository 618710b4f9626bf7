//! Calls as the bot of a session. Each names the session, so that the conversation's row accepts it only while that session is
//! in charge (rule A3).

use frontdesk_auth::{Actor, Kind};
use frontdesk_proto::conversation::v1::{
    CloseConversationRequest, HandOffConversationRequest, NewButton, PostMessageRequest, Reason, RecordAnswerRequest,
    conversation_service_client::ConversationServiceClient, thread_service_client::ThreadServiceClient,
};
use frontdesk_rpc::Peer;
use tonic::Status;
use uuid::Uuid;

use super::{CallError, has_reason};
use crate::domain::{BotAction, Button, Session};

/// Performs one action of a turn as the session's bot. Returns the sequence of the entry that it posted, if the action posts one
/// and the response holds it. Repeating a call with the same `request_id` changes nothing.
pub(crate) async fn perform(
    peer: &Peer,
    session: &Session,
    action: &BotAction,
    request_id: String,
) -> Result<Option<i64>, CallError> {
    let performed = match action {
        BotAction::Say { text, buttons } => post_message(peer, session, text, buttons, request_id).await,
        BotAction::RecordAnswer { property, value } => record_answer(peer, session, property, value).await,
        BotAction::HandOff { reason, agent } => hand_off(peer, session, reason, *agent, request_id).await,
        BotAction::Close => close(peer, session, request_id).await,
    };
    match performed {
        // The request id names the turn and the turn answers one message, so the first use of the id was this very action,
        // possibly with another text of an older version.
        Err(status) if has_reason(&status, Reason::RequestIdReused) => Ok(None),
        performed => Ok(performed?),
    }
}

async fn post_message(
    peer: &Peer,
    session: &Session,
    text: &str,
    buttons: &[Button],
    request_id: String,
) -> Result<Option<i64>, Status> {
    let buttons = buttons.iter().map(|button| NewButton { id: button.id.clone(), label: button.label.clone() });
    let request = PostMessageRequest {
        conversation_id: session.conversation.to_string(),
        text: text.to_owned(),
        buttons: buttons.collect(),
        bot_session_id: session.id.to_string(),
        expected_epoch: None,
        request_id,
    };
    let channel = peer.acting_for(session.account, &bot(session));
    let response = ThreadServiceClient::new(channel).post_message(request).await?.into_inner();
    Ok(response.entry.map(|entry| entry.sequence))
}

async fn record_answer(peer: &Peer, session: &Session, property: &str, value: &str) -> Result<Option<i64>, Status> {
    let request = RecordAnswerRequest {
        conversation_id: session.conversation.to_string(),
        bot_session_id: session.id.to_string(),
        property: property.to_owned(),
        value: value.to_owned(),
    };
    let channel = peer.acting_for(session.account, &bot(session));
    ConversationServiceClient::new(channel).record_answer(request).await?;
    Ok(None)
}

async fn hand_off(
    peer: &Peer,
    session: &Session,
    reason: &str,
    agent: Option<Uuid>,
    request_id: String,
) -> Result<Option<i64>, Status> {
    let request = HandOffConversationRequest {
        conversation_id: session.conversation.to_string(),
        bot_session_id: session.id.to_string(),
        reason: reason.to_owned(),
        agent_id: agent.map(|agent| agent.to_string()).unwrap_or_default(),
        request_id,
    };
    let channel = peer.acting_for(session.account, &bot(session));
    ConversationServiceClient::new(channel).hand_off_conversation(request).await?;
    Ok(None)
}

async fn close(peer: &Peer, session: &Session, request_id: String) -> Result<Option<i64>, Status> {
    let request = CloseConversationRequest {
        conversation_id: session.conversation.to_string(),
        expected_epoch: None,
        bot_session_id: session.id.to_string(),
        request_id,
    };
    let channel = peer.acting_for(session.account, &bot(session));
    ConversationServiceClient::new(channel).close_conversation(request).await?;
    Ok(None)
}

fn bot(session: &Session) -> Actor {
    Actor { kind: Kind::Bot, id: session.bot.to_string() }
}
