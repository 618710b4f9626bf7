use frontdesk_proto::{
    botsession::v1::{Bot, DeleteBotRequest, UndeleteBotRequest},
    event::v1::BotUndeleted,
};
use frontdesk_testkit::{Mode, on_both_modes};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    fixture::{Fixture, new_account},
    flows::flow,
};

on_both_modes!(
    c12_twenty_undeletions_undelete_a_bot_once_with_its_content,
    c12_undeleting_a_bot_that_is_not_deleted_changes_nothing,
    s2_another_account_undeletes_no_bot,
);

fn undelete(bot: &Bot) -> UndeleteBotRequest {
    UndeleteBotRequest { bot_id: bot.id.clone() }
}

async fn c12_twenty_undeletions_undelete_a_bot_once_with_its_content(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let created = fixture.create_bot(here, flow()).await;
    fixture.bots(here).delete_bot(DeleteBotRequest { bot_id: created.id.clone() }).await.unwrap();
    let mut undeletions = JoinSet::new();
    for _ in 0..20 {
        let (mut bots, request) = (fixture.bots(here), undelete(&created));
        undeletions.spawn(async move { bots.undelete_bot(request).await.unwrap().into_inner().bot.unwrap() });
    }
    let undeleted = undeletions.join_all().await;
    let stored = fixture.bot(here, &created.id).await.unwrap();
    assert!(undeleted.iter().all(|bot| *bot == stored));
    let expected = Bot { update_time: stored.update_time, version: 3, etag: stored.etag.clone(), ..created };
    assert_eq!(stored, expected);
    assert_eq!(fixture.events::<BotUndeleted>().await.len(), 1);
}

async fn c12_undeleting_a_bot_that_is_not_deleted_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let created = fixture.create_bot(here, flow()).await;
    let undeleted = fixture.bots(here).undelete_bot(undelete(&created)).await.unwrap().into_inner().bot.unwrap();
    assert_eq!(undeleted, created);
    assert!(fixture.events::<BotUndeleted>().await.is_empty());
}

async fn s2_another_account_undeletes_no_bot(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, there) = (new_account(), new_account());
    let created = fixture.create_bot(here, flow()).await;
    let delete = DeleteBotRequest { bot_id: created.id.clone() };
    let deleted = fixture.bots(here).delete_bot(delete).await.unwrap().into_inner().bot.unwrap();
    let refused = fixture.bots(there).undelete_bot(undelete(&created)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(fixture.bot(here, &created.id).await.unwrap(), deleted);
}
