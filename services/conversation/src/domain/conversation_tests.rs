use std::time::Duration;

use super::*;
use crate::domain::{Greeting, NewConversation};

const START: Time = Time(1_700_000_000_000_000);
const TIMEOUT: Duration = Duration::from_secs(1_800);

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn agent(number: u128) -> TeamMember {
    TeamMember::Agent(uuid(number))
}

fn new(greeting: Greeting) -> Conversation {
    let new = NewConversation {
        id: uuid(1),
        account: AccountId(uuid(2)),
        channel_id: uuid(3),
        visitor_id: "v".into(),
        visitor_name: String::new(),
        unusable_token_email: String::new(),
        contact_id: None,
        context: StartContext::default(),
        previous_id: None,
        greeting,
    };
    Conversation::start(new, START)
}

fn with_bot() -> Conversation {
    new(Greeting::Bot { bot: uuid(8), session: uuid(9), timeout: Some(TIMEOUT), hand_off_policy: None })
}

fn change(to: Option<Owner>, expected_epoch: i64) -> OwnerChange {
    OwnerChange { to, by: Actor::system(), cause: AssignmentCause::ByHand, expected_epoch, only_if_waiting: false }
}

fn text() -> Content {
    Content::text("x".into())
}

#[test]
fn b1_the_session_is_in_charge_from_the_first_commit() {
    let conversation = with_bot();
    assert_eq!(conversation.session_in_charge().map(|session| session.id), Some(uuid(9)));
    assert_eq!(conversation.owner, Some(Owner::bot(uuid(8))));
    assert_eq!(conversation.new_events, [ConversationEvent::Started { routing: Some(Routing::default()) }]);
}

#[test]
fn a3_after_a_takeover_no_bot_message_and_no_timeout_is_accepted() {
    let mut conversation = with_bot();
    let from = conversation.change_owner(change(Some(Owner::agent(uuid(5))), 1), START);
    assert_eq!(from, Ok(Some(Owner::bot(uuid(8)))));
    let late = START.plus(TIMEOUT * 10);
    assert_eq!(conversation.append_bot_message(uuid(9), text(), late), Err(Rejection::SessionNotInCharge));
    assert_eq!(conversation.close_idle(uuid(9), ClosingFacts::default(), None, late), Err(IdleRejection::NotInCharge));
    assert_eq!(conversation.close_by_bot(uuid(9), ClosingFacts::default(), late), Err(Rejection::SessionNotInCharge));
    assert_eq!(
        conversation.hand_off(uuid(9), String::new(), None, Routing::default(), late),
        Err(Rejection::SessionNotInCharge)
    );
    assert!(matches!(
        conversation.new_events.last(),
        Some(ConversationEvent::AssigneeChanged(AssigneeChanged { ended_session: Some(session), epoch: 2, .. })) if *session == uuid(9)
    ));
}

#[test]
fn a1_an_old_epoch_is_refused_and_setting_the_same_owner_changes_nothing() {
    let mut conversation = new(Greeting::Unassigned);
    let (ada, bob) = (Owner::agent(uuid(5)), Owner::agent(uuid(6)));
    assert_eq!(conversation.change_owner(change(Some(ada), 1), START), Ok(None));
    assert_eq!(conversation.change_owner(change(Some(bob), 1), START), Err(Rejection::OwnerChanged));
    assert_eq!(conversation.change_owner(change(Some(ada), 2), START), Ok(Some(ada)));
    assert_eq!((conversation.epoch, conversation.new_entries.len()), (2, 1));
    assert_eq!(conversation.append_team_message(&agent(6), text(), None, Some(1), START), Err(Rejection::OwnerChanged));
}

