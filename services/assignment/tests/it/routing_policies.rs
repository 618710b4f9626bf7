//! `RoutingPolicyService`: rules A2, A4, C12, S2.

use frontdesk_auth::CallerKind;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{
        CreateRoutingPolicyRequest, DeactivateAgentRequest, DeleteRoutingPolicyRequest, DeleteTeamRequest,
        GetRoutingPolicyRequest, ListRoutingPoliciesRequest, OutsideOpeningHours, RoutingPolicy, RoutingRules,
        RoutingStep, RoutingStrategy, UndeleteRoutingPolicyRequest, UpdateRoutingPolicyRequest,
        routing_policy_service_client::RoutingPolicyServiceClient,
    },
    event::v1::RoutingPolicyChanged,
};
use frontdesk_testkit::{Mode, metadata, new_id};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::fixture::{Fixture, account, anybody, rejection};

frontdesk_testkit::on_both_modes! {
    a4_a_policy_is_created_read_edited_and_listed_by_name,
    a4_a_policy_that_names_what_does_not_exist_is_refused_by_name,
    a4_a_step_without_a_target_is_refused,
    a4_a_deleted_policy_is_kept_and_comes_back,
    c12_twenty_creations_with_one_request_id_make_one,
    c12_a_repeated_edit_succeeds_with_its_old_etag_and_a_stale_one_is_rejected,
    a2_an_agent_who_is_not_active_changes_no_policy,
    s2_policies_of_another_account_are_not_found,
}

fn new_policy(name: &str, rules: RoutingRules) -> CreateRoutingPolicyRequest {
    CreateRoutingPolicyRequest { name: name.into(), rules: Some(rules), request_id: name.into() }
}

fn any() -> RoutingRules {
    anybody(RoutingStrategy::FewestOpen)
}

fn rename(policy: &RoutingPolicy, name: &str, etag: &str) -> UpdateRoutingPolicyRequest {
    UpdateRoutingPolicyRequest {
        routing_policy_id: policy.id.clone(),
        name: Some(name.into()),
        etag: etag.into(),
        ..UpdateRoutingPolicyRequest::default()
    }
}

async fn updated(service: &Fixture, account: AccountId, request: UpdateRoutingPolicyRequest) -> RoutingPolicy {
    service.policies(account).update_routing_policy(request).await.unwrap().into_inner().routing_policy.unwrap()
}

async fn events(service: &Fixture) -> usize {
    service.appended::<RoutingPolicyChanged>().await.len()
}

async fn a4_a_policy_is_created_read_edited_and_listed_by_name(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, sales) = (service.agent(here, "ada").await, service.team(here, "Sales").await);
    let step = RoutingStep {
        agent_ids: vec![ada.id],
        team_ids: vec![sales.id],
        contact_owner: true,
        widen_after: Some(prost_types::Duration { seconds: 90, nanos: 0 }),
        ..RoutingStep::default()
    };
    let mut rules = any();
    rules.steps.insert(0, step);
    rules.outside_opening_hours = OutsideOpeningHours::Unassigned.into();
    let policy = service.policy(here, "Shop", rules.clone()).await;
    assert_eq!((policy.name.as_str(), policy.rules.as_ref(), policy.version), ("Shop", Some(&rules), 1));
    let get = GetRoutingPolicyRequest { routing_policy_id: policy.id.clone() };
    let read = service.policies(here).get_routing_policy(get).await.unwrap().into_inner().routing_policy;
    assert_eq!(read.as_ref(), Some(&policy));
    let other = RoutingRules { outside_opening_hours: OutsideOpeningHours::Wait.into(), ..any() };
    let edit = UpdateRoutingPolicyRequest {
        routing_policy_id: policy.id.clone(),
        rules: Some(other.clone()),
        ..UpdateRoutingPolicyRequest::default()
    };
    let edited = updated(&service, here, edit).await;
    assert_eq!((edited.rules, edited.version), (Some(other), 2));
    assert!(edited.etag != policy.etag);
    service.policy(here, "Desk", any()).await;
    let list = ListRoutingPoliciesRequest { page_size: 1, ..ListRoutingPoliciesRequest::default() };
    let page = service.policies(here).list_routing_policies(list.clone()).await.unwrap().into_inner();
    let list = ListRoutingPoliciesRequest { page_token: page.next_page_token, ..list };
    let last = service.policies(here).list_routing_policies(list).await.unwrap().into_inner();
    let names = |policies: &[RoutingPolicy]| policies.iter().map(|policy| policy.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&page.routing_policies), names(&last.routing_policies)),
        (vec!["Desk".into()], vec!["Shop".into()])
    );
    assert_eq!((last.next_page_token.as_str(), events(&service).await), ("", 3));
}

