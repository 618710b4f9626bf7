//! The calls of people, recorded as the checker reads them.

use std::panic::AssertUnwindSafe;

use frontdesk_auth::CallerKind;
use frontdesk_chaos::{
    driver::classify,
    history::{Details, Kind, Record},
};
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{TakeOverConversationRequest, assignment_service_client::AssignmentServiceClient},
    conversation::v1::{
        CloseConversationRequest, PostMessageRequest, ReopenConversationRequest, SendMessageRequest, StartChatRequest,
        conversation_service_client::ConversationServiceClient, thread_service_client::ThreadServiceClient,
        visitor_service_client::VisitorServiceClient,
    },
};
use futures::FutureExt;
use serde_json::{Value, json};
use tonic::{Response, Status};

use crate::world::World;

/// What a person wants.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Start { visitor: String, channel: String, text: String },
    Send { visitor: String, chat: String, text: String },
    Reply { agent: String, chat: String, text: String },
    TakeOver { agent: String, chat: String, epoch: i32 },
    Close { agent: String, chat: String },
    Reopen { agent: String, chat: String },
}

/// A command with its request id. It may be repeated, as after a lost answer.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) number: u64,
    /// Number of attempts, with the next one.
    pub(crate) attempt: u32,
    pub(crate) command: Command,
}

/// What the records of an attempt share.
struct Call<'a> {
    operation: &'a Operation,
    name: &'static str,
    actor: String,
    /// Id of the conversation. Empty: the caller does not know it yet.
    chat: &'a str,
    arguments: Value,
}

impl Operation {
    fn request_id(&self) -> String {
        format!("op-{}", self.number)
    }
}

impl World {
    /// Makes an attempt. Returns a summary of the answer, or of the refusal.
    pub(crate) async fn attempt(&mut self, operation: &Operation) -> Result<Value, String> {
        let request_id = operation.request_id();
        match &operation.command {
            Command::Start { visitor, channel, text } => {
                let request = StartChatRequest {
                    channel_id: channel.clone(),
                    page_url: "https://shop.example/page".into(),
                    page_title: "The page".into(),
                    text: text.clone(),
                    request_id,
                    ..Default::default()
                };
                let mut client = VisitorServiceClient::new(self.calls(CallerKind::Visitor, visitor));
                let call = Call::new(operation, "StartChat", CallerKind::Visitor, visitor, "", json!({ "text": text }));
                self.record(
                    call,
                    client.start_chat(request),
                    |answer| json!({ "chat": answer.chat.as_ref().map(|chat| &chat.id) }),
                )
                .await
            }
            Command::Send { visitor, chat, text } => {
                let (chat_id, text) = (chat.clone(), text.clone());
                let arguments = json!({ "text": text });
                let request = SendMessageRequest { chat_id, text, request_id, ..Default::default() };
                let mut client = VisitorServiceClient::new(self.calls(CallerKind::Visitor, visitor));
                let call = Call::new(operation, "SendMessage", CallerKind::Visitor, visitor, chat, arguments);
                self.record(
                    call,
                    client.send_message(request),
                    |answer| json!({ "visitor_sequence": answer.entry.as_ref().map(|entry| entry.visitor_sequence) }),
                )
                .await
            }
            Command::Reply { agent, chat, text } => {
                let (conversation_id, text) = (chat.clone(), text.clone());
                let arguments = json!({ "text": text });
                let request = PostMessageRequest { conversation_id, text, request_id, ..Default::default() };
                let mut client = ThreadServiceClient::new(self.calls(CallerKind::Agent, agent));
                let call = Call::new(operation, "PostMessage", CallerKind::Agent, agent, chat, arguments);
                self.record(
                    call,
                    client.post_message(request),
                    |answer| json!({ "sequence": answer.entry.as_ref().map(|entry| entry.sequence) }),
                )
                .await
            }
            Command::TakeOver { agent, chat, epoch } => {
                let arguments = json!({ "expected_epoch": epoch });
                let request =
                    TakeOverConversationRequest { conversation_id: chat.clone(), expected_epoch: *epoch, request_id };
                let mut client = AssignmentServiceClient::new(self.calls(CallerKind::Agent, agent));
                let call = Call::new(operation, "TakeOverConversation", CallerKind::Agent, agent, chat, arguments);
                self.record(call, client.take_over_conversation(request), |answer| {
                    let assignment = answer.assignment.clone().unwrap_or_default();
                    json!({ "epoch": assignment.epoch, "owner": assignment.owner.map(owner) })
                })
                .await
            }
            Command::Close { agent, chat } => {
                let conversation_id = chat.clone();
                let request = CloseConversationRequest { conversation_id, request_id, ..Default::default() };
                let mut client = ConversationServiceClient::new(self.calls(CallerKind::Agent, agent));
                let call = Call::new(operation, "CloseConversation", CallerKind::Agent, agent, chat, json!({}));
                self.record(call, client.close_conversation(request), |_| json!({})).await
            }
            Command::Reopen { agent, chat } => {
                let request = ReopenConversationRequest { conversation_id: chat.clone(), request_id };
                let mut client = ConversationServiceClient::new(self.calls(CallerKind::Agent, agent));
                let call = Call::new(operation, "ReopenConversation", CallerKind::Agent, agent, chat, json!({}));
                self.record(call, client.reopen_conversation(request), |_| json!({})).await
            }
        }
    }

    async fn record<T>(
        &mut self,
        call: Call<'_>,
        answer: impl Future<Output = Result<Response<T>, Status>>,
        summarize: impl Fn(&T) -> Value,
    ) -> Result<Value, String> {
        self.write(&call, Kind::Invoke, Details { arguments: call.arguments.clone(), ..Details::default() });
        let answer = AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
            self.panics.push(format!("{} panicked", call.name));
            Err(Status::unknown("a panic"))
        });
        match answer {
            Ok(response) => {
                let response = summarize(response.get_ref());
                let details = Details { response: response.clone(), code: "OK".into(), ..Details::default() };
                self.write(&call, Kind::Ok, details);
                Ok(response)
            }
            Err(status) => {
                let (kind, details) = classify(&status);
                let refusal = format!("{} {}", details.code, details.reason);
                self.write(&call, kind, details);
                Err(refusal)
            }
        }
    }

    fn write(&mut self, call: &Call<'_>, kind: Kind, details: Details) {
        let number = self.history.len() as u64;
        self.history.push(Record {
            n: number,
            // One call ends before the next one begins.
            at: number,
            kind,
            op: call.operation.number,
            attempt: call.operation.attempt,
            call: call.name.to_owned(),
            account: self.setup.account.to_string(),
            actor: call.actor.clone(),
            key: call.chat.to_owned(),
            request_id: call.operation.request_id(),
            arguments: details.arguments,
            response: details.response,
            code: details.code,
            reason: details.reason,
        });
    }
}

impl<'a> Call<'a> {
    fn new(
        operation: &'a Operation,
        name: &'static str,
        kind: CallerKind,
        id: &str,
        chat: &'a str,
        arguments: Value,
    ) -> Self {
        Self { operation, name, actor: format!("{}:{id}", kind.as_str()), chat, arguments }
    }
}

/// An owner as the checker writes it.
fn owner(owner: Actor) -> String {
    match owner.kind() {
        ActorKind::Agent => format!("AGENT:{}", owner.id),
        ActorKind::Bot => format!("BOT:{}", owner.id),
        ActorKind::Unspecified | ActorKind::Visitor | ActorKind::System | ActorKind::Admin => format!(":{}", owner.id),
    }
}
