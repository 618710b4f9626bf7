//! What a change of owner did, as it is stored for repeats.

use frontdesk_clock::Time;
use serde::{Deserialize, Serialize};

use crate::domain::Owner;

/// What the change did. Stored as JSON for repeats: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangedAssignee {
    pub(crate) from: Option<Owner>,
    /// The epoch that began; where nothing had to change, the current one.
    pub(crate) epoch: i64,
    /// When the epoch began. None: nothing had to change.
    pub(crate) at: Option<Time>,
}

/// The stored result of a request: this release's, or that of the release before, which stored no time.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum StoredChange {
    Current(ChangedAssignee),
    WithoutTime(i64, Option<Owner>),
}

impl From<StoredChange> for ChangedAssignee {
    fn from(stored: StoredChange) -> Self {
        match stored {
            StoredChange::Current(changed) => changed,
            StoredChange::WithoutTime(epoch, from) => Self { from, epoch, at: None },
        }
    }
}
