//! Administrators, as the authors of entries. They are on no roster: their names come from their tokens.

use frontdesk_db::AccountId;
use uuid::Uuid;

/// An administrator who acted in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Administrator {
    pub(crate) account: AccountId,
    /// The subject of their token. Visitors never see it: it may be a mail address.
    pub(crate) subject: String,
    /// From it the id is derived by which a visitor tells authors apart.
    pub(crate) author_id: Uuid,
    /// The name in their newest token. Empty: unknown.
    pub(crate) name: String,
}

impl Administrator {
    /// The name of a token that others may see: none that contains a mail address.
    pub(crate) fn shown_name(name: String) -> String {
        if name.contains('@') { String::new() } else { name }
    }
}

#[cfg(test)]
mod tests {
    use super::Administrator;

    #[test]
    fn s3_a_mail_address_is_no_name_that_others_see() {
        for (name, shown) in [("Office", "Office"), ("ada@shop.example", ""), ("Ada <ada@shop.example>", ""), ("", "")]
        {
            assert_eq!(Administrator::shown_name(name.into()), shown);
        }
    }
}
