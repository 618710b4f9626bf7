//! The demo's account: its callers, and the calls that both chats make.

use std::time::Duration;

use frontdesk::ServerChannel;
use frontdesk_auth::{CallerKind, DevelopmentKey};
use frontdesk_clock::testing::new_id;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::ActorKind,
    assignment::v1::{CreateAgentRequest, roster_service_client::RosterServiceClient},
    botsession::v1::{
        AskStep, ButtonsStep, CloseStep, CreateBotRequest, Flow, FlowButton, HandOffStep, SayStep, Step,
        bot_service_client::BotServiceClient, step::Action,
    },
    conversation::v1::{
        ChatAuthor, ChatEntry, CreateChannelRequest, WatchChatRequest, WatchChatResponse,
        channel_service_client::ChannelServiceClient, chat_entry::Content, create_channel_request::Greeter,
        visitor_service_client::VisitorServiceClient, watch_chat_response::Update,
    },
    dev::v1::{ListMailsRequest, Mail, mailbox_service_client::MailboxServiceClient},
    notification::v1::{
        CreateSenderRequest, SetFallbackSenderRequest, VerifySenderRequest, sender_service_client::SenderServiceClient,
    },
};
use tonic::{Streaming, service::interceptor::InterceptedService};

use super::{STEP_TIMEOUT, step, wait_for};
use crate::{Failure, bearer::Bearer};

/// A channel that sends a caller's token.
pub(super) type Client = InterceptedService<ServerChannel, Bearer>;

/// An account on a server.
pub(super) struct Account {
    channel: ServerChannel,
    key: DevelopmentKey,
    id: AccountId,
}

/// What the demo created in its account.
pub(super) struct Fixture {
    pub agent: Client,
    pub agent_id: String,
    pub channel_id: String,
}

pub(super) fn request_id() -> String {
    new_id().to_string()
}

impl Account {
    pub(super) fn new(channel: ServerChannel, key: &DevelopmentKey, id: AccountId) -> Self {
        Self { channel, key: key.clone(), id }
    }

    pub(super) fn call_as(&self, kind: CallerKind, subject: &str, name: &str) -> Result<Client, Failure> {
        let mut claims = self.key.claims(self.id, kind, subject, Duration::from_secs(12 * 3600));
        claims.name = Some(name.to_owned());
        Ok(InterceptedService::new(self.channel.clone(), Bearer::try_new(&self.key.mint(&claims)?)?))
    }

    pub(super) fn admin(&self) -> Result<Client, Failure> {
        self.call_as(CallerKind::Admin, "demo-administrator", "Demo administrator")
    }

    /// A bot, an agent, a verified sender address, a channel.
    pub(super) async fn set_up(&self) -> Result<Fixture, Failure> {
        let admin = self.admin()?;
        let sender = self.verified_sender(&admin).await?;
        step("admin", format!("verified the sender address {sender} by the code mailed to it"));

        let agent_id = new_id().to_string();
        let agent = CreateAgentRequest {
            agent_id: agent_id.clone(),
            name: "Ada Byron".into(),
            handle: "ada".into(),
            email: "ada@team.example".into(),
            request_id: request_id(),
            ..Default::default()
        };
        RosterServiceClient::new(admin.clone()).create_agent(agent).await?;
        step("admin", "put the agent Ada Byron on the roster");

        let bot = CreateBotRequest {
            name: "Robin".into(),
            flow: Some(flow()),
            request_id: request_id(),
            ..Default::default()
        };
        let bot = BotServiceClient::new(admin.clone()).create_bot(bot).await?.into_inner().bot.ok_or("no bot")?;
        step(
            "admin",
            "made the bot Robin: it says hello, asks for an address, offers buttons; its timeout is 30 minutes",
        );

        let channel = CreateChannelRequest {
            name: "Rossi Bicycles".into(),
            website_url: "https://bicycles.example".into(),
            greeter: Some(Greeter::BotId(bot.id)),
            time_zone: "Europe/Rome".into(),
            request_id: request_id(),
            ..Default::default()
        };
        let channel =
            ChannelServiceClient::new(admin).create_channel(channel).await?.into_inner().channel.ok_or("no channel")?;
        step("admin", "opened the channel Rossi Bicycles, greeted by Robin");
        let agent = self.call_as(CallerKind::Agent, &agent_id, "Ada Byron")?;
        Ok(Fixture { agent, agent_id, channel_id: channel.id })
    }

    async fn verified_sender(&self, admin: &Client) -> Result<String, Failure> {
        let address = format!("chat-{}@bicycles.example", new_id().simple());
        let mut senders = SenderServiceClient::new(admin.clone());
        let sender = CreateSenderRequest {
            email: address.clone(),
            display_name: "Rossi Bicycles".into(),
            request_id: request_id(),
        };
        let sender = senders.create_sender(sender).await?.into_inner().sender.ok_or("no sender")?;
        let mail = wait_for("the mail with the code", || async { Ok(self.mails(&address).await?.pop()) }).await?;
        let code = code_in(&mail).ok_or("no code of eight digits in the mail")?;
        senders.verify_sender(VerifySenderRequest { sender_id: sender.id.clone(), code }).await?;
        senders.set_fallback_sender(SetFallbackSenderRequest { sender_id: sender.id }).await?;
        Ok(address)
    }

