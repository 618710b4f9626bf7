//! `SettingsService`, and what follows the settings: rules C5, C12, S2, T2, X2.

use frontdesk_proto::{
    conversation::v1::{
        AttachmentLimits, AttachmentMediaTypes, AttachmentStatus, Contact, ContactProperties,
        ContactPropertyDefinition, ContactPropertyDefinitions, ContactPropertyType, CreateAttachmentRequest,
        CreateChannelRequest, CreateContactRequest, GetAttachmentRequest, GetSettingsRequest, GetWidgetRequest,
        Settings, UpdateChannelRequest, UpdateContactRequest, UpdateSettingsRequest,
        contact_service_client::ContactServiceClient, settings_service_client::SettingsServiceClient,
    },
    event::v1::{ConversationClosed, SettingsUpdated},
};
use frontdesk_testkit::{Mode, metadata, on_both_modes, reason, request_id};
use http::StatusCode;
use tonic::{Code, Status};

use crate::{
    attachments::{PNG, announce, file, put, ready, send, upload},
    close_conversation::close,
    create_ticket,
    fixture::{ADA, BOB, Fixture, GONE, STRANGER, new_channel, twenty},
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
    t6_a_close_keeps_the_languages_that_its_channel_and_its_account_had,
    t6_a_language_of_the_account_is_set_and_unset_and_one_that_is_no_tag_is_refused,
    x2_properties_of_contacts_have_the_types_of_the_settings,
    x2_each_property_has_one_type_and_the_new_list_replaces_the_old_one,
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

fn in_language(tag: &str) -> UpdateSettingsRequest {
    UpdateSettingsRequest { language: Some(tag.into()), ..UpdateSettingsRequest::default() }
}

async fn t6_a_close_keeps_the_languages_that_its_channel_and_its_account_had(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let italian = CreateChannelRequest { language: "it".into(), ..new_channel() };
    let italian = fixture.create_channel(italian).await;
    let (first, second) = (fixture.chat_on(&italian, "v").await.id, fixture.chat("v").await.id);
    let languages = async |chat: &str, close_number: i32| {
        let facts = facts(&fixture, chat, close_number).await.unwrap();
        (facts.channel_language, facts.account_language)
    };
    let both = |channel: &str, account: &str| (channel.to_owned(), account.to_owned());
    assert_eq!(languages(&first, 0).await, both("it", ""));
    update(&fixture, in_language("de-CH")).await;
    close(&fixture, &first).await;
    close(&fixture, &second).await;
    update(&fixture, in_language("fr")).await;
    let request = UpdateChannelRequest {
        channel_id: italian.id.clone(),
        language: Some(String::new()),
        ..UpdateChannelRequest::default()
    };
    fixture.channels().update_channel(request).await.unwrap();
    assert_eq!(languages(&first, 1).await, both("it", "de-CH"), "the facts of a close stay");
    assert_eq!(languages(&second, 1).await, both("", "de-CH"));
    assert_eq!(languages(&first, 0).await, both("", "fr"));
}

async fn t6_a_language_of_the_account_is_set_and_unset_and_one_that_is_no_tag_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    assert_eq!(get(&fixture).await.language, "");
    let set = update(&fixture, in_language("pt-BR")).await;
    assert_eq!((set.language.as_str(), set.version), ("pt-BR", 1));
    assert_eq!(update(&fixture, in_language("pt-BR")).await, set, "nothing changes");
    assert_eq!(update(&fixture, visitors(false)).await.language, "pt-BR", "unset is unchanged");
    for tag in ["Portuguese language", "p", "pt_BR"] {
        let refused = try_update(&fixture, in_language(tag)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{tag}");
    }
    let unset = update(&fixture, in_language("")).await;
    assert_eq!((unset.language.as_str(), unset.version), ("", 3));
}

fn property_types(types: &[(&str, ContactPropertyType)]) -> UpdateSettingsRequest {
    let definition = |(property, value_type): &(&str, ContactPropertyType)| ContactPropertyDefinition {
        property: (*property).to_owned(),
        value_type: (*value_type).into(),
    };
    let properties = types.iter().map(definition).collect();
    UpdateSettingsRequest {
        contact_properties: Some(ContactPropertyDefinitions { properties }),
        ..UpdateSettingsRequest::default()
    }
}

fn properties(all: &[(&str, &str)]) -> ContactProperties {
    let properties = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ContactProperties { properties }
}

async fn set_properties(fixture: &Fixture, contact: &str, all: &[(&str, &str)]) -> Result<Contact, Status> {
    let request = UpdateContactRequest {
        contact_id: contact.into(),
        properties: Some(properties(all)),
        ..UpdateContactRequest::default()
    };
    Ok(fixture.contacts().update_contact(request).await?.into_inner().contact.unwrap())
}

async fn x2_properties_of_contacts_have_the_types_of_the_settings(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let request = CreateContactRequest {
        name: "Vera".into(),
        properties: properties(&[("age", "unknown"), ("town", "Rome")]).properties,
        request_id: request_id(),
        ..CreateContactRequest::default()
    };
    let contact = fixture.contacts().create_contact(request.clone()).await.unwrap().into_inner().contact.unwrap();
    let set = update(&fixture, property_types(&[("age", ContactPropertyType::Number)])).await;
    assert_eq!(set, get(&fixture).await);
    // What the contact has stays, and so do values of properties without a type.
    set_properties(&fixture, &contact.id, &[("age", "unknown"), ("town", "42")]).await.unwrap();
    let mistyped = set_properties(&fixture, &contact.id, &[("age", "old"), ("town", "Milan")]).await.unwrap_err();
    let other = CreateContactRequest { request_id: request_id(), ..request.clone() };
    let created = fixture.contacts().create_contact(other).await.unwrap_err();
    for refused in [mistyped, created] {
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(reason(&refused), "CONTACT_PROPERTY_MISTYPED");
        assert_eq!(
            (metadata(&refused, "property").as_str(), metadata(&refused, "value_type").as_str()),
            ("age", "NUMBER")
        );
    }
    let typed = set_properties(&fixture, &contact.id, &[("age", "41.5")]).await.unwrap();
    assert_eq!(typed.properties, properties(&[("age", "41.5")]).properties, "a refused update changes nothing");
    // A repeat gets the first answer, whatever its values are now.
    let repeated = fixture.contacts().create_contact(request).await.unwrap().into_inner().contact.unwrap();
    assert_eq!(repeated, typed);
    let mut elsewhere = ContactServiceClient::new(fixture.in_another_account().as_admin());
    let free = CreateContactRequest {
        properties: properties(&[("age", "old")]).properties,
        request_id: request_id(),
        ..CreateContactRequest::default()
    };
    elsewhere.create_contact(free).await.unwrap();
}

async fn x2_each_property_has_one_type_and_the_new_list_replaces_the_old_one(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let two = [("vip", ContactPropertyType::Boolean), ("born", ContactPropertyType::Date)];
    let set = update(&fixture, property_types(&two)).await;
    let names: Vec<_> = set.contact_properties.iter().map(|one| (one.property.as_str(), one.value_type())).collect();
    assert_eq!(names, [("born", ContactPropertyType::Date), ("vip", ContactPropertyType::Boolean)], "by name");
    assert_eq!(update(&fixture, property_types(&two)).await, set, "again changes nothing");
    let twice = property_types(&[("vip", ContactPropertyType::Boolean), ("vip", ContactPropertyType::Text)]);
    assert_eq!(try_update(&fixture, twice).await.unwrap_err().code(), Code::InvalidArgument);
    let unspecified = property_types(&[("vip", ContactPropertyType::Unspecified)]);
    assert_eq!(try_update(&fixture, unspecified).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(get(&fixture).await, set);
    let links = update(&fixture, property_types(&[("site", ContactPropertyType::Link)])).await;
    assert_eq!(links.contact_properties.len(), 1);
    assert!(update(&fixture, property_types(&[])).await.contact_properties.is_empty());
}
