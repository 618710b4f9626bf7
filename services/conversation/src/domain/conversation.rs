//! The conversation: which changes are allowed, and what follows from each. A change appends its entries and events here; the
//! store writes them with the row.

use std::{collections::BTreeMap, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{
    Actor, AssigneeChanged, AssignmentCause, CloseReason, Closed, ClosingFacts, Content, ConversationEvent, Entry,
    IdleRejection, Mention, Owner, Rejection, Routing, StartContext, Status, TeamMember,
};

/// Beginning of the visitor id of an erased conversation, before the conversation's own id, which no visitor can choose.
const ERASED_VISITOR: &str = "erased:";

/// The bot session that a conversation started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BotSession {
    pub(crate) id: Uuid,
    pub(crate) bot: Uuid,
    /// Inactivity timeout. None: the session never times out.
    pub(crate) timeout: Option<Duration>,
    pub(crate) started_at: Time,
    /// Once false it stays false: a session never comes back (rule A3).
    pub(crate) in_charge: bool,
}

/// A change of owner that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct OwnerChange {
    /// None: unassigned.
    pub(crate) to: Option<Owner>,
    pub(crate) by: Actor,
    pub(crate) cause: AssignmentCause,
    pub(crate) expected_epoch: i64,
    /// Only while the visitor waits for an answer.
    pub(crate) only_if_waiting: bool,
}

/// A conversation, with the entries and events that were added since it was loaded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conversation {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) channel_id: Uuid,
    pub(crate) visitor_id: String,
    /// The name in the visitor's token at the start. Empty: it had none.
    pub(crate) visitor_name: String,
    /// The address in the visitor's token when mail cannot go to it, for the team. Empty: there is none such.
    pub(crate) unusable_token_email: String,
    pub(crate) contact_id: Option<Uuid>,
    pub(crate) status: Status,
    pub(crate) context: StartContext,
    /// The visitor's conversation before this one on the channel.
    pub(crate) previous_id: Option<Uuid>,
    /// None: unassigned.
    pub(crate) owner: Option<Owner>,
    /// Ownership epoch: 1, 2, 3 ... Each change of owner begins the next one.
    pub(crate) epoch: i64,
    pub(crate) bot_session: Option<BotSession>,
    /// Whether an agent was ever its owner.
    pub(crate) had_agent: bool,
    pub(crate) last_sequence: i64,
    pub(crate) last_visitor_sequence: i64,
    /// Number of closes.
    pub(crate) close_number: i32,
    pub(crate) close_reason: Option<CloseReason>,
    pub(crate) closed_at: Option<Time>,
    pub(crate) created_at: Time,
    pub(crate) last_visitor_activity_at: Time,
    pub(crate) last_activity_at: Time,
    /// Since when the visitor waits for an answer: the time of their first message after the last one of an agent or bot, or of the
    /// hand-off. None: they do not wait, or it is closed.
    pub(crate) waiting_since: Option<Time>,
    /// Number of the conversation's events: each change has one.
    pub(crate) version: i64,
    pub(crate) new_entries: Vec<Entry>,
    pub(crate) new_events: Vec<ConversationEvent>,
}

impl Conversation {
    pub(crate) fn is_open(&self) -> bool {
        self.status == Status::Open
    }

    /// The bot session that is in charge.
    pub(crate) fn session_in_charge(&self) -> Option<&BotSession> {
        self.bot_session.as_ref().filter(|session| session.in_charge)
    }

    /// Whether its contact was erased (rule X2).
    pub(crate) fn is_erased(&self) -> bool {
        self.visitor_id == self.erased_visitor_id()
    }

    /// The id in the place of the visitor's in an erased conversation and its entries.
    pub(crate) fn erased_visitor_id(&self) -> String {
        format!("{ERASED_VISITOR}{}", self.id)
    }

    /// Whether there is anything to save.
    pub(crate) fn has_changed(&self) -> bool {
        !self.new_events.is_empty()
    }

