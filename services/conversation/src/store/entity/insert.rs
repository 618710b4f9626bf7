//! A row of `inserts`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::Insert;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "inserts")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub shortcut: String,
    pub title: String,
    pub tags: String,
    pub kind: String,
    pub content: String,
    pub search_text: String,
    pub created_at: Time,
    pub updated_at: Time,
    pub deleted_at: Option<Time>,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<&Insert> for Model {
    type Error = DbErr;

    fn try_from(insert: &Insert) -> Result<Self, DbErr> {
        Ok(Self {
            id: insert.id,
            account_id: insert.account,
            shortcut: insert.shortcut.clone(),
            title: insert.title.clone(),
            tags: serde_json::json!(insert.tags).to_string(),
            kind: insert.content.kind().to_owned(),
            content: serde_json::to_string(&insert.content).map_err(|error| DbErr::Type(error.to_string()))?,
            search_text: insert.search_text(),
            created_at: insert.created_at,
            updated_at: insert.updated_at,
            deleted_at: insert.deleted_at,
            version: insert.version,
        })
    }
}

impl TryFrom<Model> for Insert {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.id,
            account: row.account_id,
            shortcut: row.shortcut,
            title: row.title,
            tags: serde_json::from_str(&row.tags).unwrap_or_default(),
            content: serde_json::from_str(&row.content).map_err(|error| DbErr::Type(error.to_string()))?,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
            version: row.version,
        })
    }
}
