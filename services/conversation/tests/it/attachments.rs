//! `AttachmentService`, the attachments of `VisitorService`, and the transfer of their bytes: rules C5, C12, S2, S3.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use frontdesk_proto::{
    conversation::v1::{
        Attachment, AttachmentRefusal, AttachmentStatus, ChatMessage, CreateAttachmentLinkRequest,
        CreateAttachmentRequest, CreateChatAttachmentLinkRequest, CreateChatAttachmentRequest,
        GetAttachmentLimitsRequest, GetAttachmentRequest, GetChatAttachmentRequest, GetWidgetRequest,
        ListAttachmentsRequest, Message, PostMessageRequest, SendMessageRequest, SentAttachment, UploadTarget,
        attachment_service_client::AttachmentServiceClient, chat_entry, entry,
        visitor_service_client::VisitorServiceClient,
    },
    event::v1::{AttachmentStored, MessagePosted},
};
use frontdesk_testkit::{Mode, metadata, new_id, on_both_modes, reason, request_id, wait_until};
use http::{HeaderMap, Method, Request, StatusCode};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;

use crate::{
    close_conversation::close,
    fixture::{ADA, BOB, Fixture, PUBLIC_URL, message, twenty},
    leave_address::{address, leave},
};

on_both_modes!(
    c5_a_visitor_uploads_a_file_and_sends_it_and_the_team_gets_its_bytes,
    c5_c12_a_repeat_of_a_creation_gets_the_same_attachment_as_it_is_now,
    c5_what_is_not_allowed_is_refused_before_a_byte_is_sent,
    c5_the_bytes_decide_and_not_the_name,
    c5_active_content_that_is_allowed_is_a_file_to_save_and_no_page,
    c5_an_upload_that_is_not_as_it_was_announced_is_refused_with_the_remedy,
    c5_a_repeat_of_an_upload_is_answered_alike_and_other_bytes_are_refused,
    i25_of_twenty_uploads_at_once_one_is_stored_whole,
    c5_c12_an_upload_is_sent_once_also_by_twenty_messages_at_once,
    c5_files_of_the_team_are_sent_any_number_of_times_and_listed_in_pages,
    c8_the_attachments_of_a_contacts_conversations_are_listed_in_pages,
    c5_a_message_has_a_text_inserts_or_attachments,
    e3_nothing_is_attached_to_a_closed_chat,
    s2_s3_an_attachment_of_another_does_not_exist,
    s4_a_visitor_has_a_limited_number_of_attachments_that_are_not_sent,
    s4_uploads_beyond_the_limit_wait_and_then_are_refused_with_a_time,
    i25_what_is_not_sent_is_removed_and_what_is_sent_stays,
    c5_without_a_public_address_nothing_can_be_attached,
);

pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01";

pub fn file(file_name: &str, size_bytes: i32) -> CreateAttachmentRequest {
    CreateAttachmentRequest {
        file_name: file_name.into(),
        size_bytes,
        request_id: request_id(),
        ..CreateAttachmentRequest::default()
    }
}

pub fn upload(chat: &str, file_name: &str, bytes: &[u8]) -> CreateChatAttachmentRequest {
    CreateChatAttachmentRequest {
        chat_id: chat.into(),
        file_name: file_name.into(),
        size_bytes: bytes.len().try_into().unwrap(),
        request_id: request_id(),
        ..CreateChatAttachmentRequest::default()
    }
}

pub async fn announce(
    fixture: &Fixture,
    visitor: &str,
    request: CreateChatAttachmentRequest,
) -> (Attachment, UploadTarget) {
    let created = fixture.chats(visitor).create_chat_attachment(request).await.unwrap().into_inner();
    (created.attachment.unwrap(), created.upload.unwrap())
}

/// Sends a request to the listener for browsers.
async fn transfer(
    fixture: &Fixture,
    method: Method,
    url: &str,
    headers: &[(&str, String)],
    body: Body,
) -> (StatusCode, HeaderMap, Bytes) {
    // The gateway takes the path of the public address away.
    let path = url.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{url}"));
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response = fixture.service.http.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    (head.status, head.headers, to_bytes(body, usize::MAX).await.unwrap_or_default())
}

/// Uploads the bytes. Returns the status and the sentence of the answer.
pub async fn put(fixture: &Fixture, url: &str, bytes: &[u8]) -> (StatusCode, String) {
    let length = [("content-length", bytes.len().to_string())];
    let (status, _, text) = transfer(fixture, Method::PUT, url, &length, Body::from(bytes.to_vec())).await;
    (status, String::from_utf8(text.to_vec()).unwrap())
}

