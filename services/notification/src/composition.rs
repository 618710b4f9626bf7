//! What a transcript's mail is made of: asked of the conversation service, never inside a transaction.

use frontdesk_db::AccountId;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::{
    App,
    conversation::{Channel, Contact, NoAnswer, VisitorName},
    domain::{Excerpt, Line, Sender, Transcript, one_line, zone},
    mail, store,
};

/// A transcript mail may have so many bytes at least, whatever the setting says: else nothing of a chat would be in it.
const SMALLEST_MAIL: usize = 256 * 1024;

/// Which transcript is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    /// The contact whom it goes to.
    pub(crate) contact: Option<Uuid>,
    /// That contact was the visitor at the close, whomever the conversation belongs to now (rule T2).
    pub(crate) as_closed: bool,
    /// The thread as it was at this entry; 0: as it is.
    pub(crate) until: i64,
    /// As asked for; empty: the contact's.
    pub(crate) time_zone: &'a str,
}

/// A transcript and what it was made of.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    pub(crate) channel: Channel,
    /// Whom it goes to: the visitor, or another that an agent chose.
    pub(crate) contact: Option<Contact>,
    pub(crate) transcript: Transcript,
}

/// Asks for everything. The times are in the zone asked for, else the contact's, else the channel's, else UTC.
pub(crate) async fn gather(app: &App, wanted: &Wanted<'_>) -> Result<Gathered, NoAnswer> {
    let Wanted { account, conversation: id, .. } = *wanted;
    let ask = &app.conversations;
    let conversation = ask.conversation(account, id).await?;
    let channel = ask.channel(account, conversation.channel_id).await?;
    let mut contact = match wanted.contact {
        Some(contact) => Some(ask.contact(account, contact).await?),
        None => None,
    };
    let to_visitor = wanted.as_closed || wanted.contact == conversation.contact_id;
    // Not the contact's name: a visitor who only typed their way to it must not wear it.
    let name = ask.closing_facts(account, id, 0).await?.visitor_name;
    let visitor = match name.trim() {
        "" if to_visitor => VisitorName::You,
        "" => VisitorName::Unknown,
        name => VisitorName::Known(name.to_owned()),
    };
    if let Some(contact) = contact.as_mut().filter(|_| to_visitor) {
        contact.name = name;
    }
    let contacts = contact.as_ref().map_or("", |contact| contact.time_zone.as_str());
    let zone = zone(&[wanted.time_zone, contacts, &channel.time_zone]);

    let mut lines = Excerpt::new(mail::room_for_lines(app.settings.transcript_max_bytes.max(SMALLEST_MAIL)));
    let (mut before, mut wrong) = (None, None);
    let tell = |line: Line| match mail::size_of(&line, zone, before.replace(line.at)) {
        Ok(bytes) => lines.add(line, bytes),
        Err(error) => wrong = Some(error),
    };
    ask.thread(account, id, wanted.until, &visitor, tell).await?;
    if let Some(error) = wrong {
        return Err(NoAnswer::Later(error.to_string()));
    }
    let transcript = Transcript {
        channel: channel.name.clone(),
        page_url: conversation.page_url,
        page_title: conversation.page_title,
        started_at: conversation.started_at,
        visitor: if let VisitorName::Known(name) = visitor { name } else { String::new() },
        to_visitor,
        zone,
        lines: lines.into_lines(),
    };
    Ok(Gathered { channel, contact, transcript })
}

impl Gathered {
    /// The subject that was asked for, or the usual one.
    pub(crate) fn subject(&self, asked: &str) -> String {
        match one_line(asked, 200).as_str() {
            "" if self.transcript.to_visitor => format!("Your chat with {}", one_line(&self.channel.name, 180)),
            "" => format!("A chat with {}", one_line(&self.channel.name, 180)),
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
