//! There is no way into what the library does with descriptors and memory, and none but `raw` to the raw types.
#![forbid(unsafe_code)]

use interproc::sys::memory::wipe_on_fork; //~ E0603
use interproc::sys::settings::close_copy; //~ E0603
use interproc::atomic::light_fence; //~ E0603
use interproc::shm::directory; //~ E0603
use interproc::shm::segment::Segment; //~ E0603
use interproc::raw::member::local; //~ E0603
use interproc::queue::mpmc; //~ E0603
use interproc::pipe::layout; //~ E0603
use interproc::process::setup; //~ E0603
use interproc::member::Member; //~ E0603
use interproc::format::Header; //~ E0603
use interproc::sync::RawMutex; //~ E0603
use interproc::queue::RawQueue; //~ E0603
use interproc::queue::byte_lane::RawByteProducer; //~ E0603
use interproc::pipe::rendezvous; //~ E0603
