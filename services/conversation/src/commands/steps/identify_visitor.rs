//! Which contact a visitor is, by the address in their token or by what the account's back end says of them (rule X1): the step that
//! starting a chat and writing in one have in common. The rules are in `domain/visitor.rs`.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_idempotency::{ClaimError, Key};
use frontdesk_proto::normalized_line;
use uuid::Uuid;

use super::{
    VisitorInChat, give_language, link_visitor,
    lock_identities::{Identities, LockedIdentities},
    take_typed_emails,
};
use crate::{
    App,
    domain::{Actor, Contact, Conversation, NewLink, Visitor},
    error::ConversationError,
    store::{contacts, conversations, visitors},
};

/// Maximum length of a name (characters). Mail headers contain it.
const MAX_NAME_LENGTH: usize = 200;
/// Maximum length of an address of a token that mail cannot go to (characters).
const MAX_ADDRESS_LENGTH: usize = 254;

/// What a visitor's token, or the account's back end, says of them.
#[derive(Debug, Default)]
pub(crate) struct Vouched {
    /// An address of theirs, in its canonical spelling.
    pub(crate) address: Option<String>,
    /// Their name. None: none is known.
    pub(crate) name: Option<String>,
    /// Their contact, whatever it was before. None: it follows from the address.
    pub(crate) contact: Option<Uuid>,
}

/// A visitor, with everything locked that recognising them may change.
pub(crate) struct LockedVisitor {
    account: AccountId,
    id: String,
    vouched: Vouched,
    locked: LockedIdentities,
    /// Whether their link is right already.
    is_known: bool,
}

impl LockedVisitor {
    /// Locks the calling visitor, in the one order: before any conversation or contact. `chat`: the one that is about to change.
    pub(crate) async fn lock(tx: &Tx, caller: &Caller, chat: Option<Uuid>) -> Result<Self, ConversationError> {
        Self::lock_with(tx, caller, chat, None).await
    }

    /// The same together with another visitor, whose chats are about to become the caller's.
    pub(crate) async fn lock_with(
        tx: &Tx,
        caller: &Caller,
        chat: Option<Uuid>,
        joined: Option<&str>,
    ) -> Result<Self, ConversationError> {
        let vouched = Vouched { address: vouched_address(caller), name: token_name(caller), contact: None };
        Self::lock_vouched(tx, caller.account, &caller.actor.id, vouched, chat, joined).await
    }

    /// Locks a visitor whom the account's back end names.
    pub(crate) async fn lock_named(
        tx: &Tx,
        account: AccountId,
        id: &str,
        vouched: Vouched,
    ) -> Result<Self, ConversationError> {
        Self::lock_vouched(tx, account, id, vouched, None, None).await
    }

    /// Locks the calling visitor, who entered the code that was mailed to this address, in its canonical spelling.
    pub(crate) async fn lock_with_code(
        tx: &Tx,
        caller: &Caller,
        chat: Uuid,
        address: String,
    ) -> Result<Self, ConversationError> {
        let vouched = Vouched { address: Some(address), name: token_name(caller), contact: None };
        Self::lock_vouched(tx, caller.account, &caller.actor.id, vouched, Some(chat), None).await
    }

    async fn lock_vouched(
        tx: &Tx,
        account: AccountId,
        id: &str,
        vouched: Vouched,
        chat: Option<Uuid>,
        joined: Option<&str>,
    ) -> Result<Self, ConversationError> {
        let addresses: Vec<String> = vouched.address.iter().cloned().collect();
        let contact = vouched.contact;
        let identities = Identities { account, addresses: &addresses, visitor: Some(id), joined, chat, contact };
        let locked = identities.lock(tx).await?;
        let is_known = vouched.address.as_ref().is_none_or(|address| {
            let owns = |visitor: &&Visitor| {
                let owner = locked.owners.iter().find(|owner| owner.verified);
                visitor.is_known_as(address, vouched.name.as_deref())
                    && owner.is_some_and(|owner| owner.contact_id == visitor.contact_id)
            };
            locked.visitor.as_ref().filter(owns).is_some()
        });
        if !is_known || joined.is_some() || contact.is_some() {
            identities.lock_rows(tx, &locked).await?;
        }
        Ok(Self { account, id: id.to_owned(), vouched, locked, is_known })
    }

