//! What a peer may say that holds a good key and does not mean well.

use pleach_core::{
    Id,
    session::Summary,
    storage::Fingerprint,
    wire::{
        Bound, CAPABILITIES, End, Hello, Kind, Mode, PeerLimits, RangeItem, Reply, Salt, Tips, VERSION, write,
    },
};

use pleach_tests::frames::hello;

use super::{
    dag::Shown,
    process::Part,
    store::{Disk, Terms},
};

/// What it says next. It holds all entries of a world, and says what it likes of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// A request begins, or a response.
    Head(Claim),
    /// An entry, whether its parents came or not, and whoever may write it.
    Entry(usize),
    /// It asks for an entry by name.
    Wants(usize),
    /// It has got something that stands on this entry, it says, and lacks it.
    Missing(usize),
    /// The message ends.
    End(Claim),
}

/// What it says of its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// That of the one it talks to.
    Same,
    /// The same tips, and one entry more.
    Miscounted,
    /// Nothing.
    Nothing,
    /// What nobody has ever seen.
    Other,
    /// It will send what the other lacks.
    Sends,
    /// It wants a list.
    Asks,
}

/// What may be said of a set where no more than that is meant.
pub(crate) const OF_SETS: [Claim; 4] = [Claim::Same, Claim::Miscounted, Claim::Nothing, Claim::Other];

/// What may be said in the head of a response.
pub(crate) const OF_RANGES: [Claim; 5] =
    [Claim::Same, Claim::Nothing, Claim::Other, Claim::Sends, Claim::Asks];

impl Claim {
    /// How many entries, and which tips, beside those of the one it talks to.
    fn set(self, summary: &Summary) -> (u64, Tips) {
        let named: Vec<_> = summary.first_tips.into_iter().flatten().collect();
        let (count, own) = (summary.measure.count, Tips::of(&summary.tips, &named));
        match self {
            Self::Same | Self::Sends | Self::Asks => (count, own),
            Self::Miscounted => (count + 1, own),
            Self::Nothing => (0, Tips::Named([].into_iter().collect())),
            Self::Other => (99, Tips::Named([Id::of(b"nobody's")].into_iter().collect())),
        }
    }

    /// What it says of all positions.
    fn mode(self) -> Mode {
        match self {
            Self::Same | Self::Miscounted => Mode::Skip,
            Self::Nothing => Mode::Empty,
            Self::Other => Mode::Fingerprint { fingerprint: Fingerprint([9; 16]), count: 99 },
            Self::Sends => Mode::Sending,
            Self::Asks => Mode::Ask,
        }
    }
}

impl Lie {
    /// The parts of a message that say it, to a side that holds this: in a request, or in a response.
    pub(crate) fn parts(self, terms: &Terms, disk: &Disk, requests: bool) -> Vec<Part> {
        let Ok(summary) = pleach_core::session::Source::summary(&Shown { dag: &terms.dag, set: disk.held });
        let id = |entry| terms.dag.position(entry).id;
        let nothing = core::iter::empty::<()>;
        let mut room = [0; 1_024];
        let used = match self {
            Self::Entry(entry) => return vec![Part::Entry(entry)],
            Self::Head(claim) => {
                let (count, tips) = claim.set(&summary);
                let all = [RangeItem { bound: Bound::default(), mode: claim.mode() }];
                if requests {
                    let config = terms.config(None);
                    let hello = Hello { salt: Salt([9; 8]), tips, count, ..hello(config.tree) };
                    write(Kind::Sync, &hello, all, &mut room)
                } else {
                    let reply = Reply {
                        version: VERSION,
                        capabilities: CAPABILITIES,
                        limits: PeerLimits::HOST,
                        same: claim == Claim::Same,
                        count,
                    };
                    write(Kind::Reply, &reply, all, &mut room)
                }
            }
            Self::Wants(entry) => write(Kind::Wants, &(), [id(entry)], &mut room),
            Self::Missing(entry) => write(Kind::Missing, &(), [id(entry)], &mut room),
            Self::End(claim) => {
                let (count, tips) = claim.set(&summary);
                let end =
                    if requests { End::default() } else { End { tips: Some(tips), count, ..End::default() } };
                write(Kind::End, &end, nothing(), &mut room)
            }
        };
        let frame = Part::control(&room[..used.expect("it fits")], disk.held);
        let ends = matches!(self, Self::End(_)).then_some(Part::End);
        [frame].into_iter().chain(ends).collect()
    }
}
