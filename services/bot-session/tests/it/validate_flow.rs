use frontdesk_proto::botsession::v1::{Flow, ListBotsRequest, ValidateFlowRequest};
use frontdesk_testkit::{Mode, new_id, on_both_modes};

use crate::{
    fixture::{ADA, Fixture, GONE, new_account},
    flows::{BLANK_TEXTS, blank_flow, flow, flow_to, invalid_flow},
};

on_both_modes!(
    b6_the_problems_of_a_flow_are_answered_and_nothing_is_stored,
    b6_blank_texts_of_a_flow_are_problems,
    b8_agents_of_a_flow_who_are_not_active_are_problems,
);

async fn problems(fixture: &Fixture, flow: Flow) -> Vec<String> {
    let request = ValidateFlowRequest { flow: Some(flow) };
    let response = fixture.bots(new_account()).validate_flow(request).await.unwrap().into_inner();
    response.problems.into_iter().map(|problem| problem.field).collect()
}

async fn b6_the_problems_of_a_flow_are_answered_and_nothing_is_stored(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    assert!(problems(&fixture, flow()).await.is_empty());
    let found = problems(&fixture, invalid_flow()).await;
    assert_eq!(found, ["flow.steps[1].id", "flow.steps[1].next_step_id"]);
    let listed = fixture.bots(new_account()).list_bots(ListBotsRequest::default()).await.unwrap().into_inner();
    assert!(listed.bots.is_empty());
}

async fn b6_blank_texts_of_a_flow_are_problems(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    assert_eq!(problems(&fixture, blank_flow()).await, BLANK_TEXTS);
}

async fn b8_agents_of_a_flow_who_are_not_active_are_problems(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let found = problems(&fixture, flow_to(&[GONE, ADA, new_id()])).await;
    assert_eq!(found, ["flow.steps[1].hand_off.agent_id", "flow.steps[3].hand_off.agent_id"]);
}
