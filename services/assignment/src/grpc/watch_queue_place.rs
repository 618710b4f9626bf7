//! The updates of a watched place in a queue (rule A6).

use std::time::Duration;

use frontdesk_api::LiveUpdates;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{WatchQueuePlaceResponse, watch_queue_place_response::Update},
    watch::v1::{CaughtUp, Heartbeat},
};
use tokio::time::Instant;
use tonic::Status;
use uuid::Uuid;

use super::convert;
use crate::{App, domain::QueuePlace, queries};

/// Interval between two looks at the queue (seconds). The watches of an account share what is read.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// One watch of a place.
pub(super) struct PlaceUpdates {
    app: App,
    account: AccountId,
    conversation: Uuid,
    /// The place that the client has. None: nothing was sent.
    sent: Option<QueuePlace>,
    caught_up: bool,
    next_look: Instant,
}

impl PlaceUpdates {
    pub(super) fn new(app: App, account: AccountId, conversation: Uuid) -> Self {
        Self { app, account, conversation, sent: None, caught_up: false, next_look: Instant::now() }
    }
}

impl LiveUpdates for PlaceUpdates {
    type Update = WatchQueuePlaceResponse;

    async fn next(&mut self) -> Result<WatchQueuePlaceResponse, Status> {
        loop {
            if self.sent.is_some() && !std::mem::replace(&mut self.caught_up, true) {
                return Ok(response(Update::CaughtUp(CaughtUp {})));
            }
            tokio::time::sleep_until(self.next_look).await;
            let place = queries::recent_queues(&self.app, self.account).await?.place(self.conversation);
            self.next_look = Instant::now() + LOOK_INTERVAL;
            if self.sent != Some(place) {
                self.sent = Some(place);
                return Ok(response(Update::Place(convert::queue_place(self.conversation, place))));
            }
        }
    }

    fn heartbeat(&mut self) -> Result<WatchQueuePlaceResponse, Status> {
        Ok(response(Update::Heartbeat(Heartbeat {})))
    }

    /// Nothing is resumed: each watch begins with the place as it is.
    fn cursor(&mut self) -> Result<String, Status> {
        Ok(String::new())
    }
}

fn response(update: Update) -> WatchQueuePlaceResponse {
    WatchQueuePlaceResponse { update: Some(update) }
}
