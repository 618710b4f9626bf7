//! `GetClosingFacts`: rule T2.

use frontdesk_proto::conversation::internal::v1::{GetClosingFactsRequest, GetClosingFactsResponse};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::{Code, Status};

use crate::fixture::Fixture;

on_both_modes!(t2_the_facts_of_a_close_stay_as_they_were_and_those_of_a_close_now_follow_the_chat);

pub async fn facts(fixture: &Fixture, chat: &str, close_number: i32) -> Result<GetClosingFactsResponse, Status> {
    let request = GetClosingFactsRequest { conversation_id: chat.into(), close_number };
    let request = fixture.on_behalf_of("service:notification", request);
    Ok(fixture.arbiter("notification").get_closing_facts(request).await?.into_inner())
}

async fn t2_the_facts_of_a_close_stay_as_they_were_and_those_of_a_close_now_follow_the_chat(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    crate::close_conversation::close(&fixture, &chat).await;
    let at_close = facts(&fixture, &chat, 1).await.unwrap();
    assert_eq!((at_close.last_sequence, at_close.had_agent, at_close.contact_id.as_str()), (1, false, ""));
    crate::link_contact::link_new_contact(&fixture, &chat).await;
    let now = facts(&fixture, &chat, 0).await.unwrap();
    assert_eq!((now.last_sequence, now.visitor_name.as_str()), (2, "Vera"));
    assert!(!now.contact_id.is_empty());
    let still = facts(&fixture, &chat, 1).await.unwrap();
    assert_eq!((still.last_sequence, still.contact_id), (1, at_close.contact_id));
    let absent = facts(&fixture, &chat, 2).await.unwrap_err();
    assert_eq!((absent.code(), reason(&absent).as_str()), (Code::NotFound, "NOT_FOUND"));
}
