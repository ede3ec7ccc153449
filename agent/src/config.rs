//! Settings of one agent: a file of TOML whose unknown keys are errors.
//!
//! What a director may only tighten stands here; nothing here is taken from the network.

use muster_protocol::id::TargetClass;
use muster_protocol::message::Swap;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Longest time that a setting can name, seconds: 31 days. Bounds keep arithmetic on settings
/// from overflowing.
const DAYS_MAX_S: u64 = 31 * 86_400;
/// Longest that metadata may be allowed to be old, days: two roots may follow each other meanwhile.
const FRESHNESS_DAYS_MAX: u64 = 3650;
/// Most memory or disk that a setting can name, MiB: 1 TiB.
const MIB_MAX: u64 = 1024 * 1024;
/// Largest request body that a setting can allow, MiB: 1 GiB, which every `usize` holds.
const BODY_MIB_MAX: u64 = 1024;

/// Settings of `muster-agent run`, with their defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What kind of machine this is.
    #[serde(deserialize_with = "class")]
    pub class: TargetClass,
    /// Where the local server listens, loopback only; absent: only on its socket.
    pub http: Option<SocketAddr>,
    /// The local server's unix socket, relative to the state folder.
    pub socket: PathBuf,
    /// Program that is started as worker; absent: this one.
    pub worker_program: Option<PathBuf>,
    /// Memory of one worker, MiB, at most.
    pub worker_memory_mib_max: u64,
    /// Planned memory of all models together, MiB.
    pub memory_mib_max: u64,
    /// Disk that stays free of models, MiB.
    pub disk_mib_reserved: u64,
    /// How to swap when the director does not say.
    pub swap: SwapSetting,
    /// Seconds of probation, at least.
    pub probation_s: u64,
    /// Seconds of one window, at most.
    pub window_s: u64,
    /// Seconds between two checkpoints of the open window: what a power cut can take.
    pub checkpoint_s: u64,
    /// Seconds between two hellos on a connection that stays up.
    pub hello_s: u64,
    /// Days after which metadata that did not come anew is an alarm, and no new models come.
    pub freshness_max_days: u64,
    /// Largest request body of the local server, MiB.
    pub body_mib_max: usize,
    /// Limits of a trial.
    pub trial: TrialConfig,
    /// When a serving model has failed.
    pub budget: BudgetConfig,
    /// How much shadows may take.
    pub shadow: ShadowConfig,
}

/// Limits of a trial.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrialConfig {
    /// Loading and running all golden vectors, milliseconds each.
    pub timeout_ms: u64,
    /// Median latency of the golden vectors, microseconds; a card may ask for less.
    pub latency_us_max: Option<u64>,
}

/// When a serving model has failed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetConfig {
    /// Wall-clock time of one request, milliseconds.
    pub request_ms_max: u64,
    /// Deaths of the worker within [`Self::crash_window_s`] that make a failure.
    pub crashes_max: u32,
    /// Seconds that a death counts.
    pub crash_window_s: u64,
    /// Failed requests in a thousand that make a failure, of at least [`Self::requests_min`].
    pub errors_per_mille_max: u64,
    /// Answers with a value that is no number, in a thousand.
    pub not_a_number_per_mille_max: u64,
    /// Requests slower than the card's latency, in a thousand.
    pub slow_per_mille_max: u64,
    /// Requests below which no share is judged.
    pub requests_min: u64,
}

/// How much a shadow may take; a director may ask for less, never for more.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShadowConfig {
    /// CPU time of each shadow, in a hundred of one core; 0 runs none.
    pub cpu_percent: u64,
    /// Of the requests that are answered, those that a shadow is asked as well, in a thousand.
    pub sample_per_mille: u64,
}

/// [`Swap`] as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwapSetting {
    /// Both in memory for a moment.
    Overlap,
    /// The old one leaves first.
    StopFirst,
}

impl SwapSetting {
    /// What a director asks for, unless the own setting takes less memory.
    pub const fn no_more_than(self, asked: Swap) -> Swap {
        match self {
            Self::StopFirst => Swap::StopFirst,
            Self::Overlap => asked,
        }
    }
}

