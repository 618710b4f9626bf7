use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    botsession::v1::BotSessionStatus,
    conversation::v1::CloseReason,
    event::v1::{AssigneeChanged, BotSessionEnded, ConversationHandedOff, ConversationReopened, Event},
};
use frontdesk_testkit::{Mode, on_both_modes};

use crate::{
    fixture::{Chat, Fixture, event, new_account, twenty},
    flows::flow,
};

on_both_modes!(
    a3_b4_b8_a_session_ends_as_its_conversation_did_and_keeps_its_first_end,
    a3_a_session_whose_end_arrives_before_its_start_ends,
    i17_twenty_events_of_one_end_end_the_session_once,
    a3_an_event_without_a_session_and_one_that_cannot_be_read_end_nothing,
    s2_an_event_of_another_account_ends_no_session,
);

fn assignee_changed(chat: &Chat, by: ActorKind) -> AssigneeChanged {
    AssigneeChanged {
        conversation_id: chat.conversation.to_string(),
        epoch: 2,
        by: Some(Actor { kind: by.into(), ..Actor::default() }),
        ended_bot_session_id: chat.session.to_string(),
        ..AssigneeChanged::default()
    }
}

fn handed_off(chat: &Chat) -> ConversationHandedOff {
    ConversationHandedOff {
        conversation_id: chat.conversation.to_string(),
        bot_session_id: chat.session.to_string(),
        ..ConversationHandedOff::default()
    }
}

fn reopened(chat: &Chat) -> ConversationReopened {
    ConversationReopened {
        conversation_id: chat.conversation.to_string(),
        timed_out_bot_session_id: chat.session.to_string(),
        ..ConversationReopened::default()
    }
}

async fn a3_b4_b8_a_session_ends_as_its_conversation_did_and_keeps_its_first_end(mode: Mode) {
    type End = fn(&Chat) -> Event;
    let ends: [(End, BotSessionStatus); 6] = [
        (|chat| event(chat.account, &assignee_changed(chat, ActorKind::Agent)), BotSessionStatus::TakenOver),
        (|chat| event(chat.account, &assignee_changed(chat, ActorKind::Bot)), BotSessionStatus::HandedOff),
        (|chat| event(chat.account, &handed_off(chat)), BotSessionStatus::HandedOff),
        (|chat| event(chat.account, &reopened(chat)), BotSessionStatus::TimedOut),
        (|chat| event(chat.account, &chat.closed(CloseReason::BotCompleted)), BotSessionStatus::Completed),
        (|chat| event(chat.account, &chat.closed(CloseReason::Agent)), BotSessionStatus::Closed),
    ];
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    for (end, status) in ends {
        let chat = fixture.start_chat(here, &bot, Some(std::time::Duration::from_secs(90))).await;
        fixture.publish_all(&[end(&chat)]).await;
        fixture.settled().await;
        let ended = fixture.session(&chat).await.unwrap();
        assert!(ended.status() == status && ended.end_time.is_some() && ended.check_time.is_none(), "{ended:?}");

        let later_ends = [event(here, &chat.closed(CloseReason::Agent)), event(here, &handed_off(&chat)), end(&chat)];
        fixture.publish_all(&later_ends).await;
        fixture.settled().await;
        assert_eq!(fixture.session(&chat).await.unwrap(), ended);
        let mut events = fixture.events::<BotSessionEnded>().await;
        events.retain(|event| event.bot_session_id == chat.session.to_string());
        let statuses: Vec<_> = events.iter().map(BotSessionEnded::status).collect();
        assert_eq!(statuses, [status]);
    }
}

async fn a3_a_session_whose_end_arrives_before_its_start_ends(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.new_chat(here, &bot, None);
    fixture.publish(here, &chat.closed(CloseReason::Agent)).await;
    fixture.publish(here, &chat.started).await;
    fixture.settled().await;
    assert_eq!(fixture.session(&chat).await.unwrap().status(), BotSessionStatus::Closed);
    assert!(fixture.dead_letters().await.is_empty());
}

async fn i17_twenty_events_of_one_end_end_the_session_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    fixture.publish_all(&twenty(here, &chat.closed(CloseReason::Agent))).await;
    fixture.settled().await;
    assert_eq!(fixture.events::<BotSessionEnded>().await.len(), 1);
}

async fn a3_an_event_without_a_session_and_one_that_cannot_be_read_end_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    let end = chat.closed(CloseReason::Agent);
    let mut without_session = end.clone();
    without_session.bot_session_id.clear();
    let by_its_own_timeout = chat.closed(CloseReason::VisitorInactive);
    let mut invalid = end.clone();
    invalid.bot_session_id = "1".into();
    let events = [event(here, &without_session), event(here, &by_its_own_timeout), event(here, &invalid)];
    fixture.publish_all(&events).await;
    fixture.settled().await;
    assert_eq!(fixture.session(&chat).await.unwrap().status(), BotSessionStatus::Open);
    assert_eq!(fixture.dead_letters().await, ["bot_session_id is not a UUID"]);

    fixture.publish(here, &end).await;
    fixture.settled().await;
    assert_eq!(fixture.session(&chat).await.unwrap().status(), BotSessionStatus::Closed);
}

async fn s2_an_event_of_another_account_ends_no_session(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, there) = (new_account(), new_account());
    let bot = fixture.create_bot(here, flow()).await;
    let (chat, other) = (fixture.start_chat(here, &bot, None).await, fixture.start_chat(here, &bot, None).await);
    // The foreign event is retried, as if its session were still to start. The own one shows that it held nothing up.
    fixture.publish(there, &chat.closed(CloseReason::Agent)).await;
    fixture.publish(here, &other.closed(CloseReason::Agent)).await;
    frontdesk_testkit::wait_until("the own event to be handled", || async {
        fixture.session(&other).await.unwrap().status() == BotSessionStatus::Closed
    })
    .await;
    assert_eq!(fixture.session(&chat).await.unwrap().status(), BotSessionStatus::Open);
}
