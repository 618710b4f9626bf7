//! `ContactJobService.ExportContact` and the files of exports: rules X2, X2a, C3, C12, S2.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{Assignment, AssignmentCause, ListAssignmentsRequest, ListAssignmentsResponse},
    botsession::v1::{BotSession, ListBotSessionsRequest, ListBotSessionsResponse},
    conversation::v1::{
        ContactJob, ContactJobKind, ContactJobStatus, CreateChannelRequest, CreateContactExportLinkRequest,
        EraseContactRequest, ExportContactRequest, GetContactJobRequest, LinkContactRequest, ListContactJobsRequest,
        MergeContactsRequest, PostCommentRequest, StartChatRequest, UpdateContactRequest, UpdateSettingsRequest,
        contact_job_service_client::ContactJobServiceClient,
    },
    event::v1::{ContactExportFailed, ContactExported},
    notification::v1::{
        Delivery, DeliveryStatus, ListDeliveriesRequest, ListDeliveriesResponse, ListTranscriptDecisionsRequest,
        ListTranscriptDecisionsResponse, TranscriptDecision,
    },
};
use frontdesk_testkit::{Mode, metadata, new_id, on_both_modes, reason, request_id, wait_for, wait_until};
use http::StatusCode;
use serde_json::Value;
use tonic::{Code, Request, Status};

use crate::{
    attachments,
    close_conversation::close,
    create_contact, create_ticket,
    fixture::{ADA, Fixture, new_channel, start, twenty},
};

on_both_modes!(
    x2_an_export_has_all_of_the_contact_and_nothing_of_another,
    x2_a_close_has_no_address_of_a_contact_to_whom_the_conversation_belonged_then,
    x2_an_export_has_the_languages_of_the_contact_of_each_conversation_and_of_its_close,
    x2_c3_each_entry_of_a_long_thread_is_exported_once,
    x2_an_export_says_which_service_is_missing_and_goes_on_when_it_answers,
    x2_an_export_that_fails_for_an_hour_ends_and_can_be_repeated,
    x2_a_long_export_delays_neither_another_one_nor_an_erasure,
    x2_c12_one_export_of_a_contact_is_in_progress_also_of_twenty_calls_at_once,
    x2_the_file_of_an_export_is_removed_after_a_week,
    x2_the_file_of_an_export_is_erased_with_the_contact,
    x2_an_export_of_a_contact_that_is_erased_meanwhile_ends_without_a_file,
    x2a_the_id_of_a_merged_contact_exports_the_one_that_is_left,
    x2_without_a_public_address_nothing_is_exported,
    x2_agents_export_nothing,
    s2_another_accounts_contact_or_export_does_not_exist,
);

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// From now on the other services answer with one record each.
fn serve_parts(fixture: &Fixture) {
    let fake = &fixture.service.fake;
    fake.on(|request: Request<ListAssignmentsRequest>| {
        let owner = Some(Actor { kind: ActorKind::Agent.into(), id: ADA.to_string(), name: String::new() });
        let conversation_id = request.into_inner().conversation_id;
        let cause = AssignmentCause::ByHand.into();
        let assignment = Assignment { conversation_id, epoch: 2, owner, cause, ..Assignment::default() };
        Ok(ListAssignmentsResponse { assignments: vec![assignment], ..ListAssignmentsResponse::default() })
    });
    fake.on(|request: Request<ListBotSessionsRequest>| {
        let session = BotSession {
            id: "session".into(),
            conversation_id: request.into_inner().conversation_id,
            ..BotSession::default()
        };
        Ok(ListBotSessionsResponse { bot_sessions: vec![session], ..ListBotSessionsResponse::default() })
    });
    fake.on(|request: Request<ListTranscriptDecisionsRequest>| {
        let conversation_id = request.into_inner().conversation_id;
        let decision = TranscriptDecision { id: "decision".into(), conversation_id, ..TranscriptDecision::default() };
        Ok(ListTranscriptDecisionsResponse { decisions: vec![decision], ..ListTranscriptDecisionsResponse::default() })
    });
    fake.on(|request: Request<ListDeliveriesRequest>| {
        // Two pages.
        let request = request.into_inner();
        let is_first = request.page_token.is_empty();
        let delivery = Delivery {
            id: if is_first { "first".into() } else { "second".into() },
            status: DeliveryStatus::Sent.into(),
            contact_id: request.contact_id,
            subject: "canary mail".into(),
            ..Delivery::default()
        };
        let next_page_token = if is_first { "next".into() } else { String::new() };
        Ok(ListDeliveriesResponse { deliveries: vec![delivery], next_page_token })
    });
}

