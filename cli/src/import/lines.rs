//! A file of lines that is read several times, so that everything can be checked before anything is written.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use anyhow::{Context, ensure};

use super::line::Line;

/// Bytes in one line: an entry's worth of text, escaped to the utmost.
const MAX_LINE: usize = 4 * 1024 * 1024;

/// Lines of a file, or of standard input spooled to one.
pub(crate) struct Lines {
    file: File,
}

impl Lines {
    /// The lines of a file.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let whole = file.metadata().is_ok_and(|data| data.is_file());
        if whole { Ok(Self { file }) } else { Self::spool(file) }
    }

    /// The lines of a stream, copied to a temporary file first.
    pub(crate) fn spool(mut stream: impl Read) -> anyhow::Result<Self> {
        let mut file = tempfile::tempfile().context("a temporary file for the input cannot be made")?;
        io::copy(&mut stream, &mut file).context("the input cannot be copied to a temporary file")?;
        Ok(Self { file })
    }

    /// Reads all lines from the start. Blank ones count, and are passed over.
    pub(super) fn each(&mut self, mut line: impl FnMut(Line) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::with_capacity(256 * 1024, &self.file);
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            let limit = MAX_LINE as u64 + 1;
            if reader
                .by_ref()
                .take(limit)
                .read_until(b'\n', &mut bytes)
                .context("the input cannot be read")?
                == 0
            {
                break;
            }
            ensure!(bytes.len() <= MAX_LINE, "line {number}: longer than {MAX_LINE} bytes");
            let text = str::from_utf8(&bytes).with_context(|| format!("line {number}: not UTF-8"))?;
            if !text.trim().is_empty() {
                line(Line::read(number, text)?)?;
            }
        }
        Ok(())
    }
}
