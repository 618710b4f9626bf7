//! Chats as their visitor sees them: an allow-list. A field that is not written here does not reach them (rules C7, S3).

use frontdesk_proto::{actor::v1::ActorKind as PbActorKind, conversation::v1 as pb};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    attachments::{attachment_limits, sent_attachment},
    button, chosen_button, counter, id_or_empty,
    inserts::chat_insert,
    owner_kind, rich_text,
};
use crate::{
    domain::{AboutPlace, ActorKind, Author, CloseReason, Content, Conversation, Entry, ErasedKind, Owner, Signal},
    queries::{DisplayNames, Widget},
};

/// A conversation as its visitor sees it.
pub(crate) fn chat(conversation: &Conversation, names: &DisplayNames) -> pb::Chat {
    pb::Chat {
        id: conversation.id.to_string(),
        channel_id: conversation.channel_id.to_string(),
        open: conversation.is_open(),
        previous_chat_id: id_or_empty(conversation.previous_id),
        last_visitor_sequence: counter(conversation.last_visitor_sequence),
        create_time: Some(conversation.created_at.to_proto()),
        answering: answering(conversation, names),
    }
}

/// What the watches of a chat show of it beside its entries.
pub(crate) fn chat_state(conversation: &Conversation, names: &DisplayNames) -> pb::ChatState {
    pb::ChatState { open: conversation.is_open(), answering: answering(conversation, names) }
}

fn answering(conversation: &Conversation, names: &DisplayNames) -> Option<pb::ChatAuthor> {
    let owner = conversation.owner.filter(|_| conversation.is_open());
    owner.map(|owner| team_member(conversation.id, owner, names))
}

/// An entry as the visitor sees it. None: it is not visible to them.
pub(crate) fn chat_entry(entry: &Entry, names: &DisplayNames) -> Option<pb::ChatEntry> {
    use pb::chat_entry::Content as C;
    let (author, content) = match &entry.content {
        Content::Message(message) => {
            let message = pb::ChatMessage {
                text: message.text.clone(),
                buttons: message.buttons.iter().map(button).collect(),
                chosen_button: message.chosen.as_ref().map(chosen_button),
                inserts: message.inserts.iter().map(chat_insert).collect(),
                attachments: message.attachments.iter().map(sent_attachment).collect(),
                rich_text: message.rich_text.as_ref().map(rich_text),
            };
            (message_author(entry, names), C::Message(message))
        }
        // The agent who joined, not the one who assigned them.
        Content::AssigneeChanged { to: Some(to), .. } if to.is_agent() => {
            (team_member(entry.conversation_id, *to, names), C::Joined(pb::ChatJoined {}))
        }
        Content::Closed { reason, .. } => {
            let visitor_inactive = *reason == CloseReason::VisitorInactive;
            (nameless(PbActorKind::System), C::Ended(pb::ChatEnded { visitor_inactive }))
        }
        Content::Reopened { .. } => (nameless(PbActorKind::System), C::Reopened(pb::ChatReopened {})),
        Content::Erased { kind: ErasedKind::Message } => (message_author(entry, names), C::Erased(pb::ChatErased {})),
        Content::AssigneeChanged { .. }
        | Content::Comment { .. }
        | Content::HandedOff { .. }
        | Content::ContactLinked { .. }
        | Content::VisitorSignedIn { .. }
        | Content::AddressLeft { .. }
        | Content::TicketCreated { .. }
        | Content::TicketUpdated(_)
        | Content::TranscriptSent { .. }
        | Content::Erased { .. }
        | Content::ContactErased { .. }
        | Content::Unknown => return None,
    };
    let by_visitor = author.kind() == PbActorKind::Visitor;
    Some(pb::ChatEntry {
        visitor_sequence: counter(entry.visitor_sequence?),
        author: Some(author),
        create_time: Some(entry.created_at.to_proto()),
        content: Some(content),
        // The ids that the team's programs choose are theirs.
        request_id: entry.request_id.clone().filter(|_| by_visitor).unwrap_or_default(),
    })
}

/// A channel as its visitors see it.
pub(crate) fn widget(widget: &Widget) -> pb::Widget {
    pb::Widget {
        channel_id: widget.channel.id.to_string(),
        name: widget.channel.name.clone(),
        greeter: widget.greeter.map(|greeter| pb::ChatAuthor {
            kind: owner_kind(greeter.kind).into(),
            id: String::new(),
            name: widget.names.owner(greeter),
        }),
        can_start_chat: widget.can_start_chat,
        attachments: widget.attachments.as_ref().map(attachment_limits),
        open: widget.state.open,
        next_change_time: widget.state.next_change.map(|change| change.to_proto()),
        open_chat: widget.open_chat.as_ref().map(|open| chat(open, &widget.names)),
    }
}

