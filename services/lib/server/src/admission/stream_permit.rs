//! Holds the permit of an open stream until the stream has ended, and closes the connection of a stream that is not read.

use std::time::Duration;

use frontdesk_api::deadlines::CallDeadlines;
use http::Response;
use http_body_util::BodyExt;
use tonic::body::Body;

use super::concurrency::StreamPermit;
use crate::PeerInfo;

/// How long after a stream's end the client may take to read it.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Releases the permit when the last message of the stream is sent or the client stops reading. Closes the connection of a client
/// that has not read the end of the stream in time: nothing else frees that stream.
pub(super) fn hold_stream_permit(
    response: Response<Body>,
    permit: Option<StreamPermit>,
    deadlines: CallDeadlines,
    peer: Option<PeerInfo>,
) -> Response<Body> {
    let Some(permit) = permit else { return response };
    let (open, ended) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let unread = tokio::time::timeout_at(deadlines.stream + READ_TIMEOUT, ended).await.is_err();
        drop(permit);
        if let Some(peer) = peer.filter(|_| unread) {
            tracing::warn!("closed a connection: its client does not read the end of a stream");
            peer.close.cancel();
        }
    });
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            // Dropped with the body.
            let _open = &open;
            frame
        }))
    })
}
