use std::collections::HashSet;

use frontdesk_proto::{
    assignment::v1::{
        GetAgentRequest, GetAgentResponse, GetRoutingPolicyRequest, GetRoutingPolicyResponse, GetTeamRequest,
        GetTeamResponse, RoutingPolicy, Team,
    },
    botsession::v1::{
        Bot, CreateBotRequest, DeleteBotRequest, Flow, GetBotRequest, HandOffStep, NoTimeout, Step, UndeleteBotRequest,
        UpdateBotRequest, bot::Inactivity as Kept, create_bot_request::Inactivity, step::Action,
    },
    event::v1::BotCreated,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use prost_types::Duration;
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};

use crate::{
    fixture::{ADA, BOB, Fixture, GONE, new_account, new_bot},
    flow_steps::{NAMED, naming},
    flows::{BLANK_TEXTS, blank_flow, flow, flow_to, invalid_flow, valid_flow},
};

on_both_modes!(
    b2_a_created_bot_has_thirty_minutes_unless_set_or_switched_off,
    b6_an_invalid_flow_is_rejected_with_all_its_problems,
    b6_blank_texts_are_rejected_when_a_flow_is_stored,
    b8_a_flow_hands_off_to_active_agents_only,
    b8_a_flow_hands_off_to_routing_policies_and_teams_that_exist,
    b8_c12_a_repeat_gets_the_first_bot_whatever_became_of_its_agents,
    b6_a_flow_that_names_what_does_not_exist_is_refused,
    b8_no_bot_is_created_while_the_roster_does_not_answer,
    a2_an_agent_who_is_not_active_changes_no_bot,
    c12_a_repeat_returns_the_first_bot_as_it_is_now,
    c12_twenty_creations_with_one_request_id_create_one_bot,
    s2_a_request_id_counts_within_its_account,
);

fn bot(response: Result<tonic::Response<frontdesk_proto::botsession::v1::CreateBotResponse>, Status>) -> Bot {
    response.unwrap().into_inner().bot.unwrap()
}

async fn b2_a_created_bot_has_thirty_minutes_unless_set_or_switched_off(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut bots = fixture.bots(new_account());
    let seconds = |seconds| Duration { seconds, nanos: 0 };
    let kept = |seconds_| Some(Kept::InactivityTimeout(seconds(seconds_)));
    let asked = |seconds_| Some(Inactivity::InactivityTimeout(seconds(seconds_)));

    let by_default = bot(bots.create_bot(new_bot(flow(), "1")).await);
    assert_eq!((by_default.inactivity, by_default.flow), (kept(1800), Some(flow())));
    let set = CreateBotRequest { inactivity: asked(60), ..new_bot(flow(), "2") };
    assert_eq!(bot(bots.create_bot(set.clone()).await).inactivity, kept(60));
    let off = CreateBotRequest { inactivity: Some(Inactivity::NoTimeout(NoTimeout {})), ..new_bot(flow(), "3") };
    assert_eq!(bot(bots.create_bot(off).await).inactivity, Some(Kept::NoTimeout(NoTimeout {})));

    for outside in [-1, 0, 59, 86_401] {
        let outside = CreateBotRequest { inactivity: asked(outside), request_id: "4".into(), ..set.clone() };
        let refused = bots.create_bot(outside).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with("inactivity_timeout: "), "{refused:?}");
    }
    assert_eq!(fixture.events::<BotCreated>().await.len(), 3);
}

async fn b6_an_invalid_flow_is_rejected_with_all_its_problems(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let refused = fixture.bots(new_account()).create_bot(new_bot(invalid_flow(), "1")).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for field in ["flow.steps[1].id", "flow.steps[1].next_step_id"] {
        assert!(refused.message().contains(field), "{field} in {}", refused.message());
    }
    assert!(fixture.events::<BotCreated>().await.is_empty());
}

async fn b6_blank_texts_are_rejected_when_a_flow_is_stored(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut bots = fixture.bots(new_account());
    let valid = bot(bots.create_bot(new_bot(valid_flow(), "1")).await);
    let update = UpdateBotRequest { bot_id: valid.id, flow: Some(blank_flow()), ..UpdateBotRequest::default() };
    let created = bots.create_bot(new_bot(blank_flow(), "2")).await.unwrap_err();
    for refused in [created, bots.update_bot(update).await.unwrap_err()] {
        assert_eq!(refused.code(), Code::InvalidArgument);
        for field in BLANK_TEXTS {
            assert!(refused.message().contains(field), "{field} in {}", refused.message());
        }
    }
}

