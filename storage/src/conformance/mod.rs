//! The suite that every store passes, and a maker of entries for tests.

mod maker;

pub use maker::Maker;
