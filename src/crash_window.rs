//! Names for crash windows, which only the crash sweep sees.
//!
//! `crash_window!("C2")` says: a thread that dies from here on, until the next name, dies in window C2 of this module. It
//! makes no instruction. Its address and name go to a section that is not loaded, like debug information: `strip` removes
//! it, and the sweep reads it from the test program's file.
//!
//! In a model it is where [`in_window`](crate::sys::model::in_window) lets something happen.
//!
//! Rejected: a counter or a store in memory, because then the swept program would not be the shipped one.

/// Names the crash window that begins here.
macro_rules! crash_window {
    ($name:literal) => {{
        #[cfg(interproc_loom)]
        $crate::sys::model::window_begins($name);
        #[cfg(all(target_arch = "x86_64", not(interproc_loom), not(miri)))]
        {
            #[allow(unsafe_code)]
            // SAFETY: emits no instruction; the bytes go to a section that no code reads.
            unsafe {
                core::arch::asm!(
                    "77:",
                    ".pushsection .debug_interproc_windows, \"\", @progbits",
                    ".quad 77b",
                    concat!(".asciz \"", module_path!(), " ", $name, "\""),
                    ".popsection",
                    options(nomem, nostack, preserves_flags)
                );
            }
        }
    }};
}
pub(crate) use crash_window;
