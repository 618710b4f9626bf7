//! An account of the workload: its people, its bot, its channels, its sender address. Everything that is written in it holds
//! the account's canary.

use std::{future::Future, time::Duration};

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    assignment::v1::{CreateAgentRequest, roster_service_client::RosterServiceClient},
    botsession::v1::{
        AskStep, ButtonsStep, CloseStep, CreateBotRequest, Flow, FlowButton, HandOffStep, SayStep, Step,
        bot_service_client::BotServiceClient,
    },
    conversation::v1::{CreateChannelRequest, Greeter, channel_service_client::ChannelServiceClient},
    notification::v1::{
        CreateSenderRequest, SetFallbackSenderRequest, VerifySenderRequest, sender_service_client::SenderServiceClient,
    },
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    checker::COMMENT_CANARY,
    cluster::{Failure, Service},
    driver::{As, Driver, Outcome, Somebody, request_id},
    sink::Sink,
};

/// What the bots of the workload say; the last one is what every bot says to an answer that is no button.
pub const BOT_TEXTS: [&str; 6] =
    ["Hello!", "What is it about?", "Which?", "A colleague comes.", "Goodbye!", "Please choose one of these:"];

/// Which parts an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShopKind {
    /// Everything.
    Whole,
    /// No sender address: nothing is mailed.
    WithoutMail,
}

/// The account.
#[derive(Clone)]
pub struct Shop {
    /// Its id.
    pub account: Uuid,
    /// A word that is in whatever is written here, and nowhere else.
    pub canary: String,
    /// Its agents.
    pub agents: Vec<Somebody>,
    /// Channel on which a bot with a timeout of one minute greets.
    pub with_bot: String,
    /// Channel on which nobody greets.
    pub with_nobody: String,
    driver: Driver,
}

impl Shop {
    /// A new account with so many agents.
    pub async fn open(driver: &Driver, sink: &Sink, kind: ShopKind, agents: usize) -> Result<Self, Failure> {
        let account = frontdesk_clock::testing::new_id();
        let canary = format!("zq{}", account.simple());
        let admin = driver.somebody(account, CallerKind::Admin, "administrator", |_| {});
        let mut shop = Self {
            account,
            canary,
            agents: Vec::new(),
            with_bot: String::new(),
            with_nobody: String::new(),
            driver: driver.clone(),
        };
        for number in 0..agents {
            shop.add_agent(&admin, number).await?;
        }
        let bot = shop.bot(&admin).await?;
        shop.with_bot = shop.channel(&admin, Some(&bot)).await?;
        shop.with_nobody = shop.channel(&admin, None).await?;
        if kind == ShopKind::Whole {
            shop.sender(&admin, sink).await?;
        }
        Ok(shop)
    }

    /// A visitor; `known`: their token vouches for an address.
    pub fn visitor(&self, name: &str, known: bool) -> Somebody {
        let address = format!("{name}@{}.example", self.canary);
        self.driver.somebody(self.account, CallerKind::Visitor, name, |claims| claims.email = known.then_some(address))
    }

    /// Words for a message, like no others.
    pub fn words(&self) -> String {
        format!("m~{} says {}", frontdesk_clock::testing::new_id().simple(), self.canary)
    }

    /// Words for a comment, like no others.
    pub fn internal_words(&self) -> String {
        format!("{COMMENT_CANARY} {} {}", frontdesk_clock::testing::new_id().simple(), self.canary)
    }

    async fn call<T, F>(
        &self,
        who: &Somebody,
        service: Service,
        call: &str,
        send: impl Fn(As) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        match self.driver.insist(who, service, (call, "", ""), Value::Null, |_| Value::Null, send).await {
            Outcome::Ok(answer) => Ok(answer),
            Outcome::Refused(status) => Err(format!("{call}: {status}").into()),
            Outcome::Unknown => Err(format!("{call}: nobody answered").into()),
        }
    }

