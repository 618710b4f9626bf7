//! A row of `closes`: the snapshot of one close.

use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{ClosingFacts, ClosingSnapshot};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "closes")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub close_number: i32,
    pub account_id: AccountId,
    pub contact_id: Option<Uuid>,
    pub recipient: Option<String>,
    pub recipient_verified: bool,
    pub had_bot_session: bool,
    pub had_agent: bool,
    pub had_ticket: bool,
    pub transcript_enabled: bool,
    pub sender_id: Option<Uuid>,
    pub last_sequence: i64,
    pub token_email_unusable: bool,
    pub channel_language: String,
    pub account_language: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<ClosingSnapshot> for Model {
    fn from(snapshot: ClosingSnapshot) -> Self {
        let facts = snapshot.facts;
        Self {
            conversation_id: snapshot.conversation_id,
            close_number: snapshot.close_number,
            account_id: snapshot.account,
            contact_id: snapshot.contact_id,
            recipient: facts.recipient,
            recipient_verified: facts.recipient_verified,
            had_bot_session: snapshot.had_bot_session,
            had_agent: snapshot.had_agent,
            had_ticket: facts.had_ticket,
            transcript_enabled: facts.transcript_enabled,
            sender_id: facts.sender_id,
            last_sequence: snapshot.last_sequence,
            token_email_unusable: facts.token_email_unusable,
            channel_language: facts.channel_language,
            account_language: facts.account_language,
        }
    }
}

impl From<Model> for ClosingSnapshot {
    fn from(row: Model) -> Self {
        Self {
            account: row.account_id,
            conversation_id: row.conversation_id,
            close_number: row.close_number,
            contact_id: row.contact_id,
            had_bot_session: row.had_bot_session,
            had_agent: row.had_agent,
            last_sequence: row.last_sequence,
            facts: ClosingFacts {
                recipient: row.recipient,
                recipient_verified: row.recipient_verified,
                had_ticket: row.had_ticket,
                transcript_enabled: row.transcript_enabled,
                sender_id: row.sender_id,
                token_email_unusable: row.token_email_unusable,
                channel_language: row.channel_language,
                account_language: row.account_language,
            },
        }
    }
}
