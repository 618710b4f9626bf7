//! A stream that is open: its place, and what becomes of one that nobody reads.

use std::time::Duration;

use http::Response;
use http_body_util::BodyExt;
use tonic::body::Body;

use crate::{ConnectedBy, deadline::Bounds, limits::Place};

/// The end of a stream has so long to be read.
const UNREAD_FOR: Duration = Duration::from_secs(10);

/// The stream's place is free when its last answer is sent, or nobody reads it any more. One that is not read even after its
/// end costs its connection: nothing else ends it.
pub(crate) fn held(
    response: Response<Body>,
    place: Option<Place>,
    bounds: Bounds,
    connected: Option<ConnectedBy>,
) -> Response<Body> {
    let Some(place) = place else { return response };
    let (open, ended) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let unread = tokio::time::timeout_at(bounds.open_until + UNREAD_FOR, ended).await.is_err();
        drop(place);
        if let Some(connected) = connected.filter(|_| unread) {
            tracing::warn!("a connection was cut: a stream on it ended, and nobody reads that");
            connected.cut.cancel();
        }
    });
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _held = &open;
            frame
        }))
    })
}
