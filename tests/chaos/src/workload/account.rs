//! An account of the workload with its agents, bot, channels and sender address. Every text that is written in it contains the
//! account's canary, a word that occurs nowhere else.

use std::{future::Future, time::Duration};

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    assignment::v1::{CreateAgentRequest, roster_service_client::RosterServiceClient},
    botsession::v1::{
        AskStep, ButtonsStep, CloseStep, CreateBotRequest, Flow, FlowButton, HandOffStep, SayStep, Step,
        bot_service_client::BotServiceClient, create_bot_request::Inactivity, step::Action,
    },
    conversation::v1::{
        AnonymousVisitors, CreateAnonymousVisitorRequest, CreateChannelRequest, NoGreeter, UpdateChannelRequest,
        channel_service_client::ChannelServiceClient, create_channel_request::Greeter,
        update_channel_request::Anonymous, visitor_service_client::VisitorServiceClient,
    },
    notification::v1::{
        CreateSenderRequest, SetFallbackSenderRequest, VerifySenderRequest, sender_service_client::SenderServiceClient,
    },
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    checker::COMMENT_CANARY,
    cluster::{Failure, Service},
    driver::{Caller, CallerChannel, Driver, Outcome, request_id},
    mail_sink::MailSink,
};

/// All texts that the bots of the workload send. The last one is the built-in reply to an answer that is no button.
pub const BOT_TEXTS: [&str; 6] =
    ["Hello!", "What is it about?", "Which?", "A colleague comes.", "Goodbye!", "Please choose one of these:"];

/// Whether an account sends mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// With a verified sender address.
    WithMail,
    /// Without a sender address, so that nothing is mailed.
    WithoutMail,
}

/// An account.
#[derive(Clone)]
pub struct Account {
    /// Id of the account.
    pub id: Uuid,
    /// A word that is in every text of this account and nowhere else.
    pub canary: String,
    /// Agents of the account.
    pub agents: Vec<Caller>,
    /// Id of a channel that starts with a bot, whose inactivity timeout is one minute.
    pub bot_channel: String,
    /// Id of a channel that starts without a bot.
    pub plain_channel: String,
    driver: Driver,
}

impl Account {
    /// Creates an account with this number of agents.
    pub async fn create(
        driver: &Driver,
        mail_sink: &MailSink,
        kind: AccountKind,
        agents: usize,
    ) -> Result<Self, Failure> {
        let id = frontdesk_clock::testing::new_id();
        let canary = format!("zq{}", id.simple());
        let admin = driver.caller(id, CallerKind::Admin, "administrator", |_| {});
        let mut account = Self {
            id,
            canary,
            agents: Vec::new(),
            bot_channel: String::new(),
            plain_channel: String::new(),
            driver: driver.clone(),
        };
        for number in 0..agents {
            account.create_agent(&admin, number).await?;
        }
        let bot = account.create_bot(&admin).await?;
        account.bot_channel = account.create_channel(&admin, Some(&bot)).await?;
        account.plain_channel = account.create_channel(&admin, None).await?;
        if kind == AccountKind::WithMail {
            account.create_sender(&admin, mail_sink).await?;
        }
        Ok(account)
    }

    /// A visitor. With `with_address`, the token carries a mail address.
    pub fn visitor(&self, name: &str, with_address: bool) -> Caller {
        let address = format!("{name}@{}.example", self.canary);
        self.driver.caller(self.id, CallerKind::Visitor, name, |claims| claims.email = with_address.then_some(address))
    }

    /// A new anonymous visitor of the channel with a bot, which gets anonymous visitors if it has none. `name`: theirs in the history.
    pub async fn create_anonymous_visitor(&self, name: &str) -> Result<Caller, Failure> {
        let admin = self.driver.caller(self.id, CallerKind::Admin, "administrator", |_| {});
        let request = UpdateChannelRequest {
            channel_id: self.bot_channel.clone(),
            anonymous: Some(Anonymous::AnonymousVisitors(AnonymousVisitors::default())),
            ..Default::default()
        };
        let response = self
            .call(&admin, Service::Conversation, "UpdateChannel", |channel| {
                let request = request.clone();
                async move { ChannelServiceClient::new(channel).update_channel(request).await }
            })
            .await?;
        let token = response.channel.ok_or("UpdateChannel answered without a channel")?.widget_token;
        let widget = self.driver.caller_with_token(self.id, "widget", &token);
        let response = self
            .call(&widget, Service::Conversation, "CreateAnonymousVisitor", |channel| async move {
                let request = CreateAnonymousVisitorRequest::default();
                VisitorServiceClient::new(channel).create_anonymous_visitor(request).await
            })
            .await?;
        Ok(self.driver.caller_with_token(self.id, &format!("visitor:{name}"), &response.visitor_token))
    }

    /// A unique text for a message.
    pub fn message_text(&self) -> String {
        format!("m~{} says {}", frontdesk_clock::testing::new_id().simple(), self.canary)
    }

    /// A unique text for a comment.
    pub fn comment_text(&self) -> String {
        format!("{COMMENT_CANARY} {} {}", frontdesk_clock::testing::new_id().simple(), self.canary)
    }