impl From<SwapSetting> for Swap {
    fn from(setting: SwapSetting) -> Self {
        match setting {
            SwapSetting::Overlap => Self::Overlap,
            SwapSetting::StopFirst => Self::StopFirst,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            class: TargetClass::parse("linux").expect("invariant: a valid class"),
            http: Some(SocketAddr::from(([127, 0, 0, 1], 8090))),
            socket: PathBuf::from("run/agent.sock"),
            worker_program: None,
            worker_memory_mib_max: 512,
            memory_mib_max: 1024,
            disk_mib_reserved: 16,
            swap: SwapSetting::Overlap,
            probation_s: 60,
            window_s: 60,
            checkpoint_s: 15,
            hello_s: 300,
            freshness_max_days: 14,
            body_mib_max: 16,
            trial: TrialConfig::default(),
            budget: BudgetConfig::default(),
            shadow: ShadowConfig::default(),
        }
    }
}

impl Default for TrialConfig {
    fn default() -> Self {
        Self {
            timeout_ms: 30_000,
            latency_us_max: None,
        }
    }
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            request_ms_max: 10_000,
            crashes_max: 3,
            crash_window_s: 120,
            errors_per_mille_max: 50,
            not_a_number_per_mille_max: 50,
            slow_per_mille_max: 200,
            requests_min: 20,
        }
    }
}

impl Default for ShadowConfig {
    fn default() -> Self {
        Self {
            cpu_percent: 5,
            sample_per_mille: 1000,
        }
    }
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read {}: because {source}: hint: name an existing file, or leave --config away for the defaults", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("failed to read {}: because {because}: hint: README.md lists every key with its default", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        because: String,
    },
}

impl Config {
    /// Reads the file that was named, or `agent.toml` of the state folder, or gives the defaults.
    ///
    /// # Errors
    /// [`ConfigError`]; an unknown key is one.
    pub fn load(named: Option<&Path>, state: &Path) -> Result<Self, ConfigError> {
        let usual = state.join("agent.toml");
        let path = match named {
            Some(path) => path,
            None if usual.exists() => &usual,
            None => return Ok(Self::default()),
        };
        let bytes = std::fs::read(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let invalid = |because| ConfigError::Invalid {
            path: path.to_owned(),
            because,
        };
        let text = String::from_utf8(bytes);
        let text = text.map_err(|error| invalid(format!("it is no text in UTF-8: {error}")))?;
        let config: Self = toml::from_str(&text).map_err(|error| invalid(place(&text, &error)))?;
        config.check().map_err(invalid)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let (trial, budget) = (&self.trial, &self.budget);
        let latency_us_max = trial.latency_us_max.unwrap_or(1);
        let bounds = [
            ("window_s", self.window_s, 1..=DAYS_MAX_S),
            ("checkpoint_s", self.checkpoint_s, 1..=DAYS_MAX_S),
            ("hello_s", self.hello_s, 1..=DAYS_MAX_S),
            (
                "freshness_max_days",
                self.freshness_max_days,
                1..=FRESHNESS_DAYS_MAX,
            ),
            ("probation_s", self.probation_s, 0..=DAYS_MAX_S),
            (
                "worker_memory_mib_max",
                self.worker_memory_mib_max,
                1..=MIB_MAX,
            ),
            ("memory_mib_max", self.memory_mib_max, 1..=MIB_MAX),
            ("disk_mib_reserved", self.disk_mib_reserved, 0..=MIB_MAX),
            ("body_mib_max", self.body_mib_max as u64, 1..=BODY_MIB_MAX),
            ("trial.timeout_ms", trial.timeout_ms, 1..=DAYS_MAX_S * 1000),
            (
                "trial.latency_us_max",
                latency_us_max,
                1..=DAYS_MAX_S * 1_000_000,
            ),
            (
                "budget.request_ms_max",
                budget.request_ms_max,
                1..=DAYS_MAX_S * 1000,
            ),
            (
                "budget.crash_window_s",
                budget.crash_window_s,
                0..=DAYS_MAX_S,
            ),
            ("shadow.cpu_percent", self.shadow.cpu_percent, 0..=100),
            (
                "shadow.sample_per_mille",
                self.shadow.sample_per_mille,
                0..=1000,
            ),
        ];
        for (key, value, bounds) in bounds {
            if value < *bounds.start() {
                return Err(format!("{key} must be at least {}", bounds.start()));
            }
            if value > *bounds.end() {
                return Err(format!("{key} must be at most {}", bounds.end()));
            }
        }
        Ok(())
    }
}

/// The parser's message in one line, with the line of the file, and the unit of a number.
fn place(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let key = before.lines().last().unwrap_or_default();
    let key = key.split('=').next().unwrap_or_default().trim();
    let message = error.message().replace('\n', " ");
    match unit(key) {
        Some(unit) if message.starts_with("invalid ") => {
            format!("line {line}: {key}: expected a number of {unit}, 0 or more")
        }
        _ => format!("line {line}: {message}"),
    }
}

/// What the name of a key counts.
fn unit(key: &str) -> Option<&'static str> {
    let key = key.strip_suffix("_max").unwrap_or(key);
    match key.rsplit('_').next()? {
        "s" => Some("seconds"),
        "ms" => Some("milliseconds"),
        "us" => Some("microseconds"),
        "days" => Some("days"),
        "mib" => Some("MiB"),
        "percent" => Some("percent"),
        _ => None,
    }
}