    /// The visitor writes (rules C4, E2a, E3); their inactivity counts from now (rule B3).
    pub(crate) fn append_visitor_message(
        &mut self,
        content: Content,
        request_id: Option<String>,
        now: Time,
    ) -> Result<Entry, Rejection> {
        self.require_open()?;
        self.last_visitor_activity_at = self.not_before_the_last(now);
        self.waiting_since.get_or_insert(self.last_visitor_activity_at);
        Ok(self.append_message(Actor::visitor(&self.visitor_id), content, request_id, now))
    }

    /// The team writes. In an unassigned conversation an agent becomes its assignee; an administrator does not (rule C11).
    pub(crate) fn append_team_message(
        &mut self,
        author: &TeamMember,
        content: Content,
        request_id: Option<String>,
        expected_epoch: Option<i64>,
        now: Time,
    ) -> Result<Entry, Rejection> {
        self.require_open()?;
        self.require_epoch(expected_epoch)?;
        if self.session_in_charge().is_some() {
            return Err(Rejection::BotInCharge);
        }
        if self.owner.is_none()
            && let Some(agent) = author.agent()
        {
            self.assign(Some(Owner::agent(agent)), author.actor(), AssignmentCause::ByHand, now);
        }
        self.waiting_since = None;
        Ok(self.append_message(author.actor(), content, request_id, now))
    }

    /// Requires that the session is in charge, and that the visitor was not active after this time (rule B4). None: active or not.
    pub(crate) fn require_silent_since(&self, session: Uuid, since: Option<Time>) -> Result<(), Rejection> {
        self.require_open()?;
        self.require_in_charge(session)?;
        match since {
            Some(since) if self.last_visitor_activity_at > since => Err(Rejection::VisitorActive),
            _ => Ok(()),
        }
    }

    /// The bot in charge writes (rule A3).
    pub(crate) fn append_bot_message(
        &mut self,
        session: Uuid,
        content: Content,
        now: Time,
    ) -> Result<Entry, Rejection> {
        self.require_open()?;
        let bot = self.require_in_charge(session)?;
        self.waiting_since = None;
        Ok(self.append_message(Actor::bot(bot), content, None, now))
    }

    /// The team comments, in any state of the conversation (rules C7, C11).
    pub(crate) fn append_comment(
        &mut self,
        author: &TeamMember,
        text: String,
        mentions: Vec<Mention>,
        request_id: String,
        now: Time,
    ) -> Entry {
        let author = author.actor();
        let mentioned = mentions.iter().map(|mention| mention.agent_id).collect();
        let entry = self.add_entry(author.clone(), Content::Comment { text, mentions }, Some(request_id), now);
        self.new_events.push(ConversationEvent::CommentPosted { sequence: entry.sequence, author, mentioned });
        entry
    }

    /// Adds an entry that reports a fact to the team: a link to a contact, a ticket, a sent transcript.
    pub(crate) fn add_system_entry(&mut self, author: Actor, content: Content, now: Time) {
        self.add_entry(author, content, None, now);
        self.new_events.push(ConversationEvent::Updated);
    }

    /// The conversation belongs to the contact; the thread reports it when that is new (rule X1).
    pub(crate) fn link_contact(&mut self, contact_id: Uuid, by: Actor, now: Time) {
        if self.contact_id != Some(contact_id) {
            self.contact_id = Some(contact_id);
            self.add_system_entry(by, Content::ContactLinked { contact_id }, now);
        }
    }

    /// The conversation follows its visitor to another contact, without an entry (rule X1).
    pub(crate) fn move_to_contact(&mut self, contact_id: Uuid) {
        if self.contact_id != Some(contact_id) {
            self.contact_id = Some(contact_id);
            self.new_events.push(ConversationEvent::Updated);
        }
    }

