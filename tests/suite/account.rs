//! Accounts, their callers, and the calls that most tests begin with.

use std::time::Duration;

use frontdesk::ServerChannel;
use frontdesk_auth::{CallerKind, Claims, DevelopmentKey};
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{CreateAgentRequest, roster_service_client::RosterServiceClient},
    botsession::v1::{
        AskStep, Bot, ButtonsStep, CloseStep, CreateBotRequest, Flow, FlowButton, HandOffStep, SayStep, Step,
        bot_service_client::BotServiceClient, step::Action,
    },
    conversation::v1::{
        AnonymousVisitors, ChatEntry, Conversation, ConversationStatus, CreateAnonymousVisitorRequest,
        CreateChannelRequest, Entry, GetConversationRequest, ListEntriesRequest, NoGreeter, PostMessageRequest,
        SendMessageRequest, StartChatRequest, UpdateChannelRequest, WatchChatRequest,
        channel_service_client::ChannelServiceClient, conversation_service_client::ConversationServiceClient,
        create_channel_request::Greeter, thread_service_client::ThreadServiceClient, update_channel_request::Anonymous,
        visitor_service_client::VisitorServiceClient,
    },
    dev::v1::{ListMailsRequest, Mail, mailbox_service_client::MailboxServiceClient},
    notification::v1::{
        CreateSenderRequest, ExplainTranscriptRequest, ExplainTranscriptResponse, SetFallbackSenderRequest,
        VerifySenderRequest, sender_service_client::SenderServiceClient,
        transcript_service_client::TranscriptServiceClient,
    },
};
use frontdesk_testkit::{BearerToken, new_id, request_id, wait_for};
use tonic::{Code, Status, service::interceptor::InterceptedService};
use uuid::Uuid;

use crate::next_chat_entry;

/// How long [`Chat::until`] watches before the test fails.
const WATCH_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the tokens of callers are valid.
const TOKEN_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// A connection that sends the token of one caller.
pub type As = InterceptedService<ServerChannel, BearerToken>;

/// An account on a suite.
#[derive(Clone)]
pub struct Account {
    /// Connection without a token.
    pub channel: ServerChannel,
    /// Key that signs the suite's tokens.
    pub keys: DevelopmentKey,
    /// Id of the account.
    pub id: AccountId,
}

/// A visitor and their chat.
#[derive(Clone)]
pub struct Chat {
    /// The visitor's connection.
    pub visitor: As,
    /// Id of the chat, which is that of the conversation.
    pub id: String,
}

/// The current ownership epoch of the conversation.
pub async fn epoch_of(agent: &As, conversation: &str) -> i32 {
    Account::conversation(agent, conversation).await.epoch
}

/// The code of eight digits in the plain text of a mail.
pub fn code_in(mail: &[u8]) -> String {
    let parsed = mail_parser::MessageParser::default().parse(mail).expect("a mail");
    let text = parsed.body_text(0).expect("a text");
    let mut words = text.split_whitespace();
    words.find(|word| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit())).expect("a code").to_owned()
}

impl Account {
    /// An account on the suite at `address`. Connects at the first call, and again after a restart of the suite.
    pub async fn open(address: &str, keys: &DevelopmentKey, id: Uuid) -> Self {
        Self::on(ServerChannel::at(address).expect("an address"), keys, id)
    }

    /// An account on the suite behind this channel.
    pub fn on(channel: ServerChannel, keys: &DevelopmentKey, id: Uuid) -> Self {
        Self { channel, keys: keys.clone(), id: AccountId(id) }
    }

    /// A caller without a token.
    pub fn without_token(&self) -> As {
        InterceptedService::new(self.channel.clone(), BearerToken::none())
    }

    /// A caller with this token.
    pub fn with_token(&self, token: &str) -> As {
        InterceptedService::new(self.channel.clone(), BearerToken::new(token))
    }

    /// A caller with a token whose default claims `change` has edited.
    pub fn with_claims(&self, kind: CallerKind, subject: &str, change: impl FnOnce(&mut Claims)) -> As {
        let mut claims = self.keys.claims(self.id, kind, subject, TOKEN_LIFETIME);
        change(&mut claims);
        self.with_token(&self.keys.mint(&claims).expect("a token"))
    }

    /// The administrator of the account.
    pub fn admin(&self) -> As {
        self.with_claims(CallerKind::Admin, "administrator", |_| {})
    }

    /// A visitor.
    pub fn visitor(&self, id: &str) -> As {
        self.with_claims(CallerKind::Visitor, id, |_| {})
    }

