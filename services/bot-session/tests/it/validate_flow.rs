use frontdesk_proto::botsession::v1::{Flow, ListBotsRequest, SayStep, ValidateFlowRequest, step::Action};
use frontdesk_testkit::{Mode, new_id, on_both_modes};

use crate::{
    fixture::{ADA, Fixture, GONE, new_account},
    flow_steps::{NAMED, naming},
    flows::{BLANK_TEXTS, blank_flow, flow, flow_to, invalid_flow},
};

on_both_modes!(
    b6_the_problems_of_a_flow_are_answered_and_nothing_is_stored,
    b6_blank_texts_of_a_flow_are_problems,
    b8_agents_of_a_flow_who_are_not_active_are_problems,
    b6_what_a_flow_names_and_does_not_exist_is_a_problem_with_its_place,
    b6_a_way_without_an_end_and_attempts_without_a_fallback_are_problems,
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

async fn b6_what_a_flow_names_and_does_not_exist_is_a_problem_with_its_place(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    assert!(problems(&fixture, naming(NAMED)).await.is_empty());
    let found = problems(&fixture, naming(NAMED.map(|_| new_id()))).await;
    let expected = [
        "flow.steps[0].say.insert_ids[0]",
        "flow.steps[1].branch.cases[0].conditions[0].opening_hours.opening_hours_id",
        "flow.steps[3].hand_off.routing_policy_id",
        "flow.steps[3].hand_off.team_id",
    ];
    assert_eq!(found, expected);
}

async fn b6_a_way_without_an_end_and_attempts_without_a_fallback_are_problems(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut endless = flow();
    let Some(Action::Ask(ask)) = &mut endless.steps[1].action else { panic!("the question") };
    ask.max_attempts = 3;
    endless.steps[4].action = Some(Action::Say(SayStep { text: "{{contact.age}}".into(), ..SayStep::default() }));
    let found = problems(&fixture, endless).await;
    assert_eq!(found, ["flow.steps[4].say.text", "flow.steps[1].ask.fallback_step_id", "flow.steps[4].next_step_id"]);
}
