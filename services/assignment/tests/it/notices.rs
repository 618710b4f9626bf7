//! Messages to visitors outside of opening hours: rule A4.

use std::time::Duration;

use frontdesk_proto::{
    actor::v1::ActorKind,
    assignment::v1::{
        CreateRoutingPolicyRequest, OutsideHoursText, OutsideOpeningHours, RoutingRules, RoutingStrategy,
    },
    conversation::internal::v1::{PostChannelMessageRequest, PostChannelMessageResponse},
};
use frontdesk_testkit::{Mode, wait_until};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, account, anybody},
    routing::{handle, in_hours, opening_in_an_hour, queued, started},
};

frontdesk_testkit::on_both_modes! {
    a4_a_visitor_gets_the_message_once_for_each_closing,
    a4_the_message_comes_before_a_conversation_leaves_routing_and_is_repeated_until_it_is_posted,
    a4_texts_have_different_languages_and_say_something,
}

fn text(language: &str, text: &str) -> OutsideHoursText {
    OutsideHoursText { language: language.into(), text: text.into() }
}

fn with_texts(hours: String, outside: OutsideOpeningHours) -> RoutingRules {
    let outside_opening_hours_texts = vec![text("en", "We are closed."), text("de", "Wir haben geschlossen.")];
    RoutingRules { outside_opening_hours_texts, ..in_hours(hours, outside) }
}

fn messages(service: &Fixture, conversation: Uuid) -> usize {
    service.conversations.with(conversation, |row| row.texts_of(ActorKind::System).len())
}

async fn until_messages(service: &Fixture, conversation: Uuid, count: usize) {
    wait_until("the message", || async { messages(service, conversation) == count }).await;
}

async fn a4_a_visitor_gets_the_message_once_for_each_closing(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let hours = opening_in_an_hour(&service, here).await;
    let policy = service.policy(here, "Hours", with_texts(hours, OutsideOpeningHours::Wait)).await;
    let first = queued(&service, here, &policy.id, 5).await;
    until_messages(&service, first, 1).await;
    let second = queued(&service, here, &policy.id, 6).await;
    until_messages(&service, second, 1).await;
    assert_eq!(messages(&service, first), 1);
    // It opens, nobody is there, and it closes again.
    service.clock.advance(Duration::from_secs(61 * 60)).unwrap();
    service.clock.advance(Duration::from_secs(60 * 60)).unwrap();
    until_messages(&service, first, 2).await;
    until_messages(&service, second, 2).await;
    let ada = service.agent(here, "ada").await;
    service.clock.advance(Duration::from_secs(23 * 3_600)).unwrap();
    assert_eq!(service.routed(first).await, ada.id);
    assert_eq!(messages(&service, first), 2);
}

async fn a4_the_message_comes_before_a_conversation_leaves_routing_and_is_repeated_until_it_is_posted(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let hours = opening_in_an_hour(&service, here).await;
    let policy = service.policy(here, "Hours", with_texts(hours, OutsideOpeningHours::Unassigned)).await;
    service.fake.on(|_: Request<PostChannelMessageRequest>| -> Result<PostChannelMessageResponse, Status> {
        Err(Status::unavailable("not now"))
    });
    let conversation = queued(&service, here, &policy.id, 5).await;
    wait_until("an attempt", || async { service.fake.calls::<PostChannelMessageRequest>() > 0 }).await;
    assert_eq!(service.place(here, conversation).await, (1, 1), "it waits for its message");
    service.conversations.serve_by(&service.fake);
    service.clock.advance(Duration::from_secs(6)).unwrap();
    wait_until("the conversation to leave", || async { service.place(here, conversation).await == (0, 0) }).await;
    assert_eq!(messages(&service, conversation), 1);
    handle(&service, &[started(here, conversation, &policy.id, 5)]).await;
    assert_eq!((messages(&service, conversation), service.place(here, conversation).await), (1, (0, 0)));
}

async fn a4_texts_have_different_languages_and_say_something(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let texts = vec![text("de", "zu"), text("DE", "zu"), text("fr", "\u{200b}")];
    let rules = RoutingRules { outside_opening_hours_texts: texts, ..anybody(RoutingStrategy::FewestOpen) };
    let request = CreateRoutingPolicyRequest { name: "Texts".into(), rules: Some(rules), request_id: "1".into() };
    let refused = service.policies(here).create_routing_policy(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for field in ["rules.outside_opening_hours_texts[1].language", "rules.outside_opening_hours_texts[2].text"] {
        assert!(refused.message().contains(field), "{}", refused.message());
    }
}
