//! The local copy of bots: the consumer `conversation.bots` and `ApplyBot`.

use frontdesk_proto::{
    botsession::v1::{GetBotRequest, GetBotResponse},
    conversation::internal::v1::ApplyBotRequest,
    event::v1::{BotDeleted, BotUndeleted, Event},
};
use frontdesk_testkit::{Mode, event, on_both_modes};
use tonic::Request;

use crate::fixture::{Fixture, ROBIN, TIMEOUT, robin};

on_both_modes!(
    b1_chats_start_unassigned_once_the_channels_bot_was_deleted_and_an_older_answer_changes_nothing,
    b1_chats_start_with_the_bot_again_once_it_was_undeleted,
    b1_an_applied_deletion_is_in_force_without_an_event_and_an_older_state_changes_nothing,
);

fn answer(fixture: &Fixture, deleted: bool, version: i32) {
    fixture.service.fake.on(move |_: Request<GetBotRequest>| Ok(GetBotResponse { bot: Some(robin(deleted, version)) }));
}

async fn deliver<M: prost::Message + prost::Name>(fixture: &Fixture, message: &M) {
    let event = event("bot-session", fixture.account, message);
    fixture.service.deliver_again(&Event { aggregate_id: ROBIN.to_string(), ..event }).await;
    fixture.service.settled().await;
}

async fn b1_chats_start_with_the_bot_again_once_it_was_undeleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.bot_channel().await;
    let bot_id = ROBIN.to_string();
    answer(&fixture, true, 2);
    deliver(&fixture, &BotDeleted { bot_id: bot_id.clone() }).await;
    let without = fixture.chat_on(&channel, "a").await;
    assert!(fixture.conversation(&without.id).await.bot_session.is_none());
    answer(&fixture, false, 3);
    deliver(&fixture, &BotUndeleted { bot_id }).await;
    let with = fixture.chat_on(&channel, "b").await;
    assert!(fixture.conversation(&with.id).await.bot_session.is_some());
}

async fn b1_chats_start_unassigned_once_the_channels_bot_was_deleted_and_an_older_answer_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.bot_channel().await;
    answer(&fixture, true, 2);
    let bot_id = ROBIN.to_string();
    let deleted = BotDeleted { bot_id };
    deliver(&fixture, &deleted).await;
    for (visitor, is_deleted, version) in [("a", true, 2), ("b", false, 1)] {
        answer(&fixture, is_deleted, version);
        deliver(&fixture, &deleted).await;
        let chat = fixture.chat_on(&channel, visitor).await;
        assert!(fixture.conversation(&chat.id).await.bot_session.is_none());
    }
}

async fn b1_an_applied_deletion_is_in_force_without_an_event_and_an_older_state_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.bot_channel().await;
    // Last, a version that is given again, as after a restore of the bots to an older point in time.
    let states =
        [(true, 2, 2, false), (false, 1, 2, false), (false, 3, 3, true), (true, 2, 3, true), (true, 3, 3, false)];
    for (number, (deleted, version, in_force, greets)) in states.into_iter().enumerate() {
        let request = ApplyBotRequest {
            bot_id: ROBIN.to_string(),
            name: "Robin".into(),
            inactivity_timeout: Some(TIMEOUT.try_into().unwrap()),
            deleted,
            version,
        };
        let request = fixture.on_behalf_of("service:bot-session", request);
        let answer = fixture.arbiter("bot-session").apply_bot(request).await.unwrap().into_inner();
        assert_eq!(answer.version, in_force, "state {number}");
        let chat = fixture.chat_on(&channel, &format!("v{number}")).await;
        assert_eq!(fixture.conversation(&chat.id).await.bot_session.is_some(), greets, "state {number}");
    }
}
