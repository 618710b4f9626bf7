//! The updates of a stream of turns (rule B7).

use std::{collections::VecDeque, time::Duration};

use frontdesk_api::{ApiError, LiveUpdates};
use frontdesk_db::AccountId;
use frontdesk_proto::{
    botsession::v1::{WatchTurnsResponse, watch_turns_response::Update},
    watch::v1::{CaughtUp, Heartbeat},
};
use tokio::{sync::watch, task::JoinHandle};
use tonic::Status;
use uuid::Uuid;

use super::convert;
use crate::{App, commands, domain::EngineTurn, error::BotSessionError};

/// Interval between two looks for turns that another replica stored (milliseconds).
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// One stream of turns.
pub(super) struct TurnUpdates {
    app: App,
    account: AccountId,
    bot: Uuid,
    /// Id of the stream, under which turns are leased to it.
    stream: Uuid,
    max_turns: u64,
    /// Changes of turns in this process.
    changes: watch::Receiver<u64>,
    /// A task of its own, because a lease that was committed must not be lost when the next update is not waited for any more.
    leasing: Option<JoinHandle<Result<Vec<EngineTurn>, BotSessionError>>>,
    /// Turns that are leased and not sent yet.
    leased: VecDeque<EngineTurn>,
    caught_up: bool,
}

impl TurnUpdates {
    pub(super) fn new(app: App, account: AccountId, bot: Uuid, max_turns: u64) -> Self {
        Self {
            account,
            bot,
            stream: app.db.new_id(),
            max_turns,
            changes: app.turn_changes.subscribe(),
            leasing: None,
            leased: VecDeque::new(),
            caught_up: false,
            app,
        }
    }

    fn lease(&mut self) -> JoinHandle<Result<Vec<EngineTurn>, BotSessionError>> {
        // Before the read, so that no change during it is missed.
        self.changes.mark_unchanged();
        let (app, account, bot, stream, max) = (self.app.clone(), self.account, self.bot, self.stream, self.max_turns);
        tokio::spawn(async move { commands::lease_turns(&app, account, bot, stream, max).await })
    }
}

impl LiveUpdates for TurnUpdates {
    type Update = WatchTurnsResponse;

    async fn next(&mut self) -> Result<WatchTurnsResponse, Status> {
        loop {
            if let Some(turn) = self.leased.pop_front() {
                return Ok(response(Update::Turn(convert::turn_to_proto(&turn))));
            }
            if self.leasing.is_none() {
                self.leasing = Some(self.lease());
            }
            if let Some(leasing) = &mut self.leasing {
                let leased = leasing.await;
                self.leasing = None;
                self.leased.extend(leased.map_err(|error| Status::from(ApiError::internal(&error)))??);
            }
            if !self.leased.is_empty() {
                continue;
            }
            if !std::mem::replace(&mut self.caught_up, true) {
                return Ok(response(Update::CaughtUp(CaughtUp {})));
            }
            tokio::select! {
                _ = self.changes.changed() => {}
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
