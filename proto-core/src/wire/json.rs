//! Frames as JSON text, from the same types as their bytes.
//!
//! A frame is an object with one key, the name of its kind; see `docs/protocol.md`. Ids are base32, fingerprints and
//! short forms hexadecimal or numbers, entries base64 of their canonical bytes. There is one decoder: JSON is turned
//! into the frame's bytes, and these are read by [`Frame::read`] as if they had come over the wire.

use alloc::{string::String, vec, vec::Vec};
use core::{fmt, marker::PhantomData};

use data_encoding::BASE64;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    Ask, Asked, End, Frame, FrameError, Have, Hello, Items, KeyProof, Kind, RangeItem, Refusal, Reply,
    TreeLine, TreesReply, TreesRequest,
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

/// Bytes of a frame's text at most; a frame whose text would be longer goes as base64.
const MAX_TEXT: usize = 2 * MAX_FRAME;

/// A frame with all that it holds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Shown {
    Sync { head: Hello, ranges: Listing<RangeItem> },
    Reply { head: Reply, ranges: Listing<RangeItem> },
    Entries(Listing<Base64>),
    End(End),
    Wants(Listing<Id>),
    Missing(Listing<Id>),
    Refusal(Refusal),
    Trees(TreesRequest),
    TreeList { head: TreesReply, trees: Listing<TreeLine> },
    Ask { head: Ask, metadata: Base64 },
    Have { head: Have, ids: Listing<Id> },
    Advance(Base64),
    Gone(Listing<Id>),
    Asked(Asked),
    Keys(Listing<KeyProof>),
}

/// Items by their canonical bytes, which are far smaller than the items in memory: a stranger's text costs no more
/// than its length.
struct Listing<T> {
    bytes: Vec<u8>,
    of: PhantomData<T>,
}

impl<T: Serialize> Listing<T> {
    fn of(items: impl IntoIterator<Item = T>) -> Self {
        let mut bytes = Vec::new();
        for item in items {
            bytes.extend(canonical::to_vec(&item));
        }
        Self { bytes, of: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned> Serialize for Listing<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(Items::<T>::trusted(&self.bytes).iter())
    }
}

impl<'de, T: Serialize + DeserializeOwned> Deserialize<'de> for Listing<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading<T>(PhantomData<T>);
        impl<'de, T: Serialize + DeserializeOwned> Visitor<'de> for Reading<T> {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut bytes = Vec::new();
                while let Some(item) = items.next_element::<T>()? {
                    bytes.extend(canonical::to_vec(&item));
                    if bytes.len() > MAX_FRAME {
                        return Err(de::Error::custom(FrameError::TooLarge(bytes.len())));
                    }
                }
                Ok(bytes)
            }
        }
        deserializer.deserialize_seq(Reading(PhantomData::<T>)).map(|bytes| Self { bytes, of: PhantomData })
    }
}

/// Bytes: behind their length in a frame, as base64 in text.
struct Base64(Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&BASE64.encode(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            BASE64.decode(text.as_bytes()).map(Self).map_err(de::Error::custom)
        } else {
            <&[u8]>::deserialize(deserializer).map(|bytes| Self(bytes.into()))
        }
    }
}

/// One frame of a message: an object, or base64 of the frame's bytes in a string.
struct Element(Vec<u8>);

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Element;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a frame: an object with its kind as key, or its bytes in base64")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                match BASE64.decode(text.as_bytes()).map_err(E::custom)? {
                    bytes if bytes.is_empty() => Err(E::custom(FrameError::Empty)),
                    bytes if bytes.len() > MAX_FRAME => Err(E::custom(FrameError::TooLarge(bytes.len()))),
                    bytes => Ok(Element(bytes)),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let shown = Shown::deserialize(MapAccessDeserializer::new(map))?;
                shown.frame().map(Element).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

