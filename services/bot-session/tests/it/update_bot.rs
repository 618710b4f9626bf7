use frontdesk_proto::{
    assignment::v1::{GetAgentRequest, GetAgentResponse},
    botsession::v1::{
        Bot, DeleteBotRequest, NoTimeout, UpdateBotRequest, UpdateBotResponse, bot, update_bot_request::Inactivity,
    },
    event::v1::BotUpdated,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use prost_types::Duration;
use tokio::task::JoinSet;
use tonic::{Code, Request, Response, Status};

use crate::{
    fixture::{ADA, BOB, Fixture, GONE, new_account},
    flows::{flow, flow_to, invalid_flow, valid_flow},
};

on_both_modes!(
    b2_a_bots_timeout_is_kept_set_or_switched_off,
    c12_a_repeated_edit_succeeds_with_its_old_etag_and_changes_nothing,
    c12_an_edit_with_an_old_etag_is_rejected,
    b2_a_deleted_bot_is_edited_and_stays_deleted,
    b6_an_edit_with_an_invalid_flow_is_rejected,
    b8_a_changed_flow_hands_off_to_active_agents_only,
    c12_of_twenty_edits_with_one_etag_one_wins,
    s2_another_account_edits_no_bot,
);

fn rename(bot: &Bot, name: &str) -> UpdateBotRequest {
    UpdateBotRequest { bot_id: bot.id.clone(), name: Some(name.into()), ..UpdateBotRequest::default() }
}

fn edited(response: Result<Response<UpdateBotResponse>, Status>) -> Bot {
    response.unwrap().into_inner().bot.unwrap()
}

async fn b2_a_bots_timeout_is_kept_set_or_switched_off(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let mut bots = fixture.bots(here);
    let created = fixture.create_bot(here, valid_flow()).await;
    let timeout = |seconds| Some(Inactivity::InactivityTimeout(Duration { seconds, nanos: 0 }));
    let edit = |inactivity| UpdateBotRequest { inactivity, ..rename(&created, "Robo") };

    let off = Some(bot::Inactivity::NoTimeout(NoTimeout {}));
    assert_eq!(edited(bots.update_bot(edit(Some(Inactivity::NoTimeout(NoTimeout {})))).await).inactivity, off);
    assert_eq!(edited(bots.update_bot(rename(&created, "Eve")).await).inactivity, off);
    let set = edited(bots.update_bot(edit(timeout(90))).await).inactivity;
    assert_eq!(set, Some(bot::Inactivity::InactivityTimeout(Duration { seconds: 90, nanos: 0 })));
    for outside in [59, 86_401] {
        let refused = bots.update_bot(edit(timeout(outside))).await.unwrap_err();
        assert!(refused.code() == Code::InvalidArgument && refused.message().contains("inactivity_timeout"));
    }
}

async fn c12_a_repeated_edit_succeeds_with_its_old_etag_and_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let created = fixture.create_bot(here, valid_flow()).await;
    let timeout = Inactivity::InactivityTimeout(Duration { seconds: 90, nanos: 1 });
    let edit = UpdateBotRequest {
        inactivity: Some(timeout),
        flow: Some(flow()),
        etag: created.etag.clone(),
        ..rename(&created, "Eve")
    };
    fixture.clock.advance(std::time::Duration::from_secs(60)).unwrap();
    let first = edited(fixture.bots(here).update_bot(edit.clone()).await);
    assert_ne!(first.etag, created.etag);
    assert!(first.update_time.unwrap().seconds >= created.update_time.unwrap().seconds + 60);
    let expected = Bot {
        name: "Eve".into(),
        inactivity: Some(bot::Inactivity::InactivityTimeout(Duration { seconds: 90, nanos: 0 })),
        flow: Some(flow()),
        update_time: first.update_time,
        version: 2,
        etag: first.etag.clone(),
        ..created
    };
    assert_eq!(first, expected);

    assert_eq!(edited(fixture.bots(here).update_bot(edit).await), first);
    assert_eq!(fixture.bot(here, &first.id).await.unwrap(), first);
    assert_eq!(fixture.events::<BotUpdated>().await.len(), 1);
}

