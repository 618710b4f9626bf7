//! Entries of a thread.

use std::collections::HashMap;

use frontdesk_clock::Time;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Actor, ActorKind, AssignmentCause, CloseReason, Owner, RichText, SentAttachment, SentInsert};

/// A button of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Button {
    pub(crate) id: String,
    pub(crate) label: String,
}

/// The button that a visitor chose. Stored as JSON: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChosenButton {
    #[serde(rename = "chosen_button_id")]
    pub(crate) button_id: String,
    /// Visitor sequence of the message that offers it. 0: unknown, for choices stored before this field existed.
    #[serde(rename = "chosen_of", default)]
    pub(crate) visitor_sequence: i64,
}

/// What a message says. Stored as JSON: add, never rename.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) buttons: Vec<Button>,
    /// None: a typed text, or a message of the team or a bot.
    #[serde(flatten)]
    pub(crate) chosen: Option<ChosenButton>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) inserts: Vec<SentInsert>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) attachments: Vec<SentAttachment>,
    /// Its plain form is the text. None: the text is plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rich_text: Option<RichText>,
}

/// The content of an entry. Stored as JSON: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Content {
    Message(Message),
    Comment {
        text: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<Mention>,
    },
    AssigneeChanged {
        from: Option<Owner>,
        to: Option<Owner>,
        epoch: i64,
        /// None: unknown, for changes stored before this field existed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<AssignmentCause>,
    },
    HandedOff {
        reason: String,
        epoch: i64,
    },
    Closed {
        reason: CloseReason,
        close_number: i32,
    },
    Reopened {
        epoch: i64,
    },
    ContactLinked {
        contact_id: Uuid,
    },
    VisitorSignedIn {
        anonymous_visitor_id: String,
    },
    AddressLeft {
        email: String,
    },
    TicketCreated {
        ticket_id: Uuid,
    },
    TicketUpdated(TicketChange),
    TranscriptSent {
        delivery_id: Uuid,
        manual: bool,
    },
    /// Content that was erased with the contact of the conversation (rule X2).
    Erased {
        kind: ErasedKind,
    },
    ContactErased {
        contact_id: Uuid,
    },
    /// Content of a later release, which a replica of this one cannot show.
    #[serde(other)]
    Unknown,
}

/// What an erased entry was. Stored as JSON: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", from = "String")]
pub(crate) enum ErasedKind {
    Message,
    Comment,
    AddressLeft,
    VisitorSignedIn,
    /// Content that the erasing release could not read, or a kind of a later release.
    Unknown,
}

impl From<String> for ErasedKind {
    fn from(name: String) -> Self {
        match name.as_str() {
            "message" => Self::Message,
            "comment" => Self::Comment,
            "address_left" => Self::AddressLeft,
            "visitor_signed_in" => Self::VisitorSignedIn,
            _ => Self::Unknown,
        }
    }
}

/// A mention of an agent in a comment: a range of its text, in code points. Stored as JSON: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mention {
    pub(crate) start: usize,
    pub(crate) length: usize,
    pub(crate) agent_id: Uuid,
}

/// What changed of a ticket. None: unchanged. Stored as JSON: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TicketChange {
    pub(crate) ticket_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// The subject before, by whose words the entry of the creation may be indexed. None: the subject is unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) previous_subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
}

impl Content {
    /// A message of a plain text alone.
    pub(crate) fn text(text: String) -> Self {
        Self::Message(Message { text, ..Message::default() })
    }

    /// The text that searches find the entry by (rule C9). None: it has none. `subjects`: of the tickets that entries name, as they
    /// are now.
    pub(crate) fn search_text(&self, subjects: &HashMap<Uuid, String>) -> Option<String> {
        match self {
            Self::Message(Message { text, inserts, .. }) => {
                let inserts = inserts.iter().map(|insert| insert.plain_text.as_str());
                Some(std::iter::once(text.as_str()).chain(inserts).collect::<Vec<_>>().join("\n"))
            }
            Self::Comment { text, .. } => Some(text.clone()),
            Self::TicketCreated { ticket_id } => subjects.get(ticket_id).cloned(),
            Self::TicketUpdated(change) => change.subject.clone(),
            Self::AssigneeChanged { .. }
            | Self::HandedOff { .. }
            | Self::Closed { .. }
            | Self::Reopened { .. }
            | Self::ContactLinked { .. }
            | Self::VisitorSignedIn { .. }
            | Self::AddressLeft { .. }
            | Self::TranscriptSent { .. }
            | Self::Erased { .. }
            | Self::ContactErased { .. }
            | Self::Unknown => None,
        }
    }