impl Shown {
    fn of(frame: &[u8]) -> Result<Self, FrameError> {
        Ok(match Frame::read(frame)? {
            Frame::Sync(head, ranges) => Self::Sync { head, ranges: Listing::of(&ranges) },
            Frame::Reply(head, ranges) => Self::Reply { head, ranges: Listing::of(&ranges) },
            Frame::Entries(entries) => Self::Entries(Listing::of(entries.map(|entry| Base64(entry.into())))),
            Frame::End(end) => Self::End(end),
            Frame::Wants(ids) => Self::Wants(Listing::of(&ids)),
            Frame::Missing(ids) => Self::Missing(Listing::of(&ids)),
            Frame::Refusal(refusal) => Self::Refusal(refusal),
            Frame::Trees(request) => Self::Trees(request),
            Frame::TreeList(head, trees) => Self::TreeList { head, trees: Listing::of(&trees) },
            Frame::Ask(head, metadata) => Self::Ask { head, metadata: Base64(metadata.into()) },
            Frame::Have(head, ids) => Self::Have { head, ids: Listing::of(&ids) },
            Frame::Advance(entry) => Self::Advance(Base64(entry.into())),
            Frame::Gone(ids) => Self::Gone(Listing::of(&ids)),
            Frame::Asked(asked) => Self::Asked(asked),
            Frame::Keys(proofs) => Self::Keys(Listing::of(&proofs)),
        })
    }

    /// The frame's bytes, checked.
    fn frame(&self) -> Result<Vec<u8>, FrameError> {
        let frame = match self {
            Self::Sync { head, ranges } => encode(Kind::Sync, head, &ranges.bytes),
            Self::Reply { head, ranges } => encode(Kind::Reply, head, &ranges.bytes),
            Self::Entries(entries) => encode(Kind::Entries, &(), &entries.bytes),
            Self::End(end) => encode(Kind::End, end, &[]),
            Self::Wants(ids) => encode(Kind::Wants, &(), &ids.bytes),
            Self::Missing(ids) => encode(Kind::Missing, &(), &ids.bytes),
            Self::Refusal(refusal) => encode(Kind::Refusal, refusal, &[]),
            Self::Trees(request) => encode(Kind::Trees, request, &[]),
            Self::TreeList { head, trees } => encode(Kind::TreeList, head, &trees.bytes),
            Self::Ask { head, metadata } => encode(Kind::Ask, head, &metadata.0),
            Self::Have { head, ids } => encode(Kind::Have, head, &ids.bytes),
            Self::Advance(entry) => encode(Kind::Advance, &(), &entry.0),
            Self::Gone(ids) => encode(Kind::Gone, &(), &ids.bytes),
            Self::Asked(asked) => encode(Kind::Asked, asked, &[]),
            Self::Keys(proofs) => encode(Kind::Keys, &(), &proofs.bytes),
        };
        Frame::read(&frame)?;
        Ok(frame)
    }
}

fn encode<H: Serialize>(kind: Kind, head: &H, items: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind as u8];
    frame.extend(canonical::to_vec(head));
    frame.extend_from_slice(items);
    frame
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
    Ok(serde_json::to_string(&Shown::of(frame)?)?)
}

/// Turns JSON into a frame's bytes, and checks them.
pub fn from_text(text: &str) -> Result<Vec<u8>, JsonError> {
    let shown: Shown = serde_json::from_str(text)?;
    Ok(shown.frame()?)
}

/// Shows a frame as an element of a message. What cannot be shown, because its kind is unknown here or its text would
/// be more than twice as long as a frame may be, becomes base64 of its bytes in a string; so every frame has a text,
/// and a judge of frames at the other end.
///
/// ```
/// # use pleach_core::wire::json;
/// assert_eq!(json::element(&[7, 1, 1, 0]), r#"{"trees":{"versions":{"oldest":1,"newest":1},"after":null}}"#);
/// assert_eq!(json::element(b"no frame"), r#""bm8gZnJhbWU=""#);
/// ```
pub fn element(frame: &[u8]) -> String {
    match to_text(frame) {
        Ok(text) if text.len() <= MAX_TEXT => text,
        _ => ["\"", &BASE64.encode(frame), "\""].concat(),
    }
}

/// Reads one element of a message.
pub fn from_element(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    let Element(frame) = serde_json::from_slice(text)?;
    Ok(frame)
}

