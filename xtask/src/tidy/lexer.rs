//! Splits Rust text into tokens and comments, so that no rule mistakes a string for code.
//! It never parses: macros, types and names are all just words and marks.

/// What a token is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// An identifier, keyword or number.
    Word,
    /// A string, byte string or character, with its quotes.
    Literal,
    /// A lifetime or loop label.
    Lifetime,
    /// Punctuation: one character, or `::`.
    Mark,
}

/// A piece of code and the lines it covers, counted from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'t> {
    pub(crate) kind: Kind,
    pub(crate) text: &'t str,
    pub(crate) line: usize,
    pub(crate) last_line: usize,
}

/// A comment of any sort, with its slashes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comment<'t> {
    pub(crate) text: &'t str,
    pub(crate) line: usize,
}

/// The two halves of a file.
#[derive(Default)]
pub(crate) struct Lexed<'t> {
    pub(crate) tokens: Vec<Token<'t>>,
    pub(crate) comments: Vec<Comment<'t>>,
}

/// Splits `text`. Unfinished strings and comments reach to the end of the file.
pub(crate) fn lex(text: &str) -> Lexed<'_> {
    let mut lexed = Lexed::default();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (length, piece) = next_piece(rest, first);
        let (taken, left) = rest.split_at(length);
        let last_line = line + taken.matches('\n').count();
        match piece {
            Piece::Space => {}
            Piece::Comment => lexed.comments.push(Comment { text: taken, line }),
            Piece::Token(kind) => {
                lexed.tokens.push(Token {
                    kind,
                    text: taken,
                    line,
                    last_line,
                });
            }
        }
        (rest, line) = (left, last_line);
    }
    lexed
}

enum Piece {
    Space,
    Comment,
    Token(Kind),
}

/// How many bytes the next piece takes, and what it is.
fn next_piece(rest: &str, first: char) -> (usize, Piece) {
    if first.is_whitespace() {
        return (prefix(rest, char::is_whitespace), Piece::Space);
    }
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Piece::Comment);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), Piece::Comment);
    }
    if let Some(length) = string(rest) {
        return (length, Piece::Token(Kind::Literal));
    }
    if first == '\'' {
        return quote(rest);
    }
    if first.is_ascii_digit() {
        return (number(rest), Piece::Token(Kind::Word));
    }
    if is_word(first) {
        let raw = if rest.starts_with("r#") { 2 } else { 0 };
        return (
            raw + prefix(&rest[raw..], is_word),
            Piece::Token(Kind::Word),
        );
    }
    let length = if rest.starts_with("::") {
        2
    } else {
        first.len_utf8()
    };
    (length, Piece::Token(Kind::Mark))
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn prefix(rest: &str, belongs: fn(char) -> bool) -> usize {
    rest.find(|c| !belongs(c)).unwrap_or(rest.len())
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of a plain, byte, C or raw string that starts here.
fn string(rest: &str) -> Option<usize> {
    let marked = ["br", "cr", "b", "c", "r", ""]
        .into_iter()
        .find_map(|mark| {
            let body = rest.strip_prefix(mark)?;
            let hashes = if mark.ends_with('r') {
                prefix(body, |c| c == '#')
            } else {
                0
            };
            body[hashes..].starts_with('"').then_some((mark, hashes))
        });
    let (mark, hashes) = marked?;
    let open = mark.len() + hashes + 1;
    if mark.ends_with('r') {
        let close = format!("\"{}", "#".repeat(hashes));
        return Some(
            rest[open..]
                .find(&close)
                .map_or(rest.len(), |at| open + at + close.len()),
        );
    }
    Some(open + escaped(&rest[open..], '"'))
}

/// The length up to and with the closing `quote`, stepping over escapes.
fn escaped(body: &str, quote: char) -> usize {
    let mut skip = false;
    for (at, c) in body.char_indices() {
        if skip {
            skip = false;
        } else if c == '\\' {
            skip = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    body.len()
}

/// A character, or else a lifetime: `'a'` closes within one character, `'a` does not.
fn quote(rest: &str) -> (usize, Piece) {
    let body = &rest[1..];
    let mut chars = body.chars();
    let first = chars.next();
    if first == Some('\\') || chars.next() == Some('\'') {
        return (1 + escaped(body, '\''), Piece::Token(Kind::Literal));
    }
    (1 + prefix(body, is_word), Piece::Token(Kind::Lifetime))
}

/// A number with its suffix; a range `0..9` and a method `1.max(2)` keep their dots.
fn number(rest: &str) -> usize {
    let whole = prefix(rest, is_word);
    let fraction = &rest[whole..];
    match fraction.strip_prefix('.') {
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_digit()) => {
            whole + 1 + prefix(digits, is_word)
        }
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        let lexed = lex(text);
        let tokens: Vec<_> = lexed.tokens.iter().map(|token| token.text).collect();
        assert_eq!(tokens, expect, "{text}");
    }

    #[test]
    fn strings_and_comments_are_no_code() {
        check(
            r#"a("x // y", 'b') // z"#,
            &["a", "(", "\"x // y\"", ",", "'b'", ")"],
        );
        check("a /* b /* c */ d */ e", &["a", "e"]);
        check(
            r##"r#"say "hi""# b"\"" r#type"##,
            &["r#\"say \"hi\"\"#", "b\"\\\"\"", "r#type"],
        );
    }

    #[test]
    fn lifetimes_are_not_characters() {
        check(
            r"&'a str '\n' '\'' 'é'",
            &["&", "'a", "str", r"'\n'", r"'\''", "'é'"],
        );
    }

    #[test]
    fn numbers_keep_to_themselves() {
        check(
            "1.5e3 0..9 1.max(2)",
            &["1.5e3", "0", ".", ".", "9", "1", ".", "max", "(", "2", ")"],
        );
    }

    #[test]
    fn lines_are_counted_through_strings() {
        let lexed = lex("a\n\"b\nc\" d");
        let lines: Vec<_> = lexed.tokens.iter().map(|t| (t.line, t.last_line)).collect();
        assert_eq!(lines, [(1, 1), (2, 3), (3, 3)]);
    }

    #[test]
    fn unfinished_text_ends_the_file() {
        check("a \"b", &["a", "\"b"]);
        check("a /* b", &["a"]);
    }
}