    /// The anonymous visitor signed in: the conversation is this visitor's from now on (rule S6).
    pub(crate) fn sign_in(&mut self, visitor: &str, name: &str, now: Time) {
        let anonymous_visitor_id = std::mem::replace(&mut self.visitor_id, visitor.to_owned());
        self.visitor_name = name.to_owned();
        self.add_system_entry(Actor::visitor(visitor), Content::VisitorSignedIn { anonymous_visitor_id }, now);
    }

    /// Closes it, if it is open, because the erasure of its contact began (rule X2): no bot records an answer any more, and no visitor
    /// writes.
    pub(crate) fn close_for_erasure(&mut self, by: &TeamMember, facts: ClosingFacts, now: Time) {
        if self.is_open() {
            self.close(CloseReason::Agent, by.actor(), facts.without_address(), now);
        }
    }

    /// Erases what the row says of the visitor, and reports it in the thread, whose contents are erased before (rules X2, C14).
    pub(crate) fn erase(&mut self, contact_id: Uuid, by: &TeamMember, now: Time) {
        self.visitor_id = self.erased_visitor_id();
        self.visitor_name.clear();
        self.unusable_token_email.clear();
        self.context = StartContext::default();
        self.add_system_entry(by.actor(), Content::ContactErased { contact_id }, now);
    }

    /// Keeps the address of the visitor's token that mail cannot go to; empty when the token has a usable one.
    pub(crate) fn set_unusable_token_email(&mut self, address: String) {
        if self.unusable_token_email != address {
            self.unusable_token_email = address;
            self.new_events.push(ConversationEvent::Updated);
        }
    }

    /// Sets properties by name, without an entry; one without a value is removed. False: they would be too many or too large, and nothing
    /// changes.
    pub(crate) fn set_properties(&mut self, changes: BTreeMap<String, String>) -> bool {
        let before = self.context.properties.clone();
        let fits = self.context.set_properties(changes);
        if self.context.properties != before {
            self.new_events.push(ConversationEvent::Updated);
        }
        fits
    }

    /// Changes the owner at an epoch (rules A1, A3). Returns the owner before; nothing changes when it is the same.
    pub(crate) fn change_owner(&mut self, change: OwnerChange, now: Time) -> Result<Option<Owner>, Rejection> {
        self.require_open()?;
        self.require_epoch(Some(change.expected_epoch))?;
        if change.only_if_waiting && self.waiting_since.is_none() {
            return Err(Rejection::VisitorNotWaiting);
        }
        let from = self.owner;
        if from != change.to {
            self.assign(change.to, change.by, change.cause, now);
        }
        Ok(from)
    }

    /// The channel writes to a visitor who waits for an agent (rule A4). It is no answer: the visitor waits as before.
    pub(crate) fn append_channel_message(
        &mut self,
        content: Content,
        expected_epoch: i64,
        now: Time,
    ) -> Result<(), Rejection> {
        self.require_open()?;
        self.require_epoch(Some(expected_epoch))?;
        if self.owner.is_some() {
            return Err(Rejection::OwnerChanged);
        }
        self.append_message(Actor::system(), content, None, now);
        Ok(())
    }

    /// The bot in charge hands off to people (rule B8).
    pub(crate) fn hand_off(
        &mut self,
        session: Uuid,
        reason: String,
        agent: Option<Uuid>,
        routing: Routing,
        now: Time,
    ) -> Result<(), Rejection> {
        self.require_open()?;
        let bot = self.require_in_charge(session)?;
        let now = self.not_before_the_last(now);
        self.end_bot_session();
        self.waiting_since.get_or_insert(now);
        self.owner = None;
        self.epoch += 1;
        self.add_entry(Actor::bot(bot), Content::HandedOff { reason, epoch: self.epoch }, None, now);
        let handed_off = ConversationEvent::HandedOff { bot_session: session, bot, agent, routing, at: now };
        self.new_events.push(handed_off);
        Ok(())
    }