/// Turns a message in JSON into its frames: a list of elements, or one object, which is a message of one frame.
///
/// ```
/// # use pleach_core::wire::json;
/// let frames = json::message(br#"[{"wants": []}, {"end": {"until": null, "tips": null, "count": 0, "token": null}}, "Bw=="]"#)?;
/// assert_eq!(frames, [&[4][..], &[3, 0, 0, 0, 0], &[7]]);
/// assert_eq!(json::message(br#"{"wants": []}"#)?, [[4]]);
/// # Ok::<(), json::JsonError>(())
/// ```
pub fn message(text: &[u8]) -> Result<Vec<Vec<u8>>, JsonError> {
    struct Message(Vec<Vec<u8>>);
    impl<'de> Deserialize<'de> for Message {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Reading;
            impl<'de> Visitor<'de> for Reading {
                type Value = Message;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a list of frames, or one frame as an object")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                    let mut frames = Vec::new();
                    while let Some(Element(frame)) = elements.next_element()? {
                        frames.push(frame);
                    }
                    Ok(Message(frames))
                }
                fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                    let Element(frame) = Element::deserialize(MapAccessDeserializer::new(map))?;
                    Ok(Message(vec![frame]))
                }
            }
            deserializer.deserialize_any(Reading)
        }
    }
    let Message(frames) = serde_json::from_slice(text)?;
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::{
        Position, SecretKey,
        entry::Permission,
        storage::{Epoch, Measure, Token},
        wire::{
            AskOutcome, Bound, CAPABILITIES, Floor, Invite, Mode, PeerLimits, Prefix, Redemption, Salt, Tips,
            Versions,
        },
    };

    fn redemption() -> Redemption {
        let (admin, secret) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
        let invite = Invite::sign(&admin, Id::MAX, secret.public(), Permission::Write(7), 3, 1 << 40);
        Redemption::sign(invite, &secret, admin.public())
    }

    fn frames() -> Vec<Vec<u8>> {
        let id = Id::of(b"x");
        let salt = Salt([9; 8]);
        let token = Token { epoch: Epoch([3; 8]), number: 5 };
        let tips = Tips::Named([id].into_iter().collect());
        let hello = Hello {
            versions: Versions::OURS,
            capabilities: CAPABILITIES,
            limits: PeerLimits::HOST,
            tree: id,
            salt,
            tips: tips.clone(),
            count: 700,
            token: Some(token),
            start: Floor::new(&Position { height: 7, id }),
            hold: 20_000,
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
        let reply =
            Reply { version: 1, capabilities: CAPABILITIES, limits: PeerLimits::HOST, same: false, count: 3 };
        let end = End { until: Some(start), tips: Some(tips), count: 3, token: Some(token) };
        let have = Have {
            versions: Versions::OURS,
            capabilities: CAPABILITIES,
            limits: PeerLimits::HOST,
            tree: id,
            entry: 4_096,
            entries: 40,
            bytes: 12_000,
            relieve: true,
            base: [Position { height: 7, id }].into_iter().collect(),
        };
        let line = TreeLine { tree: id, name: "a \"name\"".try_into().unwrap(), count: 1, changed: 2 };
        let ask = Ask {
            versions: Versions::OURS,
            tree: id,
            permission: Permission::Write(7),
            name: "Bob".try_into().unwrap(),
            invite: Some(redemption()),
            hold: 0,
        };
        let asked = Asked { version: 1, outcome: AskOutcome::Approved(Permission::Read) };
        let proof = KeyProof { key: redemption().invite.key, signature: redemption().proof };
        let entries = [&b"one"[..], b"another"].map(|bytes| Base64(bytes.into()));
        Vec::from([
            encode(Kind::Sync, &hello, &Listing::of(&ranges).bytes),
            encode(Kind::Reply, &reply, &Listing::of(&ranges).bytes),
            encode(Kind::Entries, &(), &Listing::of(entries).bytes),
            encode(Kind::End, &end, &[]),
            encode(Kind::Wants, &(), &Listing::of([id, Id::MAX]).bytes),
            encode(Kind::Missing, &(), &Listing::of([id]).bytes),
            encode(Kind::Refusal, &Refusal::Busy { delay: 1_000 }, &[]),
            encode(Kind::Trees, &TreesRequest { versions: Versions::OURS, after: Some(id) }, &[]),
            encode(Kind::TreeList, &TreesReply { version: 1, more: true }, &Listing::of([line]).bytes),
            encode(Kind::Ask, &ask, b"let me in"),
            encode(Kind::Have, &have, &Listing::of([id]).bytes),
            encode(Kind::Advance, &(), b"an entry"),
            encode(Kind::Gone, &(), &Listing::of([id]).bytes),
            encode(Kind::Asked, &asked, &[]),
            encode(Kind::Keys, &(), &Listing::of([proof]).bytes),
        ])
    }

    #[test]
    fn every_kind_goes_through_json_and_back() {
        let numbers: Vec<u8> = frames().iter().map(|frame| frame[0]).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        for frame in &frames() {
            let text = to_text(frame).unwrap();
            assert_eq!(&from_text(&text).unwrap(), frame, "{text}");
        }
    }

    #[test]
    fn a_message_of_all_kinds_goes_through_json_and_back() {
        let mut frames = frames();
        frames.push(Vec::from(*b"\xffof a later version"));
        let elements: Vec<_> = frames.iter().map(|frame| element(frame)).collect();
        assert_eq!(message(std::format!("[{}]", elements.join(",\n")).as_bytes()).unwrap(), frames);
        for (frame, text) in frames.iter().zip(&elements) {
            assert_eq!(&from_element(text.as_bytes()).unwrap(), frame);
        }
        assert_eq!(message(b"[]").unwrap(), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn what_is_no_message_is_refused_with_its_place() {
        for text in [
            "",
            "[",
            "{}",
            "[{}]",
            "null",
            "7",
            "\"Bw==\"",
            "[7]",
            "[\"\"]",
            "[\"Bw\"]",
            "[{\"wants\":[]}]x",
            "\u{0}",
            "[{\"wants\":[],\"end\":{}}]",
            "{\"wants\":[\"x\"]}",
            "[[{\"wants\":[]}]]",
        ] {
            let refused = message(text.as_bytes());
            assert!(matches!(refused, Err(JsonError::Text(_))), "{text:?}: {refused:?}");
        }
        assert!(message(b"[\"\xff\"]").is_err());
        assert!(message("[".repeat(100_000).as_bytes()).is_err(), "too deep");
        let many =
            std::format!("{{\"wants\":[{}]}}", std::vec![std::format!("\"{}\"", Id::MIN); 257].join(","));
        let told = std::format!("{}", message(many.as_bytes()).unwrap_err());
        assert!(told.contains("too many items"), "{told}");
    }

    #[test]
    fn a_frame_whose_text_would_be_huge_goes_as_base64() {
        let bound = Bound::new(&Position { height: 1, id: Id::MIN }, &Position { height: 2, id: Id::MIN });
        let item = canonical::to_vec(&RangeItem { bound, mode: Mode::Skip });
        let reply =
            Reply { version: 1, capabilities: CAPABILITIES, limits: PeerLimits::HOST, same: false, count: 0 };
        let frame = encode(Kind::Reply, &reply, &item.repeat(200_000 / item.len()));
        assert!(Frame::read(&frame).is_ok());
        let text = element(&frame);
        assert!(text.starts_with('"') && text.len() < MAX_TEXT);
        assert_eq!(from_element(text.as_bytes()).unwrap(), frame);
    }

    #[test]
    fn every_kind_is_refused_when_cut_short() {
        // What goes up to the end of its frame shows no cut: an entry, for its own reader, and metadata, for people.
        let open = [Kind::Advance as u8, Kind::Ask as u8];
        for frame in frames().into_iter().filter(|frame| !open.contains(&frame[0])) {
            let head = &frame[..frame.len() - 1];
            // A frame of whole items, one less, is a shorter frame; the last item of these is longer than a byte.
            assert!(Frame::read(head).is_err(), "{head:?}");
        }
        assert!(from_text("{\"sync\":{}}").is_err());
        assert!(from_text("{\"entries\":[\"!\"]}").is_err());
        assert!(from_text("{\"entries\":[\"\"]}").is_err(), "an entry of no bytes");
    }
}
