//! Aeron's IPC: exclusive publications through logs of three terms of 16 MiB, polled for up to 16 messages at a time: the best of 10 to
//! 4096. (Terms of 1 and of 64 MiB were slower; claiming and committing, or a window of 2 MiB, no faster.)
//!
//! Its media driver moves the publishers' limits. There is no processor left for it, so it runs above the sides, in one thread that
//! sleeps up to a millisecond when it has nothing to do: half a term, which a publisher may be ahead by, takes longer than that.

use crate::way::{Way, unique};
use interproc::process::{Child, fork};
use rusteron_client::{
    Aeron, AeronContext, AeronExclusivePublication, AeronHeader, AeronSubscription, Handlers, IntoCString,
};
use rusteron_media_driver::bindings::aeron_threading_mode_enum;
use rusteron_media_driver::{AeronDriver, AeronDriverContext};
use std::ffi::CStr;
use std::hint::spin_loop;
use std::io::{PipeReader, PipeWriter, Read};
use std::time::Duration;

const CHANNEL: &CStr = c"aeron:ipc?term-length=16m";
/// The most messages of one poll.
const POLL: usize = 16;
const PATIENCE: Duration = Duration::from_secs(10);

/// A media driver, in a process of its own, and its directory.
pub struct Ipc {
    directory: String,
    driver: Child,
    /// The driver ends when it is closed.
    end: Option<PipeWriter>,
}

impl Ipc {
    fn drive(directory: &str, mut until: PipeReader) {
        above_the_sides();
        let context = AeronDriverContext::new().expect("a context");
        context.set_dir(&directory.into_c_string()).expect("a directory");
        context.set_dir_delete_on_start(true).expect("set");
        context.set_dir_delete_on_shutdown(true).expect("set");
        context.set_threading_mode(aeron_threading_mode_enum::AERON_THREADING_MODE_SHARED).expect("set");
        context.set_shared_idle_strategy(c"backoff").expect("set");
        let driver = AeronDriver::launch_embedded_guard(context, false);
        let _ = until.read(&mut [0]);
        drop(driver);
    }
}

/// Sides of a real-time class spin: what shares a processor with them must be of a higher one.
fn above_the_sides() {
    // SAFETY: takes integers and pointers to what lives.
    unsafe {
        let mut parameter = libc::sched_param { sched_priority: 0 };
        libc::sched_getparam(0, &mut parameter);
        if parameter.sched_priority > 0 {
            parameter.sched_priority += 1;
            assert_eq!(libc::sched_setscheduler(0, libc::SCHED_RR, &parameter), 0, "priority");
        }
    }
}

/// What a side holds. The client stands as long as its ends.
pub struct Ends {
    publication: AeronExclusivePublication,
    subscription: AeronSubscription,
    _client: Aeron,
}

impl<const W: usize> Way<W> for Ipc {
    type Ends<'a> = Ends;

    fn new() -> Self {
        let directory = format!("/dev/shm/{}", unique("peers-aeron"));
        let (until, end) = std::io::pipe().expect("a pipe");
        let (mut until, mut end) = (Some(until), Some(end));
        let driver = fork(|| {
            end = None; // the driver's own copy of it
            Ipc::drive(&directory, until.take().expect("once"));
        });
        Ipc { driver: driver.expect("fork"), directory, end }
    }

    fn ends(&self, side: usize) -> Ends {
        let context = AeronContext::new().expect("a context");
        context.set_dir(&self.directory.as_str().into_c_string()).expect("set");
        context.set_pre_touch_mapped_memory(true).expect("set");
        let client = Aeron::new(&context).expect("a client");
        client.start().expect("started");
        let streams = [1, 2];
        let subscription = client
            .async_add_subscription(CHANNEL, streams[1 - side], Handlers::NONE, Handlers::NONE)
            .expect("asked for")
            .poll_blocking(PATIENCE)
            .expect("a subscription");
        let publication = client
            .async_add_exclusive_publication(CHANNEL, streams[side])
            .expect("asked for")
            .poll_blocking(PATIENCE)
            .expect("a publication");
        while !publication.is_connected() || !subscription.is_connected() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ends { publication, subscription, _client: client }
    }

    #[inline(always)]
    fn publish(ends: &mut Ends, message: &[u64; W]) {
        let message = bytemuck::cast_slice(message);
        while let Err(error) = ends.publication.offer(message) {
            assert!(error.is_retryable(), "{error:?}");
            spin_loop();
        }
    }

    #[inline(always)]
    fn receive(ends: &mut Ends, mut each: impl FnMut(&[u64; W])) {
        let mut take = |message: &[u8], _: AeronHeader| each(bytemuck::from_bytes(message));
        while ends.subscription.poll_fn(&mut take, POLL).expect("connected") == 0 {
            spin_loop();
        }
    }
}

impl Drop for Ipc {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.driver.join();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
