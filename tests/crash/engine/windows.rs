//! The crash windows that the library names by `crash_window!`: a table of addresses in a section of this program
//! that is not loaded, like debug information.

use object::{Object, ObjectSection};
use std::collections::HashMap;

/// The section's name, as `crash_window!` writes it.
const SECTION: &str = ".debug_interproc_windows";

/// The windows of this program.
pub struct Windows {
    base: usize,
    names: Vec<String>,
    at: HashMap<usize, usize>,
}

impl Windows {
    /// Reads them from the program's file. None if it was stripped.
    pub fn of_this_program() -> Windows {
        let mut windows = Windows { base: load_base(), names: Vec::new(), at: HashMap::new() };
        let Ok(program) = std::fs::File::open("/proc/self/exe") else { return windows };
        // Mapped: its bytes must not be in the heap that every process of every point gets a copy of.
        // SAFETY: nobody writes to a program that runs.
        let Ok(program) = (unsafe { memmap2::Mmap::map(&program) }) else { return windows };
        let Ok(file) = object::File::parse(&*program) else { return windows };
        let base = windows.base.wrapping_sub(file.relative_address_base() as usize);
        let Some(section) = file.section_by_name(SECTION) else { return windows };
        // Each entry: an address of 8 bytes, then the name, ended by a zero byte. The linker wrote zero, or
        // all ones, for code that it dropped.
        let mut rest = section.data().unwrap_or_default();
        while let Some((address, tail)) = rest.split_first_chunk::<8>() {
            let Some(end) = tail.iter().position(|&b| b == 0) else { break };
            let name = String::from_utf8_lossy(&tail[..end]).replace("interproc::", "");
            rest = &tail[end + 1..];
            let address = u64::from_le_bytes(*address) as usize;
            if address <= 1 || address > usize::MAX / 2 {
                continue;
            }
            let index = windows.names.iter().position(|n| *n == name).unwrap_or_else(|| {
                windows.names.push(name);
                windows.names.len() - 1
            });
            windows.at.insert(base.wrapping_add(address), index);
        }
        windows
    }

    /// Where the program is loaded: an address less this is one for `addr2line`.
    pub fn base(&self) -> usize {
        self.base
    }

    /// The window that begins at this instruction.
    pub fn at(&self, pc: usize) -> Option<usize> {
        self.at.get(&pc).copied()
    }

    /// All names, in the order of their numbers.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// Where the program's file is mapped.
fn load_base() -> usize {
    let exe = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let line = maps.lines().find(|l| l.ends_with(&*exe.to_string_lossy())).unwrap_or("0-");
    usize::from_str_radix(line.split('-').next().unwrap_or("0"), 16).unwrap_or(0)
}
