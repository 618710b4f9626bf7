//! `SuppressionService`, and what a suppressed address keeps back: rules T2, T3, T4, T8, X1, S2, S4, C12.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    conversation::v1::ConversationStatus,
    notification::{
        internal::v1::{MailAddressCodeRequest, address_code_service_client::AddressCodeServiceClient},
        v1::{
            BounceKind, CreateSuppressionRequest, DeleteSuppressionRequest, DeliveryStatus, ExplainTranscriptRequest,
            GetSuppressionRequest, ListSuppressionsRequest, ReportBounceRequest, SkipReason, Suppression,
            SuppressionReason, report_bounce_request::Mail,
        },
    },
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Request, Status};

use crate::{
    chat::{Chat, closed_event, facts},
    fixture::{Account, Fixture, smtp, twenty_at_once},
    mail_server::MailServer,
};

on_both_modes!(
    t2_t8_an_address_that_the_mail_server_blames_gets_no_further_transcript,
    t8_a_refusal_without_a_code_about_the_address_suppresses_nobody,
    t8_a_refused_sender_address_can_still_be_mailed_its_code,
    t4_a_transcript_by_hand_to_a_suppressed_address_is_refused_until_it_is_allowed_again,
    t8_a_mail_that_waits_fails_when_its_recipient_is_suppressed,
    x1_no_code_is_mailed_to_a_suppressed_address,
    t8_a_report_suppresses_only_what_it_blames_and_a_repeat_changes_nothing,
    t8_a_report_that_blames_the_address_counts_after_a_hard_one_that_does_not,
    t8_a_report_finds_the_mail_by_its_message_id,
    s4_a_complaint_suppresses_every_spelling_of_the_mailbox,
    c12_a_repeat_adds_an_address_once_also_twenty_at_once,
    s4_addresses_are_found_in_any_case_and_listed_in_pages,
    x2_after_an_erasure_the_address_stays_suppressed_and_is_not_named,
    t3_an_open_chat_is_explained_by_a_forecast_also_of_a_suppressed_address,
    s2_another_accounts_suppressions_do_not_exist,
);

const SHORT: Duration = Duration::from_millis(20);
const HOUR: Duration = Duration::from_secs(3600);
/// The address that the closes of a [`Chat`] have stored.
const VERA: &str = "second@vera.example";

async fn add(account: &Account, email: &str, id: &str) -> Result<Suppression, Status> {
    let request = CreateSuppressionRequest { email: email.into(), request_id: id.into() };
    Ok(account.suppressions().create_suppression(request).await?.into_inner().suppression.unwrap())
}

async fn list(account: &Account, email: &str) -> Vec<Suppression> {
    let request = ListSuppressionsRequest { email: email.into(), ..Default::default() };
    account.suppressions().list_suppressions(request).await.unwrap().into_inner().suppressions
}

async fn remove(account: &Account, id: &str) -> Result<(), Status> {
    let request = DeleteSuppressionRequest { suppression_id: id.into() };
    account.suppressions().delete_suppression(request).await.map(drop)
}

async fn report(account: &Account, mail: Mail, kind: BounceKind, code: &str) -> Result<Option<Suppression>, Status> {
    let request = ReportBounceRequest { mail: Some(mail), kind: kind.into(), status_code: code.into() };
    Ok(account.suppressions().report_bounce(request).await?.into_inner().suppression)
}

/// A chat whose transcript was mailed, and its delivery.
async fn mailed(mode: Mode) -> (Chat, String) {
    let chat = Chat::closed(mode).await;
    let delivery = chat.deliver_until(DeliveryStatus::Sent).await.id;
    (chat, delivery)
}

async fn t2_t8_an_address_that_the_mail_server_blames_gets_no_further_transcript(mode: Mode) {
    let server = MailServer::start(&["550 5.1.1 no such user"]).await;
    let chat = Chat::closed_with(mode, smtp(server.port, SHORT)).await;
    let refused = chat.deliver_until(DeliveryStatus::Failed).await;
    let listed = list(chat.account(), "").await;
    assert_eq!((listed.len(), listed[0].email.as_str(), listed[0].reason()), (1, VERA, SuppressionReason::Refused));
    assert_eq!((listed[0].status_code.as_str(), &listed[0].delivery_id), ("5.1.1", &refused.id));

    chat.change(|answers| answers.facts.push(facts(chat.contact, VERA)));
    chat.fixture.service.publish("conversation", chat.account().id, &closed_event(chat.id, 2, chat.contact)).await;
    chat.fixture.service.settled().await;
    let decision = chat.explain(2).await.unwrap().decision.unwrap();
    assert_eq!((decision.send, decision.skip_reason()), (false, SkipReason::Suppressed));
    assert!(decision.explanation.contains("not mailed any more"), "{decision:?}");
    assert_eq!(server.mails(), 1);
}