#[test]
fn b3_b4_b5_only_the_visitors_silence_counts_and_not_a_moment_less() {
    let mut conversation = with_bot();
    let wrote = START.plus(Duration::from_secs(600));
    conversation.append_visitor_message(text(), None, wrote).unwrap();
    conversation.append_bot_message(uuid(9), text(), wrote.plus(Duration::from_secs(60))).unwrap();
    assert_eq!(conversation.require_silent_since(uuid(9), Some(wrote)), Ok(()));
    let before = wrote.minus(Duration::from_micros(1));
    assert_eq!(conversation.require_silent_since(uuid(9), Some(before)), Err(Rejection::VisitorActive));
    assert_eq!(conversation.require_silent_since(uuid(8), Some(wrote)), Err(Rejection::SessionNotInCharge));
    conversation.append_comment(&agent(5), "x".into(), Vec::new(), "id".into(), wrote.plus(Duration::from_secs(90)));
    let idle_at = wrote.plus(TIMEOUT);
    let early = idle_at.minus(Duration::from_micros(1));
    assert_eq!(
        conversation.close_idle(uuid(9), ClosingFacts::default(), None, early),
        Err(IdleRejection::VisitorActive { idle_at })
    );
    assert_eq!(
        conversation.close_idle(uuid(9), ClosingFacts::default(), Some(early), idle_at.plus(TIMEOUT)),
        Err(IdleRejection::VisitorActive { idle_at }),
        "as of an earlier time"
    );
    assert_eq!(
        conversation.close_idle(uuid(9), ClosingFacts::default(), Some(idle_at), early),
        Err(IdleRejection::VisitorActive { idle_at }),
        "never as of a later time than now"
    );
    assert_eq!(conversation.close_idle(uuid(9), ClosingFacts::default(), None, idle_at), Ok(()));
    assert_eq!(conversation.close_reason, Some(CloseReason::VisitorInactive));
    let written = conversation.new_entries.len();
    assert_eq!(
        conversation.close_idle(uuid(9), ClosingFacts::default(), None, idle_at),
        Ok(()),
        "asked again: it was this timeout"
    );
    assert_eq!(conversation.new_entries.len(), written);
    assert_eq!(
        conversation.close_idle(uuid(7), ClosingFacts::default(), None, idle_at),
        Err(IdleRejection::NotInCharge)
    );
}

#[test]
fn b2_a_session_without_a_timeout_never_times_out() {
    let mut conversation = new(Greeting::Bot { bot: uuid(8), session: uuid(9), timeout: None, hand_off_policy: None });
    let late = START.plus(TIMEOUT * 1_000);
    assert_eq!(conversation.close_idle(uuid(9), ClosingFacts::default(), None, late), Err(IdleRejection::NotInCharge));
}

#[test]
fn e3_e5_closing_is_one_change_and_nothing_is_said_after_it() {
    let mut conversation = new(Greeting::Unassigned);
    conversation.close_by_team(&agent(5), None, ClosingFacts::default(), START).unwrap();
    let closed = conversation.clone();
    conversation.close_by_team(&agent(6), Some(99), ClosingFacts::default(), START).unwrap();
    assert_eq!(conversation, closed, "closing a closed one is no error and changes nothing");
    assert_eq!(conversation.append_visitor_message(text(), None, START), Err(Rejection::Closed));
    assert_eq!(conversation.append_team_message(&agent(5), text(), None, None, START), Err(Rejection::Closed));
    assert_eq!(conversation.change_owner(change(None, 1), START), Err(Rejection::Closed));
    conversation.append_comment(&agent(5), "x".into(), Vec::new(), "id".into(), START);
    conversation.reopen(&agent(6), false, None, START).unwrap();
    assert!(conversation.had_agent && conversation.epoch == 2 && conversation.close_number == 1);
    conversation.close_by_team(&agent(6), None, ClosingFacts::default(), START).unwrap();
    assert_eq!(conversation.close_number, 2);
}

#[test]
fn c11_while_a_bot_is_in_charge_an_agent_takes_over_first() {
    let mut conversation = with_bot();
    assert_eq!(conversation.append_team_message(&agent(5), text(), None, None, START), Err(Rejection::BotInCharge));
    conversation.hand_off(uuid(9), "why".into(), None, Routing::default(), START).unwrap();
    conversation.append_team_message(&agent(5), text(), None, None, START).unwrap();
    assert_eq!((conversation.owner, conversation.epoch), (Some(Owner::agent(uuid(5))), 3));
}

#[test]
fn c11_e4_an_administrator_writes_and_reopens_and_owns_nothing() {
    let root = TeamMember::Admin("root".into());
    let mut conversation = with_bot();
    assert_eq!(conversation.append_team_message(&root, text(), None, None, START), Err(Rejection::BotInCharge));
    conversation.hand_off(uuid(9), "why".into(), None, Routing::default(), START).unwrap();
    let entry = conversation.append_team_message(&root, text(), None, Some(2), START).unwrap();
    assert_eq!((entry.author, conversation.owner, conversation.epoch), (Actor::admin("root"), None, 2));
    assert_eq!(conversation.waiting_since, None);
    conversation.close_by_team(&root, None, ClosingFacts::default(), START).unwrap();
    conversation.reopen(&root, false, None, START).unwrap();
    assert_eq!((conversation.owner, conversation.epoch, conversation.had_agent), (None, 3, false));
}

