//! Processes that end. By their own descriptors: these are for an event loop as they are.
#![allow(unsafe_code)]

use super::object::Async;
use crate::error::{Error, Result};
use crate::process::{Child, ExitStatus, Process};
use std::os::fd::{BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

impl<T> Async<T> {
    /// `op` says what there is to say once the process has ended.
    async fn ended<R>(
        &self,
        pidfd: Result<BorrowedFd<'_>>,
        mut op: impl FnMut() -> Result<Option<R>>,
    ) -> Result<R> {
        if let Some(answer) = op()? {
            return Ok(answer);
        }
        let pidfd: OwnedFd = pidfd?.try_clone_to_owned().map_err(Error::from)?;
        let registered = {
            let _inside = self.reactor().runtime().enter();
            // SAFETY: owned by it from now on.
            unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }
        };
        let pidfd = registered.map_err(|error| Error::from(std::io::Error::from(error)))?;
        loop {
            let mut readable = pidfd.readable().await.map_err(Error::from)?;
            if let Some(answer) = op()? {
                return Ok(answer);
            }
            readable.clear_ready();
        }
    }
}

impl Async<Child> {
    /// Waits until the child has ended. *Cancel-safe*: it can be joined again.
    ///
    /// # Errors
    /// As [`Child::join`]; the system's, if it has no descriptors.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{asynchronous::Async, process::{Builder, Program}};
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let child = Async::new(Builder::new().spawn(Program::new("sleep").arg("0.01"))?)?;
    /// assert!(child.join().await?.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn join(&self) -> Result<ExitStatus> {
        let child = self.get_ref();
        self.ended(child.pidfd(), || child.try_join()).await
    }
}

impl Async<Process> {
    /// Waits until the process has ended. *Cancel-safe.*
    ///
    /// # Errors
    /// The system's, if it has no descriptors.
    ///
    /// # Examples
    /// ```
    /// # use interproc::{asynchronous::Async, process::{Builder, Process, Program}};
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// # runtime.block_on(async {
    /// let child = Builder::new().spawn(Program::new("sleep").arg("0.01"))?;
    /// Async::new(Process::open(child.pid())?)?.wait().await?;
    /// assert!(child.join()?.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn wait(&self) -> Result<()> {
        let process = self.get_ref();
        self.ended(process.pidfd(), || Ok((!process.is_alive()).then_some(()))).await
    }
}
