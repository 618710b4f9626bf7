use std::sync::atomic::Ordering;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{Assignment, AssignmentCause, ListAssignmentsRequest, OwnerKind},
    event::v1::{
        Actor, ActorKind, AssigneeChanged, ConversationHandedOff, ConversationReopened, ConversationStarted, Event,
    },
};
use uuid::Uuid;

use crate::suite::{Suite, account, event, eventually};

async fn history(suite: &Suite, account: AccountId, conversation: Uuid, lines: usize) -> Vec<Assignment> {
    eventually(|| async {
        let request = ListAssignmentsRequest { conversation_id: conversation.to_string() };
        let mut calls = suite.assignments(account, frontdesk_clock::testing::new_id());
        let history = calls.list_assignments(request).await.unwrap().into_inner().assignments;
        (history.len() == lines).then_some(history)
    })
    .await
}

fn events(account: AccountId, conversation: Uuid, agent: &str, bot: &str) -> Vec<Event> {
    let conversation_id = conversation.to_string();
    let actor = |kind: ActorKind, id: &str| Some(Actor { kind: kind.into(), id: id.into() });
    vec![
        event(
            account,
            &ConversationStarted {
                conversation_id: conversation_id.clone(),
                bot_id: bot.into(),
                epoch: 1,
                start_time: Some(Time(10).to_proto()),
                ..ConversationStarted::default()
            },
        ),
        event(
            account,
            &ConversationHandedOff {
                conversation_id: conversation_id.clone(),
                epoch: 2,
                bot_id: bot.into(),
                change_time: Some(Time(20).to_proto()),
                ..ConversationHandedOff::default()
            },
        ),
        event(
            account,
            &AssigneeChanged {
                conversation_id: conversation_id.clone(),
                epoch: 3,
                to: actor(ActorKind::Agent, agent),
                by: actor(ActorKind::Agent, agent),
                change_time: Some(Time(30).to_proto()),
                ..AssigneeChanged::default()
            },
        ),
        event(
            account,
            &ConversationReopened {
                conversation_id,
                epoch: 4,
                by: actor(ActorKind::Agent, agent),
                reopen_time: Some(Time(40).to_proto()),
            },
        ),
    ]
}

#[tokio::test]
async fn a8_the_history_is_the_same_in_any_order_and_however_often_events_come() {
    let suite = Suite::start().await;
    let here = account();
    let agent = suite.agent(here, "ada").await.id;
    let bot = frontdesk_clock::testing::new_id().to_string();
    let mut seen = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let conversation = frontdesk_clock::testing::new_id();
        let events = events(here, conversation, &agent, &bot);
        for position in order {
            // Another id: as if the broker's window had passed and the mark were gone.
            let again = Event { id: frontdesk_clock::testing::new_id().to_string(), ..events[position].clone() };
            assert!(suite.bus.publish(&[events[position].clone(), again]).await.iter().all(Result::is_ok));
        }
        let mut lines = history(&suite, here, conversation, 4).await;
        lines.iter_mut().for_each(|line| line.conversation_id.clear());
        seen.push(lines);
    }
    assert!(seen.iter().all(|lines| *lines == seen[0]), "{seen:#?}");
    let lines: Vec<_> = seen[0]
        .iter()
        .map(|line| (line.epoch, line.owner.as_ref().unwrap().kind(), line.cause(), line.end_time.is_some()))
        .collect();
    assert_eq!(
        lines,
        [
            (1, OwnerKind::Bot, AssignmentCause::Started, true),
            (2, OwnerKind::Unspecified, AssignmentCause::HandedOff, true),
            (3, OwnerKind::Agent, AssignmentCause::ByHand, true),
            (4, OwnerKind::Agent, AssignmentCause::Reopened, false),
        ]
    );
}

#[tokio::test]
async fn b8_a_hand_off_to_a_named_agent_gives_it_to_them_also_when_the_row_is_away_at_first() {
    let suite = Suite::start().await;
    let here = account();
    let ada = suite.agent(here, "ada").await;
    let conversation = suite.arbiter.open();
    suite.arbiter.failing.store(2, Ordering::SeqCst);
    // The change is heard of first, without its cause.
    let changed = AssigneeChanged {
        conversation_id: conversation.to_string(),
        epoch: 2,
        to: Some(Actor { kind: ActorKind::Agent.into(), id: ada.id.clone() }),
        by: Some(Actor { kind: ActorKind::System.into(), id: String::new() }),
        change_time: Some(Time(20).to_proto()),
        ..AssigneeChanged::default()
    };
    suite.publish(here, &changed).await;
    history(&suite, here, conversation, 1).await;
    let off = ConversationHandedOff {
        conversation_id: conversation.to_string(),
        epoch: 1,
        bot_id: frontdesk_clock::testing::new_id().to_string(),
        agent_id: ada.id.clone(),
        change_time: Some(Time(5).to_proto()),
        ..ConversationHandedOff::default()
    };
    suite.publish(here, &off).await;
    eventually(|| async { (suite.arbiter.owner(conversation) == (2, ada.id.clone())).then_some(()) }).await;
    eventually(|| async {
        let lines = history(&suite, here, conversation, 2).await;
        assert_eq!((lines[1].epoch, lines[1].owner.as_ref().unwrap().name.as_str()), (2, "ADA"));
        (lines[1].cause() == AssignmentCause::HandedOff).then_some(())
    })
    .await;
}

#[tokio::test]
async fn b8_a_hand_off_that_somebody_else_took_meanwhile_is_left_to_them() {
    let suite = Suite::start().await;
    let here = account();
    let (ada, bob) = (suite.agent(here, "ada").await, suite.agent(here, "bob").await);
    let conversation = suite.arbiter.open();
    let take = frontdesk_proto::assignment::v1::TakeOverConversationRequest {
        conversation_id: conversation.to_string(),
        expected_epoch: 1,
        request_id: "mine".into(),
    };
    suite.assignments(here, bob.id.parse().unwrap()).take_over_conversation(take).await.unwrap();
    let off = ConversationHandedOff {
        conversation_id: conversation.to_string(),
        epoch: 1,
        bot_id: frontdesk_clock::testing::new_id().to_string(),
        agent_id: ada.id,
        change_time: Some(Time(5).to_proto()),
        ..ConversationHandedOff::default()
    };
    suite.publish(here, &off).await;
    history(&suite, here, conversation, 2).await;
    assert_eq!(suite.arbiter.owner(conversation), (2, bob.id));
}
