//! How a command ends: what a process reports as its exit code.

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is done.
    Done,
    /// It failed, and said why; or it found what it was to look for (`verify`, `demo`).
    Failed,
    /// It was asked for in a way that has no meaning.
    Misused,
}

impl Ending {
    /// The exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Misused => 2,
        }
    }

    /// What a process meant by its exit code.
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Done,
            2 => Self::Misused,
            _ => Self::Failed,
        }
    }

    /// How a command ends that failed with this error.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if error.is::<Misuse>() { Self::Misused } else { Self::Failed }
    }
}

/// An error that is the caller's: the command line itself has no meaning.
#[derive(Debug)]
pub(crate) struct Misuse(pub(crate) String);

impl std::fmt::Display for Misuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}
