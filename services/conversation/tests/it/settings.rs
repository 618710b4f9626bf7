//! `SettingsService`, and what follows the settings: rules C5, C12, S2, T2.

use frontdesk_proto::{
    conversation::v1::{
        AttachmentLimits, AttachmentMediaTypes, AttachmentStatus, CreateAttachmentRequest, GetAttachmentRequest,
        GetSettingsRequest, GetWidgetRequest, Settings, UpdateSettingsRequest,
        settings_service_client::SettingsServiceClient,
    },
    event::v1::{ConversationClosed, SettingsUpdated},
};
use frontdesk_testkit::{Mode, metadata, on_both_modes, reason};
use http::StatusCode;
use tonic::{Code, Status};

use crate::{
    attachments::{PNG, announce, file, put, ready, send, upload},
    close_conversation::close,
    create_ticket,
    fixture::{ADA, BOB, Fixture, GONE, STRANGER, twenty},
    get_closing_facts::facts,
};

on_both_modes!(
    c5_an_account_without_settings_has_those_of_the_installation,
    c5_settings_are_set_and_unset_and_the_answer_shows_what_applies,
    c5_a_value_beyond_the_installation_is_refused_by_name,
    c5_the_next_attachment_the_next_upload_and_the_widget_follow_the_settings,
    c5_visitors_who_attach_no_files_send_those_that_are_ready,
    c12_a_repeat_succeeds_with_its_old_etag_and_a_stale_one_is_refused,
    c12_twenty_first_updates_at_once_change_the_settings_once,
    a2_an_agent_changes_settings_by_permission_and_while_they_are_active,
    s2_each_account_has_its_own_settings,
    t2_with_the_setting_only_tickets_of_the_chat_count_from_the_next_close_on,
);

async fn get(fixture: &Fixture) -> Settings {
    fixture.settings().get_settings(GetSettingsRequest {}).await.unwrap().into_inner().settings.unwrap()
}

async fn try_update(fixture: &Fixture, request: UpdateSettingsRequest) -> Result<Settings, Status> {
    Ok(fixture.settings().update_settings(request).await?.into_inner().settings.unwrap())
}

async fn update(fixture: &Fixture, request: UpdateSettingsRequest) -> Settings {
    try_update(fixture, request).await.unwrap()
}

fn media_types(types: &[&str]) -> UpdateSettingsRequest {
    let media_types = types.iter().map(|media_type| (*media_type).to_owned()).collect();
    UpdateSettingsRequest {
        attachment_media_types: Some(AttachmentMediaTypes { media_types }),
        ..UpdateSettingsRequest::default()
    }
}

fn size(bytes: i32) -> UpdateSettingsRequest {
    UpdateSettingsRequest { max_attachment_size_bytes: Some(bytes), ..UpdateSettingsRequest::default() }
}

fn visitors(may_attach: bool) -> UpdateSettingsRequest {
    UpdateSettingsRequest { visitor_attachments_enabled: Some(may_attach), ..UpdateSettingsRequest::default() }
}

