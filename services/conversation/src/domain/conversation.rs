//! The conversation: who may do what to it, and what follows. Every change appends its entries and events here; the store
//! writes them with the row.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{Author, AuthorKind, CloseReason, Content, Entry, Owner, OwnerKind, Status};
use crate::store::entity::conversations::Model;

/// What happened, for the outbox. The store adds what the row knows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Happened {
    Started {
        to_routing: bool,
    },
    MessagePosted {
        sequence: i64,
        visitor_sequence: i64,
        author: Author,
        bot_session: Option<Uuid>,
    },
    CommentPosted {
        sequence: i64,
        author: Author,
    },
    AssigneeChanged {
        epoch: i64,
        from: Option<Owner>,
        to: Option<Owner>,
        by: Author,
        ended_session: Option<Uuid>,
        at: Time,
    },
    HandedOff {
        bot_session: Uuid,
        bot: Uuid,
        agent: Option<Uuid>,
        at: Time,
    },
    Closed {
        reason: CloseReason,
        by: Author,
        facts: ClosingFacts,
        bot_session: Option<Uuid>,
        at: Time,
    },
    Reopened {
        by: Author,
        at: Time,
    },
}

/// Facts from other tables that a close freezes (rule T2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClosingFacts {
    /// Where the transcript goes: an address of the visitor's own, or one that they typed.
    pub recipient: Option<String>,
    pub recipient_verified: bool,
    pub had_ticket: bool,
    pub transcript_enabled: bool,
    pub sender_id: Option<Uuid>,
}

/// Why the conversation refuses; what is true now is read from the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Closed,
    BotInCharge,
    SessionNotInCharge,
    OwnershipChanged,
}

/// Why a session's timeout closes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotIdle {
    /// The visitor was active: the timeout runs out at `idle_at`.
    Until { idle_at: Time },
    /// The session is not in charge, has no timeout, or the conversation was closed otherwise.
    NotInCharge,
}

/// Who greets a new conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StartedWith {
    Bot { id: Uuid, session: Uuid, timeout_us: Option<i64> },
    Routing,
    Nobody,
}

/// What a new conversation is made of.
#[derive(Clone, Debug)]
pub(crate) struct NewConversation {
    pub id: Uuid,
    pub account: AccountId,
    pub channel_id: Uuid,
    pub visitor_id: String,
    pub contact_id: Option<Uuid>,
    pub page_url: String,
    pub page_title: String,
    pub previous_id: Option<Uuid>,
    pub with: StartedWith,
}

/// A conversation with what was added to it since it was loaded.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub row: Model,
    pub entries: Vec<Entry>,
    pub events: Vec<Happened>,
}

impl From<Model> for Conversation {
    fn from(row: Model) -> Self {
        Self { row, entries: Vec::new(), events: Vec::new() }
    }
}

impl Conversation {
    /// Starts (rules C1, B1): with a bot, the session is in charge from this commit.
    pub(crate) fn start(new: NewConversation, now: Time) -> Self {
        let (bot_id, session, timeout_us) = match new.with {
            StartedWith::Bot { id, session, timeout_us } => (Some(id), Some(session), timeout_us),
            StartedWith::Routing | StartedWith::Nobody => (None, None, None),
        };
        let row = Model {
            id: new.id,
            account_id: new.account,
            channel_id: new.channel_id,
            visitor_id: new.visitor_id,
            contact_id: new.contact_id,
            status: Status::Open,
            page_url: new.page_url,
            page_title: new.page_title,
            previous_id: new.previous_id,
            assignee_kind: bot_id.map(|_| OwnerKind::Bot),
            assignee_id: bot_id,
            epoch: 1,
            bot_id,
            bot_session_id: session,
            bot_in_charge: session.is_some(),
            bot_timeout_us: timeout_us,
            bot_started_at: session.map(|_| now),
            had_agent: false,
            last_sequence: 0,
            last_visitor_sequence: 0,
            close_number: 0,
            close_reason: None,
            closed_at: None,
            created_at: now,
            last_visitor_activity_at: now,
            last_activity_at: now,
            version: 0,
        };
        let mut conversation = Self::from(row);
        conversation.events.push(Happened::Started { to_routing: matches!(new.with, StartedWith::Routing) });
        conversation
    }

    /// Who owns it.
    pub(crate) fn owner(&self) -> Option<Owner> {
        Some(Owner { kind: self.row.assignee_kind?, id: self.row.assignee_id? })
    }

    /// The session of the bot in charge.
    pub(crate) fn session_in_charge(&self) -> Option<Uuid> {
        self.row.bot_session_id.filter(|_| self.row.bot_in_charge)
    }

