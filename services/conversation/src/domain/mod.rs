//! What may happen to a conversation and what follows. No I/O, no clock.

mod address;
mod conversation;
mod entry;
mod words;

pub(crate) use address::usable_address;
pub(crate) use conversation::{ClosingFacts, Conversation, Happened, NewConversation, NotIdle, Refused, StartedWith};
pub(crate) use entry::{Author, AuthorKind, Button, Content, Entry, Owner, OwnerKind};
pub(crate) use words::{CloseReason, Greeter, Link, Status, TicketStatus};
