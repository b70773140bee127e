//! There is no way into what the library does with descriptors and memory.
#![forbid(unsafe_code)]

use interproc::sys::memory::wipe_on_fork; //~ E0603
use interproc::sys::settings::close_copy; //~ E0603
use interproc::atomic::light_fence; //~ E0603
use interproc::shm::directory; //~ E0603
use interproc::shm::segment::Segment; //~ E0603
use interproc::member::local; //~ E0603
use interproc::queue::mpmc; //~ E0603
use interproc::pipe::layout; //~ E0603
use interproc::process::setup; //~ E0603
