//! Exploring worlds to their end, and how much of them an ordinary run looks at.

use std::{collections::BTreeSet, fmt::Debug, hash::Hash, time::Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// A small world that a model checker explores.
pub(crate) trait World: Model {
    /// What must happen somewhere in worlds like this.
    fn hopes(&self) -> Vec<&'static str>;

    /// What to tell of it when something is wrong in it.
    fn told(&self) -> String;
}

/// Picks one in so many: all with `PLEACH_EVERY=1`, which takes long.
pub(crate) struct Share {
    every: usize,
    seen: usize,
}

impl Share {
    /// One in so many in an ordinary run.
    pub(crate) fn of(every: usize) -> Self {
        let asked = std::env::var("PLEACH_EVERY").ok();
        let every = asked.map_or(every, |asked| asked.parse().expect("PLEACH_EVERY is a number"));
        Self { every, seen: 0 }
    }

    pub(crate) fn takes(&mut self) -> bool {
        self.seen += 1;
        self.seen.is_multiple_of(self.every)
    }
}

/// Explores worlds to their end, and tells how large they are.
pub(crate) fn explore<W>(name: &str, worlds: impl IntoIterator<Item = W>)
where
    W: World + Send + Sync + 'static,
    W::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    W::Action: Clone + Debug + PartialEq,
{
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut begins, mut states, mut transitions) = (0, 0, 0);
    let (mut hoped, mut met) = (BTreeSet::new(), BTreeSet::new());
    for world in worlds {
        let beginnings = world.init_states().len();
        hoped.extend(world.hopes());
        let checker =
            world.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        for property in checker.model().properties() {
            let Some(path) = checker.discovery(property.name) else { continue };
            if property.expectation == Expectation::Sometimes {
                met.insert(property.name);
                continue;
            }
            let (last, told) = (path.last_state().clone(), checker.model().told());
            let steps = path.into_vec();
            let first = steps.first().map(|(state, _)| state.clone());
            let steps: Vec<_> = steps.into_iter().filter_map(|(_, action)| action).collect();
            panic!("{name}: not so: {}\n{told}\n{first:?}\n{steps:?}\n{last:?}", property.name);
        }
        assert!(checker.is_done());
        begins += beginnings;
        states += checker.unique_state_count();
        transitions += checker.state_count() - beginnings;
    }
    let seconds = begun.elapsed().as_secs();
    println!("{name}: {begins} beginnings, {states} states, {transitions} transitions, {seconds} s");
    assert_eq!(met, hoped, "{name}: what the model is for has happened somewhere");
}