async fn t8_a_refusal_without_a_code_about_the_address_suppresses_nobody(mode: Mode) {
    let server = MailServer::start(&["550 no such user"]).await;
    let chat = Chat::closed_with(mode, smtp(server.port, SHORT)).await;
    chat.deliver_until(DeliveryStatus::Failed).await;
    assert!(list(chat.account(), "").await.is_empty());
}

async fn t8_a_refused_sender_address_can_still_be_mailed_its_code(mode: Mode) {
    let server = MailServer::start(&["550 5.1.1 no such user", "250 ok"]).await;
    let fixture = Fixture::start_with(mode, smtp(server.port, SHORT)).await;
    let first = fixture.account.create_sender("new@acme.example", "1").await.unwrap().delivery_id;
    fixture.account.wait_for_status(&first, DeliveryStatus::Failed).await;
    assert!(list(&fixture.account, "").await.is_empty());
    let second = fixture.account.create_sender("new@acme.example", "2").await.unwrap().delivery_id;
    fixture.account.wait_for_status(&second, DeliveryStatus::Sent).await;
}

async fn t4_a_transcript_by_hand_to_a_suppressed_address_is_refused_until_it_is_allowed_again(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let added = add(chat.account(), VERA, "1").await.unwrap();
    let request = chat.send_request(chat.contact);
    let refused = chat.send(request.clone()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "RECIPIENT_SUPPRESSED"));
    for _ in 0..2 {
        remove(chat.account(), &added.id).await.unwrap();
    }
    let delivery = chat.send(request).await.unwrap();
    chat.account().wait_for_status(&delivery.id, DeliveryStatus::Sent).await;
}

async fn t8_a_mail_that_waits_fails_when_its_recipient_is_suppressed(mode: Mode) {
    let server = MailServer::start(&["451 later", "250 ok"]).await;
    let chat = Chat::closed_with(mode, smtp(server.port, HOUR)).await;
    let id = chat.decide().await.delivery.unwrap().id;
    let waits = |delivery: &frontdesk_proto::notification::v1::Delivery| {
        delivery.attempt_count == 1 && delivery.status() == DeliveryStatus::Queued
    };
    chat.account().wait_for_delivery(&id, waits).await;
    let added = add(chat.account(), VERA, "1").await.unwrap();
    chat.fixture.service.clock.advance(2 * HOUR).unwrap();
    let failed = chat.account().wait_for_status(&id, DeliveryStatus::Failed).await;
    assert!(failed.failure.contains("not mailed any more"), "{failed:?}");
    remove(chat.account(), &added.id).await.unwrap();
    chat.account().retry(&id).await.unwrap();
    chat.account().wait_for_status(&id, DeliveryStatus::Sent).await;
    assert_eq!(server.mails(), 2);
}

async fn x1_no_code_is_mailed_to_a_suppressed_address(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    add(&fixture.account, "vera@visitor.example", "1").await.unwrap();
    let calls = fixture.service.calls(fixture.account.id, CallerKind::Service, "conversation");
    let mut codes = AddressCodeServiceClient::new(calls);
    let mut mail = async |email: &str| {
        let message = MailAddressCodeRequest { email: email.into(), request_id: request_id(), ..Default::default() };
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-frontdesk-account", fixture.account.id.to_string().parse().unwrap());
        request.metadata_mut().insert("x-frontdesk-actor", "visitor:v".parse().unwrap());
        codes.mail_address_code(request).await.unwrap().into_inner().suppressed
    };
    add(&fixture.account, "anna+chat@visitor.example", "2").await.unwrap();
    for suppressed in ["Vera@visitor.example", "vera+again@visitor.example", "Anna+chat@visitor.example"] {
        assert!(mail(suppressed).await, "{suppressed}");
    }
    // A server that refuses a tag may know the address without it.
    assert!(!mail("other@visitor.example").await && !mail("anna@visitor.example").await);
    assert_eq!(fixture.account.list_deliveries().await.len(), 2);
}

