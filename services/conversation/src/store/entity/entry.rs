//! A row of `entries`.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Columns};
use sea_orm::entity::prelude::*;

use crate::domain::{Actor, ActorKind, Entry};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "entries")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    pub visitor_sequence: Option<i64>,
    pub account_id: AccountId,
    pub author_kind: ActorKind,
    pub author_id: String,
    pub content: String,
    pub created_at: Time,
    pub request_id: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Reads the next columns of a result, which are those of the table in the order of [`Column`].
    pub(crate) fn read(columns: &mut Columns<'_>) -> Result<Self, DbErr> {
        Ok(Self {
            conversation_id: columns.read()?,
            sequence: columns.read()?,
            visitor_sequence: columns.read_optional()?,
            account_id: columns.read()?,
            author_kind: columns.read()?,
            author_id: columns.read()?,
            content: columns.read()?,
            created_at: columns.read()?,
            request_id: columns.read_optional()?,
        })
    }

    /// The row of an entry of a conversation of the account.
    pub(crate) fn new(account: AccountId, entry: Entry) -> Result<Self, DbErr> {
        Ok(Self {
            conversation_id: entry.conversation_id,
            sequence: entry.sequence,
            visitor_sequence: entry.visitor_sequence,
            account_id: account,
            author_kind: entry.author.kind,
            author_id: entry.author.id,
            content: serde_json::to_string(&entry.content).map_err(|error| DbErr::Type(error.to_string()))?,
            created_at: entry.created_at,
            request_id: entry.request_id,
        })
    }
}

impl TryFrom<Model> for Entry {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        Ok(Self {
            conversation_id: row.conversation_id,
            sequence: row.sequence,
            visitor_sequence: row.visitor_sequence,
            author: Actor { kind: row.author_kind, id: row.author_id },
            content: serde_json::from_str(&row.content).map_err(|error| DbErr::Type(error.to_string()))?,
            request_id: row.request_id,
            created_at: row.created_at,
        })
    }
}