fn refuse_deliveries(fixture: &Fixture) {
    fixture
        .service
        .fake
        .on(|_: Request<ListDeliveriesRequest>| Err::<ListDeliveriesResponse, _>(Status::unavailable("for a test")));
}

fn request(contact_id: &str) -> ExportContactRequest {
    ExportContactRequest { contact_id: contact_id.into(), request_id: request_id() }
}

async fn export(fixture: &Fixture, contact_id: &str) -> Result<ContactJob, Status> {
    Ok(fixture.contact_jobs().export_contact(request(contact_id)).await?.into_inner().contact_job.unwrap())
}

async fn job(fixture: &Fixture, id: &str) -> ContactJob {
    let request = GetContactJobRequest { contact_job_id: id.into() };
    fixture.contact_jobs().get_contact_job(request).await.unwrap().into_inner().contact_job.unwrap()
}

async fn ended(fixture: &Fixture, id: &str) -> ContactJob {
    wait_for("the end of the export", || async {
        Some(job(fixture, id).await).filter(|job| job.status() != ContactJobStatus::Running)
    })
    .await
}

async fn exported(fixture: &Fixture, contact_id: &str) -> ContactJob {
    let job = export(fixture, contact_id).await.unwrap();
    let job = ended(fixture, &job.id).await;
    assert_eq!(job.status(), ContactJobStatus::Done, "{job:?}");
    job
}

async fn link(fixture: &Fixture, job: &ContactJob) -> Result<String, Status> {
    let request = CreateContactExportLinkRequest { contact_job_id: job.id.clone() };
    Ok(fixture.contact_jobs().create_contact_export_link(request).await?.into_inner().url)
}

/// The text of the file, and its records.
async fn read(fixture: &Fixture, job: &ContactJob) -> (String, Vec<Value>) {
    let (status, headers, bytes) = attachments::get(fixture, &link(fixture, job).await.unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], "application/jsonl");
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = records.last().unwrap();
    assert_eq!((&end["record"], end["records"].as_u64()), (&"end".into(), Some(records.len() as u64 - 1)));
    (text, records)
}

fn of_kind<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["record"] == kind).collect()
}

/// A chat of a visitor whose token vouches for the address, and its contact.
async fn chat_of_contact(fixture: &Fixture, visitor: &str, address: &str) -> (String, String) {
    let channel = fixture.channel().await;
    let mut chats = fixture.chats_with_address(visitor, address);
    let chat = chats.start_chat(start(&channel.id)).await.unwrap().into_inner().chat.unwrap().id;
    let contact_id = fixture.conversation(&chat).await.contact_id;
    (chat, contact_id)
}

fn assert_not_ready(refused: &Status, status: &str) {
    let expected = (Code::FailedPrecondition, "CONTACT_EXPORT_NOT_READY".to_owned());
    assert_eq!((refused.code(), reason(refused)), expected, "{refused:?}");
    assert_eq!(metadata(refused, "status"), status);
}

