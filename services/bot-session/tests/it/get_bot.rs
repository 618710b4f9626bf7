use frontdesk_testkit::{Mode, new_id, on_both_modes};
use tonic::Code;

use crate::{
    fixture::{Fixture, new_account},
    flows::flow,
};

on_both_modes!(s2_a_bot_of_another_account_answers_like_one_that_does_not_exist);

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
