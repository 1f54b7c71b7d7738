//! The pages that people read, and the blocks of code in them: whoever runs what a page shows finds it here.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder that holds the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand one folder below the root")
}

/// The text of a file, by its path from the root.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A block of code between two fences.
///
/// ```
/// let blocks = pleach_tests::pages::blocks("Type\n\n```sh board\nls\nls -a\n```\n");
/// assert_eq!((blocks[0].line, &*blocks[0].language, &*blocks[0].word), (3, "sh", "board"));
/// assert_eq!(blocks[0].text, "ls\nls -a\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The number of the line with the opening fence.
    pub line: usize,
    /// What the code is written in.
    pub language: String,
    /// What stands behind the language: why the block is not run where others of its language are; mostly nothing.
    pub word: String,
    /// The lines between the fences.
    pub text: String,
}

/// All blocks of a page, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut within = false;
    for (number, line) in (1..).zip(page.lines()) {
        match (line.strip_prefix("```"), blocks.last_mut()) {
            (Some(_), _) if within => within = false,
            (Some(info), _) => {
                within = true;
                let (language, word) = info.split_once(' ').unwrap_or((info, ""));
                let (language, word) = (language.into(), word.trim().into());
                blocks.push(Block { line: number, language, word, text: String::new() });
            }
            (None, Some(block)) if within => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

/// What a block for a shell has to type, in order: a line, or several where one goes on in the next.
///
/// ```
/// let typed = pleach_tests::pages::commands("git log |\n  wc -l\n\nls\n");
/// assert_eq!(typed, ["git log |\n  wc -l", "ls"]);
/// ```
pub fn commands(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        match commands.last_mut() {
            Some(command) if goes_on => {
                command.push('\n');
                command.push_str(line);
            }
            _ => commands.push(line.into()),
        }
        goes_on = line.ends_with('\\') || line.ends_with('|');
    }
    commands
}

/// What a page has its reader type into one shell: the blocks in `sh` with nothing behind that.
pub fn session(path: &str) -> Vec<String> {
    let blocks = blocks(&read(path)).into_iter();
    let typed = blocks.filter(|block| block.language == "sh" && block.word.is_empty());
    typed.flat_map(|block| commands(&block.text)).collect()
}

/// The pages of the book and those at the root, by their paths from there, ascending.
pub fn pages() -> Vec<String> {
    let mut found = Vec::new();
    markdown_in(root(), 0, &mut found);
    markdown_in(&root().join("docs"), 4, &mut found);
    let relative = |path: PathBuf| path.strip_prefix(root()).expect("pages are below the root").to_owned();
    let mut pages: Vec<String> = found.into_iter().map(|path| relative(path).display().to_string()).collect();
    pages.sort();
    assert!(pages.len() > 20, "the pages are not where they should be: {pages:?}");
    pages
}

fn markdown_in(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() && depth > 0 && path.file_name().is_some_and(|name| name != "book") {
            markdown_in(&path, depth - 1, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}