    /// The team closes (rule E1). Closing a closed conversation changes nothing (rule E5).
    pub(crate) fn close_by_team(
        &mut self,
        by: &TeamMember,
        expected_epoch: Option<i64>,
        facts: ClosingFacts,
        now: Time,
    ) -> Result<(), Rejection> {
        if self.status == Status::Closed {
            return Ok(());
        }
        self.require_epoch(expected_epoch)?;
        self.close(CloseReason::Agent, by.actor(), facts, now);
        Ok(())
    }

    /// The bot in charge closes at the end of its flow (rule C2). Closing a closed conversation changes nothing (rule E5).
    pub(crate) fn close_by_bot(&mut self, session: Uuid, facts: ClosingFacts, now: Time) -> Result<(), Rejection> {
        if self.status == Status::Closed {
            return Ok(());
        }
        let bot = self.require_in_charge(session)?;
        self.close(CloseReason::BotCompleted, Actor::bot(bot), facts, now);
        Ok(())
    }

    /// The session's timeout closes (rules B4, B5, E2), if the session is in charge and the visitor was inactive for the
    /// timeout by this database's clock. `as_of`: an earlier time at which that has to have been true. A repeat of the close that
    /// this timeout made changes nothing.
    pub(crate) fn close_idle(
        &mut self,
        session: Uuid,
        facts: ClosingFacts,
        as_of: Option<Time>,
        now: Time,
    ) -> Result<(), IdleRejection> {
        if self.status == Status::Closed {
            let by_this_timeout = self.close_reason == Some(CloseReason::VisitorInactive) && self.started_with(session);
            return if by_this_timeout { Ok(()) } else { Err(IdleRejection::NotInCharge) };
        }
        let in_charge = self.session_in_charge().filter(|in_charge| in_charge.id == session);
        let timeout = in_charge.and_then(|session| session.timeout).ok_or(IdleRejection::NotInCharge)?;
        let idle_at = self.last_visitor_activity_at.plus(timeout);
        if as_of.map_or(now, |as_of| as_of.min(now)) < idle_at {
            return Err(IdleRejection::VisitorActive { idle_at });
        }
        self.close(CloseReason::VisitorInactive, Actor::system(), facts, now);
        Ok(())
    }

    /// The team reopens the conversation (rule E4): an agent owns it then, and by an administrator it becomes unassigned, and waits for
    /// an agent if it is routed. Reopening an open one changes nothing. `has_newer`: the visitor has another open conversation on the
    /// channel.
    pub(crate) fn reopen(
        &mut self,
        by: &TeamMember,
        has_newer: bool,
        routing: Option<Routing>,
        now: Time,
    ) -> Result<(), Rejection> {
        if self.status == Status::Open {
            return Ok(());
        }
        self.require_not_erased()?;
        if has_newer {
            return Err(Rejection::NewerConversationOpen);
        }
        let now = self.not_before_the_last(now);
        self.status = Status::Open;
        let by_timeout = self.close_reason.take() == Some(CloseReason::VisitorInactive);
        let timed_out_session = self.bot_session.as_ref().filter(|_| by_timeout).map(|session| session.id);
        self.closed_at = None;
        self.had_agent |= by.agent().is_some();
        let last_owner = self.owner.filter(|owner| owner.is_agent()).map(|owner| owner.id);
        self.owner = by.agent().map(Owner::agent);
        self.epoch += 1;
        let by = by.actor();
        self.add_entry(by.clone(), Content::Reopened { epoch: self.epoch }, None, now);
        self.new_events.push(ConversationEvent::Reopened { by, timed_out_session, routing, last_owner, at: now });
        Ok(())
    }

    /// Requires that the bot session is in charge. Returns its bot.
    pub(crate) fn require_in_charge(&self, session: Uuid) -> Result<Uuid, Rejection> {
        match self.session_in_charge() {
            Some(in_charge) if in_charge.id == session => Ok(in_charge.bot),
            _ => Err(Rejection::SessionNotInCharge),
        }
    }

