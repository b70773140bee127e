//! Structures, plain data and checked values of a crate without unsafe code, and without a dependency on bytemuck.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

use interproc::sync::{Mutex, RwLock};
use interproc::{Checked, Plain, Result, Segment, bytemuck};
use std::sync::atomic::AtomicU64;

interproc::shared! {
    /// With fields.
    pub struct Named {
        /// One.
        pub lock: Mutex<Job>,
        seen: [AtomicU64; 4],
    }
}
interproc::shared! {
    /// A tuple.
    pub struct Tuple(AtomicU64, pub RwLock<[f64; 3]>);
}
interproc::shared! {
    /// With parameters.
    pub struct Generic<T: Plain + Send + Sync, U: Plain + Send,> {
        left: RwLock<T>,
        right: Mutex<U>,
        inner: [Tuple; 2],
    }
}

/// Plain data.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[bytemuck(crate = "interproc::bytemuck")]
#[repr(C)]
pub struct Job {
    id: u64,
    weight: f64,
    light: Checked<Light>,
    urgent: Checked<bool>,
    fill: [u8; 6],
}

/// Not any byte is one.
#[derive(Clone, Copy, bytemuck::CheckedBitPattern, bytemuck::NoUninit)]
#[bytemuck(crate = "interproc::bytemuck")]
#[repr(u8)]
pub enum Light {
    /// Stop.
    Red = 1,
    /// Go.
    Green = 2,
}

/// All of it.
pub fn use_it(seg: &Segment) -> Result<Light> {
    let queue = seg.queue::<Job>("jobs", 8)?;
    let generic = seg.object_zeroed::<Generic<Job, [Job; 2]>>("generic")?;
    *generic.right.lock()? = [queue.pop()?; 2];
    seg.latest("light", Checked::new(Light::Red))?.get()?.get()
}

/// Errors go where errors go.
pub fn as_others(name: &str) -> std::io::Result<Segment> {
    Ok(Segment::open(name)?)
}

/// Those of messages, too.
pub fn passed_on(seg: &Segment) -> std::io::Result<Vec<u8>> {
    seg.queue::<u64>("numbers", 4)?.push(7)?;
    let mut buffer = vec![0; 100];
    let len = seg.byte_queue("log", 4096, 100)?.pop_into(&mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}

/// And into any box.
pub fn as_any(name: &str) -> std::result::Result<Segment, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Segment::open(name)?)
}
