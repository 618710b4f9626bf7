//! A key that signs visitor tokens.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

/// A key of a channel. Its secret is derived from the installation's secret and stored nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VisitorKey {
    pub(crate) channel_id: Uuid,
    /// Number within the channel: 1, 2, 3 ...
    pub(crate) number: i32,
    pub(crate) account: AccountId,
    /// Id of the installation's secret that the key is derived from.
    pub(crate) secret_id: String,
    pub(crate) created_at: Time,
    /// None: no end is set.
    pub(crate) ends_at: Option<Time>,
}

impl VisitorKey {
    pub(crate) fn is_active(&self, at: Time) -> bool {
        self.ends_at.is_none_or(|ends_at| ends_at > at)
    }
}
