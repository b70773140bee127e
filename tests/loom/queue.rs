//! Queue.
use crate::runner::Model;
pub const MODELS: &[Model] = &[];
