//! The book under `docs/` and the pages at the root: complete, linked, and fresh where they are made from code.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Component, Path, PathBuf},
};

use pleach_tests::pages::{self, root};
use pulldown_cmark::{BrokenLink, CodeBlockKind, Event, Options, Parser, Tag, TagEnd, html};

/// A page, as far as these tests look at it.
struct Page {
    path: PathBuf,
    /// What headings can be linked to, as the usual renderers name them.
    anchors: BTreeSet<String>,
    links: Vec<String>,
    /// The words behind the opening fences of code blocks.
    languages: Vec<String>,
    /// References without a definition: they would be shown as they are typed.
    broken: Vec<String>,
    titles: usize,
}

impl Page {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut broken = Vec::new();
        let mut page = Self {
            path: path.into(),
            anchors: BTreeSet::new(),
            links: Vec::new(),
            languages: Vec::new(),
            broken: Vec::new(),
            titles: 0,
        };
        let callback = |link: BrokenLink<'_>| {
            broken.push(link.reference.to_string());
            None
        };
        let options = Options::ENABLE_TABLES;
        let mut heading = None::<String>;
        for event in Parser::new_with_broken_link_callback(&text, options, Some(callback)) {
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    page.titles += usize::from(level as usize == 1);
                    heading = Some(String::new());
                }
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    page.anchors.insert(anchor);
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.to_string());
                }
                Event::Start(Tag::CodeBlock(kind)) => page.languages.push(match kind {
                    CodeBlockKind::Fenced(language) => language.to_string(),
                    CodeBlockKind::Indented => String::new(),
                }),
                _ => {}
            }
        }
        let mut rendered = String::new();
        html::push_html(&mut rendered, Parser::new_ext(&text, options));
        assert!(!rendered.is_empty(), "{} renders to nothing", path.display());
        page.broken = broken;
        page
    }
}

/// The anchor that a heading gets: lower case, spaces as hyphens, of the rest only letters, digits, `-` and `_`.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

/// The pages of the book, and those at the root.
fn all_pages() -> Vec<Page> {
    pages::pages().iter().map(|path| Page::read(&root().join(path))).collect()
}

/// The path without `.` and `..`.
fn flat(path: &Path) -> PathBuf {
    let mut flat = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(flat.pop()),
            Component::CurDir => {}
            part => flat.push(part),
        }
    }
    flat
}

#[test]
fn every_page_of_the_book_is_in_its_table_of_contents() {
    let docs = root().join("docs");
    let contents = Page::read(&docs.join("SUMMARY.md"));
    let listed: BTreeSet<_> = contents.links.iter().map(|link| flat(&docs.join(link))).collect();
    assert_eq!(listed.len(), contents.links.len(), "a page is listed twice");
    let found = pages::pages().into_iter().filter(|path| path.starts_with("docs/"));
    let found: BTreeSet<_> =
        found.map(|path| root().join(path)).filter(|path| *path != contents.path).collect();
    assert_eq!(found, listed, "left: the pages there are; right: those in SUMMARY.md");
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading_in_it() {
    let mut wrong = Vec::new();
    for page in all_pages() {
        for link in page.links.iter().filter(|link| !link.contains("://")) {
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let folder = page.path.parent().expect("a page is in a folder");
            let target = if file.is_empty() { page.path.clone() } else { flat(&folder.join(file)) };
            let is_page = target.extension().is_some_and(|extension| extension == "md");
            let good = target.exists()
                && (fragment.is_empty() || is_page && Page::read(&target).anchors.contains(fragment));
            if !good {
                wrong.push(format!("{}: {link}", page.path.display()));
            }
        }
        wrong.extend(page.broken.iter().map(|link| format!("{}: [{link}]", page.path.display())));
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn every_page_has_one_title_and_every_code_block_a_language() {
    for page in all_pages() {
        let expected = 1 + if page.path.ends_with("docs/SUMMARY.md") { 3 } else { 0 };
        assert_eq!(page.titles, expected, "headings of the first level in {}", page.path.display());
        assert!(
            page.languages.iter().all(|language| !language.is_empty()),
            "{}: write ```text above a block that is no program",
            page.path.display()
        );
        let text = fs::read_to_string(&page.path).expect("it was read before");
        let found = pages::blocks(&text).len();
        assert_eq!(found, page.languages.len(), "{}: not all blocks are found", page.path.display());
    }
}

/// A limit in the sources: its name, type, expression and documentation.
struct Limit {
    name: String,
    value: String,
    about: String,
}

/// The public numeric constants of a file with their documentation, in order.
fn limits_in(source: &str) -> Vec<Limit> {
    let mut limits = Vec::new();
    let mut about = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            about.push(text.trim());
            continue;
        }
        let constant = line.strip_prefix("pub const ").and_then(|rest| rest.split_once(": "));
        if let Some((name, rest)) = constant
            && let Some((kind, value)) = rest.split_once(" = ")
            && ["usize", "u64", "u32", "u16", "u8"].contains(&kind)
        {
            let value = value.split(';').next().unwrap_or_default().into();
            let about = about.join(" ").replace("[`", "`").replace("`]", "`");
            limits.push(Limit { name: name.into(), value, about });
        }
        about.clear();
    }
    limits
}

fn limits_page() -> String {
    let mut page = String::from(
        "# Limits\n\nEvery buffer, queue, table and message has a limit with a unit and a reason, which is a \
         named constant. This page is made from\nthe public ones of the core; a test fails when it is stale (see \
         [testing](testing.md#pages-made-from-code)). Those of connections\nand of what is under way on a wire stand \
         with the transports (`transports/src/{http,quic,iroh}/limits.rs`, `gate.rs`, `budget.rs`). Those that\na node's \
         owner may set are in [running a server](server.md#limits-and-budgets).\n",
    );
    let mut rooms = Vec::new();
    sources_below(&root().join("proto-core/src"), &mut rooms);
    // The protocol's own limits first; then each room's.
    rooms.sort_by_key(|path| (!path.ends_with("src/limits.rs"), path.clone()));
    for path in rooms {
        let limits = limits_in(&fs::read_to_string(&path).expect("a source can be read"));
        let path = path.strip_prefix(root()).expect("sources are below the root").display().to_string();
        if !limits.is_empty() {
            write!(page, "\n## `{path}`\n\n| limit | value | what and why |\n|---|---|---|\n")
                .expect("memory");
        }
        for Limit { name, value, about } in limits {
            assert!(!about.is_empty(), "{path}: {name} has no documentation");
            writeln!(page, "| `{name}` | `{value}` | {about} |").expect("memory");
        }
    }
    page
}

fn sources_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            sources_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_page_of_limits_says_what_the_sources_say() {
    let path = root().join("docs/limits.md");
    let page = limits_page();
    assert!(page.contains("| `MAX_FRAME` | `1024 * 1024` | Bytes in a frame"), "the sources were not read");
    if std::env::var_os("PLEACH_BLESS").is_some() {
        fs::write(&path, &page).expect("the page can be written");
    }
    let written = fs::read_to_string(&path).expect("the page can be read");
    assert!(
        written == page,
        "docs/limits.md is stale: run PLEACH_BLESS=1 cargo test -p pleach-tests --test book"
    );
}
