//! Opening hours of channels: the local copy, the consumer `conversation.opening_hours`, and `GetWidget`. Rules A4, C12.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_proto::{
    assignment::v1::{GetOpeningHoursRequest, GetOpeningHoursResponse},
    conversation::v1::{Channel, CreateChannelRequest, GetWidgetRequest, UpdateChannelRequest, Widget},
    event::v1::{ChannelUpdated, Event, OpeningHoursChanged},
};
use frontdesk_testkit::{Mode, event, new_id, on_both_modes, reason};
use tonic::{Code, Request, Status};

use crate::fixture::{Fixture, OFFICE, new_channel, office};

on_both_modes!(
    a4_a_widget_says_whether_the_channel_is_open_and_when_that_changes,
    a4_a_channel_follows_its_opening_hours_and_an_older_answer_changes_nothing,
    a4_a_channel_gets_opening_hours_that_exist_and_loses_them,
    c12_a_repeat_asks_about_no_opening_hours,
    a4_an_event_about_opening_hours_that_do_not_exist_is_a_dead_letter_and_the_next_is_handled,
);

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn answer(fixture: &Fixture, start_minute: i32, deleted: bool, version: i32) {
    fixture.service.fake.on(move |_: Request<GetOpeningHoursRequest>| {
        Ok(GetOpeningHoursResponse { opening_hours: Some(office(start_minute, deleted, version)) })
    });
}

async fn deliver(fixture: &Fixture, id: &str) {
    let changed = OpeningHoursChanged { opening_hours_id: id.into() };
    let event = event("assignment", fixture.account, &changed);
    fixture.service.deliver_again(&Event { aggregate_id: id.into(), ..event }).await;
    fixture.service.settled().await;
}

async fn channel_with_hours(fixture: &Fixture) -> Channel {
    fixture.create_channel(CreateChannelRequest { opening_hours_id: OFFICE.to_string(), ..new_channel() }).await
}

async fn widget(fixture: &Fixture, channel: &Channel) -> Widget {
    let request = GetWidgetRequest { channel_id: channel.id.clone() };
    fixture.chats("v").get_widget(request).await.unwrap().into_inner().widget.unwrap()
}

/// Moves the clock to this second of the day after the next midnight; returns that midnight.
async fn advance_to(fixture: &Fixture, second: u64) -> Time {
    let now = fixture.service.db.now().await.unwrap();
    let of_day = Duration::from_micros(u64::try_from(now.0).unwrap() % (DAY * 1_000_000));
    let midnight = now.plus(Duration::from_secs(DAY) - of_day);
    fixture.service.clock.advance(Duration::from_secs(DAY + second) - of_day).unwrap();
    midnight
}

async fn a4_a_widget_says_whether_the_channel_is_open_and_when_that_changes(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (always, office) = (fixture.channel().await, channel_with_hours(&fixture).await);
    let midnight = advance_to(&fixture, 8 * HOUR).await;
    let at = |hours: u64| Some(midnight.plus(Duration::from_secs(hours * HOUR)).to_proto());
    let shown = widget(&fixture, &office).await;
    assert_eq!((shown.open, shown.next_change_time), (false, at(9)));
    assert!(shown.can_start_chat, "it only tells");
    fixture.chat_on(&office, "v").await;
    fixture.service.clock.advance(Duration::from_secs(2 * HOUR)).unwrap();
    let shown = widget(&fixture, &office).await;
    assert_eq!((shown.open, shown.next_change_time), (true, at(18)));
    let shown = widget(&fixture, &always).await;
    assert_eq!((shown.open, shown.next_change_time), (true, None));
}

