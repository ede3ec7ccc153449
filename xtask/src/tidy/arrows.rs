//! The arrows between our packages point one way.
//! Dependencies on other people's crates are cargo-deny's business.

use super::{
    Finding, Rule,
    house::House,
    tree::{folder_of, join},
};

/// Package by folder, and the folders it may depend on.
const ARROWS: [(&str, &[&str]); 8] = [
    ("protocol", &[]),
    // A leaf: it feeds hostile bytes to everything that needs neither a runtime nor a disk.
    ("protocol/fuzz", &["device", "protocol"]),
    ("device", &["protocol"]),
    ("agent", &["device", "protocol"]),
    ("firmware", &["device", "protocol"]),
    ("fleet", &["protocol"]),
    ("xtask", &["protocol"]),
    // It starts the programs, and so links neither the runtime nor the broker; of the fleet it
    // sees the library, which holds what is pure.
    ("tests", &["device", "fleet", "protocol"]),
];

pub(super) const RULE: Rule = Rule {
    name: "arrows",
    because: "device and fleet meet in protocol, as on the wire, and nothing else is shared",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    house
        .packages()
        .flat_map(|(folder, manifest)| judge(folder, manifest))
        .collect()
}

fn judge(folder: &str, manifest: &toml::Table) -> Vec<Finding> {
    let path = join(folder, "Cargo.toml");
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == folder) else {
        return vec![Finding::error(
            &path,
            1,
            "this package has no place in the table of arrows",
        )];
    };
    let ours = dependencies(manifest).filter_map(|name| name.strip_prefix("muster-"));
    let wrong = ours.filter(|name| *name != folder && !allowed.contains(name));
    wrong
        .map(|name| Finding::error(&path, 1, format!("{folder} must not know {name}")))
        .collect()
}

/// The names in every dependency table, also in those for one target; renamed ones by their
/// real name.
fn dependencies(manifest: &toml::Table) -> impl Iterator<Item = &str> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets
        .into_iter()
        .flat_map(toml::Table::values)
        .filter_map(|t| t.as_table());
    let tables = std::iter::once(manifest).chain(targets).flat_map(|table| {
        let kinds = ["dependencies", "dev-dependencies", "build-dependencies"].into_iter();
        kinds.filter_map(|kind| table.get(kind)?.as_table())
    });
    tables.flatten().map(|(name, stated)| {
        let renamed = stated.get("package").and_then(toml::Value::as_str);
        let by_path = stated
            .get("path")
            .and_then(toml::Value::as_str)
            .map(last_part);
        renamed
            .or(by_path.filter(|_| !name.starts_with("muster-")))
            .unwrap_or(name)
    })
}

fn last_part(path: &str) -> &str {
    path.strip_prefix(folder_of(path))
        .map_or(path, |part| part.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    fn manifest(dependencies: &str) -> String {
        format!("[package]\nname = \"x\"\n{dependencies}")
    }

    #[test]
    fn arrows_that_stand() {
        let agent = manifest("[dependencies]\nmuster-device.workspace = true\ntokio = \"1\"\n");
        let protocol = manifest("[dev-dependencies]\nmuster-protocol = { path = \".\" }\n");
        check(
            &RULE,
            &[
                ("agent/Cargo.toml", &agent),
                ("protocol/Cargo.toml", &protocol),
            ],
            &[],
        );
        check(
            &RULE,
            &[(
                "Cargo.toml",
                "[workspace.dependencies]\nmuster-fleet = \"1\"\n",
            )],
            &[],
        );
    }

    #[test]
    fn arrows_that_do_not() {
        let wrong = "fleet/Cargo.toml:1: fleet must not know device";
        for text in [
            "[dependencies]\nmuster-device.workspace = true\n",
            "[dev-dependencies]\nmuster-device = { path = \"../device\" }\n",
            "[target.'cfg(unix)'.dependencies]\nmuster-device.workspace = true\n",
            "[dependencies]\ndev = { package = \"muster-device\", path = \"../device\" }\n",
        ] {
            check(&RULE, &[("fleet/Cargo.toml", &manifest(text))], &[wrong]);
        }
    }

    #[test]
    fn a_new_package_needs_a_place() {
        let what = "crates/x/Cargo.toml:1: this package has no place in the table of arrows";
        check(&RULE, &[("crates/x/Cargo.toml", &manifest(""))], &[what]);
    }
}
