//! The task of each call of HTTP/2: it can reset its call alone, so that a client that does not read one answer costs the other calls
//! of its connection nothing.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use hyper::rt::Executor;
use tokio::time::{Instant, Sleep};

tokio::task_local! {
    /// When the call of this task is reset. None: it has no deadline.
    static RESET: RefCell<Option<Reset>>;
}

/// The end of a call whose client does not read it.
struct Reset {
    at: Pin<Box<Sleep>>,
    /// A later deadline, if there is one at the deadline.
    extend: Box<dyn Fn() -> Option<Instant> + Send>,
    what: &'static str,
}

impl Reset {
    /// Ready when the deadline has passed and there is no later one.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.at.as_mut().poll(context).is_ready() {
            let Some(later) = (self.extend)() else { return Poll::Ready(()) };
            self.at.as_mut().reset(later);
        }
        Poll::Pending
    }
}

/// Resets the call of this task at the deadline, unless it has ended by then: everything that it holds is dropped. False: the call has
/// no task of its own, because its connection carries one call at a time.
pub(crate) fn reset_at(deadline: Instant, what: &'static str) -> bool {
    reset_when(deadline, || None, what)
}

/// The same with a deadline that `extend` may put off when it has passed.
pub(crate) fn reset_when(
    deadline: Instant,
    extend: impl Fn() -> Option<Instant> + Send + 'static,
    what: &'static str,
) -> bool {
    let reset = Reset { at: Box::pin(tokio::time::sleep_until(deadline)), extend: Box::new(extend), what };
    RESET.try_with(|current| current.replace(Some(reset))).is_ok()
}

/// Polls each call of a connection once where it is, which is enough for one that is refused, and runs the others in tasks.
#[derive(Clone, Copy)]
pub(super) struct CallExecutor;

impl<F> Executor<F> for CallExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, call: F) {
        let mut call = Box::pin(RESET.scope(RefCell::new(None), run(call)));
        // A call that panics here is reset alone.
        let mut context = Context::from_waker(Waker::noop());
        if let Ok(Poll::Pending) = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut context))) {
            tokio::spawn(call);
        }
    }
}

/// Runs a call until it ends or is reset.
async fn run(call: impl Future) {
    let mut call = pin!(call);
    let unread = poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => RESET.with(|reset| match &mut *reset.borrow_mut() {
            Some(reset) => reset.poll(context).map(|()| Some(reset.what)),
            None => Poll::Pending,
        }),
    })
    .await;
    if let Some(what) = unread {
        tracing::warn!("reset a call: its client does not read {what}");
    }
}