    /// The visitor says something (rules C4, E2a, E3); their silence begins anew (rule B3).
    pub(crate) fn visitor_says(&mut self, content: Content, now: Time) -> Result<Entry, Refused> {
        self.must_be_open()?;
        self.row.last_visitor_activity_at = now;
        let author = Author::new(AuthorKind::Visitor, &self.row.visitor_id);
        Ok(self.message(author, content, now))
    }

    /// An agent says something; in a conversation of nobody they become its assignee (rule C11).
    pub(crate) fn agent_says(
        &mut self,
        agent: Uuid,
        text: String,
        epoch: Option<i64>,
        now: Time,
    ) -> Result<Entry, Refused> {
        self.must_be_open()?;
        self.must_be_at(epoch)?;
        if self.row.bot_in_charge {
            return Err(Refused::BotInCharge);
        }
        let author = Author::new(AuthorKind::Agent, agent);
        if self.owner().is_none() {
            self.give_to(Some(Owner::agent(agent)), author.clone(), now);
        }
        Ok(self.message(author, Content::text(text), now))
    }

    /// The bot in charge says something (rule A3).
    pub(crate) fn bot_says(
        &mut self,
        session: Uuid,
        content: Content,
        epoch: Option<i64>,
        now: Time,
    ) -> Result<Entry, Refused> {
        let bot = self.must_have_in_charge(session)?;
        self.must_be_at(epoch)?;
        Ok(self.message(Author::new(AuthorKind::Bot, bot), content, now))
    }

    /// An agent comments, whatever the conversation's state (rules C7, C11).
    pub(crate) fn comment(&mut self, agent: Uuid, text: String, now: Time) -> Entry {
        let author = Author::new(AuthorKind::Agent, agent);
        let entry = self.add(author.clone(), Content::Comment { text }, now);
        self.events.push(Happened::CommentPosted { sequence: entry.sequence, author });
        entry
    }

    /// The owner changes at an epoch (rules A1, A3). Gives the owner until now; None: it was so already.
    pub(crate) fn change_owner(
        &mut self,
        to: Option<Owner>,
        by: Author,
        expected_epoch: i64,
        now: Time,
    ) -> Result<Option<Owner>, Refused> {
        self.must_be_open()?;
        let from = self.owner();
        self.must_be_at(Some(expected_epoch))?;
        if from != to {
            self.give_to(to, by, now);
        }
        Ok(from)
    }

    /// The bot in charge hands over to people (rule B8).
    pub(crate) fn hand_off(
        &mut self,
        session: Uuid,
        reason: String,
        agent: Option<Uuid>,
        now: Time,
    ) -> Result<(), Refused> {
        let bot = self.must_have_in_charge(session)?;
        self.row.bot_in_charge = false;
        self.row.assignee_kind = None;
        self.row.assignee_id = None;
        self.row.epoch += 1;
        self.add(Author::new(AuthorKind::Bot, bot), Content::HandedOff { reason, epoch: self.row.epoch }, now);
        self.events.push(Happened::HandedOff { bot_session: session, bot, agent, at: now });
        Ok(())
    }

    /// An agent closes (rule E1). Closing a closed one changes nothing (rule E5).
    pub(crate) fn close_by_agent(
        &mut self,
        agent: Uuid,
        epoch: Option<i64>,
        facts: ClosingFacts,
        now: Time,
    ) -> Result<(), Refused> {
        if self.row.status == Status::Closed {
            return Ok(());
        }
        self.must_be_at(epoch)?;
        self.close(CloseReason::Agent, Author::new(AuthorKind::Agent, agent), facts, now);
        Ok(())
    }

    /// The bot in charge closes at the end of its flow (rule C2).
    pub(crate) fn close_by_bot(&mut self, session: Uuid, facts: ClosingFacts, now: Time) -> Result<(), Refused> {
        if self.row.status == Status::Closed && self.row.bot_session_id == Some(session) {
            return Ok(());
        }
        let bot = self.must_have_in_charge(session)?;
        self.close(CloseReason::BotCompleted, Author::new(AuthorKind::Bot, bot), facts, now);
        Ok(())
    }