async fn x2_an_export_has_all_of_the_contact_and_nothing_of_another(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    let (other, _) = chat_of_contact(&fixture, "w", "sparrow@example.com").await;
    fixture.post(&other, "Sparrow text").await;
    let (chat, contact_id) = chat_of_contact(&fixture, "v", "canary.token@example.com").await;
    let update = UpdateContactRequest {
        contact_id: contact_id.clone(),
        name: Some("Canary Vera".into()),
        phone: Some("+39 canary".into()),
        external_id: Some("canary:7".into()),
        ..UpdateContactRequest::default()
    };
    fixture.contacts().update_contact(update).await.unwrap();
    let file = attachments::ready(&fixture, "v", &chat, "canary.txt", b"bytes").await;
    let mut chats = fixture.chats_with_address("v", "canary.token@example.com");
    chats.send_message(attachments::send(&chat, "Canary question", [&file])).await.unwrap();
    let comment = PostCommentRequest {
        conversation_id: chat.clone(),
        text: "Canary comment".into(),
        request_id: request_id(),
        ..PostCommentRequest::default()
    };
    fixture.threads(ADA).post_comment(comment).await.unwrap();
    let ticket = create_ticket::create(&fixture, &chat).await;
    close(&fixture, &chat).await;

    let job = exported(&fixture, &contact_id).await;
    assert_eq!((job.kind(), job.contact_id.as_str()), (ContactJobKind::Export, contact_id.as_str()));
    assert!(job.missing_services.is_empty() && job.end_time.is_some() && job.failure.is_empty(), "{job:?}");
    let (text, records) = read(&fixture, &job).await;
    assert!(!text.to_lowercase().contains("sparrow"), "{text}");
    let expected = ContactExported { contact_id: contact_id.clone(), contact_job_id: job.id.clone() };
    assert_eq!(fixture.service.appended::<ContactExported>().await, [expected]);

    let one = |kind: &str| match of_kind(&records, kind)[..] {
        [record] => record,
        ref other => panic!("{kind}: {other:?}"),
    };
    assert_eq!((&records[0], records[0]["format_version"].as_i64()), (one("export"), Some(1)));
    assert_eq!(one("export")["contact_job_id"], job.id);
    let contact = one("contact");
    assert_eq!((&contact["name"], &contact["phone"]), (&"Canary Vera".into(), &"+39 canary".into()));
    assert_eq!((&contact["external_id"], &contact["contact_id"]), (&"canary:7".into(), &contact_id.into()));
    assert_eq!(contact["emails"][0]["email"], "canary.token@example.com");
    assert_eq!(
        (one("visitor")["is_verified"].as_bool(), &one("conversation")["conversation_id"]),
        (Some(true), &chat.clone().into())
    );
    assert_eq!(one("close")["recipient_email"], "canary.token@example.com");
    assert_eq!((&one("ticket")["ticket_id"], &one("ticket")["subject"]), (&ticket.id.into(), &"Refund".into()));
    assert_eq!(
        (&one("attachment")["attachment_id"], &one("attachment")["file_name"]),
        (&file.into(), &"canary.txt".into())
    );
    let (status, _, bytes) = attachments::get(&fixture, one("attachment")["url"].as_str().unwrap()).await;
    assert_eq!((status, &bytes[..]), (StatusCode::OK, &b"bytes"[..]));

    let entries = of_kind(&records, "entry");
    assert_eq!(entries.len(), fixture.entries(&chat).await.len());
    let with_text = |text: &str| entries.iter().find(|entry| entry["content"]["text"] == text).unwrap();
    let (question, comment) = (with_text("Canary question"), with_text("Canary comment"));
    assert_eq!(
        (question["is_visible_to_visitor"].as_bool(), &question["author"]["kind"]),
        (Some(true), &"VISITOR".into())
    );
    assert_eq!(
        (comment["is_visible_to_visitor"].as_bool(), &comment["content"]["type"]),
        (Some(false), &"comment".into())
    );

    assert_eq!(
        (&one("assignment")["cause"], &one("assignment")["owner"]["kind"]),
        (&"BY_HAND".into(), &"AGENT".into())
    );
    assert_eq!(one("bot_session")["bot_session_id"], "session");
    assert_eq!(one("transcript_decision")["conversation_id"], chat);
    let deliveries: Vec<_> = of_kind(&records, "delivery").into_iter().map(|one| &one["delivery_id"]).collect();
    assert_eq!(deliveries, ["first", "second"]);
}

