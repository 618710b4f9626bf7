//! `frontdesk doctor`: looks at everything that an installation needs, and says what is wrong and what to do. It changes nothing.
//!
//! Each check is a file here and returns findings. Start reading at [`Examination::run`].

mod broker;
mod certificates;
mod clock;
mod databases;
mod disk;
mod finding;
mod issuers;
mod keys;
mod mail_server;
mod settings;
mod time_zones;

use std::{future::Future, pin::Pin, time::Duration};

use frontdesk_clock::Clock;
use frontdesk_settings::SettingsError;

pub use finding::{Finding, Report, State};

use crate::{Service, Settings, dev};

/// What to look at, and how.
#[derive(clap::Args, Clone, Debug)]
pub struct Examination {
    /// The service whose processes have these settings. Default: one process with all of them.
    pub service: Option<Service>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Maximum duration of each check.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Free bytes of a file system below which there is a warning. Below a tenth of them there is a failure.
    #[arg(long, default_value_t = 1 << 30)]
    pub min_free_bytes: u64,
}

impl Examination {
    /// Runs all checks at the same time.
    pub async fn run(&self, settings: Result<Settings, SettingsError>) -> Report {
        let settings = match settings {
            Ok(settings) => settings,
            Err(error) => {
                let remedy = "correct it; nothing else was looked at";
                return Report(vec![("settings", Finding::failure("the settings", error.to_string(), remedy))]);
            }
        };
        let services: &[Service] = match &self.service {
            Some(service) => std::slice::from_ref(service),
            None => &Service::ALL,
        };
        let clock = dev::clock(&settings).unwrap_or_else(|_| Clock::system());
        let databases = databases::open(&settings, services, &clock).await;
        let issuers = issuers::read(&settings, &clock).await;
        let (settings, clock) = (&settings, &clock);
        let found: [Vec<(&'static str, Finding)>; 10] = tokio::join!(
            self.limit("settings", settings::check(settings, services, clock)),
            self.limit("databases", databases::check(settings, &databases)),
            self.limit("broker", broker::check(settings, services, clock)),
            self.limit("mail server", mail_server::check(settings, services)),
            self.limit("issuers", async { issuers::check(&issuers) }),
            self.limit("keys", async { keys::check(settings, clock) }),
            self.limit("certificates", certificates::check(settings, services, clock)),
            self.limit("clock", clock::check(settings, clock, &databases, &issuers)),
            self.limit("time zones", async { time_zones::check(clock) }),
            self.limit("disk", async { disk::check(settings, services, self.min_free_bytes) }),
        )
        .into();
        Report(found.into_iter().flatten().collect())
    }

    /// The findings of a check with its name; a failure when it takes too long. On the heap: together the checks need more than the stack of
    /// a thread has.
    fn limit<'a>(
        &'a self,
        check: &'static str,
        findings: impl Future<Output = Vec<Finding>> + 'a,
    ) -> Pin<Box<impl Future<Output = Vec<(&'static str, Finding)>> + 'a>> {
        Box::pin(async move {
            let found = tokio::time::timeout(self.timeout, findings).await.unwrap_or_else(|_| {
                let wrong = format!("it did not end within {:?}", self.timeout);
                let remedy = "find out what does not answer, or allow more with --timeout";
                vec![Finding::failure("the check", wrong, remedy)]
            });
            found.into_iter().map(|finding| (check, finding)).collect()
        })
    }
}
