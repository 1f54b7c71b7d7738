//! Panics that are left in the image, against the list of those that were looked at.
//!
//! Whatever panics says where: each call has a `core::panic::Location` among the constants of the program (the file's
//! name, its length, a line and a column). A call that the compiler found to be impossible is not in the program, and
//! neither is its constant.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use crate::elf::Elf;

/// The list: the compiler that it holds for, then paragraphs of a reason and the sites that it holds for.
const LIST: &str = include_str!("panics.txt");

/// A place in the sources whose panic is in the image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site {
    /// As the compiler calls it.
    pub(crate) file: String,
    pub(crate) line: usize,
    column: u32,
}

impl Site {
    /// As the list names it: by what the line says, so that nothing moves it but a change of that line.
    fn name(&self) -> String {
        let source = fs::read_to_string(on_disk(&self.file)).unwrap_or_default();
        let line = source.lines().nth(self.line - 1).map(str::trim);
        let line = line.map_or_else(|| format!("line {}", self.line), ToOwned::to_owned);
        format!("{}: {line}", in_list(&self.file))
    }
}

/// All of them, ascending.
pub(crate) fn sites(elf: &Elf) -> Vec<Site> {
    let location = |[file, length, line, column]: [u32; 4]| {
        let known = length > 3 && line > 0 && column > 0;
        let file = std::str::from_utf8(elf.at(file, length).filter(|_| known)?).ok()?;
        let rust =
            Path::new(file).extension().is_some_and(|kind| kind == "rs") && !file.contains(char::is_control);
        rust.then(|| Site { file: file.to_owned(), line: line as usize, column })
    };
    let mut sites: Vec<Site> = elf.constants().filter_map(location).collect();
    sites.sort_unstable();
    sites.dedup();
    sites
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Where a file can be read. The sources of `core` may not be there.
fn on_disk(file: &str) -> PathBuf {
    root().join("tests/firmware").join(file)
}

/// A file's name without what differs from machine to machine.
fn in_list(file: &str) -> String {
    let file = file.strip_prefix(&format!("{}/", root().display())).unwrap_or(file);
    let (_, core) = file.rsplit_once("/library/").unwrap_or_default();
    let (_, package) =
        file.rsplit_once("/registry/src/").and_then(|(_, file)| file.split_once('/')).unwrap_or_default();
    match (core, package) {
        ("", "") if file.starts_with("src/") => format!("tests/firmware/{file}"),
        ("", "") => file.to_owned(),
        (core, "") => core.to_owned(),
        (_, package) => package.to_owned(),
    }
}

/// How often each name is there.
type Names = BTreeMap<String, usize>;

fn count(names: impl Iterator<Item = String>) -> Names {
    names.fold(Names::new(), |mut names, name| {
        *names.entry(name).or_default() += 1;
        names
    })
}

/// The compiler of the list, and its sites.
fn list(text: &str) -> (&str, Names) {
    let (compiler, paragraphs) = text.split_once("\n\n").expect("the compiler, then paragraphs");
    let mut sites = Vec::new();
    for paragraph in paragraphs.split("\n\n") {
        let (reason, of_it): (Vec<&str>, Vec<&str>) =
            paragraph.lines().partition(|line| line.starts_with('#'));
        assert!(
            !reason.is_empty() && paragraph.starts_with('#') && !of_it.is_empty(),
            "a reason, then its sites: {paragraph}"
        );
        sites.extend(of_it.into_iter().map(ToOwned::to_owned));
    }
    (compiler.trim_start_matches("# "), count(sites.into_iter()))
}

/// What an image and the list do not have in common.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// In the image alone.
    pub(crate) new: Vec<String>,
    /// In the list alone.
    pub(crate) gone: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let new = "panics that were not there; take them out, or list them with the reason why nothing reaches them";
        let gone = "panics that are there no more; take them out of the list";
        for (what, names) in
            [(new, &self.new), (gone, &self.gone)].into_iter().filter(|(_, names)| !names.is_empty())
        {
            writeln!(f, "{what}:\n{}", names.join("\n"))?;
        }
        Ok(())
    }
}

fn beyond(names: &Names, others: &Names) -> Vec<String> {
    let more = |(name, times): (&String, &usize)| {
        let more = times.saturating_sub(others.get(name).copied().unwrap_or_default());
        vec![name.clone(); more]
    };
    names.iter().flat_map(more).collect()
}

fn difference(found: &Names, listed: &Names) -> Difference {
    Difference { new: beyond(found, listed), gone: beyond(listed, found) }
}

/// Compares an image with the list. Another compiler than the list's leaves other checks in code that is not ours: then
/// only what is new in our own files counts, and the rest is returned to be said.
pub(crate) fn compare(elf: &Elf) -> Result<String, Difference> {
    let found = count(sites(elf).iter().map(Site::name));
    let (compiler, listed) = list(LIST);
    let all = difference(&found, &listed);
    if elf.compiler() == compiler {
        return if all == Difference::default() { Ok(String::new()) } else { Err(all) };
    }
    let own =
        |name: &String| ["proto-core/", "tests/firmware/"].iter().any(|folder| name.starts_with(folder));
    let new: Vec<String> = all.new.iter().filter(|name| own(name)).cloned().collect();
    if new.is_empty() {
        Ok(format!("the list of panics holds for {compiler}, and this is {}\n{all}", elf.compiler()))
    } else {
        Err(Difference { new, gone: Vec::new() })
    }
}
