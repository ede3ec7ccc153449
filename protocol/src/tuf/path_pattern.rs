//! Path patterns of delegations: `*` stands for any characters and `?` for one, never for a slash.
//! No other character is special. Time is bounded by the product of the two lengths.

/// Whether the pattern matches the whole path.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if segment(pattern, part) => {}
            _ => return false,
        }
    }
}

/// On a mismatch the last star takes one more character; earlier stars never need to move.
fn segment(pattern: &str, part: &str) -> bool {
    let (mut pattern, mut part) = (pattern.chars(), part.chars());
    let mut last_star = None;
    loop {
        match (pattern.next(), part.clone().next()) {
            (Some('*'), _) => last_star = Some((pattern.clone(), part.clone())),
            (None, None) => return true,
            (Some(want), Some(have)) if want == '?' || want == have => {
                part.next();
            }
            _ => {
                let Some((after_star, taken)) = &mut last_star else {
                    return false;
                };
                if taken.next().is_none() {
                    return false;
                }
                pattern = after_star.clone();
                part = taken.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, expect) in [
            ("models/bearing/*", "models/bearing/1.0.0.cbor", true),
            ("models/bearing/*", "models/bearing/a/b", false),
            ("models/bearing/*", "models/bearing", false),
            ("models/bearing/*", "models/bearings/1", false),
            ("models/bearing/*", "models/bearing/", true),
            ("*", "a", true),
            ("*", "a/b", false),
            ("*/*", "a/b", true),
            ("*.zip", "a.zip", true),
            ("*.zip", "a.zip.exe", false),
            ("a*b*c", "axxbxbxc", true),
            ("a*b*c", "axxbxbx", false),
            ("a**", "a", true),
            ("?", "é", true),
            ("?", "", false),
            ("?", "/", false),
            ("[a]", "a", false),
            ("", "", true),
            ("../x", "../x", true),
            (
                "**********************a",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
                false,
            ),
        ] {
            assert_eq!(matches(pattern, path), expect, "{pattern} {path}");
        }
    }
}
