use frontdesk_proto::{
    botsession::v1::{Bot, DeleteBotRequest, UpdateBotRequest},
    event::v1::BotUpdated,
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tokio::task::JoinSet;
use tonic::{Code, Response, Status};

use crate::{
    fixture::{Fixture, new_account},
    flows::{flow, invalid_flow, valid_flow},
};

on_both_modes!(
    b2_a_bot_has_thirty_minutes_unless_set_or_switched_off_but_not_both,
    an_edit_changes_what_is_set_and_again_changes_nothing,
    an_edit_with_an_old_etag_and_one_of_a_deleted_bot_are_rejected,
    b6_an_edit_with_an_invalid_flow_is_rejected,
    of_twenty_edits_with_one_etag_one_wins,
    s2_another_account_edits_no_bot,
);

fn rename(bot: &Bot, name: &str) -> UpdateBotRequest {
    UpdateBotRequest { bot_id: bot.id.clone(), name: Some(name.into()), ..UpdateBotRequest::default() }
}

fn bot(response: Result<Response<frontdesk_proto::botsession::v1::UpdateBotResponse>, Status>) -> Bot {
    response.unwrap().into_inner().bot.unwrap()
}

async fn b2_a_bot_has_thirty_minutes_unless_set_or_switched_off_but_not_both(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let mut bots = fixture.bots(here);
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let created = fixture.create_bot(here, valid_flow()).await;
    assert_eq!(created.inactivity_timeout, seconds(1800));

    let off = UpdateBotRequest { bot_id: created.id, inactivity_timeout_off: true, ..UpdateBotRequest::default() };
    assert_eq!(bot(bots.update_bot(off.clone()).await).inactivity_timeout, None);
    let both = UpdateBotRequest { inactivity_timeout: seconds(60), ..off.clone() };
    let refused = bots.update_bot(both).await.unwrap_err();
    assert!(refused.code() == Code::InvalidArgument && refused.message().contains("inactivity_timeout_off"));
    let set = UpdateBotRequest { inactivity_timeout: seconds(90), inactivity_timeout_off: false, ..off.clone() };
    assert_eq!(bot(bots.update_bot(set.clone()).await).inactivity_timeout, seconds(90));
    for outside in [59, 86_401] {
        let outside = UpdateBotRequest { inactivity_timeout: seconds(outside), ..set.clone() };
        assert_eq!(bots.update_bot(outside).await.unwrap_err().code(), Code::InvalidArgument);
    }
}

async fn an_edit_changes_what_is_set_and_again_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let created = fixture.create_bot(here, valid_flow()).await;
    let edit = UpdateBotRequest { flow: Some(flow()), ..rename(&created, "Eve") };
    let edited = bot(fixture.bots(here).update_bot(edit.clone()).await);
    assert_ne!(edited.etag, created.etag);
    let expected = Bot { name: "Eve".into(), flow: Some(flow()), etag: edited.etag.clone(), ..created };
    assert_eq!(edited, expected);

    assert_eq!(bot(fixture.bots(here).update_bot(edit).await), edited);
    assert_eq!(fixture.events::<BotUpdated>().await.len(), 1);
}

async fn an_edit_with_an_old_etag_and_one_of_a_deleted_bot_are_rejected(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let mut bots = fixture.bots(here);
    let created = fixture.create_bot(here, valid_flow()).await;
    bot(bots.update_bot(rename(&created, "Eve")).await);
    let stale = UpdateBotRequest { etag: created.etag.clone(), ..rename(&created, "Old") };
    let refused = bots.update_bot(stale).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "ETAG_MISMATCH"));

    bots.delete_bot(DeleteBotRequest { bot_id: created.id.clone() }).await.unwrap();
    assert_eq!(bots.update_bot(rename(&created, "Bob")).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(fixture.events::<BotUpdated>().await.len(), 1);
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

async fn of_twenty_edits_with_one_etag_one_wins(mode: Mode) {
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
    let winner = bot(won.into_iter().next().unwrap());
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
