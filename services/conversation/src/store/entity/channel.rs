//! A row of `channels`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;
use serde_json::Value;

use crate::domain::{AnonymousVisitors, Channel};

/// Says in `greeter` that the channel's bot greets.
const BOT: &str = "BOT";
/// Says in `greeter` that conversations start unassigned.
const NO_GREETER: &str = "NOBODY";

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "channels")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub name: String,
    pub website_url: String,
    /// Only for older binaries: `bot_id` decides.
    pub greeter: String,
    pub bot_id: Option<Uuid>,
    pub transcript_enabled: bool,
    pub transcript_sender_id: Option<Uuid>,
    pub time_zone: String,
    pub language: String,
    /// A JSON list. None: there are no anonymous visitors.
    pub anonymous_origins: Option<String>,
    pub opening_hours_id: Option<Uuid>,
    pub routing_policy_id: Option<Uuid>,
    pub hand_off_policy_id: Option<Uuid>,
    pub deleted: bool,
    pub created_at: Time,
    pub updated_at: Time,
    pub deleted_at: Option<Time>,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Channel> for Model {
    fn from(channel: Channel) -> Self {
        let deleted = channel.is_deleted();
        Self {
            id: channel.id,
            account_id: channel.account,
            name: channel.name,
            website_url: channel.website_url,
            greeter: channel.bot_id.map_or(NO_GREETER, |_| BOT).to_owned(),
            bot_id: channel.bot_id,
            transcript_enabled: channel.transcript_enabled,
            transcript_sender_id: channel.transcript_sender_id,
            time_zone: channel.time_zone,
            language: channel.language,
            anonymous_origins: channel.anonymous_visitors.map(|all| Value::from(all.allowed_origins).to_string()),
            opening_hours_id: channel.opening_hours_id,
            routing_policy_id: channel.routing_policy_id,
            hand_off_policy_id: channel.hand_off_policy_id,
            deleted,
            created_at: channel.created_at,
            updated_at: channel.updated_at,
            deleted_at: channel.deleted_at,
            version: channel.version,
        }
    }
}

impl From<Model> for Channel {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            account: row.account_id,
            name: row.name,
            website_url: row.website_url,
            bot_id: row.bot_id,
            transcript_enabled: row.transcript_enabled,
            transcript_sender_id: row.transcript_sender_id,
            time_zone: row.time_zone,
            language: row.language,
            anonymous_visitors: row.anonymous_origins.map(|origins| AnonymousVisitors {
                allowed_origins: serde_json::from_str(&origins).unwrap_or_default(),
            }),
            opening_hours_id: row.opening_hours_id,
            // An older binary gives the channel a bot and keeps the policy.
            routing_policy_id: row.routing_policy_id.filter(|_| row.bot_id.is_none()),
            hand_off_policy_id: row.hand_off_policy_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
            // An older binary stores no time.
            deleted_at: row.deleted.then_some(row.deleted_at.unwrap_or(row.updated_at)),
            version: row.version,
        }
    }
}
