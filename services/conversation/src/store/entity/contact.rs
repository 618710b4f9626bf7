//! A row of `contacts`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{Contact, ContactEmail};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "contacts")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    /// None: none. A unique index allows one contact of an account to have it.
    pub external_id: Option<String>,
    pub name: String,
    pub phone: String,
    pub time_zone: String,
    pub properties: String,
    pub created_at: Time,
    pub updated_at: Time,
    pub version: i64,
    pub made_by_visitor: bool,
    pub language: String,
    pub owner_agent_id: Option<Uuid>,
    /// The version whose words are stored. A contact is saved together with its words.
    pub search_version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Contact> for Model {
    fn from(contact: &Contact) -> Self {
        Self {
            id: contact.id,
            account_id: contact.account,
            external_id: Some(contact.external_id.clone()).filter(|id| !id.is_empty()),
            name: contact.name.clone(),
            phone: contact.phone.clone(),
            time_zone: contact.time_zone.clone(),
            properties: serde_json::json!(contact.properties).to_string(),
            created_at: contact.created_at,
            updated_at: contact.updated_at,
            version: contact.version,
            made_by_visitor: contact.made_by_visitor,
            language: contact.language.clone(),
            owner_agent_id: contact.owner,
            search_version: contact.version,
        }
    }
}

impl Model {
    /// The contact with its addresses, in their order.
    pub(crate) fn with_emails(self, emails: Vec<ContactEmail>) -> Contact {
        Contact {
            id: self.id,
            account: self.account_id,
            external_id: self.external_id.unwrap_or_default(),
            name: self.name,
            phone: self.phone,
            time_zone: self.time_zone,
            properties: serde_json::from_str(&self.properties).unwrap_or_default(),
            emails,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
            made_by_visitor: self.made_by_visitor,
            language: self.language,
            owner: self.owner_agent_id,
        }
    }
}
