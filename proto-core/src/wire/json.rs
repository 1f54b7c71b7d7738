//! Frames as JSON text, from the same types as their bytes.
//!
//! A frame is an object with one key, the name of its kind; see `docs/protocol.md`. Ids are base32, fingerprints and
//! short forms hexadecimal or numbers, entries base64 of their canonical bytes. There is one decoder: JSON is turned
//! into the frame's bytes, and these are read by [`Frame::read`] as if they had come over the wire.

use alloc::{string::String, vec, vec::Vec};

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    End, EntriesWriter, Frame, FrameError, Hello, Kind, RangeItem, Refusal, Reply, TreeLine, TreesReply,
    TreesRequest, write,
};
use crate::{Id, canonical, limits::MAX_FRAME};

/// Why text is no frame, or a frame cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is no JSON, or not of a frame.
    #[error("not a frame in JSON: {0}: see docs/protocol.md")]
    Text(#[from] serde_json::Error),
    /// The bytes, or what the text says, is no valid frame.
    #[error("{0}")]
    Frame(#[from] FrameError),
}

/// A frame with all that it holds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Shown {
    Sync { head: Hello, ranges: Vec<RangeItem> },
    Reply { head: Reply, ranges: Vec<RangeItem> },
    Entries(Vec<EntryText>),
    End(End),
    Wants(Vec<Id>),
    Missing(Vec<Id>),
    Refusal(Refusal),
    Trees(TreesRequest),
    TreeList { head: TreesReply, trees: Vec<TreeLine> },
}

/// An entry's canonical bytes as base64.
struct EntryText(Vec<u8>);

impl Serialize for EntryText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for EntryText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map(Self).map_err(de::Error::custom)
    }
}

/// Shows a frame's bytes as JSON.
///
/// ```
/// # use pleach_core::wire::json;
/// let frame = json::from_text(r#"{"trees":{"versions":{"oldest":1,"newest":1},"after":null}}"#)?;
/// assert_eq!(frame, [7, 1, 1, 0]);
/// assert_eq!(json::to_text(&frame)?, r#"{"trees":{"versions":{"oldest":1,"newest":1},"after":null}}"#);
/// # Ok::<(), json::JsonError>(())
/// ```
pub fn to_text(frame: &[u8]) -> Result<String, JsonError> {
    let shown = match Frame::read(frame)? {
        Frame::Sync(head, ranges) => Shown::Sync { head, ranges: ranges.iter().collect() },
        Frame::Reply(head, ranges) => Shown::Reply { head, ranges: ranges.iter().collect() },
        Frame::Entries(entries) => Shown::Entries(entries.map(|entry| EntryText(entry.into())).collect()),
        Frame::End(end) => Shown::End(end),
        Frame::Wants(ids) => Shown::Wants(ids.iter().collect()),
        Frame::Missing(ids) => Shown::Missing(ids.iter().collect()),
        Frame::Refusal(refusal) => Shown::Refusal(refusal),
        Frame::Trees(request) => Shown::Trees(request),
        Frame::TreeList(head, trees) => Shown::TreeList { head, trees: trees.iter().collect() },
    };
    Ok(serde_json::to_string(&shown)?)
}

/// Turns JSON into a frame's bytes, and checks them.
pub fn from_text(text: &str) -> Result<Vec<u8>, JsonError> {
    let shown: Shown = serde_json::from_str(text)?;
    let frame = match &shown {
        Shown::Sync { head, ranges } => encode(Kind::Sync, head, ranges),
        Shown::Reply { head, ranges } => encode(Kind::Reply, head, ranges),
        Shown::Entries(entries) => return encode_entries(entries),
        Shown::End(end) => encode::<_, Id>(Kind::End, end, &[]),
        Shown::Wants(ids) => encode(Kind::Wants, &(), ids),
        Shown::Missing(ids) => encode(Kind::Missing, &(), ids),
        Shown::Refusal(refusal) => encode::<_, Id>(Kind::Refusal, refusal, &[]),
        Shown::Trees(request) => encode::<_, Id>(Kind::Trees, request, &[]),
        Shown::TreeList { head, trees } => encode(Kind::TreeList, head, trees),
    };
    Frame::read(&frame)?;
    Ok(frame)
}

