//! Conversations that are reopened, and hand-offs that name a team: rules A4, B8, E4.

use frontdesk_clock::Time;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{AddTeamMembersRequest, Agent, Availability, DeleteTeamRequest, RoutingStep, RoutingStrategy},
    event::v1::{ConversationHandedOff, ConversationReopened},
};
use frontdesk_testkit::{Mode, new_id};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, account, anybody},
    routing::{at, handle},
};

frontdesk_testkit::on_both_modes! {
    e4_a_reopened_conversation_returns_to_its_last_owner_if_they_can_take_it,
    e4_one_that_an_agent_reopened_or_that_is_not_routed_does_not_wait,
    b8_a_hand_off_to_a_team_goes_to_its_members_and_holds_up_no_other_one,
    b8_the_contacts_owner_comes_first_after_a_hand_off,
}

/// The reopening by an administrator of a conversation that this agent owned.
fn reopened(conversation: Uuid, policy: &str, last_owner: &Agent) -> ConversationReopened {
    ConversationReopened {
        conversation_id: conversation.to_string(),
        epoch: 1,
        by: Some(Actor { kind: ActorKind::Admin.into(), id: "root".into(), ..Actor::default() }),
        reopen_time: Some(Time(5).to_proto()),
        routed: true,
        routing_policy_id: policy.into(),
        last_owner_agent_id: last_owner.id.clone(),
        ..ConversationReopened::default()
    }
}

fn handed_off(conversation: Uuid) -> ConversationHandedOff {
    ConversationHandedOff {
        conversation_id: conversation.to_string(),
        epoch: 1,
        bot_id: new_id().to_string(),
        change_time: Some(Time(5).to_proto()),
        ..ConversationHandedOff::default()
    }
}

async fn e4_a_reopened_conversation_returns_to_its_last_owner_if_they_can_take_it(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.available(here, "ada", 2).await, service.available(here, "bob", 5).await);
    // The policy names Bob alone.
    let only_bob = RoutingStep { agent_ids: vec![bob.id.clone()], ..RoutingStep::default() };
    let mut rules = anybody(RoutingStrategy::FewestOpen);
    rules.steps = vec![only_bob];
    let policy = service.policy(here, "Bob", rules).await;
    let reopen = async || {
        let conversation = service.conversation();
        handle(&service, &[at(here, conversation, 3, &reopened(conversation, &policy.id, &ada))]).await;
        service.routed(conversation).await
    };
    assert_eq!([reopen().await, reopen().await], [ada.id.clone(), ada.id.clone()]);
    assert_eq!(reopen().await, bob.id, "Ada is full");
    service.set_availability(here, &ada, Availability::Away).await;
    assert_eq!(reopen().await, bob.id, "Ada is away");
}

async fn e4_one_that_an_agent_reopened_or_that_is_not_routed_does_not_wait(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let ada = service.agent(here, "ada").await;
    let (by_agent, plain) = (service.conversation_of(&ada), service.conversation());
    let by = Some(Actor { kind: ActorKind::Agent.into(), id: ada.id.clone(), ..Actor::default() });
    let events = [
        at(here, by_agent, 3, &ConversationReopened { by, ..reopened(by_agent, &policy.id, &ada) }),
        at(here, plain, 3, &ConversationReopened { routed: false, ..reopened(plain, "", &ada) }),
    ];
    handle(&service, &events).await;
    for conversation in [by_agent, plain] {
        assert_eq!(service.place(here, conversation).await, (0, 0));
    }
}

async fn b8_a_hand_off_to_a_team_goes_to_its_members_and_holds_up_no_other_one(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (sales, gone) = (service.team(here, "Sales").await, service.team(here, "Gone").await);
    let ada = service.available(here, "ada", 5).await;
    let (of_sales, of_gone, of_all) = (service.conversation(), service.conversation(), service.conversation());
    let to_team = |conversation: Uuid, team_id: &str| {
        let handed_off = ConversationHandedOff { team_id: team_id.into(), ..handed_off(conversation) };
        at(here, conversation, 2, &handed_off)
    };
    service.teams(here).delete_team(DeleteTeamRequest { team_id: gone.id.clone() }).await.unwrap();
    handle(
        &service,
        &[to_team(of_sales, &sales.id), to_team(of_gone, &gone.id), at(here, of_all, 2, &handed_off(of_all))],
    )
    .await;
    assert_eq!(service.routed(of_all).await, ada.id, "the team's one has waited as long, and holds it up no more");
    assert_eq!(service.routed(of_gone).await, ada.id, "a deleted team counts as none");
    assert_eq!(service.place(here, of_sales).await, (1, 1));
    let bob = service.available(here, "bob", 5).await;
    let agent_ids = vec![bob.id.clone()];
    let members = AddTeamMembersRequest { team_id: sales.id.clone(), agent_ids };
    service.teams(here).add_team_members(members).await.unwrap();
    assert_eq!(service.routed(of_sales).await, bob.id);
}

async fn b8_the_contacts_owner_comes_first_after_a_hand_off(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let mut rules = anybody(RoutingStrategy::FewestOpen);
    let widen_after = Some(prost_types::Duration { seconds: 600, nanos: 0 });
    rules.steps.insert(0, RoutingStep { contact_owner: true, widen_after, ..RoutingStep::default() });
    let policy = service.policy(here, "Owner", rules).await;
    service.available(here, "ada", 5).await;
    let owner = service.available(here, "owner", 5).await;
    let now = service.db.now().await.unwrap();
    let conversation = service.conversation();
    let handed_off = ConversationHandedOff {
        routing_policy_id: policy.id.clone(),
        contact_owner_agent_id: owner.id.clone(),
        change_time: Some(now.to_proto()),
        ..handed_off(conversation)
    };
    handle(&service, &[at(here, conversation, 2, &handed_off)]).await;
    assert_eq!(service.routed(conversation).await, owner.id);
}
