//! Sends mails to a mail server, one step of the SMTP exchange at a time: only a failure between the first byte of the mail
//! and the server's response to it has an unknown outcome.

use std::{future::Future, net::IpAddr, path::Path, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail as MailCommand, Quit, Rcpt},
        extension::{ClientId, MailBodyParameter, MailParameter},
        response::{Response, Severity},
    },
};
use tokio::{net::TcpStream, time::timeout};

use super::{Mail, TransportError};
use crate::{
    domain::AttemptOutcome,
    mail::server_response,
    settings::{SmtpSettings, SmtpTls},
};

/// See [`super::Transport::Smtp`].
#[derive(Clone)]
pub(crate) struct Smtp {
    host: String,
    port: u16,
    tls: SmtpTls,
    tls_parameters: Option<TlsParameters>,
    credentials: Option<Credentials>,
    hello: ClientId,
    /// Maximum duration of one step of the exchange.
    step_timeout: Duration,
}

impl Smtp {
    pub(crate) fn try_new(settings: &SmtpSettings) -> Result<Self, TransportError> {
        let tls_parameters = match settings.tls {
            SmtpTls::None => None,
            SmtpTls::Starttls | SmtpTls::Implicit => Some(tls_parameters(settings)?),
        };
        if settings.tls == SmtpTls::None && !settings.username.is_empty() && !is_loopback(&settings.host) {
            let reason = "a password is not sent without encryption: set tls to starttls or implicit";
            return Err(TransportError(reason.into()));
        }
        let credentials = (!settings.username.is_empty())
            .then(|| Credentials::new(settings.username.clone(), settings.password.expose().to_owned()));
        let hello = match settings.helo_name.as_str() {
            "" => ClientId::default(),
            name => ClientId::Domain(name.to_owned()),
        };
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port(),
            tls: settings.tls,
            tls_parameters,
            credentials,
            hello,
            step_timeout: settings.timeout,
        })
    }

    pub(crate) async fn send(&self, mail: &Mail) -> AttemptOutcome {
        match self.exchange(mail).await {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    /// Runs the exchange. An error ends it early, with the outcome.
    async fn exchange(&self, mail: &Mail) -> Result<AttemptOutcome, AttemptOutcome> {
        let (from, to) = (envelope(&mail.from)?, envelope(&mail.to)?);
        let mut connection = self.connect().await?;
        // Composed mails are ASCII; other bytes must be announced with 8BITMIME.
        let body =
            if mail.bytes.is_ascii() { vec![] } else { vec![MailParameter::Body(MailBodyParameter::EightBitMime)] };
        self.command("MAIL", connection.command(MailCommand::new(Some(from), body))).await?;
        self.command("RCPT", connection.command(Rcpt::new(to, vec![]))).await?;
        self.command("DATA", connection.command(Data)).await?;
        let outcome = match timeout(self.step_timeout, connection.message(&mail.bytes)).await {
            Ok(Ok(response)) => accepted(&response),
            Ok(Err(error)) => answered(&error).unwrap_or_else(|| AttemptOutcome::Unknown(response_text(&error))),
            Err(_) => {
                let no_answer = format!("no answer to the mail within {:?}", self.step_timeout);
                return Ok(AttemptOutcome::Unknown(no_answer));
            }
        };
        // The outcome does not depend on QUIT.
        let _ = timeout(self.step_timeout.min(Duration::from_secs(1)), connection.command(Quit)).await;
        Ok(outcome)
    }

    /// Connects, greets and authenticates. A refusal before MAIL does not concern the mail itself, so every failure is
    /// transient: another attempt may succeed once the settings or the server are repaired.
    async fn connect(&self) -> Result<AsyncSmtpConnection, AttemptOutcome> {
        let mut connection = match (self.tls, &self.tls_parameters) {
            (SmtpTls::Implicit, Some(tls)) => {
                let server = (self.host.as_str(), self.port);
                let connecting = AsyncSmtpConnection::connect_tokio1(
                    server,
                    Some(self.step_timeout),
                    &self.hello,
                    Some(tls.clone()),
                    None,
                );
                self.before_mail("connecting", connecting).await?
            }
            _ => {
                let stream =
                    self.before_mail("connecting", TcpStream::connect((self.host.as_str(), self.port))).await?;
                // Nagle's algorithm would delay each mail by the server's delayed acknowledgement (40 ms).
                stream.set_nodelay(true).map_err(|error| AttemptOutcome::TransientFailure(response_text(&error)))?;
                let greeting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello);
                self.before_mail("the greeting", greeting).await?
            }
        };
        if let (SmtpTls::Starttls, Some(tls)) = (self.tls, &self.tls_parameters) {
            self.before_mail("STARTTLS", connection.starttls(tls.clone(), &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            self.before_mail("AUTH", connection.auth(&mechanisms, credentials)).await?;
        }
        Ok(connection)
    }

    async fn before_mail<T, E: std::error::Error>(
        &self,
        what: &str,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, AttemptOutcome> {
        match timeout(self.step_timeout, step).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(AttemptOutcome::TransientFailure(server_response(&format!("{what}: {error}")))),
            Err(_) => {
                Err(AttemptOutcome::TransientFailure(format!("{what}: no answer within {:?}", self.step_timeout)))
            }
        }
    }

    async fn command(
        &self,
        what: &str,
        command: impl Future<Output = Result<Response, Error>>,
    ) -> Result<Response, AttemptOutcome> {
        match timeout(self.step_timeout, command).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                Err(answered(&error).unwrap_or_else(|| AttemptOutcome::TransientFailure(response_text(&error))))
            }
            Err(_) => {
                Err(AttemptOutcome::TransientFailure(format!("no answer to {what} within {:?}", self.step_timeout)))
            }
        }
    }
}

fn tls_parameters(settings: &SmtpSettings) -> Result<TlsParameters, TransportError> {
    let mut builder = TlsParameters::builder(settings.host.clone());
    if !settings.ca_path.is_empty() {
        let invalid = |reason: String| TransportError(format!("ca_path {}: {reason}", settings.ca_path));
        let pem = std::fs::read(Path::new(&settings.ca_path)).map_err(|error| invalid(error.to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| invalid(error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| TransportError(format!("tls: {error}")))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn envelope(address: &str) -> Result<Address, AttemptOutcome> {
    address.parse().map_err(|error| AttemptOutcome::PermanentFailure(format!("the address cannot be used: {error}")))
}

fn accepted(response: &Response) -> AttemptOutcome {
    let text = server_response(&format!("{} {}", response.code(), response.message().collect::<Vec<_>>().join(" ")));
    match response.code().severity {
        Severity::PositiveCompletion => AttemptOutcome::Accepted(text),
        // An intermediate response to a complete mail says nothing about its acceptance.
        _ => AttemptOutcome::Unknown(text),
    }
}

/// Returns the outcome that the server's response means. None: it did not respond.
fn answered(error: &Error) -> Option<AttemptOutcome> {
    // Response code of a server that requires authentication.
    const AUTHENTICATION_REQUIRED: u16 = 530;
    let code = u16::from(error.status()?);
    let text = response_text(error);
    Some(match code {
        // The credentials in the settings are wrong or missing, not the mail.
        AUTHENTICATION_REQUIRED => AttemptOutcome::TransientFailure(text),
        500.. => AttemptOutcome::PermanentFailure(text),
        _ => AttemptOutcome::TransientFailure(text),
    })
}

fn response_text(error: &dyn std::fmt::Display) -> String {
    server_response(&error.to_string())
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;