/// A small generator, so that a failing run can be repeated from its seed.
#[test]
fn c3_b4_times_never_go_back_when_the_clock_is_set_back() {
    let back = START.minus(Duration::from_secs(3_600));
    let mut conversation = with_bot();
    let late = START.plus(Duration::from_secs(60));
    conversation.append_visitor_message(text(), None, late).unwrap();
    conversation.append_visitor_message(text(), None, back).unwrap();
    conversation.append_bot_message(uuid(9), text(), back).unwrap();
    assert_eq!(conversation.last_visitor_activity_at, late, "the timeout is not earlier for it");
    conversation.change_owner(change(Some(Owner::agent(uuid(5))), 1), back).unwrap();
    conversation.close_by_team(&agent(5), None, ClosingFacts::default(), back).unwrap();
    assert_eq!(conversation.closed_at, Some(late));
    conversation.reopen(&agent(5), false, None, back).unwrap();
    assert_eq!(conversation.last_activity_at, late);
    assert!(conversation.new_entries.iter().all(|entry| entry.created_at == late));
    assert!(conversation.time_after(back) > late, "the visitor's next conversation");
    assert_eq!(conversation.time_after(late.plus(TIMEOUT)), late.plus(TIMEOUT));
}

fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

#[test]
fn c3_a1_whatever_happens_numbers_are_dense_epochs_rise_by_one_and_a_bot_never_returns() {
    for start in 0..2_000_u64 {
        let mut seed = start;
        let mut conversation = if next(&mut seed).is_multiple_of(2) { with_bot() } else { new(Greeting::Unassigned) };
        let (mut now, mut epoch, mut bot_gone) = (START, 1, false);
        for _ in 0..30 {
            now = now.plus(Duration::from_secs(next(&mut seed) % 2_000));
            let agent = uuid(5 + u128::from(next(&mut seed) % 2));
            let is_admin = next(&mut seed).is_multiple_of(4);
            let by = if is_admin { TeamMember::Admin("root".into()) } else { TeamMember::Agent(agent) };
            let believed = 1 + i64::try_from(next(&mut seed) % 4).unwrap();
            let facts = ClosingFacts::default();
            let _ = match next(&mut seed) % 9 {
                0 => conversation.append_visitor_message(text(), None, now).map(|_| ()),
                1 => conversation.append_team_message(&by, text(), None, None, now).map(|_| ()),
                2 => conversation.append_bot_message(uuid(9), text(), now).map(|_| ()),
                3 => conversation.change_owner(change(Some(Owner::agent(agent)), believed), now).map(|_| ()),
                4 => conversation.hand_off(uuid(9), String::new(), None, Routing::default(), now),
                5 => conversation.close_idle(uuid(9), facts, None, now).map_err(|_| Rejection::Closed),
                6 => conversation.close_by_team(&by, None, facts, now),
                7 => conversation.reopen(&by, false, None, now),
                _ => conversation.change_owner(change(None, conversation.epoch), now).map(|_| ()),
            };
            assert!(conversation.epoch == epoch || conversation.epoch == epoch + 1, "seed {start}");
            epoch = conversation.epoch;
            let in_charge = conversation.session_in_charge().is_some();
            assert!(!(bot_gone && in_charge), "seed {start}: a bot came back");
            bot_gone |= !in_charge;
            assert!(!in_charge || conversation.status == Status::Open, "seed {start}: in charge of a closed one");
        }
        let sequences: Vec<i64> = conversation.new_entries.iter().map(|entry| entry.sequence).collect();
        assert!((1..).zip(&sequences).all(|(number, sequence)| number == *sequence), "seed {start}");
        let visible: Vec<i64> = conversation.new_entries.iter().filter_map(|entry| entry.visitor_sequence).collect();
        assert!((1..).zip(&visible).all(|(number, sequence)| number == *sequence), "seed {start}");
        let closes =
            conversation.new_entries.iter().filter(|entry| matches!(entry.content, Content::Closed { .. })).count();
        assert_eq!(usize::try_from(conversation.close_number).unwrap(), closes, "seed {start}");
    }
}

