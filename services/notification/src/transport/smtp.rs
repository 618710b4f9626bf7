//! Sends mails to a mail server, one step of the SMTP exchange at a time: only a failure between the end of the mail and the
//! server's response to it has an unknown outcome.

use std::{future::Future, net::IpAddr, sync::Arc, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::AsyncSmtpConnection,
        commands::{Data, Ehlo, Mail as MailCommand, Rcpt, Rset},
        extension::{ClientId, MailBodyParameter, MailParameter},
        response::{Response, Severity},
    },
};
use tokio::{sync::watch, time::timeout};

use super::{
    Mail, TransportError,
    connect::{Resolver, connect, resolve, system_resolver},
    pool::{MAX_FAREWELL, Open, Pool, close},
    refusal::{self, Step},
    trust::Trust,
};
use crate::{
    domain::AttemptOutcome,
    mail::server_response,
    settings::{SmtpSettings, SmtpTls},
};

/// Size of a mail that every mail server takes (bytes): the maximum size is asked for a larger one only.
const SMALL_MAIL: usize = 512 * 1024;

/// Size of the parts in which a mail is written (bytes); each may take one step's time.
const PART: usize = 64 * 1024;

/// See [`super::Transport::Smtp`].
#[derive(Clone)]
pub(crate) struct Smtp {
    host: String,
    port: u16,
    tls: SmtpTls,
    /// None: without TLS.
    trust: Option<Trust>,
    credentials: Option<Credentials>,
    hello: ClientId,
    /// Maximum duration of one step of the exchange.
    step_timeout: Duration,
    /// Maximum duration from the end of the mail to the server's response.
    acceptance_timeout: Duration,
    resolver: Resolver,
    /// Clones share it.
    pool: Arc<Pool>,
}

/// Code of a server that closes the connection (RFC 5321, 3.8).
const CLOSING: u16 = 421;

/// Why a command for the mail failed.
struct Refused {
    outcome: AttemptOutcome,
    /// The server's response. None: it did not respond.
    code: Option<u16>,
    /// It did not respond in time.
    is_late: bool,
}

/// How far a mail is written.
#[derive(Clone, Copy)]
enum Progress {
    /// Another part is being written.
    Part,
    /// Its end may have been written: the server may accept it.
    End,
}