    /// Gives the channel anonymous visitors; returns the token of a new one.
    pub async fn anonymous_visitor(&self, channel: &str) -> String {
        let open = UpdateChannelRequest {
            channel_id: channel.to_owned(),
            anonymous: Some(Anonymous::AnonymousVisitors(AnonymousVisitors::default())),
            ..Default::default()
        };
        let channel = ChannelServiceClient::new(self.admin()).update_channel(open).await.expect("an update");
        let token = channel.into_inner().channel.expect("a channel").widget_token;
        let mut widget = VisitorServiceClient::new(self.with_token(&token));
        let created = widget.create_anonymous_visitor(CreateAnonymousVisitorRequest::default()).await;
        created.expect("an anonymous visitor").into_inner().visitor_token
    }

    /// A visitor whose token states their mail address.
    pub fn known_visitor(&self, id: &str, email: &str) -> As {
        self.with_claims(CallerKind::Visitor, id, |claims| claims.email = Some(email.to_owned()))
    }

    /// Adds an agent to the roster; returns their id and connection.
    pub async fn agent(&self, name: &str) -> (Uuid, As) {
        let id = new_id();
        let agent = CreateAgentRequest {
            agent_id: id.to_string(),
            name: name.to_owned(),
            handle: format!("a{}", id.simple()),
            request_id: request_id(),
            ..Default::default()
        };
        RosterServiceClient::new(self.admin()).create_agent(agent).await.expect("an agent");
        (id, self.with_claims(CallerKind::Agent, &id.to_string(), |claims| claims.name = Some(name.to_owned())))
    }

    /// Creates a bot that says hello, asks for a mail address and offers two buttons: hand over to people, or close.
    pub async fn bot(&self) -> Bot {
        let button =
            |id: &str, next: &str| FlowButton { id: id.into(), label: id.to_uppercase(), next_step_id: next.into() };
        let step = |id: &str, action| Step { id: id.into(), action: Some(action), ..Default::default() };
        let buttons = vec![button("people", "people"), button("bye", "bye")];
        let topic = ButtonsStep { text: "Which?".into(), buttons, ..Default::default() };
        let steps = vec![
            step("hello", Action::Say(SayStep { text: "Hello!".into(), ..Default::default() })),
            step(
                "address",
                Action::Ask(AskStep { text: "Your address?".into(), property: "email".into(), ..Default::default() }),
            ),
            step("topic", Action::Buttons(topic)),
            step(
                "people",
                Action::HandOff(HandOffStep {
                    text: "A colleague comes.".into(),
                    reason: "asked for people".into(),
                    ..Default::default()
                }),
            ),
            step("bye", Action::Close(CloseStep { text: "Goodbye!".into() })),
        ];
        let bot = CreateBotRequest {
            name: "Robin".into(),
            flow: Some(Flow { steps }),
            request_id: request_id(),
            ..Default::default()
        };
        BotServiceClient::new(self.admin()).create_bot(bot).await.expect("a bot").into_inner().bot.expect("a bot")
    }

    /// Creates a channel that the bot greets on; without a bot, one that waits for agents.
    pub async fn channel(&self, bot: Option<&Bot>) -> String {
        let greeter = bot.map_or(Greeter::NoGreeter(NoGreeter {}), |bot| Greeter::BotId(bot.id.clone()));
        let channel = CreateChannelRequest {
            name: "Shop".into(),
            website_url: "https://shop.example".into(),
            greeter: Some(greeter),
            request_id: request_id(),
            ..Default::default()
        };
        let mut channels = ChannelServiceClient::new(self.admin());
        channels.create_channel(channel).await.expect("a channel").into_inner().channel.expect("a channel").id
    }

    /// Creates a sender address, verifies it with the code mailed to it and makes it the account's fallback.
    pub async fn fallback_sender(&self) -> String {
        let address = format!("s{}@shop.example", new_id().simple());
        let mut senders = SenderServiceClient::new(self.admin());
        let sender =
            CreateSenderRequest { email: address.clone(), display_name: "Shop".into(), request_id: request_id() };
        let sender = senders.create_sender(sender).await.expect("a sender").into_inner().sender.expect("a sender");
        let mail = wait_for("the code", || async { self.mails(&address).await.pop() }).await;
        let code = code_in(&mail.content);
        senders.verify_sender(VerifySenderRequest { sender_id: sender.id.clone(), code }).await.expect("verified");
        senders.set_fallback_sender(SetFallbackSenderRequest { sender_id: sender.id }).await.expect("a fallback");
        address
    }

    /// The newest mails to an address in the mailbox folder, newest first.
    pub async fn mails(&self, recipient: &str) -> Vec<Mail> {
        let request = ListMailsRequest { recipient_email: recipient.to_owned(), ..Default::default() };
        MailboxServiceClient::new(self.admin()).list_mails(request).await.expect("mails").into_inner().mails
    }

