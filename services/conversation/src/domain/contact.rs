//! A contact: a person whom the team knows by an address, a name or properties.

use std::collections::BTreeMap;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

/// Minimum number of digits of a telephone number by which a search finds it.
const MIN_PHONE_DIGITS: usize = 4;
/// Maximum number of addresses that a contact gets by typing.
const MAX_TYPED_ADDRESSES: usize = 5;
/// Maximum number of properties of a contact.
const MAX_PROPERTIES: usize = 50;
/// Maximum size of a contact's properties (bytes of names and values).
pub(crate) const MAX_PROPERTIES_SIZE: usize = 64 * 1024;

/// A contact with their addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contact {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    /// The customer's own id of the person. Within an account it belongs to one contact. Empty: none.
    pub(crate) external_id: String,
    pub(crate) name: String,
    pub(crate) phone: String,
    /// IANA name. Empty: unknown.
    pub(crate) time_zone: String,
    /// BCP 47 tag. Empty: unknown.
    pub(crate) language: String,
    /// The agent who looks after them.
    pub(crate) owner: Option<Uuid>,
    /// Properties of the customer, and answers to bots, by name.
    pub(crate) properties: BTreeMap<String, String>,
    /// In their order: mail goes to the first.
    pub(crate) emails: Vec<ContactEmail>,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    /// Number of the contact's events.
    pub(crate) version: i64,
    /// Whether a visitor's answer or token made the contact, and the team has not used it since.
    pub(crate) made_by_visitor: bool,
}

/// An address of a contact. Within an account an address belongs to one contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContactEmail {
    pub(crate) address: String,
    /// A signed token or an agent vouched for it.
    pub(crate) verified: bool,
    pub(crate) added_at: Time,
}

/// An address of a contact in a request, in its canonical spelling. `verified` is what the agent says (rule X1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewEmail {
    pub(crate) address: String,
    pub(crate) verified: bool,
}

/// What an update by the team changes. None: unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContactUpdate {
    pub(crate) external_id: Option<String>,
    pub(crate) name: Option<String>,
    /// The new list, in which no address occurs twice.
    pub(crate) emails: Option<Vec<NewEmail>>,
    pub(crate) phone: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) owner: Option<Option<Uuid>>,
    pub(crate) properties: Option<BTreeMap<String, String>>,
}

/// A value that another contact has, with that contact's id (rule X2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Email(Uuid),
    ExternalId(Uuid),
}

impl Contact {
    /// The text that searches find the contact by (rule X2): name, external id, telephone number and addresses. A telephone number is
    /// written with and without blanks, and with and without the code of its country: its digits are words from each of them on.
    pub(crate) fn search_text(&self) -> String {
        let addresses = self.emails.iter().map(|email| email.address.clone());
        let digits: Vec<char> = self.phone.chars().filter(|digit| digit.is_ascii_digit()).collect();
        let from_each =
            digits.windows(MIN_PHONE_DIGITS).enumerate().map(|(first, _)| digits[first..].iter().collect::<String>());
        let texts = [self.name.clone(), self.external_id.clone(), self.phone.clone()];
        texts.into_iter().chain(from_each).chain(addresses).collect::<Vec<String>>().join("\n")
    }

    /// A contact that a visitor's answer or token makes.
    pub(crate) fn of_visitor(id: Uuid, account: AccountId, now: Time) -> Self {
        Self { made_by_visitor: true, ..Self::new(id, account, now) }
    }

    pub(crate) fn new(id: Uuid, account: AccountId, now: Time) -> Self {
        Self {
            id,
            account,
            external_id: String::new(),
            name: String::new(),
            phone: String::new(),
            time_zone: String::new(),
            language: String::new(),
            owner: None,
            properties: BTreeMap::new(),
            emails: Vec::new(),
            created_at: now,
            updated_at: now,
            version: 1,
            made_by_visitor: false,
        }
    }

    /// It has the id, so that the etag of a contact that was merged is never that of the contact that its id names now.
    pub(crate) fn etag(&self) -> String {
        format!("{}.{}", self.version, self.id.simple())
    }

    /// The contact after the update. None: the update changes nothing.
    pub(crate) fn updated(&self, update: ContactUpdate, now: Time) -> Option<Self> {
        let after = Self {
            external_id: update.external_id.unwrap_or_else(|| self.external_id.clone()),
            name: update.name.unwrap_or_else(|| self.name.clone()),
            phone: update.phone.unwrap_or_else(|| self.phone.clone()),
            time_zone: update.time_zone.unwrap_or_else(|| self.time_zone.clone()),
            language: update.language.unwrap_or_else(|| self.language.clone()),
            owner: update.owner.unwrap_or(self.owner),
            properties: update.properties.unwrap_or_else(|| self.properties.clone()),
            emails: update.emails.map_or_else(|| self.emails.clone(), |emails| self.replaced_emails(emails, now)),
            ..self.clone()
        };
        (after != *self).then_some(Self { made_by_visitor: false, ..after })
    }

