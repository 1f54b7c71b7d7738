//! What strangers, logs and terminals are told.

use std::{
    fmt::{Debug, Write as _},
    sync::{Arc, Mutex, OnceLock},
};

use pleach_core::{
    Id, Shown, canonical,
    document::Doc,
    entry::{Permission, Who},
    instance::{DatabaseKey, Options, RootKey},
    node::{Command, Limits, Node as Engine},
    storage::{Store, Write},
    wire::{
        Frame, Have, Kind, PeerLimits, Refusal, RequestHead, RequestTarget, Versions, body_hash, serial::Link,
    },
};
use pleach_storage::{Memory, Redb};
use pleach_tests::spy::{Notes, Spy};
use pleach_transports::{Context, http::HttpTransport, quic::QuicTransport, serial::SerialTransport};

use crate::{
    peer::{Peer, answers, ask, bytes_of, end, fetch, frame, push, trees},
    stage::{
        BEGIN, Carrier, Grove, Hands, MEMBER, READER, SERVER, STRANGER, Shelf, Stage, grants, public, secret,
    },
    wiretap::send,
};

/// A partial holder's request.
fn have(tree: Id) -> Vec<Vec<u8>> {
    let have = Have {
        versions: Versions::OURS,
        capabilities: pleach_core::wire::CAPABILITIES,
        limits: PeerLimits::HOST,
        tree,
        entry: 1_000,
        entries: 10,
        bytes: 10_000,
        relieve: false,
        base: heapless::Vec::new(),
    };
    vec![frame(Kind::Have, &have, [(); 0]), end()]
}

/// All that can be said about a tree.
fn questions(tree: Id, grove: &Grove) -> Vec<Vec<Vec<u8>>> {
    vec![
        fetch(tree),
        push(tree, &bytes_of(&[&grove.entry(MEMBER, "path")])),
        have(tree),
        ask(tree, Permission::Write(5), "Eve"),
    ]
}

/// Row 19.
#[test]
fn about_a_tree_that_is_unknown_and_one_that_is_forbidden_the_same_is_said_and_looked_up() {
    for carrier in Carrier::ALL {
        for shelf in Shelf::both() {
            let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
            let notes = Notes::default();
            grove.plant(&*shelf.open(), &[]);
            let server = stage.node(Arc::new(Spy::new(shelf.open(), &notes)), SERVER, &clock);
            let (stranger, member) = (Peer::new(&stage, STRANGER, &clock), Peer::new(&stage, READER, &clock));
            let heard = |peer: &Peer, question: &[Vec<u8>]| {
                notes.take();
                let answer = peer.say(&server.address, question).expect("an answer");
                (answer, notes.take())
            };
            let unknown = Id::of(b"no such tree");
            // The first question of a connection may cost more than the others.
            heard(&stranger, &fetch(unknown));
            for (known, not) in questions(grove.tree(), &grove).iter().zip(questions(unknown, &grove)) {
                let (forbidden, unheard) = (heard(&stranger, known), heard(&stranger, &not));
                assert!(
                    !forbidden.0.is_empty() && !forbidden.1.is_empty(),
                    "{carrier:?}: the store was watched"
                );
                assert_eq!(forbidden, unheard, "{carrier:?} over {}", shelf.name());
                // Who may read is told more.
                let is_ask = matches!(Frame::read(&known[0]), Ok(Frame::Ask(..)));
                let (allowed, _) = heard(&member, known);
                assert!(is_ask || allowed != forbidden.0, "{carrier:?}: {allowed:?}");
            }
            let (listed, _) = heard(&stranger, &trees());
            let [line] = &listed[..] else { panic!("one frame") };
            assert!(
                matches!(Frame::read(line), Ok(Frame::TreeList(_, lines)) if lines.iter().next().is_none())
            );
            server.close();
        }
    }
}

