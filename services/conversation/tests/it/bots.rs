//! The consumer `conversation.bots`.

use frontdesk_proto::{
    botsession::v1::{Bot, GetBotRequest, GetBotResponse},
    conversation::v1::Greeter,
    event::v1::{BotDeactivated, Event},
};
use frontdesk_testkit::{Mode, event, on_both_modes};
use tonic::Request;

use crate::fixture::{Fixture, ROBIN};

on_both_modes!(b1_people_answer_once_the_channels_bot_was_deleted_and_an_older_answer_changes_nothing);

fn answer(fixture: &Fixture, deleted: bool, version: &'static str) {
    fixture.service.fake.on(move |request: Request<GetBotRequest>| {
        let id = request.into_inner().bot_id;
        let bot = Bot { id, name: "Robin".into(), deleted, etag: version.into(), ..Bot::default() };
        Ok(GetBotResponse { bot: Some(bot) })
    });
}

async fn b1_people_answer_once_the_channels_bot_was_deleted_and_an_older_answer_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel(Greeter::Bot).await;
    answer(&fixture, true, "2");
    let bot_id = ROBIN.to_string();
    let event = event("bot-session", fixture.account, &BotDeactivated { bot_id: bot_id.clone() });
    let event = Event { aggregate_id: bot_id, ..event };
    fixture.service.deliver_again(&event).await;
    fixture.service.settled().await;
    for (visitor, deleted, version) in [("a", true, "2"), ("b", false, "1")] {
        answer(&fixture, deleted, version);
        fixture.service.deliver_again(&event).await;
        fixture.service.settled().await;
        let chat = fixture.chat_on(&channel, visitor).await;
        assert!(fixture.conversation(&chat.id).await.bot_session.is_none());
    }
}
