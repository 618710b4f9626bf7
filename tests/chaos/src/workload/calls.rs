//! The calls of the workload. Each is repeated until its outcome is known, and recorded.

use frontdesk_proto::{
    actor::v1::ActorKind,
    assignment::v1::{
        TakeOverConversationRequest, TakeOverConversationResponse, assignment_service_client::AssignmentServiceClient,
    },
    conversation::v1::{
        ChatEntry, ChooseButtonRequest, CloseConversationRequest, Conversation, CreateTicketRequest, Entry,
        GetConversationRequest, ListEntriesRequest, PostCommentRequest, PostMessageRequest, ReopenConversationRequest,
        SendMessageRequest, StartChatRequest, chat_entry, conversation_service_client::ConversationServiceClient,
        entry, thread_service_client::ThreadServiceClient, ticket_service_client::TicketServiceClient,
        visitor_service_client::VisitorServiceClient,
    },
    notification::v1::{SendTranscriptRequest, transcript_service_client::TranscriptServiceClient},
};
use serde_json::{Value, json};

use crate::{
    checker::digest,
    cluster::Service,
    driver::{Caller, Driver, Outcome, request_id},
};

/// The digest of an entry that a watcher of a thread records.
pub fn entry_digest(entry: &Entry) -> String {
    use entry::Content;
    match &entry.content {
        Some(Content::Message(message)) => digest("message", &message.text),
        Some(Content::Comment(comment)) => digest("comment", &comment.text),
        Some(Content::AssigneeChanged(_)) => digest("assignee_changed", ""),
        Some(Content::HandedOff(_)) => digest("handed_off", ""),
        Some(Content::Closed(_)) => digest("closed", ""),
        Some(Content::Reopened(_)) => digest("reopened", ""),
        Some(Content::ContactLinked(_)) => digest("contact_linked", ""),
        Some(Content::AddressLeft(_)) => digest("address_left", ""),
        Some(Content::VisitorSignedIn(_)) => digest("visitor_signed_in", ""),
        Some(Content::TicketCreated(_)) => digest("ticket_created", ""),
        Some(Content::TicketUpdated(_)) => digest("ticket_updated", ""),
        Some(Content::TranscriptSent(_)) => digest("transcript_sent", ""),
        Some(Content::Erased(_)) => digest("erased", ""),
        Some(Content::ContactErased(_)) => digest("contact_erased", ""),
        None => String::new(),
    }
}

/// The digest of an entry that a visitor's watcher records: the same as of the entry in the thread.
pub fn chat_entry_digest(entry: &ChatEntry) -> String {
    use chat_entry::Content;
    match &entry.content {
        Some(Content::Message(message)) => digest("message", &message.text),
        Some(Content::Joined(_)) => digest("assignee_changed", ""),
        Some(Content::Ended(_)) => digest("closed", ""),
        Some(Content::Reopened(_)) => digest("reopened", ""),
        Some(Content::Erased(_)) => digest("erased", ""),
        None => String::new(),
    }
}

pub(super) fn chat_entry_summary(entry: Option<&ChatEntry>) -> Value {
    entry.map_or(
        Value::Null,
        |entry| json!({ "visitor_sequence": entry.visitor_sequence, "d": chat_entry_digest(entry) }),
    )
}

pub(super) fn entry_summary(entry: Option<&Entry>) -> Value {
    entry.map_or(Value::Null, |entry| json!({ "sequence": entry.sequence, "d": entry_digest(entry) }))
}

fn conversation_summary(conversation: Option<&Conversation>) -> Value {
    conversation.map_or(Value::Null, |one| {
        json!({ "status": one.status, "epoch": one.epoch, "close_number": one.close_number, "last_sequence": one.last_sequence })
    })
}

