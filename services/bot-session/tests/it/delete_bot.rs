use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use frontdesk_proto::{
    botsession::v1::{BotSessionStatus, DeleteBotRequest, UndeleteBotRequest},
    conversation::internal::v1::{ApplyBotRequest, ApplyBotResponse},
    event::v1::BotDeleted,
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};

use crate::{
    fixture::{Fixture, new_account},
    flows::{flow, valid_flow},
};

on_both_modes!(
    c12_twenty_deletions_delete_a_bot_once_and_it_is_still_found,
    b2_an_open_session_continues_after_its_bot_is_deleted,
    b1_a_deletion_is_answered_after_conversations_start_without_the_bot,
    b1_a_deletion_is_in_force_where_the_copy_is_newer_than_the_bot,
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

async fn b1_a_deletion_is_answered_after_conversations_start_without_the_bot(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let created = fixture.create_bot(here, valid_flow()).await;
    let (applied, is_down) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
    let (seen, down) = (applied.clone(), is_down.clone());
    fixture.fake.on(move |request: Request<ApplyBotRequest>| {
        if down.load(Ordering::Relaxed) {
            return Err(Status::unavailable("not now"));
        }
        let request = request.into_inner();
        seen.lock().unwrap().push((request.bot_id, request.deleted, request.version));
        Ok(ApplyBotResponse::default())
    });
    let request = DeleteBotRequest { bot_id: created.id.clone() };
    let refused = fixture.bots(here).delete_bot(request.clone()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "CONVERSATION_UNAVAILABLE"));

    // The bot is deleted already: the repeat applies it all the same.
    is_down.store(false, Ordering::Relaxed);
    let deleted = fixture.bots(here).delete_bot(request).await.unwrap().into_inner().bot.unwrap();
    let undelete = UndeleteBotRequest { bot_id: created.id.clone() };
    let undeleted = fixture.bots(here).undelete_bot(undelete).await.unwrap().into_inner().bot.unwrap();
    let expected = [(created.id.clone(), true, deleted.version), (created.id, false, undeleted.version)];
    assert_eq!(*applied.lock().unwrap(), expected);
    assert_eq!(fixture.events::<BotDeleted>().await.len(), 1);
}

/// A restore of the bots to an older point in time leaves the copy of the conversation service as it was.
async fn b1_a_deletion_is_in_force_where_the_copy_is_newer_than_the_bot(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let created = fixture.create_bot(here, valid_flow()).await;
    let copy = Arc::new(Mutex::new((4, false)));
    let applied = copy.clone();
    fixture.fake.on(move |request: Request<ApplyBotRequest>| {
        let (request, mut copy) = (request.into_inner(), applied.lock().unwrap());
        *copy = (*copy).max((request.version, request.deleted));
        Ok(ApplyBotResponse { version: copy.0 })
    });
    for _ in 0..2 {
        let request = DeleteBotRequest { bot_id: created.id.clone() };
        let deleted = fixture.bots(here).delete_bot(request).await.unwrap().into_inner().bot.unwrap();
        assert_eq!(*copy.lock().unwrap(), (5, true));
        assert_eq!((deleted.version, fixture.bot(here, &created.id).await.unwrap()), (5, deleted));
    }
    *copy.lock().unwrap() = (7, true);
    let undelete = UndeleteBotRequest { bot_id: created.id.clone() };
    fixture.bots(here).undelete_bot(undelete).await.unwrap();
    assert_eq!(*copy.lock().unwrap(), (8, false));
}

async fn s2_another_account_deletes_no_bot(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, there) = (new_account(), new_account());
    let created = fixture.create_bot(here, valid_flow()).await;
    let request = DeleteBotRequest { bot_id: created.id.clone() };
    assert_eq!(fixture.bots(there).delete_bot(request).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(fixture.bot(here, &created.id).await.unwrap(), created);
}
