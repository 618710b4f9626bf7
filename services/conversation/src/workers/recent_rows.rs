//! Rows that the message writer saved lately, so that the next message of a conversation needs no statement that loads them.
//!
//! They may be outdated. So what is decided on them is saved only if the rows of the database have the same versions, and every other
//! outcome than an appended message is decided again on loaded rows.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use frontdesk_clock::Time;
use frontdesk_idempotency::RequestBatch;
use moka::future::Cache;
use tokio::time::Instant;

use super::message_writer::QueuedWrite;
use crate::{
    domain::{Agent, AppendMessage, Conversation},
    store::conversation_batch::{BatchContext, BatchRows, RowKey},
};

/// Maximum size of all remembered conversations in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Size of a remembered conversation in bytes, beside its texts.
const CONVERSATION_BYTES: usize = 1_024;
/// Maximum number of remembered agents.
const MAX_AGENTS: u64 = 10_000;
/// Maximum age of a reading of the database's clock from which the time is calculated.
const MAX_CLOCK_AGE: Duration = Duration::from_secs(1);
/// Maximum duration of a statement that reads the database's clock: the calculated time is ahead of the clock by at most as much.
const MAX_CLOCK_ERROR: Duration = Duration::from_millis(50);
/// Pause after a batch that could not be saved as a whole, such as one with a request id that was used before.
const PAUSE: Duration = Duration::from_millis(100);

/// The remembered rows of one message writer.
pub(super) struct RecentRows {
    conversations: Cache<RowKey, Remembered>,
    agents: Cache<RowKey, Agent>,
    state: Mutex<State>,
}

#[derive(Clone)]
struct Remembered {
    conversation: Conversation,
    /// Whether others changed the conversation between the last two messages of this writer. Where several replicas write to it in
    /// turn, most decisions on a remembered row would have to be made again.
    is_contended: bool,
}

#[derive(Default)]
struct State {
    clock: Option<ClockReading>,
    paused_until: Option<Instant>,
}

/// The database's clock, without the offset of a moved clock.
struct ClockReading {
    time: Time,
    /// When the statement was sent that read it.
    sent: Instant,
}

impl RecentRows {
    pub(super) fn new() -> Self {
        let size = |_: &RowKey, remembered: &Remembered| {
            u32::try_from(CONVERSATION_BYTES + text_size(&remembered.conversation)).unwrap_or(u32::MAX)
        };
        Self {
            conversations: Cache::builder().max_capacity(MAX_BYTES).weigher(size).build(),
            agents: Cache::new(MAX_AGENTS),
            state: Mutex::default(),
        }
    }

    /// The rows that decide about all messages of the batch. None: one of them has to be loaded. `clock_offset`: how far the clock
    /// was moved forward.
    pub(super) async fn find(
        &self,
        batch: &[QueuedWrite],
        clock_offset: Duration,
    ) -> Option<(BatchRows, BatchContext)> {
        let now = self.now()?.plus(clock_offset);
        let (mut rows, mut context) = (BatchRows::default(), BatchContext::new(now, RequestBatch::default()));
        for queued in batch {
            let remembered = self.conversations.get(&queued.row()).await.filter(|row| !row.is_contended)?;
            rows.conversations.insert(queued.row(), remembered.conversation);
            match queued.message() {
                AppendMessage::Visitor { .. } => {}
                AppendMessage::Team { author, .. } => {
                    if let Some(agent) = author.agent() {
                        context.add_agent(self.agents.get(&(queued.row().0, agent)).await?);
                    }
                }
                AppendMessage::Bot { .. } => return None,
            }
        }
        Some((rows, context))
    }

    /// The time by the database's clock, or slightly later.
    fn now(&self) -> Option<Time> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = state.clock.as_ref().filter(|_| state.paused_until.is_none_or(|until| until <= Instant::now()))?;
        let age = clock.sent.elapsed();
        (age <= MAX_CLOCK_AGE).then(|| clock.time.plus(age))
    }

    /// Remembers conversations that were saved, with the version that each had before, their agents, and the time by the database's
    /// clock of a statement that was sent at this moment.
    pub(super) async fn remember(
        &self,
        saved: impl Iterator<Item = (Conversation, i64)>,
        agents: &[Agent],
        time: Time,
        sent: Instant,
    ) {
        for (conversation, version_before) in saved {
            let key = (conversation.account, conversation.id);
            let earlier = self.conversations.get(&key).await;
            let is_contended = earlier.is_some_and(|earlier| earlier.conversation.version != version_before);
            self.conversations.insert(key, Remembered { conversation, is_contended }).await;
        }
        for agent in agents {
            self.agents.insert((agent.account, agent.id), agent.clone()).await;
        }
        let clock = (sent.elapsed() <= MAX_CLOCK_ERROR).then_some(ClockReading { time, sent });
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clock = clock;
    }

    /// Has the rows that the message was decided on loaded the next time, because those of the database are others.
    pub(super) async fn mark_outdated(&self, queued: &QueuedWrite) {
        if let Some(remembered) = self.conversations.get(&queued.row()).await {
            self.conversations.insert(queued.row(), Remembered { is_contended: true, ..remembered }).await;
        }
        if let Some(agent) = queued.message().agent() {
            self.agents.invalidate(&(queued.row().0, agent)).await;
        }
    }

    /// Finds nothing for a moment.
    pub(super) fn pause(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).paused_until = Some(Instant::now() + PAUSE);
    }
}

fn text_size(conversation: &Conversation) -> usize {
    let context = &conversation.context;
    let texts = [
        &conversation.visitor_id,
        &conversation.visitor_name,
        &conversation.unusable_token_email,
        &context.page_url,
        &context.page_title,
        &context.language,
        &context.time_zone,
    ];
    let properties = context.properties.iter().map(|(key, value)| key.len() + value.len());
    texts.iter().map(|text| text.len()).chain(properties).sum()
}
