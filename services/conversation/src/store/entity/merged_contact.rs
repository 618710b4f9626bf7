//! A row of `merged_contacts`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::MergedContact;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "merged_contacts")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub source_id: Uuid,
    pub target_id: Uuid,
    /// None: none. A unique index allows one merged contact of an account to have it.
    pub external_id: Option<String>,
    pub other_values: String,
    pub merged_at: Time,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&MergedContact> for Model {
    fn from(merged: &MergedContact) -> Self {
        Self {
            account_id: merged.account,
            source_id: merged.source_id,
            target_id: merged.target_id,
            external_id: Some(merged.external_id.clone()).filter(|id| !id.is_empty()),
            other_values: serde_json::json!(merged.other_values).to_string(),
            merged_at: merged.merged_at,
        }
    }
}

impl From<Model> for MergedContact {
    fn from(row: Model) -> Self {
        Self {
            account: row.account_id,
            source_id: row.source_id,
            target_id: row.target_id,
            external_id: row.external_id.unwrap_or_default(),
            other_values: serde_json::from_str(&row.other_values).unwrap_or_default(),
            merged_at: row.merged_at,
        }
    }
}
