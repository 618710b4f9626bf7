use frontdesk_db::AccountId;
use frontdesk_proto::botsession::v1::{Bot, CreateBotRequest, DeleteBotRequest, ListBotsRequest};
use frontdesk_testkit::{Mode, on_both_modes};
use tonic::Code;

use crate::{
    fixture::{Fixture, new_account, new_bot},
    flows::flow,
};

on_both_modes!(
    s2_bots_are_listed_by_name_in_pages_without_flows_and_only_to_their_account,
    c9_a_page_token_of_the_list_with_deleted_bots_is_refused_without_them,
);

async fn list(fixture: &Fixture, account: AccountId, show_deleted: bool) -> Vec<Bot> {
    let (mut bots, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListBotsRequest { show_deleted, page_size: 2, page_token };
        let page = fixture.bots(account).list_bots(request).await.unwrap().into_inner();
        assert!(page.bots.len() <= 2);
        bots.extend(page.bots);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return bots;
        }
    }
}

/// Creates bots with these names, and deletes those named `deleted`.
async fn create_bots(fixture: &Fixture, account: AccountId, names: &[&str]) {
    for name in names {
        let request = CreateBotRequest { name: (*name).into(), ..new_bot(flow(), &frontdesk_testkit::request_id()) };
        let bot = fixture.bots(account).create_bot(request).await.unwrap().into_inner().bot.unwrap();
        if *name == "deleted" {
            fixture.bots(account).delete_bot(DeleteBotRequest { bot_id: bot.id }).await.unwrap();
        }
    }
}

async fn s2_bots_are_listed_by_name_in_pages_without_flows_and_only_to_their_account(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, there) = (new_account(), new_account());
    create_bots(&fixture, here, &["deleted", "b", "a", "b", "e"]).await;
    for (show_deleted, expected) in [(false, vec!["a", "b", "b", "e"]), (true, vec!["a", "b", "b", "deleted", "e"])] {
        let listed = list(&fixture, here, show_deleted).await;
        assert_eq!(listed.iter().map(|bot| bot.name.as_str()).collect::<Vec<_>>(), expected);
        for bot in listed {
            let whole = fixture.bot(here, &bot.id).await.unwrap();
            assert_eq!(bot, Bot { flow: None, ..whole });
        }
    }
    assert!(list(&fixture, there, true).await.is_empty());
}

async fn c9_a_page_token_of_the_list_with_deleted_bots_is_refused_without_them(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    create_bots(&fixture, here, &["a", "deleted", "e"]).await;
    let with = ListBotsRequest { show_deleted: true, page_size: 1, page_token: String::new() };
    let page_token = fixture.bots(here).list_bots(with.clone()).await.unwrap().into_inner().next_page_token;
    fixture.bots(here).list_bots(ListBotsRequest { page_token: page_token.clone(), ..with }).await.unwrap();
    let without = ListBotsRequest { show_deleted: false, page_size: 1, page_token };
    let refused = fixture.bots(here).list_bots(without).await.unwrap_err();
    assert!(refused.code() == Code::InvalidArgument && refused.message().contains("page_token"), "{refused:?}");
}
