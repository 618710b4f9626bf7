use frontdesk_proto::{
    botsession::v1::{BotSessionStatus, DeleteBotRequest},
    event::v1::BotDeleted,
};
use frontdesk_testkit::{Mode, on_both_modes};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    fixture::{Fixture, new_account},
    flows::{flow, valid_flow},
};

on_both_modes!(
    c12_twenty_deletions_delete_a_bot_once_and_it_is_still_found,
    b2_an_open_session_continues_after_its_bot_is_deleted,
    s2_another_account_deletes_no_bot,
);

async fn c12_twenty_deletions_delete_a_bot_once_and_it_is_still_found(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let created = fixture.create_bot(here, valid_flow()).await;
    let mut deletions = JoinSet::new();
    for _ in 0..20 {
        let mut bots = fixture.bots(here);
        let request = DeleteBotRequest { bot_id: created.id.clone() };
        deletions.spawn(async move { bots.delete_bot(request).await.unwrap().into_inner().bot.unwrap() });
    }
    let deleted = deletions.join_all().await;
    assert!(deleted.iter().all(|bot| bot.delete_time.is_some() && *bot == deleted[0]));
    assert_eq!((deleted[0].update_time, deleted[0].version), (deleted[0].delete_time, created.version + 1));
    assert_eq!(fixture.bot(here, &created.id).await.unwrap(), deleted[0]);
    assert_eq!(fixture.events::<BotDeleted>().await.len(), 1);
}

async fn b2_an_open_session_continues_after_its_bot_is_deleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    fixture.bots(here).delete_bot(DeleteBotRequest { bot_id: bot.id }).await.unwrap();
    fixture.send(&chat, "ada@example.org", "").await;
    let session = fixture.session(&chat).await.unwrap();
    assert_eq!((session.status(), session.step_id.as_str()), (BotSessionStatus::Open, "topic"));
}

async fn s2_another_account_deletes_no_bot(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, there) = (new_account(), new_account());
    let created = fixture.create_bot(here, valid_flow()).await;
    let request = DeleteBotRequest { bot_id: created.id.clone() };
    assert_eq!(fixture.bots(there).delete_bot(request).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(fixture.bot(here, &created.id).await.unwrap(), created);
}
