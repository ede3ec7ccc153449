//! `protocol` and `device` are core-only: no heap, no clock, no effects, no global state. So is
//! what `firmware` adds to them; its board has effects, but no heap either.
//! Their tests may use whatever they like.

use std::ops::Range;

use super::{
    Finding, Rule,
    house::House,
    source::{Source, is_alloc_attribute},
    tree::join,
};

/// Sequences of tokens that stand in neither package, each with what to do instead.
const FORBIDDEN: [(&[&str], &str); 22] = [
    (&["std", "::"], "there is no std here"),
    (&["extern", "crate", "std"], "there is no std here"),
    (&["Instant", "::", "now"], "time is an argument"),
    (&["SystemTime"], "time is an argument"),
    (&["thread", "::"], "the caller decides what runs where"),
    (&["thread_local", "!"], "state is passed, never found"),
    (&["static", "mut"], "state is passed, never found"),
    (&["trait", "Clock"], "time is an argument"),
    (&["trait", "Store"], "disk is a conversation"),
    (&["trait", "Network"], "the network is a conversation"),
    (&[".", "ln", "(", ")"], FLOATS),
    (&[".", "log2", "(", ")"], FLOATS),
    (&[".", "log10", "(", ")"], FLOATS),
    (&[".", "exp", "(", ")"], FLOATS),
    (&[".", "sqrt", "(", ")"], FLOATS),
    (&[".", "cbrt", "(", ")"], FLOATS),
    (&[".", "powf", "("], FLOATS),
    (&[".", "powi", "("], FLOATS),
    (&[".", "round", "(", ")"], FLOATS),
    (&[".", "ceil", "(", ")"], FLOATS),
    (&[".", "tanh", "(", ")"], FLOATS),
    (&[".", "mul_add", "("], FLOATS),
];
const FLOATS: &str = "use libm, so that both ends compute the same bits";

/// Types that make a `static` into hidden state, beside all that begin with `Atomic`.
const CELLS: [&str; 9] = [
    "Cell",
    "LazyCell",
    "LazyLock",
    "Mutex",
    "OnceCell",
    "OnceLock",
    "RefCell",
    "RwLock",
    "UnsafeCell",
];

pub(super) const RULE: Rule = Rule {
    name: "core-only",
    because: "the same machines run on Linux, on a microcontroller and in the simulator",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let folders = ["protocol", "device", "firmware"].into_iter();
    let packages = folders.flat_map(|folder| judge_package(house, folder));
    let board = house.sources_under("firmware/board");
    packages
        .chain(board.flat_map(|source| heap(source, "firmware")))
        .collect()
}

fn judge_package(house: &House<'_>, folder: &str) -> Vec<Finding> {
    let root = join(folder, "src/lib.rs");
    let Some(lib) = house.sources.iter().find(|source| source.path == root) else {
        return Vec::new();
    };
    let has_no_std = lib.find(&["#", "!", "[", "no_std", "]"]).next().is_some();
    let missing = || Finding::error(&root, 1, "lacks `#![no_std]`");
    let mut findings: Vec<_> = (!has_no_std).then(missing).into_iter().collect();
    let behind_alloc: Vec<String> = if folder == "protocol" {
        house
            .sources_under(&join(folder, "src"))
            .flat_map(alloc_modules)
            .collect()
    } else {
        Vec::new()
    };
    for source in house.sources_under(&join(folder, "src")) {
        findings.extend(forbidden_words(source));
        findings.extend(hidden_state(source));
        if !behind_alloc
            .iter()
            .any(|module| belongs(source.path, module))
        {
            findings.extend(heap(source, folder));
        }
    }
    findings
}

fn forbidden_words(source: &Source<'_>) -> impl Iterator<Item = Finding> {
    FORBIDDEN.iter().flat_map(move |&(pattern, instead)| {
        let found = source.find(pattern).filter(|&at| !source.is_test(at));
        found.map(move |at| source.finding(at, format!("`{}`: {instead}", shown(pattern))))
    })
}

/// Words apart, marks close.
fn shown(pattern: &[&str]) -> String {
    let keyword = ["extern", "static", "trait"].contains(&pattern[0]);
    pattern.join(if keyword { " " } else { "" })
}

fn hidden_state(source: &Source<'_>) -> impl Iterator<Item = Finding> {
    source
        .find(&["static"])
        .filter(|&at| !source.is_test(at))
        .filter_map(|at| {
            let declared = source.tokens[at..]
                .iter()
                .take_while(|token| token.text != "=");
            let mut names = declared.map(|token| token.text);
            let cell = names.find(|name| name.starts_with("Atomic") || CELLS.contains(name))?;
            Some(source.finding(
                at,
                format!("a static `{cell}`: state is passed, never found"),
            ))
        })
}

