//! A routing policy, as this service knows it: policies belong to the assignment service.

use frontdesk_db::AccountId;
use uuid::Uuid;

/// The local copy of a routing policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoutingPolicy {
    pub(crate) account: AccountId,
    pub(crate) id: Uuid,
    pub(crate) deleted: bool,
    /// Version at its own service; the newer one wins.
    pub(crate) version: i64,
}