    /// Starts a chat of the visitor on the channel.
    pub async fn start_chat(&self, visitor: As, channel: &str) -> Chat {
        let request = StartChatRequest {
            channel_id: channel.to_owned(),
            page_url: "https://shop.example/page".into(),
            page_title: "The page".into(),
            request_id: request_id(),
            ..Default::default()
        };
        let chat =
            VisitorServiceClient::new(visitor.clone()).start_chat(request).await.expect("a chat").into_inner().chat;
        Chat { visitor, id: chat.expect("a chat").id }
    }

    /// Starts a chat that the bot's timeout closes after the next move of the clock: the control beside a chat that
    /// must stay open. Once it is closed ([`Account::until_closed`]), every timeout that was due before it has been
    /// handled.
    pub async fn idle_chat(&self, channel: &str) -> Chat {
        let chat = self.start_chat(self.visitor(&request_id()), channel).await;
        chat.until_text("Your address?").await;
        chat
    }

    /// Waits until the conversation is closed.
    pub async fn until_closed(agent: &As, id: &str) {
        wait_for("the close", || async {
            (Self::conversation(agent, id).await.status() == ConversationStatus::Closed).then_some(())
        })
        .await;
    }

    /// The conversation, as an agent sees it.
    pub async fn conversation(agent: &As, id: &str) -> Conversation {
        let request = GetConversationRequest { conversation_id: id.to_owned() };
        let answer =
            ConversationServiceClient::new(agent.clone()).get_conversation(request).await.expect("a conversation");
        answer.into_inner().conversation.expect("a conversation")
    }

    /// The whole thread, as an agent sees it, oldest entry first.
    pub async fn thread(agent: &As, id: &str) -> Vec<Entry> {
        let request = ListEntriesRequest { conversation_id: id.to_owned(), page_size: 1_000, ..Default::default() };
        ThreadServiceClient::new(agent.clone()).list_entries(request).await.expect("a thread").into_inner().entries
    }

    /// The transcript decision of a close (0: the last one), once it is made.
    pub async fn explained(agent: &As, id: &str, close_number: i32) -> ExplainTranscriptResponse {
        wait_for("the decision", || async {
            let request =
                ExplainTranscriptRequest { conversation_id: id.to_owned(), close_number, ..Default::default() };
            match TranscriptServiceClient::new(agent.clone()).explain_transcript(request).await {
                Ok(answer) => Some(answer.into_inner()),
                Err(status) if status.code() == Code::NotFound => None,
                Err(status) => panic!("{status}"),
            }
        })
        .await
    }
}

impl Chat {
    /// Sends a message of the visitor.
    pub async fn say(&self, text: &str) -> Result<ChatEntry, Status> {
        let request = SendMessageRequest {
            chat_id: self.id.clone(),
            text: text.to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        let answer = VisitorServiceClient::new(self.visitor.clone()).send_message(request).await?;
        Ok(answer.into_inner().entry.expect("an entry"))
    }

    /// Posts a message of an agent in the chat.
    pub async fn reply(&self, agent: &As) -> Result<(), Status> {
        let message = PostMessageRequest {
            conversation_id: self.id.clone(),
            text: "hello".into(),
            request_id: request_id(),
            ..Default::default()
        };
        ThreadServiceClient::new(agent.clone()).post_message(message).await.map(drop)
    }

    /// Watches the chat as the visitor until `found` accepts an entry; returns every entry up to that one.
    pub async fn until(&self, what: &str, found: impl Fn(&ChatEntry) -> bool) -> Vec<ChatEntry> {
        let request = WatchChatRequest { chat_id: self.id.clone(), after_visitor_sequence: 0 };
        let mut stream =
            VisitorServiceClient::new(self.visitor.clone()).watch_chat(request).await.expect("a stream").into_inner();
        let mut entries = Vec::new();
        let reading = async {
            loop {
                entries.push(next_chat_entry(&mut stream).await.expect("a response").expect("an open stream"));
                if entries.last().is_some_and(&found) {
                    return;
                }
            }
        };
        tokio::time::timeout(WATCH_TIMEOUT, reading).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
        entries
    }

    /// The text of an entry; empty unless the entry is a message.
    pub fn text(entry: &ChatEntry) -> &str {
        use frontdesk_proto::conversation::v1::chat_entry::Content;
        match &entry.content {
            Some(Content::Message(message)) => &message.text,
            _ => "",
        }
    }

    /// Waits for a message that contains `part`.
    pub async fn until_text(&self, part: &str) -> Vec<ChatEntry> {
        self.until(part, |entry| Self::text(entry).contains(part)).await
    }
}
