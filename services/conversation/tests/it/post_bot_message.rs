//! `PostBotMessage`: rules A3, B6, C12, E3.

use frontdesk_proto::{
    conversation::{
        internal::v1::PostBotMessageRequest,
        v1::{Button, entry::Content},
    },
    event::v1::MessagePosted,
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::Code;

use crate::{
    fixture::{Fixture, ROBIN, question, twenty},
    inserts,
    record_answer::{answer, record},
};

on_both_modes!(
    b6_the_bot_in_charge_asks_with_buttons,
    b4_a_reminder_is_refused_once_the_visitor_was_active,
    b6_two_buttons_with_one_id_are_refused,
    b6_c6_placeholders_are_filled_and_inserts_copied_without_those_that_were_deleted,
    c12_twenty_repeats_at_once_post_once,
    a3_after_a_takeover_the_bots_message_is_refused,
    e3_a_message_after_the_close_is_refused,
    s2_another_accounts_conversation_does_not_exist,
);

async fn b6_the_bot_in_charge_asks_with_buttons(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let request = question(&chat);
    let entry = fixture.post_as_robin(request.clone()).await.unwrap();
    assert_eq!(fixture.post_as_robin(request.clone()).await.unwrap(), entry);
    assert_eq!((entry.author.unwrap().name.as_str(), entry.request_id.as_str()), ("Robin", ""));
    let Some(Content::Message(message)) = entry.content else { panic!("a message") };
    assert_eq!((message.buttons, message.chosen_button), (request.buttons, None));
    let posted = fixture.service.appended::<MessagePosted>().await.pop().unwrap();
    assert_eq!(posted.bot_session_id, chat.session);
}

async fn b6_two_buttons_with_one_id_are_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let button = Button { id: "yes".into(), label: "Yes".into() };
    let request = PostBotMessageRequest { buttons: vec![button.clone(), button], ..question(&chat) };
    let refused = fixture.post_as_robin(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
}

async fn b6_c6_placeholders_are_filled_and_inserts_copied_without_those_that_were_deleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let kept = inserts::create(&fixture, inserts::snippet("Kept", "Dear {{contact.name|you}}")).await;
    let deleted = inserts::create(&fixture, inserts::snippet("Deleted", "x")).await;
    inserts::delete(&fixture, &deleted.id).await;
    record(&fixture, answer(&chat, "name", "Vera V.")).await.unwrap();
    let request = PostBotMessageRequest {
        text: "Hi {{contact.first_name|there}}, {{contact.properties.plan|no plan}}".into(),
        fill_placeholders: true,
        insert_ids: vec![deleted.id, kept.id.clone()],
        ..question(&chat)
    };
    let entry = fixture.post_as_robin(request.clone()).await.unwrap();
    let Some(Content::Message(message)) = entry.content.clone() else { panic!("a message") };
    assert_eq!(message.text, "Hi Vera, no plan");
    let [sent] = &message.inserts[..] else { panic!("{message:?}") };
    assert_eq!(sent.plain_text, "Dear Vera V.");
    // A repeat is the same message, whatever the contact is called meanwhile; without the flag a text is sent as it is.
    record(&fixture, answer(&chat, "name", "Eve")).await.unwrap();
    assert_eq!(fixture.post_as_robin(request.clone()).await.unwrap(), entry);
    let plain = PostBotMessageRequest { fill_placeholders: false, ..question(&chat) };
    let plain = PostBotMessageRequest { text: "{{contact.name}}".into(), ..plain };
    let entry = fixture.post_as_robin(plain).await.unwrap();
    assert!(matches!(entry.content, Some(Content::Message(message)) if message.text == "{{contact.name}}"));
}

async fn b4_a_reminder_is_refused_once_the_visitor_was_active(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let since = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let late = PostBotMessageRequest { silent_since_time: since(1), ..question(&chat) };
    let refused = fixture.post_as_robin(late).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "VISITOR_ACTIVE"));
    let reminder = PostBotMessageRequest { silent_since_time: since(4_102_444_800), ..question(&chat) };
    assert_eq!(fixture.post_as_robin(reminder).await.unwrap().sequence, 1);
}

async fn c12_twenty_repeats_at_once_post_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let request = question(&chat);
    let posted = twenty(|_| {
        let posting = fixture.post_as_robin(request.clone());
        async move { posting.await.unwrap().sequence }
    });
    assert_eq!(posted.await, [1; 20]);
}

async fn a3_after_a_takeover_the_bots_message_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    fixture.assign_ada(&chat.id, 1).await;
    let refused = fixture.post_as_robin(question(&chat)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "BOT_SESSION_NOT_IN_CHARGE"));
    assert!(refused.message().contains("Ada owns it now"), "{}", refused.message());
}

async fn e3_a_message_after_the_close_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    crate::close_conversation::close(&fixture, &chat.id).await;
    let refused = fixture.post_as_robin(question(&chat)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CONVERSATION_CLOSED"));
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let other = fixture.in_another_account().account;
    let request = fixture.on_behalf_of_in(other, &format!("bot:{ROBIN}"), question(&chat));
    let refused = fixture.arbiter("bot-session").post_bot_message(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
