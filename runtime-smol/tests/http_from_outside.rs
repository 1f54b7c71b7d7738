//! The examples of `docs/http.md`, run as they stand against a node, with `curl` and the usual tools.
#![cfg(feature = "http")]

mod world;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use pleach_core::wire::{Frame, body_hash, json};
use pleach_smol::{Entry, Id, Memory, Permission, Who};
use world::{World, grant_all, write};

/// The shell's part of what is not installed everywhere: hashes as `b3sum` prints them, made by this very program.
const PRELUDE: &str = r#"set -eu -o pipefail
b3sum() {
  B3SUM_IN="${!#}" B3SUM_OUT=b3sum.out "$PLEACH_TEST" --exact stand_in_for_b3sum --ignored > b3sum.log
  if [ "$1" = --raw ]; then cat b3sum.out; else xxd -p -c 64 b3sum.out; fi
}
"#;

#[test]
#[ignore = "a part of the examples' shell"]
fn stand_in_for_b3sum() {
    let name = |name| std::env::var_os(name).expect("the shell sets it");
    fs::write(name("B3SUM_OUT"), body_hash(&fs::read(name("B3SUM_IN")).unwrap())).unwrap();
}

/// The blocks of shell on the page, in order.
fn examples() -> Vec<String> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/http.md")).unwrap();
    let blocks = page.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_string()).collect()
}

fn shell(script: &str, folder: &Path, node: &str, tree: &Id) -> Output {
    Command::new("bash")
        .args(["-c", &[PRELUDE, script].concat()])
        .current_dir(folder)
        .env("NODE", node)
        .env("TREE", tree.to_string())
        .env("PLEACH_TEST", std::env::current_exe().unwrap())
        .output()
        .unwrap()
}

/// Tools that the examples use and that this machine lacks: a machine with only Rust still passes the tests.
fn missing_tools() -> Vec<&'static str> {
    let tools = ["bash", "curl", "openssl", "xxd", "base32"];
    let found = |tool: &&str| Command::new(tool).arg("--help").output().is_ok();
    tools.into_iter().filter(|tool| !found(tool)).collect()
}

/// What a script that succeeds prints.
fn run(script: &str, folder: &Path, node: &str, tree: &Id) -> String {
    let output = shell(script, folder, node, tree);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\n{out}\n{err}");
    out.into_owned()
}

/// The frames between the head and the signature of a response.
fn frames(answer: &str) -> Vec<Vec<u8>> {
    let lines: Vec<_> = answer.lines().collect();
    assert!(lines[0].starts_with("[{\"head\":{\"key\":\""), "{answer}");
    assert!(lines[lines.len() - 1].starts_with("{\"signature\":\""), "{answer}");
    let frames = lines[1..lines.len() - 1].join("\n");
    json::message(format!("[{}]", frames.trim_end_matches(',')).as_bytes()).unwrap()
}

/// The names in a list of trees.
fn names(answer: &str) -> Vec<String> {
    let frames = frames(answer);
    let Ok(Frame::TreeList(_, trees)) = Frame::read(&frames[0]) else { panic!("{answer}") };
    trees.iter().map(|tree| tree.name.to_string()).collect()
}

#[test]
fn the_examples_of_the_page_on_http_work_as_they_stand() {
    let missing = missing_tools();
    if !missing.is_empty() {
        eprintln!("!!! SKIPPED: the examples of docs/http.md need {}", missing.join(", "));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    smol::block_on(async {
        let world = World::new(Memory::new()).await;
        world.sync.enable_http_transport().await.unwrap();
        world.sync.accept_connections().await.unwrap();
        let node = world.sync.get_server_address().unwrap().address;
        let open = world.create("open", &grant_all(Permission::Read)).await;
        for n in 0..5 {
            write(&open, &format!("key{n}"), "value").await;
        }
        let tree = open.root_id();
        let [who, trees, fetch, make_key, sign, show, check] = examples().try_into().expect("seven examples");
        let run = |script: &str| run(script, folder, &node, &tree);

        let key = world.instance.device_key();
        assert!(run(&who).starts_with(&format!("{{\"key\":\"{key}\",\"versions\":[1,1],\"time\":")));

        run(&make_key);
        let me = fs::read_to_string(folder.join("me.key")).unwrap().parse().unwrap();
        let closed = world.create("closed", &[(Who::Key(me), Permission::Read)]).await;
        assert_eq!(names(&run(&trees)), ["open"]);

        let answer = run(&fetch);
        let mut ids = Vec::new();
        for frame in frames(&answer) {
            if let Ok(Frame::Entries(entries)) = Frame::read(&frame) {
                ids.extend(entries.map(|bytes| Entry::read(bytes).unwrap().verify().unwrap().id()));
            }
        }
        assert_eq!(ids.len() as u64, open.stats().unwrap().entries, "{answer}");
        assert_eq!(ids[0], tree);
        let hidden = fetch.replace("$TREE", &closed.root_id().to_string());
        let missing = fetch.replace("$TREE", &Id::MIN.to_string());
        for script in [hidden, missing] {
            assert!(run(&script).contains("\n{\"refusal\":\"Unknown\"},\n"));
        }

        let mut seen = names(&run(&sign));
        seen.sort();
        assert_eq!(seen, ["closed", "open"], "a signed request sees what its key may read");
        run(&check);

        // The key of the example is made by it: what was granted to it shows the second time.
        run(&show);
        let alice = fs::read_to_string(folder.join("alice.key")).unwrap().parse().unwrap();
        world.create("shown", &[(Who::Key(alice), Permission::Read)]).await;
        let kept =
            show.lines().filter(|line| !line.contains("alice.pem -pubout") && !line.contains("genpkey"));
        let kept = kept.collect::<Vec<_>>().join("\n");
        let mut seen = names(&run(&kept));
        seen.sort();
        assert_eq!(seen, ["closed", "open", "shown"], "a further key that is proven reads too");
        run(&check);

        fs::write(
            folder.join("answer.json"),
            fs::read_to_string(folder.join("answer.json")).unwrap().replace("open", "opem"),
        )
        .unwrap();
        assert!(!shell(&check, folder, &node, &tree).status.success(), "a changed answer is refused");
    });
}

#[test]
fn two_nodes_meet_over_http_in_json() {
    use pleach_smol::HttpTransport;
    smol::block_on(async {
        let (a, b) = (World::new(Memory::new()).await, World::new(Memory::new()).await);
        for node in [&a, &b] {
            let builder = HttpTransport::builder().bind("127.0.0.1:0").json();
            node.sync.register_transport("http", builder).await.unwrap();
        }
        world::meet(&a, &b).await;
    });
}