    async fn call<T, F>(
        &self,
        caller: &Caller,
        service: Service,
        call: &str,
        send: impl Fn(CallerChannel) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        match self.driver.call_until_answered(caller, service, (call, "", ""), Value::Null, |_| Value::Null, send).await
        {
            Outcome::Ok(response) => Ok(response),
            Outcome::Refused(status) => Err(format!("{call}: {status}").into()),
            Outcome::Unknown => Err(format!("{call}: no answer").into()),
        }
    }

    async fn create_agent(&mut self, admin: &Caller, number: usize) -> Result<(), Failure> {
        let id = frontdesk_clock::testing::new_id();
        let request = CreateAgentRequest {
            agent_id: id.to_string(),
            name: format!("Agent {number}"),
            handle: format!("a{}", id.simple()),
            request_id: request_id(),
            ..Default::default()
        };
        self.call(admin, Service::Assignment, "CreateAgent", |channel| {
            let request = request.clone();
            async move { RosterServiceClient::new(channel).create_agent(request).await }
        })
        .await?;
        let name = request.name;
        self.agents
            .push(self.driver.caller(self.id, CallerKind::Agent, &id.to_string(), |claims| claims.name = Some(name)));
        Ok(())
    }

    async fn create_bot(&self, admin: &Caller) -> Result<String, Failure> {
        let request = CreateBotRequest {
            name: "Robin".into(),
            inactivity: Some(Inactivity::InactivityTimeout(prost_types::Duration { seconds: 60, nanos: 0 })),
            flow: Some(flow()),
            request_id: request_id(),
            ..Default::default()
        };
        let response = self
            .call(admin, Service::BotSession, "CreateBot", |channel| {
                let request = request.clone();
                async move { BotServiceClient::new(channel).create_bot(request).await }
            })
            .await?;
        Ok(response.bot.ok_or("CreateBot answered without a bot")?.id)
    }

    async fn create_channel(&self, admin: &Caller, bot: Option<&str>) -> Result<String, Failure> {
        let greeter = bot.map_or(Greeter::NoGreeter(NoGreeter {}), |bot| Greeter::BotId(bot.to_owned()));
        let request = CreateChannelRequest {
            name: "Shop".into(),
            website_url: "https://shop.example".into(),
            greeter: Some(greeter),
            request_id: request_id(),
            ..Default::default()
        };
        let response = self
            .call(admin, Service::Conversation, "CreateChannel", |channel| {
                let request = request.clone();
                async move { ChannelServiceClient::new(channel).create_channel(request).await }
            })
            .await?;
        Ok(response.channel.ok_or("CreateChannel answered without a channel")?.id)
    }

    /// Creates the account's sender address and verifies it with the mailed code.
    async fn create_sender(&self, admin: &Caller, mail_sink: &MailSink) -> Result<(), Failure> {
        let address = format!("sender@{}.example", self.canary);
        let request =
            CreateSenderRequest { email: address.clone(), display_name: "Shop".into(), request_id: request_id() };
        let response = self
            .call(admin, Service::Notification, "CreateSender", |channel| {
                let request = request.clone();
                async move { SenderServiceClient::new(channel).create_sender(request).await }
            })
            .await?;
        let sender_id = response.sender.ok_or("CreateSender answered without a sender")?.id;
        let code = verification_code(mail_sink, &address).await?;
        let request = VerifySenderRequest { sender_id: sender_id.clone(), code };
        self.call(admin, Service::Notification, "VerifySender", |channel| {
            let request = request.clone();
            async move { SenderServiceClient::new(channel).verify_sender(request).await }
        })
        .await?;
        let request = SetFallbackSenderRequest { sender_id };
        self.call(admin, Service::Notification, "SetFallbackSender", |channel| {
            let request = request.clone();
            async move { SenderServiceClient::new(channel).set_fallback_sender(request).await }
        })
        .await?;
        Ok(())
    }
}

/// Waits for the verification code of eight digits that is mailed to an address.
async fn verification_code(mail_sink: &MailSink, address: &str) -> Result<String, Failure> {
    for _ in 0..1_500 {
        let mails = mail_sink.mails();
        let text = mails.iter().rev().find(|mail| mail.recipient == address).map(|mail| mail.text.as_str());
        let mut words = text.unwrap_or_default().split_whitespace();
        if let Some(code) = words.find(|word| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit())) {
            return Ok(code.to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("no code was mailed to {address}").into())
}

fn flow() -> Flow {
    let button = |id: &str| FlowButton { id: id.into(), label: id.to_uppercase(), next_step_id: id.into() };
    let step = |id: &str, action| Step { id: id.into(), action: Some(action), ..Default::default() };
    let ask = AskStep { text: BOT_TEXTS[1].into(), property: "topic".into(), ..Default::default() };
    let buttons = vec![button("people"), button("bye")];
    let buttons = ButtonsStep { text: BOT_TEXTS[2].into(), buttons, ..Default::default() };
    let hand_off = HandOffStep { text: BOT_TEXTS[3].into(), reason: "asked for people".into(), ..Default::default() };
    let steps = vec![
        step("hello", Action::Say(SayStep { text: BOT_TEXTS[0].into(), ..Default::default() })),
        step("topic", Action::Ask(ask)),
        step("which", Action::Buttons(buttons)),
        step("people", Action::HandOff(hand_off)),
        step("bye", Action::Close(CloseStep { text: BOT_TEXTS[4].into() })),
    ];
    Flow { steps }
}
