//! Streams of watches: the entries in them, without the updates between.

use frontdesk_proto::conversation::v1::{
    ChatEntry, Entry, WatchChatResponse, WatchThreadResponse, watch_chat_response, watch_thread_response,
};
use tonic::{Status, Streaming};

/// The next entry of a watched chat. None: the stream ended.
pub async fn next_chat_entry(stream: &mut Streaming<WatchChatResponse>) -> Result<Option<ChatEntry>, Status> {
    while let Some(response) = stream.message().await? {
        if let Some(watch_chat_response::Update::Entry(entry)) = response.update {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// The next entry of a watched thread. None: the stream ended.
pub async fn next_entry(stream: &mut Streaming<WatchThreadResponse>) -> Result<Option<Entry>, Status> {
    while let Some(response) = stream.message().await? {
        if let Some(watch_thread_response::Update::Entry(entry)) = response.update {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}