async fn a4_a_channel_follows_its_opening_hours_and_an_older_answer_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = channel_with_hours(&fixture).await;
    let midnight = advance_to(&fixture, 8 * HOUR).await;
    let id = OFFICE.to_string();
    assert!(!widget(&fixture, &channel).await.open);
    // From 07:00 on.
    answer(&fixture, 420, false, 3);
    for _ in 0..2 {
        deliver(&fixture, &id).await;
        assert!(widget(&fixture, &channel).await.open);
    }
    answer(&fixture, 540, false, 2);
    deliver(&fixture, &id).await;
    assert!(widget(&fixture, &channel).await.open, "an older answer");
    answer(&fixture, 600, false, 4);
    deliver(&fixture, &id).await;
    let shown = widget(&fixture, &channel).await;
    let ten = midnight.plus(Duration::from_secs(10 * HOUR)).to_proto();
    assert_eq!((shown.open, shown.next_change_time), (false, Some(ten)));
    // While they are deleted it is always open, and then follows them again.
    answer(&fixture, 600, true, 5);
    deliver(&fixture, &id).await;
    let shown = widget(&fixture, &channel).await;
    assert_eq!((shown.open, shown.next_change_time), (true, None));
    answer(&fixture, 600, false, 6);
    deliver(&fixture, &id).await;
    assert!(!widget(&fixture, &channel).await.open);
}

async fn a4_a_channel_gets_opening_hours_that_exist_and_loses_them(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut channels = fixture.channels();
    let with = |id: String| UpdateChannelRequest {
        channel_id: channel.id.clone(),
        opening_hours_id: Some(id),
        ..UpdateChannelRequest::default()
    };
    let unknown = "OPENING_HOURS_UNKNOWN";
    let refused = channels.update_channel(with(new_id().to_string())).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, unknown));
    let request = CreateChannelRequest { opening_hours_id: new_id().to_string(), ..new_channel() };
    assert_eq!(reason(&channels.create_channel(request).await.unwrap_err()), unknown);
    answer(&fixture, 540, true, 1);
    let deleted = channels.update_channel(with(OFFICE.to_string())).await.unwrap_err();
    assert_eq!(reason(&deleted), unknown);
    answer(&fixture, 540, false, 2);
    let updated = channels.update_channel(with(OFFICE.to_string())).await.unwrap().into_inner().channel.unwrap();
    assert_eq!((updated.opening_hours_id.as_str(), updated.version), (OFFICE.to_string().as_str(), 2));
    assert!(widget(&fixture, &channel).await.next_change_time.is_some(), "it has the copy at once");
    let invalid = channels.update_channel(with("office".into())).await.unwrap_err();
    assert_eq!(invalid.code(), Code::InvalidArgument);
    let without = channels.update_channel(with(String::new())).await.unwrap().into_inner().channel.unwrap();
    assert_eq!((without.opening_hours_id.as_str(), without.version), ("", 3));
    assert_eq!(widget(&fixture, &channel).await.next_change_time, None);
    assert_eq!(fixture.service.appended::<ChannelUpdated>().await.len(), 2);
    fixture
        .service
        .fake
        .on(|_: Request<GetOpeningHoursRequest>| Err::<GetOpeningHoursResponse, _>(Status::unavailable("not now")));
    assert_eq!(channels.update_channel(with(OFFICE.to_string())).await.unwrap_err().code(), Code::Unavailable);
}

async fn c12_a_repeat_asks_about_no_opening_hours(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let request = CreateChannelRequest { opening_hours_id: OFFICE.to_string(), ..new_channel() };
    let created = fixture.create_channel(request.clone()).await;
    let change = UpdateChannelRequest {
        channel_id: created.id.clone(),
        opening_hours_id: Some(OFFICE.to_string()),
        etag: "0".into(),
        ..UpdateChannelRequest::default()
    };
    answer(&fixture, 540, true, 2);
    let asked = fixture.service.fake.calls::<GetOpeningHoursRequest>();
    assert_eq!(fixture.create_channel(request).await, created);
    let updated = fixture.channels().update_channel(change).await.unwrap().into_inner().channel.unwrap();
    assert_eq!(updated, created, "it has them already, whatever the etag");
    assert_eq!(fixture.service.fake.calls::<GetOpeningHoursRequest>(), asked);
}

async fn a4_an_event_about_opening_hours_that_do_not_exist_is_a_dead_letter_and_the_next_is_handled(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = channel_with_hours(&fixture).await;
    advance_to(&fixture, 8 * HOUR).await;
    deliver(&fixture, &new_id().to_string()).await;
    deliver(&fixture, "no id").await;
    answer(&fixture, 420, false, 2);
    deliver(&fixture, &OFFICE.to_string()).await;
    assert!(widget(&fixture, &channel).await.open);
}
