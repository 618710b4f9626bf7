//! Settings of the account, which only the team sees.

use frontdesk_api::FieldError;
use frontdesk_clock::Time;
use frontdesk_proto::conversation::v1 as pb;

use super::{
    attachments::{attachment_limits, bytes},
    version,
};
use crate::domain::{AccountSettings, AttachmentPolicy, PropertyType, PropertyTypes};

/// `installation`: what it allows to attach. None: nothing.
pub(crate) fn settings(settings: AccountSettings, installation: Option<&AttachmentPolicy>) -> pb::Settings {
    let effective = installation.map(|installation| settings.attachment_policy(installation, false));
    pb::Settings {
        etag: settings.etag(),
        attachment_media_types: settings.attachment_media_types,
        max_attachment_size_bytes: settings.max_attachment_size.map(bytes).unwrap_or_default(),
        visitor_attachments_enabled: settings.visitor_attachments_enabled,
        transcripts_only_blocked_by_own_tickets: settings.own_tickets_only,
        effective_attachments: effective.as_ref().map(attachment_limits),
        installation_attachments: installation.map(attachment_limits),
        update_time: settings.updated_at.map(Time::to_proto),
        version: version(settings.version),
        contact_properties: settings.property_types.into_iter().map(definition).collect(),
        language: settings.language,
    }
}

fn definition((property, kind): (String, PropertyType)) -> pb::ContactPropertyDefinition {
    use pb::ContactPropertyType as P;
    let kind = match kind {
        PropertyType::Text => P::Text,
        PropertyType::Number => P::Number,
        PropertyType::Date => P::Date,
        PropertyType::Boolean => P::Boolean,
        PropertyType::Link => P::Link,
    };
    pb::ContactPropertyDefinition { property, value_type: kind.into() }
}

/// The types in a request. Refuses two of one property.
pub(crate) fn property_types(list: &[pb::ContactPropertyDefinition]) -> Result<PropertyTypes, Vec<FieldError>> {
    use pb::ContactPropertyType as P;
    let mut types = PropertyTypes::new();
    for one in list {
        let kind = match one.value_type() {
            // The field's rule rejects an unspecified one.
            P::Unspecified | P::Text => PropertyType::Text,
            P::Number => PropertyType::Number,
            P::Date => PropertyType::Date,
            P::Boolean => PropertyType::Boolean,
            P::Link => PropertyType::Link,
        };
        if types.insert(one.property.clone(), kind).is_some() {
            let remedy = format!("must have each property once, and has {} twice", one.property);
            return Err(vec![FieldError::new("contact_properties.properties", remedy)]);
        }
    }
    Ok(types)
}