fn encode<H: Serialize, I: Serialize>(kind: Kind, head: &H, items: &[I]) -> Vec<u8> {
    let items_len = items.iter().map(canonical::encoded_len).fold(0, usize::saturating_add);
    let mut room = vec![0; canonical::encoded_len(head).saturating_add(items_len).saturating_add(1)];
    // The room is as large as what is written.
    let used = write(kind, head, items, &mut room).unwrap_or_default();
    room.truncate(used);
    room
}

fn encode_entries(entries: &[EntryText]) -> Result<Vec<u8>, JsonError> {
    let mut room = vec![0; MAX_FRAME];
    let mut writer = EntriesWriter::new(&mut room);
    let mut sum = 0_usize;
    for entry in entries {
        sum = sum.saturating_add(entry.0.len());
        if !writer.push(&entry.0) {
            return Err(FrameError::TooLarge(sum).into());
        }
    }
    let frame = writer.finish().to_vec();
    Frame::read(&frame)?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::{
        Position,
        storage::Measure,
        wire::{Bound, CAPABILITIES, Floor, Mode, PeerLimits, Prefix, Salt, Tips, Versions},
    };

    fn frames() -> Vec<Vec<u8>> {
        let id = Id::of(b"x");
        let salt = Salt([9; 8]);
        let tips = Tips::Named([id].into_iter().collect());
        let hello = Hello {
            versions: Versions::OURS,
            capabilities: CAPABILITIES,
            limits: PeerLimits::HOST,
            tree: id,
            salt,
            tips: tips.clone(),
            count: 700,
            start: Floor::new(&Position { height: 7, id }),
        };
        let fingerprint = salt.fingerprint(&Measure::of(id));
        let mut start = Position { height: 7, id };
        let modes = std::vec![
            Mode::Skip,
            Mode::Empty,
            Mode::Fingerprint { fingerprint, count: 300 },
            Mode::List([Prefix::new(&salt, &id)].into_iter().collect()),
            Mode::Ids([id].into_iter().collect()),
            Mode::Ask,
            Mode::Answer { check: u32::MAX, wanted: u64::MAX },
            Mode::Sending,
            Mode::Open,
        ];
        let ranges: Vec<_> = modes
            .into_iter()
            .map(|mode| {
                let end = Position { height: start.height + 300, id: Id::MIN };
                let bound = Bound::new(&start, &end);
                start = end;
                RangeItem { bound, mode }
            })
            .collect();
        let reply = Reply { version: 1, capabilities: CAPABILITIES, limits: PeerLimits::HOST, same: false };
        let end = End { until: Some(start), tips: Some(tips), count: 3 };
        let line = TreeLine { tree: id, name: "a \"name\"".try_into().unwrap(), count: 1, changed: 2 };
        Vec::from([
            encode(Kind::Sync, &hello, &ranges),
            encode(Kind::Reply, &reply, &ranges),
            encode_entries(&[EntryText(Vec::from(*b"one")), EntryText(Vec::from(*b"another"))]).unwrap(),
            encode::<_, Id>(Kind::End, &end, &[]),
            encode(Kind::Wants, &(), &[id, Id::MAX]),
            encode(Kind::Missing, &(), &[id]),
            encode::<_, Id>(Kind::Refusal, &Refusal::Busy { delay: 1_000 }, &[]),
            encode::<_, Id>(Kind::Trees, &TreesRequest { versions: Versions::OURS, after: Some(id) }, &[]),
            encode(Kind::TreeList, &TreesReply { version: 1, more: true }, &[line]),
        ])
    }

    #[test]
    fn every_kind_goes_through_json_and_back() {
        for (number, frame) in frames().iter().enumerate() {
            assert_eq!(usize::from(frame[0]), number);
            let text = to_text(frame).unwrap();
            assert_eq!(&from_text(&text).unwrap(), frame, "{text}");
        }
    }

    #[test]
    fn every_kind_is_refused_when_cut_short() {
        for frame in frames() {
            let head = &frame[..frame.len() - 1];
            // A frame of whole items, one less, is a shorter frame; the last item of these is longer than a byte.
            assert!(Frame::read(head).is_err(), "{head:?}");
        }
        assert!(from_text("{\"sync\":{}}").is_err());
        assert!(from_text("{\"entries\":[\"!\"]}").is_err());
        assert!(from_text("{\"entries\":[\"\"]}").is_err(), "an entry of no bytes");
    }
}
