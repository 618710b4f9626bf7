//! A row of `assignments`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::assignment::v1::{AssignmentCause, OwnerKind};
use sea_orm::entity::prelude::*;

use crate::domain::{Party, Stretch};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "assignments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub epoch: i64,
    pub owner_kind: i32,
    pub owner_id: String,
    pub by_kind: i32,
    pub by_id: String,
    pub cause: i32,
    pub started_at: Time,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub(crate) fn new(account: AccountId, stretch: Stretch) -> Self {
        Self {
            account_id: account.0,
            conversation_id: stretch.conversation,
            epoch: stretch.epoch,
            owner_kind: stretch.owner.kind.into(),
            owner_id: stretch.owner.id,
            by_kind: stretch.by.kind.into(),
            by_id: stretch.by.id,
            cause: stretch.cause.into(),
            started_at: stretch.started_at,
        }
    }
}

impl From<Model> for Stretch {
    fn from(row: Model) -> Self {
        let party = |kind, id| Party { kind: OwnerKind::try_from(kind).unwrap_or_default(), id };
        Self {
            conversation: row.conversation_id,
            epoch: row.epoch,
            owner: party(row.owner_kind, row.owner_id),
            by: party(row.by_kind, row.by_id),
            cause: AssignmentCause::try_from(row.cause).unwrap_or_default(),
            started_at: row.started_at,
        }
    }
}