pub async fn get(fixture: &Fixture, url: &str) -> (StatusCode, HeaderMap, Bytes) {
    transfer(fixture, Method::GET, url, &[], Body::empty()).await
}

/// An attachment of the visitor that is READY.
pub async fn ready(fixture: &Fixture, visitor: &str, chat: &str, file_name: &str, bytes: &[u8]) -> String {
    let (attachment, target) = announce(fixture, visitor, upload(chat, file_name, bytes)).await;
    assert_eq!(put(fixture, &target.url, bytes).await.0, StatusCode::OK);
    attachment.id
}

/// A file of the team, or an upload of the team for a conversation, that is READY.
pub async fn ready_of_team(fixture: &Fixture, conversation: &str, file_name: &str, bytes: &[u8]) -> String {
    let size = bytes.len().try_into().unwrap();
    let request = CreateAttachmentRequest { conversation_id: conversation.into(), ..file(file_name, size) };
    let created = fixture.attachments(ADA).create_attachment(request).await.unwrap().into_inner();
    assert_eq!(put(fixture, &created.upload.unwrap().url, bytes).await.0, StatusCode::OK);
    created.attachment.unwrap().id
}

pub fn send<const N: usize>(chat: &str, text: &str, ids: [&str; N]) -> SendMessageRequest {
    SendMessageRequest {
        chat_id: chat.into(),
        text: text.into(),
        attachment_ids: ids.map(str::to_owned).to_vec(),
        request_id: request_id(),
    }
}

pub fn post<const N: usize>(chat: &str, text: &str, ids: [&str; N]) -> PostMessageRequest {
    PostMessageRequest { attachment_ids: ids.map(str::to_owned).to_vec(), ..message(chat, text) }
}

pub async fn seen(fixture: &Fixture, visitor: &str, chat: &str, id: &str) -> Result<Attachment, Status> {
    let request = GetChatAttachmentRequest { chat_id: chat.into(), attachment_id: id.into() };
    Ok(fixture.chats(visitor).get_chat_attachment(request).await?.into_inner().attachment.unwrap())
}

async fn sent_to_team(fixture: &Fixture, chat: &str) -> Vec<SentAttachment> {
    let entries = fixture.entries(chat).await;
    let messages = entries.into_iter().filter_map(|entry| match entry.content? {
        entry::Content::Message(Message { attachments, .. }) => Some(attachments),
        _ => None,
    });
    messages.flatten().collect()
}

async fn c5_a_visitor_uploads_a_file_and_sends_it_and_the_team_gets_its_bytes(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let (attachment, target) = announce(&fixture, "v", upload(&chat, "../счёт \"1\".png", PNG)).await;
    assert_eq!((attachment.status(), attachment.media_type.as_str()), (AttachmentStatus::Pending, ""));
    assert_eq!((attachment.file_name.as_str(), &attachment.conversation_id), ("счёт \"1\".png", &chat));
    assert!(target.expire_time.is_some() && target.headers.contains_key("content-type"), "{target:?}");
    let (status, text) = put(&fixture, &target.url, PNG).await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, "The file is stored.\n"));
    let uploaded = seen(&fixture, "v", &chat, &attachment.id).await.unwrap();
    assert_eq!((uploaded.status(), uploaded.media_type.as_str()), (AttachmentStatus::Ready, "image/png"));
    let stored = fixture.service.appended::<AttachmentStored>().await;
    assert_eq!((stored.len(), &stored[0].attachment_id, &stored[0].conversation_id), (1, &attachment.id, &chat));

    let link = CreateAttachmentLinkRequest { attachment_id: attachment.id.clone() };
    let unsent = fixture.attachments(ADA).create_attachment_link(link.clone()).await.unwrap_err();
    assert_eq!(unsent.code(), Code::NotFound, "the team sees it when it is sent");
    let entry = fixture.chats("v").send_message(send(&chat, "", [&attachment.id])).await.unwrap().into_inner().entry;
    let entry = entry.unwrap();
    let Some(chat_entry::Content::Message(ChatMessage { attachments, .. })) = &entry.content else {
        panic!("{entry:?}")
    };
    let expected = SentAttachment {
        attachment_id: attachment.id.clone(),
        file_name: "счёт \"1\".png".into(),
        media_type: "image/png".into(),
        size_bytes: PNG.len().try_into().unwrap(),
    };
    assert_eq!(attachments[..], *std::slice::from_ref(&expected));
    assert_eq!(sent_to_team(&fixture, &chat).await, [expected]);

    let for_team = fixture.attachments(ADA).create_attachment_link(link).await.unwrap().into_inner().url;
    let request = CreateChatAttachmentLinkRequest {
        chat_id: chat.clone(),
        visitor_sequence: entry.visitor_sequence,
        attachment_id: attachment.id.clone(),
    };
    let for_visitor = fixture.chats("v").create_chat_attachment_link(request).await.unwrap().into_inner().url;
    for url in [&for_team, &for_visitor] {
        let (status, headers, bytes) = get(&fixture, url).await;
        assert_eq!((status, &bytes[..]), (StatusCode::OK, PNG));
        for (name, value) in [
            ("content-type", "image/png"),
            ("content-length", PNG.len().to_string().as_str()),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "sandbox; default-src 'none'"),
            (
                "content-disposition",
                "attachment; filename=\"____ _1_.png\"; filename*=UTF-8''%D1%81%D1%87%D1%91%D1%82%20%221%22.png",
            ),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        let known = [("if-none-match", headers["etag"].to_str().unwrap().to_owned())];
        assert_eq!(transfer(&fixture, Method::GET, url, &known, Body::empty()).await.0, StatusCode::NOT_MODIFIED);
    }
    assert_eq!(get(&fixture, &target.url).await.0, StatusCode::FORBIDDEN, "a target is no link");
    assert_eq!(put(&fixture, &for_team, PNG).await.0, StatusCode::FORBIDDEN, "a link is no target");
    fixture.service.clock.advance(Duration::from_secs(2 * 3600)).unwrap();
    assert_eq!(get(&fixture, &for_team).await.0, StatusCode::FORBIDDEN, "it has expired");
}

