//! What can go wrong, and what the hostile do.

use super::Plan;

/// An enumeration with a name and a sentence for each, and all of them in a list.
macro_rules! kinds {
    ($(#[$about:meta])* $name:ident { $($(#[$on:meta])* $kind:ident = $said:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = $said] $(#[$on])* $kind,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// What it is, in a few words.
            pub const fn said(self) -> &'static str {
                match self { $(Self::$kind => $said),* }
            }

            /// The one with this name, as `Debug` writes it.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| format!("{kind:?}") == name)
            }
        }
    };
}

kinds! {
    /// A kind of fault.
    Fault {
        // The network.
        FrameLost = "a frame does not arrive",
        FrameDoubled = "a frame arrives twice",
        FramesSwapped = "two frames arrive in the other order",
        FrameLate = "a frame takes seconds, and all behind it wait",
        BitFlipped = "one bit of a frame arrives wrong",
        FrameShortened = "a frame arrives without its end",
        FrameInvented = "bytes arrive that nobody sent",
        EndLost = "the end of a message does not arrive",
        StreamCut = "a connection breaks between frames, and what is under way is lost",
        StreamCutInside = "a connection breaks inside of a frame, behind all that came before it",
        CloseLost = "the other side never hears that an exchange is over",
        DialRefused = "nobody answers at an address",
        DialHangs = "an address is dialled, and nothing comes back",
        DialSlow = "an address answers after seconds",
        DialElsewhere = "another node answers at an address",
        RequestReplayed = "a whole request arrives once more, later",
        SlowLink = "a connection carries a kilobyte a second",
        PartitionOneWay = "nothing goes one way between two nodes",
        PartitionBothWays = "two groups of nodes do not hear of each other",
        // The process.
        Crash = "a process dies between two events",
        CrashAtAction = "a process dies while it carries out what its node asked for",
        CrashBeforeWrite = "a process dies before a write that was asked for",
        CrashAfterWrite = "a process dies after a write, before it is told",
        Restart = "a process ends and begins again at once",
        Pause = "a process stands still for a while, and then finds all that came",
        ClockForward = "a wall clock jumps forward",
        ClockBackward = "a wall clock jumps back",
        ClockSkew = "a wall clock is wrong by minutes or years",
        MonotonicBack = "a monotonic clock runs backwards for a moment",
        SlowReads = "reads take a second",
        SlowChecks = "checks of signatures take seconds",
        LateTimer = "a timer fires late",
        EarlyTimer = "a timer fires early, again and again",
        // The disk.
        DiskFull = "a write finds no room",
        DiskError = "a write fails, and the store takes no more until it is opened again",
        DiskReadError = "a read fails",
        DiskSlow = "a write takes seconds",
        LostUnsynced = "a power cut loses what was not synced",
        TornWrite = "a power cut leaves parts of what was not synced",
        Rot = "a bit of what is stored flips",
        DiskReplaced = "a disk is lost, and an empty one takes its place",
        BackupRestored = "a store goes back to what it was a while ago",
    }
}

kinds! {
    /// What a hostile peer that holds a valid key does.
    Strategy {
        LyingTips = "answers with tips that it never brings",
        FalseFingerprints = "asks with fingerprints of nothing",
        FalseSame = "answers that both hold the same",
        Withholding = "answers with every second entry",
        CountLie = "claims a number of entries that nobody holds",
        TokenLie = "claims to have heard all arrivals",
        EndlessAnswer = "answers with frame after frame without end",
        MuteAnswer = "accepts and never answers",
        Orphans = "pushes entries without their parents",
        Equivocation = "tells two nodes two histories",
        BackdatedWrite = "writes as if it were long ago, on top of the past",
        BackdatedRevocation = "revokes as if it were long ago, on top of the past",
        ClaimedFuture = "writes as if it were the end of time",
        EntryFlood = "pushes many entries",
        TipFan = "pushes many entries side by side",
        RequestFlood = "asks again and again",
        IdleExchanges = "opens exchanges and says nothing",
        Replay = "says again what others said",
        Escalation = "grants itself more than it has",
        RevokeAbove = "revokes whoever ranks above it",
        RevokeEqual = "revokes whoever ranks as it does",
        GrantsAfterRevocation = "lets friends in after it was thrown out",
        BadSignature = "pushes entries whose signatures do not fit",
        StolenAuthor = "pushes entries in the name of others",
        WrongHeight = "pushes entries at heights that their parents do not give",
        WrongTree = "pushes entries of another database",
        Oversized = "sends frames of the largest size",
        Garbage = "sends bytes that are no frame",
        UnknownTree = "asks about databases that there are not",
        AskFlood = "asks for access again and again",
        Eavesdrop = "asks for everything under a key that nobody knows",
    }
}

