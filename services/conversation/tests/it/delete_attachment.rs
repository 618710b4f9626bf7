//! `DeleteAttachment` and `DeleteChatAttachment`: rules C5, C12, S2, S4.

use frontdesk_proto::conversation::v1::{
    AttachmentStatus, CreateAttachmentLinkRequest, CreateChatAttachmentLinkRequest, DeleteAttachmentRequest,
    DeleteChatAttachmentRequest, GetAttachmentRequest, ListAttachmentsRequest,
    attachment_service_client::AttachmentServiceClient, visitor_service_client::VisitorServiceClient,
};
use frontdesk_testkit::{Mode, metadata, on_both_modes, reason, request_id, wait_until};
use http::StatusCode;
use tonic::{Code, Status};

use crate::{
    attachments::{PNG, announce, file, get, post, put, ready, ready_of_team, seen, send, upload},
    fixture::{ADA, BOB, Fixture, twenty},
};

on_both_modes!(
    c5_a_deleted_file_of_the_team_is_listed_no_more_and_stays_in_its_messages,
    c5_i25_what_no_message_has_is_removed_with_its_bytes,
    c5_c12_a_deletion_is_repeated_with_its_request_id_and_of_twenty_at_once_one_deletes,
    c5_what_was_uploaded_for_a_conversation_and_sent_stays_in_its_message,
    s2_s3_nothing_of_another_is_deleted,
    s4_a_deletion_makes_room_for_an_upload,
);

fn of_team(id: &str) -> DeleteAttachmentRequest {
    DeleteAttachmentRequest { attachment_id: id.into(), request_id: request_id() }
}

fn of_visitor(chat: &str, id: &str) -> DeleteChatAttachmentRequest {
    DeleteChatAttachmentRequest { chat_id: chat.into(), attachment_id: id.into(), request_id: request_id() }
}

async fn delete(fixture: &Fixture, id: &str) -> Result<(), Status> {
    fixture.attachments(ADA).delete_attachment(of_team(id)).await.map(drop)
}

async fn delete_in_chat(fixture: &Fixture, visitor: &str, chat: &str, id: &str) -> Result<(), Status> {
    fixture.chats(visitor).delete_chat_attachment(of_visitor(chat, id)).await.map(drop)
}

fn has_object(fixture: &Fixture, id: &str) -> bool {
    let folder = fixture.service.folder.path().join("attachments").join(fixture.account.to_string()).join(id);
    std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some())
}

async fn link(fixture: &Fixture, id: &str) -> String {
    let request = CreateAttachmentLinkRequest { attachment_id: id.into() };
    fixture.attachments(ADA).create_attachment_link(request).await.unwrap().into_inner().url
}

async fn c5_a_deleted_file_of_the_team_is_listed_no_more_and_stays_in_its_messages(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let [file, kept] =
        [ready_of_team(&fixture, "", "a.png", PNG).await, ready_of_team(&fixture, "", "b.png", PNG).await];
    let posted = fixture.threads(ADA).post_message(post(&chat, "", [&file])).await.unwrap().into_inner();
    let visitor_sequence = posted.entry.unwrap().visitor_sequence;
    delete(&fixture, &file).await.unwrap();
    delete(&fixture, &file).await.unwrap();

    let request = ListAttachmentsRequest::default();
    let listed = fixture.attachments(ADA).list_attachments(request).await.unwrap().into_inner().attachments;
    assert_eq!(listed.iter().map(|listed| &listed.id).collect::<Vec<_>>(), [&kept]);
    let request = GetAttachmentRequest { attachment_id: file.clone() };
    let found = fixture.attachments(ADA).get_attachment(request).await.unwrap().into_inner().attachment.unwrap();
    assert!(found.status() == AttachmentStatus::Ready && found.delete_time.is_some(), "{found:?}");
    let again = fixture.threads(BOB).post_message(post(&chat, "", [&file])).await.unwrap_err();
    assert_eq!(reason(&again), "ATTACHMENT_UNKNOWN");

    let request = CreateChatAttachmentLinkRequest { chat_id: chat, visitor_sequence, attachment_id: file.clone() };
    let for_visitor = fixture.chats("v").create_chat_attachment_link(request).await.unwrap().into_inner().url;
    for url in [link(&fixture, &file).await, for_visitor] {
        let (status, _, bytes) = get(&fixture, &url).await;
        assert_eq!((status, &bytes[..]), (StatusCode::OK, PNG));
    }
}

async fn c5_i25_what_no_message_has_is_removed_with_its_bytes(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let of_v = ready(&fixture, "v", &chat, "a.png", PNG).await;
    let for_chat = ready_of_team(&fixture, &chat, "b.png", PNG).await;
    let file_id = ready_of_team(&fixture, "", "c.png", PNG).await;
    let (awaited, target) = announce(&fixture, "v", upload(&chat, "d.png", PNG)).await;
    let url = link(&fixture, &file_id).await;
    for id in [&for_chat, &file_id] {
        delete(&fixture, id).await.unwrap();
        let request = GetAttachmentRequest { attachment_id: id.clone() };
        let gone = fixture.attachments(ADA).get_attachment(request).await.unwrap_err();
        assert_eq!(gone.code(), Code::NotFound);
    }
    for id in [&of_v, &awaited.id] {
        delete_in_chat(&fixture, "v", &chat, id).await.unwrap();
        assert_eq!(seen(&fixture, "v", &chat, id).await.unwrap_err().code(), Code::NotFound);
        let sent = fixture.chats("v").send_message(send(&chat, "", [id])).await.unwrap_err();
        assert_eq!(reason(&sent), "ATTACHMENT_UNKNOWN");
    }
    assert_eq!(get(&fixture, &url).await.0, StatusCode::NOT_FOUND);
    assert_eq!(put(&fixture, &target.url, PNG).await.0, StatusCode::NOT_FOUND);
    for id in [&of_v, &for_chat, &file_id, &awaited.id] {
        wait_until("the removal of its object", || async { !has_object(&fixture, id) }).await;
    }
}