fn heap(source: &Source<'_>, folder: &str) -> Vec<Finding> {
    let gated = if folder == "protocol" {
        source.regions(is_alloc_attribute)
    } else {
        Vec::new()
    };
    let within = |at: usize, regions: &[Range<usize>]| regions.iter().any(|r| r.contains(&at));
    let paths = source
        .find(&["alloc", "::"])
        .chain(source.find(&["extern", "crate", "alloc"]));
    let bare = paths.filter(|&at| !source.is_test(at) && !within(at, &gated));
    bare.map(|at| source.finding(at, "`alloc` where a node without a heap compiles it"))
        .collect()
}

/// The paths, without ending, of the modules that a file declares behind the feature `alloc`.
fn alloc_modules(source: &Source<'_>) -> Vec<String> {
    let folder = match source.path.strip_suffix("/lib.rs") {
        Some(folder) => folder,
        None => source.path.trim_end_matches(".rs"),
    };
    let gated = source.regions(is_alloc_attribute);
    let modules = source
        .find(&["mod"])
        .filter(|at| gated.iter().any(|region| region.contains(at)));
    modules
        .filter_map(|at| source.tokens.get(at + 1))
        .map(|token| format!("{folder}/{}", token.text))
        .collect()
}

/// Whether `path` is the file of the module or below its folder.
fn belongs(path: &str, module: &str) -> bool {
    let rest = path.strip_prefix(module).unwrap_or_default();
    rest == ".rs" || rest.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn core_only_code_passes() {
        let protocol = "#![no_std]\n#[cfg(feature = \"alloc\")]\nextern crate alloc;\n\
            #[cfg(feature = \"alloc\")]\npub mod tuf;\npub mod id;\n";
        let id = "fn a(x: f64) -> f64 { libm::log(x) }\n#[cfg(feature = \"alloc\")]\n\
            fn owned() -> alloc::string::String { todo }\n#[cfg(test)] mod tests { use std::fs; }";
        check(
            &RULE,
            &[
                ("protocol/src/lib.rs", protocol),
                ("protocol/src/id.rs", id),
                ("protocol/src/tuf.rs", "use alloc::vec::Vec;"),
                ("protocol/src/tuf/role.rs", "use alloc::vec::Vec;"),
                (
                    "protocol/src/bundle.rs",
                    "#[cfg(feature = \"alloc\")]\npub mod card;\n",
                ),
                ("protocol/src/bundle/card.rs", "use alloc::vec::Vec;"),
                ("agent/src/main.rs", "use std::fs;"),
            ],
            &[],
        );
    }

    fn check_device(line: &str, expect: &str) {
        let text = format!("#![no_std]\n{line}\n");
        check(
            &RULE,
            &[("device/src/lib.rs", &text)],
            &[&format!("device/src/lib.rs:2: {expect}")],
        );
    }

    #[test]
    fn a_device_has_none_of_these() {
        check_device("use std::fs;", "`std::`: there is no std here");
        check_device(
            "let t = Instant::now();",
            "`Instant::now`: time is an argument",
        );
        check_device(
            "static mut A: u8 = 0;",
            "`static mut`: state is passed, never found",
        );
        check_device(
            "static A: AtomicU32 = AtomicU32::new(0);",
            "a static `AtomicU32`: state is passed, never found",
        );
        check_device(
            "let y = x.ln();",
            "`.ln()`: use libm, so that both ends compute the same bits",
        );
        check_device("trait Clock {}", "`trait Clock`: time is an argument");
        check_device(
            "use alloc::vec::Vec;",
            "`alloc` where a node without a heap compiles it",
        );
    }

    #[test]
    fn no_part_of_the_firmware_has_a_heap() {
        let files = [
            ("firmware/src/lib.rs", "#![no_std]\nuse alloc::vec::Vec;"),
            ("firmware/board/main.rs", "extern crate alloc;"),
        ];
        let what = "`alloc` where a node without a heap compiles it";
        let (lib, board) = (
            format!("firmware/src/lib.rs:2: {what}"),
            format!("firmware/board/main.rs:1: {what}"),
        );
        check(&RULE, &files, &[&lib, &board]);
    }

    #[test]
    fn the_feature_does_not_open_the_device() {
        check_device(
            "#[cfg(feature = \"alloc\")] use alloc::vec::Vec;",
            "`alloc` where a node without a heap compiles it",
        );
    }

    #[test]
    fn no_std_is_stated() {
        let what = ["device/src/lib.rs:1: lacks `#![no_std]`"];
        check(&RULE, &[("device/src/lib.rs", "//! x")], &what);
    }

    #[test]
    fn a_module_outside_the_feature_has_no_heap() {
        let lib = "#![no_std]\n#[cfg(feature = \"alloc\")] pub mod tuf;\npub mod id;";
        let files = [
            ("protocol/src/lib.rs", lib),
            ("protocol/src/id.rs", "\nuse alloc::vec::Vec;"),
        ];
        let what = "protocol/src/id.rs:2: `alloc` where a node without a heap compiles it";
        check(&RULE, &files, &[what]);
    }
}
