//! One chat, from the first word to its end, as chance has it; and many of them at once.

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

use super::{Shop, Watchers};
use crate::driver::{Driver, Outcome, Somebody, request_id};

/// What chats are like.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// Messages of one chat, about.
    pub messages: usize,
    /// Of a hundred chats so many begin with a bot.
    pub with_bot: u32,
    /// Of a hundred chats so many are closed by an agent; the others stay open.
    pub closed: u32,
    /// Of a hundred closed ones so many are opened again, and so many get a ticket first.
    pub reopened: u32,
    /// See above.
    pub ticketed: u32,
    /// Of a hundred visitors so many are known by their token.
    pub known: u32,
    /// Of a hundred transcripts so many are also sent by hand.
    pub by_hand: u32,
}

impl Default for Script {
    fn default() -> Self {
        Self { messages: 16, with_bot: 50, closed: 70, reopened: 15, ticketed: 10, known: 60, by_hand: 10 }
    }
}

struct Chat<'a> {
    driver: &'a Driver,
    shop: &'a Shop,
    visitor: Somebody,
    id: String,
    known: bool,
    random: StdRng,
}

/// Plays chats on these accounts, so many at once, for as long as `goes_on` says of the number of messages that were
/// acknowledged. Gives that number.
pub async fn play_all(
    driver: &Driver,
    shops: &[Shop],
    script: Script,
    at_once: usize,
    goes_on: impl Fn(usize) -> bool,
    watchers: Option<&Watchers>,
    seed: u64,
) -> usize {
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let chats = (0_u64..).take_while(|_| goes_on(acknowledged.load(Ordering::Relaxed))).map(|number| {
        let (acknowledged, shop) = (&acknowledged, &shops[number as usize % shops.len()]);
        async move {
            let random = StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9).wrapping_add(number));
            acknowledged.fetch_add(play(driver, shop, script, watchers, random, number).await, Ordering::Relaxed);
        }
    });
    futures::stream::iter(chats).buffer_unordered(at_once).collect::<Vec<()>>().await;
    acknowledged.load(Ordering::Relaxed)
}

/// Plays one chat; gives how many of its messages were acknowledged.
pub async fn play(
    driver: &Driver,
    shop: &Shop,
    script: Script,
    watchers: Option<&Watchers>,
    mut random: StdRng,
    number: u64,
) -> usize {
    let known = random.random_range(0..100) < script.known;
    let with_bot = random.random_range(0..100) < script.with_bot;
    let visitor = shop.visitor(&format!("v{number}-{}", random.random::<u32>()), known);
    let channel = if with_bot { &shop.with_bot } else { &shop.with_nobody };
    let first = if random.random_bool(0.3) { shop.words() } else { String::new() };
    let mut said = usize::from(!first.is_empty());
    let Some(id) = driver.start_chat(&visitor, channel, &first).await.ok() else { return 0 };
    let mut chat = Chat { driver, shop, visitor, id, known, random };
    if let Some(watchers) = watchers {
        watchers.maybe_follow(&chat.id, &chat.visitor, &shop.agents[0]);
    }
    if with_bot && !chat.with_the_bot(&mut said).await {
        return said;
    }
    chat.with_people(script, &mut said).await;
    if chat.chance(script.closed) {
        chat.end(script, &mut said).await;
    }
    said
}

impl Chat<'_> {
    fn chance(&mut self, of_hundred: u32) -> bool {
        self.random.random_range(0..100) < of_hundred
    }

    fn agent(&mut self) -> Somebody {
        let number = self.random.random_range(0..self.shop.agents.len());
        self.shop.agents[number].clone()
    }

    async fn pause(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.random.random_range(0..30))).await;
    }

    /// The visitor talks to the bot for a while. False: the chat went on without people.
    async fn with_the_bot(&mut self, said: &mut usize) -> bool {
        for _ in 0..self.random.random_range(0..3) {
            *said += usize::from(self.say().await);
            self.pause().await;
        }
        match self.random.random_range(0..10) {
            // Left to the bot: the run ends before its timeout, or not.
            0 => return false,
            // The visitor answers the question and presses a button, if the bot has come so far.
            1..=3 => {
                let agent = self.agent();
                *said += usize::from(self.say().await);
                let button = if self.chance(50) { "people" } else { "bye" };
                for _ in 0..20 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    let Some(line) = self.driver.question(&agent, &self.id).await else { continue };
                    if let Outcome::Ok(()) = self.driver.press(&self.visitor, &self.id, line, button).await {
                        return button == "people";
                    }
                }
            }
            _ => {}
        }
        self.taken_over().await;
        true
    }

    /// Two agents want it at once, or one.
    async fn taken_over(&mut self) {
        let (one, other) = (self.agent(), self.agent());
        let Some(now) = self.driver.conversation(&one, &self.id).await else { return };
        if self.chance(50) {
            let (one, other) =
                (self.driver.take_over(&one, &self.id, now.epoch), self.driver.take_over(&other, &self.id, now.epoch));
            tokio::join!(one, other);
        } else {
            self.driver.take_over(&one, &self.id, now.epoch).await;
        }
    }

    async fn say(&mut self) -> bool {
        let words = self.shop.words();
        self.driver.say(&self.visitor, &self.id, &words).await.ok().is_some()
    }

    async fn with_people(&mut self, script: Script, said: &mut usize) {
        let lines = self.random.random_range(script.messages / 2..=script.messages + script.messages / 2);
        let agent = self.agent();
        for _ in 0..lines {
            match self.random.random_range(0..100) {
                0..50 => *said += usize::from(self.say().await),
                50..90 => {
                    let words = self.shop.words();
                    *said += usize::from(self.driver.post(&agent, &self.id, &words).await.ok().is_some());
                }
                90..96 => {
                    let words = self.shop.internal_words();
                    self.driver.comment(&agent, &self.id, &words).await;
                }
                96..98 => self.taken_over().await,
                _ => *said += usize::from(self.reuses_a_request_id().await),
            }
            self.pause().await;
        }
    }

    /// The same id for something else is refused.
    async fn reuses_a_request_id(&mut self) -> bool {
        let (id, words, others) = (request_id(), self.shop.words(), self.shop.words());
        let first = self.driver.say_as(&self.visitor, &self.id, &words, &id, json!({ "text": words })).await;
        if let Outcome::Ok(_) = first {
            let given = json!({ "text": others, "reused": true });
            self.driver.say_as(&self.visitor, &self.id, &others, &id, given).await;
            // And for the same thing it gives the first answer.
            self.driver.say_as(&self.visitor, &self.id, &words, &id, json!({ "text": words })).await;
            return true;
        }
        false
    }

    async fn end(&mut self, script: Script, said: &mut usize) {
        let agent = self.agent();
        if self.known && self.chance(script.ticketed) {
            self.driver.ticket(&agent, &self.id).await;
        }
        self.driver.close(&agent, &self.id).await;
        // It is too late now: refused.
        self.say().await;
        if self.chance(script.reopened) {
            self.driver.reopen(&agent, &self.id).await;
            let words = self.shop.words();
            *said += usize::from(self.driver.post(&agent, &self.id, &words).await.ok().is_some());
            self.driver.close(&agent, &self.id).await;
        }
        if self.known
            && self.chance(script.by_hand)
            && let Some(now) = self.driver.conversation(&agent, &self.id).await
        {
            self.driver.send_transcript(&agent, &self.id, &now.contact_id).await;
        }
    }
}