async fn c5_c12_a_repeat_of_a_creation_gets_the_same_attachment_as_it_is_now(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let request = upload(&chat, "a.png", PNG);
    let created = twenty(|_| announce(&fixture, "v", request.clone())).await;
    let (attachment, target) = &created[0];
    assert!(created.iter().all(|(other, _)| other == attachment));
    assert_eq!(put(&fixture, &target.url, PNG).await.0, StatusCode::OK);
    let again = fixture.chats("v").create_chat_attachment(request.clone()).await.unwrap().into_inner();
    assert_eq!((again.attachment.unwrap().status(), again.upload), (AttachmentStatus::Ready, None));
    let other = CreateChatAttachmentRequest { file_name: "b.png".into(), ..request };
    let reused = fixture.chats("v").create_chat_attachment(other).await.unwrap_err();
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
}

async fn c5_what_is_not_allowed_is_refused_before_a_byte_is_sent(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let chat = fixture.chat_on(&channel, "v").await.id;
    let widget = fixture.chats("v").get_widget(GetWidgetRequest { channel_id: channel.id }).await.unwrap().into_inner();
    let limits = widget.widget.unwrap().attachments.unwrap();
    assert_eq!(limits.max_size_bytes, 25 * 1024 * 1024);
    let for_team = fixture.attachments(ADA).get_attachment_limits(GetAttachmentLimitsRequest {}).await.unwrap();
    assert_eq!(for_team.into_inner().limits.as_ref(), Some(&limits));
    let with = |file_name: &str, media_type: &str, size_bytes| CreateChatAttachmentRequest {
        media_type: media_type.into(),
        size_bytes,
        ..upload(&chat, file_name, b"x")
    };
    for (request, refused, key, value) in [
        (with("a.exe", "", 1), "ATTACHMENT_TYPE_NOT_ALLOWED", "allowed", limits.media_types.join(", ")),
        (with("a.png", "text/html", 1), "ATTACHMENT_TYPE_NOT_ALLOWED", "media_type", "text/html".into()),
        (with("a.svg", "", 1), "ATTACHMENT_TYPE_NOT_ALLOWED", "media_type", "image/svg+xml".into()),
        (
            with("a.png", "", limits.max_size_bytes + 1),
            "ATTACHMENT_TOO_LARGE",
            "max_size_bytes",
            limits.max_size_bytes.to_string(),
        ),
    ] {
        let status = fixture.chats("v").create_chat_attachment(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, refused));
        assert_eq!(metadata(&status, key), value);
    }
    for (request, field) in [
        (with("", "", 1), "file_name"),
        (with("a\r\nb", "", 1), "file_name"),
        (with(&"x".repeat(256), "", 1), "file_name"),
        (with("a.png", "", 0), "size_bytes"),
        (with("a.png", "Image/PNG; q=1", 1), "media_type"),
    ] {
        let status = fixture.chats("v").create_chat_attachment(request).await.unwrap_err();
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, field);
    }
}

