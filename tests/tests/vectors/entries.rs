//! Entries good and bad.

use pleach_core::{
    Id, PublicKey, SecretKey, canonical,
    entry::{EntryError, EntryView, Origin, SETTINGS, StoreData, Value as Held, WriteView},
};
use serde_json::{Value, json};

use super::{hex, kind};

/// A value as these files show it.
fn shown(value: &Held) -> Value {
    match value {
        Held::Null => Value::Null,
        Held::Bool(value) => json!(value),
        Held::Int(value) => json!({ "integer": value }),
        Held::Float(value) => json!({ "float": hex(&value.to_le_bytes()) }),
        Held::Text(value) => json!(value),
        Held::Bytes(value) => json!({ "bytes": hex(value) }),
        Held::List(values) => values.iter().map(shown).collect(),
        Held::Map(values) => {
            json!({ "map": values.iter().map(|(key, value)| json!([key, shown(value)])).collect::<Vec<_>>() })
        }
        other => panic!("a value that these vectors do not know: {other:?}"),
    }
}

fn writes<'a>(writes: impl IntoIterator<Item = WriteView<'a>>) -> Vec<Value> {
    let write = |write: WriteView<'_>| match write.value {
        Some(value) => json!([write.path, shown(&Held::decode(value.encoded()).expect("a value"))]),
        None => json!([write.path]),
    };
    writes.into_iter().map(write).collect()
}

/// What an entry says.
fn said(entry: &EntryView<'_>) -> Value {
    let all = entry.stores();
    let stores = all.iter().map(|store| {
        let data = match store.read().expect("a checked store") {
            StoreData::Map(map) => json!({ "map": writes(&map) }),
            StoreData::Log(log) => json!({ "log": log.iter().map(hex).collect::<Vec<_>>() }),
            StoreData::Settings(settings) => {
                let grants = settings.grants.iter().map(|grant| {
                    json!({ "who": grant.who.to_string(), "permission": grant.permission, "name": grant.name })
                });
                let revocations = settings.revocations.iter().map(|who| who.to_string());
                json!({ "settings": {
                    "writes": writes(&settings.writes),
                    "grants": grants.collect::<Vec<_>>(),
                    "revocations": revocations.collect::<Vec<_>>(),
                }})
            }
            other => panic!("data that these vectors do not know: {other:?}"),
        };
        json!({ "name": store.name, "data": data })
    });
    let stores: Vec<_> = stores.collect();
    let mut said = json!({
        "version": 1, "height": entry.height(), "time": entry.time(), "author": entry.author().to_string(),
        "parents": entry.parents().iter().map(|id| id.to_string()).collect::<Vec<_>>(),
        "stores": stores, "signature": hex(entry.signature().as_bytes()),
    });
    match entry.origin() {
        Origin::Root { nonce } => said["nonce"] = json!(hex(&nonce)),
        Origin::Tree(tree) => said["tree"] = json!(tree.to_string()),
    }
    said
}

/// An entry of which any part can be wrong.
#[derive(Clone)]
struct Raw {
    version: u8,
    origin: Vec<u8>,
    height: Vec<u8>,
    time: u64,
    parents: Vec<[u8; 32]>,
    stores: Vec<(Vec<u8>, Vec<u8>)>,
    after: Vec<u8>,
}

const SEED: [u8; 32] = [1; 32];

fn varint(number: u64) -> Vec<u8> {
    canonical::to_vec(&number)
}

