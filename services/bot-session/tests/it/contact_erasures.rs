//! The consumer `bot-session.contact_erasures`: rule X2.

use frontdesk_proto::event::v1::{ContactErasureConfirmed, ContactErasureRequested};
use frontdesk_testkit::{Mode, new_id, on_both_modes};

use crate::fixture::{Fixture, event, new_account, twenty};

on_both_modes!(x2_the_erasure_of_a_contact_is_confirmed_once);

async fn x2_the_erasure_of_a_contact_is_confirmed_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let here = new_account();
    let requested = ContactErasureRequested { contact_id: new_id().to_string(), contact_job_id: new_id().to_string() };
    let unreadable = ContactErasureRequested { contact_job_id: "1".into(), ..requested.clone() };
    fixture.publish_all(&[event(here, &unreadable)]).await;
    fixture.publish_all(&twenty(here, &requested)).await;
    fixture.settled().await;
    let ContactErasureRequested { contact_id, contact_job_id } = requested;
    let expected = ContactErasureConfirmed { contact_id, contact_job_id };
    assert_eq!(fixture.events::<ContactErasureConfirmed>().await, [expected]);
    assert_eq!(fixture.dead_letters().await, ["contact_job_id is not a UUID"]);
}