async fn b8_a_flow_hands_off_to_active_agents_only(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut bots = fixture.bots(new_account());
    let refused = bots.create_bot(new_bot(flow_to(&[ADA, GONE, BOB, new_id()]), "1")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
    for (step, named) in [(1, false), (2, true), (3, false), (4, true)] {
        let field = format!("flow.steps[{step}].hand_off.agent_id: ");
        assert_eq!(refused.message().contains(&field), named, "{}", refused.message());
    }
    assert!(fixture.events::<BotCreated>().await.is_empty());
    assert_eq!(fixture.fake.calls::<GetAgentRequest>(), 4);
    // An agent of several steps is asked about once, and a flow without agents asks about none.
    bot(bots.create_bot(new_bot(flow_to(&[ADA, BOB, ADA, BOB]), "2")).await);
    bot(bots.create_bot(new_bot(flow(), "3")).await);
    assert_eq!(fixture.fake.calls::<GetAgentRequest>(), 6);
}

/// A flow that hands off to this routing policy and team.
fn flow_to_target(routing_policy_id: &str, team_id: &str) -> Flow {
    let hand_off =
        HandOffStep { routing_policy_id: routing_policy_id.into(), team_id: team_id.into(), ..HandOffStep::default() };
    let step = Step { id: "team".into(), action: Some(Action::HandOff(hand_off)), next_step_id: String::new() };
    Flow { steps: vec![step] }
}

async fn b8_a_flow_hands_off_to_routing_policies_and_teams_that_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut bots = fixture.bots(new_account());
    let (policy, team, deleted) = (new_id().to_string(), new_id().to_string(), new_id().to_string());
    let known = policy.clone();
    fixture.fake.on(move |request: Request<GetRoutingPolicyRequest>| {
        let id = request.into_inner().routing_policy_id;
        if id != known {
            return Err(Status::not_found("no such policy"));
        }
        Ok(GetRoutingPolicyResponse { routing_policy: Some(RoutingPolicy { id, ..RoutingPolicy::default() }) })
    });
    let gone = deleted.clone();
    fixture.fake.on(move |request: Request<GetTeamRequest>| {
        let id = request.into_inner().team_id;
        let delete_time = (id == gone).then(prost_types::Timestamp::default);
        Ok(GetTeamResponse { team: Some(Team { id, delete_time, ..Team::default() }), ..GetTeamResponse::default() })
    });
    for (policy, team, field) in
        [(new_id().to_string(), team.clone(), "routing_policy_id"), (policy.clone(), deleted.clone(), "team_id")]
    {
        let refused = bots.create_bot(new_bot(flow_to_target(&policy, &team), "1")).await.unwrap_err();
        let expected = (Code::FailedPrecondition, "REFERENCE_UNKNOWN");
        assert_eq!((refused.code(), reason(&refused).as_str()), expected);
        let field = format!("flow.steps[0].hand_off.{field}: ");
        assert!(refused.message().contains(&field), "{}", refused.message());
    }
    let flow = flow_to_target(&policy, &team);
    let created = bot(bots.create_bot(new_bot(flow.clone(), "1")).await);
    assert_eq!(created.flow, Some(flow));
}

async fn b8_c12_a_repeat_gets_the_first_bot_whatever_became_of_its_agents(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut bots = fixture.bots(new_account());
    let first = bot(bots.create_bot(new_bot(flow_to(&[ADA]), "once")).await);
    fixture.fake.on(|_: Request<GetAgentRequest>| Err::<GetAgentResponse, _>(Status::not_found("no such agent")));
    assert_eq!(bot(bots.create_bot(new_bot(flow_to(&[ADA]), "once")).await), first);
    let other = bots.create_bot(new_bot(flow_to(&[BOB]), "once")).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
    assert_eq!(fixture.fake.calls::<GetAgentRequest>(), 1);
}

