//! One chat, from its start to its end, with random steps; and many chats at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::{Account, Watchers, attachments::File};
use crate::driver::{Caller, Driver, Outcome, request_id};

/// The composition of the chats.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// Average number of messages of a chat.
    pub messages: usize,
    /// Percentage of chats that start with a bot.
    pub with_bot: u32,
    /// Percentage of chats that an agent closes; the others stay open.
    pub closed: u32,
    /// Percentage of closed chats that are reopened.
    pub reopened: u32,
    /// Percentage of closed chats that get a ticket before the close.
    pub ticketed: u32,
    /// Percentage of visitors whose token carries a mail address.
    pub with_address: u32,
    /// Percentage of transcripts that are also sent manually.
    pub sent_manually: u32,
}

impl Default for Script {
    fn default() -> Self {
        Self { messages: 16, with_bot: 50, closed: 70, reopened: 15, ticketed: 10, with_address: 60, sent_manually: 10 }
    }
}

struct Chat<'a> {
    driver: &'a Driver,
    account: &'a Account,
    visitor: Caller,
    id: String,
    with_address: bool,
    random: StdRng,
}

/// Runs chats on these accounts, at most `concurrent` at once, while `continues` returns true for the number of acknowledged
/// messages. Returns that number.
pub async fn run_chats(
    driver: &Driver,
    accounts: &[Account],
    script: Script,
    concurrent: usize,
    continues: impl Fn(usize) -> bool,
    watchers: Option<&Watchers>,
    seed: u64,
) -> usize {
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let chats = (0_u64..).take_while(|_| continues(acknowledged.load(Ordering::Relaxed))).map(|number| {
        let (acknowledged, account) = (&acknowledged, &accounts[number as usize % accounts.len()]);
        async move {
            let random = StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9).wrapping_add(number));
            acknowledged
                .fetch_add(run_chat(driver, account, script, watchers, random, number).await, Ordering::Relaxed);
        }
    });
    futures::stream::iter(chats).buffer_unordered(concurrent).collect::<Vec<()>>().await;
    acknowledged.load(Ordering::Relaxed)
}

/// Runs one chat; returns the number of its acknowledged messages.
async fn run_chat(
    driver: &Driver,
    account: &Account,
    script: Script,
    watchers: Option<&Watchers>,
    mut random: StdRng,
    number: u64,
) -> usize {
    let with_address = random.random_range(0..100) < script.with_address;
    let with_bot = random.random_range(0..100) < script.with_bot;
    let visitor = account.visitor(&format!("v{number}-{}", random.random::<u32>()), with_address);
    let channel = if with_bot { &account.bot_channel } else { &account.plain_channel };
    let first = if random.random_bool(0.3) { account.message_text() } else { String::new() };
    let mut sent = usize::from(!first.is_empty());
    let Some(id) = driver.start_chat(&visitor, channel, &first).await.ok() else { return 0 };
    let mut chat = Chat { driver, account, visitor, id, with_address, random };
    if let Some(watchers) = watchers {
        watchers.watch_if_below_limit(&chat.id, &chat.visitor, &account.agents[0]);
    }
    if with_bot && !chat.talk_to_bot(&mut sent).await {
        return sent;
    }
    chat.talk_to_agent(script, &mut sent).await;
    if chat.happens(script.closed) {
        chat.end(script, &mut sent).await;
    }
    sent
}