    /// The time of what happens now. The database's clock may be set back, also by a failover to another server; the times of a
    /// conversation never go back.
    fn not_before_the_last(&self, now: Time) -> Time {
        now.max(self.last_activity_at)
    }

    /// The time at which the visitor's next conversation starts: later than everything in this one, so that the order of their
    /// conversations is that of their starts.
    pub(crate) fn time_after(&self, now: Time) -> Time {
        now.max(self.last_activity_at.max(self.created_at).plus(Duration::from_micros(1)))
    }

    fn started_with(&self, session: Uuid) -> bool {
        self.bot_session.as_ref().is_some_and(|started_with| started_with.id == session)
    }

    /// Requires that its contact was not erased: such a conversation stays as it is.
    pub(crate) fn require_not_erased(&self) -> Result<(), Rejection> {
        if self.is_erased() { Err(Rejection::ContactErased) } else { Ok(()) }
    }

    fn require_open(&self) -> Result<(), Rejection> {
        if self.is_open() { Ok(()) } else { Err(Rejection::Closed) }
    }

    fn require_epoch(&self, expected: Option<i64>) -> Result<(), Rejection> {
        match expected {
            Some(expected) if expected != self.epoch => Err(Rejection::OwnerChanged),
            _ => Ok(()),
        }
    }

    /// Returns the session that was in charge until now.
    fn end_bot_session(&mut self) -> Option<Uuid> {
        let session = self.bot_session.as_mut().filter(|session| session.in_charge)?;
        session.in_charge = false;
        Some(session.id)
    }

    fn assign(&mut self, to: Option<Owner>, by: Actor, cause: AssignmentCause, now: Time) {
        let now = self.not_before_the_last(now);
        let from = std::mem::replace(&mut self.owner, to);
        let ended_session = self.end_bot_session();
        self.had_agent |= to.is_some_and(Owner::is_agent);
        self.epoch += 1;
        let epoch = self.epoch;
        self.add_entry(by.clone(), Content::AssigneeChanged { from, to, epoch, cause: Some(cause) }, None, now);
        let changed = AssigneeChanged { epoch, from, to, by, cause, ended_session, at: now };
        self.new_events.push(ConversationEvent::AssigneeChanged(changed));
    }

    fn close(&mut self, reason: CloseReason, by: Actor, facts: ClosingFacts, now: Time) {
        let now = self.not_before_the_last(now);
        let bot_session = self.end_bot_session();
        self.status = Status::Closed;
        self.close_number += 1;
        self.close_reason = Some(reason);
        self.closed_at = Some(now);
        self.waiting_since = None;
        self.add_entry(by.clone(), Content::Closed { reason, close_number: self.close_number }, None, now);
        self.new_events.push(ConversationEvent::Closed(Closed { reason, by, facts, bot_session, at: now }));
    }

    fn append_message(&mut self, author: Actor, content: Content, request_id: Option<String>, now: Time) -> Entry {
        let entry = self.add_entry(author.clone(), content, request_id, now);
        self.new_events.push(ConversationEvent::MessagePosted {
            sequence: entry.sequence,
            visitor_sequence: self.last_visitor_sequence,
            author,
            bot_session: self.session_in_charge().map(|session| session.id),
        });
        entry
    }

    fn add_entry(&mut self, author: Actor, content: Content, request_id: Option<String>, now: Time) -> Entry {
        let now = self.not_before_the_last(now);
        self.last_sequence += 1;
        let visitor_sequence = content.is_visible_to_visitor().then(|| {
            self.last_visitor_sequence += 1;
            self.last_visitor_sequence
        });
        self.last_activity_at = now;
        let entry = Entry {
            conversation_id: self.id,
            sequence: self.last_sequence,
            visitor_sequence,
            author,
            content,
            request_id,
            created_at: now,
        };
        self.new_entries.push(entry.clone());
        entry
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
