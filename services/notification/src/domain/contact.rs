//! A contact of the conversation service, as the recipient of a mail.

use uuid::Uuid;

/// A contact.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    /// Another id than it was looked up by, if the contact with that one was merged into it (rule X2a).
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// The first is the address for mail sent by hand when the agent chooses none.
    pub(crate) emails: Vec<String>,
    /// IANA time zone. Empty: unknown.
    pub(crate) time_zone: String,
    /// BCP 47 tag. Empty: unknown.
    pub(crate) language: String,
}

impl Contact {
    /// Returns the contact's address equal to `requested`, or the first one when `requested` is empty. None: the contact does
    /// not have it, or mail may not go to it (rule S4).
    pub(crate) fn address(&self, requested: &str) -> Option<String> {
        let mut emails = self.emails.iter();
        let found = if requested.is_empty() {
            emails.next()
        } else {
            emails.find(|email| email.eq_ignore_ascii_case(requested))
        };
        found.and_then(|address| frontdesk_mail_address::parse(address)).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_an_address_must_be_the_contacts() {
        let emails = vec!["ada@example.com".to_owned(), "odd%x@example.com".to_owned()];
        let (name, time_zone, language) = (String::new(), String::new(), String::new());
        let contact = Contact { id: Uuid::nil(), name, emails, time_zone, language };
        assert_eq!(contact.address("").as_deref(), Some("ada@example.com"));
        assert_eq!(contact.address("ADA@example.com").as_deref(), Some("ada@example.com"));
        assert_eq!(contact.address("eve@example.com"), None);
        assert_eq!(contact.address("odd%x@example.com"), None);
    }
}
