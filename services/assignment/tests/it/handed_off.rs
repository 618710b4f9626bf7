use std::sync::{Arc, Mutex};

use frontdesk_clock::Time;
use frontdesk_proto::{
    assignment::v1::{AssignmentCause, DeactivateAgentRequest, GetQueuePlaceRequest},
    conversation::internal::v1::{ChangeAssigneeRequest, ChangeAssigneeResponse},
    event::v1::ConversationHandedOff,
};
use frontdesk_testkit::{Mode, new_id, wait_until};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::fixture::{Fixture, account, take_over};

frontdesk_testkit::on_both_modes! {
    b8_a_hand_off_to_a_named_agent_is_retried_until_the_row_decides,
    b8_a_conversation_that_another_agent_took_meanwhile_stays_with_them,
    b8_a_repeated_hand_off_does_not_take_the_conversation_back,
    b8_a2_a6_a_hand_off_to_an_agent_who_is_not_active_on_the_roster_waits_in_the_queue,
}

/// The event of a hand-off to a named agent at epoch 1.
fn handed_off(conversation: Uuid, agent_id: &str) -> ConversationHandedOff {
    ConversationHandedOff {
        conversation_id: conversation.to_string(),
        epoch: 1,
        bot_id: new_id().to_string(),
        agent_id: agent_id.into(),
        change_time: Some(Time(5).to_proto()),
        ..ConversationHandedOff::default()
    }
}

async fn b8_a_hand_off_to_a_named_agent_is_retried_until_the_row_decides(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversation = service.conversation();
    let causes = Arc::new(Mutex::new(Vec::new()));
    let sent = causes.clone();
    service.fake.on(move |request: Request<ChangeAssigneeRequest>| -> Result<ChangeAssigneeResponse, Status> {
        sent.lock().unwrap().push(request.get_ref().cause());
        Err(Status::unavailable("not now"))
    });
    service.publish("conversation", here, &handed_off(conversation, &ada.id)).await;
    wait_until("a second call", || async { causes.lock().unwrap().len() >= 2 }).await;
    assert!(causes.lock().unwrap().iter().all(|cause| *cause == AssignmentCause::HandedOff));

    service.conversations.serve_by(&service.fake);
    service.settled().await;
    assert_eq!(service.owner(conversation), (2, ada.id));
}

async fn b8_a_conversation_that_another_agent_took_meanwhile_stays_with_them(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let conversation = service.conversation();
    service.calls_of(here, &bob).take_over_conversation(take_over(conversation, 1, "mine")).await.unwrap();
    service.publish("conversation", here, &handed_off(conversation, &ada.id)).await;
    service.settled().await;
    assert_eq!(service.owner(conversation), (2, bob.id));
}

async fn b8_a_repeated_hand_off_does_not_take_the_conversation_back(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let conversation = service.conversation();
    let hand_off = handed_off(conversation, &ada.id);
    let event = service.publish("conversation", here, &hand_off).await;
    service.settled().await;
    assert_eq!(service.owner(conversation), (2, ada.id));
    service.calls_of(here, &bob).take_over_conversation(take_over(conversation, 2, "mine")).await.unwrap();
    // Under another id: neither the broker nor the row recognises it.
    service.deliver_again(&event).await;
    service.settled().await;
    assert_eq!(service.owner(conversation), (3, bob.id));
}

async fn b8_a2_a6_a_hand_off_to_an_agent_who_is_not_active_on_the_roster_waits_in_the_queue(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let bob = service.agent(here, "bob").await;
    let foreign = service.agent(there, "zed").await;
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: bob.id.clone() }).await.unwrap();
    let (to_bob, to_foreign) = (service.conversation(), service.conversation());
    service.publish("conversation", here, &handed_off(to_bob, &bob.id)).await;
    service.publish("conversation", here, &handed_off(to_foreign, &foreign.id)).await;
    service.settled().await;
    for conversation in [to_bob, to_foreign] {
        assert_eq!(service.owner(conversation), (1, String::new()));
        let place = GetQueuePlaceRequest { conversation_id: conversation.to_string() };
        let place = service.routing(here).get_queue_place(place).await.unwrap().into_inner();
        assert_eq!(place.waiting, 2);
    }
}
