//! Calls to the conversation service: reading the thread as the service, acting as the bot, asking who was silent.

use std::collections::VecDeque;

use frontdesk_api::has_reason;
use frontdesk_auth::{Actor, CallerKind};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::conversation::v1::{
    ActorKind, CloseConversationRequest, CloseIdleConversationsRequest, Entry, HandOffConversationRequest,
    IdleConversation, IdleOutcome, ListEntriesRequest, NewButton, PostMessageRequest, Reason, RecordAnswerRequest,
    conversation_service_client::ConversationServiceClient, entry::Content, thread_service_client::ThreadServiceClient,
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    App,
    domain::{Act, Button, Input, Session},
    store::timers::Due,
};

/// Why the conversation service did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The session is no longer in charge, or the conversation is closed: the bot has nothing to do there any more.
    #[error("the session is over")]
    Over,
    /// The content is refused, now and for ever.
    #[error("refused: {0}")]
    Refused(String),
    /// The answer is longer than this service reads, and will be again.
    #[error("an answer of the conversation service is too long to be read: {0}")]
    TooLong(String),
    /// Worth another try.
    #[error("the conversation service did not answer: {0}")]
    Unavailable(String),
}

/// What became of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// Number of the entry that it posted, where it posted one and the answer tells.
    pub(crate) sequence: Option<i64>,
}

const NOTHING_POSTED: Done = Done { sequence: None };

const PAGE_SIZE: i32 = 50;
/// What the conversation service puts on a page stays far below.
const LONGEST_ANSWER: usize = 16 << 20;

/// Does one act of a session's turn as its bot. The same `request_id` again does nothing again.
pub(crate) async fn perform(app: &App, session: &Session, act: &Act, request_id: String) -> Result<Done, CallError> {
    let done = match act {
        Act::Say { text, buttons } => say(app, session, text, buttons, request_id).await,
        Act::RecordAnswer { property, value } => record_answer(app, session, property, value).await,
        Act::HandOff { reason, agent } => hand_off(app, session, reason, *agent, request_id).await,
        Act::Close => close(app, session, request_id).await,
    };
    match done {
        // A turn has one input, and the id names the turn: whoever used the id did this very act, perhaps an older binary
        // with another sentence.
        Err(status) if has_reason(&status, name(Reason::RequestIdReused)) => Ok(NOTHING_POSTED),
        done => done.map_err(refused),
    }
}

async fn say(app: &App, session: &Session, text: &str, buttons: &[Button], request_id: String) -> Result<Done, Status> {
    let buttons = buttons.iter().map(|button| NewButton { id: button.id.clone(), label: button.label.clone() });
    let request = PostMessageRequest {
        conversation_id: session.conversation.to_string(),
        text: text.to_owned(),
        buttons: buttons.collect(),
        bot_session_id: session.id.to_string(),
        expected_epoch: None,
        request_id,
    };
    let channel = app.conversation.acting_for(session.account, &bot(session));
    let answer = ThreadServiceClient::new(channel).post_message(request).await?.into_inner();
    Ok(Done { sequence: answer.entry.map(|entry| entry.sequence) })
}

async fn record_answer(app: &App, session: &Session, property: &str, value: &str) -> Result<Done, Status> {
    let request = RecordAnswerRequest {
        conversation_id: session.conversation.to_string(),
        bot_session_id: session.id.to_string(),
        property: property.to_owned(),
        value: value.to_owned(),
    };
    let channel = app.conversation.acting_for(session.account, &bot(session));
    ConversationServiceClient::new(channel).record_answer(request).await?;
    Ok(NOTHING_POSTED)
}

async fn hand_off(
    app: &App,
    session: &Session,
    reason: &str,
    agent: Option<Uuid>,
    request_id: String,
) -> Result<Done, Status> {
    let request = HandOffConversationRequest {
        conversation_id: session.conversation.to_string(),
        bot_session_id: session.id.to_string(),
        reason: reason.to_owned(),
        agent_id: agent.map(|agent| agent.to_string()).unwrap_or_default(),
        request_id,
    };
    let channel = app.conversation.acting_for(session.account, &bot(session));
    ConversationServiceClient::new(channel).hand_off_conversation(request).await?;
    Ok(NOTHING_POSTED)
}

async fn close(app: &App, session: &Session, request_id: String) -> Result<Done, Status> {
    let request = CloseConversationRequest {
        conversation_id: session.conversation.to_string(),
        expected_epoch: None,
        bot_session_id: session.id.to_string(),
        request_id,
    };
    let channel = app.conversation.acting_for(session.account, &bot(session));
    ConversationServiceClient::new(channel).close_conversation(request).await?;
    Ok(NOTHING_POSTED)
}

