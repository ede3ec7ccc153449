//! The whole tree with its Rust files lexed and its module graph followed.
//! It says what is reachable and what is a test; rules say what is allowed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    source::Source,
    tree::{Tree, folder_of, join, resolve},
};

/// Everything a rule may look at.
pub(crate) struct House<'t> {
    pub(crate) tree: &'t Tree,
    pub(crate) manifests: Vec<(&'t str, toml::Table)>,
    pub(crate) sources: Vec<Source<'t>>,
    pub(crate) reachable: BTreeSet<String>,
}

/// Which build a file belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Production,
    Test,
}

impl<'t> House<'t> {
    /// Lexes the tree and follows `mod` from every crate root.
    pub(crate) fn new(tree: &'t Tree) -> Self {
        let sources = tree
            .ending(".rs")
            .map(|(path, text)| Source::new(path, text))
            .collect();
        let manifests = tree
            .ending("Cargo.toml")
            .filter_map(parse_manifest)
            .collect();
        let mut house = Self {
            tree,
            manifests,
            sources,
            reachable: BTreeSet::new(),
        };
        let uses = house.follow_modules();
        for source in &mut house.sources {
            let in_test_folder = is_test_path(source.path);
            if in_test_folder || uses.get(source.path) == Some(&Use::Test) {
                source.mark_test();
            }
        }
        house.reachable = uses.into_keys().collect();
        house
    }

    /// The folders that hold a package.
    pub(crate) fn packages(&self) -> impl Iterator<Item = (&'t str, &toml::Table)> {
        let packages = self
            .manifests
            .iter()
            .filter(|(_, table)| table.contains_key("package"));
        packages.map(|(path, table)| (folder_of(path), table))
    }

    /// Whether some file of the package `folder` exists.
    pub(crate) fn sources_under(&self, folder: &str) -> impl Iterator<Item = &Source<'t>> {
        let prefix = format!("{folder}/");
        self.sources
            .iter()
            .filter(move |source| source.path.starts_with(&prefix))
    }

    fn follow_modules(&self) -> BTreeMap<String, Use> {
        let mut uses: BTreeMap<String, Use> = BTreeMap::new();
        let mut queue: VecDeque<_> = self
            .roots()
            .map(|(path, kind)| (path, kind, true))
            .collect();
        while let Some((path, kind, is_root)) = queue.pop_front() {
            let Some(source) = self.sources.iter().find(|source| source.path == path) else {
                continue;
            };
            if uses.get(&path).is_some_and(|known| *known <= kind) {
                continue;
            }
            uses.insert(path, kind);
            for (index, candidates) in declared_modules(source, is_root) {
                let kind = if source.is_test(index) {
                    Use::Test
                } else {
                    kind
                };
                let child = candidates
                    .into_iter()
                    .find(|path| self.tree.text(path).is_some());
                queue.extend(child.map(|child| (child, kind, false)));
            }
        }
        uses
    }

    /// The files cargo starts from: the usual places and what the manifests name.
    fn roots(&self) -> impl Iterator<Item = (String, Use)> {
        self.packages().flat_map(|(folder, manifest)| {
            let usual = ["src/lib.rs", "src/main.rs", "build.rs"].map(|path| join(folder, path));
            let named = named_targets(manifest).filter_map(move |path| resolve(folder, path));
            let found = self
                .tree
                .paths()
                .filter(move |path| is_discovered(folder, path));
            let all = usual
                .into_iter()
                .chain(named)
                .chain(found.map(str::to_owned));
            all.map(|path| {
                if is_test_path(&path) {
                    (path, Use::Test)
                } else {
                    (path, Use::Production)
                }
            })
        })
    }
}

fn parse_manifest<'t>((path, text): (&'t str, &str)) -> Option<(&'t str, toml::Table)> {
    Some((path, text.parse().ok()?))
}

/// The paths that `[lib]`, `[[bin]]`, `[[test]]`, `[[example]]` and `[[bench]]` state.
fn named_targets(manifest: &toml::Table) -> impl Iterator<Item = &str> {
    let many = ["bin", "test", "example", "bench"].into_iter();
    let many = many
        .filter_map(|kind| manifest.get(kind)?.as_array())
        .flatten();
    let all = many.chain(manifest.get("lib"));
    all.filter_map(|target| target.get("path")?.as_str())
}

/// Targets that cargo finds by itself.
fn is_discovered(package: &str, path: &str) -> bool {
    let folders = ["src/bin", "tests", "examples", "benches"];
    path.ends_with(".rs")
        && folders
            .iter()
            .any(|folder| folder_of(path) == join(package, folder))
}

