//! An SMTP server of ours that keeps what it accepts, and fails as it is told: at any stage, by a 4xx, a 5xx, silence or a
//! cut, and after the final dot, when the mail is accepted, before its 250.

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

use crate::state::Mail;

/// A stage of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before the banner.
    Banner,
    /// At MAIL.
    Mail,
    /// At RCPT.
    Rcpt,
    /// At DATA.
    Data,
    /// After the final dot.
    Dot,
}

/// What goes wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The connection is cut. After the dot the mail was accepted, and nobody learns it.
    Cut,
    /// 451. After the dot the mail was not accepted.
    Later,
    /// 550. After the dot the mail was not accepted.
    Never,
    /// Silence, until the other side leaves. After the dot the mail was accepted.
    Hang,
}

/// The server. Clones share it.
#[derive(Clone)]
pub struct Sink {
    /// Its port on the loopback address.
    pub port: u16,
    inner: Arc<Inner>,
}

struct Inner {
    began: Instant,
    troubles: Mutex<VecDeque<(Stage, Trouble)>>,
    kept: Mutex<Kept>,
}

struct Kept {
    mails: Vec<Mail>,
    file: File,
}

impl Sink {
    /// Starts one that writes a line for each accepted mail into `file`.
    pub async fn start(file: &Path, began: Instant) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let kept = Kept { mails: Vec::new(), file: File::create(file)? };
        let inner = Arc::new(Inner { began, troubles: Mutex::default(), kept: Mutex::new(kept) });
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

    /// The next exchange that comes to this stage meets this trouble.
    pub fn plan(&self, stage: Stage, trouble: Trouble) {
        lock(&self.inner.troubles).push_back((stage, trouble));
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        lock(&self.inner.troubles).clear();
    }

    /// What was accepted so far.
    pub fn mails(&self) -> Vec<Mail> {
        lock(&self.inner.kept).mails.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The trouble that waits for this stage.
fn met(inner: &Inner, stage: Stage) -> Option<Trouble> {
    let mut troubles = lock(&inner.troubles);
    let place = troubles.iter().position(|(at, _)| *at == stage)?;
    troubles.remove(place).map(|(_, trouble)| trouble)
}

async fn serve(stream: TcpStream, inner: &Inner) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream);
    if !trouble(&mut lines, met(inner, Stage::Banner)).await? {
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
            "MAIL" => Some(Stage::Mail),
            "RCPT" => Some(Stage::Rcpt),
            "DATA" => Some(Stage::Data),
            "QUIT" => {
                lines.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => None,
        };
        if let Some(stage) = stage
            && let Some(trouble_here) = met(inner, stage)
        {
            if !trouble(&mut lines, Some(trouble_here)).await? {
                return Ok(());
            }
            continue;
        }
        match stage {
            Some(Stage::Rcpt) => {
                recipient = command
                    .split_once('<')
                    .and_then(|(_, rest)| rest.split_once('>'))
                    .map_or("", |(to, _)| to)
                    .to_owned();
                lines.write_all(b"250 ok\r\n").await?;
            }
            Some(Stage::Data) => {
                lines.write_all(b"354 go on\r\n").await?;
                if !accept(&mut lines, inner, &recipient).await? {
                    return Ok(());
                }
            }
            _ => lines.write_all(b"250 sink\r\n").await?,
        }
    }
}

/// Makes the trouble. False: the connection is over.
async fn trouble(lines: &mut BufReader<TcpStream>, trouble: Option<Trouble>) -> std::io::Result<bool> {
    match trouble {
        None => {}
        Some(Trouble::Cut) => {
            reset(lines.get_ref());
            return Ok(false);
        }
        Some(Trouble::Later) => lines.write_all(b"451 4.3.0 later\r\n").await?,
        Some(Trouble::Never) => lines.write_all(b"550 5.1.1 never\r\n").await?,
        Some(Trouble::Hang) => {
            let mut nothing = Vec::new();
            // An hour is longer than anybody waits.
            let _ = tokio::time::timeout(Duration::from_secs(3600), lines.read_until(0, &mut nothing)).await;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Closed so, the other side reads a reset.
pub(crate) fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Reads a mail to its final dot and keeps it. False: the connection is over.
async fn accept(lines: &mut BufReader<TcpStream>, inner: &Inner, recipient: &str) -> std::io::Result<bool> {
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
    let trouble_here = met(inner, Stage::Dot);
    if matches!(trouble_here, Some(Trouble::Later | Trouble::Never)) {
        return trouble(lines, trouble_here).await;
    }
    // Kept before the answer: whoever dies in between leaves an accepted mail, as a real server does.
    let place = keep(inner, recipient, &bytes)?;
    if trouble_here.is_some() {
        return trouble(lines, trouble_here).await;
    }
    lines.write_all(b"250 2.0.0 kept\r\n").await?;
    lines.flush().await?;
    lock(&inner.kept).mails[place].answered = true;
    Ok(true)
}

fn keep(inner: &Inner, recipient: &str, bytes: &[u8]) -> std::io::Result<usize> {
    let parsed = mail_parser::MessageParser::default().parse(bytes);
    let parsed = parsed.as_ref();
    let message_id = parsed.and_then(|mail| mail.message_id()).map(|id| format!("<{id}>")).unwrap_or_default();
    let text = parsed.and_then(|mail| mail.body_text(0)).map(|text| text.into_owned()).unwrap_or_default();
    let html = parsed.and_then(|mail| mail.body_html(0)).map(|html| html.into_owned()).unwrap_or_default();
    let subject = parsed.and_then(|mail| mail.subject()).unwrap_or_default();
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let mail = Mail {
        message_id,
        recipient: recipient.to_owned(),
        hash,
        whole: format!("{subject}\n{text}\n{html}"),
        text,
        answered: false,
        at: u64::try_from(inner.began.elapsed().as_nanos()).unwrap_or(u64::MAX),
    };
    let mut kept = lock(&inner.kept);
    serde_json::to_writer(&mut kept.file, &mail)?;
    kept.file.write_all(b"\n")?;
    kept.mails.push(mail);
    Ok(kept.mails.len() - 1)
}
