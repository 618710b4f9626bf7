//! Plain HTTP on the listener for browsers: whole transcripts, which mails link (rule T6), and parts of previews (rule T9). A signed link is the
//! permission.

use std::{io, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::get,
};
use frontdesk_permits::{Full, Permit, Permits};
use futures::{Stream, StreamExt, stream};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::{
    App,
    conversation::ThreadPages,
    error::NotificationError,
    mail::WholePage,
    queries::{self, PREVIEWS_PATH, TRANSCRIPTS_PATH, TranscriptData, TranscriptPart},
};

/// Maximum number of links that a replica answers at the same time.
const MAX_ANSWERS: usize = 16;

/// Maximum number of those to links of one transcript: a person, their mail program, and what checks links for it.
const MAX_OF_TRANSCRIPT: usize = 3;

/// How long a request waits for one of those that are being answered to end.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Maximum time until an answer is read. Then it is aborted.
const MAX_TIME: Duration = Duration::from_secs(300);

/// How long a client that waited in vain is asked to wait (seconds).
const RETRY_SECONDS: u64 = 5;

/// Size of the pieces in which a part is sent (bytes).
const PIECE: usize = 64 * 1024;

/// What people wrote runs nothing and loads nothing, also where a browser finds markup in it.
pub(crate) const CONTENT_POLICY: &str = "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'";

/// Returns the permits for answers to links.
pub(crate) fn permits() -> Permits {
    Permits::new(MAX_ANSWERS, MAX_OF_TRANSCRIPT, MAX_WAIT)
}

/// The routes.
pub(crate) fn routes(app: &App) -> Router {
    Router::new()
        .route(&format!("{TRANSCRIPTS_PATH}{{token}}"), get(whole_transcript))
        .route(&format!("{PREVIEWS_PATH}{{token}}"), get(previewed_part))
        .with_state(app.clone())
}

/// The whole transcript of a mail, as a page.
async fn whole_transcript(State(app): State<App>, Path(token): Path<String>) -> Result<Response, Answer> {
    let (account, delivery) = app.links.verify_whole(&token).map_err(|_| Answer::INVALID_LINK)?;
    let permit = permit(&app, delivery).await?;
    let opened =
        queries::open_whole_transcript(&app, account, delivery).await.map_err(|error| Answer::failed(&error))?;
    let (data, pages) = opened.ok_or(Answer::GONE)?;
    let page = WholePage::try_new(&data.transcript, &data.language);
    let page = page.map_err(|error| Answer::failed(&NotificationError::Internal(error.to_string())))?;
    let writing = Writing { data, pages, page, step: Step::Top };
    let body = Body::from_stream(limited(writing.into_stream(), permit));
    Ok((headers("text/html; charset=utf-8", "inline"), body).into_response())
}

/// A part of a preview, as a file.
async fn previewed_part(State(app): State<App>, Path(token): Path<String>) -> Result<Response, Answer> {
    let preview = app.links.verify_preview(&token).map_err(|_| Answer::INVALID_LINK)?;
    let permit = permit(&app, preview.query.conversation).await?;
    let part = queries::preview_linked_part(&app, &preview).await.map_err(|error| Answer::failed(&error))?;
    let (media_type, disposition) = match preview.query.part {
        Some(TranscriptPart::Html) => ("text/html; charset=utf-8", "attachment; filename=\"transcript.html\""),
        Some(TranscriptPart::Json) => ("application/json", "attachment; filename=\"transcript.json\""),
        Some(TranscriptPart::Mail) => ("message/rfc822", "attachment; filename=\"transcript.eml\""),
        Some(TranscriptPart::Text) | None => ("text/plain; charset=utf-8", "attachment; filename=\"transcript.txt\""),
    };
    Ok((headers(media_type, disposition), Body::from_stream(limited(pieces(part), permit))).into_response())
}

/// Waits for a permit. `transcript`: the id of its delivery or conversation.
async fn permit(app: &App, transcript: Uuid) -> Result<Permit, Answer> {
    app.linked.acquire(transcript).await.map_err(|full| match full {
        Full::All => Answer::BUSY,
        Full::Resource => Answer::READ_ELSEWHERE,
    })
}

fn headers(media_type: &'static str, disposition: &'static str) -> [(HeaderName, &'static str); 7] {
    [
        (CONTENT_TYPE, media_type),
        (CONTENT_DISPOSITION, disposition),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "private, no-store"),
        // For a link that its holder has published.
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ]
}

/// A page that is being written.
struct Writing {
    data: TranscriptData,
    pages: ThreadPages,
    page: WholePage,
    step: Step,
}

/// What is written next.
enum Step {
    Top,
    Lines,
    Nothing,
}