/// What visitors said, as far as the thread was read.
#[derive(Debug)]
pub(crate) struct Heard {
    messages: VecDeque<(i64, Input)>,
    /// The thread was read up to this sequence.
    until: i64,
    /// It goes on after that.
    has_more: bool,
}

impl Heard {
    /// Nothing was read yet.
    pub(crate) fn nothing() -> Self {
        Self { messages: VecDeque::new(), until: 0, has_more: true }
    }

    /// The visitor's first message after what the session has answered, with its sequence; None: there was none when the
    /// thread was read to its end. The thread is read on only when the page in hand is used up.
    pub(crate) async fn next(&mut self, app: &App, session: &Session) -> Result<Option<(i64, Input)>, CallError> {
        loop {
            while let Some(message) = self.messages.pop_front() {
                // Another replica may have answered some of the page.
                if message.0 > session.last_sequence {
                    return Ok(Some(message));
                }
            }
            if !self.has_more {
                return Ok(None);
            }
            self.read_on(app, session).await?;
        }
    }

    async fn read_on(&mut self, app: &App, session: &Session) -> Result<(), CallError> {
        let request = ListEntriesRequest {
            conversation_id: session.conversation.to_string(),
            after_sequence: self.until.max(session.last_sequence),
            until_sequence: 0,
            page_size: PAGE_SIZE,
        };
        let channel = app.conversation.for_account(session.account);
        let mut client = ThreadServiceClient::new(channel).max_decoding_message_size(LONGEST_ANSWER);
        let page = client.list_entries(request).await.map_err(refused)?.into_inner();
        // A page is cut by bytes too: only `has_more` tells whether it was the last.
        self.has_more = page.has_more;
        match page.entries.last() {
            Some(last) => self.until = last.sequence,
            None if page.has_more => return Err(CallError::Unavailable("an empty page, and more to come".into())),
            None => {}
        }
        self.messages.extend(page.entries.into_iter().filter_map(visitor_message));
        Ok(())
    }
}

fn visitor_message(entry: Entry) -> Option<(i64, Input)> {
    if entry.author.as_ref()?.kind() != ActorKind::Visitor {
        return None;
    }
    match entry.content? {
        Content::Message(message) => {
            let button = Some(message.chosen_button_id).filter(|id| !id.is_empty());
            Some((entry.sequence, Input { text: message.text, button }))
        }
        _ => None,
    }
}

/// What the row says of a visitor's silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// It closed the conversation for it.
    Closed,
    /// The visitor was active since: the timeout runs out then.
    ActiveUntil(Time),
    /// The session is not in charge any more; how it ended comes as an event.
    NotInCharge,
}

/// Asks the rows, one answer for each, in order.
pub(crate) async fn close_idle(app: &App, due: &[Due]) -> Result<Vec<Idle>, CallError> {
    let conversations = due.iter().map(|due| IdleConversation {
        account_id: due.account.to_string(),
        conversation_id: due.conversation.to_string(),
        bot_session_id: due.session.to_string(),
    });
    let request = CloseIdleConversationsRequest { conversations: conversations.collect() };
    // One call spans accounts: each conversation names its own.
    let mut client = ConversationServiceClient::new(app.conversation.for_account(AccountId(Uuid::nil())));
    let answer = client.close_idle_conversations(request).await.map_err(refused)?.into_inner();
    if answer.results.len() != due.len() {
        return Err(CallError::Refused(format!("{} results for {} conversations", answer.results.len(), due.len())));
    }
    Ok(answer
        .results
        .iter()
        .map(|result| match (result.outcome(), &result.idle_time) {
            (IdleOutcome::Closed, _) => Idle::Closed,
            (IdleOutcome::VisitorActive, Some(time)) => Idle::ActiveUntil(Time::from_proto(time)),
            _ => Idle::NotInCharge,
        })
        .collect())
}

fn bot(session: &Session) -> Actor {
    Actor { kind: CallerKind::Bot, id: session.bot.to_string() }
}

fn name(reason: Reason) -> &'static str {
    reason.as_str_name().trim_start_matches("REASON_")
}

fn refused(status: Status) -> CallError {
    let over = [Reason::BotSessionNotInCharge, Reason::ConversationClosed, Reason::OwnershipChanged];
    if status.code() == Code::NotFound || over.iter().any(|reason| has_reason(&status, name(*reason))) {
        return CallError::Over;
    }
    let message = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::PermissionDenied
        | Code::AlreadyExists
        | Code::Unimplemented => CallError::Refused(message),
        // What tonic says when a message is longer than its reader takes.
        Code::OutOfRange => CallError::TooLong(message),
        _ => CallError::Unavailable(message),
    }
}