async fn t8_a_report_suppresses_only_what_it_blames_and_a_repeat_changes_nothing(mode: Mode) {
    let (chat, id) = mailed(mode).await;
    let (account, mail) = (chat.account(), || Mail::DeliveryId(id.clone()));
    assert_eq!(report(account, mail(), BounceKind::Soft, "4.2.2").await.unwrap(), None);
    assert_eq!(report(account, mail(), BounceKind::Hard, "5.7.1").await.unwrap(), None);
    let bounce = account.delivery(&id).await.unwrap().bounce.unwrap();
    assert_eq!((bounce.kind(), bounce.status_code.as_str()), (BounceKind::Hard, "5.7.1"));
    // A weaker report, and the same again, say nothing new.
    chat.fixture.service.clock.advance(HOUR).unwrap();
    assert_eq!(report(account, mail(), BounceKind::Soft, "").await.unwrap(), None);
    assert_eq!(account.delivery(&id).await.unwrap().bounce.unwrap(), bounce);

    let complained = report(account, mail(), BounceKind::Complaint, "").await.unwrap().unwrap();
    assert_eq!((complained.email.as_str(), complained.reason()), (VERA, SuppressionReason::Complained));
    let again = report(account, mail(), BounceKind::Complaint, "").await.unwrap().unwrap();
    assert_eq!(again, complained);
    remove(account, &complained.id).await.unwrap();
    assert_eq!(report(account, mail(), BounceKind::Complaint, "").await.unwrap(), None, "it was allowed since");
    assert!(list(account, "").await.is_empty());
    let unspecified = report(account, mail(), BounceKind::Unspecified, "").await.unwrap_err();
    assert_eq!(unspecified.code(), Code::InvalidArgument);
}

async fn t8_a_report_that_blames_the_address_counts_after_a_hard_one_that_does_not(mode: Mode) {
    let (chat, id) = mailed(mode).await;
    let (account, mail) = (chat.account(), || Mail::DeliveryId(id.clone()));
    assert_eq!(report(account, mail(), BounceKind::Hard, "").await.unwrap(), None);
    let bounced = report(account, mail(), BounceKind::Hard, "5.1.1").await.unwrap().unwrap();
    assert_eq!((bounced.reason(), bounced.status_code.as_str()), (SuppressionReason::Bounced, "5.1.1"));
    assert_eq!(account.delivery(&id).await.unwrap().bounce.unwrap().status_code, "5.1.1");
    remove(account, &bounced.id).await.unwrap();
    assert_eq!(report(account, mail(), BounceKind::Hard, "5.1.1").await.unwrap(), None, "it was allowed since");
}

async fn t8_a_report_finds_the_mail_by_its_message_id(mode: Mode) {
    let (chat, id) = mailed(mode).await;
    let message_id = chat.account().delivery(&id).await.unwrap().mail_message_id;
    let bare = message_id.trim_matches(['<', '>']).to_owned();
    let first = report(chat.account(), Mail::MailMessageId(message_id), BounceKind::Hard, "5.1.1").await.unwrap();
    let again = report(chat.account(), Mail::MailMessageId(bare), BounceKind::Hard, "5.1.1").await.unwrap();
    let first = first.unwrap();
    assert_eq!((first.reason(), &first.delivery_id), (SuppressionReason::Bounced, &id));
    assert_eq!(again, Some(first));
    let unknown = Mail::MailMessageId("nothing@acme.example".into());
    let refused = report(chat.account(), unknown, BounceKind::Hard, "5.1.1").await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}

async fn s4_a_complaint_suppresses_every_spelling_of_the_mailbox(mode: Mode) {
    let chat = Chat::closed(mode).await;
    chat.change(|answers| answers.facts[0].recipient_email = "second+chat@vera.example".into());
    let id = chat.deliver_until(DeliveryStatus::Sent).await.id;
    let complained = report(chat.account(), Mail::DeliveryId(id), BounceKind::Complaint, "").await.unwrap().unwrap();
    assert_eq!(complained.email, "second+chat@vera.example", "the address of the mail");
    for spelling in [VERA, "second+chat@vera.example", "Second+other@vera.example"] {
        assert_eq!(list(chat.account(), spelling).await, std::slice::from_ref(&complained), "{spelling}");
    }
    assert!(list(chat.account(), "first@vera.example").await.is_empty());
    chat.change(|answers| answers.facts.push(facts(chat.contact, VERA)));
    chat.fixture.service.publish("conversation", chat.account().id, &closed_event(chat.id, 2, chat.contact)).await;
    chat.fixture.service.settled().await;
    assert_eq!(chat.explain(2).await.unwrap().decision.unwrap().skip_reason(), SkipReason::Suppressed);
}