impl Driver {
    /// Starts a chat as the visitor; the text may be empty.
    pub async fn start_chat(&self, visitor: &Caller, channel_id: &str, text: &str) -> Outcome<String> {
        let request = StartChatRequest {
            channel_id: channel_id.to_owned(),
            page_url: "https://shop.example/page".into(),
            page_title: "The page".into(),
            text: text.to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        let id = request.request_id.clone();
        let arguments = json!({ "channel": channel_id, "text": text });
        let summarize = |response: &frontdesk_proto::conversation::v1::StartChatResponse| json!({ "chat": response.chat.as_ref().map(|chat| &chat.id) });
        let outcome = self
            .call_until_answered(
                visitor,
                Service::Conversation,
                ("StartChat", "", &id),
                arguments,
                summarize,
                |channel| {
                    let request = request.clone();
                    async move { VisitorServiceClient::new(channel).start_chat(request).await }
                },
            )
            .await;
        map(outcome, |response| response.chat.map(|chat| chat.id).unwrap_or_default())
    }

    /// Sends a message as the visitor, with this request id.
    pub async fn send_message_with_id(
        &self,
        visitor: &Caller,
        chat: &str,
        text: &str,
        id: &str,
        arguments: Value,
    ) -> Outcome<i32> {
        let request = SendMessageRequest {
            chat_id: chat.to_owned(),
            text: text.to_owned(),
            request_id: id.to_owned(),
            ..Default::default()
        };
        let summarize = |response: &frontdesk_proto::conversation::v1::SendMessageResponse| {
            chat_entry_summary(response.entry.as_ref())
        };
        let outcome = self
            .call_until_answered(
                visitor,
                Service::Conversation,
                ("SendMessage", chat, id),
                arguments,
                summarize,
                |channel| {
                    let request = request.clone();
                    async move { VisitorServiceClient::new(channel).send_message(request).await }
                },
            )
            .await;
        map(outcome, |response| response.entry.map(|entry| entry.visitor_sequence).unwrap_or_default())
    }

    /// Sends a message as the visitor.
    pub async fn send_message(&self, visitor: &Caller, chat: &str, text: &str) -> Outcome<i32> {
        self.send_message_with_id(visitor, chat, text, &request_id(), json!({ "text": text })).await
    }

    /// Chooses a button of a message as the visitor.
    pub async fn choose_button(
        &self,
        visitor: &Caller,
        chat: &str,
        visitor_sequence: i32,
        button: &str,
    ) -> Outcome<()> {
        let request = ChooseButtonRequest {
            chat_id: chat.to_owned(),
            visitor_sequence,
            button_id: button.to_owned(),
            request_id: request_id(),
        };
        let id = request.request_id.clone();
        // The entry in the thread has the label of the button as its text.
        let arguments = json!({ "text": button.to_uppercase(), "visitor_sequence": visitor_sequence });
        let summarize = |response: &frontdesk_proto::conversation::v1::ChooseButtonResponse| {
            chat_entry_summary(response.entry.as_ref())
        };
        let outcome = self
            .call_until_answered(
                visitor,
                Service::Conversation,
                ("ChooseButton", chat, &id),
                arguments,
                summarize,
                |channel| {
                    let request = request.clone();
                    async move { VisitorServiceClient::new(channel).choose_button(request).await }
                },
            )
            .await;
        map(outcome, |_| ())
    }

    /// Posts a message as an agent.
    pub async fn post_message(&self, agent: &Caller, conversation: &str, text: &str) -> Outcome<i32> {
        let request = PostMessageRequest {
            conversation_id: conversation.to_owned(),
            text: text.to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        let id = request.request_id.clone();
        let summarize =
            |response: &frontdesk_proto::conversation::v1::PostMessageResponse| entry_summary(response.entry.as_ref());
        let call = ("PostMessage", conversation, id.as_str());
        let outcome = self
            .call_until_answered(agent, Service::Conversation, call, json!({ "text": text }), summarize, |channel| {
                let request = request.clone();
                async move { ThreadServiceClient::new(channel).post_message(request).await }
            })
            .await;
        map(outcome, |response| response.entry.map(|entry| entry.sequence).unwrap_or_default())
    }

    /// Posts a comment as an agent.
    pub async fn post_comment(&self, agent: &Caller, conversation: &str, text: &str) -> Outcome<()> {
        let request = PostCommentRequest {
            conversation_id: conversation.to_owned(),
            text: text.to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        let id = request.request_id.clone();
        let summarize =
            |response: &frontdesk_proto::conversation::v1::PostCommentResponse| entry_summary(response.entry.as_ref());
        let call = ("PostComment", conversation, id.as_str());
        let outcome = self
            .call_until_answered(agent, Service::Conversation, call, json!({ "text": text }), summarize, |channel| {
                let request = request.clone();
                async move { ThreadServiceClient::new(channel).post_comment(request).await }
            })
            .await;
        map(outcome, |_| ())
    }

    /// Takes the conversation over as an agent, at an epoch.
    pub async fn take_over(&self, agent: &Caller, conversation: &str, epoch: i32) -> Outcome<()> {
        let request = TakeOverConversationRequest {
            conversation_id: conversation.to_owned(),
            expected_epoch: epoch,
            request_id: request_id(),
        };
        let id = request.request_id.clone();
        let summarize = |response: &TakeOverConversationResponse| {
            let assignment = response.assignment.clone().unwrap_or_default();
            let owner = assignment.owner.unwrap_or_default();
            let kind = match owner.kind() {
                ActorKind::Agent => "AGENT",
                ActorKind::Bot => "BOT",
                ActorKind::Unspecified | ActorKind::Visitor | ActorKind::System | ActorKind::Admin => "",
            };
            json!({ "epoch": assignment.epoch, "owner": format!("{kind}:{}", owner.id) })
        };
        let call = ("TakeOverConversation", conversation, id.as_str());
        let outcome = self
            .call_until_answered(
                agent,
                Service::Assignment,
                call,
                json!({ "expected_epoch": epoch }),
                summarize,
                |channel| {
                    let request = request.clone();
                    async move { AssignmentServiceClient::new(channel).take_over_conversation(request).await }
                },
            )
            .await;
        map(outcome, |_| ())
    }

    /// Closes the conversation as an agent.
    pub async fn close_conversation(&self, agent: &Caller, conversation: &str) -> Outcome<()> {
        let request = CloseConversationRequest {
            conversation_id: conversation.to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        let id = request.request_id.clone();
        let summarize = |response: &frontdesk_proto::conversation::v1::CloseConversationResponse| {
            conversation_summary(response.conversation.as_ref())
        };
        let call = ("CloseConversation", conversation, id.as_str());
        let outcome = self
            .call_until_answered(agent, Service::Conversation, call, json!({}), summarize, |channel| {
                let request = request.clone();
                async move { ConversationServiceClient::new(channel).close_conversation(request).await }
            })
            .await;
        map(outcome, |_| ())
    }

    /// Reopens the conversation as an agent.
    pub async fn reopen_conversation(&self, agent: &Caller, conversation: &str) -> Outcome<()> {
        let request = ReopenConversationRequest { conversation_id: conversation.to_owned(), request_id: request_id() };
        let id = request.request_id.clone();
        let summarize = |response: &frontdesk_proto::conversation::v1::ReopenConversationResponse| {
            conversation_summary(response.conversation.as_ref())
        };
        let call = ("ReopenConversation", conversation, id.as_str());
        let outcome = self
            .call_until_answered(agent, Service::Conversation, call, json!({}), summarize, |channel| {
                let request = request.clone();
                async move { ConversationServiceClient::new(channel).reopen_conversation(request).await }
            })
            .await;
        map(outcome, |_| ())
    }

    /// Creates a ticket for the conversation as an agent.
    pub async fn create_ticket(&self, agent: &Caller, conversation: &str) -> Outcome<()> {
        let request = CreateTicketRequest {
            conversation_id: conversation.to_owned(),
            subject: "Follow up".into(),
            request_id: request_id(),
            ..Default::default()
        };
        let id = request.request_id.clone();
        let summarize = |response: &frontdesk_proto::conversation::v1::CreateTicketResponse| json!({ "ticket": response.ticket.as_ref().map(|ticket| &ticket.id) });
        let call = ("CreateTicket", conversation, id.as_str());
        let outcome = self
            .call_until_answered(agent, Service::Conversation, call, json!({}), summarize, |channel| {
                let request = request.clone();
                async move { TicketServiceClient::new(channel).create_ticket(request).await }
            })
            .await;
        map(outcome, |_| ())
    }

    /// Mails the transcript to the conversation's contact as an agent.
    pub async fn send_transcript(&self, agent: &Caller, conversation: &str, contact: &str) -> Outcome<()> {
        let request = SendTranscriptRequest {
            conversation_id: conversation.to_owned(),
            contact_id: contact.to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        let id = request.request_id.clone();
        let summarize = |response: &frontdesk_proto::notification::v1::SendTranscriptResponse| json!({ "delivery": response.delivery.as_ref().map(|delivery| &delivery.id) });
        let call = ("SendTranscript", conversation, id.as_str());
        let outcome = self
            .call_until_answered(agent, Service::Notification, call, json!({}), summarize, |channel| {
                let request = request.clone();
                async move { TranscriptServiceClient::new(channel).send_transcript(request).await }
            })
            .await;
        map(outcome, |_| ())
    }

    /// Visitor sequence of the newest message with buttons.
    pub async fn find_buttons(&self, agent: &Caller, conversation: &str) -> Option<i32> {
        let request =
            ListEntriesRequest { conversation_id: conversation.to_owned(), page_size: 1_000, ..Default::default() };
        let call = ("ListEntries", conversation, "");
        let outcome = self
            .call_until_answered(
                agent,
                Service::Conversation,
                call,
                Value::Null,
                |_| Value::Null,
                |channel| {
                    let request = request.clone();
                    async move { ThreadServiceClient::new(channel).list_entries(request).await }
                },
            )
            .await;
        let entries = outcome.ok()?.entries;
        let has_buttons =
            |entry: &&Entry| matches!(&entry.content, Some(entry::Content::Message(m)) if !m.buttons.is_empty());
        entries.iter().rev().find(has_buttons).map(|entry| entry.visitor_sequence)
    }

    /// Reads the conversation.
    pub async fn get_conversation(&self, agent: &Caller, conversation: &str) -> Option<Conversation> {
        let request = GetConversationRequest { conversation_id: conversation.to_owned() };
        let summarize = |response: &frontdesk_proto::conversation::v1::GetConversationResponse| {
            conversation_summary(response.conversation.as_ref())
        };
        let call = ("GetConversation", conversation, "");
        let outcome = self
            .call_until_answered(agent, Service::Conversation, call, Value::Null, summarize, |channel| {
                let request = request.clone();
                async move { ConversationServiceClient::new(channel).get_conversation(request).await }
            })
            .await;
        outcome.ok()?.conversation
    }
}

pub(super) fn map<T, U>(outcome: Outcome<T>, with: impl FnOnce(T) -> U) -> Outcome<U> {
    match outcome {
        Outcome::Ok(response) => Outcome::Ok(with(response)),
        Outcome::Refused(status) => Outcome::Refused(status),
        Outcome::Unknown => Outcome::Unknown,
    }
}
