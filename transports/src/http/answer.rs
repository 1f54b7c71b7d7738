//! A response as it comes in, piece by piece: its head is checked first, its end last.

use hyper::body::Bytes;
use pleach_core::{
    PublicKey, Signature, canonical,
    wire::{RequestDigest, ResponseHead, SignedError, Transcript, json},
};

use super::{
    form::{EndLine, Form, HeadLine},
    limits,
};
use crate::{
    TransportError,
    budget::Budget,
    framing::{Decoder, Part},
};

/// How far it is.
enum Progress {
    Head,
    Frames,
    /// The bytes of the signature, as far as they came.
    Signature(Vec<u8>),
}

/// A response to one request.
pub(super) struct Answer {
    form: Form,
    responder: PublicKey,
    request: RequestDigest,
    progress: Progress,
    transcript: Transcript,
    decoder: Decoder,
    /// The line that is coming, and the bytes of all frames before it.
    line: Vec<u8>,
    budget: Budget,
}

impl Answer {
    pub(super) fn new(form: Form, responder: PublicKey, request: RequestDigest) -> Self {
        Self {
            form,
            responder,
            request,
            progress: Progress::Head,
            transcript: Transcript::new(request),
            decoder: Decoder::default(),
            line: Vec::new(),
            budget: Budget::default(),
        }
    }

    /// The same behind a head that was good: for a fuzzer, which cannot sign one.
    #[cfg(feature = "fuzzing")]
    pub(super) fn behind_head(self) -> Self {
        Self { progress: Progress::Frames, ..self }
    }

    /// The next frame in the bytes that came, which are taken off the front.
    pub(super) fn next(&mut self, bytes: &mut Bytes) -> Result<Option<Vec<u8>>, TransportError> {
        while !bytes.is_empty() {
            if let Progress::Signature(signature) = &mut self.progress {
                signature.extend_from_slice(bytes);
                bytes.clear();
                if signature.len() > 64 {
                    return Err(misbehaved("bytes after the end of its response"));
                }
                return Ok(None);
            }
            let frame = match self.form {
                Form::Postcard => self.next_part(bytes)?,
                Form::Json => self.next_line(bytes)?,
            };
            if frame.is_some() {
                return Ok(frame);
            }
        }
        Ok(None)
    }

    fn next_part(&mut self, bytes: &mut Bytes) -> Result<Option<Vec<u8>>, TransportError> {
        let mut rest = &bytes[..];
        let part = self.decoder.feed(&mut rest).map_err(too_large)?;
        let used = bytes.len() - rest.len();
        self.transcript.add(&bytes.split_to(used));
        match (part, &self.progress) {
            (None, _) => {}
            (Some(Part::Frame(head)), Progress::Head) => {
                let head = canonical::from_bytes(&head).map_err(|error| refused_head(&error))?;
                self.check_head(&head)?;
                self.decoder.discount();
            }
            (Some(Part::Frame(frame)), _) => return Ok(Some(frame)),
            (Some(Part::End), Progress::Frames) => self.progress = Progress::Signature(Vec::new()),
            (Some(Part::End), _) => return Err(misbehaved("its response has no head")),
        }
        Ok(None)
    }

    fn next_line(&mut self, bytes: &mut Bytes) -> Result<Option<Vec<u8>>, TransportError> {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let piece = bytes.split_to(end.map_or(bytes.len(), |end| end + 1));
        if self.line.len() + piece.len() > limits::MAX_LINE {
            return Err(misbehaved("a line of its response is longer than any frame's text"));
        }
        self.line.extend_from_slice(&piece);
        if end.is_none() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        if let (Progress::Frames, Some(last)) = (&self.progress, line.strip_suffix(b"]\n")) {
            let EndLine { signature } = parse(last)?;
            self.progress = Progress::Signature(signature.as_bytes().to_vec());
            return Ok(None);
        }
        self.transcript.add(&line);
        let element =
            line.strip_suffix(b",\n").ok_or_else(|| misbehaved("a line of its response has no comma"))?;
        if matches!(self.progress, Progress::Head) {
            let first = element.strip_prefix(b"[").ok_or_else(|| misbehaved("its response is no list"))?;
            self.check_head(&parse::<HeadLine>(first)?.head)?;
            return Ok(None);
        }
        let frame = json::from_element(element).map_err(|error| misbehaved(&error))?;
        self.budget.charge(frame.len()).map_err(too_large)?;
        Ok(Some(frame))
    }