impl Smtp {
    pub(crate) fn try_new(settings: &SmtpSettings) -> Result<Self, TransportError> {
        let trust = match settings.tls {
            SmtpTls::None => None,
            SmtpTls::Starttls | SmtpTls::Implicit => Some(Trust::load(settings)?),
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
            trust,
            credentials,
            hello,
            step_timeout: settings.timeout,
            acceptance_timeout: settings.acceptance_timeout,
            resolver: system_resolver(),
            pool: Arc::new(Pool::new(settings.mails_per_connection, settings.idle_timeout)),
        })
    }

    pub(crate) async fn send(&self, mail: &Mail) -> AttemptOutcome {
        match self.exchange(mail).await {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    /// Returns what is wrong with the settings, as far as it shows before a mail is sent. None: nothing.
    pub(crate) fn warning(&self) -> Option<String> {
        let name = self.hello.to_string();
        let full = name.contains('.') || name.starts_with('[');
        (!full).then(|| {
            format!(
                "many mail servers refuse the name {name:?} in the greeting: set notification.smtp.helo_name to a full host name \
                 such as mail.example.com"
            )
        })
    }

    /// Closes the connections that are kept for further mails.
    pub(crate) async fn close_idle(&self) {
        self.pool.close_all().await;
    }

    /// Runs the exchange. An error ends it early, with the outcome.
    async fn exchange(&self, mail: &Mail) -> Result<AttemptOutcome, AttemptOutcome> {
        let (from, to) = (envelope(&mail.from)?, envelope(&mail.to)?);
        let mut open = self.begin(mail, from).await?;
        if let Err(refused) = self.name_recipient(&mut open, mail, to).await {
            self.give_back_after(open, &refused).await;
            return Err(refused.outcome);
        }
        let (outcome, is_answered) = self.send_content(&mut open.connection, mail).await;
        // A server that did not answer the mail is not waited for again (row R18).
        if is_answered {
            self.keep(open, &outcome).await;
        }
        Ok(outcome)
    }

    /// Begins the mail, on a connection that is kept or on a new one. Where MAIL fails on a kept one, a new one is taken at once: the server has
    /// seen nothing of the mail, and its response may be about what was before, such as a number of mails or a time without any.
    async fn begin(&self, mail: &Mail, from: Address) -> Result<Open, AttemptOutcome> {
        match self.pool.take() {
            // The server's maximum size is asked for on a new connection only. It takes the place of the kept one, so that their number does
            // not grow.
            Some(kept) if mail.bytes.len() > SMALL_MAIL => close(kept).await,
            Some(mut kept) => match self.name_sender(&mut kept, mail, from.clone()).await {
                Ok(()) => return Ok(kept),
                // A server that did not answer is not waited for again (row R18).
                Err(refused) if refused.is_late => return Err(refused.outcome),
                Err(_) => {}
            },
            None => {}
        }
        let mut open = Open { connection: self.connect().await?, mails: 0 };
        self.check_size(&mut open.connection, mail.bytes.len()).await?;
        match self.name_sender(&mut open, mail, from).await {
            Ok(()) => Ok(open),
            Err(refused) => {
                self.give_back_after(open, &refused).await;
                Err(refused.outcome)
            }
        }
    }

    async fn name_sender(&self, open: &mut Open, mail: &Mail, from: Address) -> Result<(), Refused> {
        // Composed mails are ASCII; other bytes must be announced with 8BITMIME.
        let body =
            if mail.bytes.is_ascii() { vec![] } else { vec![MailParameter::Body(MailBodyParameter::EightBitMime)] };
        let command = open.connection.command(MailCommand::new(Some(from), body));
        self.command("MAIL", Step::Sender, mail, command).await.map(drop)
    }

    async fn name_recipient(&self, open: &mut Open, mail: &Mail, to: Address) -> Result<(), Refused> {
        self.command("RCPT", Step::Recipient, mail, open.connection.command(Rcpt::new(to, vec![]))).await?;
        let response = self.command("DATA", Step::Content, mail, open.connection.command(Data)).await?;
        // On a kept connection it may be the response to something else: then the next one would not be that to the mail.
        if response.code().severity == Severity::PositiveIntermediate {
            return Ok(());
        }
        let outcome = AttemptOutcome::TransientFailure(format!("the server answered DATA with {}", response.code()));
        Err(Refused { outcome, code: None, is_late: false })
    }

    /// Keeps the connection after a refusal of a command. A server that did not answer is not waited for again (row R18).
    async fn give_back_after(&self, open: Open, refused: &Refused) {
        if refused.code.is_some_and(|code| code != CLOSING) {
            self.keep(open, &refused.outcome).await;
        }
    }

    /// Keeps the connection after a mail that the server has answered; after a refusal without what the server knows of the mail, and only if
    /// that is answered as it should be: a server that has refused a mail before its end may answer it twice.
    async fn keep(&self, mut open: Open, outcome: &AttemptOutcome) {
        open.mails += 1;
        match outcome {
            AttemptOutcome::Accepted(_) => self.pool.give_back(open).await,
            // A session may go on by the settings with which it began: what is repaired applies to new ones.
            AttemptOutcome::ConfigurationFault(_) => close(open).await,
            _ => {
                if let Ok(Ok(_)) = timeout(MAX_FAREWELL, open.connection.command(Rset)).await {
                    self.pool.give_back(open).await;
                }
            }
        }
    }

    /// Writes the mail and reads the response; returns also whether the server responded and goes on. A failure before the end of the mail
    /// was written is transient: the server cannot have accepted it.
    async fn send_content(&self, connection: &mut AsyncSmtpConnection, mail: &Mail) -> (AttemptOutcome, bool) {
        let (written, mut progress) = watch::channel(Progress::Part);
        let mut parts = mail.bytes.chunks(PART);
        // The library asks for the next part when the one before is written, and writes the end when there is none.
        let parts = std::iter::from_fn(move || {
            let next = parts.next();
            written.send_replace(if next.is_some() { Progress::Part } else { Progress::End });
            next
        });
        let sending = connection.message_iter(parts);
        tokio::pin!(sending);
        loop {
            let at = *progress.borrow_and_update();
            let max = match at {
                Progress::Part => self.step_timeout,
                Progress::End => self.acceptance_timeout,
            };
            tokio::select! {
                biased;
                sent = &mut sending => return content_outcome(sent, *progress.borrow(), mail),
                Ok(()) = progress.changed() => {}
                () = tokio::time::sleep(max) => {
                    let outcome = match at {
                        Progress::Part => {
                            AttemptOutcome::TransientFailure(format!("the server took no more of the mail within {max:?}"))
                        }
                        Progress::End => AttemptOutcome::Unknown(format!("no answer to the mail within {max:?}")),
                    };
                    return (outcome, false);
                }
            }
        }
    }

    /// Asks for the server's maximum size (RFC 1870; bytes), which the mail library does not read. None: it announces none.
    pub(super) async fn max_size(&self, connection: &mut AsyncSmtpConnection) -> Result<Option<usize>, AttemptOutcome> {
        let response = self.before_mail("EHLO", connection.command(Ehlo::new(self.hello.clone()))).await?;
        Ok(response.message().find_map(announced_size))
    }

    async fn check_size(&self, connection: &mut AsyncSmtpConnection, size: usize) -> Result<(), AttemptOutcome> {
        if size <= SMALL_MAIL {
            return Ok(());
        }
        match self.max_size(connection).await? {
            Some(max_bytes) if size > max_bytes => {
                let response = format!("the mail has {size} bytes; the server takes {max_bytes}");
                Err(AttemptOutcome::TooLarge { response, max_bytes })
            }
            _ => Ok(()),
        }
    }

    /// Connects, greets and authenticates. No failure concerns the mail itself.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, AttemptOutcome> {
        let connecting = |reason| AttemptOutcome::TransientFailure(server_response(&format!("connecting: {reason}")));
        let addresses = resolve(&self.resolver, &self.host, self.port, self.step_timeout).await.map_err(connecting)?;
        let stream = connect(&addresses, self.step_timeout).await.map_err(connecting)?;
        let parameters = self.trust.as_ref().map(Trust::current);
        let mut connection = match (self.tls, &parameters) {
            (SmtpTls::Implicit, Some(tls)) => {
                // The library opens a connection with TLS from the first byte only by itself: to the address that answered.
                let address = stream.peer_addr().map_err(|error| connecting(error.to_string()))?;
                drop(stream);
                let max = Some(self.step_timeout);
                let tls = Some(tls.clone());
                let opening = AsyncSmtpConnection::connect_tokio1(address, max, &self.hello, tls, None);
                self.before_mail("the greeting", opening).await?
            }
            _ => {
                let greeting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello);
                self.before_mail("the greeting", greeting).await?
            }
        };
        if let (SmtpTls::Starttls, Some(tls)) = (self.tls, &parameters) {
            self.before_mail("STARTTLS", connection.starttls(tls.clone(), &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            self.before_mail("AUTH", connection.auth(&mechanisms, credentials)).await?;
        }
        Ok(connection)
    }

    async fn before_mail<T>(
        &self,
        what: &str,
        step: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, AttemptOutcome> {
        match timeout(self.step_timeout, step).await {
            Ok(done) => done.map_err(|error| refusal::before_mail(what, &error)),
            Err(_) => {
                Err(AttemptOutcome::TransientFailure(format!("{what}: no answer within {:?}", self.step_timeout)))
            }
        }
    }

    /// Runs a command for the mail.
    async fn command(
        &self,
        what: &str,
        step: Step,
        mail: &Mail,
        command: impl Future<Output = Result<Response, Error>>,
    ) -> Result<Response, Refused> {
        match timeout(self.step_timeout, command).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let outcome = refusal::of_response(&error, step, mail)
                    .unwrap_or_else(|| AttemptOutcome::TransientFailure(response_text(&error)));
                Err(Refused { outcome, code: error.status().map(u16::from), is_late: false })
            }
            Err(_) => {
                let reason = format!("no answer to {what} within {:?}", self.step_timeout);
                Err(Refused { outcome: AttemptOutcome::TransientFailure(reason), code: None, is_late: true })
            }
        }
    }
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

/// Returns the outcome of writing the mail, as far as `at`, and whether the server responded and goes on.
fn content_outcome(sent: Result<Response, Error>, at: Progress, mail: &Mail) -> (AttemptOutcome, bool) {
    let error = match sent {
        Ok(response) => {
            let outcome = accepted(&response);
            let is_answered = matches!(outcome, AttemptOutcome::Accepted(_));
            return (outcome, is_answered);
        }
        Err(error) => error,
    };
    // A response amid the mail leaves the server waiting for its end.
    let goes_on = matches!(at, Progress::End) && error.status().is_some_and(|code| u16::from(code) != CLOSING);
    let outcome = match (refusal::of_response(&error, Step::Content, mail), at) {
        (Some(outcome), _) => outcome,
        (None, Progress::Part) => AttemptOutcome::TransientFailure(response_text(&error)),
        (None, Progress::End) => AttemptOutcome::Unknown(response_text(&error)),
    };
    (outcome, goes_on)
}

/// Returns the maximum size (bytes) that a line of the response to EHLO announces. None: it announces none.
fn announced_size(line: &str) -> Option<usize> {
    let (name, size) = line.trim().split_once(' ')?;
    if !name.eq_ignore_ascii_case("SIZE") {
        return None;
    }
    // 0: the server has no maximum (RFC 1870).
    size.trim().parse().ok().filter(|size| *size > 0)
}

fn response_text(error: &dyn std::fmt::Display) -> String {
    server_response(&error.to_string())
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;