    pub(crate) fn account(&self) -> AccountId {
        self.account
    }

    /// The contact that the account's back end says the visitor is.
    pub(crate) fn vouched_contact(&self) -> Option<Uuid> {
        self.vouched.contact
    }

    /// The visitor's contact. An address that was vouched for finds or creates it. `chat`: the one that the caller of this step
    /// changes and saves itself.
    pub(crate) async fn contact(
        &self,
        app: &App,
        tx: &mut Tx,
        chat: Option<Uuid>,
        now: Time,
    ) -> Result<Option<Uuid>, ConversationError> {
        if let Some(id) = self.vouched.contact {
            self.link_to(app, tx, chat, id, now).await?;
            return Ok(Some(id));
        }
        let visitor = self.locked.visitor.as_ref();
        let Some(address) = self.vouched.address.clone().filter(|_| !self.is_known) else {
            return Ok(visitor.map(|visitor| visitor.contact_id));
        };
        let own = visitor.and_then(Visitor::own_contact);
        let id = self.contact_with_address(app, tx, own, address, now).await?;
        self.link_to(app, tx, chat, id, now).await?;
        Ok(Some(id))
    }

    /// The contact of a visitor who entered the code of their address: as if a token vouched for it. Where their token has an address
    /// itself, that one says who they are, and the contact that they are gets this one too, unless another contact has it verified.
    pub(crate) async fn contact_by_code(
        &self,
        app: &App,
        tx: &mut Tx,
        caller: &Caller,
        chat: Uuid,
        now: Time,
    ) -> Result<Option<Uuid>, ConversationError> {
        let own = self.locked.visitor.as_ref().and_then(Visitor::own_contact);
        match (own, &self.vouched.address) {
            (Some(own), Some(address)) if vouched_address(caller).is_some() => {
                self.contact_with_address(app, tx, Some(own), address.clone(), now).await?;
                Ok(Some(own))
            }
            _ => self.contact(app, tx, Some(chat), now).await,
        }
    }

    /// Links the visitor to the contact, which is theirs.
    pub(crate) async fn link_to(
        &self,
        app: &App,
        tx: &mut Tx,
        chat: Option<Uuid>,
        contact: Uuid,
        now: Time,
    ) -> Result<(), ConversationError> {
        let Vouched { address, name, .. } = &self.vouched;
        let whose = VisitorInChat { account: self.account, visitor_id: &self.id, chat };
        let link = NewLink { address: address.clone(), name: name.clone(), ..NewLink::verified(contact) };
        link_visitor(app, tx, whose, link, now).await
    }

    /// The contact that has the address, which a signed token or a code verifies. `own`: the visitor's own contact until now, which gets
    /// the address unless another contact has it verified.
    async fn contact_with_address(
        &self,
        app: &App,
        tx: &mut Tx,
        own: Option<Uuid>,
        address: String,
        now: Time,
    ) -> Result<Uuid, ConversationError> {
        if let Some(owner) = self.locked.owners.iter().find(|owner| owner.verified) {
            return Ok(owner.contact_id);
        }
        let mut contact = get_or_new_contact(tx, self.account, own, now).await?;
        contact.add_email(address, true, now);
        take_typed_emails(app, tx, &contact, now).await?;
        if contact.name.is_empty() {
            contact.name = self.vouched.name.clone().unwrap_or_default();
        }
        save_contact(tx, contact, own.is_none(), now).await
    }
}

/// Links the conversation to the contact that the caller's token vouches for, also when the visitor logged in during it.
pub(crate) async fn recognise(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    visitor: &LockedVisitor,
    conversation: &mut Conversation,
    now: Time,
) -> Result<(), ConversationError> {
    if caller.email.is_none() {
        return Ok(());
    }
    conversation.set_unusable_token_email(unusable_token_email(caller));
    if visitor.vouched.address.is_some()
        && let Some(contact) = visitor.contact(app, tx, Some(conversation.id), now).await?
    {
        conversation.link_contact(contact, Actor::system(), now);
        give_language(tx, conversation, now).await?;
    }
    Ok(())
}

