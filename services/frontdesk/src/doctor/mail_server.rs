//! The mail server: its name, TLS, authentication, and its maximum size of a mail. No mail is sent.

use frontdesk_notification::{MIN_TRANSCRIPT_BYTES, SmtpTls, inspect_mail_server};

use super::Finding;
use crate::{Service, Settings};

pub(super) async fn check(settings: &Settings, services: &[Service]) -> Vec<Finding> {
    let (notification, smtp) = (&settings.notification, &settings.notification.smtp);
    if !services.contains(&Service::Notification) {
        return vec![Finding::skipped("notification.smtp", "this service sends no mails")];
    }
    if smtp.host.is_empty() {
        return vec![Finding::skipped(
            "notification.smtp.host",
            "it is not set: mails are written to the folder mailbox",
        )];
    }
    let subject = format!("notification.smtp.host = {}, port {}", smtp.host, smtp.port());
    let server = match inspect_mail_server(smtp).await {
        Ok(server) => server,
        Err(error) => {
            let remedy =
                "check host, port, tls, username, password and ca_path in notification.smtp, and ask the server's log";
            return vec![Finding::failure(subject, error, remedy)];
        }
    };
    let mut findings = Vec::new();
    if let Some(warning) = server.warning {
        findings.push(Finding::warning("notification.smtp.helo_name", warning, "set a full host name"));
    }
    if smtp.tls == SmtpTls::None && !is_local(&smtp.host) {
        let wrong = "mails cross the network without TLS";
        findings.push(Finding::warning("notification.smtp.tls", wrong, "set it to starttls or implicit"));
    }
    let size = server.max_bytes;
    let limit = notification.transcript_max_bytes;
    match size {
        Some(max_bytes) if max_bytes < MIN_TRANSCRIPT_BYTES => {
            let wrong =
                format!("the server takes mails of at most {max_bytes} bytes, which is less than a transcript has");
            let remedy = format!("let it take at least {MIN_TRANSCRIPT_BYTES} bytes, better {limit}");
            findings.push(Finding::failure(subject, wrong, remedy));
        }
        Some(max_bytes) if max_bytes < limit => {
            let wrong = format!(
                "the server takes mails of at most {max_bytes} bytes, and notification.transcript_max_bytes is {limit}: longer \
                 transcripts are tried, refused, and sent shortened"
            );
            let remedy = "raise the maximum of the server, or lower notification.transcript_max_bytes";
            findings.push(Finding::warning(subject, wrong, remedy));
        }
        size => {
            let size =
                size.map_or("no maximum size is announced".into(), |size| format!("mails of up to {size} bytes"));
            let login = if smtp.username.is_empty() { "without authentication" } else { "authenticated" };
            findings.push(Finding::ok(subject, format!("it accepts connections, {login}; {size}")));
        }
    }
    findings
}

fn is_local(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
