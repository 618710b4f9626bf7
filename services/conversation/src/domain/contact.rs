//! A contact: a person whom the team knows by an address, a name or properties.

use std::{cmp::Reverse, collections::BTreeMap};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

/// Maximum number of addresses that a contact gets by typing.
const MAX_TYPED_ADDRESSES: usize = 5;

/// A contact with their addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contact {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) phone: String,
    /// IANA name. Empty: unknown.
    pub(crate) time_zone: String,
    /// Answers by the name of their property.
    pub(crate) properties: BTreeMap<String, String>,
    /// Sorted: the address that mail goes to is the first.
    pub(crate) emails: Vec<ContactEmail>,
    pub(crate) created_at: Time,
    /// Number of the contact's events; also its etag.
    pub(crate) version: i64,
}

/// An address of a contact. Within an account an address belongs to one contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContactEmail {
    pub(crate) address: String,
    /// A signed token or an agent vouched for it.
    pub(crate) verified: bool,
    pub(crate) added_at: Time,
}

/// What an edit by an agent changes. None: unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContactUpdate {
    pub(crate) name: Option<String>,
    /// An address in its canonical spelling. It is verified, since an agent enters it (rule X1).
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) time_zone: Option<String>,
}

impl Contact {
    pub(crate) fn new(id: Uuid, account: AccountId, now: Time) -> Self {
        Self {
            id,
            account,
            name: String::new(),
            phone: String::new(),
            time_zone: String::new(),
            properties: BTreeMap::new(),
            emails: Vec::new(),
            created_at: now,
            version: 1,
        }
    }

    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Edits the contact.
    pub(crate) fn update(&mut self, update: ContactUpdate, now: Time) {
        if let Some(name) = update.name {
            self.name = name;
        }
        if let Some(phone) = update.phone {
            self.phone = phone;
        }
        if let Some(time_zone) = update.time_zone {
            self.time_zone = time_zone;
        }
        if let Some(email) = update.email {
            self.add_email(email, true, now);
        }
    }

    /// Adds an address. One that is verified stays so.
    pub(crate) fn add_email(&mut self, address: String, verified: bool, now: Time) {
        let verified = verified || self.has_verified(&address);
        self.emails.retain(|email| email.address != address);
        self.emails.push(ContactEmail { address, verified, added_at: now });
        sort_emails(&mut self.emails);
    }

    /// Whether the contact has the address, and it is verified.
    pub(crate) fn has_verified(&self, address: &str) -> bool {
        self.emails.iter().any(|email| email.verified && email.address == address)
    }

    /// Whether another address may be added by typing it.
    pub(crate) fn may_add_typed_email(&self) -> bool {
        self.emails.iter().filter(|email| !email.verified).count() < MAX_TYPED_ADDRESSES
    }
}

/// Verified addresses before typed ones, newer before older.
pub(crate) fn sort_emails(emails: &mut [ContactEmail]) {
    emails.sort_by_key(|email| (!email.verified, Reverse(email.added_at)));
}
