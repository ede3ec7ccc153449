//! `agent.toml` for tests: everything that takes time is short.

use std::collections::BTreeMap;
use std::fmt::Display;

/// Settings of one agent.
#[derive(Debug, Clone)]
pub struct Settings(BTreeMap<String, String>);

impl Default for Settings {
    fn default() -> Self {
        let settings = Self(BTreeMap::new());
        settings
            .with("http", "\"127.0.0.1:0\"")
            .with("probation_s", 1)
            .with("window_s", 1)
            .with("checkpoint_s", 1)
            .with("hello_s", 2)
            .with("worker_memory_mib_max", 256)
            .with("trial.timeout_ms", 10_000)
            .with("budget.request_ms_max", 5_000)
    }
}

impl Settings {
    /// Sets a key, `section.key` for those in a section.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Display) -> Self {
        self.0.insert(key.to_owned(), value.to_string());
        self
    }

    /// The file.
    pub fn to_toml(&self) -> String {
        let (nested, top): (Vec<_>, Vec<_>) = self.0.iter().partition(|(key, _)| key.contains('.'));
        let mut text = String::new();
        for (key, value) in top {
            text += &format!("{key} = {value}\n");
        }
        // Dotted keys are sorted, so each section opens once.
        let mut open = "";
        for (key, value) in nested {
            let (section, key) = key.split_once('.').expect("partitioned by it");
            if section != open {
                text += &format!("[{section}]\n");
                open = section;
            }
            text += &format!("{key} = {value}\n");
        }
        text
    }
}
