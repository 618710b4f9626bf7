use frontdesk_db::AccountId;
use frontdesk_proto::botsession::v1::{CreateBotRequest, DeleteBotRequest, ListBotsRequest};
use frontdesk_testkit::{Mode, on_both_modes};

use crate::{
    fixture::{Fixture, new_account, new_bot},
    flows::valid_flow,
};

on_both_modes!(s2_bots_are_listed_by_name_in_pages_without_deleted_ones_and_only_to_their_account);

async fn names(fixture: &Fixture, account: AccountId) -> Vec<String> {
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListBotsRequest { page_size: 2, page_token };
        let page = fixture.bots(account).list_bots(request).await.unwrap().into_inner();
        assert!(page.bots.len() <= 2);
        names.extend(page.bots.into_iter().map(|bot| bot.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return names;
        }
    }
}

async fn s2_bots_are_listed_by_name_in_pages_without_deleted_ones_and_only_to_their_account(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, there) = (new_account(), new_account());
    for name in ["d", "b", "a", "b", "c"] {
        let request = CreateBotRequest { name: name.into(), ..new_bot(valid_flow(), &frontdesk_testkit::request_id()) };
        let bot = fixture.bots(here).create_bot(request).await.unwrap().into_inner().bot.unwrap();
        if name == "d" {
            fixture.bots(here).delete_bot(DeleteBotRequest { bot_id: bot.id }).await.unwrap();
        }
    }
    assert_eq!(names(&fixture, here).await, ["a", "b", "b", "c"]);
    assert!(names(&fixture, there).await.is_empty());
}