#[test]
fn x2_c14_an_erased_conversation_keeps_its_order_says_so_and_stays_closed() {
    let (mut conversation, root) = (with_bot(), TeamMember::Admin("root".into()));
    conversation.append_visitor_message(text(), None, START).unwrap();
    conversation.visitor_name = "Vera".into();
    conversation.context.page_title = "Her page".into();
    let facts = ClosingFacts { recipient: Some("vera@example.com".into()), ..ClosingFacts::default() };
    conversation.close_for_erasure(&root, facts, START);
    assert!(conversation.session_in_charge().is_none() && !conversation.is_open());
    let closed = conversation.clone();
    conversation.close_for_erasure(&root, ClosingFacts::default(), START);
    assert_eq!(conversation, closed, "it is closed once");
    conversation.erase(uuid(4), &root, START);
    assert!(conversation.is_erased() && !closed.is_erased());
    assert_eq!((conversation.visitor_name.as_str(), conversation.context.clone()), ("", StartContext::default()));
    let last = conversation.new_entries.last().unwrap();
    assert_eq!((&last.content, last.visitor_sequence), (&Content::ContactErased { contact_id: uuid(4) }, None));
    let sequences: Vec<i64> = conversation.new_entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, [1, 2, 3], "the message, the close and the erasure");
    assert_eq!(conversation.reopen(&root, false, None, START), Err(Rejection::ContactErased));
    let mentions_address = |event: &ConversationEvent| format!("{event:?}").contains("vera@example.com");
    assert!(!conversation.new_events.iter().any(mentions_address), "no mail is sent for this close");
}

#[test]
fn a7_a_conversation_is_taken_back_only_while_the_visitor_waits() {
    let mut conversation = new(Greeting::Unassigned);
    let ada = Some(Owner::agent(uuid(5)));
    conversation.change_owner(change(ada, 1), START).unwrap();
    let take_back =
        || OwnerChange { cause: AssignmentCause::AgentUnreachable, only_if_waiting: true, ..change(None, 2) };
    assert_eq!(conversation.change_owner(take_back(), START), Err(Rejection::VisitorNotWaiting), "nobody wrote");
    conversation.append_visitor_message(text(), None, START).unwrap();
    let before = conversation.clone();
    conversation.append_team_message(&agent(5), text(), None, None, START).unwrap();
    assert_eq!(conversation.change_owner(take_back(), START), Err(Rejection::VisitorNotWaiting), "answered");
    let mut waiting = before;
    assert_eq!(waiting.change_owner(take_back(), START), Ok(ada));
    assert_eq!((waiting.owner, waiting.epoch, waiting.waiting_since), (None, 3, Some(START)));
}

#[test]
fn a4_a_message_of_the_channel_is_no_answer_and_reaches_only_visitors_who_wait_for_an_agent() {
    let mut conversation = new(Greeting::Unassigned);
    conversation.append_visitor_message(text(), None, START).unwrap();
    conversation.append_channel_message(text(), 1, START).unwrap();
    assert_eq!((conversation.waiting_since, conversation.last_visitor_sequence), (Some(START), 2));
    assert_eq!(conversation.new_entries[1].author, Actor::system());
    assert_eq!(conversation.append_channel_message(text(), 2, START), Err(Rejection::OwnerChanged));
    conversation.change_owner(change(Some(Owner::agent(uuid(5))), 1), START).unwrap();
    assert_eq!(conversation.append_channel_message(text(), 2, START), Err(Rejection::OwnerChanged));
    conversation.close_by_team(&agent(5), None, ClosingFacts::default(), START).unwrap();
    assert_eq!(conversation.append_channel_message(text(), 2, START), Err(Rejection::Closed));
    assert_eq!(with_bot().append_channel_message(text(), 1, START), Err(Rejection::OwnerChanged), "a bot owns it");
}

#[test]
fn a4_e4_a_reopening_says_how_it_is_routed_and_who_owned_it_before() {
    let root = TeamMember::Admin("root".into());
    let mut conversation = new(Greeting::Unassigned);
    conversation.change_owner(change(Some(Owner::agent(uuid(5))), 1), START).unwrap();
    conversation.close_by_team(&root, None, ClosingFacts::default(), START).unwrap();
    let routing = Some(Routing { policy: Some(uuid(7)), ..Routing::default() });
    conversation.reopen(&root, false, routing, START).unwrap();
    let reopened = ConversationEvent::Reopened {
        by: root.actor(),
        timed_out_session: None,
        routing,
        last_owner: Some(uuid(5)),
        at: START,
    };
    assert_eq!((conversation.owner, conversation.new_events.last()), (None, Some(&reopened)));
}
