//! The local copy of agents: the consumer `conversation.agents` and `ApplyAgent`.

use frontdesk_proto::{
    assignment::v1::{GetAgentRequest, GetAgentResponse},
    conversation::{
        internal::v1::ApplyAgentRequest,
        v1::{CloseConversationRequest, PostCommentRequest},
    },
    event::v1::{AgentDeactivated, AgentReactivated, Event},
};
use frontdesk_testkit::{Mode, event, on_both_modes, reason};
use tonic::{Request, Status};

use crate::fixture::{ADA, BOB, Fixture, agent, message};

on_both_modes!(
    c11_a_deactivated_agent_writes_nothing_from_the_event_on_and_an_older_answer_changes_nothing,
    c11_a_reactivated_agent_posts_again_from_the_event_on,
    an_event_about_an_agent_who_does_not_exist_holds_nothing_up,
    a2_c11_an_applied_deactivation_is_in_force_without_an_event_and_an_older_state_changes_nothing,
);

/// The roster's event about the agent.
fn about(fixture: &Fixture, agent: uuid::Uuid) -> Event {
    let agent_id = agent.to_string();
    let event = event("assignment", fixture.account, &AgentDeactivated { agent_id: agent_id.clone() });
    Event { aggregate_id: agent_id, ..event }
}

fn answer(fixture: &Fixture, active: bool, version: i32) {
    fixture.service.fake.on(move |request: Request<GetAgentRequest>| {
        Ok(GetAgentResponse { agent: Some(agent(request.into_inner().agent_id, "Ada", active, version)) })
    });
}

async fn c11_a_deactivated_agent_writes_nothing_from_the_event_on_and_an_older_answer_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.post(&chat.id, "hello").await;
    answer(&fixture, false, 2);
    let event = about(&fixture, ADA);
    fixture.service.deliver_again(&event).await;
    fixture.service.settled().await;
    for (active, version) in [(false, 2), (true, 1)] {
        answer(&fixture, active, version);
        fixture.service.deliver_again(&event).await;
        fixture.service.settled().await;
        let refused = fixture.threads(ADA).post_message(message(&chat.id, "more")).await.unwrap_err();
        assert_eq!(reason(&refused), "AGENT_NOT_ACTIVE");
    }
    let comment = PostCommentRequest {
        conversation_id: chat.id.clone(),
        text: "for the team".into(),
        request_id: "comment".into(),
    };
    assert_eq!(reason(&fixture.threads(ADA).post_comment(comment).await.unwrap_err()), "AGENT_NOT_ACTIVE");
    let close = CloseConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
    assert_eq!(reason(&fixture.conversations(ADA).close_conversation(close).await.unwrap_err()), "AGENT_NOT_ACTIVE");
}

/// The assignment service applies the agent's state.
async fn apply(fixture: &Fixture, agent: uuid::Uuid, active: bool, version: i32) {
    let request = ApplyAgentRequest { agent_id: agent.to_string(), name: "Ada".into(), active, version };
    let request = fixture.on_behalf_of("service:assignment", request);
    fixture.arbiter("assignment").apply_agent(request).await.unwrap();
}

async fn a2_c11_an_applied_deactivation_is_in_force_without_an_event_and_an_older_state_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    // Bob is unknown to the service until the state is applied, Ada is known.
    fixture.post(&chat.id, "hello").await;
    for agent in [ADA, BOB] {
        apply(&fixture, agent, false, 2).await;
        for _ in 0..2 {
            let refused = fixture.threads(agent).post_message(message(&chat.id, "more")).await.unwrap_err();
            assert_eq!(reason(&refused), "AGENT_NOT_ACTIVE");
            apply(&fixture, agent, true, 1).await;
        }
        // The event comes late, and asks a replica of the roster that is behind.
        answer(&fixture, true, 1);
        fixture.service.deliver_again(&about(&fixture, agent)).await;
        fixture.service.settled().await;
        let refused = fixture.threads(agent).post_message(message(&chat.id, "more")).await.unwrap_err();
        assert_eq!(reason(&refused), "AGENT_NOT_ACTIVE");
        apply(&fixture, agent, true, 3).await;
        fixture.threads(agent).post_message(message(&chat.id, "back")).await.unwrap();
    }
}

async fn c11_a_reactivated_agent_posts_again_from_the_event_on(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    answer(&fixture, false, 2);
    fixture.service.deliver_again(&about(&fixture, ADA)).await;
    fixture.service.settled().await;
    answer(&fixture, true, 3);
    let agent_id = ADA.to_string();
    let event = event("assignment", fixture.account, &AgentReactivated { agent_id: agent_id.clone() });
    fixture.service.deliver_again(&Event { aggregate_id: agent_id, ..event }).await;
    fixture.service.settled().await;
    fixture.post(&chat.id, "back").await;
}

async fn an_event_about_an_agent_who_does_not_exist_holds_nothing_up(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    fixture.service.fake.on(|_: Request<GetAgentRequest>| Err::<GetAgentResponse, _>(Status::not_found("absent")));
    fixture.service.deliver_again(&about(&fixture, ADA)).await;
    answer(&fixture, true, 1);
    fixture.service.deliver_again(&about(&fixture, ADA)).await;
    fixture.service.settled().await;
    let chat = fixture.chat("v").await;
    fixture.post(&chat.id, "hello").await;
}
