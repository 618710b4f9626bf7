//! `CreateAttachmentLinks`: rules C5, T6, S2.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_proto::conversation::internal::v1::{
    AttachmentLink, CreateAttachmentLinksRequest, CreateAttachmentLinksResponse,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes};
use http::StatusCode;
use tonic::{Code, Status};

use crate::{
    attachments::{PNG, announce, get, ready, upload},
    fixture::Fixture,
};

on_both_modes!(
    c5_t6_links_for_a_transcript_open_until_their_end_and_a_repeat_gets_the_same,
    t6_what_is_not_ready_or_not_of_the_account_has_no_link,
);

/// 2100-01-01.
const END: Time = Time(4_102_444_800_000_000);

async fn links(
    fixture: &Fixture,
    account: frontdesk_db::AccountId,
    ids: &[&str],
    end: Time,
) -> Result<Vec<AttachmentLink>, Status> {
    let request = CreateAttachmentLinksRequest {
        attachment_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        expire_time: Some(end.to_proto()),
    };
    let request = fixture.on_behalf_of_in(account, "service:notification", request);
    let response = fixture.arbiter("notification").create_attachment_links(request).await?;
    let CreateAttachmentLinksResponse { links } = response.into_inner();
    Ok(links)
}

async fn c5_t6_links_for_a_transcript_open_until_their_end_and_a_repeat_gets_the_same(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let id = ready(&fixture, "v", &chat, "a.png", PNG).await;
    let first = links(&fixture, fixture.account, &[&id], END).await.unwrap();
    assert_eq!((first.len(), first[0].attachment_id.as_str()), (1, id.as_str()));
    let (status, _, bytes) = get(&fixture, &first[0].url).await;
    assert_eq!((status, &bytes[..]), (StatusCode::OK, PNG));
    fixture.service.clock.advance(Duration::from_secs(3600)).unwrap();
    assert_eq!(links(&fixture, fixture.account, &[&id], END).await.unwrap(), first);
    let ended = links(&fixture, fixture.account, &[&id], Time(1_000_000)).await.unwrap();
    assert_ne!(get(&fixture, &ended[0].url).await.0, StatusCode::OK, "a link ends");
}

async fn t6_what_is_not_ready_or_not_of_the_account_has_no_link(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let stored = ready(&fixture, "v", &chat, "a.png", PNG).await;
    let (pending, _) = announce(&fixture, "v", upload(&chat, "b.png", PNG)).await;
    let unknown = new_id().to_string();
    let found = links(&fixture, fixture.account, &[&unknown, &pending.id, &stored], END).await.unwrap();
    let found: Vec<&str> = found.iter().map(|link| link.attachment_id.as_str()).collect();
    assert_eq!(found, [stored.as_str()]);
    let other = frontdesk_db::AccountId(new_id());
    assert!(links(&fixture, other, &[&stored], END).await.unwrap().is_empty());
    let refused = links(&fixture, fixture.account, &[], END).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}