/// Row 19.
#[test]
fn over_http_unknown_and_forbidden_have_one_status_and_one_length() {
    for carrier in [Carrier::HttpOnExecutor, Carrier::HttpOnThreads] {
        let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
        let server = stage.holder(&grove, SERVER, &clock, &[]);
        let post = |seed: Option<u8>, question: &[Vec<u8>], nonce: u8| {
            let mut body = Vec::new();
            for frame in question {
                body.extend(u32::try_from(frame.len()).expect("a short frame").to_le_bytes());
                body.extend(frame);
            }
            body.extend([0; 4]);
            let target = RequestTarget {
                audience: public(SERVER),
                method: "POST",
                path: "/api/v0/sync",
                body: body_hash(&body),
            };
            let head = seed.map_or(String::new(), |seed| {
                let head = RequestHead::sign(&secret(seed), &target, BEGIN, [nonce; 16]);
                format!("pleach-signature: {head}\r\n")
            });
            let head = format!(
                "POST /api/v0/sync HTTP/1.1\r\nhost: x\r\ncontent-type: application/postcard\r\n{head}\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            let (status, answer) = send(&server.address.address, &[head.as_bytes(), &body].concat());
            (status, answer.len())
        };
        for who in [None, Some(STRANGER)] {
            let unknown = questions(Id::of(b"no such tree"), &grove);
            for (known, unknown) in questions(grove.tree(), &grove).iter().zip(unknown) {
                let forbidden = post(who, known, 1);
                assert_eq!(forbidden.0, 200);
                assert_eq!(forbidden, post(who, &unknown, 2), "{carrier:?}");
            }
        }
        assert!(
            post(Some(READER), &fetch(grove.tree()), 3).1 > post(Some(STRANGER), &fetch(grove.tree()), 4).1
        );
        server.close();
    }
}

/// Row 19.
#[test]
fn while_a_revocation_is_on_its_way_members_are_told_to_wait_and_strangers_nothing() {
    for carrier in Carrier::ALL {
        let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
        let tree = grove.tree();
        let store = Arc::new(Memory::new().in_steps_of(1));
        let written = grove.root.signed_by(MEMBER).chain(grove.start.position(), 20);
        grove.plant(&*store, &written.iter().collect::<Vec<_>>());
        let revocation = grove.root.settings(&[grove.start.position()], &[], &[Who::Key(public(MEMBER))]);
        store.write(&grove.root.put([&revocation])).expect("the first step");
        let server = stage.node(store, SERVER, &clock);
        assert!(server.snapshot().summary(&tree).expect("a summary").expect("held").flips);
        let refused = Peer::new(&stage, READER, &clock).refused(&server.address, &fetch(tree));
        assert!(matches!(refused, Refusal::Busy { .. }), "{carrier:?}: {refused:?}");
        let stranger = Peer::new(&stage, STRANGER, &clock);
        for tree in [tree, Id::of(b"no such tree")] {
            assert_eq!(stranger.refused(&server.address, &fetch(tree)), Refusal::Unknown, "{carrier:?}");
        }
        server.close();
    }
}

/// Everything that was logged, by anybody in this process.
fn log() -> &'static Mutex<String> {
    static LOG: OnceLock<Mutex<String>> = OnceLock::new();
    LOG.get_or_init(|| {
        // Another test may have been first.
        let _ = tracing::subscriber::set_global_default(Logger);
        Mutex::default()
    })
}

/// Writes down every event and span, whatever its level.
struct Logger;

struct Fields<'a>(&'a mut String);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").expect("memory");
    }
}

