//! What the service under test runs on.

/// The database of a deployment mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A SQLite file.
    Embedded,
    /// PostgreSQL.
    Distributed,
}

/// Makes each `async fn name(mode: Mode)` of a module a test on both modes: `embedded::name` and `distributed::name`. A
/// function that is missing in the list is dead code, which clippy refuses.
macro_rules! on_both_modes {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::mode::Mode::Embedded).await;
            })*
        }
        mod distributed {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::mode::Mode::Distributed).await;
            })*
        }
    };
}
