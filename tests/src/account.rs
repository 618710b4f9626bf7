//! Accounts, their callers, and the calls that most tests begin with.

use std::{future::Future, time::Duration};

use frontdesk::SuiteChannel;
use frontdesk_auth::{CallerKind, Claims, DevelopmentKey};
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{CreateAgentRequest, roster_service_client::RosterServiceClient},
    botsession::v1::{
        AskStep, Bot, ButtonsStep, CreateBotRequest, Flow, FlowButton, HandOffStep, SayStep, Step,
        bot_service_client::BotServiceClient,
    },
    conversation::v1::{
        ChatEntry, Conversation, CreateChannelRequest, Entry, GetConversationRequest, Greeter, ListEntriesRequest,
        SendMessageRequest, StartChatRequest, WatchChatRequest, channel_service_client::ChannelServiceClient,
        conversation_service_client::ConversationServiceClient, thread_service_client::ThreadServiceClient,
        visitor_service_client::VisitorServiceClient,
    },
    dev::v1::{ListMailsRequest, Mail, mailbox_service_client::MailboxServiceClient},
    notification::v1::{
        CreateSenderRequest, ExplainTranscriptRequest, ExplainTranscriptResponse, SetFallbackSenderRequest,
        VerifySenderRequest, sender_service_client::SenderServiceClient,
        transcript_service_client::TranscriptServiceClient,
    },
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
};
use tonic_types::StatusExt;
use uuid::Uuid;

/// A connection that sends somebody's token.
pub type As = InterceptedService<SuiteChannel, Callers>;

/// Adds a token to each call.
#[derive(Clone)]
pub struct Callers(Option<MetadataValue<Ascii>>);

impl Interceptor for Callers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// An account on a suite.
#[derive(Clone)]
pub struct Account {
    /// The connection, without a token.
    pub channel: SuiteChannel,
    /// The suite's key.
    pub keys: DevelopmentKey,
    /// The account.
    pub id: AccountId,
}

/// A visitor and their chat.
#[derive(Clone)]
pub struct Chat {
    /// The visitor.
    pub visitor: As,
    /// The chat, which is the conversation.
    pub id: String,
}

/// A request id of its own.
pub fn request_id() -> String {
    frontdesk_clock::testing::new_id().to_string()
}

