//! One line of a history.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::{
    change::{self, Change, Part, check_together},
    content::Content,
};

/// Bytes in a line's id or an author's name: it is kept beside the entry, as a path.
const MAX_NAME: usize = 500;

/// Parents of one line: far more than any known history has, few enough to hold.
const MAX_LINE_PARENTS: usize = 65_536;

/// What a line looks like, for whoever wrote another thing.
const FORM: &str =
    r#"expected {"id", "parents", "author", "store", "key", "value"}, of which only value is required"#;

/// A line as written. Its first change stands in the line itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parents: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Vec<String>>,
    #[serde(default, deserialize_with = "change::present", skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    append: bool,
    /// What else the same commit changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    also: Vec<Part>,
}

impl Written {
    /// The line that says this.
    pub(super) fn new(content: Content) -> anyhow::Result<Self> {
        let Content { id, parents, author, changes } = content;
        let parts = changes.into_iter().map(|change| change.written(&id)).collect::<Result<Vec<_>, _>>()?;
        let mut parts = parts.into_iter();
        let Part { store, key, path, value, deleted, append } = parts.next().unwrap_or_default();
        let (id, also) = (Some(id.to_string()), parts.collect());
        let parents = Some(parents.iter().map(ToString::to_string).collect());
        Ok(Self { id, parents, author, store, key, path, value, deleted, append, also })
    }
}

/// What a line comes to, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// Its number in the file, from 1.
    pub(super) number: u64,
    /// Its id, if it has one.
    pub(super) id: Option<String>,
    /// Ids of its parents; nothing if it follows the line before.
    pub(super) parents: Option<Vec<String>>,
    /// The author's name; nothing is this node.
    pub(super) author: Option<String>,
    /// What it changes: at least one thing, in order of store and path.
    pub(super) changes: Vec<Change>,
}

impl Line {
    /// Reads a line and checks everything that it alone can show.
    pub(super) fn read(number: u64, text: &str) -> anyhow::Result<Self> {
        Self::check(number, text).with_context(|| format!("line {number}"))
    }

    fn check(number: u64, text: &str) -> anyhow::Result<Self> {
        // A list would be read as the fields in order.
        ensure!(text.trim_start().starts_with('{'), FORM);
        let Written { id, parents, author, store, key, path, value, deleted, append, also } =
            serde_json::from_str(text).context(FORM)?;
        for (what, name) in [("id", &id), ("author", &author)] {
            if let Some(name) = name {
                check_name(what, name)?;
            }
        }
        let count = parents.as_ref().map_or(0, Vec::len);
        ensure!(count <= MAX_LINE_PARENTS, "{count} parents, at most {MAX_LINE_PARENTS} are taken");
        let own = id.clone().unwrap_or_else(|| number.to_string());
        let first = Part { store, key, path, value, deleted, append };
        let parts = std::iter::once(first).chain(also);
        let mut changes = parts.map(|part| part.check(&own)).collect::<Result<Vec<_>, _>>()?;
        check_together(&changes)?;
        changes.sort_by(|one, other| one.place().cmp(&other.place()));
        Ok(Self { number, id, parents, author, changes })
    }
}

fn check_name(what: &str, name: &str) -> anyhow::Result<()> {
    ensure!(!name.is_empty(), "the {what} is empty: leave it out, or give it a name");
    ensure!(!name.contains('\0'), "the {what} contains NUL");
    ensure!(name.len() <= MAX_NAME, "the {what} has {} bytes, at most {MAX_NAME} are taken", name.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use pleach_core::{entry::Value, limits::MAX_ENTRY};

    use super::*;

    #[test]
    fn only_the_value_is_required() {
        let line = Line::read(7, r#"{"value": null}"#).unwrap();
        let value = Some(Value::Null.encode().unwrap());
        let write = |path: &str, value| Change::Write { store: "main".into(), path: path.into(), value };
        assert_eq!(line.changes, [write("7", value)]);
        assert_eq!((line.id, line.parents, line.author), (None, None, None));
        let line = Line::read(7, r#"{"id": "v0.1", "parents": [], "deleted": true}"#).unwrap();
        assert_eq!(line.changes, [write(r"v0\.1", None)]);
    }

    #[test]
    fn what_a_commit_changes_has_one_order() {
        let [a, b, c] = [
            r#""value": 1"#,
            r#""store": "log", "append": true, "value": {"$bytes": "eA=="}"#,
            r#""key": "a", "value": 2"#,
        ];
        let read = |first: &str, second: &str, third: &str| {
            let text = format!(r#"{{"id": "v", {first}, "also": [{{{second}}}, {{{third}}}]}}"#);
            Line::read(1, &text).unwrap()
        };
        // Only the first may lack a key: it is that of the line.
        let own = r#""key": "v", "value": 1"#;
        assert_eq!(read(a, b, c), read(b, c, own));
        assert_eq!(read(a, b, c), read(c, own, b));
        let appends = |first: &str, second: &str| {
            let append = |text| format!(r#""store": "log", "append": true, "value": {{"$bytes": "{text}"}}"#);
            read(&append(first), &append(second), a)
        };
        assert_ne!(appends("eA==", "eQ=="), appends("eQ==", "eA=="), "a log keeps its order");
    }

    #[test]
    fn what_a_line_gets_wrong_is_said_with_its_number() {
        for (text, says) in [
            ("{", "expected"),
            ("[]", "expected"),
            ("{}", "`value` is missing"),
            (r#"{"id": "", "value": 1}"#, "the id is empty"),
            (r#"{"id": 1, "value": 1}"#, "expected"),
            (r#"{"value": 1, "valeu": 2}"#, "expected"),
            (r#"{"key": "", "value": 1}"#, "a key is empty"),
            (r#"{"key": "a\u0000b", "value": 1}"#, "path"),
            (r#"{"store": "_settings", "value": 1}"#, "belongs to the database"),
            (r#"{"store": "", "value": 1}"#, "1 to 64 bytes"),
            (r#"{"value": [[[[[[[[[1]]]]]]]]]}"#, "nests at most"),
            (r#"{"value": 1, "deleted": true}"#, "leave one of the two out"),
            (r#"{"value": [18446744073709551615]}"#, "64 signed bits"),
            (r#"{"append": true, "value": 1}"#, "$bytes"),
            (r#"{"key": "a", "value": 1, "also": [{"key": "a", "value": 2}]}"#, "twice"),
            (r#"{"value": 1, "also": [{"append": true, "value": {"$bytes": ""}}]}"#, "not both"),
            (r#"{"value": 1, "also": [{"also": []}]}"#, "expected"),
        ] {
            let error = format!("{:#}", Line::read(3, text).unwrap_err());
            assert!(error.starts_with("line 3: ") && error.contains(says), "{text}: {error}");
        }
        let large = format!(r#"{{"value": "{}"}}"#, "x".repeat(MAX_ENTRY));
        assert!(format!("{:#}", Line::read(1, &large).unwrap_err()).contains("too large"));
    }
}