async fn a4_a_policy_that_names_what_does_not_exist_is_refused_by_name(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (gone, sales) = (service.agent(here, "gone").await, service.team(here, "Sales").await);
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: gone.id.clone() }).await.unwrap();
    service.teams(here).delete_team(DeleteTeamRequest { team_id: sales.id.clone() }).await.unwrap();
    let foreign = service.agent(account(), "zed").await;
    let of_agent = |id: &str| RoutingStep { agent_ids: vec![id.into()], ..RoutingStep::default() };
    let of_team = RoutingStep { team_ids: vec![sales.id.clone()], ..RoutingStep::default() };
    let hours = new_id().to_string();
    let in_hours = RoutingRules { opening_hours_id: hours.clone(), ..any() };
    let with = |step: RoutingStep| RoutingRules { steps: vec![step], ..any() };
    let policy = service.policy(here, "Shop", any()).await;
    for (rules, kind, id, name) in [
        (with(of_agent(&gone.id)), "agent", gone.id.clone(), gone.name.as_str()),
        (with(of_agent(&foreign.id)), "agent", foreign.id.clone(), ""),
        (with(of_team), "team", sales.id.clone(), "Sales"),
        (in_hours, "opening_hours", hours, ""),
    ] {
        let edit = UpdateRoutingPolicyRequest { rules: Some(rules.clone()), ..rename(&policy, "Shop", "") };
        let refused: [Status; 2] = [
            service.policies(here).create_routing_policy(new_policy("Other", rules)).await.unwrap_err(),
            service.policies(here).update_routing_policy(edit).await.unwrap_err(),
        ];
        for refused in refused {
            assert_eq!(rejection(&refused), (Code::FailedPrecondition, "ROUTING_TARGET_UNKNOWN".into()));
            let said = ["kind", "id", "name"].map(|key| metadata(&refused, key));
            assert_eq!(said, [kind.to_owned(), id.clone(), name.to_owned()]);
        }
    }
    assert_eq!(events(&service).await, 1);
}

async fn a4_a_step_without_a_target_is_refused(mode: Mode) {
    let service = Fixture::start(mode).await;
    let mut rules = any();
    rules.steps.push(RoutingStep::default());
    let refused = service.policies(account()).create_routing_policy(new_policy("Shop", rules)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let fields = refused.get_details_bad_request().unwrap().field_violations;
    assert_eq!(fields.into_iter().map(|field| field.field).collect::<Vec<_>>(), ["rules.steps[1]"]);
}

async fn a4_a_deleted_policy_is_kept_and_comes_back(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "Shop", any()).await;
    for _ in 0..2 {
        let delete = DeleteRoutingPolicyRequest { routing_policy_id: policy.id.clone() };
        let deleted = service.policies(here).delete_routing_policy(delete).await.unwrap().into_inner();
        assert!(deleted.routing_policy.unwrap().delete_time.is_some());
    }
    let refused = service.policies(here).update_routing_policy(rename(&policy, "Store", "")).await.unwrap_err();
    assert_eq!(rejection(&refused), (Code::FailedPrecondition, "ROUTING_POLICY_DELETED".into()));
    let list = async |show_deleted: bool| {
        let request = ListRoutingPoliciesRequest { show_deleted, ..ListRoutingPoliciesRequest::default() };
        service.policies(here).list_routing_policies(request).await.unwrap().into_inner().routing_policies.len()
    };
    assert_eq!((list(false).await, list(true).await), (0, 1));
    for _ in 0..2 {
        let undelete = UndeleteRoutingPolicyRequest { routing_policy_id: policy.id.clone() };
        service.policies(here).undelete_routing_policy(undelete).await.unwrap();
    }
    assert_eq!((list(false).await, events(&service).await), (1, 3));
}

