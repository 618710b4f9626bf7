//! A conversation starts.

use std::{collections::BTreeMap, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{BotSession, Conversation, ConversationEvent, Owner, Routing, Status};

/// Maximum number of properties of a conversation.
const MAX_CONVERSATION_PROPERTIES: usize = 50;
/// Maximum size of a conversation's properties (bytes of names and values).
pub(crate) const MAX_CONVERSATION_PROPERTIES_SIZE: usize = 4 * 1024;

/// How a new conversation begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Greeting {
    /// With a session of this bot.
    Bot {
        bot: Uuid,
        session: Uuid,
        timeout: Option<Duration>,
        /// The routing policy of what the bot hands off. None: the default one.
        hand_off_policy: Option<Uuid>,
    },
    /// Unassigned.
    Unassigned,
    /// Unassigned, and routed by this policy.
    Routed {
        policy: Uuid,
        /// The owner of the contact, whom the policy may prefer.
        contact_owner: Option<Uuid>,
    },
}

/// Where and with what a conversation began, as the widget or the account's back end gave it. It never changes (rule C1), but for the
/// properties, which the team may set, and the erasure of the contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StartContext {
    pub(crate) page_url: String,
    /// Empty: none was given.
    pub(crate) page_title: String,
    /// BCP 47 tag. Empty: none was given.
    pub(crate) language: String,
    /// IANA name. Empty: none was given.
    pub(crate) time_zone: String,
    pub(crate) properties: BTreeMap<String, String>,
}

/// What a new conversation consists of.
#[derive(Clone, Debug)]
pub(crate) struct NewConversation {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) channel_id: Uuid,
    pub(crate) visitor_id: String,
    /// The name in the visitor's token. Empty: it has none.
    pub(crate) visitor_name: String,
    /// The address in the visitor's token when mail cannot go to it. Empty: there is none such.
    pub(crate) unusable_token_email: String,
    pub(crate) contact_id: Option<Uuid>,
    pub(crate) context: StartContext,
    pub(crate) previous_id: Option<Uuid>,
    pub(crate) greeting: Greeting,
}

impl StartContext {
    /// Sets properties by name; one without a value is removed. False: they would be too many or too large, and nothing changes.
    pub(super) fn set_properties(&mut self, changes: BTreeMap<String, String>) -> bool {
        let mut properties = self.properties.clone();
        properties.extend(changes);
        properties.retain(|_, value| !value.is_empty());
        let size: usize = properties.iter().map(|(name, value)| name.len() + value.len()).sum();
        let fits = properties.len() <= MAX_CONVERSATION_PROPERTIES && size <= MAX_CONVERSATION_PROPERTIES_SIZE;
        if fits {
            self.properties = properties;
        }
        fits
    }
}

impl Conversation {
    /// Starts a conversation (rules C1, B1): the session of a bot that greets is in charge from this commit on.
    pub(crate) fn start(new: NewConversation, now: Time) -> Self {
        let bot_session = match new.greeting {
            Greeting::Bot { bot, session, timeout, .. } => {
                Some(BotSession { id: session, bot, timeout, started_at: now, in_charge: true })
            }
            Greeting::Unassigned | Greeting::Routed { .. } => None,
        };
        let routing = match new.greeting {
            Greeting::Routed { policy, contact_owner } => {
                Some(Routing { policy: Some(policy), team: None, contact_owner })
            }
            // After the bot.
            Greeting::Bot { hand_off_policy, .. } => Some(Routing { policy: hand_off_policy, ..Routing::default() }),
            Greeting::Unassigned => None,
        };
        Self {
            id: new.id,
            account: new.account,
            channel_id: new.channel_id,
            visitor_id: new.visitor_id,
            visitor_name: new.visitor_name,
            unusable_token_email: new.unusable_token_email,
            contact_id: new.contact_id,
            status: Status::Open,
            context: new.context,
            previous_id: new.previous_id,
            owner: bot_session.as_ref().map(|session| Owner::bot(session.bot)),
            epoch: 1,
            bot_session,
            had_agent: false,
            last_sequence: 0,
            last_visitor_sequence: 0,
            close_number: 0,
            close_reason: None,
            closed_at: None,
            created_at: now,
            last_visitor_activity_at: now,
            last_activity_at: now,
            waiting_since: None,
            version: 0,
            new_entries: Vec::new(),
            new_events: vec![ConversationEvent::Started { routing }],
        }
    }
}
