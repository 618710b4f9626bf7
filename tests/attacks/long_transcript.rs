//! The transcript of a long thread: what composing it holds in memory is bounded.

use std::{pin::pin, time::Duration};

use frontdesk_proto::{
    conversation::v1::{PostMessageRequest, thread_service_client::ThreadServiceClient},
    notification::v1::{PreviewTranscriptRequest, TranscriptPart, transcript_service_client::TranscriptServiceClient},
};
use frontdesk_tests::{Account, request_id};
use futures::{StreamExt, stream};

use crate::target::Target;

/// Size of a message (bytes).
const MESSAGE_BYTES: usize = 4_000;
/// Number of calls that post messages at the same time.
const POSTS_AT_ONCE: usize = 64;
/// Interval between two looks at the memory.
const INTERVAL: Duration = Duration::from_millis(10);

/// A chat with this number of messages.
pub async fn chat(account: &Account, visitor: &str, messages: usize) -> String {
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor(visitor), &channel).await;
    let (admin, text) = (account.admin(), "x".repeat(MESSAGE_BYTES));
    stream::iter(0..messages)
        .for_each_concurrent(POSTS_AT_ONCE, |_| {
            let message = PostMessageRequest {
                conversation_id: chat.id.clone(),
                text: text.clone(),
                request_id: request_id(),
                ..Default::default()
            };
            let mut threads = ThreadServiceClient::new(admin.clone());
            async move {
                threads.post_message(message).await.unwrap();
            }
        })
        .await;
    chat.id
}

/// Composes the transcript of the chat. Returns the size of its HTML (bytes).
pub async fn compose(account: &Account, chat: &str) -> i32 {
    let part = TranscriptPart::Html.into();
    let request = PreviewTranscriptRequest { conversation_id: chat.to_owned(), part, ..Default::default() };
    let mut transcripts = TranscriptServiceClient::new(account.admin());
    transcripts.preview_transcript(request).await.unwrap().into_inner().total_size
}

/// Does the same. Returns the largest memory of the process meanwhile, in KiB, too.
pub async fn compose_watched(target: &Target, account: &Account, chat: &str) -> (i32, u64) {
    let mut composing = pin!(compose(account, chat));
    let mut most = target.memory();
    loop {
        tokio::select! {
            size = &mut composing => return (size, most.max(target.memory())),
            () = tokio::time::sleep(INTERVAL) => most = most.max(target.memory()),
        }
    }
}
