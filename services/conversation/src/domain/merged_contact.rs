//! A contact that was merged into another one (rules X2, X2a): nothing of it is lost.

use std::collections::BTreeMap;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Contact;

/// Maximum number of addresses that a contact gets by a merge: as many as the team can give it.
const MAX_EMAILS: usize = 20;

/// A contact that was merged: its id and its external id go on naming the contact that it was merged into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MergedContact {
    pub(crate) account: AccountId,
    pub(crate) source_id: Uuid,
    /// Where the chain of merges ends.
    pub(crate) target_id: Uuid,
    /// Its external id. Empty: it had none, or the target has it.
    pub(crate) external_id: String,
    pub(crate) other_values: OtherValues,
    pub(crate) merged_at: Time,
}

/// What a merged contact had otherwise than the contact that it was merged into. Empty: nothing. Stored as JSON: add, never rename.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OtherValues {
    pub(crate) name: String,
    pub(crate) phone: String,
    pub(crate) time_zone: String,
    pub(crate) language: String,
    pub(crate) owner: Option<Uuid>,
    pub(crate) properties: BTreeMap<String, String>,
}

/// What a merge moves, and can have too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MergeLimit {
    Emails,
    Conversations,
    Tickets,
    Visitors,
}

impl MergeLimit {
    /// As errors spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Emails => "EMAILS",
            Self::Conversations => "CONVERSATIONS",
            Self::Tickets => "TICKETS",
            Self::Visitors => "VISITORS",
        }
    }

    /// Maximum number that one merge moves; of addresses, the number that both contacts have. Each visitor is locked for the
    /// transaction, which takes shared memory of PostgreSQL.
    pub(crate) fn max(self) -> usize {
        match self {
            Self::Emails => MAX_EMAILS,
            Self::Conversations | Self::Tickets => 1_000,
            Self::Visitors => 200,
        }
    }

    /// Requires that no more than the maximum is moved.
    pub(crate) fn check(self, count: usize) -> Result<(), Self> {
        if count > self.max() { Err(self) } else { Ok(()) }
    }
}

impl Contact {
    /// The contact after `source` was merged into it, and what is left of that one. The contact's values stay; of the source it
    /// takes what it does not have, and its addresses behind its own.
    pub(crate) fn merged_with(&self, source: &Self, now: Time) -> Result<(Self, MergedContact), MergeLimit> {
        if !source.emails.is_empty() {
            MergeLimit::Emails.check(self.emails.len() + source.emails.len())?;
        }
        // The team uses the contact: it is not removed as one that only answers made.
        let mut after = Self { made_by_visitor: false, ..self.clone() };
        after.emails.extend(source.emails.iter().cloned());
        let mut other_values = OtherValues {
            name: take(&mut after.name, &source.name),
            phone: take(&mut after.phone, &source.phone),
            time_zone: take(&mut after.time_zone, &source.time_zone),
            language: take(&mut after.language, &source.language),
            owner: source.owner.filter(|owner| self.owner.is_some_and(|own| own != *owner)),
            properties: BTreeMap::new(),
        };
        after.owner = self.owner.or(source.owner);
        for (name, value) in &source.properties {
            if !after.properties.contains_key(name) {
                after.set_property(name, value.clone());
            }
            if after.properties.get(name) != Some(value) {
                other_values.properties.insert(name.clone(), value.clone());
            }
        }
        let merged = MergedContact {
            account: self.account,
            source_id: source.id,
            target_id: self.id,
            external_id: take(&mut after.external_id, &source.external_id),
            other_values,
            merged_at: now,
        };
        Ok((after, merged))
    }
}

/// Takes the value where there is none. Returns it if there is another one, otherwise the empty text.
fn take(own: &mut String, value: &str) -> String {
    if own.is_empty() {
        value.clone_into(own);
    }
    if *own == *value { String::new() } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ContactEmail;

    fn contact(id: u128) -> Contact {
        Contact::new(Uuid::from_u128(id), AccountId(Uuid::from_u128(9)), Time(0))
    }

    fn with_emails(id: u128, count: usize) -> Contact {
        let email = |n| ContactEmail { address: format!("{id}-{n}@example.com"), verified: true, added_at: Time(0) };
        Contact { emails: (0..count).map(email).collect(), ..contact(id) }
    }

    fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn x2_the_targets_values_stay_what_it_lacks_is_taken_and_what_differs_is_kept() {
        let target = Contact {
            name: "Vera".into(),
            language: "it".into(),
            owner: Some(Uuid::from_u128(5)),
            properties: properties(&[("plan", "gold"), ("size", "m")]),
            ..contact(1)
        };
        let source = Contact {
            name: "V. Rossi".into(),
            phone: "+39 1".into(),
            language: "it".into(),
            owner: Some(Uuid::from_u128(6)),
            external_id: "crm:7".into(),
            properties: properties(&[("plan", "free"), ("size", "m"), ("shop", "Rome")]),
            ..contact(2)
        };
        let (after, merged) = target.merged_with(&source, Time(3)).unwrap();
        let expected = Contact {
            phone: "+39 1".into(),
            external_id: "crm:7".into(),
            properties: properties(&[("plan", "gold"), ("size", "m"), ("shop", "Rome")]),
            ..target.clone()
        };
        assert_eq!(after, expected);
        let kept = OtherValues {
            name: "V. Rossi".into(),
            owner: Some(Uuid::from_u128(6)),
            properties: properties(&[("plan", "free")]),
            ..OtherValues::default()
        };
        assert_eq!((merged.other_values, merged.external_id.as_str()), (kept, ""));
        let named = Contact { external_id: "crm:8".into(), ..target };
        assert_eq!(
            named.merged_with(&source, Time(3)).unwrap().1.external_id,
            "crm:7",
            "it goes on finding the contact"
        );
    }

    #[test]
    fn x2_properties_without_room_are_kept() {
        let many = |letter: char| (0..50).map(|n| (format!("{letter}{n:02}"), "x".to_owned())).collect();
        let target = Contact { properties: many('a'), ..contact(1) };
        let source = Contact { properties: many('b'), ..contact(2) };
        let (after, merged) = target.merged_with(&source, Time(3)).unwrap();
        assert_eq!((after.properties, merged.other_values.properties), (target.properties, source.properties));
    }

    #[test]
    fn x2_addresses_go_behind_the_targets_as_long_as_there_is_room() {
        let (after, _) = with_emails(1, 15).merged_with(&with_emails(2, 5), Time(3)).unwrap();
        assert_eq!(after.emails, [with_emails(1, 15).emails, with_emails(2, 5).emails].concat());
        assert_eq!(with_emails(1, 15).merged_with(&with_emails(2, 6), Time(3)), Err(MergeLimit::Emails));
        // Signed tokens may have given it more.
        assert!(with_emails(1, 25).merged_with(&contact(2), Time(3)).is_ok());
    }
}
