//! The tenant.

use std::fmt;

use sea_orm::prelude::Uuid;
use serde::{Deserialize, Serialize};

/// The account that a row, a caller or an event belongs to. A type of its own, so that no other id is taken for it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sea_orm::DeriveValueType,
)]
#[serde(transparent)]
pub struct AccountId(pub Uuid);

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Required of every part of a primary key; no database numbers accounts.
impl sea_orm::TryFromU64 for AccountId {
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64("AccountId"))
    }
}
