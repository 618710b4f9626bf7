//! Q4: files of attachments that are transferred at the same time. `Q4_up` and `Q4_down` are the resident memory of the process over
//! idle while 200 files of 25 MiB are uploaded, and downloaded; the baseline is the limit. Beside them are the rates, and that of a plain
//! copy to the same disk.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use frontdesk_proto::conversation::v1::{
    CreateAttachmentLinkRequest, CreateAttachmentRequest, attachment_service_client::AttachmentServiceClient,
};
use frontdesk_test_servers::free_port;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::Barrier,
    task::JoinSet,
};

use super::{Plan, print_round};
use crate::{
    deployment::AgentChannel,
    embedded::Embedded,
    fixture::ACCOUNT,
    memory::{peak_kib, resident_kib},
    process::Binary,
    report::{Goal, Round, Row},
};

/// Number of files.
const FILES: usize = 200;
/// Size of a part of a file (bytes). All files go on to their next part together, so that all are transferred from the first to the last.
const PART: usize = 1 << 20;
/// Number of parts of a file: 25 MiB, the largest that is allowed by default.
const PARTS: usize = 25;
/// Number of bytes that a client reads at a time.
const READ: usize = 64 * 1024;
/// Memory over idle that the transfers may use, in MiB.
const LIMIT: f64 = 64.0;
/// How long nothing is transferred before the process counts as idle.
const SETTLE: Duration = Duration::from_secs(3);

/// The clients of a round.
#[derive(Clone)]
struct Clients {
    part: Arc<[u8]>,
    /// Where they wait for each other before each part.
    next_part: Arc<Barrier>,
}

/// Measures the rows. The files are beside this program, because a folder for temporary files may be in memory.
pub async fn run(plan: Plan) -> [Row; 2] {
    let program = std::env::current_exe().unwrap();
    let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
    let files = folder.path().join("attachments");
    let environment = vec![
        ("FRONTDESK__WEB__LISTEN".into(), format!("127.0.0.1:{}", free_port())),
        ("FRONTDESK__ATTACHMENTS__FOLDER".into(), files.display().to_string()),
        ("FRONTDESK__ATTACHMENTS__UPLOADS_AT_ONCE".into(), FILES.to_string()),
        ("FRONTDESK__ATTACHMENTS__DOWNLOADS_AT_ONCE".into(), FILES.to_string()),
    ];
    let deployment = Embedded::start_with(Binary::beside_this_program(), environment).await;
    let mut attachments = AttachmentServiceClient::new(deployment.channel().await);
    let part: Vec<u8> =
        b"The brakes squeal, and here is what the shop said. ".iter().copied().cycle().take(PART).collect();
    let part: Arc<[u8]> = part.into();
    transfer(&mut attachments, &part, 1, deployment.pid()).await;
    tokio::time::sleep(SETTLE).await;
    // Before the first round only: what the process keeps for the next transfers is part of their memory.
    let idle = resident_kib(deployment.pid());
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for number in 0..plan.rounds {
        let copied = copy(&folder.path().join("copy"), &part).await;
        let transfers = transfer(&mut attachments, &part, FILES, deployment.pid()).await;
        for (name, rounds, (peak, rate)) in [("Q4_up", &mut up, transfers[0]), ("Q4_down", &mut down, transfers[1])] {
            let more = vec![("mb_per_s", rate), ("copy_mb_per_s", copied), ("of_copy", rate / copied)];
            let round = Round { value: (peak - idle) / 1024.0, baseline: LIMIT, more };
            print_round(name, number, &round);
            rounds.push(round);
        }
        fs::remove_dir_all(files.join(ACCOUNT.to_string())).unwrap();
    }
    let row = |name, what, rounds| Row { name, what, unit: "MiB", goal: Goal::AtMost(1.0), rounds };
    [
        row("Q4_up", "memory over idle, 200 files of 25 MiB are uploaded; the limit", up),
        row("Q4_down", "memory over idle, 200 files of 25 MiB are downloaded; the limit", down),
    ]
}

/// Uploads this number of files at the same time, and downloads them. Returns the peak of the resident memory of the process in KiB and
/// the megabytes per second of both.
async fn transfer(
    attachments: &mut AttachmentServiceClient<AgentChannel>,
    part: &Arc<[u8]>,
    files: usize,
    pid: i32,
) -> [(f64, f64); 2] {
    let clients = Clients { part: part.clone(), next_part: Arc::new(Barrier::new(files)) };
    let (mut ids, mut uploads, mut downloads) = (Vec::new(), JoinSet::new(), JoinSet::new());
    for _ in 0..files {
        let request = CreateAttachmentRequest {
            file_name: "notes.txt".into(),
            size_bytes: (PARTS * PART).try_into().unwrap(),
            request_id: frontdesk_clock::testing::new_id().to_string(),
            ..Default::default()
        };
        let created = attachments.create_attachment(request).await.unwrap().into_inner();
        ids.push(created.attachment.unwrap().id);
        uploads.spawn(clients.clone().upload(created.upload.unwrap().url));
    }
    let up = measure(pid, uploads, files).await;
    for attachment_id in ids {
        let request = CreateAttachmentLinkRequest { attachment_id };
        let link = attachments.create_attachment_link(request).await.unwrap().into_inner();
        downloads.spawn(clients.clone().download(link.url));
    }
    [up, measure(pid, downloads, files).await]
}

/// Waits for the transfers of this number of files.
async fn measure(pid: i32, transfers: JoinSet<()>, files: usize) -> (f64, f64) {
    let began = Instant::now();
    let (peak, _) = peak_kib(pid, transfers.join_all()).await;
    (peak, megabytes(files) / began.elapsed().as_secs_f64())
}

impl Clients {
    /// Connects, and sends the head of a request. Returns the connection.
    async fn request(method: &str, url: &str, length: usize) -> TcpStream {
        let address = url.strip_prefix("http://").unwrap();
        let (authority, path) = address.split_at(address.find('/').unwrap());
        let mut stream = TcpStream::connect(authority).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    async fn upload(self, url: String) {
        let mut stream = Self::request("PUT", &url, PARTS * PART).await;
        for _ in 0..PARTS {
            self.next_part.wait().await;
            stream.write_all(&self.part).await.unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    async fn download(self, url: String) {
        let mut stream = BufReader::with_capacity(READ, Self::request("GET", &url, 0).await);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).await.unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let mut bytes = vec![0; READ];
        for _ in 0..PARTS {
            self.next_part.wait().await;
            for expected in self.part.chunks(READ) {
                stream.read_exact(&mut bytes).await.unwrap();
                assert!(bytes == expected, "the bytes are those that were uploaded");
            }
        }
    }
}

/// Writes as many bytes into files of this folder, one after the other, each until it is on disk. Returns megabytes per second.
async fn copy(folder: &Path, part: &Arc<[u8]>) -> f64 {
    let (folder, part) = (folder.to_owned(), part.clone());
    let copy = move || {
        fs::create_dir(&folder).unwrap();
        let began = Instant::now();
        for number in 0..FILES {
            let mut file = File::create(folder.join(number.to_string())).unwrap();
            for _ in 0..PARTS {
                file.write_all(&part).unwrap();
            }
            file.sync_all().unwrap();
        }
        let rate = megabytes(FILES) / began.elapsed().as_secs_f64();
        fs::remove_dir_all(&folder).unwrap();
        rate
    };
    tokio::task::spawn_blocking(copy).await.unwrap()
}

/// Size of this number of files in megabytes.
fn megabytes(files: usize) -> f64 {
    (files * PARTS * PART) as f64 / 1e6
}
