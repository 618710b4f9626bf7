//! A row of `conversations`: the arbiter.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Columns};
use sea_orm::entity::prelude::*;

use super::bot::{from_microseconds, to_microseconds};
use crate::domain::{BotSession, CloseReason, Conversation, Owner, OwnerKind, StartContext, Status};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "conversations")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub channel_id: Uuid,
    pub visitor_id: String,
    pub contact_id: Option<Uuid>,
    pub status: Status,
    pub page_url: String,
    pub page_title: String,
    pub previous_id: Option<Uuid>,
    pub assignee_kind: Option<OwnerKind>,
    pub assignee_id: Option<Uuid>,
    pub epoch: i64,
    pub bot_id: Option<Uuid>,
    pub bot_session_id: Option<Uuid>,
    pub bot_in_charge: bool,
    pub bot_timeout_us: Option<i64>,
    pub bot_started_at: Option<Time>,
    pub had_agent: bool,
    pub last_sequence: i64,
    pub last_visitor_sequence: i64,
    pub close_number: i32,
    pub close_reason: Option<CloseReason>,
    pub closed_at: Option<Time>,
    pub created_at: Time,
    pub last_visitor_activity_at: Time,
    pub last_activity_at: Time,
    pub version: i64,
    pub visitor_name: String,
    pub language: String,
    pub time_zone: String,
    pub properties: String,
    pub unusable_token_email: String,
    pub waiting_since: Option<Time>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Reads the next columns of a result, which are those of the table in the order of [`Column`].
    pub(crate) fn read(columns: &mut Columns<'_>) -> Result<Self, DbErr> {
        Ok(Self {
            id: columns.read()?,
            account_id: columns.read()?,
            channel_id: columns.read()?,
            visitor_id: columns.read()?,
            contact_id: columns.read_optional()?,
            status: columns.read()?,
            page_url: columns.read()?,
            page_title: columns.read()?,
            previous_id: columns.read_optional()?,
            assignee_kind: columns.read_optional()?,
            assignee_id: columns.read_optional()?,
            epoch: columns.read()?,
            bot_id: columns.read_optional()?,
            bot_session_id: columns.read_optional()?,
            bot_in_charge: columns.read()?,
            bot_timeout_us: columns.read_optional()?,
            bot_started_at: columns.read_optional()?,
            had_agent: columns.read()?,
            last_sequence: columns.read()?,
            last_visitor_sequence: columns.read()?,
            close_number: columns.read()?,
            close_reason: columns.read_optional()?,
            closed_at: columns.read_optional()?,
            created_at: columns.read()?,
            last_visitor_activity_at: columns.read()?,
            last_activity_at: columns.read()?,
            version: columns.read()?,
            visitor_name: columns.read()?,
            language: columns.read()?,
            time_zone: columns.read()?,
            properties: columns.read()?,
            unusable_token_email: columns.read()?,
            waiting_since: columns.read_optional()?,
        })
    }
}

impl From<&Conversation> for Model {
    fn from(conversation: &Conversation) -> Self {
        let owner = conversation.owner;
        let context = &conversation.context;
        let session = conversation.bot_session.as_ref();
        Self {
            id: conversation.id,
            account_id: conversation.account,
            channel_id: conversation.channel_id,
            visitor_id: conversation.visitor_id.clone(),
            contact_id: conversation.contact_id,
            status: conversation.status,
            page_url: context.page_url.clone(),
            page_title: context.page_title.clone(),
            previous_id: conversation.previous_id,
            assignee_kind: owner.map(|owner| owner.kind),
            assignee_id: owner.map(|owner| owner.id),
            epoch: conversation.epoch,
            bot_id: session.map(|session| session.bot),
            bot_session_id: session.map(|session| session.id),
            bot_in_charge: session.is_some_and(|session| session.in_charge),
            bot_timeout_us: session.and_then(|session| session.timeout).map(to_microseconds),
            bot_started_at: session.map(|session| session.started_at),
            had_agent: conversation.had_agent,
            last_sequence: conversation.last_sequence,
            last_visitor_sequence: conversation.last_visitor_sequence,
            close_number: conversation.close_number,
            close_reason: conversation.close_reason,
            closed_at: conversation.closed_at,
            created_at: conversation.created_at,
            last_visitor_activity_at: conversation.last_visitor_activity_at,
            last_activity_at: conversation.last_activity_at,
            version: conversation.version,
            visitor_name: conversation.visitor_name.clone(),
            language: context.language.clone(),
            time_zone: context.time_zone.clone(),
            properties: serde_json::json!(context.properties).to_string(),
            unusable_token_email: conversation.unusable_token_email.clone(),
            waiting_since: conversation.waiting_since,
        }
    }
}

impl From<Model> for Conversation {
    fn from(row: Model) -> Self {
        let bot_session = row.bot_id.zip(row.bot_session_id).map(|(bot, id)| BotSession {
            id,
            bot,
            timeout: row.bot_timeout_us.map(from_microseconds),
            started_at: row.bot_started_at.unwrap_or(row.created_at),
            in_charge: row.bot_in_charge,
        });
        Self {
            id: row.id,
            account: row.account_id,
            channel_id: row.channel_id,
            visitor_id: row.visitor_id,
            visitor_name: row.visitor_name,
            unusable_token_email: row.unusable_token_email,
            contact_id: row.contact_id,
            status: row.status,
            context: StartContext {
                page_url: row.page_url,
                page_title: row.page_title,
                language: row.language,
                time_zone: row.time_zone,
                properties: serde_json::from_str(&row.properties).unwrap_or_default(),
            },
            previous_id: row.previous_id,
            owner: row.assignee_kind.zip(row.assignee_id).map(|(kind, id)| Owner { kind, id }),
            epoch: row.epoch,
            bot_session,
            had_agent: row.had_agent,
            last_sequence: row.last_sequence,
            last_visitor_sequence: row.last_visitor_sequence,
            close_number: row.close_number,
            close_reason: row.close_reason,
            closed_at: row.closed_at,
            created_at: row.created_at,
            last_visitor_activity_at: row.last_visitor_activity_at,
            last_activity_at: row.last_activity_at,
            // A replica of a release before the column closes without clearing it.
            waiting_since: row.waiting_since.filter(|_| row.status == Status::Open),
            version: row.version,
            new_entries: Vec::new(),
            new_events: Vec::new(),
        }
    }
}
