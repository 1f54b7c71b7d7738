//! What can go wrong in an exchange, sorted by who is to blame.

use crate::{
    Id,
    wire::{FrameError, MIN_FRAME, MIN_MESSAGE, PeerLimits, Refusal, Rule, Versions},
};

/// Why an exchange cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The peer's bytes are no frame.
    #[error("the peer sent no valid frame: {0}")]
    Frame(#[from] FrameError),
    /// A frame that does not belong here.
    #[error("the peer sent a frame out of place: end the exchange")]
    OutOfPlace,
    /// The peer's message ended before its last frame.
    #[error("the peer's message ended early: try again")]
    CutShort,
    /// Ranges that do not ascend, go on behind the last, or answer what was not asked.
    #[error("the peer's ranges do not ascend: end the exchange")]
    Ranges,
    /// More bytes in a message than allowed.
    #[error("the peer's message is longer than allowed: end the exchange")]
    TooLong,
    /// The peer answers without bringing the sets closer.
    #[error("the peer's answers lead nowhere: end the exchange")]
    Stalled,
    /// The peer reports an id as missing again after it was sent.
    #[error("the peer lacks {0} after it was sent: end the exchange")]
    MissingAgain(Id),
    /// An entry from the peer breaks a rule.
    #[error("the peer sent the entry {id}, which breaks a rule: {rule}")]
    Entry {
        /// The entry.
        id: Id,
        /// The rule.
        rule: Rule,
    },
    /// The request is about another tree.
    #[error("the request is about another tree than the session: make a session for its tree")]
    OtherTree,
    /// No version in common.
    #[error("the peer speaks versions {} to {}, this program {} to {}: update the older of the two",
        .theirs.oldest, .theirs.newest, .ours.oldest, .ours.newest)]
    Incompatible {
        /// What the peer speaks.
        theirs: Versions,
        /// What this program speaks.
        ours: Versions,
    },
    /// Limits that nothing fits into.
    #[error("the peer takes frames of {} bytes and messages of {}, and at least {MIN_FRAME} and {MIN_MESSAGE} are needed",
        .0.frame, .0.message)]
    Narrow(PeerLimits),
    /// The caller gave an input that no output asked for, or a buffer too small.
    #[error("the session was misused: {0}")]
    Misuse(&'static str),
}

/// Who is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The peer misbehaved: drop it, and back off.
    Peer,
    /// The line was cut: try again.
    Line,
    /// The peer is of another time: try again after an update.
    Incompatible,
    /// The caller misused the session: a defect of this program.
    Caller,
}

impl Fault {
    /// Who is to blame.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::CutShort => Blame::Line,
            Self::Incompatible { .. } | Self::Narrow(_) => Blame::Incompatible,
            Self::Misuse(_) | Self::OtherTree => Blame::Caller,
            _ => Blame::Peer,
        }
    }

    /// What a responder answers.
    pub fn reply(&self) -> Refusal {
        match self {
            Self::Incompatible { .. } | Self::Narrow(_) => {
                Refusal::Incompatible { versions: Versions::OURS, limits: PeerLimits::HOST }
            }
            Self::Misuse(_) | Self::OtherTree => Refusal::Failed,
            Self::Entry { id, rule } => Refusal::Refused { id: *id, rule: rule.clone() },
            other => Refusal::Malformed { rule: rule(other) },
        }
    }
}

/// The text of anything, cut to what a frame carries.
pub(crate) fn rule(text: impl core::fmt::Display) -> Rule {
    struct Cut(Rule);
    impl core::fmt::Write for Cut {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            text.chars().try_for_each(|character| self.0.push(character)).map_err(|_| core::fmt::Error)
        }
    }
    let mut cut = Cut(Rule::new());
    // An error says that the text was longer: it stays cut.
    let _ = core::fmt::Write::write_fmt(&mut cut, format_args!("{text}"));
    cut.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_blamed_for_what_it_did_and_for_nothing_else() {
        let of_another_time = Fault::Incompatible { theirs: Versions::OURS, ours: Versions::OURS };
        for (fault, blame) in [
            (Fault::OutOfPlace, Blame::Peer),
            (Fault::TooLong, Blame::Peer),
            (Fault::CutShort, Blame::Line),
            (of_another_time, Blame::Incompatible),
            (Fault::Narrow(PeerLimits { frame: 1, message: 1 }), Blame::Incompatible),
            (Fault::OtherTree, Blame::Caller),
            (Fault::Misuse("x"), Blame::Caller),
        ] {
            assert_eq!(fault.blame(), blame, "{fault}");
        }
    }
}
