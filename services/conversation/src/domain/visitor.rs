//! Which contact a visitor is (rule X1).
//!
//! A contact is verified to be the visitor's own by a signed token, by an agent, or because it was created for them.
//! Typing an address that another contact has links the visitor to that contact for the team's eyes only: it proves nothing
//! and changes nothing of that contact.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::Contact;

/// How a visitor is linked to their contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VisitorLink {
    /// The contact is the visitor's own.
    Verified,
    /// The visitor typed an address that the contact has.
    Claimed,
}

impl VisitorLink {
    /// As rows spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "OWN",
            Self::Claimed => "TYPED",
        }
    }
}

/// A visitor who is linked to a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visitor {
    pub(crate) account: AccountId,
    pub(crate) id: String,
    pub(crate) contact_id: Uuid,
    pub(crate) link: VisitorLink,
    /// The address that a signed token vouched for, or that the visitor typed.
    pub(crate) address: Option<String>,
    /// Their own name: of their token, or their answer. Empty: unknown.
    pub(crate) name: String,
}

/// A link of a visitor that is about to be stored.
#[derive(Clone, Debug)]
pub(crate) struct NewLink {
    pub(crate) contact_id: Uuid,
    pub(crate) link: VisitorLink,
    /// The address that proves the link, or that they typed. None: the one known before, if only the address is unknown.
    pub(crate) address: Option<String>,
    /// Their own name. None: the one known before.
    pub(crate) name: Option<String>,
}

impl NewLink {
    pub(crate) fn verified(contact_id: Uuid) -> Self {
        Self { contact_id, link: VisitorLink::Verified, address: None, name: None }
    }

    /// The link that the visitor has.
    pub(crate) fn same(visitor: &Visitor) -> Self {
        Self { contact_id: visitor.contact_id, link: visitor.link, address: None, name: None }
    }

    pub(crate) fn claimed(contact_id: Uuid, address: String) -> Self {
        Self { contact_id, link: VisitorLink::Claimed, address: Some(address), name: None }
    }
}

impl Visitor {
    /// The contact, if it is the visitor's own.
    pub(crate) fn own_contact(&self) -> Option<Uuid> {
        (self.link == VisitorLink::Verified).then_some(self.contact_id)
    }

    /// Their own name, or otherwise the one of the contact that they leave.
    pub(crate) fn name_or(&self, contact_name: &str) -> String {
        if self.name.is_empty() { contact_name.to_owned() } else { self.name.clone() }
    }

    /// Whether the visitor is known by this address of their token, and by this name if it has one.
    pub(crate) fn is_known_as(&self, address: &str, name: Option<&str>) -> bool {
        self.link == VisitorLink::Verified
            && self.address.as_deref() == Some(address)
            && name.is_none_or(|name| name == self.name)
    }

    /// The visitor after they were linked to a contact by an address. An address that was proved stays while the contact
    /// and the kind of the link stay. None: the link was so before.
    pub(crate) fn linked(before: Option<&Self>, account: AccountId, id: &str, new: NewLink) -> Option<Self> {
        let NewLink { contact_id, link, address, name } = new;
        let kept = before.filter(|before| before.contact_id == contact_id && before.link == link);
        let address = address.or_else(|| kept.and_then(|before| before.address.clone()));
        let name = name.or_else(|| before.map(|before| before.name.clone())).unwrap_or_default();
        let after = Self { account, id: id.to_owned(), contact_id, link, address, name };
        (before != Some(&after)).then_some(after)
    }
}

/// What an answer of the visitor changes (rules B6, X1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnswerEffect {
    /// The contact is the visitor's own, and changed.
    ContactChanged,
    /// The address is another contact's: the visitor claims to be them.
    Claims { contact_id: Uuid, address: String },
    /// Nothing: the thread holds the answer, and the visitor stays linked to this contact.
    Nothing { contact_id: Uuid },
}

/// Applies the visitor's answer to a property. `contact` is the visitor's own one, or a new one. `value` is a line of
/// text, or, for an address, its canonical spelling; `owner` is the contact that has the address.
pub(crate) fn apply_answer(
    visitor: Option<&Visitor>,
    contact: &mut Contact,
    property: &str,
    value: String,
    owner: Option<Uuid>,
    now: Time,
) -> AnswerEffect {
    let own = visitor.and_then(Visitor::own_contact);
    match (property, owner) {
        // A visitor who has an address of their own stays the contact they are.
        ("email", Some(owner)) if own != Some(owner) && !contact.emails.is_empty() => {
            return AnswerEffect::Nothing { contact_id: contact.id };
        }
        ("email", Some(owner)) if own != Some(owner) => {
            return AnswerEffect::Claims { contact_id: owner, address: value };
        }
        ("email", None) if !contact.may_add_typed_email() => {}
        ("email", _) => contact.add_email(value, false, now),
        // The contact that a visitor claims to be is not theirs to change.
        _ if own.is_none() && visitor.is_some() => {
            let contact_id = visitor.map_or(contact.id, |visitor| visitor.contact_id);
            return AnswerEffect::Nothing { contact_id };
        }
        ("name", _) => contact.name = value,
        ("phone", _) => contact.phone = value,
        (property, _) => contact.set_property(property, value),
    }
    AnswerEffect::ContactChanged
}