/// The same before the visitor's message is written, in a transaction of its own: only in an open chat of theirs, only until
/// the visitor is known by the address of their token, and not for a repeat, which changes nothing (rule C12).
pub(crate) async fn recognise_before_message(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    key: &Key,
) -> Result<(), ConversationError> {
    if caller.email.is_none() || !needs_recognition(app, caller, chat).await? {
        return Ok(());
    }
    let mut tx = app.db.begin_for(caller.account).await?;
    let visitor = LockedVisitor::lock(&tx, caller, Some(chat)).await?;
    let own = conversations::find_of_visitor_for_update(&tx, caller.account, chat, &caller.actor.id).await?;
    let open = own.filter(Conversation::is_open);
    let is_repeat = match key.find::<i64>(tx.conn()).await {
        Ok(first) => first.is_some(),
        Err(ClaimError::Reused) => true,
        Err(error) => return Err(error.into()),
    };
    if let Some(mut conversation) = open.filter(|_| !is_repeat) {
        let now = tx.now().await?;
        recognise(app, &mut tx, caller, &visitor, &mut conversation, now).await?;
        conversations::save(&mut tx, &app.notifier, &mut conversation).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Whether the token of the caller says something new about them, or about their open chat. The chat of another visitor is nothing to
/// lock for.
async fn needs_recognition(app: &App, caller: &Caller, chat: Uuid) -> Result<bool, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conversation = conversations::find(&read.conn(), caller.account, chat).await?;
    let own = conversation.filter(|conversation| conversation.visitor_id == caller.actor.id && conversation.is_open());
    let Some(conversation) = own else { return Ok(false) };
    let Some(address) = vouched_address(caller) else {
        return Ok(conversation.unusable_token_email != unusable_token_email(caller));
    };
    let visitor = visitors::find(&read.conn(), caller.account, &caller.actor.id).await?;
    let is_known = |visitor: Visitor| {
        visitor.is_known_as(&address, token_name(caller).as_deref())
            && conversation.contact_id == Some(visitor.contact_id)
    };
    Ok(!visitor.is_some_and(is_known))
}

/// The address in the caller's token when mail cannot go to it, which the team sees. Empty: there is none such.
pub(crate) fn unusable_token_email(caller: &Caller) -> String {
    match &caller.email {
        Some(address) if vouched_address(caller).is_none() => {
            display_name(address).chars().take(MAX_ADDRESS_LENGTH).collect()
        }
        _ => String::new(),
    }
}

fn vouched_address(caller: &Caller) -> Option<String> {
    caller.email.as_deref().and_then(frontdesk_mail_address::canonical)
}

/// The name in the caller's token. None: it has none.
fn token_name(caller: &Caller) -> Option<String> {
    caller.name.as_deref().map(display_name).filter(|name| !name.is_empty())
}

pub(super) async fn get_or_new_contact(
    tx: &Tx,
    account: AccountId,
    id: Option<Uuid>,
    now: Time,
) -> Result<Contact, ConversationError> {
    match id {
        Some(id) => contacts::find_for_update(tx, account, id).await?.ok_or(ConversationError::NotFound("contact")),
        None => Ok(Contact::of_visitor(tx.new_id(), account, now)),
    }
}

pub(super) async fn save_contact(
    tx: &mut Tx,
    mut contact: Contact,
    is_new: bool,
    now: Time,
) -> Result<Uuid, ConversationError> {
    let taken = match is_new {
        true => contacts::insert(tx, &contact).await?,
        false => contacts::save(tx, &mut contact, now).await?,
    };
    taken.map_or(Ok(contact.id), |taken| Err(ConversationError::Taken(taken)))
}

/// A name on one line, normalised as a line of a request is.
pub(crate) fn display_name(text: &str) -> String {
    // Before normalisation, which takes a control character for one that is shown.
    let text: String = text.chars().filter(|c| !c.is_control() || c.is_whitespace()).collect();
    let line = normalized_line(&text);
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(MAX_NAME_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::display_name;

    #[test]
    fn s3_a_name_is_one_line_and_without_a_character_that_is_shown_it_is_none() {
        assert_eq!(display_name(" Vic\n Tor\0\u{200B} "), "Vic Tor");
        for blank in ["", " \t", "\u{2800}", "\u{301}", "\0\u{301}", "\u{1} \u{2800}"] {
            assert_eq!(display_name(blank), "", "{blank:?}");
        }
    }
}
