//! Pages that are longer than a README should be.
//!
//! | page | for |
//! |---|---|
//! | [`deaths`] | who dies, and what the others see; what other libraries do in the same cases |
//! | [`limits`] | what to know before you rely on it |
//! | [`c`] | the conventions of the C interface |
//! | [`tool`] | the command-line tool and its demo |
//! | [`performance`] | all figures, and how they are measured |
//! | [`testing`] | what is tested, and by which command |

#[doc = include_str!("guide/deaths.md")]
pub mod deaths {}
#[doc = include_str!("guide/limits.md")]
pub mod limits {}
#[doc = include_str!("guide/c.md")]
pub mod c {}
#[doc = include_str!("guide/tool.md")]
pub mod tool {}
#[doc = include_str!("guide/performance.md")]
pub mod performance {}
#[doc = include_str!("guide/testing.md")]
pub mod testing {}