async fn c12_twenty_creations_with_one_request_id_make_one(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let mut creations = JoinSet::new();
    for _ in 0..20 {
        let mut calls = service.policies(here);
        creations.spawn(async move { calls.create_routing_policy(new_policy("Shop", any())).await });
    }
    let created: Vec<_> = creations.join_all().await.into_iter().map(|made| made.unwrap().into_inner()).collect();
    assert!(created.iter().all(|made| made == &created[0]));
    assert_eq!(events(&service).await, 1);
}

async fn c12_a_repeated_edit_succeeds_with_its_old_etag_and_a_stale_one_is_rejected(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "Shop", any()).await;
    let renamed = updated(&service, here, rename(&policy, "Store", &policy.etag)).await;
    assert_eq!(updated(&service, here, rename(&policy, "Store", &policy.etag)).await, renamed);
    let stale = service.policies(here).update_routing_policy(rename(&policy, "Desk", &policy.etag)).await.unwrap_err();
    assert_eq!(rejection(&stale), (Code::Aborted, "ETAG_MISMATCH".into()));
    assert_eq!(events(&service).await, 2);
}

async fn a2_an_agent_who_is_not_active_changes_no_policy(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "Shop", any()).await;
    let stranger = new_id().to_string();
    let permit = |claims: &mut frontdesk_auth::Claims| claims.permissions = vec!["routing.write".into()];
    let calls = service.calls_with(here, CallerKind::Agent, &stranger, permit);
    let mut calls = RoutingPolicyServiceClient::new(calls);
    let delete = DeleteRoutingPolicyRequest { routing_policy_id: policy.id.clone() };
    let undelete = UndeleteRoutingPolicyRequest { routing_policy_id: policy.id.clone() };
    let refused: [Result<(), Status>; 4] = [
        calls.create_routing_policy(new_policy("Mine", any())).await.map(drop),
        calls.update_routing_policy(rename(&policy, "Mine", "")).await.map(drop),
        calls.delete_routing_policy(delete).await.map(drop),
        calls.undelete_routing_policy(undelete).await.map(drop),
    ];
    for refused in refused {
        assert_eq!(rejection(&refused.unwrap_err()), (Code::FailedPrecondition, "NOT_ON_ROSTER".into()));
    }
    assert_eq!(events(&service).await, 1);
}

async fn s2_policies_of_another_account_are_not_found(mode: Mode) {
    let service = Fixture::start(mode).await;
    let policy = service.policy(account(), "Shop", any()).await;
    let mut elsewhere = service.policies(account());
    let routing_policy_id = policy.id.clone();
    let get = GetRoutingPolicyRequest { routing_policy_id: routing_policy_id.clone() };
    let delete = DeleteRoutingPolicyRequest { routing_policy_id: routing_policy_id.clone() };
    let undelete = UndeleteRoutingPolicyRequest { routing_policy_id };
    let refused: [Result<(), Status>; 4] = [
        elsewhere.get_routing_policy(get).await.map(drop),
        elsewhere.update_routing_policy(rename(&policy, "Theirs", "")).await.map(drop),
        elsewhere.delete_routing_policy(delete).await.map(drop),
        elsewhere.undelete_routing_policy(undelete).await.map(drop),
    ];
    for refused in refused {
        assert_eq!(rejection(&refused.unwrap_err()), (Code::NotFound, "NOT_FOUND".into()));
    }
    let listed = elsewhere.list_routing_policies(ListRoutingPoliciesRequest::default()).await.unwrap().into_inner();
    assert!(listed.routing_policies.is_empty());
}