    async fn add_agent(&mut self, admin: &Somebody, number: usize) -> Result<(), Failure> {
        let id = frontdesk_clock::testing::new_id();
        let request = CreateAgentRequest {
            agent_id: id.to_string(),
            name: format!("Agent {number}"),
            handle: format!("a{}", id.simple()),
            request_id: request_id(),
            ..Default::default()
        };
        self.call(admin, Service::Assignment, "CreateAgent", |to| {
            let request = request.clone();
            async move { RosterServiceClient::new(to).create_agent(request).await }
        })
        .await?;
        let name = request.name;
        self.agents.push(
            self.driver.somebody(self.account, CallerKind::Agent, &id.to_string(), |claims| claims.name = Some(name)),
        );
        Ok(())
    }

    async fn bot(&self, admin: &Somebody) -> Result<String, Failure> {
        let request = CreateBotRequest {
            name: "Robin".into(),
            inactivity_timeout: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
            flow: Some(flow()),
            request_id: request_id(),
            ..Default::default()
        };
        let answer = self
            .call(admin, Service::BotSession, "CreateBot", |to| {
                let request = request.clone();
                async move { BotServiceClient::new(to).create_bot(request).await }
            })
            .await?;
        Ok(answer.bot.ok_or("CreateBot answered without a bot")?.id)
    }

    async fn channel(&self, admin: &Somebody, bot: Option<&str>) -> Result<String, Failure> {
        let greeter = if bot.is_some() { Greeter::Bot } else { Greeter::Nobody };
        let request = CreateChannelRequest {
            name: "Shop".into(),
            website_url: "https://shop.example".into(),
            greeter: greeter.into(),
            bot_id: bot.unwrap_or_default().to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        let answer = self
            .call(admin, Service::Conversation, "CreateChannel", |to| {
                let request = request.clone();
                async move { ChannelServiceClient::new(to).create_channel(request).await }
            })
            .await?;
        Ok(answer.channel.ok_or("CreateChannel answered without a channel")?.id)
    }

    /// A sender address, verified by the code that was mailed to it, for all mails.
    async fn sender(&self, admin: &Somebody, sink: &Sink) -> Result<(), Failure> {
        let address = format!("sender@{}.example", self.canary);
        let request =
            CreateSenderRequest { address: address.clone(), display_name: "Shop".into(), request_id: request_id() };
        let answer = self
            .call(admin, Service::Notification, "CreateSender", |to| {
                let request = request.clone();
                async move { SenderServiceClient::new(to).create_sender(request).await }
            })
            .await?;
        let sender_id = answer.sender.ok_or("CreateSender answered without a sender")?.id;
        let code = code(sink, &address).await?;
        let request = VerifySenderRequest { sender_id: sender_id.clone(), code };
        self.call(admin, Service::Notification, "VerifySender", |to| {
            let request = request.clone();
            async move { SenderServiceClient::new(to).verify_sender(request).await }
        })
        .await?;
        let request = SetFallbackSenderRequest { sender_id };
        self.call(admin, Service::Notification, "SetFallbackSender", |to| {
            let request = request.clone();
            async move { SenderServiceClient::new(to).set_fallback_sender(request).await }
        })
        .await?;
        Ok(())
    }
}

/// The code of eight digits that was mailed to an address.
async fn code(sink: &Sink, address: &str) -> Result<String, Failure> {
    for _ in 0..1_500 {
        let mails = sink.mails();
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
    let step = |id: &str| Step { id: id.into(), ..Default::default() };
    let steps = vec![
        Step { say: Some(SayStep { text: BOT_TEXTS[0].into() }), ..step("hello") },
        Step {
            ask: Some(AskStep { text: BOT_TEXTS[1].into(), property: "topic".into(), ..Default::default() }),
            ..step("topic")
        },
        Step {
            buttons: Some(ButtonsStep { text: BOT_TEXTS[2].into(), buttons: vec![button("people"), button("bye")] }),
            ..step("which")
        },
        Step {
            hand_off: Some(HandOffStep {
                text: BOT_TEXTS[3].into(),
                reason: "asked for people".into(),
                ..Default::default()
            }),
            ..step("people")
        },
        Step { close: Some(CloseStep { text: BOT_TEXTS[4].into() }), ..step("bye") },
    ];
    Flow { steps }
}
