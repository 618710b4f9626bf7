use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{AssignmentCause, GetAssignmentRequest},
    event::v1::{
        AssigneeChanged, ConversationClosed, ConversationHandedOff, ConversationReopened, ConversationStarted, Event,
    },
};
use frontdesk_testkit::{Mode, new_id};
use uuid::Uuid;

use crate::fixture::{Fixture, account, take_over};

frontdesk_testkit::on_both_modes! {
    a8_the_history_is_the_same_in_any_order_and_however_often_events_come,
    a8_the_command_and_the_event_of_a_change_record_the_same_row,
    a8_the_history_has_the_actor_and_the_cause_of_the_event_as_far_as_this_version_knows_them,
    a8_a_period_ends_with_the_close_and_not_with_the_reopening,
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

/// The close of a conversation in this epoch, at this microsecond.
async fn close(service: &Fixture, account: AccountId, conversation: Uuid, epoch: i32, microsecond: i64) -> Event {
    let close_time = Some(Time(microsecond).to_proto());
    let conversation_id = conversation.to_string();
    let closed = ConversationClosed { conversation_id, epoch, close_time, ..ConversationClosed::default() };
    service.publish("conversation", account, &closed).await
}

/// When the periods of the history ended (microseconds), and the current one.
async fn ends(service: &Fixture, account: AccountId, conversation: Uuid) -> (Vec<Option<i64>>, Option<i64>) {
    let microsecond = |time: &prost_types::Timestamp| Time::from_proto(time).0;
    let history = service.history(account, conversation).await;
    let ends = history.iter().map(|assignment| assignment.end_time.as_ref().map(microsecond)).collect();
    let get = GetAssignmentRequest { conversation_id: conversation.to_string() };
    let newest = service.assignments(account, new_id()).get_assignment(get).await.unwrap().into_inner().assignment;
    (ends, newest.unwrap().end_time.as_ref().map(microsecond))
}

async fn a8_a_period_ends_with_the_close_and_not_with_the_reopening(mode: Mode) {
    const CLOSE: i32 = 9;
    let service = Fixture::start(mode).await;
    let here = account();
    let (agent, bot) = (service.agent(here, "ada").await.id, new_id().to_string());
    for order in [[1, 2, 3, CLOSE, 4], [4, CLOSE, 3, 2, 1], [CLOSE, 4, 1, 3, 2]] {
        let conversation = new_id();
        for step in order {
            let event = match step {
                CLOSE => close(&service, here, conversation, 3, 35).await,
                epoch => publish(&service, here, conversation, epoch, &agent, &bot).await,
            };
            service.deliver_again(&event).await;
            service.settled().await;
        }
        let expected = (vec![Some(20), Some(30), Some(35), None], None);
        assert_eq!(ends(&service, here, conversation).await, expected, "{order:?}");
        close(&service, here, conversation, 4, 45).await;
        service.settled().await;
        let expected = (vec![Some(20), Some(30), Some(35), Some(45)], Some(45));
        assert_eq!(ends(&service, here, conversation).await, expected, "it is closed again");
    }
    // The close of a bot's chat frees no place, and is recorded without the lock of the account.
    let of_bot = new_id();
    publish(&service, here, of_bot, 1, &agent, &bot).await;
    close(&service, here, of_bot, 1, 15).await;
    service.settled().await;
    assert_eq!(ends(&service, here, of_bot).await, (vec![Some(15)], Some(15)));
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
