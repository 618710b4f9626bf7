use frontdesk_proto::event::v1::{ContactErasureConfirmed, ContactErasureRequested};
use frontdesk_testkit::{Mode, new_id};

use crate::fixture::{Fixture, account};

frontdesk_testkit::on_both_modes! {
    x2_the_erasure_of_a_contact_is_confirmed_once,
}

async fn x2_the_erasure_of_a_contact_is_confirmed_once(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let requested = ContactErasureRequested { contact_id: new_id().to_string(), contact_job_id: new_id().to_string() };
    let unreadable = ContactErasureRequested { contact_job_id: "1".into(), ..requested.clone() };
    service.publish("conversation", here, &unreadable).await;
    let event = service.publish("conversation", here, &requested).await;
    service.settled().await;
    service.deliver_again(&event).await;
    service.settled().await;
    let ContactErasureRequested { contact_id, contact_job_id } = requested;
    let expected = ContactErasureConfirmed { contact_id, contact_job_id };
    assert_eq!(service.appended::<ContactErasureConfirmed>().await, [expected]);
}