    /// The mails to an address, newest first.
    pub(super) async fn mails(&self, recipient: &str) -> Result<Vec<Mail>, Failure> {
        let mut mailbox = MailboxServiceClient::new(self.admin()?);
        let request = ListMailsRequest { recipient_email: recipient.to_owned(), ..Default::default() };
        Ok(mailbox.list_mails(request).await?.into_inner().mails)
    }
}

/// The code of eight digits in the plain text of a mail.
fn code_in(mail: &Mail) -> Option<String> {
    let parsed = mail_parser::MessageParser::default().parse(&mail.content)?;
    let text = parsed.body_text(0)?;
    let is_code = |word: &&str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit());
    text.split_whitespace().find(is_code).map(str::to_owned)
}

fn flow() -> Flow {
    let step = |id: &str, action| Step { id: id.into(), action: Some(action), ..Default::default() };
    let say = |id: &str, text: &str| step(id, Action::Say(SayStep { text: text.into(), ..Default::default() }));
    let ask = AskStep {
        text: "Which address may we write to, should we lose each other?".into(),
        property: "email".into(),
        ..Default::default()
    };
    let button = |id: &str, label: &str, next: &str| FlowButton {
        id: id.into(),
        label: label.into(),
        next_step_id: next.into(),
    };
    let buttons = vec![button("repair", "A repair", "people"), button("hours", "Opening hours", "hours")];
    let topic = ButtonsStep { text: "Thank you. What is it about?".into(), buttons, ..Default::default() };
    let hand_off = HandOffStep {
        text: "One moment, a colleague is coming.".into(),
        reason: "a repair".into(),
        ..Default::default()
    };
    Flow {
        steps: vec![
            say("hello", "Hello, I am Robin, the bot of Rossi Bicycles."),
            step("address", Action::Ask(ask)),
            step("topic", Action::Buttons(topic)),
            step("people", Action::HandOff(hand_off)),
            say("hours", "We are open from Tuesday to Saturday, 9 to 18."),
            step("bye", Action::Close(CloseStep::default())),
        ],
    }
}

/// A visitor's live view of a chat.
pub(super) struct Widget {
    lines: Streaming<WatchChatResponse>,
    pub seen: Vec<ChatEntry>,
}

impl Widget {
    pub(super) async fn watch(visitor: &Client, chat_id: &str) -> Result<Self, Failure> {
        let request = WatchChatRequest { chat_id: chat_id.to_owned(), after_visitor_sequence: 0 };
        let lines = VisitorServiceClient::new(visitor.clone()).watch_chat(request).await?.into_inner();
        Ok(Self { lines, seen: Vec::new() })
    }

    /// Shows the entries that arrive, up to the one for which `found` is true.
    pub(super) async fn until(&mut self, what: &str, found: impl Fn(&ChatEntry) -> bool) -> Result<ChatEntry, Failure> {
        let reading = async {
            loop {
                let update = self.lines.message().await?.ok_or("the stream ended")?.update;
                let Some(Update::Entry(line)) = update else { continue };
                show(&line);
                self.seen.push(line.clone());
                if found(&line) {
                    return Ok::<_, Failure>(line);
                }
            }
        };
        tokio::time::timeout(STEP_TIMEOUT, reading).await.map_err(|_| format!("waited {STEP_TIMEOUT:?} for {what}"))?
    }

    /// True: the entries are numbered 1, 2, 3 … without a gap.
    pub(super) fn is_dense(&self) -> bool {
        (1..).zip(&self.seen).all(|(number, line)| line.visitor_sequence == number)
    }
}

pub(super) fn text_of(line: &ChatEntry) -> &str {
    match &line.content {
        Some(Content::Message(message)) => &message.text,
        _ => "",
    }
}

pub(super) fn author_name(line: &ChatEntry) -> &str {
    line.author.as_ref().map_or("", |author| &author.name)
}

fn show(line: &ChatEntry) {
    let author = line.author.as_ref();
    let who = match author.map(ChatAuthor::kind) {
        Some(ActorKind::Visitor) => "visitor",
        Some(ActorKind::Bot) => "bot",
        Some(ActorKind::Agent) => "agent",
        _ => "",
    };
    let what = match &line.content {
        Some(Content::Message(message)) => {
            let buttons: Vec<_> = message.buttons.iter().map(|button| format!("[{}]", button.label)).collect();
            format!("{} {}", message.text, buttons.join(" "))
        }
        Some(Content::Joined(_)) => format!("({} joined)", author_name(line)),
        Some(Content::Ended(ended)) if ended.visitor_inactive => "(the chat ended: the visitor was silent)".into(),
        Some(Content::Ended(_)) => "(the chat ended)".into(),
        Some(Content::Reopened(_)) => "(the chat goes on)".into(),
        Some(Content::Erased(_)) => "(erased)".into(),
        None => "(something new)".into(),
    };
    step(who, format!("{:>2}. {what}", line.visitor_sequence));
}
