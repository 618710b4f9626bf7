//! Settings of an account.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;

use super::{AttachmentPolicy, PropertyTypes};

/// Settings of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountSettings {
    pub(crate) account: AccountId,
    /// Media types that can be attached. Empty: those of the installation.
    pub(crate) attachment_media_types: Vec<String>,
    /// Maximum size of an attachment in bytes. None: the installation's.
    pub(crate) max_attachment_size: Option<i64>,
    pub(crate) visitor_attachments_enabled: bool,
    /// Whether only tickets of the conversation itself replace its transcript (rule T2).
    pub(crate) own_tickets_only: bool,
    /// None: they were never changed.
    pub(crate) updated_at: Option<Time>,
    /// Number of the settings' events; also their etag.
    pub(crate) version: i64,
    /// Types of properties of contacts.
    pub(crate) property_types: PropertyTypes,
    /// BCP 47 tag of the language of transcripts. Empty: the installation's.
    pub(crate) language: String,
}

/// What an update changes. None: unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountSettingsUpdate {
    /// Empty: those of the installation.
    pub(crate) attachment_media_types: Option<Vec<String>>,
    /// Some(None): the installation's.
    pub(crate) max_attachment_size: Option<Option<i64>>,
    pub(crate) visitor_attachments_enabled: Option<bool>,
    pub(crate) own_tickets_only: Option<bool>,
    pub(crate) property_types: Option<PropertyTypes>,
    /// Empty: the installation's.
    pub(crate) language: Option<String>,
}

/// A value of a setting that the installation does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SettingRefusal {
    /// It allows other media types.
    MediaType { media_type: String, allowed: String },
    /// It allows no more than this (bytes).
    Size { limit: i64 },
}

impl AccountSettings {
    /// Those of an account that never changed them.
    pub(crate) fn new(account: AccountId) -> Self {
        Self {
            account,
            attachment_media_types: Vec::new(),
            max_attachment_size: None,
            visitor_attachments_enabled: true,
            own_tickets_only: false,
            updated_at: None,
            version: 0,
            property_types: PropertyTypes::new(),
            language: String::new(),
        }
    }

    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// The settings after the update. None: the update changes nothing.
    pub(crate) fn updated(&self, update: AccountSettingsUpdate) -> Option<Self> {
        let media_types = update.attachment_media_types;
        let after = Self {
            attachment_media_types: media_types.unwrap_or_else(|| self.attachment_media_types.clone()),
            max_attachment_size: update.max_attachment_size.unwrap_or(self.max_attachment_size),
            visitor_attachments_enabled: update.visitor_attachments_enabled.unwrap_or(self.visitor_attachments_enabled),
            own_tickets_only: update.own_tickets_only.unwrap_or(self.own_tickets_only),
            property_types: update.property_types.unwrap_or_else(|| self.property_types.clone()),
            language: update.language.unwrap_or_else(|| self.language.clone()),
            ..self.clone()
        };
        (after != *self).then_some(after)
    }

    /// What visitors, or the team, may attach: at most what the installation allows now, which may be less than when the settings were
    /// changed. Without media types: nothing.
    pub(crate) fn attachment_policy(&self, installation: &AttachmentPolicy, by_visitor: bool) -> AttachmentPolicy {
        let is_admitted = self.visitor_attachments_enabled || !by_visitor;
        let chosen = &self.attachment_media_types;
        let is_allowed = |media_type: &&String| is_admitted && (chosen.is_empty() || chosen.contains(media_type));
        AttachmentPolicy {
            media_types: installation.media_types.iter().filter(is_allowed).cloned().collect(),
            max_size: self.max_attachment_size.unwrap_or(installation.max_size).min(installation.max_size),
            keep_unsent: installation.keep_unsent,
        }
    }
}