async fn c12_an_edit_with_an_old_etag_is_rejected(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let mut bots = fixture.bots(here);
    let created = fixture.create_bot(here, valid_flow()).await;
    edited(bots.update_bot(rename(&created, "Eve")).await);
    let stale = UpdateBotRequest { etag: created.etag.clone(), ..rename(&created, "Old") };
    let refused = bots.update_bot(stale).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    assert_eq!(fixture.events::<BotUpdated>().await.len(), 1);
}

async fn b2_a_deleted_bot_is_edited_and_stays_deleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let mut bots = fixture.bots(here);
    let created = fixture.create_bot(here, valid_flow()).await;
    bots.delete_bot(DeleteBotRequest { bot_id: created.id.clone() }).await.unwrap();
    let renamed = edited(bots.update_bot(rename(&created, "Eve")).await);
    assert!(renamed.name == "Eve" && renamed.delete_time.is_some(), "{renamed:?}");
}

async fn b6_an_edit_with_an_invalid_flow_is_rejected(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let created = fixture.create_bot(here, valid_flow()).await;
    let edit = UpdateBotRequest { flow: Some(invalid_flow()), ..rename(&created, "Eve") };
    let refused = fixture.bots(here).update_bot(edit).await.unwrap_err();
    assert!(refused.code() == Code::InvalidArgument && refused.message().contains("flow.steps[1].next_step_id"));
    assert_eq!(fixture.bot(here, &created.id).await.unwrap(), created);
}

async fn b8_a_changed_flow_hands_off_to_active_agents_only(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let mut bots = fixture.bots(here);
    let created = fixture.create_bot(here, valid_flow()).await;
    let edit = |agents: &[uuid::Uuid]| UpdateBotRequest { flow: Some(flow_to(agents)), ..rename(&created, "Robo") };
    let refused = bots.update_bot(edit(&[GONE])).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
    assert!(refused.message().starts_with("flow.steps[1].hand_off.agent_id: "), "{}", refused.message());
    assert_eq!(fixture.bot(here, &created.id).await.unwrap(), created);
    // An edit that is rejected asks about no agent.
    let stale = UpdateBotRequest { etag: "0".into(), ..edit(&[ADA]) };
    assert_eq!(reason(&bots.update_bot(stale).await.unwrap_err()), "ETAG_MISMATCH");
    let absent = UpdateBotRequest { bot_id: new_id().to_string(), ..edit(&[ADA]) };
    assert_eq!(bots.update_bot(absent).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(fixture.fake.calls::<GetAgentRequest>(), 1);

    let first = edited(bots.update_bot(edit(&[ADA])).await);
    assert_eq!(first.flow, Some(flow_to(&[ADA])));
    // Neither a repeat nor an edit that keeps the flow asks about its agents.
    fixture.fake.on(|_: Request<GetAgentRequest>| Err::<GetAgentResponse, _>(Status::internal("broken")));
    assert_eq!(edited(bots.update_bot(edit(&[ADA])).await), first);
    let renamed = UpdateBotRequest { flow: Some(flow_to(&[ADA])), ..rename(&created, "Eve") };
    assert_eq!(edited(bots.update_bot(renamed).await).name, "Eve");
    let unanswered = bots.update_bot(edit(&[BOB])).await.unwrap_err();
    assert_eq!(unanswered.code(), Code::Unavailable);
    assert_eq!(fixture.events::<BotUpdated>().await.len(), 2);
}

async fn c12_of_twenty_edits_with_one_etag_one_wins(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let created = fixture.create_bot(here, valid_flow()).await;
    let mut edits = JoinSet::new();
    for number in 0..20 {
        let mut bots = fixture.bots(here);
        let edit = UpdateBotRequest { etag: created.etag.clone(), ..rename(&created, &format!("Bot {number}")) };
        edits.spawn(async move { bots.update_bot(edit).await });
    }
    let (won, lost): (Vec<_>, Vec<_>) = edits.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 19));
    assert!(lost.into_iter().all(|lost| reason(&lost.unwrap_err()) == "ETAG_MISMATCH"));
    let winner = edited(won.into_iter().next().unwrap());
    assert_eq!(fixture.bot(here, &created.id).await.unwrap(), winner);
    assert_eq!(fixture.events::<BotUpdated>().await.len(), 1);
}

async fn s2_another_account_edits_no_bot(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, there) = (new_account(), new_account());
    let created = fixture.create_bot(here, valid_flow()).await;
    let refused = fixture.bots(there).update_bot(rename(&created, "Eve")).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(fixture.bot(here, &created.id).await.unwrap(), created);
}
