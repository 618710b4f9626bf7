//! The names of administrators, which the entries show that they write.

use frontdesk_auth::{Caller, CallerKind};
use frontdesk_db::AccountId;
use moka::future::Cache;

use super::display_name;
use crate::{App, domain::Administrator, error::ConversationError, store::administrators};

/// Maximum number of cached administrators.
const MAX_CACHED_ADMINISTRATORS: u64 = 10_000;

/// Caches the names that are stored, by account and subject.
#[derive(Clone)]
pub(crate) struct StoredAdministrators(Cache<(AccountId, String), String>);

impl Default for StoredAdministrators {
    fn default() -> Self {
        Self(Cache::new(MAX_CACHED_ADMINISTRATORS))
    }
}

/// Stores a calling administrator with the name in their token, in a transaction of its own. Of other callers nothing.
pub(crate) async fn store_administrator(app: &App, caller: &Caller) -> Result<(), ConversationError> {
    if caller.actor.kind != CallerKind::Admin {
        return Ok(());
    }
    let key = (caller.account, caller.actor.id.clone());
    let name = Administrator::shown_name(display_name(caller.name.as_deref().unwrap_or_default()));
    if app.stored_administrators.0.get(&key).await.is_some_and(|stored| stored == name || name.is_empty()) {
        return Ok(());
    }
    let tx = app.db.begin_for(caller.account).await?;
    let (account, subject) = key.clone();
    let administrator = Administrator { account, subject, author_id: tx.new_id(), name: name.clone() };
    administrators::save(&tx, administrator).await?;
    tx.commit().await?;
    app.stored_administrators.0.insert(key, name).await;
    Ok(())
}
