//! The visitor's messages of a thread, read in pages.

use std::collections::VecDeque;

use frontdesk_client::Peer;
use frontdesk_proto::{
    actor::v1::ActorKind,
    conversation::v1::{Entry, entry::Content},
};

use crate::{
    conversation::{self, CallError},
    domain::{PressedButton, Session, VisitorInput},
};

/// A reader of one thread. It fetches the next page only when all messages of the current one are used.
#[derive(Debug, Default)]
pub(super) struct VisitorMessages {
    /// Messages of the current page with their sequences.
    messages: VecDeque<(i64, VisitorInput)>,
    /// Sequence of the last entry that was read.
    read_until: i64,
    /// Whether the last page that was read was the thread's last.
    at_end: bool,
}

impl VisitorMessages {
    /// Returns the visitor's first message that the session has not answered, with its sequence. None: there was none
    /// when the thread was read to its end.
    pub(super) async fn next(
        &mut self,
        peer: &Peer,
        session: &Session,
    ) -> Result<Option<(i64, VisitorInput)>, CallError> {
        loop {
            while let Some(message) = self.messages.pop_front() {
                // Another replica may have answered messages of the current page.
                if message.0 > session.last_sequence {
                    return Ok(Some(message));
                }
            }
            if self.at_end {
                return Ok(None);
            }
            self.read_page(peer, session).await?;
        }
    }

    async fn read_page(&mut self, peer: &Peer, session: &Session) -> Result<(), CallError> {
        let after_sequence = self.read_until.max(session.last_sequence);
        let page = conversation::list_entries(peer, session, after_sequence).await?;
        // Pages are limited by bytes too, so a short page need not be the last.
        self.at_end = !page.has_more;
        match page.entries.last() {
            Some(last) => self.read_until = last.sequence.into(),
            None if page.has_more => {
                return Err(CallError::Unavailable("an empty page that says that more entries follow".into()));
            }
            None => {}
        }
        let inputs = page.entries.into_iter().filter_map(visitor_input);
        self.messages.extend(inputs.map(|input| (input.sequence, input)));
        Ok(())
    }
}

/// Returns what the visitor wrote before the session's bot did, such as the text with which the chat started. None: nothing. A later call
/// may return what the visitor wrote after the first one and before the bot.
pub(super) async fn first_message(peer: &Peer, session: &Session) -> Result<Option<VisitorInput>, CallError> {
    let page = conversation::list_entries(peer, session, 0).await?;
    let is_by_bot = |entry: &Entry| entry.author.as_ref().is_some_and(|author| author.kind() == ActorKind::Bot);
    Ok(page.entries.into_iter().take_while(|entry| !is_by_bot(entry)).find_map(visitor_input))
}

/// Returns the entry as an input. None: it is no message of the visitor.
pub(super) fn visitor_input(entry: Entry) -> Option<VisitorInput> {
    if entry.author.as_ref()?.kind() != ActorKind::Visitor {
        return None;
    }
    match entry.content? {
        Content::Message(message) => {
            let button = message.chosen_button.map(|button| PressedButton {
                id: button.button_id,
                offered_in: Some(button.visitor_sequence.into()).filter(|sequence| *sequence > 0),
            });
            // Files without a text answer a question by their names.
            let names = message.attachments.into_iter().map(|attachment| attachment.file_name);
            let text = if message.text.is_empty() { names.collect::<Vec<_>>().join(", ") } else { message.text };
            let line = frontdesk_proto::visible_line(&text);
            Some(VisitorInput { sequence: entry.sequence.into(), text, line, button })
        }
        _ => None,
    }
}