    /// What is left of the content when the contact of the conversation is erased: no text, name, address or file (rules X2, C14). None:
    /// it stays as it is.
    pub(crate) fn erased(&self) -> Option<Self> {
        let kind = match self {
            Self::Message(_) => ErasedKind::Message,
            Self::Comment { .. } => ErasedKind::Comment,
            Self::AddressLeft { .. } => ErasedKind::AddressLeft,
            Self::VisitorSignedIn { .. } => ErasedKind::VisitorSignedIn,
            Self::Unknown => ErasedKind::Unknown,
            Self::HandedOff { reason, epoch } => {
                return (!reason.is_empty()).then(|| Self::HandedOff { reason: String::new(), epoch: *epoch });
            }
            Self::TicketUpdated(change) => return change.erased().map(Self::TicketUpdated),
            Self::AssigneeChanged { .. }
            | Self::Closed { .. }
            | Self::Reopened { .. }
            | Self::ContactLinked { .. }
            | Self::TicketCreated { .. }
            | Self::TranscriptSent { .. }
            | Self::Erased { .. }
            | Self::ContactErased { .. } => return None,
        };
        Some(Self::Erased { kind })
    }

    /// The ticket that the entry says was created.
    pub(crate) fn created_ticket(&self) -> Option<Uuid> {
        match self {
            Self::TicketCreated { ticket_id } => Some(*ticket_id),
            _ => None,
        }
    }

    /// Whether the visitor sees the entry (rules C3, C7). What is not named here stays with the team.
    pub(crate) fn is_visible_to_visitor(&self) -> bool {
        match self {
            Self::Message(_) | Self::Closed { .. } | Self::Reopened { .. } => true,
            Self::AssigneeChanged { to, .. } => to.is_some_and(Owner::is_agent),
            Self::Comment { .. }
            | Self::HandedOff { .. }
            | Self::ContactLinked { .. }
            | Self::VisitorSignedIn { .. }
            | Self::AddressLeft { .. }
            | Self::TicketCreated { .. }
            | Self::TicketUpdated(_)
            | Self::TranscriptSent { .. }
            | Self::Erased { .. }
            | Self::ContactErased { .. }
            | Self::Unknown => false,
        }
    }
}

impl TicketChange {
    /// The change without its texts. None: it has none.
    fn erased(&self) -> Option<Self> {
        let has_texts = self.subject.is_some() || self.previous_subject.is_some() || self.url.is_some();
        has_texts.then_some(Self { subject: None, previous_subject: None, url: None, ..self.clone() })
    }
}

/// An entry of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) conversation_id: Uuid,
    /// Dense: 1, 2, 3 ... (rule C3).
    pub(crate) sequence: i64,
    /// Dense among the entries that the visitor sees. None: they do not see this one.
    pub(crate) visitor_sequence: Option<i64>,
    pub(crate) author: Actor,
    pub(crate) content: Content,
    /// The request id of the call that posted it. None: no call of a visitor or agent posted it, or it is older than this field.
    pub(crate) request_id: Option<String>,
    pub(crate) created_at: Time,
}

impl Entry {
    /// The label of a button that the entry offers.
    pub(crate) fn button_label(&self, button_id: &str) -> Option<&str> {
        let Content::Message(Message { buttons, .. }) = &self.content else { return None };
        buttons.iter().find(|button| button.id == button_id).map(|button| button.label.as_str())
    }

    /// The address that the entry says its visitor typed: left with the chat, or as a message of its own, such as the answer to a bot.
    pub(crate) fn typed_address(&self) -> Option<String> {
        match &self.content {
            Content::AddressLeft { email } => Some(email.clone()),
            Content::Message(Message { text, .. }) => frontdesk_mail_address::canonical(text),
            _ => None,
        }
    }