impl AccountSettingsUpdate {
    /// Refuses values that the installation does not allow.
    pub(crate) fn check(&self, installation: &AttachmentPolicy) -> Result<(), SettingRefusal> {
        let mut media_types = self.attachment_media_types.iter().flatten();
        if let Some(media_type) = media_types.find(|media_type| !installation.allows(media_type)) {
            let allowed = installation.media_types.join(", ");
            return Err(SettingRefusal::MediaType { media_type: media_type.clone(), allowed });
        }
        let size = self.max_attachment_size.flatten();
        if size.is_some_and(|size| size > installation.max_size) {
            return Err(SettingRefusal::Size { limit: installation.max_size });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::domain::PropertyType;

    fn installation(media_types: &[&str], max_size: i64) -> AttachmentPolicy {
        let media_types = media_types.iter().map(|media_type| (*media_type).to_owned()).collect();
        AttachmentPolicy { media_types, max_size, keep_unsent: Duration::from_secs(60) }
    }

    fn settings() -> AccountSettings {
        AccountSettings::new(AccountId(Uuid::from_u128(1)))
    }

    #[test]
    fn c5_without_settings_everything_is_as_the_installation_has_it() {
        let installation = installation(&["image/png", "application/pdf"], 100);
        for by_visitor in [false, true] {
            assert_eq!(settings().attachment_policy(&installation, by_visitor), installation);
        }
    }

    #[test]
    fn c5_an_account_allows_no_more_than_the_installation_also_when_that_allows_less_later() {
        let chosen = vec!["image/png".to_owned(), "application/pdf".to_owned()];
        let set = AccountSettings { attachment_media_types: chosen, max_attachment_size: Some(50), ..settings() };
        let policy = set.attachment_policy(&installation(&["text/plain", "image/png", "application/pdf"], 100), true);
        assert_eq!((policy.media_types.join(" ").as_str(), policy.max_size), ("image/png application/pdf", 50));
        let policy = set.attachment_policy(&installation(&["text/plain", "image/png"], 10), false);
        assert_eq!((policy.media_types.join(" ").as_str(), policy.max_size), ("image/png", 10));
        let policy = set.attachment_policy(&installation(&["text/plain"], 10), false);
        assert!(policy.media_types.is_empty(), "none is left, which is not all");
    }

    #[test]
    fn c5_visitors_who_attach_no_files_leave_the_team_theirs() {
        let (set, installation) =
            (AccountSettings { visitor_attachments_enabled: false, ..settings() }, installation(&["image/png"], 100));
        assert!(!set.attachment_policy(&installation, true).allows("image/png"));
        assert!(set.attachment_policy(&installation, false).allows("image/png"));
    }

    #[test]
    fn c5_a_value_beyond_the_installation_is_refused() {
        let installation = installation(&["image/png", "text/plain"], 100);
        let types = |types: &[&str]| AccountSettingsUpdate {
            attachment_media_types: Some(types.iter().map(|one| (*one).to_owned()).collect()),
            ..AccountSettingsUpdate::default()
        };
        let size = |size| AccountSettingsUpdate { max_attachment_size: Some(size), ..AccountSettingsUpdate::default() };
        for allowed in [types(&[]), types(&["text/plain"]), size(None), size(Some(100))] {
            assert_eq!(allowed.check(&installation), Ok(()), "{allowed:?}");
        }
        let allowed = "image/png, text/plain".to_owned();
        let refused = SettingRefusal::MediaType { media_type: "text/html".into(), allowed };
        assert_eq!(types(&["image/png", "text/html"]).check(&installation), Err(refused));
        assert_eq!(size(Some(101)).check(&installation), Err(SettingRefusal::Size { limit: 100 }));
    }

    #[test]
    fn c12_an_update_whose_content_is_there_changes_nothing_and_each_value_is_unset_again() {
        let update = AccountSettingsUpdate {
            attachment_media_types: Some(vec!["image/png".into()]),
            max_attachment_size: Some(Some(7)),
            visitor_attachments_enabled: Some(false),
            own_tickets_only: Some(true),
            property_types: Some([("age".to_owned(), PropertyType::Number)].into()),
            language: Some("it".into()),
        };
        let changed = settings().updated(update.clone()).unwrap();
        assert_eq!(changed.updated(update), None);
        assert_eq!(changed.updated(AccountSettingsUpdate::default()), None);
        let defaults = AccountSettingsUpdate {
            attachment_media_types: Some(Vec::new()),
            max_attachment_size: Some(None),
            visitor_attachments_enabled: Some(true),
            own_tickets_only: Some(false),
            property_types: Some(PropertyTypes::new()),
            language: Some(String::new()),
        };
        assert_eq!(changed.updated(defaults), Some(settings()));
    }
}
