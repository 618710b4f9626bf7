//! A row of `account_settings`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;
use serde_json::Value;

use crate::domain::AccountSettings;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "account_settings")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    /// A JSON list.
    pub attachment_media_types: String,
    pub max_attachment_size: Option<i64>,
    pub visitor_attachments_enabled: bool,
    pub own_tickets_only: bool,
    pub updated_at: Option<Time>,
    pub version: i64,
    /// A JSON object.
    pub contact_property_types: String,
    pub language: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<AccountSettings> for Model {
    fn from(settings: AccountSettings) -> Self {
        Self {
            account_id: settings.account,
            attachment_media_types: Value::from(settings.attachment_media_types).to_string(),
            max_attachment_size: settings.max_attachment_size,
            visitor_attachments_enabled: settings.visitor_attachments_enabled,
            own_tickets_only: settings.own_tickets_only,
            updated_at: settings.updated_at,
            version: settings.version,
            // Its serialisation does not fail.
            contact_property_types: serde_json::to_string(&settings.property_types).unwrap_or_else(|_| "{}".into()),
            language: settings.language,
        }
    }
}

impl TryFrom<Model> for AccountSettings {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        // An empty list would allow more than was set.
        let media_types = serde_json::from_str(&row.attachment_media_types);
        let property_types = serde_json::from_str(&row.contact_property_types);
        Ok(Self {
            account: row.account_id,
            attachment_media_types: media_types.map_err(|error| DbErr::Type(error.to_string()))?,
            max_attachment_size: row.max_attachment_size,
            visitor_attachments_enabled: row.visitor_attachments_enabled,
            own_tickets_only: row.own_tickets_only,
            updated_at: row.updated_at,
            version: row.version,
            property_types: property_types.map_err(|error| DbErr::Type(error.to_string()))?,
            language: row.language,
        })
    }
}
