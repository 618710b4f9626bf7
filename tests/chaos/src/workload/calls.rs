//! The calls of the workload, each insisted on and written down.

use frontdesk_proto::{
    assignment::v1::{
        OwnerKind, TakeOverConversationRequest, TakeOverConversationResponse,
        assignment_service_client::AssignmentServiceClient,
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
    driver::{Driver, Outcome, Somebody, request_id},
};

/// What a watcher of a thread writes down of an entry.
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
        Some(Content::TicketCreated(_)) => digest("ticket_created", ""),
        Some(Content::TranscriptSent(_)) => digest("transcript_sent", ""),
        None => String::new(),
    }
}

/// What a visitor's watcher writes down of a line, in the words of the thread.
pub fn line_digest(line: &ChatEntry) -> String {
    use chat_entry::Content;
    match &line.content {
        Some(Content::Message(message)) => digest("message", &message.text),
        Some(Content::Joined(_)) => digest("assignee_changed", ""),
        Some(Content::Ended(_)) => digest("closed", ""),
        Some(Content::Reopened(_)) => digest("reopened", ""),
        None => String::new(),
    }
}

fn of_line(line: Option<&ChatEntry>) -> Value {
    line.map_or(Value::Null, |line| json!({ "visitor_sequence": line.visitor_sequence, "d": line_digest(line) }))
}

fn of_entry(entry: Option<&Entry>) -> Value {
    entry.map_or(Value::Null, |entry| json!({ "sequence": entry.sequence, "d": entry_digest(entry) }))
}

fn of_conversation(conversation: Option<&Conversation>) -> Value {
    conversation.map_or(Value::Null, |one| {
        json!({ "status": one.status, "epoch": one.epoch, "close_number": one.close_number, "last_sequence": one.last_sequence })
    })
}

impl Driver {
    /// The visitor starts a chat; the text may be empty.
    pub async fn start_chat(&self, visitor: &Somebody, channel: &str, text: &str) -> Outcome<String> {
        let request = StartChatRequest {
            channel_id: channel.to_owned(),
            page_url: "https://shop.example/page".into(),
            page_title: "The page".into(),
            text: text.to_owned(),
            request_id: request_id(),
        };
        let id = request.request_id.clone();
        let given = json!({ "channel": channel, "text": text });
        let tell = |answer: &frontdesk_proto::conversation::v1::StartChatResponse| json!({ "chat": answer.chat.as_ref().map(|chat| &chat.id) });
        let outcome = self
            .insist(visitor, Service::Conversation, ("StartChat", "", &id), given, tell, |to| {
                let request = request.clone();
                async move { VisitorServiceClient::new(to).start_chat(request).await }
            })
            .await;
        map(outcome, |answer| answer.chat.map(|chat| chat.id).unwrap_or_default())
    }

    /// The visitor says something, under this request id.
    pub async fn say_as(&self, visitor: &Somebody, chat: &str, text: &str, id: &str, given: Value) -> Outcome<i64> {
        let request = SendMessageRequest { chat_id: chat.to_owned(), text: text.to_owned(), request_id: id.to_owned() };
        let tell = |answer: &frontdesk_proto::conversation::v1::SendMessageResponse| of_line(answer.entry.as_ref());
        let outcome = self
            .insist(visitor, Service::Conversation, ("SendMessage", chat, id), given, tell, |to| {
                let request = request.clone();
                async move { VisitorServiceClient::new(to).send_message(request).await }
            })
            .await;
        map(outcome, |answer| answer.entry.map(|entry| entry.visitor_sequence).unwrap_or_default())
    }

    /// The visitor says something.
    pub async fn say(&self, visitor: &Somebody, chat: &str, text: &str) -> Outcome<i64> {
        self.say_as(visitor, chat, text, &request_id(), json!({ "text": text })).await
    }