async fn b6_a_flow_that_names_what_does_not_exist_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut bots = fixture.bots(new_account());
    for at in 0..NAMED.len() {
        let mut named = NAMED;
        named[at] = new_id();
        let refused = bots.create_bot(new_bot(naming(named), &format!("refused-{at}"))).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "REFERENCE_UNKNOWN"));
        assert!(refused.message().starts_with("flow.steps["), "{}", refused.message());
    }
    assert!(fixture.events::<BotCreated>().await.is_empty());
    bot(bots.create_bot(new_bot(naming(NAMED), "1")).await);
    assert_eq!(fixture.count("opening_hours").await, 1);
}

async fn b8_no_bot_is_created_while_the_roster_does_not_answer(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    fixture.fake.on(|_: Request<GetAgentRequest>| Err::<GetAgentResponse, _>(Status::internal("broken")));
    let refused = fixture.bots(new_account()).create_bot(new_bot(flow_to(&[ADA]), "1")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("assignment"), "{}", refused.message());
    assert!(fixture.events::<BotCreated>().await.is_empty());
}

async fn c12_a_repeat_returns_the_first_bot_as_it_is_now(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut bots = fixture.bots(new_account());
    let first = bot(bots.create_bot(new_bot(valid_flow(), "once")).await);
    let delete = frontdesk_proto::botsession::v1::DeleteBotRequest { bot_id: first.id.clone() };
    let deleted = bots.delete_bot(delete).await.unwrap().into_inner().bot.unwrap();
    assert_eq!(bot(bots.create_bot(new_bot(valid_flow(), "once")).await), deleted);

    let other = CreateBotRequest { name: "Other".into(), ..new_bot(valid_flow(), "once") };
    assert_eq!(reason(&bots.create_bot(other).await.unwrap_err()), "REQUEST_ID_REUSED");
    assert_eq!(fixture.events::<BotCreated>().await.len(), 1);
}

async fn c12_twenty_creations_with_one_request_id_create_one_bot(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let mut creations = JoinSet::new();
    for _ in 0..20 {
        let mut bots = fixture.bots(here);
        creations.spawn(async move { bots.create_bot(new_bot(valid_flow(), "once")).await });
    }
    let ids: HashSet<String> = creations.join_all().await.into_iter().map(|response| bot(response).id).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(fixture.events::<BotCreated>().await.len(), 1);
}

async fn s2_a_request_id_counts_within_its_account(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, there) = (new_account(), new_account());
    let own = bot(fixture.bots(here).create_bot(new_bot(valid_flow(), "once")).await);
    let other = bot(fixture.bots(there).create_bot(new_bot(flow(), "once")).await);
    assert_ne!(own.id, other.id);
    let get = GetBotRequest { bot_id: own.id };
    assert_eq!(fixture.bots(there).get_bot(get).await.unwrap_err().code(), Code::NotFound);
}

async fn a2_an_agent_who_is_not_active_changes_no_bot(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let account = new_account();
    let first = new_bot(flow(), "1");
    let bot_id = bot(fixture.bots_as(account, BOB).create_bot(first.clone()).await).id;
    for agent in [GONE, new_id()] {
        let mut bots = fixture.bots_as(account, agent);
        let rename = UpdateBotRequest { bot_id: bot_id.clone(), name: Some("X".into()), ..Default::default() };
        let refused = [
            bots.create_bot(new_bot(flow(), "2")).await.err(),
            bots.update_bot(rename).await.err(),
            bots.delete_bot(DeleteBotRequest { bot_id: bot_id.clone() }).await.err(),
            bots.undelete_bot(UndeleteBotRequest { bot_id: bot_id.clone() }).await.err(),
        ];
        for refused in refused {
            let refused = refused.unwrap();
            assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
            assert!(refused.message().starts_with("you "), "{refused}");
        }
    }
    assert_eq!(fixture.events::<BotCreated>().await.len(), 1);
    // A repeat gets the first answer, also after the agent was deactivated.
    fixture.fake.on(|_: Request<GetAgentRequest>| Err::<GetAgentResponse, _>(Status::not_found("no such agent")));
    assert_eq!(bot(fixture.bots_as(account, BOB).create_bot(first).await).id, bot_id);
}
