//! One suite of promises for bus, outbox and store, on both modes: SQLite with the bus in the process, and PostgreSQL with
//! NATS JetStream. Each promise is one function over a [`rig::Rig`].

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

mod rig;

/// Each promise as a test on both modes.
macro_rules! on_both_modes {
    ($($promise:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::rig::Rig::embedded()).await;
            })*
        }
        mod distributed {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::rig::Rig::distributed().await).await;
            })*
        }
    };
}

mod broker;
mod bus;
mod outbox;
mod store;
mod walls;