    fn check_head(&mut self, head: &ResponseHead) -> Result<(), TransportError> {
        head.check(self.responder, self.request).map_err(|error| match error {
            SignedError::OtherKey => TransportError::WrongKey { expected: self.responder, found: head.key },
            error => refused_head(&error),
        })?;
        self.progress = Progress::Frames;
        Ok(())
    }

    /// Checks that the response is whole, now that no more bytes come.
    pub(super) fn check_end(&self) -> Result<(), TransportError> {
        let cut = || TransportError::Cut("in the middle of a response".into());
        let Progress::Signature(signature) = &self.progress else { return Err(cut()) };
        let signature = <[u8; 64]>::try_from(&signature[..]).map_err(|_| cut())?;
        self.transcript.check(self.responder, &Signature::from_bytes(signature)).map_err(|error| {
            TransportError::Misbehaved(format!("the end of its response is refused: {error}"))
        })
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(line: &'a [u8]) -> Result<T, TransportError> {
    serde_json::from_slice(line).map_err(|error| misbehaved(&error))
}

fn misbehaved(error: impl std::fmt::Display) -> TransportError {
    TransportError::Misbehaved(error.to_string())
}

fn refused_head(error: &dyn std::fmt::Display) -> TransportError {
    misbehaved(format!("the head of its response is refused: {error}"))
}

/// What was announced or sent is the peer's fault.
fn too_large(error: TransportError) -> TransportError {
    match error {
        TransportError::TooLarge { .. } => misbehaved(&error),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use pleach_core::{
        SecretKey,
        limits::{MAX_FRAME, MAX_MESSAGE},
        wire::RequestTarget,
    };

    use super::*;

    const FORMS: [Form; 2] = [Form::Postcard, Form::Json];

    fn key() -> SecretKey {
        SecretKey::from_bytes([1; 32])
    }

    fn request() -> RequestDigest {
        let target = RequestTarget { audience: key().public(), method: "POST", path: "/", body: [0; 32] };
        target.digest(None, 0, &[0; 16])
    }

    fn response(form: Form, frames: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = form.head(&ResponseHead::sign(&key(), request(), 7));
        for frame in frames {
            bytes.extend(form.frame(frame));
        }
        bytes.extend(form.end());
        let mut transcript = Transcript::new(request());
        transcript.add(&bytes);
        bytes.extend(form.signature(transcript.sign(&key())));
        bytes
    }

    fn read(form: Form, bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, TransportError> {
        let mut answer = Answer::new(form, key().public(), request());
        let mut frames = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut rest = Bytes::copy_from_slice(piece);
            while let Some(frame) = answer.next(&mut rest)? {
                frames.push(frame);
            }
        }
        answer.check_end().map(|()| frames)
    }

    fn frames() -> Vec<Vec<u8>> {
        vec![vec![7, 1, 1, 0], b"of no kind".to_vec(), vec![3, 0, 0, 0]]
    }

    #[test]
    fn a_response_is_read_in_pieces_of_any_size() {
        for form in FORMS {
            for frames in [frames(), Vec::new()] {
                let bytes = response(form, &frames);
                for piece in 1..=bytes.len() {
                    assert_eq!(read(form, &bytes, piece), Ok(frames.clone()), "{form:?}");
                }
            }
        }
    }

    #[test]
    fn a_response_that_is_changed_cut_or_longer_anywhere_is_refused() {
        for form in FORMS {
            let good = response(form, &frames());
            for place in 0..good.len() {
                for flip in [1, 0x20, 0x80] {
                    let mut bad = good.clone();
                    bad[place] ^= flip;
                    assert!(read(form, &bad, 64).is_err(), "{form:?}: byte {place} of {}", good.len());
                }
                assert!(read(form, &good[..place], 64).is_err(), "{form:?}: cut at {place}");
            }
            assert!(read(form, &[&good[..], b"\n"].concat(), 64).is_err(), "{form:?}: more after the end");
        }
    }

    #[test]
    fn a_response_in_json_has_the_limits_of_any_other() {
        let frame = vec![0xff; MAX_FRAME];
        let most = vec![frame; MAX_MESSAGE / MAX_FRAME];
        assert!(read(Form::Json, &response(Form::Json, &most), 1 << 16).is_ok());
        let more = [most, vec![vec![0xff]]].concat();
        let refused = read(Form::Json, &response(Form::Json, &more), 1 << 16);
        assert!(matches!(refused, Err(TransportError::Misbehaved(_))), "{refused:?}");
        let endless = vec![b'['; limits::MAX_LINE + 1];
        let refused = read(Form::Json, &endless, 1 << 16);
        assert!(matches!(refused, Err(TransportError::Misbehaved(_))), "{refused:?}");
    }
}