/// Why the visitor's file is refused before its bytes.
async fn refusal(fixture: &Fixture, chat: &str, file_name: &str) -> String {
    let request = upload(chat, file_name, PNG);
    let refused = fixture.chats("v").create_chat_attachment(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    reason(&refused)
}

async fn limits_in_widget(fixture: &Fixture, channel: &str) -> Option<AttachmentLimits> {
    let request = GetWidgetRequest { channel_id: channel.into() };
    fixture.chats("v").get_widget(request).await.unwrap().into_inner().widget.unwrap().attachments
}

async fn c5_an_account_without_settings_has_those_of_the_installation(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let settings = get(&fixture).await;
    let installation = settings.installation_attachments.clone().unwrap();
    assert_eq!(installation.max_size_bytes, 25 * 1024 * 1024);
    let expected = Settings {
        visitor_attachments_enabled: true,
        effective_attachments: Some(installation.clone()),
        installation_attachments: Some(installation.clone()),
        etag: settings.etag.clone(),
        ..Settings::default()
    };
    assert!(!settings.etag.is_empty());
    assert_eq!(settings, expected);
    assert_eq!(limits_in_widget(&fixture, &channel.id).await, Some(installation));
    let fixture = Fixture::start_with(mode, |settings| settings.public_url = String::new()).await;
    let settings = get(&fixture).await;
    assert_eq!((settings.effective_attachments, settings.installation_attachments), (None, None));
}

async fn c5_settings_are_set_and_unset_and_the_answer_shows_what_applies(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let unset = get(&fixture).await;
    let first = update(&fixture, media_types(&["image/png", "application/pdf"])).await;
    let settings = update(&fixture, size(1_000)).await;
    assert_eq!((first.version, settings.version), (1, 2));
    assert!(settings.etag != unset.etag && settings.update_time.is_some());
    assert_eq!(settings.attachment_media_types, ["image/png", "application/pdf"]);
    assert_eq!(settings.max_attachment_size_bytes, 1_000);
    let effective = settings.effective_attachments.clone().unwrap();
    assert_eq!((effective.media_types.len(), effective.max_size_bytes), (2, 1_000));
    assert_eq!(settings.installation_attachments, unset.installation_attachments);
    assert_eq!(get(&fixture).await, settings);
    update(&fixture, media_types(&[])).await;
    let cleared = update(&fixture, size(0)).await;
    let expected = Settings { update_time: cleared.update_time, version: 4, etag: cleared.etag.clone(), ..unset };
    assert_eq!(cleared, expected);
    assert_eq!(fixture.service.appended::<SettingsUpdated>().await.len(), 4);
}

async fn c5_a_value_beyond_the_installation_is_refused_by_name(mode: Mode) {
    let fixture = Fixture::start_with(mode, |settings| {
        settings.attachments.media_types = vec!["image/png".into(), "text/plain".into()];
        settings.attachments.max_bytes = 1_000;
    })
    .await;
    for (request, field, key, value) in [
        (media_types(&["image/png", "text/html"]), "attachment_media_types", "media_type", "text/html"),
        (media_types(&["image/gif"]), "attachment_media_types", "allowed", "image/png, text/plain"),
        (size(1_001), "max_attachment_size_bytes", "max_size_bytes", "1000"),
    ] {
        let refused = try_update(&fixture, request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "SETTING_NOT_ALLOWED"));
        assert_eq!((metadata(&refused, "field").as_str(), metadata(&refused, key).as_str()), (field, value));
    }
    for invalid in [media_types(&["Image/PNG"]), media_types(&["image/png", "image/png"]), size(-1)] {
        assert_eq!(try_update(&fixture, invalid).await.unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(get(&fixture).await.version, 0, "a refused update changes nothing");
    assert!(fixture.service.appended::<SettingsUpdated>().await.is_empty());
}

async fn c5_the_next_attachment_the_next_upload_and_the_widget_follow_the_settings(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let chat = fixture.chat_on(&channel, "v").await.id;
    let (_, announced) = announce(&fixture, "v", upload(&chat, "before.png", PNG)).await;
    let (_, by_name) = announce(&fixture, "v", upload(&chat, "no extension", PNG)).await;
    update(&fixture, media_types(&["application/pdf"])).await;
    let limits = limits_in_widget(&fixture, &channel.id).await.unwrap();
    assert_eq!(limits.media_types, ["application/pdf"]);
    assert_eq!(refusal(&fixture, &chat, "after.png").await, "ATTACHMENT_TYPE_NOT_ALLOWED");
    let of_team = fixture.attachments(ADA).create_attachment(file("after.png", 1)).await.unwrap_err();
    assert_eq!(metadata(&of_team, "allowed"), "application/pdf");
    for target in [announced, by_name] {
        assert_eq!(put(&fixture, &target.url, PNG).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    update(&fixture, media_types(&["image/png"])).await;
    update(&fixture, size(10)).await;
    assert_eq!(limits_in_widget(&fixture, &channel.id).await.unwrap().max_size_bytes, 10);
    assert_eq!(refusal(&fixture, &chat, "large.png").await, "ATTACHMENT_TOO_LARGE");
    update(&fixture, size(0)).await;
    ready(&fixture, "v", &chat, "again.png", PNG).await;
}

async fn c5_visitors_who_attach_no_files_send_those_that_are_ready(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let chat = fixture.chat_on(&channel, "v").await.id;
    let stored = ready(&fixture, "v", &chat, "stored.png", PNG).await;
    let (_, announced) = announce(&fixture, "v", upload(&chat, "announced.png", PNG)).await;
    let size_bytes = PNG.len().try_into().unwrap();
    let of_team = CreateAttachmentRequest { conversation_id: chat.clone(), ..file("team.png", size_bytes) };
    let of_team = fixture.attachments(ADA).create_attachment(of_team).await.unwrap().into_inner();
    update(&fixture, visitors(false)).await;
    assert_eq!(limits_in_widget(&fixture, &channel.id).await, None);
    assert_eq!(refusal(&fixture, &chat, "a.png").await, "VISITOR_ATTACHMENTS_DISABLED");
    assert_eq!(put(&fixture, &announced.url, PNG).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(put(&fixture, &of_team.upload.unwrap().url, PNG).await.0, StatusCode::OK, "the team goes on");
    let request = GetAttachmentRequest { attachment_id: of_team.attachment.unwrap().id };
    let of_team = fixture.attachments(ADA).get_attachment(request).await.unwrap().into_inner().attachment.unwrap();
    assert_eq!(of_team.status(), AttachmentStatus::Ready);
    fixture.chats("v").send_message(send(&chat, "", [&stored])).await.unwrap();
    update(&fixture, visitors(true)).await;
    ready(&fixture, "v", &chat, "b.png", PNG).await;
}

async fn c12_a_repeat_succeeds_with_its_old_etag_and_a_stale_one_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let etag = get(&fixture).await.etag;
    let request = UpdateSettingsRequest { etag: etag.clone(), ..size(500) };
    let first = update(&fixture, request.clone()).await;
    assert_eq!(update(&fixture, request).await, first);
    let stale = try_update(&fixture, UpdateSettingsRequest { etag, ..size(600) }).await.unwrap_err();
    assert_eq!((stale.code(), reason(&stale).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    assert_eq!(update(&fixture, UpdateSettingsRequest::default()).await, first);
    assert_eq!(update(&fixture, UpdateSettingsRequest { etag: first.etag, ..size(600) }).await.version, 2);
    assert_eq!(fixture.service.appended::<SettingsUpdated>().await.len(), 2);
}

async fn c12_twenty_first_updates_at_once_change_the_settings_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let alike = twenty(|_| update(&fixture, visitors(false))).await;
    assert!(alike.iter().all(|settings| settings == &alike[0]), "{alike:?}");
    assert_eq!(alike[0].version, 1);
    let etag = alike[0].etag.clone();
    let different = twenty(|number| {
        let bytes = 1_000 + i32::try_from(number).unwrap();
        try_update(&fixture, UpdateSettingsRequest { etag: etag.clone(), ..size(bytes) })
    });
    let refused: Vec<_> = different.await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 19);
    assert!(refused.iter().all(|status| reason(status) == "ETAG_MISMATCH"));
    assert_eq!(fixture.service.appended::<SettingsUpdated>().await.len(), 2);
}

async fn a2_an_agent_changes_settings_by_permission_and_while_they_are_active(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for agent in [GONE, STRANGER] {
        let refused = fixture.settings_as(agent).update_settings(visitors(false)).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
    }
    fixture.settings_as(BOB).update_settings(visitors(false)).await.unwrap();
    let calls = fixture.service.calls(fixture.account, frontdesk_auth::CallerKind::Agent, &ADA.to_string());
    let mut by_role = SettingsServiceClient::new(calls);
    let read = by_role.get_settings(GetSettingsRequest {}).await.unwrap().into_inner().settings.unwrap();
    assert!(!read.visitor_attachments_enabled && read.version == 1);
    let refused = by_role.update_settings(visitors(true)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "NOT_PERMITTED"));
}

async fn s2_each_account_has_its_own_settings(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    update(&fixture, visitors(false)).await;
    let mut elsewhere = SettingsServiceClient::new(fixture.in_another_account().as_admin());
    let theirs = elsewhere.get_settings(GetSettingsRequest {}).await.unwrap().into_inner().settings.unwrap();
    assert!(theirs.visitor_attachments_enabled && theirs.version == 0);
    elsewhere.update_settings(size(7)).await.unwrap();
    assert_eq!(get(&fixture).await.max_attachment_size_bytes, 0);
}

async fn t2_with_the_setting_only_tickets_of_the_chat_count_from_the_next_close_on(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let with_ticket = create_ticket::linked_chat(&fixture).await;
    create_ticket::create(&fixture, &with_ticket).await;
    let (before, after) = (fixture.chat("v").await.id, fixture.chat("v").await.id);
    close(&fixture, &before).await;
    assert!(facts(&fixture, &after, 0).await.unwrap().had_ticket, "the contact has an open one");
    let own = UpdateSettingsRequest {
        transcripts_only_blocked_by_own_tickets: Some(true),
        ..UpdateSettingsRequest::default()
    };
    assert!(update(&fixture, own).await.transcripts_only_blocked_by_own_tickets);
    assert!(!facts(&fixture, &after, 0).await.unwrap().had_ticket);
    close(&fixture, &after).await;
    close(&fixture, &with_ticket).await;
    let had_ticket = async |chat: &str| facts(&fixture, chat, 1).await.unwrap().had_ticket;
    assert!(had_ticket(&before).await, "the facts of a close stay");
    assert!(!had_ticket(&after).await);
    assert!(had_ticket(&with_ticket).await, "its own ticket counts");
    let events = fixture.service.appended::<ConversationClosed>().await;
    assert_eq!(events.iter().map(|closed| closed.had_ticket).collect::<Vec<_>>(), [true, false, true]);
}
