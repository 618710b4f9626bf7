//! A mail server that hangs, at each stage of the exchange (row R18): the worker gives up after its timeout, and sends the next mail.

use std::time::Duration;

use frontdesk_notification::{NotificationSettings, SmtpSettings};
use frontdesk_proto::notification::v1::DeliveryStatus;
use frontdesk_testkit::{Mode, on_both_modes, wait_for};

use crate::{
    fixture::{ADDRESS, Fixture, smtp},
    mail_server::MailServer,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Maximum duration of a step of the exchange.
const STEP: Duration = Duration::from_secs(1);

/// Maximum duration from the end of a mail to the response.
const ACCEPTANCE: Duration = Duration::from_secs(2);

/// How much longer than its timeout the worker may wait where other tests run: the chaos row R18 measures it.
const MARGIN: Duration = Duration::from_secs(5);

on_both_modes!(
    r18_a_worker_is_free_after_a_server_that_sends_no_banner,
    r18_a_worker_is_free_after_a_server_that_hangs_at_ehlo,
    r18_a_worker_is_free_after_a_server_that_hangs_at_mail,
    r18_a_worker_is_free_after_a_server_that_hangs_at_rcpt,
    r18_a_worker_is_free_after_a_server_that_hangs_at_data,
    r18_a_worker_is_free_after_a_server_that_hangs_at_the_end_of_the_mail,
    r18_a_worker_is_free_after_a_server_that_hangs_at_quit,
);

/// One worker, whose first mail hangs at this stage. Returns the status that this mail has then, its last response, and the number of
/// mails that the server has.
async fn hang_at(mode: Mode, stage: &'static str, timeout: Duration) -> (DeliveryStatus, String, usize) {
    let server = MailServer::start_hanging(stage).await;
    let settings = smtp(server.port, HOUR);
    // A connection ends with QUIT after its last mail.
    let mails_per_connection = if stage == "QUIT" { 1 } else { settings.smtp.mails_per_connection };
    let timeouts =
        SmtpSettings { timeout: STEP, acceptance_timeout: ACCEPTANCE, mails_per_connection, ..settings.smtp };
    let settings = NotificationSettings { smtp: timeouts, deliveries_at_once: 1, ..settings };
    let fixture = Fixture::start_with(mode, settings).await;
    let hung = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    fixture.account.wait_for_delivery(&hung, |delivery| delivery.attempt_count == 1).await;
    let next = fixture.account.create_sender("next@acme.example", "2").await.unwrap().delivery_id;
    let sent = fixture.account.wait_for_status(&next, DeliveryStatus::Sent).await;
    assert_eq!(sent.attempt_count, 1);
    let waited = wait_for("the end of the connection", || async { server.waited() }).await;
    assert!(waited < timeout + MARGIN, "{stage}: {waited:?}");
    let hung = fixture.account.delivery(&hung).await.unwrap();
    assert_eq!(hung.attempt_count, 1, "{hung:?}");
    (hung.status(), hung.last_response, server.mails())
}

/// At a stage before the mail it is tried again, and the server has only the next one.
async fn hangs_before_the_mail(mode: Mode, stage: &'static str) {
    let (status, response, mails) = hang_at(mode, stage, STEP).await;
    assert_eq!((status, mails), (DeliveryStatus::Queued, 1), "{response}");
    assert!(response.contains("no answer"), "{response}");
}

async fn r18_a_worker_is_free_after_a_server_that_sends_no_banner(mode: Mode) {
    hangs_before_the_mail(mode, "banner").await;
}

async fn r18_a_worker_is_free_after_a_server_that_hangs_at_ehlo(mode: Mode) {
    hangs_before_the_mail(mode, "EHLO").await;
}

async fn r18_a_worker_is_free_after_a_server_that_hangs_at_mail(mode: Mode) {
    hangs_before_the_mail(mode, "MAIL").await;
}

async fn r18_a_worker_is_free_after_a_server_that_hangs_at_rcpt(mode: Mode) {
    hangs_before_the_mail(mode, "RCPT").await;
}

async fn r18_a_worker_is_free_after_a_server_that_hangs_at_data(mode: Mode) {
    hangs_before_the_mail(mode, "DATA").await;
}

/// The server may have accepted the mail: it is sent once more, after the pause.
async fn r18_a_worker_is_free_after_a_server_that_hangs_at_the_end_of_the_mail(mode: Mode) {
    let (status, response, mails) = hang_at(mode, ".", ACCEPTANCE).await;
    assert_eq!((status, mails), (DeliveryStatus::Queued, 2), "{response}");
    assert!(response.contains("no answer to the mail"), "{response}");
}

/// The mail was accepted before.
async fn r18_a_worker_is_free_after_a_server_that_hangs_at_quit(mode: Mode) {
    let (status, response, mails) = hang_at(mode, "QUIT", STEP).await;
    assert_eq!((status, mails, response.as_str()), (DeliveryStatus::Sent, 2, "250 ok"));
}
