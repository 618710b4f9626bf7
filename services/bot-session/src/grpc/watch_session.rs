//! The updates of a watched session: its state, as it is when it is sent (rule B6).

use std::time::Duration;

use frontdesk_api::LiveUpdates;
use frontdesk_auth::Caller;
use frontdesk_proto::{
    botsession::v1::{BotSession, WatchBotSessionResponse, watch_bot_session_response::Update},
    watch::v1::{CaughtUp, Heartbeat},
};
use tonic::Status;
use uuid::Uuid;

use super::convert;
use crate::{App, commands::Subscription, domain::Session, queries};

/// Interval between two looks for changes at another replica (seconds).
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// One stream.
pub(super) struct SessionUpdates {
    app: App,
    caller: Caller,
    id: Uuid,
    /// Changes of the session in this process.
    changes: Subscription,
    /// What is to be sent. None: nothing new.
    pending: Option<BotSession>,
    /// What was sent last.
    sent: BotSession,
    caught_up: bool,
}

impl SessionUpdates {
    /// Returns the updates of a session that the caller has just read. `changes`: subscribed before that.
    pub(super) fn new(app: App, caller: Caller, session: Session, changes: Subscription) -> Self {
        let id = session.id;
        let sent = BotSession::default();
        let pending = Some(convert::session_to_proto(session));
        Self { app, caller, id, changes, pending, sent, caught_up: false }
    }
}

impl LiveUpdates for SessionUpdates {
    type Update = WatchBotSessionResponse;

    async fn next(&mut self) -> Result<WatchBotSessionResponse, Status> {
        loop {
            if let Some(session) = self.pending.take() {
                self.sent.clone_from(&session);
                return Ok(response(Update::BotSession(session)));
            }
            if !std::mem::replace(&mut self.caught_up, true) {
                return Ok(response(Update::CaughtUp(CaughtUp {})));
            }
            tokio::select! {
                () = self.changes.changed() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
            let session = queries::get_bot_session(&self.app, &self.caller, self.id).await?;
            self.pending = Some(convert::session_to_proto(session)).filter(|session| *session != self.sent);
        }
    }

    fn heartbeat(&mut self) -> Result<WatchBotSessionResponse, Status> {
        Ok(response(Update::Heartbeat(Heartbeat {})))
    }

    /// Nothing is resumed: each update has the whole state.
    fn cursor(&mut self) -> Result<String, Status> {
        Ok(String::new())
    }
}

fn response(update: Update) -> WatchBotSessionResponse {
    WatchBotSessionResponse { update: Some(update) }
}
