//! Who is let in, in a store made of lists.

mod scenarios;
mod specification;
pub(super) mod world;