async fn c12_a_repeat_adds_an_address_once_also_twenty_at_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let account = fixture.account.clone();
    let added = twenty_at_once(move |number| {
        let account = account.clone();
        // The same request, and others for the same address.
        async move { add(&account, "vera@visitor.example", &(number % 2).to_string()).await.unwrap() }
    })
    .await;
    assert!(added.windows(2).all(|pair| pair[0] == pair[1]), "{added:?}");
    assert_eq!(fixture.count("FROM suppressions").await, 1);
    let reused = add(&fixture.account, "other@visitor.example", "0").await.unwrap_err();
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
}

async fn s4_addresses_are_found_in_any_case_and_listed_in_pages(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    assert!(list(&fixture.account, "Anna@visitor.example").await.is_empty(), "the account suppressed nobody");
    let mut ids = Vec::new();
    for name in ["anna", "berta", "carla"] {
        ids.push(add(&fixture.account, &format!("{name}@visitor.example"), name).await.unwrap().id);
    }
    let anna = list(&fixture.account, "ANNA@visitor.example").await;
    assert_eq!((anna.len(), &anna[0].id, anna[0].reason()), (1, &ids[0], SuppressionReason::Added));
    assert_eq!(anna[0].email, "", "no row has the address");
    let mut request = ListSuppressionsRequest { page_size: 2, ..Default::default() };
    let mut listed = Vec::new();
    loop {
        let page = fixture.account.suppressions().list_suppressions(request.clone()).await.unwrap().into_inner();
        listed.extend(page.suppressions.into_iter().map(|one| one.id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    ids.reverse();
    assert_eq!(listed, ids);
}

async fn x2_after_an_erasure_the_address_stays_suppressed_and_is_not_named(mode: Mode) {
    let (chat, id) = mailed(mode).await;
    report(chat.account(), Mail::DeliveryId(id.clone()), BounceKind::Complaint, "").await.unwrap();
    crate::erase_contact::erase(&chat).await;
    let listed = list(chat.account(), VERA).await;
    assert_eq!((listed.len(), listed[0].email.as_str(), &listed[0].delivery_id), (1, "", &id));
    // What is reported later has no address to suppress.
    remove(chat.account(), &listed[0].id).await.unwrap();
    assert_eq!(report(chat.account(), Mail::DeliveryId(id), BounceKind::Complaint, "").await.unwrap(), None);
}

async fn t3_an_open_chat_is_explained_by_a_forecast_also_of_a_suppressed_address(mode: Mode) {
    let chat = Chat::closed(mode).await;
    chat.deliver_until(DeliveryStatus::Sent).await;
    chat.change(|answers| answers.conversation.status = ConversationStatus::Open.into());
    let forecast = async || {
        let request =
            ExplainTranscriptRequest { conversation_id: chat.id.to_string(), close_number: 2, forecast: true };
        chat.account().transcripts().explain_transcript(request).await.unwrap().into_inner()
    };
    assert_eq!(forecast().await.decision.unwrap().skip_reason(), SkipReason::RecentlyMailed);
    chat.fixture.service.clock.advance(Duration::from_secs(11 * 60)).unwrap();
    let foreseen = forecast().await;
    let decision = foreseen.decision.unwrap();
    assert_eq!((decision.id.as_str(), decision.close_number, decision.send), ("", 2, true));
    assert_eq!(foreseen.delivery, None);
    add(chat.account(), VERA, "1").await.unwrap();
    assert_eq!(forecast().await.decision.unwrap().skip_reason(), SkipReason::Suppressed);
    assert_eq!(chat.previewed_decision().await.skip_reason(), SkipReason::Suppressed);
    assert_eq!(reason(&chat.explain(2).await.unwrap_err()), "NOT_CLOSED");
}

async fn s2_another_accounts_suppressions_do_not_exist(mode: Mode) {
    let (chat, id) = mailed(mode).await;
    let ours = report(chat.account(), Mail::DeliveryId(id.clone()), BounceKind::Complaint, "").await.unwrap().unwrap();
    let other = chat.fixture.other_account();
    let request = GetSuppressionRequest { suppression_id: ours.id.clone() };
    let found = chat.account().suppressions().get_suppression(request.clone()).await.unwrap().into_inner();
    assert_eq!(found.suppression.as_ref(), Some(&ours));
    for refused in [
        other.suppressions().get_suppression(request).await.map(drop).unwrap_err(),
        remove(&other, &ours.id).await.unwrap_err(),
        remove(&other, &new_id().to_string()).await.unwrap_err(),
        report(&other, Mail::DeliveryId(id), BounceKind::Complaint, "").await.map(drop).unwrap_err(),
    ] {
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
    assert!(list(&other, "").await.is_empty() && list(&other, VERA).await.is_empty());
    assert_ne!(add(&other, VERA, "1").await.unwrap().id, ours.id, "each account has its own");
}
