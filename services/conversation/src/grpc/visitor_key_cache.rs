//! Which keys for visitor tokens are active: asked for each call of a visitor, and cached briefly.

use std::time::Duration;

use frontdesk_auth::VisitorKeyStore;
use frontdesk_db::AccountId;
use moka::future::Cache;
use uuid::Uuid;

use crate::{App, queries};

/// How long an active key is cached: the longest delay until its end is noticed.
const TTL: Duration = Duration::from_secs(1);
/// Maximum number of cached keys.
const CAPACITY: u64 = 10_000;

/// Keys that were active recently. A key that is not active is not cached: it may be created at any time.
#[derive(Clone)]
pub(crate) struct VisitorKeyCache(Cache<(AccountId, Uuid, i32), ()>);

impl Default for VisitorKeyCache {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(CAPACITY).time_to_live(TTL).build())
    }
}

/// Waits, after keys have ended, until no replica takes them for active any more.
pub(super) async fn until_ends_are_noticed() {
    tokio::time::sleep(TTL).await;
}

#[async_trait::async_trait]
impl VisitorKeyStore for App {
    async fn is_active(&self, account: AccountId, channel: Uuid, number: i32) -> Result<bool, String> {
        let key = (account, channel, number);
        if self.visitor_keys.0.get(&key).await.is_some() {
            return Ok(true);
        }
        let is_active = queries::is_visitor_key_active(self, account, channel, number).await;
        let is_active = is_active.map_err(|error| error.to_string())?;
        if is_active {
            self.visitor_keys.0.insert(key, ()).await;
        }
        Ok(is_active)
    }
}