async fn c5_the_bytes_decide_and_not_the_name(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let cases: [(&str, &[u8], &str); 3] = [
        ("a.png", b"<!DOCTYPE html><script>alert(1)</script>", "text/html"),
        ("a.jpg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        ("a.pdf", b"MZ\x90\0\x03\0\0\0", "application/vnd.microsoft.portable-executable"),
    ];
    for (name, bytes, media_type) in cases {
        let (attachment, target) = announce(&fixture, "v", upload(&chat, name, bytes)).await;
        for _ in 0..2 {
            let (status, text) = put(&fixture, &target.url, bytes).await;
            assert!(status == StatusCode::UNSUPPORTED_MEDIA_TYPE && text.contains(media_type), "{status} {text}");
        }
        let refused = seen(&fixture, "v", &chat, &attachment.id).await.unwrap();
        assert_eq!(
            (refused.status(), refused.refusal()),
            (AttachmentStatus::Refused, AttachmentRefusal::TypeNotAllowed)
        );
        assert_eq!(refused.media_type, media_type);
        let status = fixture.chats("v").send_message(send(&chat, "see", [&attachment.id])).await.unwrap_err();
        assert_eq!(reason(&status), "ATTACHMENT_NOT_READY");
        assert_eq!(metadata(&status, "status"), "REFUSED");
    }
    assert!(fixture.service.appended::<AttachmentStored>().await.is_empty());
    assert!(fixture.entries(&chat).await.is_empty());
    // Another type of picture than the name says is what it is.
    let id = ready(&fixture, "v", &chat, "a.jpg", PNG).await;
    assert_eq!(seen(&fixture, "v", &chat, &id).await.unwrap().media_type, "image/png");
}

async fn c5_active_content_that_is_allowed_is_a_file_to_save_and_no_page(mode: Mode) {
    let cases: [(&str, &[u8], &str); 3] = [
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "image/svg+xml"),
        ("a.html", b"<!DOCTYPE html><script>alert(1)</script>", "text/html"),
        ("a.xml", b"<?xml version='1.0'?><?xml-stylesheet href='a.xsl'?><a/>", "text/xml"),
    ];
    let fixture = Fixture::start_with(mode, |settings| {
        settings.attachments.media_types = cases.map(|(_, _, media_type)| media_type.to_owned()).to_vec();
    })
    .await;
    let chat = fixture.chat("v").await.id;
    for (name, bytes, media_type) in cases {
        let id = ready(&fixture, "v", &chat, name, bytes).await;
        fixture.chats("v").send_message(send(&chat, "", [&id])).await.unwrap();
        let link = CreateAttachmentLinkRequest { attachment_id: id };
        let url = fixture.attachments(ADA).create_attachment_link(link).await.unwrap().into_inner().url;
        let (status, headers, read) = get(&fixture, &url).await;
        assert_eq!((status, &read[..]), (StatusCode::OK, bytes));
        assert_eq!(headers["content-type"], media_type);
        assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment; "), "{headers:?}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["content-security-policy"], "sandbox; default-src 'none'");
    }
}

async fn c5_an_upload_that_is_not_as_it_was_announced_is_refused_with_the_remedy(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let (attachment, target) = announce(&fixture, "v", upload(&chat, "a.png", PNG)).await;
    let (longer, shorter) = ([PNG, b"x"].concat(), &PNG[1..]);
    let stated = |length: usize| vec![("content-length", length.to_string())];
    let broken = futures::stream::iter([Ok(Bytes::from_static(PNG)), Err(std::io::Error::other("broken"))]);
    for (headers, body, status, remedy) in [
        (Vec::new(), Body::from(PNG), StatusCode::LENGTH_REQUIRED, "content-length"),
        (stated(longer.len()), Body::from(longer.clone()), StatusCode::BAD_REQUEST, "another"),
        (stated(shorter.len()), Body::from(shorter), StatusCode::BAD_REQUEST, "another"),
        (stated(PNG.len()), Body::from(longer.clone()), StatusCode::BAD_REQUEST, "another"),
        (stated(PNG.len()), Body::from(shorter), StatusCode::BAD_REQUEST, "another"),
        (stated(PNG.len()), Body::from_stream(broken), StatusCode::BAD_REQUEST, "again"),
    ] {
        let (answered, _, text) = transfer(&fixture, Method::PUT, &target.url, &headers, body).await;
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(answered == status && text.contains(remedy), "{answered} {text}");
    }
    let forged = format!("{PUBLIC_URL}/attachments/{}", "x".repeat(40));
    assert_eq!(put(&fixture, &forged, PNG).await.0, StatusCode::FORBIDDEN);
    let pending = seen(&fixture, "v", &chat, &attachment.id).await.unwrap();
    assert_eq!(pending.status(), AttachmentStatus::Pending);
    let status = fixture.chats("v").send_message(send(&chat, "", [&attachment.id])).await.unwrap_err();
    assert_eq!((reason(&status).as_str(), metadata(&status, "status").as_str()), ("ATTACHMENT_NOT_READY", "PENDING"));
    assert_eq!(put(&fixture, &target.url, PNG).await.0, StatusCode::OK, "none of it stayed");
}