fn blob(bytes: &[u8]) -> Vec<u8> {
    [varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn sequence(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let items: Vec<_> = items.into_iter().collect();
    [varint(items.len() as u64), items.concat()].concat()
}

fn write(path: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    [blob(path), value.map_or(vec![0], |value| [vec![1], blob(value)].concat())].concat()
}

fn map(writes: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    [vec![0], sequence(writes)].concat()
}

/// Settings of grants and revocations as they are encoded.
fn settings(grants: Vec<Vec<u8>>, revocations: Vec<Vec<u8>>) -> Vec<u8> {
    [vec![2, 0], sequence(grants), sequence(revocations)].concat()
}

fn key(seed: u8) -> PublicKey {
    SecretKey::from_bytes([seed; 32]).public()
}

fn someone(seed: u8) -> Vec<u8> {
    [&[1][..], key(seed).as_bytes()].concat()
}

impl Raw {
    fn root() -> Self {
        Self {
            version: 1,
            origin: [vec![0], vec![7; 16]].concat(),
            height: vec![0],
            time: 1_700_000_000_000,
            parents: vec![],
            stores: vec![(SETTINGS.into(), settings(vec![], vec![]))],
            after: vec![],
        }
    }

    fn child() -> Self {
        let root = Id::of(&Self::root().bytes());
        Self {
            origin: [&[1][..], root.as_bytes()].concat(),
            height: vec![1],
            parents: vec![*root.as_bytes()],
            stores: vec![("main".into(), map([write(b"a", Some(&[2]))]))],
            ..Self::root()
        }
    }

    fn of(name: &str, data: Vec<u8>) -> Self {
        Self { stores: vec![(name.into(), data)], ..Self::child() }
    }

    fn holding(value: &[u8]) -> Self {
        Self::of("main", map([write(b"a", Some(value))]))
    }

    fn at_path(path: &[u8]) -> Self {
        Self::of("main", map([write(path, Some(&[2]))]))
    }

    fn signed_part(&self) -> Vec<u8> {
        let stores = self.stores.iter().map(|(name, data)| [blob(name), blob(data)].concat());
        [
            vec![self.version],
            self.origin.clone(),
            self.height.clone(),
            varint(self.time),
            sequence(self.parents.iter().map(|id| id.to_vec())),
            SecretKey::from_bytes(SEED).public().as_bytes().to_vec(),
            sequence(stores),
        ]
        .concat()
    }

    fn bytes(&self) -> Vec<u8> {
        self.signed_by(SEED)
    }

    fn signed_by(&self, seed: [u8; 32]) -> Vec<u8> {
        let part = self.signed_part();
        let hash = blake3::derive_key("pleach 2026 entry v1 signature", &part);
        let signature = SecretKey::from_bytes(seed).sign(&hash);
        [part, signature.as_bytes().to_vec(), self.after.clone()].concat()
    }
}

fn good() -> Vec<(&'static str, Vec<u8>)> {
    let everything = serde_json::json!({
        "null": null, "no": false, "yes": true, "n": [0, -1, 63, -64, i64::MAX, i64::MIN], "f": [0.5, -0.0, 1e300],
        "text": "ä\u{0}☃", "bytes": {"$bytes": "AAE="}, "deep": [[[[[[[1]]]]]]],
    });
    let everything = Held::from_json(&everything).and_then(|value| value.encode()).expect("a value");
    let grants = vec![
        [vec![0], vec![1, 100], vec![0]].concat(),
        [someone(3), vec![2, 0], vec![1], blob("Ann Ä".as_bytes())].concat(),
        [someone(2), vec![0], vec![1, 0]].concat(),
    ];
    let mut grants = grants;
    grants.sort();
    let mut revoked = vec![vec![0], someone(4), someone(5)];
    revoked.sort();
    let settings_with_writes =
        [vec![2], sequence([write(b"name", Some(&[5, 1, b'x']))]), sequence(grants), sequence(revoked)]
            .concat();
    let log = [vec![1], sequence([blob(b""), blob(b"two"), blob(&[0; 200])])].concat();
    let odd =
        map([write(br"a\.b.c\\", None), write(&[b'z'; 1024], None), write("ä.☃".as_bytes(), Some(&[0]))]);
    let mut parents: Vec<_> = (0..32).map(|n| *Id::of(&[n]).as_bytes()).collect();
    parents.sort_unstable();
    let stores = (0..32).map(|n| (format!("{n:02}{}", "s".repeat(62)).into_bytes(), map([]))).collect();
    let late = Raw { height: varint((1 << 48) - 1), time: (1 << 48) - 1, parents, stores, ..Raw::child() };
    vec![
        ("a root with empty settings", Raw::root().bytes()),
        ("a child with one write", Raw::child().bytes()),
        ("a bare merge", Raw { stores: vec![], ..Raw::child() }.bytes()),
        ("every kind of value", Raw::holding(&everything).bytes()),
        ("a log", Raw::of("log", log).bytes()),
        ("paths with escapes, tombstones, and the longest", Raw::of("main", odd).bytes()),
        ("settings with writes, grants and revocations", Raw::of(SETTINGS, settings_with_writes).bytes()),
        ("everything at its limit", late.bytes()),
    ]
}

#[expect(clippy::too_many_lines, reason = "a list")]
fn bad() -> Vec<(String, Vec<u8>, usize)> {
    let root = Raw::root;
    let child = Raw::child;
    let parent = child().parents[0];
    let deep = |levels: usize| [[7, 1].repeat(levels), vec![0]].concat();
    let grant = |who: Vec<u8>, rest: &[u8]| [who, rest.to_vec()].concat();
    let many = (0..1_001_u32).map(|n| [&[1][..], &[0; 28], &n.to_be_bytes()].concat()).collect();
    let two = |low: u8, high: u8| vec![[low; 32], [high; 32]];
    let mut list: Vec<(&str, Vec<u8>)> = vec![
        ("no byte", vec![]),
        ("version 2", Raw { version: 2, ..child() }.bytes()),
        ("an origin of a third kind", Raw { origin: [vec![2], vec![7; 16]].concat(), ..child() }.bytes()),
        ("a padded height", Raw { height: vec![0x81, 0], ..child() }.bytes()),
        ("a byte too many", Raw { after: vec![0], ..child() }.bytes()),
        (
            "a name of a store that is not UTF-8",
            Raw { stores: vec![(vec![0xff], map([]))], ..child() }.bytes(),
        ),
        ("a kind of store that there is not", Raw::of("main", vec![3]).bytes()),
        ("a store's data with a byte too many", Raw::of("main", vec![0, 0, 0]).bytes()),
        ("a root with a parent", Raw { parents: vec![parent], ..root() }.bytes()),
        ("a root with a height", Raw { height: vec![1], ..root() }.bytes()),
        ("no parents and no root", Raw { parents: vec![], ..child() }.bytes()),
        ("33 parents", Raw { parents: (0..33).map(|n| [n; 32]).collect(), ..child() }.bytes()),
        ("parents in the wrong order", Raw { parents: two(2, 1), ..child() }.bytes()),
        ("a parent twice", Raw { parents: two(1, 1), ..child() }.bytes()),
        ("a height beyond the last", Raw { height: varint(1 << 48), ..child() }.bytes()),
        ("a time beyond the last", Raw { time: 1 << 48, ..child() }.bytes()),
        ("33 stores", {
            Raw { stores: (0..33).map(|n| (format!("{n:02}").into_bytes(), map([]))).collect(), ..child() }
                .bytes()
        }),
        ("stores in the wrong order", {
            Raw { stores: vec![("b".into(), map([])), ("a".into(), map([]))], ..child() }.bytes()
        }),
        (
            "a store twice",
            Raw { stores: vec![("a".into(), map([])), ("a".into(), map([]))], ..child() }.bytes(),
        ),
        ("a store without a name", Raw::of("", map([])).bytes()),
        ("a store with a name of 65 bytes", Raw::of(&"s".repeat(65), map([])).bytes()),
        ("a store with a line feed in its name", Raw::of("a\nb", map([])).bytes()),
        ("settings in another store", Raw::of("main", settings(vec![], vec![])).bytes()),
        ("a map in the store of settings", Raw::of(SETTINGS, map([])).bytes()),
        ("a root without settings", Raw { stores: vec![], ..root() }.bytes()),
        ("1,001 revocations", Raw::of(SETTINGS, settings(vec![], many)).bytes()),
        ("writes in the wrong order", Raw::of("main", map([write(b"b", None), write(b"a", None)])).bytes()),
        ("a path twice", Raw::of("main", map([write(b"a", None), write(b"a", None)])).bytes()),
        ("a grant twice", {
            Raw::of(SETTINGS, settings(vec![grant(vec![0], &[0, 0]), grant(vec![0], &[0, 0])], vec![]))
                .bytes()
        }),
        ("a revocation twice", Raw::of(SETTINGS, settings(vec![], vec![someone(2), someone(2)])).bytes()),
        ("everybody as administrator", {
            Raw::of(SETTINGS, settings(vec![grant(vec![0], &[2, 9, 0])], vec![])).bytes()
        }),
        ("a fourth permission", Raw::of(SETTINGS, settings(vec![grant(vec![0], &[3, 0])], vec![])).bytes()),
        ("a grant with a name of 65 bytes", {
            let named = [vec![1, 9, 1], blob(&[b'n'; 65])].concat();
            Raw::of(SETTINGS, settings(vec![grant(someone(2), &named)], vec![])).bytes()
        }),
        ("a grant with a tab in its name", {
            let named = [vec![1, 9, 1], blob(b"a\tb")].concat();
            Raw::of(SETTINGS, settings(vec![grant(someone(2), &named)], vec![])).bytes()
        }),
        ("a value nine levels deep", Raw::holding(&deep(9)).bytes()),
        ("a value that is not a number", Raw::holding(&[&[4][..], &f64::NAN.to_le_bytes()].concat()).bytes()),
        ("a value without end", Raw::holding(&[&[4][..], &f64::INFINITY.to_le_bytes()].concat()).bytes()),
        ("a value with keys in the wrong order", Raw::holding(&[8, 2, 1, b'b', 0, 1, b'a', 0]).bytes()),
        ("a value with a key twice", Raw::holding(&[8, 2, 1, b'a', 0, 1, b'a', 0]).bytes()),
        ("a value with a padded integer", Raw::holding(&[3, 0x80, 0]).bytes()),
        ("a value with an unknown tag", Raw::holding(&[9]).bytes()),
        ("a value of two values", Raw::holding(&[0, 0]).bytes()),
        ("a value of no bytes", Raw::holding(&[]).bytes()),
        ("another's signature", child().signed_by([2; 32])),
    ];
    for (name, path) in [
        ("no bytes", &b""[..]),
        ("an empty key in the middle", b"a..b"),
        ("an empty first key", b".a"),
        ("an empty last key", b"a."),
        ("an escape of another character", br"\n"),
        ("an escape of nothing", br"a\"),
        ("a NUL", b"a\0"),
        ("1,025 bytes", &[b'a'; 1025]),
    ] {
        list.push((
            Box::leak(format!("a path of or with {name}").into_boxed_str()),
            Raw::at_path(path).bytes(),
        ));
    }
    let bytes = child().bytes();
    let at = bytes.len() - 64;
    let changed = |place: usize, bit: u8| {
        let mut bytes = bytes.clone();
        bytes[place] ^= bit;
        bytes
    };
    list.push(("a bit of the time changed", changed(40, 1)));
    list.push(("a bit of the signature changed", changed(at, 1)));
    list.push(("a signature with a scalar beyond the order", changed(at + 63, 0xf0)));
    list.push(("cut short by a byte", bytes[..bytes.len() - 1].to_vec()));
    // The neutral element as key and as point, with the scalar 0: who skips the check of small orders takes it.
    let mut small = bytes.clone();
    let author = 1 + 33 + 1 + varint(1_700_000_000_000).len() + 1 + 32;
    small[author..author + 32].copy_from_slice(&[&[1][..], &[0; 31]].concat());
    small[at..].copy_from_slice(&[&[1][..], &[0; 63]].concat());
    list.push(("a key of small order, for which anything is signed", small));
    let mut list: Vec<_> = list.into_iter().map(|(name, bytes)| (name.to_owned(), bytes, 0)).collect();
    list.push(("more bytes than an entry has".into(), bytes.clone(), 262_145 - bytes.len()));
    list
}

fn check(bytes: &[u8]) -> Result<EntryView<'_>, EntryError> {
    let view = EntryView::read(bytes)?;
    view.verify().map(|()| view)
}

pub(super) fn vectors() -> Vec<Value> {
    let mut list = Vec::new();
    for (name, bytes) in good() {
        let view = check(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        list.push(
            json!({ "name": name, "hex": hex(&bytes), "id": view.id().to_string(), "entry": said(&view) }),
        );
    }
    for (name, bytes, pad) in bad() {
        let padded = [&bytes[..], &vec![0; pad]].concat();
        let Err(error) = check(&padded) else { panic!("{name}: accepted") };
        list.push(json!({
            "name": name, "hex": hex(&bytes), "zeros": pad, "fault": kind(&error), "text": error.to_string(),
        }));
    }
    list
}
