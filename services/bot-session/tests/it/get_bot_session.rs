use frontdesk_testkit::{Mode, new_id, on_both_modes};
use tonic::Code;

use crate::{
    fixture::{Chat, Fixture, new_account},
    flows::flow,
};

on_both_modes!(s2_a_session_of_another_account_answers_like_one_that_does_not_exist);

async fn s2_a_session_of_another_account_answers_like_one_that_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    assert_eq!(fixture.session(&chat).await.unwrap().bot_id, bot.id);

    let there = new_account();
    let foreign = fixture.session(&Chat { account: there, ..chat.clone() }).await.unwrap_err();
    let absent = fixture.session(&Chat { account: there, session: new_id(), ..chat }).await.unwrap_err();
    assert_eq!(foreign.code(), Code::NotFound);
    assert_eq!((foreign.code(), foreign.message()), (absent.code(), absent.message()));
}