fn is_test_path(path: &str) -> bool {
    let mut folders = folder_of(path).split('/');
    folders.any(|folder| ["tests", "benches", "examples"].contains(&folder))
}

/// Each `mod name;` of a file with the places where its file may be.
fn declared_modules(source: &Source<'_>, is_root: bool) -> Vec<(usize, Vec<String>)> {
    let inline: Vec<_> = source
        .find(&["mod"])
        .filter(|&at| opens_inline(source, at))
        .collect();
    let mut found = Vec::new();
    for at in source.find(&["mod"]).filter(|&at| declares(source, at)) {
        let name = source.tokens[at + 1].text;
        if let Some(path) = stated_path(source, at) {
            found.push((
                at,
                resolve(folder_of(source.path), path).into_iter().collect(),
            ));
            continue;
        }
        let around = inline
            .iter()
            .filter(|&&open| open < at && at < source.closing(open + 2));
        let nested = around.map(|&open| source.tokens[open + 1].text);
        let base = nested.fold(module_folder(source.path, is_root), |base, name| {
            join(&base, name)
        });
        let child = join(&base, name);
        found.push((at, vec![format!("{child}.rs"), format!("{child}/mod.rs")]));
    }
    found
}

fn declares(source: &Source<'_>, at: usize) -> bool {
    source
        .tokens
        .get(at + 2)
        .is_some_and(|token| token.text == ";")
}

fn opens_inline(source: &Source<'_>, at: usize) -> bool {
    source
        .tokens
        .get(at + 2)
        .is_some_and(|token| token.text == "{")
}

/// The path of `#[path = "x.rs"] mod name;`.
fn stated_path<'t>(source: &Source<'t>, at: usize) -> Option<&'t str> {
    let start = at.checked_sub(6)?;
    let stated = source.matches(start, &["#", "[", "path", "="]);
    stated.then(|| source.tokens[start + 4].text.trim_matches('"'))
}

/// Where the modules of a file live: beside a crate root, below any other file.
fn module_folder(path: &str, is_root: bool) -> String {
    let is_root = is_root || path.ends_with("/mod.rs");
    let folder = if is_root {
        folder_of(path)
    } else {
        path.trim_end_matches(".rs")
    };
    folder.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str = "[package]\nname = \"x\"\n";

    fn check(files: &[(&str, &str)], reachable: &[&str], tests: &[&str]) {
        let tree = Tree::of(files);
        let house = House::new(&tree);
        assert_eq!(
            house
                .reachable
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
            reachable
        );
        let marked = house
            .sources
            .iter()
            .filter(|s| !s.tokens.is_empty() && s.is_test(0));
        assert_eq!(marked.map(|source| source.path).collect::<Vec<_>>(), tests);
    }

    #[test]
    fn modules_are_followed_from_the_roots() {
        let files = [
            ("a/Cargo.toml", PACKAGE),
            ("a/src/main.rs", "mod b; mod inner { mod d; }"),
            ("a/src/b.rs", "pub mod c; #[cfg(test)] mod tests;"),
            ("a/src/b/c.rs", "use x;"),
            ("a/src/b/tests.rs", "use x;"),
            ("a/src/inner/d.rs", "use x;"),
            ("a/src/lost.rs", "use x;"),
        ];
        let reachable = [
            "a/src/b.rs",
            "a/src/b/c.rs",
            "a/src/b/tests.rs",
            "a/src/inner/d.rs",
            "a/src/main.rs",
        ];
        check(&files, &reachable, &["a/src/b/tests.rs"]);
    }

    #[test]
    fn manifests_name_roots_and_paths_are_obeyed() {
        let manifest = "[package]\nname = \"x\"\n[[test]]\nname = \"all\"\npath = \"all.rs\"\n";
        let files = [
            ("tests/Cargo.toml", manifest),
            (
                "tests/all.rs",
                "mod cut; #[path = \"far/away.rs\"] mod near;",
            ),
            ("tests/cut.rs", "use x;"),
            ("tests/far/away.rs", "use x;"),
        ];
        let all = ["tests/all.rs", "tests/cut.rs", "tests/far/away.rs"];
        check(&files, &all, &all);
    }

    #[test]
    fn a_file_used_both_ways_is_production() {
        let files = [
            ("a/Cargo.toml", PACKAGE),
            (
                "a/src/lib.rs",
                "use x; #[cfg(test)] #[path = \"b.rs\"] mod t; mod b;",
            ),
            ("a/src/b.rs", "use x;"),
        ];
        check(&files, &["a/src/b.rs", "a/src/lib.rs"], &[]);
    }
}
