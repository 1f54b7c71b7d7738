//! The program in the README: it runs, and it reads there as it does here.

use pleach_smol::{Database, DatabaseKey, Doc, DocStore, HttpTransport, Instance, Redb};

/// The lines of a text between two lines, without indentation.
fn lines_between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    let lines = text.lines().map(str::trim).skip_while(|line| *line != begin).skip(1);
    lines.take_while(|line| *line != end).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_library_in_ten_lines_runs_and_reads_as_in_the_readme() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("the README");
    let readme = readme.replace("127.0.0.1:8080", "127.0.0.1:0");
    let shown = lines_between(&readme, "```rust", "```");
    let run = lines_between(include_str!("readme.rs"), "// begin", "// end");
    assert!(!run.is_empty());
    assert_eq!(shown, run, "left: README.md; right: this test, where port 0 stands for any that is free");

    let folder = tempfile::tempdir().expect("a folder");
    std::env::set_current_dir(&folder).expect("this test has its process to itself");
    smol::block_on(async {
        // begin
        let instance = Instance::open(Redb::open("notes.redb")?).await?;
        let mut settings = Doc::new();
        settings.set("name", "notes")?;
        let db = Database::create(&instance, DatabaseKey::Device, settings).await?;
        let txn = db.new_transaction()?;
        txn.get_store::<DocStore>("trees")?.set("hornbeam", "slow, dense")?;
        txn.commit().await?;
        instance.enable_sync().await?;
        let sync = instance.sync().expect("just enabled");
        sync.register_transport("http", HttpTransport::builder().bind("127.0.0.1:0")).await?;
        sync.accept_connections().await?;
        println!("{}", sync.create_ticket(&db.root_id())?);
        // end
        let trees = db.get_store_viewer::<DocStore>("trees")?;
        assert_eq!(trees.get("hornbeam")?, Some("slow, dense".into()));
        Ok::<(), Box<dyn std::error::Error>>(())
    })
    .expect("it runs to its end");
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).expect("the folder goes away");
}
