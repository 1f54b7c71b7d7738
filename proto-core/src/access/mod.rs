//! (being written)
use serde::{Deserialize, Serialize};
/// The number under which a store keeps a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewId(pub u32);
/// Why an entry was not let in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("refused")]
pub struct Refusal;
