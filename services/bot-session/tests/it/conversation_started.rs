use std::time::Duration;

use frontdesk_proto::{
    botsession::v1::{BotSessionStatus, NoTimeout, UpdateBotRequest, update_bot_request::Inactivity},
    event::v1::{BotSessionStarted, BotSessionStepReached, ConversationStarted},
};
use frontdesk_testkit::{Mode, on_both_modes};
use tonic::Code;

use crate::{
    fixture::{Fixture, event, new_account, twenty},
    flows::{GAVE_UP, flow, valid_flow},
};

on_both_modes!(
    b1_a_conversation_with_a_bot_starts_a_session_that_takes_its_first_turn,
    b1_twenty_events_of_one_start_begin_one_session_with_one_greeting,
    b2_a_session_keeps_the_flow_and_the_timeout_it_began_with,
    b1_a_conversation_without_a_bot_starts_nothing,
    b1_flows_are_stored_once_for_each_version_of_their_bot,
    s2_b7_a_chat_with_a_bot_of_another_account_goes_to_the_team_and_the_events_after_it_are_handled,
);

async fn b1_a_conversation_with_a_bot_starts_a_session_that_takes_its_first_turn(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.start_chat(here, &bot, Some(Duration::from_secs(90))).await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?"]);

    let session = fixture.session(&chat).await.unwrap();
    let expected = (BotSessionStatus::Open, "mail", bot.id.as_str(), chat.conversation.to_string());
    let found = (session.status(), session.step_id.as_str(), session.bot_id.as_str(), session.conversation_id.clone());
    assert_eq!(found, expected);
    assert_eq!(session.start_time, chat.started.start_time);
    assert_eq!(session.check_time.unwrap().seconds, session.start_time.unwrap().seconds + 90);
    assert!(session.end_time.is_none());
    let steps: Vec<String> =
        fixture.events().await.into_iter().map(|event: BotSessionStepReached| event.step_id).collect();
    assert_eq!(steps, ["mail"]);
}

async fn b1_twenty_events_of_one_start_begin_one_session_with_one_greeting(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.new_chat(here, &bot, None);
    fixture.publish_all(&twenty(here, &chat.started)).await;
    fixture.settled().await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?"]);
    assert_eq!(fixture.events::<BotSessionStarted>().await.len(), 1);

    // Redelivered after the visitor has answered, the event does not restart the flow.
    fixture.send(&chat, "ada@example.org", "").await;
    fixture.publish(here, &chat.started).await;
    fixture.settled().await;
    assert_eq!(fixture.said(&chat), ["hi", "mail?", "topic?"]);
    assert!(fixture.dead_letters().await.is_empty());
}

async fn b2_a_session_keeps_the_flow_and_the_timeout_it_began_with(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.start_chat(here, &bot, Some(Duration::from_secs(90))).await;
    let edit = UpdateBotRequest {
        bot_id: bot.id,
        flow: Some(valid_flow()),
        inactivity: Some(Inactivity::NoTimeout(NoTimeout {})),
        ..UpdateBotRequest::default()
    };
    fixture.bots(here).update_bot(edit).await.unwrap();
    fixture.send(&chat, "ada@example.org", "").await;
    let session = fixture.session(&chat).await.unwrap();
    assert_eq!((session.step_id.as_str(), session.inactivity_timeout.unwrap().seconds), ("topic", 90));
    assert_eq!(session.check_time.unwrap().seconds, session.start_time.unwrap().seconds + 90);
}

async fn b1_a_conversation_without_a_bot_starts_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.new_chat(here, &bot, None);
    let without_bot = ConversationStarted {
        bot_id: String::new(),
        bot_session_id: String::new(),
        inactivity_timeout: None,
        ..chat.started.clone()
    };
    fixture.publish(here, &without_bot).await;
    fixture.settled().await;
    assert!(fixture.said(&chat).is_empty() && fixture.dead_letters().await.is_empty());
    assert_eq!(fixture.session(&chat).await.unwrap_err().code(), Code::NotFound);
}

async fn b1_flows_are_stored_once_for_each_version_of_their_bot(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    for _ in 0..3 {
        let chat = fixture.start_chat(here, &bot, None).await;
        assert_eq!(fixture.said(&chat), ["hi", "mail?"]);
    }
    assert_eq!(fixture.count("bot_flows").await, 1);
    let edit = UpdateBotRequest { bot_id: bot.id.clone(), flow: Some(valid_flow()), ..UpdateBotRequest::default() };
    fixture.bots(here).update_bot(edit).await.unwrap();
    let chat = fixture.start_chat(here, &bot, None).await;
    assert_eq!(fixture.said(&chat), ["hi"]);
    assert_eq!(fixture.count("bot_flows").await, 2);
    assert_eq!(fixture.count("bot_sessions WHERE flow <> ''").await, 0);
}

async fn s2_b7_a_chat_with_a_bot_of_another_account_goes_to_the_team_and_the_events_after_it_are_handled(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, there) = (new_account(), new_account());
    let bot = fixture.create_bot(here, flow()).await;
    let (foreign, own) = (fixture.new_chat(there, &bot, None), fixture.new_chat(here, &bot, None));
    let invalid = ConversationStarted { conversation_id: "1".into(), ..own.started.clone() };
    let events = [event(there, &foreign.started), event(here, &invalid), event(here, &own.started)];
    fixture.publish_all(&events).await;
    fixture.settled().await;
    assert_eq!(fixture.said(&own), ["hi", "mail?"]);
    assert!(fixture.said(&foreign).is_empty());
    assert_eq!(fixture.conversations.with(foreign.conversation, |row| row.hand_offs.clone()), [GAVE_UP]);
    assert_eq!(fixture.dead_letters().await, ["conversation_id is not a UUID"]);
    // The session is there, for the event of the hand-off to end it.
    assert_eq!(fixture.session(&foreign).await.unwrap().status(), BotSessionStatus::Open);
}
