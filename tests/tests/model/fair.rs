//! Whether all ends well when nothing fails any more.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Mutex,
};

use stateright::Model;

/// Steps of a fair schedule after which it is taken to go on for ever.
const ENOUGH: usize = 2_000;

/// What a fair schedule does next.
pub(crate) enum Next<A> {
    Do(A),
    /// Nothing is left to do, and whether all is well.
    Rest(bool),
}

/// States from which a fair schedule was seen to end well.
#[derive(Debug, Default)]
pub(crate) struct Fair(Mutex<HashSet<u64>>);

impl Fair {
    /// Whether a fair schedule from here comes to rest, and all is well then.
    pub(crate) fn ends_well<M>(
        &self,
        model: &M,
        state: &M::State,
        next: impl Fn(&M::State) -> Next<M::Action>,
    ) -> bool
    where
        M: Model,
        M::State: Clone + Hash,
    {
        let mut seen = Vec::new();
        let mut at = state.clone();
        for _ in 0..ENOUGH {
            let print = fingerprint(&at);
            if self.0.lock().expect("no other test failed").contains(&print) {
                return self.note(seen);
            }
            seen.push(print);
            let action = match next(&at) {
                Next::Do(action) => action,
                Next::Rest(well) => return well && self.note(seen),
            };
            let Some(next) = model.next_state(&at, action) else { return false };
            at = next;
        }
        false
    }

    fn note(&self, seen: Vec<u64>) -> bool {
        self.0.lock().expect("no other test failed").extend(seen);
        true
    }
}

fn fingerprint(state: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
