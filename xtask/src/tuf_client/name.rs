//! Names from metadata, made safe as one part of a URL or as a file name. What they are names of
//! is not judged here.

/// Letters, digits and `_.-~` stay, every other byte becomes `%XX`: never a slash, no control
/// characters. A name that is all dots keeps them.
pub(super) fn quoted(name: &str) -> String {
    name.bytes().map(quoted_byte).collect()
}

/// The same for each part between slashes.
pub(super) fn quoted_path(path: &str) -> String {
    path.split('/').map(quoted).collect::<Vec<_>>().join("/")
}

/// [`quoted`], and never hidden, `.` or `..`.
pub(super) fn file_name(name: &str) -> String {
    let quoted = quoted(name);
    match quoted.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => quoted,
    }
}

fn quoted_byte(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
            char::from(byte).into()
        }
        _ => format!("%{byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_part_of_a_path() {
        for (name, part, path, file) in [
            ("targets", "targets", "targets", "targets"),
            ("a/b.txt", "a%2Fb.txt", "a/b.txt", "a%2Fb.txt"),
            ("../role", "..%2Frole", "../role", "%2E.%2Frole"),
            ("..", "..", "..", "%2E."),
            ("?#%", "%3F%23%25", "%3F%23%25", "%3F%23%25"),
            ("é\n", "%C3%A9%0A", "%C3%A9%0A", "%C3%A9%0A"),
            ("a-b_c~d", "a-b_c~d", "a-b_c~d", "a-b_c~d"),
            ("", "", "", ""),
        ] {
            assert_eq!(quoted(name), part);
            assert_eq!(quoted_path(name), path);
            assert_eq!(file_name(name), file);
        }
    }
}
