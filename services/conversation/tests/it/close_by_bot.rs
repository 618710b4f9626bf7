//! `CloseByBot`: rules C2, C12, A3, E5.

use frontdesk_proto::{
    conversation::{
        internal::v1::{CloseByBotRequest, CloseByBotResponse},
        v1::{CloseReason, ConversationStatus},
    },
    event::v1::{ConversationClosed, MessagePosted},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Status};

use crate::{
    fixture::{BotChat, Fixture, ROBIN, question, twenty},
    record_answer::{answer, record},
};

on_both_modes!(
    c2_the_bot_in_charge_closes_and_another_session_does_not,
    c12_twenty_repeats_at_once_close_once,
    a3_c12_after_its_close_a_bot_gets_the_first_answers_again_and_does_nothing_else,
    a3_after_a_takeover_the_bot_does_not_close,
    e5_closing_a_closed_one_changes_nothing,
    s2_another_accounts_conversation_does_not_exist,
);

fn request(chat: &BotChat) -> CloseByBotRequest {
    CloseByBotRequest {
        conversation_id: chat.id.clone(),
        bot_session_id: chat.session.clone(),
        request_id: request_id(),
    }
}

async fn close(fixture: &Fixture, request: CloseByBotRequest) -> Result<CloseByBotResponse, Status> {
    Ok(fixture.arbiter("bot-session").close_by_bot(fixture.by_robin(request)).await?.into_inner())
}

async fn c2_the_bot_in_charge_closes_and_another_session_does_not(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let other = CloseByBotRequest { bot_session_id: new_id().to_string(), ..request(&chat) };
    let refused = close(&fixture, other).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "BOT_SESSION_NOT_IN_CHARGE"));
    let closed = close(&fixture, request(&chat)).await.unwrap().conversation.unwrap();
    assert_eq!((closed.status(), closed.close_reason()), (ConversationStatus::Closed, CloseReason::BotCompleted));
    let event = fixture.service.appended::<ConversationClosed>().await.pop().unwrap();
    assert_eq!((event.bot_session_id, event.had_bot_session), (chat.session, true));
}

async fn c12_twenty_repeats_at_once_close_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let request = request(&chat);
    let answers = twenty(|_| close(&fixture, request.clone())).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(fixture.service.appended::<ConversationClosed>().await.len(), 1);
}

/// A bot whose process died after the close repeats its whole turn.
async fn a3_c12_after_its_close_a_bot_gets_the_first_answers_again_and_does_nothing_else(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let (recorded, said, closed) = (answer(&chat, "name", "Vera"), question(&chat), request(&chat));
    record(&fixture, recorded.clone()).await.unwrap();
    let entry = fixture.post_as_robin(said.clone()).await.unwrap();
    close(&fixture, closed.clone()).await.unwrap();

    record(&fixture, recorded).await.unwrap();
    assert_eq!(fixture.post_as_robin(said).await.unwrap(), entry);
    close(&fixture, closed).await.unwrap();
    for refused in [
        record(&fixture, answer(&chat, "name", "Eve")).await.unwrap_err(),
        fixture.post_as_robin(question(&chat)).await.unwrap_err(),
    ] {
        assert!(
            ["BOT_SESSION_NOT_IN_CHARGE", "CONVERSATION_CLOSED"].contains(&reason(&refused).as_str()),
            "{refused:?}"
        );
    }
    assert_eq!(fixture.service.appended::<MessagePosted>().await.len(), 1);
    assert_eq!(fixture.service.appended::<ConversationClosed>().await.len(), 1);
}

async fn a3_after_a_takeover_the_bot_does_not_close(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    fixture.assign_ada(&chat.id, 1).await;
    let refused = close(&fixture, request(&chat)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "BOT_SESSION_NOT_IN_CHARGE"));
}

async fn e5_closing_a_closed_one_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    crate::close_conversation::close(&fixture, &chat.id).await;
    let closed = close(&fixture, request(&chat)).await.unwrap().conversation.unwrap();
    assert_eq!((closed.close_reason(), closed.close_number), (CloseReason::Agent, 1));
    assert_eq!(fixture.service.appended::<ConversationClosed>().await.len(), 1);
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let other = fixture.in_another_account().account;
    let request = fixture.on_behalf_of_in(other, &format!("bot:{ROBIN}"), request(&chat));
    let refused = fixture.arbiter("bot-session").close_by_bot(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
