//! The updates of watched deliveries: each as it is when it is sent.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use frontdesk_api::LiveUpdates;
use frontdesk_auth::Caller;
use frontdesk_proto::{
    notification::v1::{Delivery, WatchDeliveriesResponse, watch_deliveries_response::Update},
    watch::v1::{CaughtUp, Heartbeat},
};
use tonic::Status;

use super::convert;
use crate::{App, domain::DeliveryFilter, queries};

/// Interval between two looks for changes (seconds).
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Number of the newest deliveries that are watched.
const NEWEST: u64 = 200;

/// One stream.
pub(super) struct DeliveryUpdates {
    app: App,
    caller: Caller,
    filter: DeliveryFilter,
    /// What is to be sent, oldest first.
    pending: VecDeque<Delivery>,
    /// What was sent last of each watched delivery, by its id.
    sent: HashMap<String, Delivery>,
    caught_up: bool,
}

impl DeliveryUpdates {
    /// Returns the updates of the deliveries that match, beginning with those that there are.
    pub(super) async fn begin(app: App, caller: Caller, filter: DeliveryFilter) -> Result<Self, Status> {
        let (pending, sent) = (VecDeque::new(), HashMap::new());
        let mut updates = Self { app, caller, filter, pending, sent, caught_up: false };
        updates.look().await?;
        Ok(updates)
    }

    /// Finds what has changed, and forgets what is not among the newest any more.
    async fn look(&mut self) -> Result<(), Status> {
        let newest = queries::list_deliveries(&self.app, &self.caller, &self.filter, None, NEWEST).await?;
        let newest: Vec<Delivery> = newest.into_iter().rev().map(convert::delivery).collect();
        self.sent = newest.iter().filter_map(|delivery| self.sent.remove_entry(&delivery.id)).collect();
        self.pending = newest.into_iter().filter(|delivery| self.sent.get(&delivery.id) != Some(delivery)).collect();
        Ok(())
    }
}

impl LiveUpdates for DeliveryUpdates {
    type Update = WatchDeliveriesResponse;

    async fn next(&mut self) -> Result<WatchDeliveriesResponse, Status> {
        loop {
            if let Some(delivery) = self.pending.pop_front() {
                self.sent.insert(delivery.id.clone(), delivery.clone());
                return Ok(response(Update::Delivery(delivery)));
            }
            if !std::mem::replace(&mut self.caught_up, true) {
                return Ok(response(Update::CaughtUp(CaughtUp {})));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
            self.look().await?;
        }
    }

    fn heartbeat(&mut self) -> Result<WatchDeliveriesResponse, Status> {
        Ok(response(Update::Heartbeat(Heartbeat {})))
    }

    /// Nothing is resumed: each update has the whole delivery.
    fn cursor(&mut self) -> Result<String, Status> {
        Ok(String::new())
    }
}

fn response(update: Update) -> WatchDeliveriesResponse {
    WatchDeliveriesResponse { update: Some(update) }
}
