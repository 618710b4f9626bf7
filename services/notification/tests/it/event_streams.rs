//! The stream of the service's events.

use frontdesk_notification::App;
use frontdesk_testkit::{EventStreams, Mode, ServiceUnderTest};

frontdesk_testkit::on_both_modes! {
    i17_each_event_is_streamed_once_in_its_order_and_a_cursor_goes_on_after_it,
    s2_no_event_and_no_cursor_of_events_crosses_accounts,
    i17_a_cursor_is_refused_when_events_after_it_may_be_deleted,
}

const PATH: &str = "/frontdesk.event.v1.NotificationEventService/SubscribeNotificationEvents";

fn streams(service: &ServiceUnderTest) -> EventStreams<'_> {
    EventStreams::new(service, "notification", PATH)
}

async fn i17_each_event_is_streamed_once_in_its_order_and_a_cursor_goes_on_after_it(mode: Mode) {
    let service = ServiceUnderTest::start::<App>(mode).await;
    streams(&service).come_in_their_order().await;
}

async fn s2_no_event_and_no_cursor_of_events_crosses_accounts(mode: Mode) {
    let service = ServiceUnderTest::start::<App>(mode).await;
    streams(&service).stay_in_their_account().await;
}

async fn i17_a_cursor_is_refused_when_events_after_it_may_be_deleted(mode: Mode) {
    let service = ServiceUnderTest::start::<App>(mode).await;
    streams(&service).refuse_old_cursors().await;
}
