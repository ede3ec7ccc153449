//! What a node may be asked to do: one word each, `task=file`.
//!
//! Judges the word only; never opens the file.

/// A task; the file holds what it is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Become the node that this provision describes.
    Provision,
    /// Hash the file.
    Digest,
    /// Take up the next key set of the fleet.
    FleetKeys,
    /// Take up the next key set of a model.
    ModelKeys,
    /// Believe a signed time.
    Time,
    /// Accept an assignment.
    Assignment,
    /// Judge the statement that an entry of it names.
    Statement,
    /// Count against this reference from now on.
    Reference,
    /// Fold these rows into a window and close it.
    Samples,
}

const NAMES: [(&str, Task); 9] = [
    ("provision", Task::Provision),
    ("digest", Task::Digest),
    ("fleet-keys", Task::FleetKeys),
    ("model-keys", Task::ModelKeys),
    ("time", Task::Time),
    ("assignment", Task::Assignment),
    ("statement", Task::Statement),
    ("reference", Task::Reference),
    ("samples", Task::Samples),
];

impl Task {
    /// Reads `task=file`.
    #[must_use]
    pub fn read(word: &str) -> Option<(Self, &str)> {
        let (name, file) = word.split_once('=')?;
        let (_, task) = NAMES.iter().find(|(known, _)| *known == name)?;
        Some((*task, file))
    }

    /// The word before the sign.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = NAMES.iter().find(|(_, task)| *task == self);
        named.map_or("", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_has_one_name() {
        for (name, task) in NAMES {
            assert_eq!(task.name(), name);
        }
        let digest = Some((Task::Digest, "kilobyte.bin"));
        assert_eq!(Task::read("digest=kilobyte.bin"), digest);
        assert_eq!(Task::read("digest"), None);
        assert_eq!(Task::read("erase=all"), None);
    }
}