fn class<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<TargetClass, D::Error> {
    let text = String::deserialize(deserializer)?;
    TargetClass::parse(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::mutated;
    use proptest::prelude::*;

    fn check(text: &str, expect: Result<(), &str>) {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::write(folder.path().join("agent.toml"), text).expect("writes");
        match (Config::load(None, folder.path()), expect) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, expect) => panic!("{text:?}: {got:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn settings_say_what_is_wrong_with_them() {
        check("", Ok(()));
        check("window_s = 10\n[trial]\ntimeout_ms = 5000\n", Ok(()));
        check("windows_s = 10\n", Err("unknown field `windows_s`"));
        check("[trial]\ntimeout = 5\n", Err("unknown field `timeout`"));
        check("window_s = 0\n", Err("window_s must be at least 1"));
        check("window_s = 2678400\n", Ok(()));
        check(
            "window_s = 2678401\n",
            Err("window_s must be at most 2678400"),
        );
        check(
            "memory_mib_max = 1048577\n",
            Err("memory_mib_max must be at most 1048576"),
        );
        check(
            "freshness_max_days = 0\n",
            Err("freshness_max_days must be at least 1"),
        );
        check("body_mib_max = 0\n", Err("body_mib_max must be at least 1"));
        check(
            "body_mib_max = 1025\n",
            Err("body_mib_max must be at most 1024"),
        );
        check(
            "[trial]\nlatency_us_max = 0\n",
            Err("trial.latency_us_max must be at least 1"),
        );
        check(
            "[budget]\ncrash_window_s = 9223372036854775807\n",
            Err("budget.crash_window_s must be at most"),
        );
        check("[shadow]\ncpu_percent = 0\n", Ok(()));
        check(
            "[shadow]\ncpu_percent = 101\n",
            Err("shadow.cpu_percent must be at most 100"),
        );
        check(
            "[shadow]\nsample_per_mille = 1001\n",
            Err("shadow.sample_per_mille must be at most 1000"),
        );
        check(
            "[shadow]\ncpu_percent = 2.5\n",
            Err("line 2: cpu_percent: expected a number of percent, 0 or more"),
        );
        check("class = \"Linux!\"\n", Err("target class"));
        check("http = \"nowhere\"\n", Err("socket address"));
        check("window_s = \n", Err("agent.toml: because line 1: "));
        check(
            "\nwindow_s = -1\n",
            Err("because line 2: window_s: expected a number of seconds, 0 or more: hint"),
        );
        check(
            "body_mib_max = \"1\"\n",
            Err("line 1: body_mib_max: expected a number of MiB, 0 or more"),
        );
    }

    #[test]
    fn a_named_file_must_exist() {
        let error = Config::load(
            Some(Path::new("/nowhere/agent.toml")),
            Path::new("/nowhere"),
        );
        assert!(
            error
                .expect_err("absent")
                .to_string()
                .contains("failed to read")
        );
    }

    const SETTINGS: &str = "class = \"linux\"\nwindow_s = 10\nhttp = \"127.0.0.1:8600\"\n\
                            [trial]\ntimeout_ms = 5000\n[budget]\ncrashes_max = 3\n";

    proptest! {
        #[test]
        fn hostile_settings_are_refused_or_within_their_bounds(
            text in mutated(SETTINGS.into()),
        ) {
            let folder = tempfile::tempdir().expect("temporary folder");
            std::fs::write(folder.path().join("agent.toml"), text).expect("writes");
            match Config::load(None, folder.path()) {
                Ok(config) => prop_assert_eq!(config.check(), Ok(())),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
