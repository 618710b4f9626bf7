//! The account's back end starts a conversation with a visitor whom it knows (rules C1, C2a, C12, X1). No bot greets: the team began.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx, is_conflict, is_unique_violation};
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{
    LockedVisitor, MAX_START_ATTEMPTS, Started, StoredStart, Vouched, find_contact_owner, give_language, reject,
    require_channel, require_known_agent, require_known_author,
};
use crate::{
    App,
    domain::{
        Agent, AssignmentCause, Contact, Content, Conversation, Greeting, NewConversation, Owner, OwnerChange,
        StartContext, Taken, TeamMember,
    },
    error::ConversationError,
    store::{agents, contacts, conversations},
};

pub(crate) struct StartConversation {
    pub(crate) channel: Uuid,
    /// As their tokens will name them.
    pub(crate) visitor: String,
    /// The visitor's name. Empty: not known.
    pub(crate) name: String,
    /// Who the visitor is. None: their contact until now, if they have one.
    pub(crate) contact: Option<GivenContact>,
    /// The agent who owns a new conversation. None: it is unassigned.
    pub(crate) assignee: Option<Uuid>,
    /// The page address may be empty: then it is that of the channel's website.
    pub(crate) context: StartContext,
    pub(crate) by: TeamMember,
    /// The first message. Empty: none.
    pub(crate) text: String,
    pub(crate) request_id: String,
    pub(crate) key: Key,
}

/// How a request names a contact.
#[derive(Clone, Debug)]
pub(crate) enum GivenContact {
    Id(Uuid),
    /// Created if there is none.
    ExternalId(String),
    /// A mail address in its canonical spelling. Created if there is none, as by the address in a visitor's token.
    Address(String),
}

/// For a repeat: the result of the first request, with the conversation as it is now.
pub(crate) async fn start_conversation(
    app: &App,
    caller: &Caller,
    command: StartConversation,
) -> Result<Started, ConversationError> {
    require_known_author(app, caller).await?;
    if let Some(agent) = command.assignee {
        require_known_agent(app, caller, agent).await.map_err(|error| match error {
            ConversationError::Rejected(_) => ConversationError::Assignee { agent, name: String::new() },
            error => error,
        })?;
    }
    for _ in 1..MAX_START_ATTEMPTS {
        match try_start(app, caller, &command).await {
            Err(ConversationError::Db(error)) if is_unique_violation(&error) || is_conflict(&error) => {}
            // Another call created the contact with the external id: the next attempt finds it.
            Err(ConversationError::Taken(Taken::ExternalId(_))) => {}
            // The contact was merged meanwhile: the next attempt finds the one that is left.
            Err(ConversationError::ContactMerged { .. }) => {}
            result => return result,
        }
    }
    try_start(app, caller, &command).await
}

async fn try_start(app: &App, caller: &Caller, command: &StartConversation) -> Result<Started, ConversationError> {
    let account = caller.account;
    let mut tx = app.db.begin_for(account).await?;
    let vouched = vouched(&tx, account, command).await?;
    let visitor = LockedVisitor::lock_named(&tx, account, &command.visitor, vouched).await?;
    if let Some(first) = command.key.claim::<StoredStart>(&tx).await? {
        let conversation = conversations::find(tx.conn(), account, first.conversation).await?;
        return first.load(&tx, conversation.ok_or(ConversationError::NotFound("conversation"))?).await;
    }

    let newest = conversations::find_newest_for_update(&tx, account, command.channel, &command.visitor).await?;
    // Read after the lock: what committed while this call waited for it happened before.
    let now = tx.now().await?;
    let (mut conversation, resumed) = match newest {
        Some(mut open) if open.is_open() => {
            if command.contact.is_some()
                && let Some(contact) = identify(app, &mut tx, command, &visitor, Some(&open), now).await?
            {
                open.link_contact(contact, command.by.actor(), now);
            }
            (open, true)
        }
        previous => {
            let now = previous.as_ref().map_or(now, |previous| previous.time_after(now));
            let contact = identify(app, &mut tx, command, &visitor, None, now).await?;
            let new = new_conversation(&tx, account, previous, command, contact, now).await?;
            give_language(&mut tx, &new, now).await?;
            (new, false)
        }
    };
    let entry = match command.text.as_str() {
        "" => None,
        text => {
            let (content, request_id) = (Content::text(text.to_owned()), Some(command.request_id.clone()));
            match conversation.append_team_message(&command.by, content, request_id, None, now) {
                Ok(entry) => Some(entry),
                Err(rejection) => return Err(reject(tx.conn(), conversation, rejection).await),
            }
        }
    };
    if resumed {
        conversations::save(&mut tx, &app.notifier, &mut conversation).await?;
    } else {
        conversations::insert(&mut tx, &app.notifier, &mut conversation).await?;
    }
    let started = Started { conversation, entry, resumed };
    command.key.store_result(&tx, &started.stored()).await?;
    tx.commit().await?;
    Ok(started)
}

