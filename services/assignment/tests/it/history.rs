use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::AssignmentCause,
    event::v1::{AssigneeChanged, ConversationHandedOff, ConversationReopened, ConversationStarted, Event},
};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, account, event, new_id, take_over, wait_for},
    mode::Mode,
};

on_both_modes! {
    a8_the_history_is_the_same_in_any_order_and_however_often_events_come,
    a8_the_command_and_the_event_of_a_change_record_the_same_row,
    a8_the_history_has_the_cause_of_the_event_and_an_event_without_one_was_by_hand,
    a8_an_event_that_cannot_be_read_is_a_dead_letter_and_the_rest_moves_on,
}

fn actor(kind: ActorKind, id: &str) -> Option<Actor> {
    Some(Actor { kind: kind.into(), id: id.into(), name: String::new() })
}

/// Four events that each begin an epoch: 1, 2, 3, 4.
fn events(account: AccountId, conversation: Uuid, agent: &str, bot: &str) -> Vec<Event> {
    let conversation_id = conversation.to_string();
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
        event(account, &changed(conversation, 3, agent, AssignmentCause::ByHand)),
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

/// The event of a change by an agent to that agent.
fn changed(conversation: Uuid, epoch: i64, agent: &str, cause: AssignmentCause) -> AssigneeChanged {
    AssigneeChanged {
        conversation_id: conversation.to_string(),
        epoch,
        to: actor(ActorKind::Agent, agent),
        by: actor(ActorKind::Agent, agent),
        change_time: Some(Time(epoch * 10).to_proto()),
        cause: cause.into(),
        ..AssigneeChanged::default()
    }
}

async fn a8_the_history_is_the_same_in_any_order_and_however_often_events_come(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let agent = service.agent(here, "ada").await.id;
    let bot = new_id().to_string();
    let mut histories = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let conversation = new_id();
        let events = events(here, conversation, &agent, &bot);
        for position in order {
            // A repeat under another id: neither the broker nor the mark of handled events recognises it.
            let repeat = Event { id: new_id().to_string(), ..events[position].clone() };
            service.publish_events(&[events[position].clone(), repeat]).await;
        }
        let mut history = service.wait_for_history(here, conversation, 4).await;
        history.iter_mut().for_each(|assignment| assignment.conversation_id.clear());
        histories.push(history);
    }
    assert!(histories.iter().all(|history| *history == histories[0]), "{histories:#?}");
    let assignments: Vec<_> = histories[0]
        .iter()
        .map(|assignment| {
            let owner = assignment.owner.as_ref().map(Actor::kind);
            (assignment.epoch, owner, assignment.cause(), assignment.end_time.is_some())
        })
        .collect();
    assert_eq!(
        assignments,
        [
            (1, Some(ActorKind::Bot), AssignmentCause::Started, true),
            (2, None, AssignmentCause::HandedOff, true),
            (3, Some(ActorKind::Agent), AssignmentCause::ByHand, true),
            (4, Some(ActorKind::Agent), AssignmentCause::Reopened, false),
        ]
    );
}

async fn a8_the_command_and_the_event_of_a_change_record_the_same_row(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let mut calls = service.calls_of(here, &ada);
    let (event_first, command_first) = (service.conversation(), service.conversation());

    // The event of the change that the command is about to make arrives first.
    service.publish(here, &changed(event_first, 2, &ada.id, AssignmentCause::ByHand)).await;
    let from_event = service.wait_for_history(here, event_first, 1).await.remove(0);
    let answer = calls.take_over_conversation(take_over(event_first, 1, "1")).await.unwrap().into_inner();
    assert_eq!(answer.assignment, Some(from_event.clone()));

    let answer = calls.take_over_conversation(take_over(command_first, 1, "2")).await.unwrap().into_inner();
    let mut from_command = answer.assignment.unwrap();
    service.publish(here, &changed(command_first, 2, &ada.id, AssignmentCause::ByHand)).await;
    service.publish(here, &changed(command_first, 3, &ada.id, AssignmentCause::ByHand)).await;
    let history = service.wait_for_history(here, command_first, 2).await;
    from_command.end_time = history[1].start_time;
    assert_eq!(history[0], from_command);

    from_command.conversation_id = from_event.conversation_id.clone();
    from_command.end_time = None;
    assert_eq!(from_command, from_event);
}

async fn a8_the_history_has_the_cause_of_the_event_and_an_event_without_one_was_by_hand(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let agent = service.agent(here, "ada").await.id;
    let conversation = new_id();
    service.publish(here, &changed(conversation, 2, &agent, AssignmentCause::HandedOff)).await;
    // As an older version of the conversation service publishes it.
    service.publish(here, &changed(conversation, 3, &agent, AssignmentCause::Unspecified)).await;
    let history = service.wait_for_history(here, conversation, 2).await;
    let causes: Vec<_> = history.iter().map(|assignment| (assignment.epoch, assignment.cause())).collect();
    assert_eq!(causes, [(2, AssignmentCause::HandedOff), (3, AssignmentCause::ByHand)]);
}

async fn a8_an_event_that_cannot_be_read_is_a_dead_letter_and_the_rest_moves_on(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, conversation, agent) = (account(), new_id(), new_id().to_string());
    let timeless = AssigneeChanged { change_time: None, ..changed(conversation, 2, &agent, AssignmentCause::ByHand) };
    let timeless = event(here, &timeless);
    let nameless =
        Event { account_id: "acme".into(), ..event(here, &changed(conversation, 3, &agent, AssignmentCause::ByHand)) };
    service.publish_events(&[timeless.clone(), nameless.clone()]).await;
    service.publish(here, &changed(conversation, 4, &agent, AssignmentCause::ByHand)).await;

    let history = service.wait_for_history(here, conversation, 1).await;
    assert_eq!(history[0].epoch, 4);
    wait_for(|| async {
        let letters = frontdesk_bus::list_dead_letters(&service.db).await.unwrap();
        let mut ids: Vec<_> = letters.into_iter().map(|letter| letter.event.id).collect();
        ids.sort_unstable();
        (ids == [timeless.id.clone(), nameless.id.clone()]).then_some(())
    })
    .await;
}
