//! The program in the README runs; `examples.rs` holds that it reads there as it does here, where port 0 stands for any.

use pleach_smol::{Database, DatabaseKey, Doc, DocStore, HttpTransport, Instance, Redb};

#[test]
fn the_library_in_ten_lines_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    std::env::set_current_dir(&folder).expect("this test has its process to itself");
    smol::block_on(async {
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
        let trees = db.get_store_viewer::<DocStore>("trees")?;
        assert_eq!(trees.get("hornbeam")?, Some("slow, dense".into()));
        Ok::<(), Box<dyn std::error::Error>>(())
    })
    .expect("it runs to its end");
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).expect("the folder goes away");
}
