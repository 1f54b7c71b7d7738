//! What rustdoc knows of the crates.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use pleach_tests::pages::root;
use serde_json::Value;

/// All features of the runtimes but iroh, whose crates an ordinary test run neither fetches nor builds.
const FEATURES: [&str; 5] = ["http", "quic", "redb", "serial", "passphrase"];

/// What rustdoc writes of both runtimes, of the core below them, and of what they bring along.
pub(crate) fn documented() -> &'static [Crate; 5] {
    static DOCUMENTED: OnceLock<[Crate; 5]> = OnceLock::new();
    DOCUMENTED.get_or_init(|| {
        let of_smol = FEATURES.map(|feature| format!("pleach-smol/{feature}")).join(",");
        let [smol, storage, transports] =
            document(["pleach-smol", "pleach-storage", "pleach-transports"], &of_smol);
        // A package alone, whose features go by their own names: with its name in front of them they are taken for those
        // of the package that its tests depend on, itself.
        let [blocking] = document(["pleach-blocking"], &FEATURES.join(","));
        let [core] = document(["pleach-core"], "alloc");
        [smol, blocking, core, storage, transports]
    })
}

/// Documents crates at once, with these features.
fn document<const N: usize>(crates: [&str; N], features: &str) -> [Crate; N] {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().map(Path::to_path_buf).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["doc", "--locked", "--no-deps", "--features", features])
        .args(crates.iter().flat_map(|name| ["--package", *name]))
        .arg("--target-dir")
        .arg(&target)
        .current_dir(root())
        .env("RUSTDOC", env!("CARGO_BIN_EXE_rustdoc_json"))
        // So that nobody takes what is written here for the pages that people read.
        .env("RUSTDOCFLAGS", "--cfg surface")
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    crates.map(|name| {
        let file = target.join("doc").join(name.replace('-', "_")).with_extension("json");
        Crate(serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap())
    })
}

/// One crate.
pub(crate) struct Crate(pub(crate) Value);

/// What a program can name by a runtime: the crate that it stands in, and what it is.
#[derive(Clone, Copy)]
pub(crate) struct Exported<'a> {
    pub(crate) home: &'a Crate,
    pub(crate) item: &'a Value,
}

/// A public call of a type, and what is said of the `impl` that it stands in.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'a str,
    pub(crate) item: &'a Value,
    pub(crate) around: &'a str,
}

impl Call<'_> {
    /// Whether it is called on a value.
    pub(crate) fn is_method(&self) -> bool {
        list(&self.item["inner"]["function"]["sig"]["inputs"]).first().is_some_and(|input| input[0] == "self")
    }
}

impl Crate {
    pub(crate) fn item(&self, id: &Value) -> Option<&Value> {
        self.0["index"].get(id.to_string())
    }

    /// The crate's name.
    pub(crate) fn name(&self) -> &str {
        text(&self.item(&self.0["root"]).expect("a crate has a root")["name"])
    }

    /// The parts of the path at which something is defined, in this crate or another.
    pub(crate) fn path_of(&self, id: &Value) -> Vec<&str> {
        list(&self.0["paths"][id.to_string()]["path"]).iter().map(text).collect()
    }

    /// What is defined at a path in this crate.
    fn at(&self, path: &[&str]) -> Option<&Value> {
        let paths = self.0["paths"].as_object().expect("paths");
        let mut found = paths.iter().filter(|(_, place)| {
            place["crate_id"] == 0 && list(&place["path"]).iter().map(text).eq(path.iter().copied())
        });
        found.find_map(|(id, _)| self.0["index"].get(id))
    }

    /// Everything at the crate's root.
    pub(crate) fn exported(&self) -> Vec<Exported<'_>> {
        let root = self.item(&self.0["root"]).expect("a crate has a root");
        let items = list(&root["inner"]["module"]["items"]).iter().filter_map(|id| self.item(id));
        items.map(|item| self.resolve(item)).collect()
    }

    fn resolve<'a>(&'a self, item: &'a Value) -> Exported<'a> {
        let Some(import) = item["inner"].get("use") else {
            return Exported { home: self, item };
        };
        let name = text(&import["name"]);
        if let Some(item) = self.item(&import["id"]) {
            return Exported { home: self, item };
        }
        let path = self.path_of(&import["id"]);
        let home = documented().iter().find(|other| other.name() == path[0]);
        let home = home.unwrap_or_else(|| panic!("{name} comes from {}, which is not read", path.join("::")));
        let item = home.at(&path).unwrap_or_else(|| panic!("{} is not found", path.join("::")));
        Exported { home, item }
    }

    /// The public calls that a type has of its own.
    pub(crate) fn calls_of<'a>(&'a self, item: &'a Value) -> Vec<Call<'a>> {
        let holder = ["struct", "enum"].iter().find_map(|kind| item["inner"].get(kind));
        let impls = holder.map_or(&[][..], |holder| list(&holder["impls"]));
        let impls = impls.iter().filter_map(|id| self.item(id));
        let own = impls.filter(|found| found["inner"]["impl"]["trait"].is_null());
        own.flat_map(|found| {
            let members = list(&found["inner"]["impl"]["items"]).iter().filter_map(|id| self.item(id));
            let public = members.filter(|member| member["visibility"] == "public");
            let calls = public.filter(|member| member["inner"].get("function").is_some());
            calls.map(|member| Call {
                name: text(&member["name"]),
                item: member,
                around: text(&found["docs"]),
            })
        })
        .collect()
    }
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
