//! What is visible, and what a draft shows and writes, over a snapshot made of a list.

mod docs;
mod drafts;
mod shelf;
mod visibility;