async fn x2_a_close_has_no_address_of_a_contact_to_whom_the_conversation_belonged_then(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    let before = create_contact::create(&fixture, "Bird", "sparrow@example.com").await;
    let contact = create_contact::create(&fixture, "Vera", "v@example.com").await;
    let chat = fixture.chat("v").await.id;
    let link = |contact_id: &str| LinkContactRequest { conversation_id: chat.clone(), contact_id: contact_id.into() };
    fixture.conversations(ADA).link_contact(link(&before.id)).await.unwrap();
    close(&fixture, &chat).await;
    let job = exported(&fixture, &before.id).await;
    let (_, records) = read(&fixture, &job).await;
    assert_eq!(of_kind(&records, "close")[0]["recipient_email"], "sparrow@example.com");
    fixture.conversations(ADA).link_contact(link(&contact.id)).await.unwrap();
    let job = exported(&fixture, &contact.id).await;
    let (text, records) = read(&fixture, &job).await;
    assert_eq!(of_kind(&records, "close").len(), 1);
    assert!(!text.contains("sparrow@example.com"), "{text}");
}

async fn x2_an_export_has_the_languages_of_the_contact_of_each_conversation_and_of_its_close(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    let update = UpdateSettingsRequest { language: Some("it".into()), ..UpdateSettingsRequest::default() };
    fixture.settings().update_settings(update).await.unwrap();
    let channel = fixture.create_channel(CreateChannelRequest { language: "fr".into(), ..new_channel() }).await;
    let mut chats = fixture.chats_with_address("v", "vera@example.com");
    let request = StartChatRequest { language: "pt-BR".into(), ..start(&channel.id) };
    let chat = chats.start_chat(request).await.unwrap().into_inner().chat.unwrap().id;
    close(&fixture, &chat).await;
    let contact_id = fixture.conversation(&chat).await.contact_id;
    let update = |contact_id: &str, language: &str| UpdateContactRequest {
        contact_id: contact_id.into(),
        language: Some(language.into()),
        ..UpdateContactRequest::default()
    };
    let mut contacts = fixture.contacts();
    let target = contacts.update_contact(update(&contact_id, "de")).await.unwrap().into_inner().contact.unwrap();
    let source = create_contact::create(&fixture, "Vera of old", "v@example.com").await;
    let source = contacts.update_contact(update(&source.id, "es")).await.unwrap().into_inner().contact.unwrap();
    let merge = MergeContactsRequest {
        source_contact_id: source.id,
        source_etag: source.etag,
        target_contact_id: target.id,
        target_etag: target.etag,
        request_id: request_id(),
    };
    contacts.merge_contacts(merge).await.unwrap();

    let job = exported(&fixture, &contact_id).await;
    let (_, records) = read(&fixture, &job).await;
    let one = |kind: &str| of_kind(&records, kind)[0].clone();
    assert_eq!(
        (&one("contact")["language"], &one("conversation")["start"]["language"]),
        (&"de".into(), &"pt-BR".into())
    );
    assert_eq!(one("merged_contact")["other_values"]["language"], "es");
    let close = one("close");
    assert_eq!((&close["channel_language"], &close["account_language"]), (&"fr".into(), &"it".into()));
}

async fn x2_c3_each_entry_of_a_long_thread_is_exported_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    let (chat, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    for number in 0..450 {
        fixture.post(&chat, &format!("text {number}")).await;
    }
    let job = exported(&fixture, &contact_id).await;
    let (_, records) = read(&fixture, &job).await;
    let sequences: Vec<i64> =
        of_kind(&records, "entry").into_iter().map(|entry| entry["sequence"].as_i64().unwrap()).collect();
    assert!(sequences.len() >= 450);
    assert_eq!(sequences, (1..=sequences.len() as i64).collect::<Vec<_>>());
}