async fn c5_c12_a_deletion_is_repeated_with_its_request_id_and_of_twenty_at_once_one_deletes(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let file_id = ready_of_team(&fixture, "", "a.png", PNG).await;
    let of_v = ready(&fixture, "v", &chat, "b.png", PNG).await;
    let (won, lost): (Vec<_>, Vec<_>) =
        twenty(|_| delete(&fixture, &file_id)).await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 19));
    for status in lost.into_iter().map(Result::unwrap_err) {
        assert_eq!(status.code(), Code::NotFound);
    }

    let request = of_visitor(&chat, &of_v);
    let repeats = twenty(|_| {
        let (mut visitor, request) = (fixture.chats("v"), request.clone());
        async move { visitor.delete_chat_attachment(request).await }
    });
    assert!(repeats.await.iter().all(Result::is_ok));
    wait_until("the removal of its object", || async { !has_object(&fixture, &of_v) }).await;
    fixture.chats("v").delete_chat_attachment(request.clone()).await.unwrap();
    let other = DeleteChatAttachmentRequest { attachment_id: file_id, ..request };
    let reused = fixture.chats("v").delete_chat_attachment(other).await.unwrap_err();
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
}

async fn c5_what_was_uploaded_for_a_conversation_and_sent_stays_in_its_message(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let of_v = ready(&fixture, "v", &chat, "a.png", PNG).await;
    let for_chat = ready_of_team(&fixture, &chat, "b.png", PNG).await;
    fixture.chats("v").send_message(send(&chat, "", [&of_v])).await.unwrap();
    fixture.threads(ADA).post_message(post(&chat, "", [&for_chat])).await.unwrap();
    for (refused, id) in [
        (delete_in_chat(&fixture, "v", &chat, &of_v).await, &of_v),
        (delete(&fixture, &of_v).await, &of_v),
        (delete(&fixture, &for_chat).await, &for_chat),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "ATTACHMENT_ALREADY_SENT"));
        assert_eq!((&metadata(&refused, "attachment_id"), has_object(&fixture, id)), (id, true));
    }
}

async fn s2_s3_nothing_of_another_is_deleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (chat, of_w) = (fixture.chat("v").await.id, fixture.chat("w").await.id);
    let of_v = ready(&fixture, "v", &chat, "a.png", PNG).await;
    let file_id = ready_of_team(&fixture, "", "b.png", PNG).await;
    let other = fixture.in_another_account();
    let mut of_other = AttachmentServiceClient::new(other.as_agent());
    let mut visitor_of_other = VisitorServiceClient::new(other.as_visitor("v"));
    for refused in [
        delete(&fixture, &of_v).await,
        delete_in_chat(&fixture, "w", &chat, &of_v).await,
        delete_in_chat(&fixture, "w", &of_w, &of_v).await,
        delete_in_chat(&fixture, "v", &chat, &file_id).await,
        of_other.delete_attachment(of_team(&file_id)).await.map(drop),
        visitor_of_other.delete_chat_attachment(of_visitor(&chat, &of_v)).await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
    fixture.chats("v").send_message(send(&chat, "", [&of_v])).await.unwrap();
    fixture.threads(ADA).post_message(post(&chat, "", [&file_id])).await.unwrap();
}

async fn s4_a_deletion_makes_room_for_an_upload(mode: Mode) {
    let max = u64::try_from(2 * PNG.len()).unwrap();
    let fixture = Fixture::start_with(mode, |settings| settings.attachments.max_bytes_per_account = max).await;
    let chat = fixture.chat("v").await.id;
    let size = PNG.len().try_into().unwrap();
    let create = async || {
        let created = fixture.attachments(ADA).create_attachment(file("a.png", size)).await;
        created.map(|created| created.into_inner().attachment.unwrap().id)
    };
    let of_v = ready(&fixture, "v", &chat, "a.png", PNG).await;
    let file_id = create().await.unwrap();
    assert_eq!(reason(&create().await.unwrap_err()), "ATTACHMENT_STORAGE_FULL");
    delete(&fixture, &file_id).await.unwrap();
    let file_id = ready_of_team(&fixture, "", "b.png", PNG).await;
    // What messages have is stored still.
    fixture.threads(ADA).post_message(post(&chat, "", [&file_id])).await.unwrap();
    delete(&fixture, &file_id).await.unwrap();
    assert_eq!(reason(&create().await.unwrap_err()), "ATTACHMENT_STORAGE_FULL");
    // Of deletions at once one makes room.
    let deleted = twenty(|_| delete_in_chat(&fixture, "v", &chat, &of_v)).await;
    assert_eq!(deleted.iter().filter(|deleted| deleted.is_ok()).count(), 1);
    create().await.unwrap();
    assert_eq!(reason(&create().await.unwrap_err()), "ATTACHMENT_STORAGE_FULL");
}
