//! The updates of a stream of turns (rule B7).

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use frontdesk_api::{ApiError, LiveUpdates};
use frontdesk_proto::{
    botsession::v1::{WatchTurnsResponse, watch_turns_response::Update},
    watch::v1::{CaughtUp, Heartbeat},
};
use tokio::{task::JoinHandle, time::Instant};
use tonic::Status;
use uuid::Uuid;

use super::convert;
use crate::{
    App,
    commands::{self, StreamTurns, Subscription, TurnStream},
    domain::LeaseEnd,
    error::BotSessionError,
};

/// Interval between two looks for what another replica changed (milliseconds).
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Interval between two checks that the bot has an engine still (seconds), however many of its turns change. A change of the bot in this
/// process is seen at once.
const BOT_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// One stream of turns.
pub(super) struct TurnUpdates {
    app: App,
    stream: TurnStream,
    /// Changes of the bot's turns in this process.
    turn_changes: Subscription,
    /// Changes of the bot itself in this process.
    bot_changes: Subscription,
    /// When the bot is checked next.
    bot_check_at: Instant,
    /// A task of its own, because a lease that was committed must not be lost when the next update is not waited for any more.
    looking: Option<JoinHandle<Result<StreamTurns, BotSessionError>>>,
    /// The attempts of the turns that are leased to the stream.
    held: HashMap<Uuid, i64>,
    /// Updates that are not sent yet.
    updates: VecDeque<Update>,
    caught_up: bool,
}

impl TurnUpdates {
    /// `bot_changes`: subscribed before the caller checked that the bot has an engine.
    pub(super) fn new(app: App, stream: TurnStream, bot_changes: Subscription) -> Self {
        Self {
            turn_changes: app.turn_signals.subscribe(stream.account, stream.bot),
            bot_changes,
            bot_check_at: Instant::now() + BOT_CHECK_INTERVAL,
            looking: None,
            held: HashMap::new(),
            updates: VecDeque::new(),
            caught_up: false,
            app,
            stream,
        }
    }

    fn look(&mut self) -> JoinHandle<Result<StreamTurns, BotSessionError>> {
        // Before the read, so that no change during it is missed.
        self.turn_changes.mark_unchanged();
        let now = Instant::now();
        let checks_bot = now >= self.bot_check_at;
        if checks_bot {
            self.bot_check_at = now + BOT_CHECK_INTERVAL;
        }
        let (app, stream, held) = (self.app.clone(), self.stream.clone(), self.held.clone());
        tokio::spawn(async move { commands::lease_turns(&app, &stream, held, checks_bot).await })
    }

    fn apply(&mut self, turns: StreamTurns) {
        for lease in turns.ended {
            self.held.remove(&lease.turn);
            if lease.end != LeaseEnd::Answered {
                self.updates.push_back(Update::TurnOver(convert::turn_over_to_proto(&lease)));
            }
        }
        for turn in turns.leased {
            self.held.insert(turn.id, turn.attempt);
            self.updates.push_back(Update::Turn(convert::turn_to_proto(&turn)));
        }
    }
}

impl LiveUpdates for TurnUpdates {
    type Update = WatchTurnsResponse;

    async fn next(&mut self) -> Result<WatchTurnsResponse, Status> {
        loop {
            if let Some(update) = self.updates.pop_front() {
                return Ok(response(update));
            }
            if self.looking.is_none() {
                self.looking = Some(self.look());
            }
            if let Some(looking) = &mut self.looking {
                let turns = looking.await;
                self.looking = None;
                self.apply(turns.map_err(|error| Status::from(ApiError::internal(&error)))??);
            }
            if !self.updates.is_empty() {
                continue;
            }
            if !std::mem::replace(&mut self.caught_up, true) {
                return Ok(response(Update::CaughtUp(CaughtUp {})));
            }
            tokio::select! {
                () = self.turn_changes.changed() => {}
                () = self.bot_changes.changed() => self.bot_check_at = Instant::now(),
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    fn heartbeat(&mut self) -> Result<WatchTurnsResponse, Status> {
        Ok(response(Update::Heartbeat(Heartbeat {})))
    }

    /// Nothing is resumed: what is leased can be answered without the stream.
    fn cursor(&mut self) -> Result<String, Status> {
        Ok(String::new())
    }
}

fn response(update: Update) -> WatchTurnsResponse {
    WatchTurnsResponse { update: Some(update) }
}