async fn x2_an_export_says_which_service_is_missing_and_goes_on_when_it_answers(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    refuse_deliveries(&fixture);
    let (_, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let id = export(&fixture, &contact_id).await.unwrap().id;
    let waiting =
        wait_for("a failed attempt", || async { Some(job(&fixture, &id).await).filter(|job| !job.failure.is_empty()) })
            .await;
    assert_eq!(
        (waiting.status(), &waiting.missing_services[..]),
        (ContactJobStatus::Running, &["notification".to_owned()][..])
    );
    assert!(waiting.failure.starts_with("The notification service did not deliver its part"), "{waiting:?}");
    assert_not_ready(&link(&fixture, &waiting).await.unwrap_err(), "RUNNING");
    serve_parts(&fixture);
    fixture.service.clock.advance(Duration::from_secs(15)).unwrap();
    let done = ended(&fixture, &id).await;
    assert_eq!((done.status(), done.failure.as_str()), (ContactJobStatus::Done, ""));
    read(&fixture, &done).await;
}

async fn x2_an_export_that_fails_for_an_hour_ends_and_can_be_repeated(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    refuse_deliveries(&fixture);
    let (_, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let id = export(&fixture, &contact_id).await.unwrap().id;
    wait_until("a failed attempt", || async { !job(&fixture, &id).await.failure.is_empty() }).await;
    fixture.service.clock.advance(Duration::from_secs(3600)).unwrap();
    let failed = ended(&fixture, &id).await;
    assert_eq!((failed.status(), failed.file_expire_time), (ContactJobStatus::Failed, None));
    assert_eq!(failed.missing_services, ["notification"]);
    assert_not_ready(&link(&fixture, &failed).await.unwrap_err(), "FAILED");
    let expected = ContactExportFailed { contact_id: contact_id.clone(), contact_job_id: id.clone() };
    assert_eq!(fixture.service.appended::<ContactExportFailed>().await, [expected]);
    serve_parts(&fixture);
    assert_ne!(exported(&fixture, &contact_id).await.id, id);
}

async fn x2_a_long_export_delays_neither_another_one_nor_an_erasure(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    let contacts = [("a", "a@example.com"), ("b", "b@example.com"), ("c", "c@example.com")];
    let mut ids = Vec::new();
    for (visitor, address) in contacts {
        ids.push(chat_of_contact(&fixture, visitor, address).await.1);
    }
    let is_long = Arc::new(AtomicBool::new(true));
    let (long, contact) = (is_long.clone(), ids[0].clone());
    // Another page follows each until the test ends it.
    fixture.service.fake.on(move |request: Request<ListDeliveriesRequest>| {
        let is_long = request.get_ref().contact_id == contact && long.load(Ordering::SeqCst);
        let next_page_token = if is_long { "next".into() } else { String::new() };
        let delivery = Delivery { id: "one".into(), status: DeliveryStatus::Sent.into(), ..Delivery::default() };
        Ok(ListDeliveriesResponse { deliveries: vec![delivery], next_page_token })
    });
    let long_export = export(&fixture, &ids[0]).await.unwrap().id;
    wait_until("the long part", || async { fixture.service.fake.calls::<ListDeliveriesRequest>() > 2 }).await;

    exported(&fixture, &ids[1]).await;
    let erase = EraseContactRequest { contact_id: ids[2].clone(), request_id: request_id() };
    let erasure = fixture.contact_jobs().erase_contact(erase).await.unwrap().into_inner().contact_job.unwrap();
    wait_until("the part of the conversation service", || async {
        !job(&fixture, &erasure.id).await.missing_services.iter().any(|service| service == "conversation")
    })
    .await;

    assert_eq!(job(&fixture, &long_export).await.status(), ContactJobStatus::Running);
    is_long.store(false, Ordering::SeqCst);
    assert_eq!(ended(&fixture, &long_export).await.status(), ContactJobStatus::Done);
}

async fn x2_c12_one_export_of_a_contact_is_in_progress_also_of_twenty_calls_at_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    refuse_deliveries(&fixture);
    let (_, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let repeat = request(&contact_id);
    let jobs = twenty(|number| {
        let request = if number % 2 == 0 { repeat.clone() } else { request(&contact_id) };
        let mut jobs = fixture.contact_jobs();
        async move { jobs.export_contact(request).await.unwrap().into_inner().contact_job.unwrap().id }
    })
    .await;
    assert!(jobs.iter().all(|id| *id == jobs[0]), "{jobs:?}");
    wait_until("a failed attempt", || async { !job(&fixture, &jobs[0]).await.failure.is_empty() }).await;
    serve_parts(&fixture);
    fixture.service.clock.advance(Duration::from_secs(15)).unwrap();
    ended(&fixture, &jobs[0]).await;
    let mut calls = fixture.contact_jobs();
    let again = calls.export_contact(repeat.clone()).await.unwrap().into_inner().contact_job.unwrap();
    assert_eq!((again.id.as_str(), again.status()), (jobs[0].as_str(), ContactJobStatus::Done));
    let other = ExportContactRequest { contact_id: new_id().to_string(), ..repeat };
    assert_eq!(reason(&calls.export_contact(other).await.unwrap_err()), "REQUEST_ID_REUSED");
    // A new call after the end is a new export.
    assert_ne!(exported(&fixture, &contact_id).await.id, jobs[0]);
    let listed = calls.list_contact_jobs(ListContactJobsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.contact_jobs.len(), 2);
}

async fn x2_the_file_of_an_export_is_removed_after_a_week(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    let (_, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let done = exported(&fixture, &contact_id).await;
    let url = link(&fixture, &done).await.unwrap();
    assert_eq!(attachments::get(&fixture, &url).await.0, StatusCode::OK);
    // The link ends before the file.
    fixture.service.clock.advance(Duration::from_secs(3601)).unwrap();
    assert_eq!(attachments::get(&fixture, &url).await.0, StatusCode::FORBIDDEN);
    read(&fixture, &done).await;
    fixture.service.clock.advance(WEEK).unwrap();
    let removed = wait_for("the removal of the file", || async {
        Some(job(&fixture, &done.id).await).filter(|job| job.file_expire_time.is_none())
    })
    .await;
    assert_eq!(removed.status(), ContactJobStatus::Done);
    assert_not_ready(&link(&fixture, &done).await.unwrap_err(), "DONE");
}

async fn x2_the_file_of_an_export_is_erased_with_the_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    let (_, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let done = exported(&fixture, &contact_id).await;
    let url = link(&fixture, &done).await.unwrap();
    let erase = EraseContactRequest { contact_id: contact_id.clone(), request_id: request_id() };
    let erasure = fixture.contact_jobs().erase_contact(erase).await.unwrap().into_inner().contact_job.unwrap();
    wait_until("the part of the conversation service", || async {
        !job(&fixture, &erasure.id).await.missing_services.iter().any(|service| service == "conversation")
    })
    .await;
    assert_eq!(attachments::get(&fixture, &url).await.0, StatusCode::NOT_FOUND);
    assert_eq!(job(&fixture, &done.id).await.file_expire_time, None);
    let refused = export(&fixture, &contact_id).await.unwrap_err();
    assert_eq!((refused.code(), metadata(&refused, "erased")), (Code::NotFound, "true".into()));
}

async fn x2_an_export_of_a_contact_that_is_erased_meanwhile_ends_without_a_file(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    refuse_deliveries(&fixture);
    let (_, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let id = export(&fixture, &contact_id).await.unwrap().id;
    wait_until("a failed attempt", || async { !job(&fixture, &id).await.failure.is_empty() }).await;
    let erase = EraseContactRequest { contact_id, request_id: request_id() };
    fixture.contact_jobs().erase_contact(erase).await.unwrap();
    serve_parts(&fixture);
    let ended = wait_for("the end of the export", || async {
        // The next attempt, and the next one of the erasure.
        fixture.service.clock.advance(Duration::from_secs(15)).unwrap();
        Some(job(&fixture, &id).await).filter(|job| job.status() != ContactJobStatus::Running)
    })
    .await;
    assert_eq!((ended.status(), ended.file_expire_time), (ContactJobStatus::Failed, None));
    assert_eq!(fixture.service.appended::<ContactExportFailed>().await.len(), 1);
    assert!(fixture.service.appended::<ContactExported>().await.is_empty());
}

async fn x2a_the_id_of_a_merged_contact_exports_the_one_that_is_left(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    let source = create_contact::create(&fixture, "Vera of old", "vera@example.com").await;
    let target = create_contact::create(&fixture, "Vera", "v@example.com").await;
    let merge = MergeContactsRequest {
        source_contact_id: source.id.clone(),
        source_etag: source.etag,
        target_contact_id: target.id.clone(),
        target_etag: target.etag,
        request_id: request_id(),
    };
    fixture.contacts().merge_contacts(merge).await.unwrap();
    let job = exported(&fixture, &source.id).await;
    assert_eq!(job.contact_id, target.id);
    let (_, records) = read(&fixture, &job).await;
    let merged = of_kind(&records, "merged_contact");
    assert_eq!((merged.len(), &merged[0]["contact_id"]), (1, &source.id.clone().into()));
    assert_eq!(merged[0]["other_values"]["name"], "Vera of old");
    assert_eq!(of_kind(&records, "contact")[0]["emails"].as_array().unwrap().len(), 2);
    // Mails to the merged contact keep its id.
    let contacts: Vec<_> = of_kind(&records, "delivery").into_iter().map(|one| &one["contact_id"]).collect();
    assert!(contacts.iter().any(|id| **id == source.id) && contacts.iter().any(|id| **id == target.id), "{contacts:?}");
}

async fn x2_without_a_public_address_nothing_is_exported(mode: Mode) {
    let fixture = Fixture::start_with(mode, |settings| settings.public_url.clear()).await;
    let contact = create_contact::create(&fixture, "Vera", "vera@example.com").await;
    let refused = export(&fixture, &contact.id).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "ATTACHMENTS_DISABLED"));
    let listed = fixture.contact_jobs().list_contact_jobs(ListContactJobsRequest::default()).await.unwrap();
    assert!(listed.into_inner().contact_jobs.is_empty());
}

async fn x2_agents_export_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (_, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let permit = |claims: &mut frontdesk_auth::Claims| claims.permissions = vec!["contacts.export".into()];
    let agent = fixture.service.calls_with(fixture.account, CallerKind::Agent, &ADA.to_string(), permit);
    let without = |claims: &mut frontdesk_auth::Claims| claims.permissions = vec!["contacts.erase".into()];
    let admin = fixture.service.calls_with(fixture.account, CallerKind::Admin, "root", without);
    for calls in [agent, admin] {
        let refused = ContactJobServiceClient::new(calls).export_contact(request(&contact_id)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
}

async fn s2_another_accounts_contact_or_export_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_parts(&fixture);
    let (_, contact_id) = chat_of_contact(&fixture, "v", "vera@example.com").await;
    let done = exported(&fixture, &contact_id).await;
    let elsewhere = fixture.in_another_account();
    let mut jobs = ContactJobServiceClient::new(elsewhere.as_admin());
    let refused = jobs.export_contact(request(&contact_id)).await.unwrap_err();
    assert_eq!((refused.code(), metadata(&refused, "resource")), (Code::NotFound, "contact".into()));
    let request = CreateContactExportLinkRequest { contact_job_id: done.id };
    assert_eq!(jobs.create_contact_export_link(request).await.unwrap_err().code(), Code::NotFound);
}
