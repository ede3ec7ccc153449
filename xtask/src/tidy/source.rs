//! One Rust file, lexed, with what rules ask of it: sequences, regions, functions, lines.
//! It knows no rule and no other file.

use std::{collections::BTreeSet, ops::Range};

use super::{
    Finding,
    lexer::{Comment, Kind, Token, lex},
};

/// Words that open an item; anything else under an attribute is a field, variant or arm.
const ITEM_WORDS: [&str; 14] = [
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "macro_rules",
    "mod",
    "static",
    "struct",
    "trait",
    "type",
    "unsafe",
    "use",
];

/// A lexed file; `test` says for each token whether it is compiled for tests only.
pub(crate) struct Source<'t> {
    pub(crate) path: &'t str,
    pub(crate) text: &'t str,
    pub(crate) tokens: Vec<Token<'t>>,
    pub(crate) comments: Vec<Comment<'t>>,
    test: Vec<bool>,
}

/// A function with a body.
pub(crate) struct Function<'t> {
    pub(crate) name: &'t str,
    pub(crate) line: usize,
    pub(crate) lines: usize,
    pub(crate) test: bool,
}

impl<'t> Source<'t> {
    /// Lexes `text` and marks its test regions.
    pub(crate) fn new(path: &'t str, text: &'t str) -> Self {
        let lexed = lex(text);
        let test = vec![false; lexed.tokens.len()];
        let mut source = Self {
            path,
            text,
            tokens: lexed.tokens,
            comments: lexed.comments,
            test,
        };
        for region in source.regions(is_test_attribute) {
            source.test[region].fill(true);
        }
        source
    }

    /// The file belongs to tests as a whole.
    pub(crate) fn mark_test(&mut self) {
        self.test.fill(true);
    }

    /// Whether the token at `index` is compiled for tests only.
    pub(crate) fn is_test(&self, index: usize) -> bool {
        self.test[index]
    }

    /// Whether the tokens from `index` on are exactly `pattern`.
    pub(crate) fn matches(&self, index: usize, pattern: &[&str]) -> bool {
        let here = self.tokens[index..].iter().map(|token| token.text);
        here.take(pattern.len()).eq(pattern.iter().copied())
    }

    /// Where `pattern` begins, as token indices.
    pub(crate) fn find(&self, pattern: &[&str]) -> impl Iterator<Item = usize> {
        (0..self.tokens.len()).filter(move |&index| self.matches(index, pattern))
    }

    /// A finding at the line of a token.
    pub(crate) fn finding(&self, index: usize, what: impl Into<String>) -> Finding {
        Finding::error(self.path, self.tokens[index].line, what)
    }