    /// The newest message that offers buttons, unless the visitor wrote or chose something after it: that was the answer, and a
    /// question has one. `newest_first`: entries of the thread.
    pub(crate) fn open_question(newest_first: impl IntoIterator<Item = Self>) -> Option<Self> {
        for entry in newest_first {
            match &entry.content {
                Content::Message(Message { buttons, .. }) if !buttons.is_empty() => return Some(entry),
                Content::Message(_) if entry.author.kind == ActorKind::Visitor => return None,
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::InsertContent;

    #[test]
    fn b6_a8_contents_of_earlier_releases_are_read_without_the_fields_that_they_lack() {
        let read = |json: &str| serde_json::from_str::<Content>(json).unwrap();
        let chosen = ChosenButton { button_id: "yes".into(), visitor_sequence: 0 };
        let message = |chosen| Content::Message(Message { text: "Yes".into(), chosen, ..Message::default() });
        assert_eq!(read(r#"{"type":"message","text":"Yes","chosen_button_id":"yes"}"#), message(Some(chosen)));
        assert_eq!(read(r#"{"type":"message","text":"Yes"}"#), message(None));
        let unassigned = Content::AssigneeChanged { from: None, to: None, epoch: 2, cause: None };
        assert_eq!(read(r#"{"type":"assignee_changed","from":null,"to":null,"epoch":2}"#), unassigned);
        let comment = Content::Comment { text: "note".into(), mentions: Vec::new() };
        assert_eq!(read(r#"{"type":"comment","text":"note"}"#), comment);
    }

    #[test]
    fn c3_a_content_of_a_later_release_does_not_hide_the_thread() {
        for json in [r#"{"type":"poll","question":"Which?"}"#, r#"{"type":"poll"}"#] {
            assert_eq!(serde_json::from_str::<Content>(json).unwrap(), Content::Unknown);
        }
    }

    #[test]
    fn x1_an_address_is_typed_by_leaving_it_or_as_a_message_of_its_own() {
        let typed = |content| {
            let entry = Entry {
                conversation_id: Uuid::from_u128(1),
                sequence: 1,
                visitor_sequence: None,
                author: Actor::visitor("v"),
                content,
                request_id: None,
                created_at: Time(0),
            };
            entry.typed_address()
        };
        let address = Some("vera@example.com".to_owned());
        assert_eq!(typed(Content::AddressLeft { email: "vera@example.com".into() }), address);
        assert_eq!(typed(Content::text(" Vera@Example.com ".into())), address);
        for text in ["It is vera@example.com", "vera@example.com, w@example.com", "hello", ""] {
            assert_eq!(typed(Content::text(text.into())), None, "{text}");
        }
        assert_eq!(typed(Content::Comment { text: "vera@example.com".into(), mentions: Vec::new() }), None);
    }

    #[test]
    fn b6_a8_contents_are_read_as_they_were_written() {
        let chosen = Some(ChosenButton { button_id: "yes".into(), visitor_sequence: 7 });
        let insert = SentInsert {
            insert_id: Uuid::from_u128(3),
            title: "Greeting".into(),
            plain_text: "Hello".into(),
            content: InsertContent::Snippet { text: "Hello".into() },
        };
        let attachment = SentAttachment {
            attachment_id: Uuid::from_u128(4),
            file_name: "a.png".into(),
            media_type: "image/png".into(),
            size: 3,
        };
        let message = Message {
            text: "Which?".into(),
            buttons: vec![Button { id: "no".into(), label: "No".into() }],
            chosen: None,
            inserts: vec![insert],
            attachments: vec![attachment],
            rich_text: Some(RichText(Vec::new())),
        };
        let changed = Content::AssigneeChanged { from: None, to: None, epoch: 2, cause: Some(AssignmentCause::ByHand) };
        for content in [
            Content::Message(Message { text: "Yes".into(), chosen, ..Message::default() }),
            Content::Message(message),
            changed,
            Content::Comment {
                text: "@Ada".into(),
                mentions: vec![Mention { start: 0, length: 4, agent_id: Uuid::from_u128(1) }],
            },
            Content::TicketUpdated(TicketChange {
                ticket_id: Uuid::from_u128(2),
                subject: None,
                previous_subject: Some("before".into()),
                closed: Some(true),
                url: Some(String::new()),
            }),
            Content::Erased { kind: ErasedKind::Message },
            Content::Erased { kind: ErasedKind::Comment },
            Content::Erased { kind: ErasedKind::AddressLeft },
            Content::Erased { kind: ErasedKind::VisitorSignedIn },
            Content::Erased { kind: ErasedKind::Unknown },
            Content::ContactErased { contact_id: Uuid::from_u128(3) },
        ] {
            let json = serde_json::to_string(&content).unwrap();
            assert_eq!(serde_json::from_str::<Content>(&json).unwrap(), content, "{json}");
        }
    }

    #[test]
    fn x2_c14_an_erased_content_keeps_its_kind_and_nothing_that_was_written() {
        let change = |subject: Option<&str>, url: Option<&str>| TicketChange {
            ticket_id: Uuid::from_u128(2),
            subject: subject.map(str::to_owned),
            previous_subject: subject.map(str::to_owned),
            closed: Some(true),
            url: url.map(str::to_owned),
        };
        let kept = Content::TicketUpdated(change(None, None));
        for (content, expected) in [
            (Content::text("canary".into()), Some(Content::Erased { kind: ErasedKind::Message })),
            (
                Content::Comment { text: "canary".into(), mentions: Vec::new() },
                Some(Content::Erased { kind: ErasedKind::Comment }),
            ),
            (Content::AddressLeft { email: "canary".into() }, Some(Content::Erased { kind: ErasedKind::AddressLeft })),
            (
                Content::VisitorSignedIn { anonymous_visitor_id: "canary".into() },
                Some(Content::Erased { kind: ErasedKind::VisitorSignedIn }),
            ),
            (Content::Unknown, Some(Content::Erased { kind: ErasedKind::Unknown })),
            (
                Content::HandedOff { reason: "canary".into(), epoch: 2 },
                Some(Content::HandedOff { reason: String::new(), epoch: 2 }),
            ),
            (Content::TicketUpdated(change(Some("canary"), None)), Some(kept.clone())),
            (Content::TicketUpdated(change(None, Some("canary"))), Some(kept.clone())),
            (kept, None),
            (Content::HandedOff { reason: String::new(), epoch: 2 }, None),
            (Content::Reopened { epoch: 2 }, None),
            (Content::TicketCreated { ticket_id: Uuid::from_u128(2) }, None),
        ] {
            let erased = content.erased();
            assert_eq!(erased, expected, "{content:?}");
            let left = erased.unwrap_or(content);
            assert!(left.erased().is_none(), "erasing {left:?} again changes nothing");
            assert!(!serde_json::to_string(&left).unwrap().contains("canary"), "{left:?}");
        }
    }
}
