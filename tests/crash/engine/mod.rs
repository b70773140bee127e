//! The engine: kills a process after k instructions of an operation and asks the survivors.

pub mod board;
pub mod case;
pub mod os;
pub mod plan;
pub mod point;
pub mod sweep;
pub mod trace;
pub mod windows;

pub use board::{Check, Part};
pub use case::{Case, Death, End, Enter, First, Limits, Scenario, Until};
pub use trace::Cut;