    /// Every function with a body, in order.
    pub(crate) fn functions(&self) -> Vec<Function<'t>> {
        let named = self
            .find(&["fn"])
            .filter(|&at| self.kind(at + 1) == Some(Kind::Word));
        named.filter_map(|at| self.function(at)).collect()
    }

    /// How many lines hold production code.
    pub(crate) fn production_lines(&self) -> usize {
        let production = self
            .tokens
            .iter()
            .zip(&self.test)
            .filter(|(_, test)| !**test);
        let lines = production.flat_map(|(token, _)| token.line..=token.last_line);
        lines.collect::<BTreeSet<_>>().len()
    }

    /// The items under attributes that `wanted` accepts; an inner attribute covers the file.
    pub(crate) fn regions(&self, wanted: fn(&[Token<'_>]) -> bool) -> Vec<Range<usize>> {
        let mut regions = Vec::new();
        for at in self.find(&["#"]) {
            let inner = self.matches(at + 1, &["!"]);
            let open = at + 1 + usize::from(inner);
            if open >= self.tokens.len() || !self.matches(open, &["["]) {
                continue;
            }
            let close = self.closing(open);
            if !wanted(&self.tokens[open + 1..close.max(open + 1)]) {
                continue;
            }
            let all = 0..self.tokens.len();
            regions.push(if inner {
                all
            } else {
                at..self.item_end(close + 1)
            });
        }
        regions
    }

    /// The index of the bracket that closes the one at `open`, or the last token.
    pub(crate) fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().skip(open) {
            match token.text {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return at;
            }
        }
        self.tokens.len().saturating_sub(1)
    }

    fn kind(&self, index: usize) -> Option<Kind> {
        self.tokens.get(index).map(|token| token.kind)
    }

    fn function(&self, at: usize) -> Option<Function<'t>> {
        let mut body = at + 2;
        while !["{", ";"].contains(&self.tokens.get(body)?.text) {
            let nested = ["(", "["].contains(&self.tokens[body].text);
            body = if nested { self.closing(body) } else { body } + 1;
        }
        if self.tokens[body].text == ";" {
            return None;
        }
        let line = self.tokens[at].line;
        let lines = self.tokens[self.closing(body)].last_line - line + 1;
        Some(Function {
            name: self.tokens[at + 1].text,
            line,
            lines,
            test: self.test[at],
        })
    }

    /// One past the last token of the item, field, variant or arm that starts at `start`.
    fn item_end(&self, start: usize) -> usize {
        let mut at = start;
        while at + 1 < self.tokens.len() && self.matches(at, &["#", "["]) {
            at = self.closing(at + 1) + 1;
        }
        let is_item = self.is_item(at);
        while let Some(token) = self.tokens.get(at) {
            match token.text {
                "}" | ")" | "]" => return at,
                ";" => return at + 1,
                "," if !is_item => return at + 1,
                "{" => return self.closing(at) + 1,
                "(" | "[" => at = self.closing(at),
                _ => {}
            }
            at += 1;
        }
        self.tokens.len()
    }

    fn is_item(&self, start: usize) -> bool {
        let mut at = start;
        if self.tokens.get(at).is_some_and(|token| token.text == "pub") {
            at += 1;
            if self.tokens.get(at).is_some_and(|token| token.text == "(") {
                at = self.closing(at) + 1;
            }
        }
        self.tokens
            .get(at)
            .is_some_and(|token| ITEM_WORDS.contains(&token.text))
    }
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`, but not `#[cfg(not(test))]`.
fn is_test_attribute(attribute: &[Token<'_>]) -> bool {
    let words: Vec<_> = attribute.iter().map(|token| token.text).collect();
    let is_cfg = words.first() == Some(&"cfg");
    let negated = words.windows(3).any(|three| three == ["not", "(", "test"]);
    let path: Vec<_> = words.iter().take_while(|word| **word != "(").collect();
    (is_cfg && words.contains(&"test") && !negated) || path.last() == Some(&&"test")
}

/// `#[cfg(feature = "alloc")]`.
pub(crate) fn is_alloc_attribute(attribute: &[Token<'_>]) -> bool {
    let words: Vec<_> = attribute.iter().map(|token| token.text).collect();
    let negated = words.contains(&"not");
    words.first() == Some(&"cfg") && words.contains(&"\"alloc\"") && !negated
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of `text` that are compiled for tests only.
    fn check_test_words(text: &str, expect: &[&str]) {
        let source = Source::new("a.rs", text);
        let words = (0..source.tokens.len()).filter(|&at| source.is_test(at));
        let words: Vec<_> = words.map(|at| source.tokens[at]).collect();
        let words = words
            .iter()
            .filter(|token| token.kind == Kind::Word && token.text.len() == 1);
        assert_eq!(
            words.map(|token| token.text).collect::<Vec<_>>(),
            expect,
            "{text}"
        );
    }

    #[test]
    fn test_regions_end_with_their_item() {
        check_test_words(
            "fn a() {} #[cfg(test)] mod t { fn b() {} } fn c() {}",
            &["t", "b"],
        );
        check_test_words("#[cfg(test)] mod t; fn c() {}", &["t"]);
        check_test_words(
            "#[cfg(test)] #[path = \"x\"] pub(crate) fn b<K, V>() {} fn c() {}",
            &["b", "K", "V"],
        );
        check_test_words("struct S { #[cfg(test)] a: u8, b: u8 }", &["a"]);
        check_test_words(
            "#[cfg(all(test, unix))] const A: [u8; 2] = [0, 1]; fn c() {}",
            &["A", "2", "0", "1"],
        );
    }

    #[test]
    fn tests_and_whole_files() {
        check_test_words(
            "#[test] fn b() {} #[tokio::test(x = 1)] fn c() {} fn d() {}",
            &["b", "x", "1", "c"],
        );
        check_test_words("#![cfg(test)] fn b() {}", &["b"]);
        check_test_words(
            "#[cfg(not(test))] fn b() {} #[cfg_attr(test, x)] fn c() {}",
            &[],
        );
    }

    #[test]
    fn functions_count_their_lines_and_skip_declarations() {
        let text = "trait T { fn a(x: [u8; 3]); }\nfn b<F: Fn()>(f: fn(u8)) -> u8\n{\n1\n}\n";
        let functions = Source::new("a.rs", text).functions();
        let seen: Vec<_> = functions
            .iter()
            .map(|f| (f.name, f.line, f.lines))
            .collect();
        assert_eq!(seen, [("b", 2, 4)]);
    }

    #[test]
    fn production_lines_leave_out_comments_blanks_and_tests() {
        let text = "//! x\n\nfn a() {\n    // y\n}\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(Source::new("a.rs", text).production_lines(), 2);
    }
}
