//! What the two processes say to each other: one byte of kind, four of length (little endian), then the body.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::{args::Command, output::Step};

/// Bytes in a frame's body: the longest command line, or a line of output with the largest value in it, escaped.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Bytes of standard input in one frame.
pub(super) const INPUT: usize = 64 * 1024;

/// What is asked. It goes first, and once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// The version of the program that asks: another one is refused, since commands may mean something else there.
    pub(super) version: String,
    /// What lets it in, where the file system does not.
    pub(super) token: String,
    /// Whether to print JSON.
    pub(super) json: bool,
    /// What to do.
    pub(super) command: Command,
}

/// One frame.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    /// What is asked.
    Request(Box<Request>),
    /// A part of the asker's standard input; empty at its end.
    Input(Vec<u8>),
    /// The asker is to send its standard input.
    WantInput,
    /// A line for standard output.
    Out(String),
    /// A line for standard error.
    Err(String),
    /// How far something is; nothing when it is over.
    Progress(Option<Step>),
    /// The command has ended so.
    Exit(u8),
}

impl Frame {
    /// Writes a frame.
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (kind, body) = match self {
            Self::Request(request) => (0, serde_json::to_vec(request)?),
            Self::Input(bytes) => (1, bytes.clone()),
            Self::WantInput => (2, Vec::new()),
            Self::Out(line) => (3, line.clone().into_bytes()),
            Self::Err(line) => (4, line.clone().into_bytes()),
            Self::Progress(step) => (5, serde_json::to_vec(step)?),
            Self::Exit(code) => (6, vec![*code]),
        };
        if body.len() > MAX_BODY {
            let size = body.len();
            return Err(io::Error::other(format!(
                "{size} bytes at once, at most {MAX_BODY}: use a file, or less"
            )));
        }
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let mut frame = Vec::with_capacity(body.len() + 5);
        frame.push(kind);
        frame.extend(length.to_le_bytes());
        frame.extend(body);
        to.write_all(&frame)?;
        to.flush()
    }

    /// Reads a frame; nothing at the end.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = [0; 5];
        match from.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            outcome => outcome?,
        }
        let [kind, length @ ..] = head;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_BODY {
            return Err(io::Error::other("a frame beyond the limit: is this another program?"));
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        let text = |body| String::from_utf8(body).map_err(io::Error::other);
        Ok(Some(match kind {
            0 => Self::Request(serde_json::from_slice(&body)?),
            1 => Self::Input(body),
            2 => Self::WantInput,
            3 => Self::Out(text(body)?),
            4 => Self::Err(text(body)?),
            5 => Self::Progress(serde_json::from_slice(&body)?),
            6 => Self::Exit(body.first().copied().unwrap_or(1)),
            _ => return Err(io::Error::other("a frame of an unknown kind: is this another version?")),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_bad_ones_are_errors() {
        let mut bytes = Vec::new();
        Frame::Out("line".into()).write(&mut bytes).unwrap();
        Frame::Exit(2).write(&mut bytes).unwrap();
        let mut rest = bytes.as_slice();
        assert!(matches!(Frame::read(&mut rest), Ok(Some(Frame::Out(line))) if line == "line"));
        assert!(matches!(Frame::read(&mut rest), Ok(Some(Frame::Exit(2)))));
        assert!(matches!(Frame::read(&mut rest), Ok(None)));
        assert!(Frame::read(&mut [9, 0, 0, 0, 0].as_slice()).is_err());
        assert!(Frame::read(&mut [3, 255, 255, 255, 255].as_slice()).is_err());
        assert!(Frame::read(&mut [3, 2, 0, 0, 0, 1].as_slice()).is_err());
        assert!(Frame::read(&mut [0, 2, 0, 0, 0, b'{', b'}'].as_slice()).is_err());
    }
}
