//! What every fuzz target does before its first input.

/// In a build with the feature `planted-faults`, wakes the defect that the variable `PLEACH_PLANTED` names: a target must
/// find it.
pub fn begin() {
    #[cfg(feature = "planted-faults")]
    if let Ok(name) = std::env::var("PLEACH_PLANTED") {
        use pleach_core::planted::{Planted, wake};
        let all = Planted::IN_NETWORKS.into_iter().chain(Planted::IN_DECODERS);
        let known: Vec<_> = all.map(|planted| (format!("{planted:?}"), planted)).collect();
        match known.iter().find(|(known, _)| *known == name) {
            Some((_, planted)) => wake(Some(*planted)),
            None => panic!("no defect is called {name}, known are {known:?}"),
        }
    }
}