async fn c5_a_repeat_of_an_upload_is_answered_alike_and_other_bytes_are_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let (_, target) = announce(&fixture, "v", upload(&chat, "a.png", PNG)).await;
    for _ in 0..2 {
        assert_eq!(put(&fixture, &target.url, PNG).await.0, StatusCode::OK);
    }
    let mut other = PNG.to_vec();
    *other.last_mut().unwrap() = 7;
    assert_eq!(put(&fixture, &target.url, &other).await.0, StatusCode::CONFLICT);
    assert_eq!(fixture.service.appended::<AttachmentStored>().await.len(), 1);
}

async fn i25_of_twenty_uploads_at_once_one_is_stored_whole(mode: Mode) {
    let fixture = Fixture::start_with(mode, |settings| settings.attachments.uploads_at_once = 20).await;
    let chat = fixture.chat("v").await.id;
    let bytes = |number: usize| {
        let mut bytes = PNG.to_vec();
        bytes.resize(300_000, u8::try_from(number).unwrap());
        bytes
    };
    let (attachment, target) = announce(&fixture, "v", upload(&chat, "a.png", &bytes(0))).await;
    let answers = twenty(|number| {
        let (fixture, url) = (&fixture, target.url.clone());
        async move { put(fixture, &url, &bytes(number)).await.0 }
    });
    let answers = answers.await;
    let won = answers.iter().position(|status| *status == StatusCode::OK).unwrap();
    // Only two are received at once; the others are asked to wait.
    let lost = |status: &&StatusCode| [StatusCode::CONFLICT, StatusCode::SERVICE_UNAVAILABLE].contains(status);
    assert_eq!(answers.iter().filter(lost).count(), 19, "{answers:?}");
    assert_eq!(put(&fixture, &target.url, &bytes(won + 1)).await.0, StatusCode::CONFLICT);
    fixture.chats("v").send_message(send(&chat, "", [&attachment.id])).await.unwrap();
    let link = CreateAttachmentLinkRequest { attachment_id: attachment.id };
    let url = fixture.attachments(ADA).create_attachment_link(link).await.unwrap().into_inner().url;
    let (status, _, stored) = get(&fixture, &url).await;
    assert!(status == StatusCode::OK && stored == bytes(won));
    assert_eq!(fixture.service.appended::<AttachmentStored>().await.len(), 1);
}

async fn c5_c12_an_upload_is_sent_once_also_by_twenty_messages_at_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let id = ready(&fixture, "v", &chat, "a.png", PNG).await;
    let sent = twenty(|_| {
        let (mut visitor, request) = (fixture.chats("v"), send(&chat, "see", [&id]));
        async move { visitor.send_message(request.clone()).await.map(|_| request) }
    });
    let (won, lost): (Vec<_>, Vec<_>) = sent.await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 19));
    for status in lost.into_iter().map(Result::unwrap_err) {
        assert_eq!((reason(&status).as_str(), &metadata(&status, "attachment_id")), ("ATTACHMENT_ALREADY_SENT", &id));
    }
    // A repeat of the request that sent it gets the first answer.
    let request = won.into_iter().next().unwrap().unwrap();
    let again = fixture.chats("v").send_message(request.clone()).await.unwrap().into_inner().entry.unwrap();
    assert_eq!(again.visitor_sequence, 1);
    let other = SendMessageRequest { attachment_ids: Vec::new(), ..request };
    assert_eq!(reason(&fixture.chats("v").send_message(other).await.unwrap_err()), "REQUEST_ID_REUSED");
    assert_eq!(fixture.service.appended::<MessagePosted>().await.len(), 1);
    assert_eq!(sent_to_team(&fixture, &chat).await.len(), 1);
}

