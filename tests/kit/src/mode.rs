//! What a service or a suite under test runs on.

/// The deployment modes, and the databases and buses that they run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// SQLite files and the in-process bus.
    Embedded,
    /// PostgreSQL and NATS JetStream.
    Distributed,
}

impl Mode {
    /// The mode that `FRONTDESK_TEST_MODE` names; embedded, if it is not set.
    ///
    /// # Panics
    /// When it names no mode.
    pub fn from_environment() -> Self {
        match std::env::var("FRONTDESK_TEST_MODE").as_deref() {
            Ok("distributed") => Self::Distributed,
            Ok("embedded") | Err(_) => Self::Embedded,
            Ok(other) => panic!("FRONTDESK_TEST_MODE is {other}: it must be embedded or distributed"),
        }
    }
}

/// Makes each `async fn name(mode: Mode)` of a module a test on both modes: `embedded::name` and `distributed::name`. A
/// function that is missing in the list is dead code, which `make check` refuses.
#[macro_export]
macro_rules! on_both_modes {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::Mode::Embedded).await;
            })*
        }
        mod distributed {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::Mode::Distributed).await;
            })*
        }
    };
}
