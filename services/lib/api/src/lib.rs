//! What a gRPC handler needs: validated requests, errors with details, page tokens, server streams, and the deadlines of the
//! running call.
//!
//! A handler begins with [`validated`], answers with [`ApiError`] when it refuses, pages with [`Pages`] and serves a live stream
//! with [`watch_stream`], or with [`live_stream`] where its updates are not numbered. The server sets the [`deadlines`] of each call; streams end by them, and calls to other services
//! inherit them.

pub mod deadlines;
mod error;
mod live;
mod pages;
mod shared_reads;
mod slow_reader;
mod validation;
mod watch;

pub use error::{ApiError, FieldError, has_reason};
pub use live::{LiveUpdates, live_stream};
pub use pages::{CursorSigner, Page, Pages, page_size};
pub use shared_reads::{Items, SharedReads};
pub use validation::{caller, parse_id, parse_optional_id, validated};
pub use watch::{ChangingState, CommonUpdates, SignalResponse, Signals, WatchTarget, watch_stream};
