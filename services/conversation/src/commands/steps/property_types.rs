//! Properties of contacts are of the types that the account's settings give them (rule X2).

use std::collections::BTreeMap;

use frontdesk_db::Tx;

use crate::{
    domain::{Contact, check_types},
    error::ConversationError,
    store::account_settings,
};

/// Requires that the values which the contact did not have before are of the types of their properties.
pub(crate) async fn require_property_types(
    tx: &Tx,
    before: &BTreeMap<String, String>,
    contact: &Contact,
) -> Result<(), ConversationError> {
    if contact.properties == *before {
        return Ok(());
    }
    let settings = account_settings::find(tx.conn(), contact.account).await?;
    check_types(&settings.property_types, before, &contact.properties).map_err(ConversationError::PropertyMistyped)
}
