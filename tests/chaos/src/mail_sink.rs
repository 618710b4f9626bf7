//! The mail sink: an SMTP server that stores what it accepts and fails on demand, at any stage, by an error, silence or a
//! connection reset; also after the final dot, when the mail is accepted, before the 250 reply.

use std::{
    collections::VecDeque,
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::final_state::Mail;

/// How long a hanging exchange is kept open, longer than any client waits.
const HANG_FOR: Duration = Duration::from_secs(3600);

/// A stage of the SMTP exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpStage {
    /// Before the banner.
    Banner,
    /// At EHLO.
    Ehlo,
    /// At MAIL.
    Mail,
    /// At RCPT.
    Rcpt,
    /// At DATA.
    Data,
    /// After the final dot.
    FinalDot,
    /// At QUIT, when the mail is accepted and answered.
    Quit,
}

/// A fault at a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpFault {
    /// The connection is reset. After the final dot the mail is accepted, and the client does not learn it.
    Reset,
    /// Reply 451. After the final dot the mail is not accepted.
    TemporaryError,
    /// No reply until the client disconnects. After the final dot the mail is accepted.
    Hang,
}

/// The mail sink. Clones share it.
#[derive(Clone)]
pub struct MailSink {
    /// Its port on the loopback address.
    pub port: u16,
    inner: Arc<Inner>,
}

struct Inner {
    began: Instant,
    faults: Mutex<VecDeque<(SmtpStage, SmtpFault)>>,
    hangs: Mutex<Vec<(SmtpStage, Duration)>>,
    accepted: Mutex<Accepted>,
}

struct Accepted {
    mails: Vec<Mail>,
    file: File,
}

impl MailSink {
    /// Starts a sink that writes one JSON line for each accepted mail into `file`. `began` is zero of the driver's clock.
    pub async fn start(file: &Path, began: Instant) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let accepted = Accepted { mails: Vec::new(), file: File::create(file)? };
        let inner = Arc::new(Inner {
            began,
            faults: Mutex::default(),
            hangs: Mutex::default(),
            accepted: Mutex::new(accepted),
        });
        let serving = inner.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let inner = serving.clone();
                tokio::spawn(async move {
                    let _ = serve(stream, &inner).await;
                });
            }
        });
        Ok(Self { port, inner })
    }

    /// Injects a fault into the next exchange that reaches this stage.
    pub fn inject(&self, stage: SmtpStage, fault: SmtpFault) {
        lock(&self.inner.faults).push_back((stage, fault));
    }

    /// Removes all injected faults.
    pub fn heal(&self) {
        lock(&self.inner.faults).clear();
    }

    /// The exchanges that hung and were ended by the client since the start: their stage, and how long the client waited.
    pub fn hangs(&self) -> Vec<(SmtpStage, Duration)> {
        lock(&self.inner.hangs).clone()
    }

    /// The mails accepted so far.
    pub fn mails(&self) -> Vec<Mail> {
        lock(&self.inner.accepted).mails.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the first fault that was injected at this stage.
fn take_fault(inner: &Inner, stage: SmtpStage) -> Option<SmtpFault> {
    let mut faults = lock(&inner.faults);
    let index = faults.iter().position(|(at, _)| *at == stage)?;
    faults.remove(index).map(|(_, fault)| fault)
}

async fn serve(stream: TcpStream, inner: &Inner) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream);
    if let Some(fault) = take_fault(inner, SmtpStage::Banner)
        && !fail(&mut lines, inner, SmtpStage::Banner, fault).await?
    {
        return Ok(());
    }
    lines.write_all(b"220 sink ESMTP\r\n").await?;
    let mut recipient = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let command = String::from_utf8_lossy(&line).trim_end().to_owned();
        let stage = match command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => Some(SmtpStage::Ehlo),
            "MAIL" => Some(SmtpStage::Mail),
            "RCPT" => Some(SmtpStage::Rcpt),
            "DATA" => Some(SmtpStage::Data),
            "QUIT" => Some(SmtpStage::Quit),
            _ => None,
        };
        if let Some(stage) = stage
            && let Some(fault) = take_fault(inner, stage)
        {
            if !fail(&mut lines, inner, stage, fault).await? {
                return Ok(());
            }
            continue;
        }
        match stage {
            Some(SmtpStage::Rcpt) => {
                recipient = command
                    .split_once('<')
                    .and_then(|(_, rest)| rest.split_once('>'))
                    .map_or("", |(to, _)| to)
                    .to_owned();
                lines.write_all(b"250 ok\r\n").await?;
            }
            Some(SmtpStage::Data) => {
                lines.write_all(b"354 go on\r\n").await?;
                if !receive_mail(&mut lines, inner, &recipient).await? {
                    return Ok(());
                }
            }
            Some(SmtpStage::Quit) => {
                lines.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => lines.write_all(b"250 sink\r\n").await?,
        }
    }
}