    /// The session's timeout asks to close (rules B4, B5, E2): granted when the session is in charge and the visitor was
    /// silent so long by this database's clock. Closed by this very timeout before is granted too.
    pub(crate) fn close_idle(&mut self, session: Uuid, facts: ClosingFacts, now: Time) -> Result<(), NotIdle> {
        if self.row.status == Status::Closed {
            let ours =
                self.row.close_reason == Some(CloseReason::VisitorInactive) && self.row.bot_session_id == Some(session);
            return if ours { Ok(()) } else { Err(NotIdle::NotInCharge) };
        }
        self.must_have_in_charge(session).map_err(|_| NotIdle::NotInCharge)?;
        let timeout = self.row.bot_timeout_us.and_then(|us| u64::try_from(us).ok()).map(Duration::from_micros);
        let timeout = timeout.ok_or(NotIdle::NotInCharge)?;
        let idle_at = self.row.last_visitor_activity_at.plus(timeout);
        if now < idle_at {
            return Err(NotIdle::Until { idle_at });
        }
        self.close(CloseReason::VisitorInactive, Author::system(), facts, now);
        Ok(())
    }

    /// An agent opens it again and owns it (rule E4); an open one stays as it is.
    pub(crate) fn reopen(&mut self, agent: Uuid, now: Time) {
        if self.row.status == Status::Open {
            return;
        }
        self.row.status = Status::Open;
        self.row.close_reason = None;
        self.row.closed_at = None;
        self.row.had_agent = true;
        self.row.assignee_kind = Some(OwnerKind::Agent);
        self.row.assignee_id = Some(agent);
        self.row.epoch += 1;
        let by = Author::new(AuthorKind::Agent, agent);
        self.add(by.clone(), Content::Reopened { epoch: self.row.epoch }, now);
        self.events.push(Happened::Reopened { by, at: now });
    }

    /// Something that only the thread tells: a link to a contact, a ticket, a sent transcript.
    pub(crate) fn note(&mut self, author: Author, content: Content, now: Time) {
        self.add(author, content, now);
    }

    /// Is the bot session in charge? Gives its bot.
    pub(crate) fn must_have_in_charge(&self, session: Uuid) -> Result<Uuid, Refused> {
        match (self.session_in_charge(), self.row.bot_id) {
            (Some(in_charge), Some(bot)) if in_charge == session => Ok(bot),
            _ => Err(Refused::SessionNotInCharge),
        }
    }

    fn must_be_open(&self) -> Result<(), Refused> {
        if self.row.status == Status::Open { Ok(()) } else { Err(Refused::Closed) }
    }

    fn must_be_at(&self, epoch: Option<i64>) -> Result<(), Refused> {
        match epoch {
            Some(epoch) if epoch != self.row.epoch => Err(Refused::OwnershipChanged),
            _ => Ok(()),
        }
    }

    fn give_to(&mut self, to: Option<Owner>, by: Author, now: Time) {
        let from = self.owner();
        let ended_session = self.session_in_charge();
        self.row.bot_in_charge = false;
        self.row.assignee_kind = to.map(|owner| owner.kind);
        self.row.assignee_id = to.map(|owner| owner.id);
        self.row.had_agent |= to.is_some_and(|owner| owner.kind == OwnerKind::Agent);
        self.row.epoch += 1;
        let epoch = self.row.epoch;
        self.add(by.clone(), Content::AssigneeChanged { from, to, epoch }, now);
        self.events.push(Happened::AssigneeChanged { epoch, from, to, by, ended_session, at: now });
    }

    fn close(&mut self, reason: CloseReason, by: Author, facts: ClosingFacts, now: Time) {
        let bot_session = self.session_in_charge();
        self.row.bot_in_charge = false;
        self.row.status = Status::Closed;
        self.row.close_number += 1;
        self.row.close_reason = Some(reason);
        self.row.closed_at = Some(now);
        self.add(by.clone(), Content::Closed { reason, close_number: self.row.close_number }, now);
        self.events.push(Happened::Closed { reason, by, facts, bot_session, at: now });
    }

    fn message(&mut self, author: Author, content: Content, now: Time) -> Entry {
        let entry = self.add(author.clone(), content, now);
        self.events.push(Happened::MessagePosted {
            sequence: entry.sequence,
            visitor_sequence: self.row.last_visitor_sequence,
            author,
            bot_session: self.session_in_charge(),
        });
        entry
    }

    fn add(&mut self, author: Author, content: Content, now: Time) -> Entry {
        self.row.last_sequence += 1;
        let visitor_sequence = content.visible_to_visitor().then(|| {
            self.row.last_visitor_sequence += 1;
            self.row.last_visitor_sequence
        });
        self.row.last_activity_at = now;
        let entry = Entry {
            conversation_id: self.row.id,
            sequence: self.row.last_sequence,
            visitor_sequence,
            author,
            content,
            created_at: now,
        };
        self.entries.push(entry.clone());
        entry
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
