//! How many bytes visitors and accounts store: rules C5, S4.

use std::time::Duration;

use frontdesk_proto::conversation::v1::{Attachment, CreateChatAttachmentRequest};
use frontdesk_testkit::{Mode, metadata, on_both_modes, reason, wait_until};
use http::StatusCode;
use tonic::{Code, Status};

use crate::{
    attachments::{PNG, announce, file, put, ready, send, upload},
    fixture::{ADA, Fixture, twenty},
};

on_both_modes!(
    s4_a_chat_and_an_account_store_no_more_than_their_limits,
    s4_of_twenty_files_announced_at_once_no_more_are_taken_than_fit,
    s4_what_is_refused_or_removed_uses_no_storage_and_what_is_sent_does,
    s4_a_limit_of_zero_is_none,
);

/// A fixture with these limits of a chat and of an account.
async fn limited(mode: Mode, per_chat: u64, per_account: u64) -> Fixture {
    Fixture::start_with(mode, |settings| {
        settings.attachments.max_bytes_per_chat = per_chat;
        settings.attachments.max_bytes_per_account = per_account;
    })
    .await
}

async fn by_visitor(fixture: &Fixture, visitor: &str, chat: &str, size_bytes: i32) -> Result<Attachment, Status> {
    let request = CreateChatAttachmentRequest { size_bytes, ..upload(chat, "a.png", PNG) };
    Ok(fixture.chats(visitor).create_chat_attachment(request).await?.into_inner().attachment.unwrap())
}

async fn by_team(fixture: &Fixture, size_bytes: i32) -> Result<Attachment, Status> {
    let created = fixture.attachments(ADA).create_attachment(file("a.png", size_bytes)).await?;
    Ok(created.into_inner().attachment.unwrap())
}

/// Requires that the file was refused because of this limit.
fn full(result: Result<Attachment, Status>, what: &str, used: u64, max: u64) {
    let status = result.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "ATTACHMENT_STORAGE_FULL"));
    let found = ["what", "used_bytes", "max_bytes"].map(|key| metadata(&status, key));
    assert_eq!(found, [what.to_owned(), used.to_string(), max.to_string()]);
}

async fn s4_a_chat_and_an_account_store_no_more_than_their_limits(mode: Mode) {
    let fixture = limited(mode, 100, 250).await;
    let (one, other) = (fixture.chat("v").await.id, fixture.chat("w").await.id);
    by_visitor(&fixture, "v", &one, 60).await.unwrap();
    full(by_visitor(&fixture, "v", &one, 41).await, "CHAT", 60, 100);
    by_visitor(&fixture, "v", &one, 40).await.unwrap();
    full(by_visitor(&fixture, "v", &one, 1).await, "CHAT", 100, 100);
    by_visitor(&fixture, "w", &other, 100).await.unwrap();
    let another = fixture.chat("x").await.id;
    full(by_visitor(&fixture, "x", &another, 26).await, "ACCOUNT", 200, 225);
    full(by_team(&fixture, 51).await, "ACCOUNT", 200, 250);
    by_team(&fixture, 50).await.unwrap();
    full(by_visitor(&fixture, "x", &another, 1).await, "ACCOUNT", 250, 225);
}

async fn s4_of_twenty_files_announced_at_once_no_more_are_taken_than_fit(mode: Mode) {
    let fixture = limited(mode, 30, 80).await;
    let chat = fixture.chat("v").await.id;
    let of_visitor = twenty(|_| by_visitor(&fixture, "v", &chat, 10)).await;
    assert_eq!(of_visitor.iter().filter(|created| created.is_ok()).count(), 3);
    let of_team = twenty(|_| by_team(&fixture, 10)).await;
    assert_eq!(of_team.iter().filter(|created| created.is_ok()).count(), 5);
    for refused in of_visitor.into_iter().chain(of_team).filter_map(Result::err) {
        assert_eq!(reason(&refused), "ATTACHMENT_STORAGE_FULL");
    }
}

async fn s4_what_is_refused_or_removed_uses_no_storage_and_what_is_sent_does(mode: Mode) {
    const SCRIPT: &[u8] = b"#!/bin/sh";
    let (size, whole) = (PNG.len() as u64, i32::try_from(PNG.len()).unwrap());
    let fixture = limited(mode, size, 2 * size).await;
    let chat = fixture.chat("v").await.id;
    let (_, target) = announce(&fixture, "v", upload(&chat, "refused.png", SCRIPT)).await;
    assert_eq!(put(&fixture, &target.url, SCRIPT).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    by_visitor(&fixture, "v", &chat, whole).await.unwrap();
    assert!(by_visitor(&fixture, "v", &chat, whole).await.is_err());
    fixture.service.clock.advance(Duration::from_secs(25 * 3600)).unwrap();
    wait_until("its removal", || async { by_visitor(&fixture, "v", &chat, whole).await.is_ok() }).await;
    assert!(by_visitor(&fixture, "v", &chat, whole).await.is_err());

    let fixture = limited(mode, size, 0).await;
    let chat = fixture.chat("v").await.id;
    let id = ready(&fixture, "v", &chat, "sent.png", PNG).await;
    fixture.chats("v").send_message(send(&chat, "", [&id])).await.unwrap();
    full(by_visitor(&fixture, "v", &chat, 1).await, "CHAT", size, size);
}

async fn s4_a_limit_of_zero_is_none(mode: Mode) {
    let fixture = limited(mode, 0, 0).await;
    let chat = fixture.chat("v").await.id;
    let largest = 25 * 1024 * 1024;
    for _ in 0..3 {
        by_visitor(&fixture, "v", &chat, largest).await.unwrap();
        by_team(&fixture, largest).await.unwrap();
    }
}
