//! `GetWidget`: rules S3, E3.

use frontdesk_proto::{
    actor::v1::ActorKind,
    conversation::v1::{DeleteChannelRequest, GetWidgetRequest, Widget},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use tonic::{Code, Status};

use crate::{
    close_conversation::close,
    fixture::{Fixture, robin},
};

on_both_modes!(
    s3_a_widget_shows_the_channel_the_greeter_and_the_visitors_open_chat,
    s2_a_channel_that_is_not_the_visitors_does_not_exist,
);

async fn widget(fixture: &Fixture, visitor: &str, channel: &str) -> Result<Widget, Status> {
    let request = GetWidgetRequest { channel_id: channel.into() };
    Ok(fixture.chats(visitor).get_widget(request).await?.into_inner().widget.unwrap())
}

async fn s3_a_widget_shows_the_channel_the_greeter_and_the_visitors_open_chat(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (people, bots) = (fixture.channel().await, fixture.bot_channel().await);
    let shown = widget(&fixture, "v", &people.id).await.unwrap();
    assert_eq!((shown.name.as_str(), &shown.channel_id), ("Shop", &people.id));
    assert_eq!((shown.greeter, shown.open_chat, shown.can_start_chat), (None, None, true));
    let greeter = widget(&fixture, "v", &bots.id).await.unwrap().greeter.unwrap();
    assert_eq!((greeter.kind(), greeter.name, greeter.id), (ActorKind::Bot, robin(false, 1).name, String::new()));
    let chat = fixture.chat_on(&bots, "v").await;
    assert_eq!(widget(&fixture, "v", &bots.id).await.unwrap().open_chat.unwrap().id, chat.id);
    assert_eq!(widget(&fixture, "w", &bots.id).await.unwrap().open_chat, None, "another visitor's");
    close(&fixture, &chat.id).await;
    assert_eq!(widget(&fixture, "v", &bots.id).await.unwrap().open_chat, None);
}

async fn s2_a_channel_that_is_not_the_visitors_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (one, other) = (fixture.open_channel().await, fixture.open_channel().await);
    let mut anonymous = fixture.chats_with_token(&fixture.anonymous_visitor(&one).await);
    assert!(anonymous.get_widget(GetWidgetRequest { channel_id: one.id.clone() }).await.is_ok());
    let foreign = anonymous.get_widget(GetWidgetRequest { channel_id: other.id.clone() }).await.unwrap_err();
    assert_eq!((foreign.code(), reason(&foreign)), (Code::NotFound, "NOT_FOUND".into()));
    let unknown = widget(&fixture, "v", &new_id().to_string()).await.unwrap_err();
    assert_eq!((unknown.code(), reason(&unknown)), (Code::NotFound, "NOT_FOUND".into()));
    fixture.channels().delete_channel(DeleteChannelRequest { channel_id: one.id.clone() }).await.unwrap();
    let deleted = widget(&fixture, "v", &one.id).await.unwrap_err();
    assert_eq!((deleted.code(), reason(&deleted)), (Code::FailedPrecondition, "CHANNEL_DELETED".into()));
}
