use frontdesk_db::AccountId;
use frontdesk_proto::{
    botsession::v1::{BotSessionStatus, ListBotSessionsRequest},
    conversation::v1::CloseReason,
};
use frontdesk_testkit::{Mode, on_both_modes};

use crate::{
    fixture::{Chat, Fixture, new_account},
    flows::flow,
};

on_both_modes!(
    s2_sessions_are_listed_newest_first_in_pages_and_only_to_their_account,
    b6_sessions_are_filtered_by_bot_conversation_and_statuses,
    b6_sessions_of_several_statuses_are_listed_newest_first_in_pages,
);

async fn list(fixture: &Fixture, account: AccountId, request: ListBotSessionsRequest) -> Vec<String> {
    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListBotSessionsRequest { page_size: 2, page_token, ..request.clone() };
        let page = fixture.sessions(account).list_bot_sessions(request).await.unwrap().into_inner();
        ids.extend(page.bot_sessions.into_iter().map(|session| session.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return ids;
        }
    }
}

async fn s2_sessions_are_listed_newest_first_in_pages_and_only_to_their_account(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, fixture.start_chat(here, &bot, None).await.session.to_string());
    }
    assert_eq!(list(&fixture, here, ListBotSessionsRequest::default()).await, ids);
    assert!(list(&fixture, new_account(), ListBotSessionsRequest::default()).await.is_empty());
}

async fn b6_sessions_are_filtered_by_bot_conversation_and_statuses(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let (robo, eve) = (fixture.create_bot(here, flow()).await, fixture.create_bot(here, flow()).await);
    let first = fixture.start_chat(here, &robo, None).await;
    let second = fixture.start_chat(here, &robo, None).await;
    let of_eve = fixture.start_chat(here, &eve, None).await;
    fixture.publish(here, &first.closed(CloseReason::Agent)).await;
    fixture.settled().await;

    let id = |chat: &Chat| chat.session.to_string();
    let all = ListBotSessionsRequest::default;
    let by_bot = ListBotSessionsRequest { bot_id: robo.id.clone(), ..all() };
    assert_eq!(list(&fixture, here, by_bot.clone()).await, [id(&second), id(&first)]);
    let by_conversation = ListBotSessionsRequest { conversation_id: of_eve.conversation.to_string(), ..all() };
    assert_eq!(list(&fixture, here, by_conversation).await, [id(&of_eve)]);
    let of_statuses = |statuses: &[BotSessionStatus]| ListBotSessionsRequest {
        statuses: statuses.iter().map(|status| (*status).into()).collect(),
        ..by_bot.clone()
    };
    assert_eq!(list(&fixture, here, of_statuses(&[BotSessionStatus::Open])).await, [id(&second)]);
    assert_eq!(list(&fixture, here, of_statuses(&[BotSessionStatus::Closed])).await, [id(&first)]);
    assert!(list(&fixture, here, of_statuses(&[BotSessionStatus::TimedOut])).await.is_empty());
    let open_or_closed = of_statuses(&[BotSessionStatus::Open, BotSessionStatus::Closed, BotSessionStatus::Open]);
    assert_eq!(list(&fixture, here, open_or_closed).await, [id(&second), id(&first)]);
}

async fn b6_sessions_of_several_statuses_are_listed_newest_first_in_pages(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let bot = fixture.create_bot(here, flow()).await;
    let reasons = [CloseReason::Agent, CloseReason::BotCompleted, CloseReason::VisitorInactive];
    let mut ids = Vec::new();
    for reason in reasons.into_iter().cycle().take(9) {
        let chat = fixture.start_chat(here, &bot, None).await;
        fixture.publish(here, &chat.closed(reason)).await;
        if reason != CloseReason::VisitorInactive {
            ids.insert(0, chat.session.to_string());
        }
    }
    fixture.settled().await;
    let statuses = vec![BotSessionStatus::Closed.into(), BotSessionStatus::Completed.into()];
    let ended = ListBotSessionsRequest { statuses, ..ListBotSessionsRequest::default() };
    assert_eq!(list(&fixture, here, ended).await, ids);
}
