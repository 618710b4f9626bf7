//! The updates of a watched inbox.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use frontdesk_api::{CursorSigner, LiveUpdates};
use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_proto::{
    conversation::v1::{WatchInboxResponse, watch_inbox_response::Update},
    watch::v1::{CaughtUp, Heartbeat},
};
use tokio::{sync::broadcast::error::RecvError, time::Instant};
use tonic::Status;
use uuid::Uuid;

use super::convert;
use crate::{
    App,
    queries::{self, ChangedAfter, Filter, Inbox},
    workers::InboxWatch,
};

/// Interval between two cursors while updates come.
const CURSOR_INTERVAL: Duration = Duration::from_secs(10);
/// Interval between two looks whether the members of the watched team changed.
const TEAM_INTERVAL: Duration = Duration::from_secs(10);
/// Maximum number of conversations that are remembered as gone.
const MAX_GONE: usize = 500;

/// One watch of an inbox.
pub(super) struct InboxUpdates {
    app: App,
    caller: Caller,
    filter: Filter,
    signer: CursorSigner,
    watch: InboxWatch,
    /// Where reading what the watch has missed goes on.
    missed: ChangedAfter,
    caught_up: bool,
    waiting: VecDeque<Update>,
    /// Everything that changed before was taken.
    taken_until: Time,
    /// Everything that changed before was sent.
    sent_until: Time,
    cursor_sent_at: Instant,
    /// When the members of the filter's team were last read.
    team_read_at: Instant,
    /// Conversations that the client knows to be gone: it is not sent again while they do not match.
    gone: HashSet<Uuid>,
}

impl InboxUpdates {
    /// `cursor`: where the watch goes on. `watch` began before `now` was read.
    pub(super) fn new(
        app: App,
        caller: Caller,
        filter: Filter,
        signer: CursorSigner,
        watch: InboxWatch,
        cursor: Option<Time>,
        now: Time,
    ) -> Self {
        let from = cursor.unwrap_or(now);
        Self {
            app,
            caller,
            filter,
            signer,
            watch,
            missed: cursor.map(ChangedAfter::cursor).unwrap_or_default(),
            caught_up: false,
            waiting: VecDeque::new(),
            taken_until: from,
            sent_until: from,
            cursor_sent_at: Instant::now(),
            team_read_at: Instant::now(),
            gone: HashSet::new(),
        }
    }

    /// Takes the conversations of contacts too into which one of the filter was merged since the watch began (rule X2a).
    fn follow_merges(&mut self, inbox: &Inbox) {
        for (target, sources) in &inbox.merged_contacts {
            if sources.iter().any(|source| self.filter.contacts.contains(source)) {
                self.filter.contacts.insert(*target);
            }
        }
    }

    fn take(&mut self, inbox: &Inbox) {
        self.follow_merges(inbox);
        let agent = self.caller.agent_id();
        if agent.is_some_and(|agent| !inbox.conversations.is_empty() && !inbox.agents.contains(&agent)) {
            // The read had begun before this watch.
            self.missed = ChangedAfter::cursor(self.sent_until);
            return;
        }
        for one in &inbox.conversations {
            self.taken_until = self.taken_until.max(one.last_activity_at);
            if inbox.matches(&self.filter, agent, one) {
                self.gone.remove(&one.id);
                self.waiting.push_back(Update::Row(convert::inbox_row(one, inbox, agent)));
                continue;
            }
            if self.gone.len() >= MAX_GONE {
                self.gone.clear();
            }
            if self.gone.insert(one.id) {
                self.waiting.push_back(Update::GoneConversationId(one.id.to_string()));
            }
        }
    }

    /// Ends the watch after the members of the filter's team have changed: the client lists the team's inbox anew.
    async fn check_team(&mut self) -> Result<(), Status> {
        if let Some(membership) = self.filter.membership {
            queries::require_same_members(&self.app, &self.caller, membership).await?;
        }
        self.team_read_at = Instant::now();
        Ok(())
    }

    fn with_cursor(&mut self, update: Update) -> Result<WatchInboxResponse, Status> {
        self.cursor_sent_at = Instant::now();
        Ok(WatchInboxResponse { update: Some(update), cursor: self.cursor()? })
    }
}

impl LiveUpdates for InboxUpdates {
    type Update = WatchInboxResponse;

    async fn next(&mut self) -> Result<WatchInboxResponse, Status> {
        loop {
            if let Some(update) = self.waiting.pop_front() {
                if !self.waiting.is_empty() {
                    return Ok(WatchInboxResponse { update: Some(update), cursor: String::new() });
                }
                // What was missed is read in two orders: until all of it is sent, a new watch begins where this one did.
                if self.missed.is_all() {
                    self.sent_until = self.taken_until;
                }
                if self.cursor_sent_at.elapsed() >= CURSOR_INTERVAL {
                    return self.with_cursor(update);
                }
                return Ok(WatchInboxResponse { update: Some(update), cursor: String::new() });
            }
            if !self.missed.is_all() {
                let (missed, next) = queries::list_changed_conversations(&self.app, &self.caller, self.missed).await?;
                self.missed = next;
                self.take(&missed);
                continue;
            }
            if !std::mem::replace(&mut self.caught_up, true) {
                return self.with_cursor(Update::CaughtUp(CaughtUp {}));
            }
            let (has_team, next_look) = (self.filter.membership.is_some(), self.team_read_at + TEAM_INTERVAL);
            let changes = tokio::select! {
                changes = self.watch.changes.recv() => changes,
                () = tokio::time::sleep_until(next_look), if has_team => {
                    self.check_team().await?;
                    continue;
                }
            };
            match changes {
                Ok(changed) => self.take(&changed),
                Err(RecvError::Lagged(_)) => {
                    // What still waits is among what is read now.
                    self.watch.changes = self.watch.changes.resubscribe();
                    self.missed = ChangedAfter::cursor(self.sent_until);
                }
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    fn heartbeat(&mut self) -> Result<WatchInboxResponse, Status> {
        self.with_cursor(Update::Heartbeat(Heartbeat {}))
    }

    fn cursor(&mut self) -> Result<String, Status> {
        if self.waiting.is_empty()
            && self.missed.is_all()
            && let Some(time) = self.watch.received_until()
        {
            self.sent_until = self.sent_until.max(time);
        }
        self.signer.sign(&self.sent_until)
    }
}
