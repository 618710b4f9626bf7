//! What every service is, and how a process runs services.
//!
//! A service implements [`Service`]: its names, its schema, and its gRPC services, consumers and workers. A process builds
//! each service from a [`ServiceContext`], and [`run`] does the rest, the same for all: it supervises the background tasks
//! (event bus, outbox relay, retention, workers), checks and measures the databases, and serves probes and metrics to the operator.
//!
//! Start reading at [`Service`], then `run.rs`.

mod accounts;
mod context;
mod definition;
mod measure;
mod ops;
mod run;
mod service;
mod supervisor;

pub use accounts::{AccountStates, announce_account_erased, announce_account_state};
pub use context::{Peers, ServiceContext};
pub use definition::ServiceDefinition;
pub use measure::measure_regularly;
pub use run::{Process, run};
pub use service::{AnyService, BuildError, Service, Worker};
pub use supervisor::Readiness;