impl Writing {
    /// The page, of which one page of the thread is in memory at a time. An error aborts the answer: half a transcript must not look whole.
    fn into_stream(self) -> impl Stream<Item = io::Result<String>> + Send + 'static {
        stream::unfold(self, |mut writing| async move { writing.next().await.map(|next| (next, writing)) })
    }

    async fn next(&mut self) -> Option<io::Result<String>> {
        match self.step {
            Step::Top => {
                self.step = Step::Lines;
                Some(Ok(self.page.top()))
            }
            Step::Lines => {
                let written = self.lines().await;
                if let Err(error) = &written {
                    tracing::warn!(%error, "a whole transcript ends early");
                    self.step = Step::Nothing;
                }
                Some(written)
            }
            Step::Nothing => None,
        }
    }

    /// Returns the next lines, or after the last ones the end of the page.
    async fn lines(&mut self) -> io::Result<String> {
        let lines = self.pages.next().await.map_err(|error| io::Error::other(format!("{error:?}")))?;
        let Some(lines) = lines else {
            self.step = Step::Nothing;
            return Ok(self.page.bottom());
        };
        self.page.lines(&lines, &self.data.style()).map_err(|error| io::Error::other(error.to_string()))
    }
}

/// The part in pieces.
fn pieces(part: Vec<u8>) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
    stream::unfold((part, 0), |(part, from)| async move {
        let until = part.len().min(from + PIECE);
        let piece = part.get(from..until).filter(|piece| !piece.is_empty())?.to_vec();
        Some((Ok(piece), (part, until)))
    })
}

/// An answer of [`MAX_TIME`] at most, which holds its permit until its end.
fn limited<T: Send + 'static>(
    answer: impl Stream<Item = io::Result<T>> + Send + 'static,
    permit: impl Send + 'static,
) -> impl Stream<Item = io::Result<T>> + Send + 'static {
    let deadline = Instant::now() + MAX_TIME;
    // A client that reads nothing asks for no further piece, and must not keep others waiting.
    let hold = AbortOnDropHandle::new(tokio::spawn(async move {
        let _permit = permit;
        sleep_until(deadline).await;
    }));
    stream::unfold(Some((Box::pin(answer), hold)), move |rest| async move {
        let (mut answer, hold) = rest?;
        if Instant::now() >= deadline {
            let late = io::Error::new(io::ErrorKind::TimedOut, "the transcript is read too slowly");
            return Some((Err(late), None));
        }
        let piece = answer.next().await?;
        let rest = piece.is_ok().then_some((answer, hold));
        Some((piece, rest))
    })
}

/// An answer in a sentence.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    text: &'static str,
}

impl Answer {
    const INVALID_LINK: Self = Self {
        status: StatusCode::FORBIDDEN,
        text: "This link is not valid, or has expired. Ask the team for the chat.",
    };
    const GONE: Self = Self { status: StatusCode::NOT_FOUND, text: "There is no such transcript any more." };
    const BUSY: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        text: "Too many transcripts are being read; try again in a few seconds.",
    };
    const READ_ELSEWHERE: Self = Self {
        status: StatusCode::TOO_MANY_REQUESTS,
        text: "This transcript is being read several times at once; try again in a few seconds.",
    };

    /// The cause goes to the log.
    fn failed(error: &NotificationError) -> Self {
        match error {
            NotificationError::NotFound(_) => Self::GONE,
            NotificationError::TooManyPreviews => Self::BUSY,
            error => {
                tracing::error!(%error, "a linked transcript cannot be read");
                let text = "The transcript cannot be read now; try again in a few seconds.";
                Self { status: StatusCode::SERVICE_UNAVAILABLE, text }
            }
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.text)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::Arc};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_is_aborted_and_makes_room_for_another_one() {
        let permits = Arc::new(Semaphore::new(1));
        let permit = permits.clone().try_acquire_owned().unwrap();
        let mut answer = pin!(limited(stream::iter(["a", "b"].map(Ok::<_, io::Error>)), permit));
        assert_eq!(answer.next().await.unwrap().unwrap(), "a");
        assert_eq!(permits.available_permits(), 0);
        let _other = permits.acquire().await.unwrap();
        assert!(answer.next().await.unwrap().is_err());
        assert!(answer.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_read_is_whole() {
        let permits = Arc::new(Semaphore::new(1));
        let permit = permits.clone().try_acquire_owned().unwrap();
        let answer = limited(pieces(vec![7; PIECE + 1]), permit);
        let read: Vec<u8> = answer.map(|piece| piece.unwrap()).concat().await;
        assert_eq!(read, vec![7; PIECE + 1]);
        let _other = permits.acquire().await.unwrap();
    }
}