/// Fails the exchange as the fault says. Returns false when the connection is over.
async fn fail(
    lines: &mut BufReader<TcpStream>,
    inner: &Inner,
    stage: SmtpStage,
    fault: SmtpFault,
) -> std::io::Result<bool> {
    match fault {
        SmtpFault::Reset => {
            reset(lines.get_ref());
            Ok(false)
        }
        SmtpFault::TemporaryError => {
            lines.write_all(b"451 4.3.0 later\r\n").await?;
            Ok(true)
        }
        SmtpFault::Hang => {
            let (mut ignored, began) = (Vec::new(), Instant::now());
            let _ = tokio::time::timeout(HANG_FOR, lines.read_until(0, &mut ignored)).await;
            lock(&inner.hangs).push((stage, began.elapsed()));
            Ok(false)
        }
    }
}

/// Makes the connection end with a TCP reset when it is dropped.
pub(crate) fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Reads a mail up to its final dot and stores it. Returns false when the connection is over.
async fn receive_mail(lines: &mut BufReader<TcpStream>, inner: &Inner, recipient: &str) -> std::io::Result<bool> {
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        if lines.read_until(b'\n', &mut bytes).await? == 0 {
            return Ok(false);
        }
        match &bytes[before..] {
            b".\r\n" => {
                bytes.truncate(before);
                break;
            }
            [b'.', b'.', ..] => {
                bytes.remove(before);
            }
            _ => {}
        }
    }
    let fault = take_fault(inner, SmtpStage::FinalDot);
    if fault == Some(SmtpFault::TemporaryError) {
        return fail(lines, inner, SmtpStage::FinalDot, SmtpFault::TemporaryError).await;
    }
    // Stored before the reply: a client that disconnects in between leaves an accepted mail, as at a real server.
    let index = store(inner, recipient, &bytes)?;
    if let Some(fault) = fault {
        return fail(lines, inner, SmtpStage::FinalDot, fault).await;
    }
    lines.write_all(b"250 2.0.0 stored\r\n").await?;
    lines.flush().await?;
    lock(&inner.accepted).mails[index].answered = true;
    Ok(true)
}

/// Reads a mail that was accepted at this time. Its reply was not sent yet.
pub fn parse(recipient: &str, bytes: &[u8], at: u64) -> Mail {
    let parsed = mail_parser::MessageParser::default().parse(bytes);
    let parsed = parsed.as_ref();
    let message_id = parsed.and_then(|mail| mail.message_id()).map(|id| format!("<{id}>")).unwrap_or_default();
    let text = parsed.and_then(|mail| mail.body_text(0)).map(|text| text.into_owned()).unwrap_or_default();
    let html = parsed.and_then(|mail| mail.body_html(0)).map(|html| html.into_owned()).unwrap_or_default();
    let subject = parsed.and_then(|mail| mail.subject()).unwrap_or_default();
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Mail {
        message_id,
        recipient: recipient.to_owned(),
        hash,
        whole: format!("{subject}\n{text}\n{html}"),
        text,
        answered: false,
        at,
    }
}

/// Stores a mail; returns its index.
fn store(inner: &Inner, recipient: &str, bytes: &[u8]) -> std::io::Result<usize> {
    let mail = parse(recipient, bytes, u64::try_from(inner.began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    let mut accepted = lock(&inner.accepted);
    serde_json::to_writer(&mut accepted.file, &mail)?;
    accepted.file.write_all(b"\n")?;
    accepted.mails.push(mail);
    Ok(accepted.mails.len() - 1)
}
