//! The two forms of what goes over HTTP, chosen by content type: frames as they are, or JSON that becomes the same
//! frames at the edge.

use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use pleach_core::{
    Signature, canonical,
    wire::{NodeAnswer, ResponseHead, json},
};
use serde::{Deserialize, Serialize};

use super::header;
use crate::framing;

/// One of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// Each frame behind its length.
    #[default]
    Postcard,
    /// One list of elements; in a response each on a line of its own.
    Json,
}

/// The first element of a response in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadLine {
    pub(super) head: ResponseHead,
}

/// The last one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndLine {
    pub(super) signature: Signature,
}

/// Why a request was refused, in JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct ErrorLine {
    pub(super) error: String,
}

impl Form {
    /// Both content types, as an error names them.
    pub(super) const NAMES: &str = "application/json or application/postcard";

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Postcard => "application/postcard",
            Self::Json => "application/json",
        }
    }

    /// The form that a media type names, whatever its parameters are.
    pub(super) fn named(media: &str) -> Option<Self> {
        let (name, _) = media.split_once(';').unwrap_or((media, ""));
        let is = |form: &Self| name.trim().eq_ignore_ascii_case(form.content_type());
        [Self::Postcard, Self::Json].into_iter().find(is)
    }

    /// The form of a body.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        Self::named(header(headers, CONTENT_TYPE.as_str())?)
    }

    /// The first form that the asker accepts by its name; other types and weights say nothing here.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).find_map(Self::named)
    }

    /// A node's word about itself.
    pub(super) fn answer(self, answer: &NodeAnswer) -> Vec<u8> {
        match self {
            Self::Postcard => canonical::to_vec(answer),
            Self::Json => line(answer, "\n"),
        }
    }

    /// Reads a node's word about itself, or says what is wrong with it.
    pub(super) fn read_answer(self, bytes: &[u8]) -> Result<NodeAnswer, String> {
        match self {
            Self::Postcard => canonical::from_bytes(bytes).map_err(|error| error.to_string()),
            Self::Json => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
        }
    }

    /// How a response begins.
    pub(super) fn head(self, head: &ResponseHead) -> Vec<u8> {
        match self {
            Self::Postcard => self.frame(&canonical::to_vec(head)),
            Self::Json => [&b"["[..], &line(&HeadLine { head: *head }, ",\n")].concat(),
        }
    }

    /// One frame of a response.
    pub(super) fn frame(self, frame: &[u8]) -> Vec<u8> {
        match self {
            Self::Postcard => [&framing::prefix(frame)[..], frame].concat(),
            Self::Json => [json::element(frame).as_bytes(), b",\n"].concat(),
        }
    }

    /// What follows the last frame and is signed with it.
    pub(super) fn end(self) -> &'static [u8] {
        match self {
            Self::Postcard => &framing::END,
            Self::Json => b"",
        }
    }

    /// How a response ends.
    pub(super) fn signature(self, signature: Signature) -> Vec<u8> {
        match self {
            Self::Postcard => signature.as_bytes().to_vec(),
            Self::Json => line(&EndLine { signature }, "]\n"),
        }
    }
}

/// A value as JSON, and what follows it.
pub(super) fn line(value: &impl Serialize, behind: &str) -> Vec<u8> {
    // Plain structs of text and numbers: none of them fails.
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.extend_from_slice(behind.as_bytes());
    text
}

/// A message in JSON as a request's body, from the same message as frames; nothing if it has more bytes than `limit`.
pub(super) fn request_text(frames: impl Iterator<Item = Vec<u8>>, limit: usize) -> Option<Vec<u8>> {
    let mut text = vec![b'['];
    for frame in frames {
        if text.len() > 1 {
            text.extend_from_slice(b",\n");
        }
        text.extend_from_slice(json::element(&frame).as_bytes());
        if text.len() >= limit {
            return None;
        }
    }
    text.push(b']');
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_found_whatever_its_case_and_parameters() {
        assert_eq!(Form::named("application/json"), Some(Form::Json));
        assert_eq!(Form::named("Application/JSON ; charset=utf-8"), Some(Form::Json));
        assert_eq!(Form::named(" application/postcard"), Some(Form::Postcard));
        for other in ["", ";", "*/*", "text/plain", "application/jsonx", "application/json/postcard"] {
            assert_eq!(Form::named(other), None);
        }
    }

    #[test]
    fn the_first_form_named_in_accept_is_taken() {
        let accepted = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT, value.parse().unwrap());
            }
            Form::accepted(&headers)
        };
        assert_eq!(accepted(&[]), None);
        assert_eq!(accepted(&["*/*"]), None);
        assert_eq!(accepted(&["text/html, application/json;q=0.9, */*"]), Some(Form::Json));
        assert_eq!(accepted(&["application/postcard, application/json"]), Some(Form::Postcard));
        assert_eq!(accepted(&["text/html", "application/json"]), Some(Form::Json));
    }

    #[test]
    fn a_request_becomes_no_text_beyond_the_limit() {
        let frames = || [vec![4], vec![7, 1, 1, 0]].into_iter();
        let text = request_text(frames(), 1000).unwrap();
        assert_eq!(json::message(&text).unwrap(), frames().collect::<Vec<_>>());
        assert_eq!(request_text(frames(), text.len()), Some(text.clone()));
        assert_eq!(request_text(frames(), text.len() - 1), None);
        assert_eq!(request_text(std::iter::empty(), 2), Some(b"[]".to_vec()));
    }
}
