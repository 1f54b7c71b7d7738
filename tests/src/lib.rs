//! What needs more than one crate to be tested, and the checks of the house itself: see `tests/tests/`.

pub mod board;
pub mod corpus;
pub mod frames;
pub mod fuzzing;
pub mod history;
pub mod hostile;
pub mod link;
pub mod pages;
pub mod parts;
pub mod rule;
pub mod siege;
pub mod sim;
pub mod spy;
pub mod world;

/// The examples in the pages at the root and in the book, compiled and run with the documentation tests.
#[cfg(doctest)]
mod shown {
    #[doc = include_str!("../../docs/writing-a-transport.md")]
    mod writing_a_transport {}
    #[doc = include_str!("../../docs/embedding.md")]
    mod embedding {}
    #[doc = include_str!("../../docs/first-sync.md")]
    mod first_sync {}
}
