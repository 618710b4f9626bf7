//! A mail server that accepts each mail and then answers as a test says.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A mail server on the loopback address.
pub struct MailServer {
    pub port: u16,
    mails: Arc<Mutex<Vec<String>>>,
    hang: Arc<Hang>,
}

/// Where the first exchange that comes so far hangs: until the client closes the connection.
#[derive(Default)]
struct Hang {
    /// Before the `banner`, or at this command; `.`: the end of the mail. None: nowhere.
    stage: Option<&'static str>,
    /// At RCPT each mail to this domain hangs. Empty: none does.
    domain: &'static str,
    begun: AtomicBool,
    /// How long the client waited.
    waited: Mutex<Option<Duration>>,
}

impl Hang {
    /// Hangs if it is the turn of this stage. Returns whether it did.
    async fn at(&self, stage: &str, stream: &mut BufReader<TcpStream>) -> bool {
        if self.stage != Some(stage) || self.begun.swap(true, Ordering::Relaxed) {
            return false;
        }
        let began = Instant::now();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        *self.waited.lock().unwrap() = Some(began.elapsed());
        true
    }
}

impl MailServer {
    /// Answers the n-th mail with `answers[n]`; without one, closes the connection instead.
    pub async fn start(answers: &'static [&'static str]) -> Self {
        Self::start_with("250 ok", answers).await
    }

    /// The same, with this response to EHLO.
    pub async fn start_with(ehlo: &'static str, answers: &'static [&'static str]) -> Self {
        Self::serve(ehlo, answers, Hang::default()).await
    }

    /// Hangs once at this stage: `banner`, a command, or `.` for the end of the mail; otherwise accepts each mail.
    pub async fn start_hanging(stage: &'static str) -> Self {
        Self::serve("250 ok", &["250 ok"; 64], Hang { stage: Some(stage), ..Hang::default() }).await
    }

    /// Hangs at each mail to this domain; accepts all others.
    pub async fn start_hanging_for(domain: &'static str) -> Self {
        Self::serve("250 ok", &["250 ok"; 64], Hang { domain, ..Hang::default() }).await
    }

    async fn serve(ehlo: &'static str, answers: &'static [&'static str], hang: Hang) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let hang = Arc::new(hang);
        let (received, hanging) = (mails.clone(), hang.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (received, hanging) = (received.clone(), hanging.clone());
                tokio::spawn(async move {
                    converse(BufReader::new(stream), ehlo, answers, &received, &hanging).await;
                });
            }
        });
        Self { port, mails, hang }
    }

    /// How long the client waited at the stage that hung. None: it has not given up yet.
    pub fn waited(&self) -> Option<Duration> {
        *self.hang.waited.lock().unwrap()
    }

    /// Number of mails received.
    pub fn mails(&self) -> usize {
        self.mails.lock().unwrap().len()
    }

    /// How many mails were received before the first one to this address. None: there is none.
    pub fn mails_before(&self, address: &str) -> Option<usize> {
        self.mails.lock().unwrap().iter().position(|mail| mail.contains(&format!("To: {address}")))
    }

    /// The mail received last.
    pub fn last_mail(&self) -> String {
        self.mails.lock().unwrap().last().unwrap().clone()
    }
}

async fn converse(
    mut stream: BufReader<TcpStream>,
    ehlo: &str,
    answers: &[&str],
    mails: &Mutex<Vec<String>>,
    hang: &Hang,
) {
    if hang.at("banner", &mut stream).await {
        return;
    }
    stream.get_mut().write_all(b"220 test\r\n").await.unwrap();
    let (mut line, mut mail, mut in_mail) = (String::new(), String::new(), false);
    loop {
        line.clear();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let answer = match line.trim_end() {
            "." if in_mail => {
                in_mail = false;
                let number = {
                    let mut mails = mails.lock().unwrap();
                    mails.push(std::mem::take(&mut mail));
                    mails.len() - 1
                };
                if hang.at(".", &mut stream).await {
                    return;
                }
                match answers.get(number) {
                    Some(answer) => answer,
                    None => return,
                }
            }
            _ if in_mail => {
                // A dot at the beginning of a line is doubled on the way (RFC 5321, 4.5.2).
                mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                continue;
            }
            command => {
                if hang.at(command.get(..4).unwrap_or_default(), &mut stream).await {
                    return;
                }
                if command.starts_with("RCPT") && !hang.domain.is_empty() && command.contains(hang.domain) {
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                    return;
                }
                match command {
                    "DATA" => {
                        in_mail = true;
                        "354 go on"
                    }
                    greeting if greeting.starts_with("EHLO") => ehlo,
                    _ => "250 ok",
                }
            }
        };
        stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}
