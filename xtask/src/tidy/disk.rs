//! Only one file of the agent changes what must outlive a power cut: tests cut the power between
//! any two of its calls, and see nothing else.
//! Sockets, which no start needs, and files that a person asked for are not judged.

use super::{Finding, Rule, house::House, source::Source};

const OWNER: &str = "agent/src/store/disk.rs";

/// What writes no state.
const OTHERS: [&str; 5] = [
    "agent/src/command/predict/output/new_file.rs",
    "agent/src/link/tunnel.rs",
    "agent/src/serve.rs",
    "agent/src/serve/listen.rs",
    "agent/src/stick/file.rs",
];

/// How files and folders are changed.
const CHANGES: [&[&str]; 19] = [
    &["fs", "::", "write"],
    &["fs", "::", "rename"],
    &["fs", "::", "copy"],
    &["fs", "::", "hard_link"],
    &["fs", "::", "remove_file"],
    &["fs", "::", "remove_dir"],
    &["fs", "::", "remove_dir_all"],
    &["fs", "::", "create_dir"],
    &["fs", "::", "create_dir_all"],
    &["fs", "::", "set_permissions"],
    &["fs", "::", "fallocate"],
    &["File", "::", "create"],
    &["File", "::", "create_new"],
    &["File", "::", "options"],
    &["OpenOptions", "::", "new"],
    &["DirBuilder", "::", "new"],
    &[".", "set_len"],
    &[".", "sync_all"],
    &[".", "sync_data"],
];

pub(super) const RULE: Rule = Rule {
    name: "disk",
    because: "power cuts are tried at every operation of one file, and nowhere else",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let judged = house.sources_under("agent").filter(|source| {
        let path = source.path;
        path.starts_with("agent/src/") && path != OWNER && !OTHERS.contains(&path)
    });
    judged.flat_map(changes).collect()
}

fn changes(source: &Source<'_>) -> Vec<Finding> {
    let of = |change: &'static [&'static str]| {
        let found = source.find(change).filter(|&at| !source.is_test(at));
        let what = format!("`{}`: only {OWNER} changes files", change.concat());
        found.map(move |at| source.finding(at, what.clone()))
    };
    CHANGES.into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn one_file_of_the_agent_changes_files() {
        let writes = "fn a() { std::fs::write(p, b); file.sync_all(); }";
        check(
            &RULE,
            &[
                ("agent/src/store/disk.rs", writes),
                (
                    "agent/src/store/queue.rs",
                    "disk::rename(a, b); fs::read(a);",
                ),
                (
                    "agent/src/store/blobs.rs",
                    "#[cfg(test)] mod t { fs::write(p, b); }",
                ),
                ("fleet/src/backup.rs", writes),
            ],
            &[],
        );
        check(
            &RULE,
            &[("agent/src/store/queue.rs", "std::fs::rename(a, b);")],
            &[
                "agent/src/store/queue.rs:1: `fs::rename`: only agent/src/store/disk.rs changes files",
            ],
        );
        check(
            &RULE,
            &[("agent/src/enroll/disk.rs", "file.sync_all()?;")],
            &[
                "agent/src/enroll/disk.rs:1: `.sync_all`: only agent/src/store/disk.rs changes files",
            ],
        );
    }
}
