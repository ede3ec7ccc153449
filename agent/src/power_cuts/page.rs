//! Tables on pages of `docs/` that say what a test measured.
//!
//! A page that says something else is an error; `UPDATE_EXPECT=1` writes what was measured, as
//! it does for the other expected values of this workspace.

use std::fs;
use std::path::PathBuf;

/// Compares the part of a page between `<!-- measured: NAME -->` and `<!-- end -->`.
pub fn compare(page: &str, name: &str, measured: &[String]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(page);
    let text = fs::read_to_string(&path).expect("the page is there");
    let begin = format!("<!-- measured: {name} -->\n");
    let from = text.find(&begin).expect("the page has the part") + begin.len();
    let to = from + text[from..].find("<!-- end -->").expect("the part ends");
    let measured: String = measured.iter().map(|line| format!("{line}\n")).collect();
    if text[from..to] == measured {
        return;
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let text = format!("{}{measured}{}", &text[..from], &text[to..]);
        return fs::write(&path, text).expect("the page is writable");
    }
    panic!(
        "docs/{page} says of {name}:\n{}measured was:\n{measured}run the test with \
         UPDATE_EXPECT=1 to write that",
        &text[from..to]
    );
}
