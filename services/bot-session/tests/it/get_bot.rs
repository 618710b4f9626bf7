use frontdesk_proto::botsession::v1::{Bot, UndeleteBotRequest};
use frontdesk_testkit::{Mode, new_id, on_both_modes};
use tonic::Code;

use crate::{
    fixture::{Fixture, new_account},
    flows::flow,
};

on_both_modes!(
    s2_a_bot_of_another_account_answers_like_one_that_does_not_exist,
    b2_a_bot_that_the_older_binary_stored_has_its_times,
);

async fn s2_a_bot_of_another_account_answers_like_one_that_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, there) = (new_account(), new_account());
    let created = fixture.create_bot(here, flow()).await;
    assert_eq!(fixture.bot(here, &created.id).await.unwrap(), created);

    let foreign = fixture.bot(there, &created.id).await.unwrap_err();
    let absent = fixture.bot(there, &new_id().to_string()).await.unwrap_err();
    assert_eq!(foreign.code(), Code::NotFound);
    assert_eq!((foreign.code(), foreign.message()), (absent.code(), absent.message()));
}

async fn b2_a_bot_that_the_older_binary_stored_has_its_times(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let created = fixture.create_bot(here, flow()).await;
    fixture.execute("UPDATE bots SET updated_at = NULL, deleted_at = NULL").await;
    assert_eq!(fixture.bot(here, &created.id).await.unwrap(), created);

    fixture.execute("UPDATE bots SET deleted = TRUE").await;
    let deleted = Bot { delete_time: created.create_time, ..created };
    assert_eq!(fixture.bot(here, &deleted.id).await.unwrap(), deleted);
    let request = UndeleteBotRequest { bot_id: deleted.id };
    let undeleted = fixture.bots(here).undelete_bot(request).await.unwrap().into_inner().bot.unwrap();
    assert_eq!((undeleted.delete_time, undeleted.flow), (None, deleted.flow));
}