async fn c5_files_of_the_team_are_sent_any_number_of_times_and_listed_in_pages(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (one, other) = (fixture.chat("v").await.id, fixture.chat("w").await.id);
    let files = [
        ready_of_team(&fixture, "", "one.png", PNG).await,
        ready_of_team(&fixture, "", "two.png", PNG).await,
        ready_of_team(&fixture, "", "three.png", PNG).await,
    ];
    let upload = ready_of_team(&fixture, &one, "for one.png", PNG).await;
    ready(&fixture, "v", &one, "of the visitor.png", PNG).await;
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListAttachmentsRequest { page_size: 2, page_token, ..ListAttachmentsRequest::default() };
        let page = fixture.attachments(ADA).list_attachments(request).await.unwrap().into_inner();
        listed.extend(page.attachments.into_iter().map(|attachment| attachment.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert!(listed.iter().eq(files.iter().rev()), "{listed:?}");

    let [first, second, _] = &files;
    for chat in [&one, &one, &other] {
        fixture.threads(ADA).post_message(post(chat, "", [second, first])).await.unwrap();
    }
    let names: Vec<_> = sent_to_team(&fixture, &one).await.into_iter().map(|sent| sent.file_name).collect();
    assert_eq!(names, ["two.png", "one.png", "two.png", "one.png"]);
    // Bob may send what Ada uploaded, for that conversation and once.
    let elsewhere = fixture.threads(BOB).post_message(post(&other, "", [&upload])).await.unwrap_err();
    assert_eq!(reason(&elsewhere), "ATTACHMENT_UNKNOWN");
    fixture.threads(BOB).post_message(post(&one, "", [&upload])).await.unwrap();
    let again = fixture.threads(ADA).post_message(post(&one, "", [&upload])).await.unwrap_err();
    assert_eq!(reason(&again), "ATTACHMENT_ALREADY_SENT");
    let visitor = fixture.chats("v").send_message(send(&one, "", [first])).await.unwrap_err();
    assert_eq!(reason(&visitor), "ATTACHMENT_UNKNOWN");
}

async fn c8_the_attachments_of_a_contacts_conversations_are_listed_in_pages(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (one, two, other) = (fixture.chat("v").await.id, fixture.chat("v").await.id, fixture.chat("w").await.id);
    leave(&fixture, "v", address(&one, "vera@example.com")).await.unwrap();
    let contact_id = fixture.conversation(&one).await.contact_id;
    let first = ready(&fixture, "v", &one, "first.png", PNG).await;
    fixture.chats("v").send_message(send(&one, "", [&first])).await.unwrap();
    let second = ready_of_team(&fixture, &two, "second.png", PNG).await;
    fixture.threads(ADA).post_message(post(&two, "", [&second])).await.unwrap();
    let third = ready(&fixture, "v", &two, "third.png", PNG).await;
    fixture.chats("v").send_message(send(&two, "", [&third])).await.unwrap();
    // Not sent, of another visitor, and of the team.
    ready(&fixture, "v", &one, "draft.png", PNG).await;
    let foreign = ready(&fixture, "w", &other, "foreign.png", PNG).await;
    fixture.chats("w").send_message(send(&other, "", [&foreign])).await.unwrap();
    ready_of_team(&fixture, "", "team.png", PNG).await;
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListAttachmentsRequest { contact_id: contact_id.clone(), page_size: 2, page_token };
        let page = fixture.attachments(ADA).list_attachments(request).await.unwrap().into_inner();
        listed.extend(page.attachments.into_iter().map(|attachment| attachment.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, [third, second, first]);
    let of_contact = ListAttachmentsRequest { contact_id, ..ListAttachmentsRequest::default() };
    let mut attachments = AttachmentServiceClient::new(fixture.in_another_account().as_agent());
    let elsewhere = attachments.list_attachments(of_contact).await.unwrap().into_inner();
    assert!(elsewhere.attachments.is_empty(), "{elsewhere:?}");
}

async fn c5_a_message_has_a_text_inserts_or_attachments(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let id = new_id().to_string();
    let eleven: Vec<String> = (0..11).map(|_| new_id().to_string()).collect();
    for (request, field) in [
        (send(&chat, "", []), "text"),
        (send(&chat, " \n", [&id]), "text"),
        (send(&chat, "", [&id, &id]), "attachment_ids"),
        (send(&chat, "", ["x"]), "attachment_ids[0]"),
        (SendMessageRequest { attachment_ids: eleven, ..send(&chat, "", []) }, "attachment_ids"),
    ] {
        let refused = fixture.chats("v").send_message(request).await.unwrap_err();
        let fields = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!((refused.code(), fields[0].field.as_str()), (Code::InvalidArgument, field));
    }
    let refused = fixture.threads(ADA).post_message(post(&chat, " ", [&id])).await.unwrap_err();
    assert_eq!(refused.get_details_bad_request().unwrap().field_violations[0].field, "text");
}

async fn e3_nothing_is_attached_to_a_closed_chat(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let id = ready(&fixture, "v", &chat, "a.png", PNG).await;
    close(&fixture, &chat).await;
    let created = fixture.chats("v").create_chat_attachment(upload(&chat, "a.png", PNG)).await.map(drop);
    let sent = fixture.chats("v").send_message(send(&chat, "", [&id])).await.map(drop);
    let for_it = CreateAttachmentRequest { conversation_id: chat.clone(), ..file("a.png", 1) };
    let by_team = fixture.attachments(ADA).create_attachment(for_it).await.map(drop);
    for refused in [created, sent, by_team] {
        assert_eq!(reason(&refused.unwrap_err()), "CONVERSATION_CLOSED");
    }
}

async fn s2_s3_an_attachment_of_another_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (chat, of_w) = (fixture.chat("v").await.id, fixture.chat("w").await.id);
    let id = ready(&fixture, "v", &chat, "a.png", PNG).await;
    let file_id = ready_of_team(&fixture, "", "b.png", PNG).await;
    assert_eq!(seen(&fixture, "w", &chat, &id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(seen(&fixture, "w", &of_w, &id).await.unwrap_err().code(), Code::NotFound);
    let created = fixture.chats("w").create_chat_attachment(upload(&chat, "a.png", PNG)).await.unwrap_err();
    assert_eq!(created.code(), Code::NotFound);
    let sent = fixture.chats("w").send_message(send(&of_w, "", [&id])).await.unwrap_err();
    assert_eq!(reason(&sent), "ATTACHMENT_UNKNOWN");
    fixture.chats("v").send_message(send(&chat, "", [&id])).await.unwrap();
    let link = |chat: &str, attachment_id: &str| CreateChatAttachmentLinkRequest {
        chat_id: chat.into(),
        visitor_sequence: 1,
        attachment_id: attachment_id.into(),
    };
    assert!(fixture.chats("v").create_chat_attachment_link(link(&chat, &id)).await.is_ok());
    for (visitor, request) in [("w", link(&chat, &id)), ("w", link(&of_w, &id)), ("v", link(&chat, &file_id))] {
        let refused = fixture.chats(visitor).create_chat_attachment_link(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }

    let other = fixture.in_another_account();
    let mut attachments = AttachmentServiceClient::new(other.as_agent());
    let for_it = CreateAttachmentRequest { conversation_id: chat.clone(), ..file("a.png", 1) };
    let create = attachments.create_attachment(for_it).await.map(drop);
    let get = attachments.get_attachment(GetAttachmentRequest { attachment_id: file_id.clone() }).await.map(drop);
    let link = CreateAttachmentLinkRequest { attachment_id: file_id.clone() };
    let link = attachments.create_attachment_link(link).await.map(drop);
    let mut visitor = VisitorServiceClient::new(other.as_visitor("v"));
    let request = GetChatAttachmentRequest { chat_id: chat.clone(), attachment_id: id };
    let seen = visitor.get_chat_attachment(request).await.map(drop);
    for refused in [create, get, link, seen] {
        let refused = refused.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
    let listed = attachments.list_attachments(ListAttachmentsRequest::default()).await.unwrap().into_inner();
    assert!(listed.attachments.is_empty());
}

async fn s4_a_visitor_has_a_limited_number_of_attachments_that_are_not_sent(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let first = ready(&fixture, "v", &chat, "a.png", PNG).await;
    for _ in 1..20 {
        announce(&fixture, "v", upload(&chat, "a.png", PNG)).await;
    }
    let refused = fixture.chats("v").create_chat_attachment(upload(&chat, "a.png", PNG)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    fixture.chats("v").send_message(send(&chat, "", [&first])).await.unwrap();
    announce(&fixture, "v", upload(&chat, "a.png", PNG)).await;
}

/// Uploads one file, and another one beside it that begins while the first one has the only permit. Returns the answer to the other one, for
/// which the first one waits if `waits`.
async fn upload_beside(fixture: &Fixture, waits: bool) -> (StatusCode, HeaderMap, Bytes) {
    let chat = fixture.chat("v").await.id;
    let (_, slow) = announce(fixture, "v", upload(&chat, "a.png", PNG)).await;
    let (_, other) = announce(fixture, "v", upload(&chat, "b.png", PNG)).await;
    let (started, has_started) = tokio::sync::oneshot::channel();
    let (finish, finished) = tokio::sync::oneshot::channel::<()>();
    let body = futures::stream::once(async move {
        started.send(()).unwrap();
        finished.await.unwrap();
        Ok::<_, std::io::Error>(Bytes::from_static(PNG))
    });
    let length = [("content-length", PNG.len().to_string())];
    let running = transfer(fixture, Method::PUT, &slow.url, &length, Body::from_stream(body));
    let beside = async {
        has_started.await.unwrap();
        let mut second = Box::pin(transfer(fixture, Method::PUT, &other.url, &length, Body::from(PNG)));
        if waits {
            assert!(futures::poll!(&mut second).is_pending());
            finish.send(()).unwrap();
            return second.await;
        }
        let answer = second.await;
        finish.send(()).unwrap();
        answer
    };
    let ((status, ..), answer) = tokio::join!(running, beside);
    assert_eq!(status, StatusCode::OK);
    answer
}

async fn s4_uploads_beyond_the_limit_wait_and_then_are_refused_with_a_time(mode: Mode) {
    for (wait, waits) in [(Duration::ZERO, false), (Duration::from_secs(60), true)] {
        let fixture = Fixture::start_with(mode, |settings| {
            settings.attachments.uploads_at_once = 1;
            settings.attachments.transfer_wait = wait;
        })
        .await;
        let (status, headers, _) = upload_beside(&fixture, waits).await;
        if waits {
            assert_eq!(status, StatusCode::OK);
        } else {
            assert!(status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key("retry-after"), "{status}");
        }
    }
}

async fn i25_what_is_not_sent_is_removed_and_what_is_sent_stays(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let (pending, late) = announce(&fixture, "v", upload(&chat, "pending.png", PNG)).await;
    let (refused, target) = announce(&fixture, "v", upload(&chat, "refused.png", b"#!/bin/sh")).await;
    put(&fixture, &target.url, b"#!/bin/sh").await;
    let unsent = ready(&fixture, "v", &chat, "unsent.png", PNG).await;
    let sent = ready(&fixture, "v", &chat, "sent.png", PNG).await;
    fixture.chats("v").send_message(send(&chat, "", [&sent])).await.unwrap();
    let of_team = ready_of_team(&fixture, "", "file.png", PNG).await;
    let folder = fixture.service.folder.path().join("attachments").join(fixture.account.to_string());
    let has_object = |id: &str| std::fs::read_dir(folder.join(id)).is_ok_and(|mut files| files.next().is_some());
    assert!(has_object(&unsent) && has_object(&sent) && has_object(&of_team) && !has_object(&refused.id));

    fixture.service.clock.advance(Duration::from_secs(25 * 3600)).unwrap();
    for id in [&pending.id, &refused.id, &unsent] {
        wait_until("its removal", || async { seen(&fixture, "v", &chat, id).await.is_err() }).await;
    }
    wait_until("the removal of its object", || async { !has_object(&unsent) }).await;
    assert!(has_object(&sent) && has_object(&of_team));
    let link = |id: &str| CreateAttachmentLinkRequest { attachment_id: id.into() };
    for id in [&sent, &of_team] {
        let url = fixture.attachments(ADA).create_attachment_link(link(id)).await.unwrap().into_inner().url;
        assert_eq!(get(&fixture, &url).await.0, StatusCode::OK);
    }
    let gone = fixture.chats("v").send_message(send(&chat, "", [&unsent])).await.unwrap_err();
    assert_eq!(reason(&gone), "ATTACHMENT_UNKNOWN");
    assert_eq!(put(&fixture, &late.url, PNG).await.0, StatusCode::FORBIDDEN);
}

async fn c5_without_a_public_address_nothing_can_be_attached(mode: Mode) {
    let fixture = Fixture::start_with(mode, |settings| settings.public_url = String::new()).await;
    let channel = fixture.channel().await;
    let chat = fixture.chat_on(&channel, "v").await.id;
    let widget = fixture.chats("v").get_widget(GetWidgetRequest { channel_id: channel.id }).await.unwrap().into_inner();
    assert_eq!(widget.widget.unwrap().attachments, None);
    let for_team = fixture.attachments(ADA).get_attachment_limits(GetAttachmentLimitsRequest {}).await.unwrap();
    assert_eq!(for_team.into_inner().limits, None);
    let by_visitor = fixture.chats("v").create_chat_attachment(upload(&chat, "a.png", PNG)).await.unwrap_err();
    let by_team = fixture.attachments(ADA).create_attachment(file("a.png", 1)).await.unwrap_err();
    for refused in [by_visitor, by_team] {
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "ATTACHMENTS_DISABLED"));
    }
}