/// How often each was hit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Faults, in order of [`Fault::ALL`].
    pub faults: Vec<u64>,
    /// Strategies, in order of [`Strategy::ALL`].
    pub strategies: Vec<u64>,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { faults: vec![0; Fault::ALL.len()], strategies: vec![0; Strategy::ALL.len()] }
    }

    /// One more.
    pub fn fault(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    /// One more.
    pub fn strategy(&mut self, strategy: Strategy) {
        self.strategies[strategy as usize] += 1;
    }

    /// How often each kind of the simulator was hit, faults first.
    fn hits(&self) -> impl Iterator<Item = u64> {
        self.faults.iter().chain(&self.strategies).copied()
    }

    /// Those kinds of a plan that never happened.
    pub fn unhit(&self, plan: &Plan) -> Vec<String> {
        let kinds = kinds().zip(plan.draws()).zip(self.hits());
        kinds.filter(|((_, drawn), hits)| *drawn && *hits == 0).map(|(((name, _), _), _)| name).collect()
    }
}

/// The names of all kinds and what they are, faults first.
fn kinds() -> impl Iterator<Item = (String, &'static str)> {
    let faults = Fault::ALL.iter().map(|kind| (format!("{kind:?}"), kind.said()));
    faults.chain(Strategy::ALL.iter().map(|kind| (format!("{kind:?}"), kind.said())))
}

/// What became of one kind in many seeds.
#[derive(Clone, Copy, Debug, Default)]
struct Drawn {
    /// Seeds that drew it.
    seeds: u64,
    /// Of these, those in which it happened.
    hit: u64,
    /// How often it happened in all of them.
    hits: u64,
}

/// In how many seeds each kind was drawn, and in how many of these it happened.
#[derive(Clone, Debug)]
pub struct Coverage(Vec<Drawn>);

impl Coverage {
    /// Seeds that must have drawn a kind before its absence from all of them is a failure. A rare kind may miss a short
    /// world or two; it does not miss three.
    pub const ENOUGH: u64 = 3;

    /// Nothing was run yet.
    pub fn new() -> Self {
        Self(vec![Drawn::default(); Fault::ALL.len() + Strategy::ALL.len()])
    }

    /// One more run.
    pub fn add(&mut self, plan: &Plan, tally: &Tally) {
        for ((kind, drawn), hits) in self.0.iter_mut().zip(plan.draws()).zip(tally.hits()) {
            kind.seeds += u64::from(drawn);
            kind.hit += u64::from(drawn && hits > 0);
            kind.hits += hits;
        }
    }

    /// Kinds that many seeds drew and that happened in none of them.
    pub fn never(&self) -> Vec<String> {
        let never = kinds().zip(&self.0).filter(|(_, kind)| kind.seeds >= Self::ENOUGH && kind.hit == 0);
        never.map(|((name, _), _)| name).collect()
    }

    /// The table, for people.
    pub fn table(&self) -> String {
        let mut lines = format!("{:>10} {:>9}\n", "times", "in seeds");
        for ((name, said), Drawn { seeds, hit, hits }) in kinds().zip(&self.0) {
            use std::fmt::Write;
            let _ = writeln!(lines, "{hits:>10} {:>9}  {name:<22} {said}", format!("{hit}/{seeds}"));
        }
        lines
    }
}

impl Default for Coverage {
    fn default() -> Self {
        Self::new()
    }
}
