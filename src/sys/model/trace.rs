//! The trace of the execution that failed: with `INTERPROC_TRACE` set, every operation in order.

use std::cell::RefCell;
use std::format;
use std::panic::Location;
use std::string::String;
use std::sync::{Once, OnceLock};
use std::vec::Vec;

std::thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static NAMES: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

fn wanted() -> bool {
    static WANTED: OnceLock<bool> = OnceLock::new();
    *WANTED.get_or_init(|| std::env::var_os("INTERPROC_TRACE").is_some())
}

/// Clears the trace of the last execution.
pub(super) fn restart() {
    static HOOK: Once = Once::new();
    if wanted() {
        LINES.with_borrow_mut(Vec::clear);
        NAMES.with_borrow_mut(Vec::clear);
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(std::boxed::Box::new(move |info| {
                LINES.take().iter().for_each(|line| std::eprintln!("{line}"));
                next(info);
            }));
        });
    }
}

/// Notes an operation on the object at `address`, 0 for none.
#[track_caller]
pub(super) fn note(address: usize, what: impl FnOnce() -> String) {
    if !wanted() {
        return;
    }
    let object = match address {
        0 => String::new(),
        _ => NAMES.with_borrow_mut(|names| {
            let known = names.iter().position(|&a| a == address);
            let index = known.unwrap_or_else(|| {
                names.push(address);
                names.len() - 1
            });
            format!(" #{index}")
        }),
    };
    let at = Location::caller();
    let thread = loom::thread::current().id();
    let line = format!("{thread:?}{object} {} ({}:{})", what(), at.file(), at.line());
    LINES.with_borrow_mut(|lines| lines.push(line));
}
