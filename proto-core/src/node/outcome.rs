//! What came of the writes of a tree, for whoever waits for them.

use alloc::vec::Vec;

use crate::{
    Position,
    entry::{Entry, Permission, VerifiedEntry},
    node::{CommandId, Damage, ExchangeId, NodeError},
    storage::{Put, StorageError},
};

/// What came of a write, for the rest of the node.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Committed {
        command: CommandId,
        result: Result<Position, NodeError>,
    },
    Created {
        command: CommandId,
        result: Result<(), NodeError>,
    },
    Appended {
        command: CommandId,
        result: Result<Put, NodeError>,
    },
    Ingested {
        exchange: ExchangeId,
        frames: usize,
        result: Result<Put, StorageError>,
    },
    Dropped {
        command: CommandId,
        result: Result<(), NodeError>,
    },
    /// The tree is whole again, if it had to be made so.
    Repaired {
        command: Option<CommandId>,
        result: Result<Option<Damage>, NodeError>,
    },
    /// The merge, if it is durable.
    Merged {
        exchange: ExchangeId,
        merge: Option<Entry>,
    },
    /// What the bearer of an invite was granted; nothing if it lets nobody in.
    Redeemed(Result<Option<Permission>, StorageError>),
    /// New entries of this node's own.
    Wrote(Vec<Position>),
}

pub(super) fn created(command: CommandId, put: Result<Put, StorageError>) -> Vec<Outcome> {
    match put {
        Ok(Put { refused: Some((id, refusal)), .. }) => {
            alloc::vec![Outcome::Created { command, result: Err(NodeError::Refused(id, refusal)) }]
        }
        Ok(put) => alloc::vec![Outcome::Wrote(put.stored), Outcome::Created { command, result: Ok(()) }],
        Err(error) => alloc::vec![Outcome::Created { command, result: Err(error.into()) }],
    }
}

pub(super) fn merged(
    exchange: ExchangeId,
    merge: &VerifiedEntry,
    put: Result<Put, StorageError>,
) -> Vec<Outcome> {
    let (counts, stored) = put.map_or((false, Vec::new()), |put| (put.counts(), put.stored));
    let durable = counts && stored.contains(&merge.position());
    let merge = durable.then(|| merge.entry().clone());
    alloc::vec![Outcome::Wrote(stored), Outcome::Merged { exchange, merge }]
}

pub(super) fn redeemed(permission: Permission, put: Result<Put, StorageError>) -> Vec<Outcome> {
    match put {
        Ok(put) => {
            let granted = put.counts().then_some(permission);
            alloc::vec![Outcome::Wrote(put.stored), Outcome::Redeemed(Ok(granted))]
        }
        Err(error) => alloc::vec![Outcome::Redeemed(Err(error))],
    }
}

pub(super) fn appended(command: CommandId, put: Result<Put, StorageError>) -> Vec<Outcome> {
    match put {
        Ok(put) => {
            let mut outcomes = alloc::vec![Outcome::Wrote(put.stored.clone())];
            let result = match (&put.refused, put.held.len()) {
                (Some((id, refusal)), _) => Err(NodeError::Refused(*id, *refusal)),
                (None, 0) => Ok(put),
                (None, held) => Err(NodeError::MissingParents(held)),
            };
            outcomes.push(Outcome::Appended { command, result });
            outcomes
        }
        Err(error) => alloc::vec![Outcome::Appended { command, result: Err(error.into()) }],
    }
}