    /// The new list; an address that the contact has keeps the time at which it was added.
    fn replaced_emails(&self, emails: Vec<NewEmail>, now: Time) -> Vec<ContactEmail> {
        let replaced = emails.into_iter().map(|NewEmail { address, verified }| {
            let known = self.emails.iter().find(|email| email.address == address);
            ContactEmail { added_at: known.map_or(now, |known| known.added_at), address, verified }
        });
        replaced.collect()
    }

    /// Adds an address that the visitor's token vouches for (`verified`) or that they typed: behind the verified ones, and
    /// before what was typed earlier. One that stands among the verified ones keeps its place, and a verified one stays so.
    pub(crate) fn add_email(&mut self, address: String, verified: bool, now: Time) {
        let behind_verified = self.emails.iter().rposition(|email| email.verified).map_or(0, |last| last + 1);
        if let Some(index) = self.emails.iter().position(|email| email.address == address) {
            if index < behind_verified {
                self.emails[index].verified |= verified;
                return;
            }
            self.emails.remove(index);
        }
        self.emails.insert(behind_verified, ContactEmail { address, verified, added_at: now });
    }

    /// Stores an answer as a property. One that has no room is left out: the thread holds it.
    pub(crate) fn set_property(&mut self, property: &str, value: String) {
        let others = self.properties.iter().filter(|(name, _)| *name != property);
        let size: usize = others.clone().map(|(name, value)| name.len() + value.len()).sum();
        if others.count() < MAX_PROPERTIES && size + property.len() + value.len() <= MAX_PROPERTIES_SIZE {
            self.properties.insert(property.to_owned(), value);
        }
    }

    /// Whether another address may be added by typing it.
    pub(crate) fn may_add_typed_email(&self) -> bool {
        self.emails.iter().filter(|email| !email.verified).count() < MAX_TYPED_ADDRESSES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x1_a_new_address_goes_behind_the_verified_ones_and_before_those_typed_earlier() {
        let mut contact = Contact::new(Uuid::from_u128(1), AccountId(Uuid::from_u128(2)), Time(0));
        for (address, verified, expected) in [
            ("typed", false, "typed"),
            ("corrected", false, "corrected typed"),
            ("login", true, "login! corrected typed"),
            ("typed", false, "login! typed corrected"),
            ("other", true, "login! other! typed corrected"),
            ("login", false, "login! other! typed corrected"),
            ("corrected", true, "login! other! corrected! typed"),
        ] {
            contact.add_email(address.to_owned(), verified, Time(1));
            let mark = |email: &ContactEmail| format!("{}{}", email.address, if email.verified { "!" } else { "" });
            let emails: Vec<_> = contact.emails.iter().map(mark).collect();
            assert_eq!(emails.join(" "), expected, "after {address}");
        }
    }

    #[test]
    fn x2_a_telephone_number_is_searched_by_its_parts_and_by_its_digits_from_each_on() {
        let mut contact = Contact::new(Uuid::from_u128(1), AccountId(Uuid::from_u128(2)), Time(0));
        contact.phone = "+39 06-1234".to_owned();
        let text = contact.search_text();
        let words: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(words, ["+39 06-1234", "39061234", "9061234", "061234", "61234", "1234"]);
        contact.phone = "911".to_owned();
        assert_eq!(contact.search_text().lines().filter(|line| !line.is_empty()).collect::<Vec<_>>(), ["911"]);
    }

    #[test]
    fn b6_an_answer_that_has_no_room_among_the_properties_is_left_out() {
        let mut contact = Contact::new(Uuid::from_u128(1), AccountId(Uuid::from_u128(2)), Time(0));
        for number in 0..=MAX_PROPERTIES {
            contact.set_property(&format!("p{number}"), "x".repeat(1_000));
        }
        assert_eq!((contact.properties.len(), contact.properties.contains_key("p50")), (MAX_PROPERTIES, false));
        contact.set_property("p0", "new".to_owned());
        assert_eq!(contact.properties["p0"], "new", "a known property is replaced");
        contact.set_property("p1", "y".repeat(MAX_PROPERTIES_SIZE));
        assert_eq!(contact.properties["p1"].len(), 1_000);
    }

    #[test]
    fn x1_an_address_that_the_team_put_before_verified_ones_stays_there() {
        let mut contact = Contact::new(Uuid::from_u128(1), AccountId(Uuid::from_u128(2)), Time(0));
        let list = [("first", false), ("second", true)];
        let emails = list.map(|(address, verified)| NewEmail { address: address.to_owned(), verified }).to_vec();
        contact = contact.updated(ContactUpdate { emails: Some(emails), ..ContactUpdate::default() }, Time(1)).unwrap();
        for (verified, expected) in [(false, [false, true]), (true, [true, true])] {
            contact.add_email("first".to_owned(), verified, Time(2));
            let emails: Vec<_> = contact.emails.iter().map(|email| (email.address.as_str(), email.verified)).collect();
            assert_eq!(emails, [("first", expected[0]), ("second", expected[1])]);
        }
    }
}
