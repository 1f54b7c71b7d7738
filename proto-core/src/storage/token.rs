//! Places in a store's log of arrivals.

use serde::{Deserialize, Serialize};

/// Which log of arrivals: random, another for each tree and each store that holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch(pub [u8; 8]);

/// A place in a store's log of arrivals: whoever holds all that had arrived then lacks only what arrived since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token {
    /// The log.
    pub epoch: Epoch,
    /// The number of the newest arrival, from 1.
    pub number: u64,
}