/// What the request says of the visitor. An external id that no contact has names none yet.
async fn vouched(tx: &Tx, account: AccountId, command: &StartConversation) -> Result<Vouched, ConversationError> {
    let name = Some(command.name.clone()).filter(|name| !name.is_empty());
    let (address, contact) = match &command.contact {
        Some(GivenContact::Address(address)) => (Some(address.clone()), None),
        Some(GivenContact::Id(id)) => (None, Some(contacts::resolve(tx.conn(), account, *id).await?)),
        Some(GivenContact::ExternalId(id)) => (None, contacts::find_id_by_external_id(tx.conn(), account, id).await?),
        None => (None, None),
    };
    Ok(Vouched { address, name, contact })
}

/// The contact of the conversation, to which the visitor is linked. `open`: the conversation that goes on.
async fn identify(
    app: &App,
    tx: &mut Tx,
    command: &StartConversation,
    visitor: &LockedVisitor,
    open: Option<&Conversation>,
    now: Time,
) -> Result<Option<Uuid>, ConversationError> {
    let chat = open.map(|open| open.id);
    let account = visitor.account();
    match (&command.contact, visitor.vouched_contact()) {
        (Some(GivenContact::ExternalId(external_id)), None) => {
            let (external_id, name) = (external_id.clone(), command.name.clone());
            let contact = Contact { external_id, name, ..Contact::new(tx.new_id(), account, now) };
            if let Some(taken) = contacts::insert(tx, &contact).await? {
                return Err(ConversationError::Taken(taken));
            }
            visitor.link_to(app, tx, chat, contact.id, now).await?;
            Ok(Some(contact.id))
        }
        (_, Some(id)) => {
            let found = contacts::find(tx.conn(), account, id).await?.ok_or(ConversationError::NotFound("contact"))?.id;
            if found != id {
                return Err(ConversationError::ContactMerged { contact: found });
            }
            contacts::keep(tx, account, id).await?;
            visitor.contact(app, tx, chat, now).await
        }
        (_, None) => visitor.contact(app, tx, chat, now).await,
    }
}

async fn new_conversation(
    tx: &Tx,
    account: AccountId,
    previous: Option<Conversation>,
    command: &StartConversation,
    contact_id: Option<Uuid>,
    now: Time,
) -> Result<Conversation, ConversationError> {
    let channel = require_channel(tx, account, command.channel).await?;
    let greeting = match channel.routing_policy() {
        Some(policy) => Greeting::Routed { policy, contact_owner: find_contact_owner(tx, account, contact_id).await? },
        None => Greeting::Unassigned,
    };
    let mut context = command.context.clone();
    if context.page_url.is_empty() {
        context.page_url = channel.website_url;
    }
    let new = NewConversation {
        id: tx.new_id(),
        account,
        channel_id: channel.id,
        visitor_id: command.visitor.clone(),
        visitor_name: command.name.clone(),
        unusable_token_email: String::new(),
        contact_id,
        context,
        previous_id: previous.map(|previous| previous.id),
        greeting,
    };
    let mut conversation = Conversation::start(new, now);
    if let Some(agent) = command.assignee {
        require_active_assignee(tx, account, agent).await?;
        let to = Some(Owner::agent(agent));
        let (by, cause, expected_epoch) = (command.by.actor(), AssignmentCause::ByHand, conversation.epoch);
        let change = OwnerChange { to, by, cause, expected_epoch, only_if_waiting: false };
        conversation.change_owner(change, now).map_err(ConversationError::rejected)?;
    }
    Ok(conversation)
}

/// By the local copy.
async fn require_active_assignee(tx: &Tx, account: AccountId, id: Uuid) -> Result<(), ConversationError> {
    let agent = agents::find(tx.conn(), account, id).await?;
    if Agent::require_active(agent.as_ref()).is_err() {
        let name = agent.map(|agent| agent.name).unwrap_or_default();
        return Err(ConversationError::Assignee { agent: id, name });
    }
    Ok(())
}