/// The reason in a refusal.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// Asks until there is an answer, for at most 20 seconds.
pub async fn wait_for<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// The ownership epoch of the conversation now.
pub async fn epoch_of(agent: &As, conversation: &str) -> i64 {
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
    /// An account on the suite at `address`; connects at the first call, and again after a restart.
    pub async fn open(address: &str, keys: &DevelopmentKey, id: Uuid) -> Self {
        Self::on(SuiteChannel::at(address).expect("an address"), keys, id)
    }

    /// An account on the suite that this channel leads to.
    pub fn on(channel: SuiteChannel, keys: &DevelopmentKey, id: Uuid) -> Self {
        Self { channel, keys: keys.clone(), id: AccountId(id) }
    }

    /// Without a token.
    pub fn nobody(&self) -> As {
        InterceptedService::new(self.channel.clone(), Callers(None))
    }

    /// With this token.
    pub fn with_token(&self, token: &str) -> As {
        let bearer = format!("Bearer {token}").parse().expect("a token that is metadata");
        InterceptedService::new(self.channel.clone(), Callers(Some(bearer)))
    }

    /// With a token that says what `change` makes of the usual claims.
    pub fn with_claims(&self, kind: CallerKind, subject: &str, change: impl FnOnce(&mut Claims)) -> As {
        let mut claims = self.keys.claims(self.id, kind, subject, Duration::from_secs(14 * 24 * 3600));
        change(&mut claims);
        self.with_token(&self.keys.mint(&claims).expect("a token"))
    }

    /// The administrator.
    pub fn admin(&self) -> As {
        self.with_claims(CallerKind::Admin, "administrator", |_| {})
    }

    /// A visitor.
    pub fn visitor(&self, id: &str) -> As {
        self.with_claims(CallerKind::Visitor, id, |_| {})
    }

    /// A visitor whose address the token vouches for.
    pub fn known_visitor(&self, id: &str, email: &str) -> As {
        self.with_claims(CallerKind::Visitor, id, |claims| claims.email = Some(email.to_owned()))
    }

    /// An agent who is on the roster: their id and connection.
    pub async fn agent(&self, name: &str) -> (Uuid, As) {
        let id = frontdesk_clock::testing::new_id();
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

    /// A bot that says hello, asks for an address, offers buttons.
    pub async fn bot(&self) -> Bot {
        let button =
            |id: &str, next: &str| FlowButton { id: id.into(), label: id.to_uppercase(), next_step_id: next.into() };
        let steps = vec![
            Step { id: "hello".into(), say: Some(SayStep { text: "Hello!".into() }), ..Default::default() },
            Step {
                id: "address".into(),
                ask: Some(AskStep { text: "Your address?".into(), property: "email".into(), ..Default::default() }),
                ..Default::default()
            },
            Step {
                id: "topic".into(),
                buttons: Some(ButtonsStep {
                    text: "Which?".into(),
                    buttons: vec![button("people", "people"), button("bye", "bye")],
                }),
                ..Default::default()
            },
            Step {
                id: "people".into(),
                hand_off: Some(HandOffStep {
                    text: "A colleague comes.".into(),
                    reason: "asked for people".into(),
                    ..Default::default()
                }),
                ..Default::default()
            },
            Step {
                id: "bye".into(),
                close: Some(frontdesk_proto::botsession::v1::CloseStep { text: "Goodbye!".into() }),
                ..Default::default()
            },
        ];
        let bot = CreateBotRequest {
            name: "Robin".into(),
            flow: Some(Flow { steps }),
            request_id: request_id(),
            ..Default::default()
        };
        BotServiceClient::new(self.admin()).create_bot(bot).await.expect("a bot").into_inner().bot.expect("a bot")
    }

    /// A channel that the bot greets on, or nobody.
    pub async fn channel(&self, bot: Option<&Bot>) -> String {
        let greeter = if bot.is_some() { Greeter::Bot } else { Greeter::Nobody };
        let channel = CreateChannelRequest {
            name: "Shop".into(),
            website_url: "https://shop.example".into(),
            greeter: greeter.into(),
            bot_id: bot.map(|bot| bot.id.clone()).unwrap_or_default(),
            request_id: request_id(),
            ..Default::default()
        };
        let mut channels = ChannelServiceClient::new(self.admin());
        channels.create_channel(channel).await.expect("a channel").into_inner().channel.expect("a channel").id
    }

    /// A sender address, verified by the code mailed to it and the account's fallback.
    pub async fn fallback_sender(&self) -> String {
        let address = format!("s{}@shop.example", frontdesk_clock::testing::new_id().simple());
        let mut senders = SenderServiceClient::new(self.admin());
        let sender =
            CreateSenderRequest { address: address.clone(), display_name: "Shop".into(), request_id: request_id() };
        let sender = senders.create_sender(sender).await.expect("a sender").into_inner().sender.expect("a sender");
        let mail = wait_for("the code", || async { self.mails(&address).await.pop() }).await;
        let code = code_in(&mail.content);
        senders.verify_sender(VerifySenderRequest { sender_id: sender.id.clone(), code }).await.expect("verified");
        senders.set_fallback_sender(SetFallbackSenderRequest { sender_id: sender.id }).await.expect("a fallback");
        address
    }

    /// What the mailbox folder received for an address, newest first.
    pub async fn mails(&self, recipient: &str) -> Vec<Mail> {
        let request = ListMailsRequest { recipient: recipient.to_owned() };
        MailboxServiceClient::new(self.admin()).list_mails(request).await.expect("mails").into_inner().mails
    }

    /// The visitor starts a chat on the channel.
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

    /// The conversation, as an agent sees it.
    pub async fn conversation(agent: &As, id: &str) -> Conversation {
        let request = GetConversationRequest { conversation_id: id.to_owned() };
        let answer =
            ConversationServiceClient::new(agent.clone()).get_conversation(request).await.expect("a conversation");
        answer.into_inner().conversation.expect("a conversation")
    }

    /// The whole thread, as an agent sees it.
    pub async fn thread(agent: &As, id: &str) -> Vec<Entry> {
        let request = ListEntriesRequest { conversation_id: id.to_owned(), page_size: 1_000, ..Default::default() };
        ThreadServiceClient::new(agent.clone()).list_entries(request).await.expect("a thread").into_inner().entries
    }

    /// The decision of a close (0: the last), once it is made.
    pub async fn explained(agent: &As, id: &str, close_number: i32) -> ExplainTranscriptResponse {
        wait_for("the decision", || async {
            let request = ExplainTranscriptRequest { conversation_id: id.to_owned(), close_number };
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
    /// The visitor says something.
    pub async fn say(&self, text: &str) -> Result<ChatEntry, Status> {
        let request = SendMessageRequest { chat_id: self.id.clone(), text: text.to_owned(), request_id: request_id() };
        let answer = VisitorServiceClient::new(self.visitor.clone()).send_message(request).await?;
        Ok(answer.into_inner().entry.expect("an entry"))
    }

    /// What the visitor sees so far: waits until a line is as asked, gives every line up to it.
    pub async fn until(&self, what: &str, found: impl Fn(&ChatEntry) -> bool) -> Vec<ChatEntry> {
        let request = WatchChatRequest { chat_id: self.id.clone(), after_visitor_sequence: 0 };
        let mut lines =
            VisitorServiceClient::new(self.visitor.clone()).watch_chat(request).await.expect("a stream").into_inner();
        let mut seen = Vec::new();
        let reading = async {
            loop {
                let line = lines.message().await.expect("a line").expect("an open stream").entry.expect("an entry");
                seen.push(line);
                if seen.last().is_some_and(&found) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reading)
            .await
            .unwrap_or_else(|_| panic!("waited in vain for {what}"));
        seen
    }

    /// The text of a line; empty for lines that are no messages.
    pub fn text(line: &ChatEntry) -> &str {
        use frontdesk_proto::conversation::v1::chat_entry::Content;
        match &line.content {
            Some(Content::Message(message)) => &message.text,
            _ => "",
        }
    }

    /// Waits until the bot has said this.
    pub async fn until_text(&self, part: &str) -> Vec<ChatEntry> {
        self.until(part, |line| Self::text(line).contains(part)).await
    }
}
