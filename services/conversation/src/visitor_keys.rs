//! Which keys for visitor tokens are good: asked for each call of a visitor, and remembered for a moment.

use std::time::Duration;

use frontdesk_auth::VisitorKeyStore;
use frontdesk_db::AccountId;
use moka::future::Cache;
use uuid::Uuid;

use crate::{App, store::visitor_keys};

/// So late a key's end is noticed.
const REMEMBERED: Duration = Duration::from_secs(5);
const REMEMBERED_AT_MOST: u64 = 10_000;

/// What was asked lately. A key that is not good is not remembered: it may have been made just now.
pub(crate) struct Remembered(Cache<(AccountId, Uuid, i32), ()>);

impl Default for Remembered {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED_AT_MOST).time_to_live(REMEMBERED).build())
    }
}

#[async_trait::async_trait]
impl VisitorKeyStore for App {
    async fn is_active(&self, account: AccountId, channel: Uuid, number: i32) -> Result<bool, String> {
        let key = (account, channel, number);
        if self.visitor_keys.0.get(&key).await.is_some() {
            return Ok(true);
        }
        let found = async {
            let found = visitor_keys::find(self.db.read(), account, channel, number).await?;
            Ok::<_, sea_orm::DbErr>((found, self.db.now().await?))
        };
        let (found, now) = found.await.map_err(|error| error.to_string())?;
        let good = found.is_some_and(|key| key.ends_at.is_none_or(|ends| ends > now));
        if good {
            self.visitor_keys.0.insert(key, ()).await;
        }
        Ok(good)
    }
}