impl Chat<'_> {
    fn happens(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn agent(&mut self) -> Caller {
        let number = self.random.random_range(0..self.account.agents.len());
        self.account.agents[number].clone()
    }

    async fn pause(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.random.random_range(0..30))).await;
    }

    /// The visitor talks to the bot. Returns false if the chat continues without an agent.
    async fn talk_to_bot(&mut self, sent: &mut usize) -> bool {
        for _ in 0..self.random.random_range(0..3) {
            *sent += usize::from(self.send_message().await);
            self.pause().await;
        }
        match self.random.random_range(0..10) {
            // No agent takes over; the chat may time out before the run ends.
            0 => return false,
            // The visitor answers the question and chooses a button once the bot offers it.
            1..=3 => {
                let agent = self.agent();
                *sent += usize::from(self.send_message().await);
                let button = if self.happens(50) { "people" } else { "bye" };
                for _ in 0..20 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    let Some(message) = self.driver.find_buttons(&agent, &self.id).await else { continue };
                    if let Outcome::Ok(()) = self.driver.choose_button(&self.visitor, &self.id, message, button).await {
                        return button == "people";
                    }
                }
            }
            _ => {}
        }
        self.take_over().await;
        true
    }

    /// One agent takes the chat over, or two race for it.
    async fn take_over(&mut self) {
        let (one, other) = (self.agent(), self.agent());
        let Some(now) = self.driver.get_conversation(&one, &self.id).await else { return };
        if self.happens(50) {
            let (one, other) =
                (self.driver.take_over(&one, &self.id, now.epoch), self.driver.take_over(&other, &self.id, now.epoch));
            tokio::join!(one, other);
        } else {
            self.driver.take_over(&one, &self.id, now.epoch).await;
        }
    }

    /// The visitor sends a message. Returns whether it was acknowledged.
    async fn send_message(&mut self) -> bool {
        let text = self.account.message_text();
        self.driver.send_message(&self.visitor, &self.id, &text).await.ok().is_some()
    }

    /// The visitor or an agent uploads a file and sends it. Returns the number of acknowledged messages.
    async fn send_file(&mut self) -> usize {
        let by = if self.happens(50) { self.visitor.clone() } else { self.agent() };
        let variant = self.random.random_range(0..10);
        let is_allowed = variant > 0;
        let file = File::new(&mut self.random, &self.account.canary, is_allowed);
        let (driver, chat) = (self.driver, self.id.as_str());
        let Some((attachment, url)) = driver.create_attachment(&by, chat, &file).await else { return 0 };
        if !driver.put_attachment(&by, chat, (&attachment, &url), &file).await {
            return 0;
        }
        let (one, other) = (self.account.message_text(), self.account.message_text());
        match variant {
            // It is removed when it is due.
            1 | 2 => 0,
            // One of two messages has it.
            3..=5 => {
                let (one, other) = tokio::join!(
                    driver.send_attachment(&by, chat, &one, &attachment),
                    driver.send_attachment(&by, chat, &other, &attachment)
                );
                usize::from(one.ok().is_some()) + usize::from(other.ok().is_some())
            }
            // Refused, if the bytes were.
            _ => usize::from(driver.send_attachment(&by, chat, &one, &attachment).await.ok().is_some()),
        }
    }

    async fn talk_to_agent(&mut self, script: Script, sent: &mut usize) {
        let steps = self.random.random_range(script.messages / 2..=script.messages + script.messages / 2);
        let agent = self.agent();
        for _ in 0..steps {
            match self.random.random_range(0..100) {
                0..48 => *sent += usize::from(self.send_message().await),
                48..86 => {
                    let text = self.account.message_text();
                    *sent += usize::from(self.driver.post_message(&agent, &self.id, &text).await.ok().is_some());
                }
                86..90 => *sent += self.send_file().await,
                90..96 => {
                    let text = self.account.comment_text();
                    self.driver.post_comment(&agent, &self.id, &text).await;
                }
                96..98 => self.take_over().await,
                _ => *sent += usize::from(self.reuse_request_id().await),
            }
            self.pause().await;
        }
    }

    /// Reuses a request id with another text, which must be refused, and repeats the first request, which must be answered as
    /// before.
    async fn reuse_request_id(&mut self) -> bool {
        let (id, text, other) = (request_id(), self.account.message_text(), self.account.message_text());
        let first =
            self.driver.send_message_with_id(&self.visitor, &self.id, &text, &id, json!({ "text": text })).await;
        if let Outcome::Ok(_) = first {
            let arguments = json!({ "text": other, "reused": true });
            self.driver.send_message_with_id(&self.visitor, &self.id, &other, &id, arguments).await;
            self.driver.send_message_with_id(&self.visitor, &self.id, &text, &id, json!({ "text": text })).await;
            return true;
        }
        false
    }

    async fn end(&mut self, script: Script, sent: &mut usize) {
        let agent = self.agent();
        if self.with_address && self.happens(script.ticketed) {
            self.driver.create_ticket(&agent, &self.id).await;
        }
        self.driver.close_conversation(&agent, &self.id).await;
        // Refused: the chat is closed.
        self.send_message().await;
        if self.happens(script.reopened) {
            self.driver.reopen_conversation(&agent, &self.id).await;
            let text = self.account.message_text();
            *sent += usize::from(self.driver.post_message(&agent, &self.id, &text).await.ok().is_some());
            self.driver.close_conversation(&agent, &self.id).await;
        }
        if self.with_address
            && self.happens(script.sent_manually)
            && let Some(now) = self.driver.get_conversation(&agent, &self.id).await
        {
            self.driver.send_transcript(&agent, &self.id, &now.contact_id).await;
        }
    }
}
