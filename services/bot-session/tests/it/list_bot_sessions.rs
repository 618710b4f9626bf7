use frontdesk_db::AccountId;
use frontdesk_proto::{
    botsession::v1::{BotSessionStatus, ListBotSessionsRequest},
    event::v1::CloseReason,
};
use frontdesk_testkit::{Mode, on_both_modes};

use crate::{
    fixture::{Chat, Fixture, new_account},
    flows::flow,
};

on_both_modes!(
    s2_sessions_are_listed_newest_first_in_pages_and_only_to_their_account,
    sessions_are_filtered_by_bot_conversation_and_status,
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

async fn sessions_are_filtered_by_bot_conversation_and_status(mode: Mode) {
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
    let open = ListBotSessionsRequest { status: BotSessionStatus::Open.into(), ..by_bot.clone() };
    assert_eq!(list(&fixture, here, open).await, [id(&second)]);
    let closed = ListBotSessionsRequest { status: BotSessionStatus::Closed.into(), ..by_bot };
    assert_eq!(list(&fixture, here, closed).await, [id(&first)]);
}
