//! The bytes of a response from a server that says anything.

use hyper::body::Bytes;
use pleach_core::{
    Id, PublicKey, SecretKey,
    fuzzing::{Seed, frames},
    wire::{RequestDigest, RequestTarget, ResponseHead, Transcript},
};

use super::{answer::Answer, form::Form};
use crate::TransportError;

fn server() -> SecretKey {
    SecretKey::from_bytes([1; 32])
}

fn request(server: PublicKey) -> RequestDigest {
    let target = RequestTarget { audience: server, method: "POST", path: "/", body: [0; 32] };
    target.digest(None, 0, &[0; 16])
}

/// What a response is read as: its frames, and what comes of its end.
struct Reading {
    answer: Answer,
    result: Result<Vec<Vec<u8>>, TransportError>,
}

impl Reading {
    fn new(form: Form, headed: bool, bytes: &[u8], piece: usize) -> Self {
        let key = PUBLIC.with(|key| *key);
        let answer = Answer::new(form, key, request(key));
        let mut answer = if headed { answer.behind_head() } else { answer };
        let result = Self::frames(&mut answer, bytes, piece);
        Self { answer, result }
    }

    fn frames(answer: &mut Answer, bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, TransportError> {
        let mut frames = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut rest = Bytes::copy_from_slice(piece);
            while let Some(frame) = answer.next(&mut rest)? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }
}

thread_local! {
    static PUBLIC: PublicKey = server().public();
}

/// The bytes as a response. The first says in which form, in pieces of which size, and whether its head was good already;
/// what was read of it is sent again, whole and signed.
pub fn http(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let form = if first & 1 == 0 { Form::Postcard } else { Form::Json };
    let (headed, piece) = (first & 2 != 0, usize::from(first >> 2) + 1);
    let pieces = Reading::new(form, headed, rest, piece);
    let whole = Reading::new(form, headed, rest, rest.len().max(1));
    assert_eq!(pieces.result, whole.result, "the size of pieces changes nothing");
    let Ok(frames) = whole.result else { return };
    // One of eight by its hash, since it costs signatures.
    if Id::of(bytes).as_bytes()[0] < 32 {
        assert_eq!(pieces.answer.check_end(), whole.answer.check_end());
        let sent = response(form, &frames);
        let again = Reading::new(form, false, &sent, piece);
        assert_eq!(again.result, Ok(frames), "what was read can be sent");
        assert_eq!(again.answer.check_end(), Ok(()));
    }
}

/// A whole response.
fn response(form: Form, frames: &[Vec<u8>]) -> Vec<u8> {
    let server = server();
    let request = request(server.public());
    let mut bytes = form.head(&ResponseHead::sign(&server, request, 7));
    for frame in frames {
        bytes.extend(form.frame(frame));
    }
    bytes.extend(form.end());
    let mut transcript = Transcript::new(request);
    transcript.add(&bytes);
    bytes.extend(form.signature(transcript.sign(&server)));
    bytes
}

/// Inputs that reach deep.
pub fn seeds() -> Vec<Seed> {
    let all: Vec<_> = frames().into_iter().map(|(_, frame)| frame).collect();
    let seed = |first: u8, form, frames| [&[first][..], &response(form, frames)].concat();
    let behind = |first: u8, form: Form| {
        let frames: Vec<u8> = all.iter().take(3).flat_map(|frame| form.frame(frame)).collect();
        [&[first][..], &frames, form.end()].concat()
    };
    vec![
        ("frames", "http", seed(0x20, Form::Postcard, &all[..3])),
        ("elements", "http", seed(0x21, Form::Json, &all[..3])),
        ("frames_behind_head", "http", behind(0x22, Form::Postcard)),
        ("elements_behind_head", "http", behind(0x23, Form::Json)),
    ]
}
