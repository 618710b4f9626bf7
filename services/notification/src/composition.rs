//! What a transcript's mail is made of: asked of the conversation service, never inside a transaction.

use frontdesk_auth::AccountId;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::{
    App,
    conversation::{Channel, Contact, Conversation, NoAnswer, Thread},
    domain::{Sender, Transcript, one_line, zone},
    store,
};

/// Which transcript is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    pub(crate) contact: Option<Uuid>,
    /// The thread as it was at this entry; 0: as it is.
    pub(crate) until: i64,
}

/// A transcript and what it was made of.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    pub(crate) conversation: Conversation,
    pub(crate) channel: Channel,
    pub(crate) contact: Option<Contact>,
    pub(crate) thread: Thread,
}

/// Asks for everything.
pub(crate) async fn gather(app: &App, wanted: &Wanted) -> Result<Gathered, NoAnswer> {
    let Wanted { account, conversation: id, .. } = *wanted;
    let ask = &app.conversations;
    let conversation = ask.conversation(account, id).await?;
    let channel = ask.channel(account, conversation.channel_id).await?;
    let contact = match wanted.contact {
        Some(contact) => Some(ask.contact(account, contact).await?),
        None => None,
    };
    let visitor = contact.as_ref().map_or("", |contact| contact.name.as_str());
    let thread = ask.thread(account, id, wanted.until, visitor).await?;
    Ok(Gathered { conversation, channel, contact, thread })
}

impl Gathered {
    /// The transcript, its times in the zone asked for, else the contact's, else the channel's, else UTC.
    pub(crate) fn transcript(&self, time_zone: &str) -> Transcript {
        let contacts = self.contact.as_ref().map_or("", |contact| contact.time_zone.as_str());
        Transcript {
            channel: self.channel.name.clone(),
            page_url: self.conversation.page_url.clone(),
            page_title: self.conversation.page_title.clone(),
            started_at: self.conversation.started_at,
            visitor: self.contact.as_ref().map(|contact| contact.name.clone()).unwrap_or_default(),
            zone: zone(&[time_zone, contacts, &self.channel.time_zone]),
            lines: self.thread.lines.clone(),
        }
    }

    /// The subject that was asked for, or the usual one.
    pub(crate) fn subject(&self, asked: &str) -> String {
        match one_line(asked, 200).as_str() {
            "" => format!("Your chat with {}", one_line(&self.channel.name, 180)),
            asked => asked.to_owned(),
        }
    }
}

/// The sender of a transcript (rule T5), or why there is none. One that was chosen never falls back silently.
pub(crate) async fn sender<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    chosen: Option<Uuid>,
) -> Result<Result<Sender, &'static str>, DbErr> {
    let found = match chosen {
        Some(id) => store::senders::find(db, account, id).await?,
        None => store::senders::find_fallback(db, account).await?,
    };
    Ok(match found {
        Some(sender) if sender.verified => Ok(sender),
        Some(_) if chosen.is_some() => {
            Err("The sender address chosen for the channel is not verified. Verify it, or choose another, then retry.")
        }
        Some(_) => Err("The account's fallback sender is not verified. Verify it, then retry."),
        None if chosen.is_some() => {
            Err("The sender address chosen for the channel was deleted. Choose another in its settings, then retry.")
        }
        None => {
            Err("There is no sender address: choose one for the channel or set a fallback for the account, then retry.")
        }
    })
}
