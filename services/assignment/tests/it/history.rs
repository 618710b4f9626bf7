use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::AssignmentCause,
    event::v1::{AssigneeChanged, ConversationHandedOff, ConversationReopened, ConversationStarted, Event},
};
use frontdesk_testkit::{Mode, new_id};
use uuid::Uuid;

use crate::fixture::{Fixture, account, take_over};

frontdesk_testkit::on_both_modes! {
    a8_the_history_is_the_same_in_any_order_and_however_often_events_come,
    a8_the_command_and_the_event_of_a_change_record_the_same_row,
    a8_the_history_has_the_actor_and_the_cause_of_the_event_as_far_as_this_version_knows_them,
    a8_an_event_that_cannot_be_read_is_a_dead_letter_and_the_rest_moves_on,
}

fn actor(kind: ActorKind, id: &str) -> Option<Actor> {
    Some(Actor { kind: kind.into(), id: id.into(), name: String::new() })
}

/// Publishes the event that begins this epoch: 1 started with a bot, 2 handed off, 3 taken over by the agent, 4 reopened.
async fn publish(
    service: &Fixture,
    account: AccountId,
    conversation: Uuid,
    epoch: i32,
    agent: &str,
    bot: &str,
) -> Event {
    let (conversation_id, bot_id) = (conversation.to_string(), bot.to_owned());
    let time = Some(Time(i64::from(epoch) * 10).to_proto());
    match epoch {
        1 => {
            let started =
                ConversationStarted { conversation_id, bot_id, epoch, start_time: time, ..Default::default() };
            service.publish("conversation", account, &started).await
        }
        2 => {
            let off = ConversationHandedOff { conversation_id, epoch, bot_id, change_time: time, ..Default::default() };
            service.publish("conversation", account, &off).await
        }
        3 => {
            let taken = changed(conversation, epoch, agent, AssignmentCause::ByHand);
            service.publish("conversation", account, &taken).await
        }
        _ => {
            let by = actor(ActorKind::Agent, agent);
            let reopened = ConversationReopened {
                conversation_id,
                epoch,
                by,
                reopen_time: time,
                ..ConversationReopened::default()
            };
            service.publish("conversation", account, &reopened).await
        }
    }
}

/// The event of a change by an agent to that agent.
fn changed(conversation: Uuid, epoch: i32, agent: &str, cause: AssignmentCause) -> AssigneeChanged {
    AssigneeChanged {
        conversation_id: conversation.to_string(),
        epoch,
        new_owner: actor(ActorKind::Agent, agent),
        by: actor(ActorKind::Agent, agent),
        change_time: Some(Time(i64::from(epoch) * 10).to_proto()),
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
    for order in [[1, 2, 3, 4], [4, 3, 2, 1], [3, 1, 4, 2]] {
        let conversation = new_id();
        for epoch in order {
            let event = publish(&service, here, conversation, epoch, &agent, &bot).await;
            service.deliver_again(&event).await;
            service.settled().await;
        }
        let mut history = service.history(here, conversation).await;
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
    service.publish("conversation", here, &changed(event_first, 2, &ada.id, AssignmentCause::ByHand)).await;
    service.settled().await;
    let from_event = service.history(here, event_first).await.remove(0);
    let answer = calls.take_over_conversation(take_over(event_first, 1, "1")).await.unwrap().into_inner();
    assert_eq!(answer.assignment, Some(from_event.clone()));

    let answer = calls.take_over_conversation(take_over(command_first, 1, "2")).await.unwrap().into_inner();
    let mut from_command = answer.assignment.unwrap();
    service.publish("conversation", here, &changed(command_first, 2, &ada.id, AssignmentCause::ByHand)).await;
    service.settled().await;
    assert_eq!(service.history(here, command_first).await, [from_command.clone()]);

    from_command.conversation_id = from_event.conversation_id.clone();
    assert_eq!(from_command, from_event);
}

async fn a8_the_history_has_the_actor_and_the_cause_of_the_event_as_far_as_this_version_knows_them(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let agent = service.agent(here, "ada").await.id;
    let conversation = new_id();
    let by_system = changed(conversation, 2, &agent, AssignmentCause::HandedOff);
    let by_system = AssigneeChanged { by: actor(ActorKind::System, ""), ..by_system };
    service.publish("conversation", here, &by_system).await;
    let by_admin = changed(conversation, 3, &agent, AssignmentCause::ByHand);
    let by_admin = AssigneeChanged { by: actor(ActorKind::Admin, "root"), ..by_admin };
    service.publish("conversation", here, &by_admin).await;
    service.publish("conversation", here, &changed(conversation, 4, &agent, AssignmentCause::Reopened)).await;
    let newer = AssigneeChanged { cause: 99, ..changed(conversation, 5, &agent, AssignmentCause::ByHand) };
    let newer = AssigneeChanged { by: Some(Actor { kind: 99, ..Actor::default() }), ..newer };
    service.publish("conversation", here, &newer).await;
    // An administrator who reopens a conversation owns nothing.
    let reopened = ConversationReopened {
        conversation_id: conversation.to_string(),
        epoch: 6,
        by: actor(ActorKind::Admin, "root"),
        reopen_time: Some(Time(60).to_proto()),
        ..ConversationReopened::default()
    };
    service.publish("conversation", here, &reopened).await;
    service.settled().await;

    let history = service.history(here, conversation).await;
    let actors: Vec<_> = history.iter().map(|assignment| (assignment.by.clone(), assignment.cause())).collect();
    let ada = Actor { name: "ADA".into(), ..actor(ActorKind::Agent, &agent).unwrap() };
    assert_eq!(
        actors,
        [
            (actor(ActorKind::System, ""), AssignmentCause::HandedOff),
            (actor(ActorKind::Admin, "root"), AssignmentCause::ByHand),
            (Some(ada), AssignmentCause::Reopened),
            (None, AssignmentCause::Unspecified),
            (actor(ActorKind::Admin, "root"), AssignmentCause::Reopened),
        ]
    );
    assert_eq!(history[4].owner, None);
}

async fn a8_an_event_that_cannot_be_read_is_a_dead_letter_and_the_rest_moves_on(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, conversation, agent) = (account(), new_id(), new_id().to_string());
    let timeless = AssigneeChanged { change_time: None, ..changed(conversation, 2, &agent, AssignmentCause::ByHand) };
    let timeless = service.publish("conversation", here, &timeless).await;
    let event = service.publish("conversation", here, &changed(conversation, 3, &agent, AssignmentCause::ByHand)).await;
    let of_no_account = Event { id: new_id().to_string(), account_id: "acme".into(), ..event };
    assert!(service.bus.publish(std::slice::from_ref(&of_no_account)).await.iter().all(Result::is_ok));
    service.publish("conversation", here, &changed(conversation, 4, &agent, AssignmentCause::ByHand)).await;
    service.settled().await;

    let epochs: Vec<_> = service.history(here, conversation).await.iter().map(|assignment| assignment.epoch).collect();
    assert_eq!(epochs, [3, 4]);
    let letters = frontdesk_bus::list_dead_letters(&service.db).await.unwrap();
    let of_history = letters.into_iter().filter(|letter| letter.consumer == "assignment.history");
    let mut ids: Vec<_> = of_history.map(|letter| letter.event_id.to_string()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [timeless.id, of_no_account.id]);
}