    /// The visitor presses a button of a message.
    pub async fn press(&self, visitor: &Somebody, chat: &str, line: i64, button: &str) -> Outcome<()> {
        let request = ChooseButtonRequest {
            chat_id: chat.to_owned(),
            visitor_sequence: line,
            button_id: button.to_owned(),
            request_id: request_id(),
        };
        let id = request.request_id.clone();
        // The thread shows the label.
        let given = json!({ "text": button.to_uppercase(), "line": line });
        let tell = |answer: &frontdesk_proto::conversation::v1::ChooseButtonResponse| of_line(answer.entry.as_ref());
        let outcome = self
            .insist(visitor, Service::Conversation, ("ChooseButton", chat, &id), given, tell, |to| {
                let request = request.clone();
                async move { VisitorServiceClient::new(to).choose_button(request).await }
            })
            .await;
        map(outcome, |_| ())
    }

    /// An agent posts a message.
    pub async fn post(&self, agent: &Somebody, conversation: &str, text: &str) -> Outcome<i64> {
        let request = PostMessageRequest {
            conversation_id: conversation.to_owned(),
            text: text.to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        let id = request.request_id.clone();
        let tell = |answer: &frontdesk_proto::conversation::v1::PostMessageResponse| of_entry(answer.entry.as_ref());
        let names = ("PostMessage", conversation, id.as_str());
        let outcome = self
            .insist(agent, Service::Conversation, names, json!({ "text": text }), tell, |to| {
                let request = request.clone();
                async move { ThreadServiceClient::new(to).post_message(request).await }
            })
            .await;
        map(outcome, |answer| answer.entry.map(|entry| entry.sequence).unwrap_or_default())
    }

    /// An agent posts a comment.
    pub async fn comment(&self, agent: &Somebody, conversation: &str, text: &str) -> Outcome<()> {
        let request = PostCommentRequest {
            conversation_id: conversation.to_owned(),
            text: text.to_owned(),
            request_id: request_id(),
        };
        let id = request.request_id.clone();
        let tell = |answer: &frontdesk_proto::conversation::v1::PostCommentResponse| of_entry(answer.entry.as_ref());
        let names = ("PostComment", conversation, id.as_str());
        let outcome = self
            .insist(agent, Service::Conversation, names, json!({ "text": text }), tell, |to| {
                let request = request.clone();
                async move { ThreadServiceClient::new(to).post_comment(request).await }
            })
            .await;
        map(outcome, |_| ())
    }

    /// An agent takes the conversation, at an epoch.
    pub async fn take_over(&self, agent: &Somebody, conversation: &str, epoch: i64) -> Outcome<()> {
        let request = TakeOverConversationRequest {
            conversation_id: conversation.to_owned(),
            expected_epoch: epoch,
            request_id: request_id(),
        };
        let id = request.request_id.clone();
        let tell = |answer: &TakeOverConversationResponse| {
            let stretch = answer.assignment.clone().unwrap_or_default();
            let owner = stretch.owner.unwrap_or_default();
            let kind = match owner.kind() {
                OwnerKind::Agent => "AGENT",
                OwnerKind::Bot => "BOT",
                OwnerKind::Unspecified | OwnerKind::System => "",
            };
            json!({ "epoch": stretch.epoch, "owner": format!("{kind}:{}", owner.id) })
        };
        let names = ("TakeOverConversation", conversation, id.as_str());
        let outcome = self
            .insist(agent, Service::Assignment, names, json!({ "expected_epoch": epoch }), tell, |to| {
                let request = request.clone();
                async move { AssignmentServiceClient::new(to).take_over_conversation(request).await }
            })
            .await;
        map(outcome, |_| ())
    }

    /// An agent closes the conversation.
    pub async fn close(&self, agent: &Somebody, conversation: &str) -> Outcome<()> {
        let request = CloseConversationRequest {
            conversation_id: conversation.to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        let id = request.request_id.clone();
        let tell = |answer: &frontdesk_proto::conversation::v1::CloseConversationResponse| {
            of_conversation(answer.conversation.as_ref())
        };
        let names = ("CloseConversation", conversation, id.as_str());
        let outcome = self
            .insist(agent, Service::Conversation, names, json!({}), tell, |to| {
                let request = request.clone();
                async move { ConversationServiceClient::new(to).close_conversation(request).await }
            })
            .await;
        map(outcome, |_| ())
    }

    /// An agent opens the conversation again.
    pub async fn reopen(&self, agent: &Somebody, conversation: &str) -> Outcome<()> {
        let request = ReopenConversationRequest { conversation_id: conversation.to_owned(), request_id: request_id() };
        let id = request.request_id.clone();
        let tell = |answer: &frontdesk_proto::conversation::v1::ReopenConversationResponse| {
            of_conversation(answer.conversation.as_ref())
        };
        let names = ("ReopenConversation", conversation, id.as_str());
        let outcome = self
            .insist(agent, Service::Conversation, names, json!({}), tell, |to| {
                let request = request.clone();
                async move { ConversationServiceClient::new(to).reopen_conversation(request).await }
            })
            .await;
        map(outcome, |_| ())
    }

    /// An agent makes a ticket of the conversation.
    pub async fn ticket(&self, agent: &Somebody, conversation: &str) -> Outcome<()> {
        let request = CreateTicketRequest {
            conversation_id: conversation.to_owned(),
            subject: "Something to do".into(),
            request_id: request_id(),
            ..Default::default()
        };
        let id = request.request_id.clone();
        let tell = |answer: &frontdesk_proto::conversation::v1::CreateTicketResponse| json!({ "ticket": answer.ticket.as_ref().map(|ticket| &ticket.id) });
        let names = ("CreateTicket", conversation, id.as_str());
        let outcome = self
            .insist(agent, Service::Conversation, names, json!({}), tell, |to| {
                let request = request.clone();
                async move { TicketServiceClient::new(to).create_ticket(request).await }
            })
            .await;
        map(outcome, |_| ())
    }

    /// An agent mails the transcript to the conversation's contact.
    pub async fn send_transcript(&self, agent: &Somebody, conversation: &str, contact: &str) -> Outcome<()> {
        let request = SendTranscriptRequest {
            conversation_id: conversation.to_owned(),
            contact_id: contact.to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        let id = request.request_id.clone();
        let tell = |answer: &frontdesk_proto::notification::v1::SendTranscriptResponse| json!({ "delivery": answer.delivery.as_ref().map(|delivery| &delivery.id) });
        let names = ("SendTranscript", conversation, id.as_str());
        let outcome = self
            .insist(agent, Service::Notification, names, json!({}), tell, |to| {
                let request = request.clone();
                async move { TranscriptServiceClient::new(to).send_transcript(request).await }
            })
            .await;
        map(outcome, |_| ())
    }

    /// The visitor's number of the newest message that offers buttons.
    pub async fn question(&self, agent: &Somebody, conversation: &str) -> Option<i64> {
        let request =
            ListEntriesRequest { conversation_id: conversation.to_owned(), page_size: 1_000, ..Default::default() };
        let names = ("ListEntries", conversation, "");
        let outcome = self
            .insist(
                agent,
                Service::Conversation,
                names,
                Value::Null,
                |_| Value::Null,
                |to| {
                    let request = request.clone();
                    async move { ThreadServiceClient::new(to).list_entries(request).await }
                },
            )
            .await;
        let entries = outcome.ok()?.entries;
        let asks = |entry: &&Entry| matches!(&entry.content, Some(entry::Content::Message(m)) if !m.buttons.is_empty());
        entries.iter().rev().find(asks).map(|entry| entry.visitor_sequence)
    }

    /// The conversation as it is now.
    pub async fn conversation(&self, agent: &Somebody, conversation: &str) -> Option<Conversation> {
        let request = GetConversationRequest { conversation_id: conversation.to_owned() };
        let tell = |answer: &frontdesk_proto::conversation::v1::GetConversationResponse| {
            of_conversation(answer.conversation.as_ref())
        };
        let names = ("GetConversation", conversation, "");
        let outcome = self
            .insist(agent, Service::Conversation, names, Value::Null, tell, |to| {
                let request = request.clone();
                async move { ConversationServiceClient::new(to).get_conversation(request).await }
            })
            .await;
        outcome.ok()?.conversation
    }
}

fn map<T, U>(outcome: Outcome<T>, with: impl FnOnce(T) -> U) -> Outcome<U> {
    match outcome {
        Outcome::Ok(answer) => Outcome::Ok(with(answer)),
        Outcome::Refused(status) => Outcome::Refused(status),
        Outcome::Unknown => Outcome::Unknown,
    }
}