impl tracing::Subscriber for Logger {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut line = span.metadata().name().to_owned();
        span.record(&mut Fields(&mut line));
        note(&line);
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        let mut line = String::new();
        values.record(&mut Fields(&mut line));
        note(&line);
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = event.metadata().target().to_owned();
        event.record(&mut Fields(&mut line));
        note(&line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

fn note(line: &str) {
    let mut log = log().lock().expect("no logger panics");
    log.push_str(line);
    log.push('\n');
}

/// How 32 secret bytes could be written.
fn spellings(secret: &[u8; 32]) -> Vec<String> {
    let base32 = data_encoding::BASE32_NOPAD.encode(secret);
    let listed = |separator: &str| secret.map(|byte| byte.to_string()).join(separator);
    vec![
        data_encoding::HEXLOWER.encode(secret),
        data_encoding::HEXUPPER.encode(secret),
        base32.to_lowercase(),
        base32,
        // The end of base64 depends on what follows.
        data_encoding::BASE64.encode(secret)[..40].to_owned(),
        listed(", "),
        listed(","),
        listed(" "),
    ]
}

#[track_caller]
fn hides(text: &str, secrets: &[[u8; 32]], what: &str) {
    for spelling in secrets.iter().flat_map(spellings) {
        assert!(!text.contains(&spelling), "{what} shows a secret");
    }
}

/// Row 20.
#[test]
fn no_log_and_no_debug_output_shows_a_secret() {
    log();
    let mut secrets = vec![*secret(SERVER).to_bytes().first_chunk().expect("32 bytes")];
    secrets.push(secret(READER).to_bytes());
    let mut shown = String::new();
    for carrier in Carrier::ALL {
        let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
        let server = stage.holder(&grove, SERVER, &clock, &[]);
        let reader = stage.newcomer(READER, &clock);
        reader.sync(&server.address, &grove.tree()).expect("a sync");
        reader.sync(&server.address, &Id::of(b"nothing")).expect_err("there is no such tree");
        let stranger = stage.newcomer(STRANGER, &clock);
        let asked = stranger.ask(&server.address, &grove.tree(), Permission::Read);
        write!(shown, "{asked:?} {:?} {:?}", server.pending(), server.address).expect("memory");
        write!(shown, "{:?}", server.state(&grove.tree())).expect("memory");
        for node in [server, reader, stranger] {
            node.close();
        }
    }
    // A node with a database of its own, whose root key lies in its store.
    let folder = tempfile::tempdir().expect("a folder");
    let store = Redb::open(folder.path().join("store")).expect("a store");
    write!(shown, "{store:?} {:?}", Memory::new()).expect("memory");
    let options = Options::new().key(secret(SERVER)).seed([0xab; 32]).display_name("somebody");
    secrets.push([0xab; 32]);
    write!(shown, "{options:?}").expect("memory");
    let instance = pleach_blocking::Instance::open_with(store, options).expect("an instance");
    instance.enable_sync().expect("sync");
    let sync = instance.sync().expect("sync");
    sync.enable_http_transport().expect("http");
    sync.enable_quic_transport().expect("quic");
    let addresses = sync.accept_connections().expect("places");
    let database =
        pleach_blocking::Database::create(&instance, DatabaseKey::Device, Doc::new()).expect("a database");
    let root: RootKey = database.root_key().expect("a store").expect("made with it");
    secrets.push(root.key().to_bytes());
    let ticket = sync.create_ticket(&database.root_id()).expect("a ticket");
    write!(shown, "{instance:?} {sync:?} {database:?} {addresses:?} {ticket:?} {ticket} {root:?}")
        .expect("memory");
    write!(shown, "{:?}", root.keep(&*instance.snapshot().expect("a snapshot"))).expect("memory");
    write!(shown, "{:?}", database.new_transaction().expect("a transaction")).expect("memory");
    write!(shown, "{:?} {:?}", sync.watch().is_ok(), DatabaseKey::from(secret(READER))).expect("memory");
    instance.close();
    // The parts, taken one by one.
    let context = || Context::new(secret(SERVER), Arc::new(|| BEGIN), Arc::new(|bytes| bytes.fill(0x5a)));
    let http = HttpTransport::builder().transport(context()).expect("http");
    let quic = QuicTransport::builder().transport(context()).expect("quic");
    let serial = SerialTransport::builder().transport(context());
    write!(shown, "{:?} {http:?} {quic:?} {serial:?}", context()).expect("memory");
    let link = Link::initiator(secret(SERVER), None, [1; 16], 4_096);
    let mut engine = Engine::new(secret(SERVER), [0xcd; 32], Limits::default());
    secrets.push([0xcd; 32]);
    let grants = grants(&[(Who::Everyone, Permission::Read)]);
    let create = Command::Create {
        creator: public(SERVER),
        settings: Doc::new(),
        grants: vec![(Who::Everyone, grants[0].permission)],
    };
    write!(shown, "{link:?} {create:?}").expect("memory");
    engine.handle(
        pleach_core::Now { monotonic: 0, wall: BEGIN },
        pleach_core::node::Event::Command(pleach_core::node::CommandId(1), create),
    );
    write!(shown, "{engine:?}").expect("memory");
    while let Some(action) = engine.poll_action() {
        if let pleach_core::node::Action::Write { write: Write::PutWithMeta { meta: changes, .. }, .. } =
            &action
        {
            // The root key on its way to the store.
            let mut kept =
                changes.iter().filter_map(|(_, value)| value.as_ref()?.first_chunk::<32>().copied());
            secrets.extend(kept.next());
        }
        write!(shown, "{action:?} {engine:?}").expect("memory");
    }
    assert_eq!(secrets.len(), 6, "the root key of the second database was found");
    hides(&shown, &secrets, "debug output");
    let logged = log().lock().expect("no logger panics").clone();
    assert!(logged.lines().count() > 100, "something was logged: {}", logged.lines().count());
    hides(&logged, &secrets, "a log");
    // It would be found.
    let found = std::panic::catch_unwind(|| hides(&format!("{:?}", [0xcd_u8; 32]), &[[0xcd; 32]], "a test"));
    assert!(found.is_err());
    assert_eq!(canonical::to_vec(&secret(SERVER).public()).len(), 32);
}

/// Row 20.
#[test]
fn a_ticket_carries_no_secret_and_opens_nothing_by_itself() {
    for carrier in Carrier::ALL {
        let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
        let server = stage.holder(&grove, SERVER, &clock, &[]);
        let ticket =
            pleach_core::wire::DatabaseTicket::new(grove.tree(), [server.address.clone()]).expect("a ticket");
        hides(&ticket.to_string(), &[secret(SERVER).to_bytes(), secret(1).to_bytes()], "a ticket");
        let finder = stage.newcomer(STRANGER, &clock);
        let reader = stage.newcomer(READER, &clock);
        let parsed: pleach_core::wire::DatabaseTicket = ticket.to_string().parse().expect("its own text");
        reader.sync(&parsed.addresses()[0], &parsed.database()).expect("whose key was let in");
        let before = server.state(&grove.tree());
        let refused = finder.sync(&parsed.addresses()[0], &parsed.database()).expect_err("a stranger");
        assert_eq!(
            refused,
            pleach_core::instance::Error::Node(pleach_core::node::NodeError::NotOffered(grove.tree()))
        );
        assert_eq!(finder.state(&grove.tree()).shared, []);
        assert_eq!(server.state(&grove.tree()), before);
        for node in [server, finder, reader] {
            node.close();
        }
    }
}

/// Row 35.
#[test]
fn what_a_peer_says_in_a_refusal_moves_no_cursor_and_begins_no_line_of_a_log() {
    const EVIL: &str = "\u{1b}[2J\r\nall is well\u{202e}\u{7f}";
    for carrier in Carrier::ALL {
        let (stage, grove, clock) = (Stage::new(carrier), Grove::new(1), Hands::at(BEGIN));
        for evil in [false, true] {
            let rule = if evil { EVIL } else { "a rule" };
            let liar = answers(&stage, SERVER, &clock, move |_| {
                let rule = rule.try_into().expect("a short text");
                vec![frame(Kind::Refusal, &Refusal::Refused { id: Id::of(b"x"), rule }, [(); 0])]
            });
            let victim = stage.holder(&grove, READER, &clock, &[]);
            let refused = victim.sync(&liar.address, &grove.tree()).expect_err("refused").to_string();
            assert!(refused.contains(if evil { "all is well" } else { rule }), "{carrier:?}: {refused}");
            assert!(!refused.chars().any(Shown::escapes), "{carrier:?}: {refused:?}");
            victim.close();
        }
    }
    let logged = log().lock().expect("no logger panics").clone();
    assert!(logged.lines().all(|line| !line.chars().any(|c| c != '\t' && Shown::escapes(c))));
}
