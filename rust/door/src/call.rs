//! Our half of one request: what the C++ side asks for, from any thread, and the task that carries it out.

use bytes::{Buf, Bytes};
use http::{HeaderMap, Response};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

use crate::abi::{Callbacks, CANCELLED, COMPLETE, SATISFIED};
use crate::deadline::Deadline;
use crate::message::Message;

/// How an answer ends.
pub(crate) enum End {
    Plain,
    Trailers(HeaderMap),
}

#[derive(Default)]
struct State {
    waker: Option<Waker>,
    /// The task runs or was woken: another wake-up would be wasted.
    awake: bool,
    /// Something was asked since the task last looked.
    dirty: bool,
    closed: bool,
    want: bool,
    head: Option<Response<()>>,
    out: VecDeque<Message>,
    /// A part of the first of `out` was sent.
    front_cut: bool,
    end: Option<End>,
    /// Messages were discarded of which a part was sent: the answer cannot be completed any more.
    broken: bool,
    deadline: Option<Instant>,
}

/// Shared by the connection's task and the C++ side's handle.
pub(crate) struct Call {
    state: Mutex<State>,
    callbacks: Callbacks,
    user: AtomicPtr<c_void>,
}

/// What the task is to do next.
pub(crate) enum Next {
    /// The answer was cut off.
    Broken,
    Head {
        head: Response<()>,
        last: bool,
    },
    /// Bytes wait: ask the transport how many it can take, then call `take`.
    Data {
        size: usize,
    },
    End(End),
    Nothing,
}

impl Call {
    pub fn new(callbacks: Callbacks) -> Call {
        // The task starts awake: nothing asked for inside on_call needs a wake-up.
        let state = State { awake: true, ..State::default() };
        Call { state: Mutex::new(state), callbacks, user: AtomicPtr::default() }
    }

    pub fn set_user(&self, user: *mut c_void) {
        self.user.store(user, Ordering::Release);
    }

    fn user(&self) -> *mut c_void {
        self.user.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the C++ side

    /// Changes the state and wakes the task if it sleeps. Returns how many messages wait.
    fn ask(&self, change: impl FnOnce(&mut State)) -> usize {
        let mut state = self.state();
        if state.closed {
            return 0;
        }
        change(&mut state);
        state.dirty = true;
        let waiting = state.out.len();
        if !state.awake {
            state.awake = true;
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        waiting
    }

    pub fn read(&self) {
        self.ask(|state| state.want = true);
    }

    pub fn set_deadline(&self, after: Duration) {
        let now = Instant::now();
        self.ask(|state| state.deadline = now.checked_add(after));
    }

    pub fn send(&self, head: Option<Response<()>>, message: Option<Message>, end: Option<End>) -> usize {
        self.ask(|state| {
            if head.is_some() {
                state.head = head;
            }
            state.out.extend(message);
            if end.is_some() {
                state.end = end;
            }
        })
    }

    pub fn discard(&self) {
        let mut dropped = VecDeque::new();
        self.ask(|state| {
            state.broken |= state.front_cut;
            state.end = None;
            // Released after the lock: the owner's release function is foreign code.
            dropped = std::mem::take(&mut state.out);
        });
    }

    pub fn waiting(&self) -> usize {
        self.state().out.len()
    }

    // ---- the task

    /// Call before looking for work.
    pub fn begin(&self) {
        let mut state = self.state();
        state.awake = true;
        state.dirty = false;
    }

    /// Call when no work was found. False: something was asked meanwhile, look again.
    pub fn sleep(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state();
        if state.dirty {
            state.dirty = false;
            return false;
        }
        state.awake = false;
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        true
    }

    /// The next thing to send.
    pub fn next(&self) -> Next {
        let mut state = self.state();
        if state.broken {
            return Next::Broken;
        }
        let last = state.out.is_empty() && matches!(state.end, Some(End::Plain));
        if let Some(head) = state.head.take() {
            if last {
                state.end = None;
            }
            return Next::Head { head, last };
        }
        if let Some(front) = state.out.front() {
            return Next::Data { size: front.remaining() };
        }
        state.end.take().map_or(Next::Nothing, Next::End)
    }

    /// Takes up to `size` of the bytes that wait, never past a message. True: they are the last of the answer.
    pub fn take(&self, size: usize) -> Option<(Message, bool)> {
        let mut state = self.state();
        if state.broken {
            return None;
        }
        let front = state.out.front_mut()?;
        if size < front.remaining() {
            let part = front.split_to(size);
            state.front_cut = true;
            return Some((part, false));
        }
        let whole = state.out.pop_front()?;
        state.front_cut = false;
        let last = state.out.is_empty() && matches!(state.end, Some(End::Plain));
        if last {
            state.end = None;
        }
        let drained = state.out.is_empty() && state.end.is_none() && !last;
        drop(state);
        if drained {
            (self.callbacks.on_drain)(self.user());
        }
        Some((whole, last))
    }

    /// True if nothing is left but the end that `take` and `next` have not given out.
    pub fn only_plain_end_left(&self) -> bool {
        let state = self.state();
        state.head.is_none() && state.out.is_empty() && matches!(state.end, Some(End::Plain)) && !state.broken
    }

    pub fn is_broken(&self) -> bool {
        self.state().broken
    }

    /// Runs on_deadline if its time has come. True: it ran.
    pub fn check_deadline(&self, timer: &mut Deadline, cx: &mut Context<'_>) -> bool {
        let due = self.state().deadline;
        if !timer.passed(due, cx) {
            return false;
        }
        self.state().deadline = None;
        (self.callbacks.on_deadline)(self.user());
        true
    }

    /// Answers what was asked by `read`: first from bytes the C++ side holds, then with what `poll` brings.
    /// `poll` gives the next bytes, `None` at the end of the request. Ready(false): nothing is asked for (any more).
    pub fn feed<E>(&self, mut poll: impl FnMut() -> Poll<Option<Result<Bytes, E>>>) -> Poll<Result<(), E>> {
        let mut shown = false;
        loop {
            if !std::mem::take(&mut self.state().want) {
                return Poll::Ready(Ok(()));
            }
            if !shown && (self.callbacks.on_read)(self.user()) == SATISFIED {
                continue;
            }
            shown = false;
            match poll() {
                Poll::Pending => {
                    self.state().want = true;
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => (self.callbacks.on_end)(self.user()),
                Poll::Ready(Some(Ok(bytes))) => {
                    let answer = (self.callbacks.on_data)(self.user(), bytes.as_ptr(), bytes.len(), &bytes);
                    if answer != SATISFIED {
                        self.state().want = true;
                        shown = true;
                    }
                }
            }
        }
    }

    /// The last callback. Later calls from the C++ side do nothing.
    pub fn close(&self, complete: bool) {
        let mut state = self.state();
        if std::mem::replace(&mut state.closed, true) {
            return;
        }
        let dropped = std::mem::take(&mut state.out);
        drop(state);
        drop(dropped);
        (self.callbacks.on_close)(self.user(), if complete { COMPLETE } else { CANCELLED });
    }
}