/// What the watches of a chat get of a signal. A comment is not for the visitor, and what the visitor does is no news to them.
pub(crate) fn chat_signal(conversation: Uuid, signal: &[u8]) -> Option<pb::watch_chat_response::Update> {
    use pb::watch_chat_response::Update;
    match serde_json::from_slice(signal).ok()? {
        Signal::Typing { author: Author::Agent { id, name }, comment: false } => {
            let agent = Owner::agent(id);
            let author =
                pb::ChatAuthor { kind: owner_kind(agent.kind).into(), id: author_id(conversation, agent), name };
            Some(Update::Typing(pb::ChatTyping { author: Some(author) }))
        }
        Signal::Typing { author: Author::Admin { author_id, name, .. }, comment: false } => {
            let author = administrator(conversation, author_id, name);
            Some(Update::Typing(pb::ChatTyping { author: Some(author) }))
        }
        Signal::TeamMark { read } => Some(Update::TeamMarks(team_marks(read))),
        Signal::Typing { .. } | Signal::VisitorMarks(_) => None,
    }
}

/// How far the team has read a chat, without who did.
pub(crate) fn team_marks(read: i64) -> pb::TeamMarks {
    pb::TeamMarks { read_visitor_sequence: counter(read) }
}

/// The place in the queue that the visitor is shown, without ids of policies, teams and agents.
pub(crate) fn queue_place(place: AboutPlace) -> pb::ChatQueuePlace {
    let about_wait = place.wait.and_then(|wait| wait.try_into().ok());
    pb::ChatQueuePlace { about_place: counter(place.place), about_wait }
}

fn nameless(kind: PbActorKind) -> pb::ChatAuthor {
    pb::ChatAuthor { kind: kind.into(), ..pb::ChatAuthor::default() }
}

/// The author of a message. An administrator is a member of the team like an agent.
fn message_author(entry: &Entry, names: &DisplayNames) -> pb::ChatAuthor {
    let conversation = entry.conversation_id;
    match (entry.author.kind, entry.author.as_owner()) {
        (ActorKind::Visitor, _) => nameless(PbActorKind::Visitor),
        (ActorKind::Agent | ActorKind::Bot, Some(owner)) => team_member(conversation, owner, names),
        (ActorKind::Admin, _) => match names.administrator(&entry.author.id) {
            Some(known) => administrator(conversation, known.author_id, known.name.clone()),
            None => nameless(PbActorKind::Agent),
        },
        (ActorKind::Agent | ActorKind::Bot | ActorKind::System, _) => nameless(PbActorKind::System),
    }
}

fn administrator(conversation: Uuid, id: Uuid, name: String) -> pb::ChatAuthor {
    let id = author_digest(conversation, ActorKind::Admin.as_str(), id);
    pb::ChatAuthor { kind: PbActorKind::Agent.into(), id, name }
}

fn team_member(conversation: Uuid, owner: Owner, names: &DisplayNames) -> pb::ChatAuthor {
    pb::ChatAuthor { kind: owner_kind(owner.kind).into(), id: author_id(conversation, owner), name: names.owner(owner) }
}

/// The id of an agent or bot within one chat.
fn author_id(conversation: Uuid, owner: Owner) -> String {
    author_digest(conversation, owner.kind.as_str(), owner.id)
}

/// The id of an author within one chat: a digest, which does not show their id and differs in every chat.
fn author_digest(conversation: Uuid, kind: &str, id: Uuid) -> String {
    let mut digest = Sha256::new();
    digest.update(conversation.as_bytes());
    digest.update(kind);
    digest.update(id.as_bytes());
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_the_author_id_of_a_chat_differs_by_author_and_by_chat_and_does_not_show_the_agents_id() {
        let (chat, ada) = (Uuid::from_u128(1), Uuid::from_u128(0xADA));
        let id = author_id(chat, Owner::agent(ada));
        assert_eq!((id.len(), &id), (16, &author_id(chat, Owner::agent(ada))));
        for other in [
            author_id(chat, Owner::agent(Uuid::from_u128(0xB0B))),
            author_id(chat, Owner::bot(ada)),
            author_id(Uuid::from_u128(2), Owner::agent(ada)),
        ] {
            assert_ne!(id, other);
        }
        assert!(!ada.simple().to_string().contains(&id));
    }
}
