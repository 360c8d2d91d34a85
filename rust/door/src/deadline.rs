//! A timer that may be moved while it runs, for a poll function.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use tokio::time::{sleep_until, Instant, Sleep};

/// Holds a runtime timer only after it was needed once.
#[derive(Default)]
pub(crate) struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// True once `due` has passed; before that the task is woken then. `None`: never.
    /// A later `due` than last time leaves the timer where it is: it fires early, and is then moved.
    pub fn passed(&mut self, due: Option<Instant>, cx: &mut Context<'_>) -> bool {
        let Some(due) = due else { return false };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if due < sleep.deadline() {
            sleep.as_mut().reset(due);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return true;
            }
            sleep.as_mut().reset(due);
        }
        false
    }
}
