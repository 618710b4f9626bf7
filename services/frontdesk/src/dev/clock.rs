//! The development clock: `AdvanceTime` moves it, and a file in the data folder keeps how far.

use std::{io, path::Path, time::Duration};

use frontdesk_api::{ApiError, validated};
use frontdesk_clock::{Clock, development};
use frontdesk_proto::dev::v1::{AdvanceTimeRequest, AdvanceTimeResponse, clock_service_server::ClockService};
use tonic::{Request, Response, Status};

use crate::Settings;

/// The clock that these settings call for: the machine's, or in development one that [`ClockService`] moves.
pub fn clock(settings: &Settings) -> io::Result<Clock> {
    if !settings.identity.accepts_development_key() {
        let file = clock_file(&settings.data_folder);
        return if file.exists() { Err(moved_clock(&file)) } else { Ok(Clock::system()) };
    }
    let skew = settings.development.clock_skew_seconds.saturating_mul(1_000_000);
    development::skewed_clock_from_file(&clock_file(&settings.data_folder), skew)
}

/// The error of a folder whose rows have times of a moved clock, where the development key is not accepted.
fn moved_clock(file: &Path) -> io::Error {
    io::Error::other(format!(
        "AdvanceTime moved its clock ({}), which is for development: its chats have times in the future, and without the \
         development key only the machine's time counts. Set data_folder to a new folder",
        file.display()
    ))
}

/// The file of the data folder that keeps how far the development clock was moved.
pub fn clock_file(data_folder: &Path) -> std::path::PathBuf {
    data_folder.join("clock-offset")
}

pub(super) struct MovableClock {
    pub(super) clock: Clock,
    /// True in distributed mode: other processes follow the file.
    pub(super) shared: bool,
}

#[tonic::async_trait]
impl ClockService for MovableClock {
    async fn advance_time(
        &self,
        request: Request<AdvanceTimeRequest>,
    ) -> Result<Response<AdvanceTimeResponse>, Status> {
        let (caller, request) = validated(request)?;
        let by = request.by.and_then(|by| Duration::try_from(by).ok()).unwrap_or_default();
        let time = self.clock.advance(by).map_err(|error| ApiError::internal(&error))?;
        if self.shared {
            // After the answer every process shows the new time.
            tokio::time::sleep(development::FOLLOW_DELAY).await;
        }
        tracing::info!(?by, account = %caller.account, "the clock was moved");
        Ok(Response::new(AdvanceTimeResponse { time: Some(time.to_proto()) }))
    }
}
