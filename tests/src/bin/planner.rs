//! Measures the planner of rollouts over a large fleet: `cargo xtask bench planner`.
//!
//! One thread, the worst of some runs, each against its limit; fails beyond one. It judges time
//! alone: what is decided has its tests beside the planner.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use muster_fleet::planner::{
    DeviceFacts, Inventory, Plan, Policy, Progress, Record, Rollout, RolloutId, Situation, State,
    explain_device, tick,
};
use muster_protocol::id::{DeviceId, Version};
use muster_protocol::time::UnixSeconds;
use muster_tests::random::Random;

/// Saturday 2024-03-02T23:00:00Z: a window is open nearly everywhere.
const NOW: UnixSeconds = UnixSeconds(1_709_420_400);
/// Devices that a site has on average.
const DEVICES_PER_SITE: usize = 50;
const PLAN_MS_MAX: u128 = 2_000;
const TICK_MS_MAX: u128 = 1_000;

const POLICY: &str = r#"
model = "bearing"
version = "2.0.0"
selector = "on=1,hw"
membership = "live"
on_halt = "rollback"
strata = ["hw", "site"]

[maintenance]
offset_label = "tz"
offset = "+00:00"
windows = [{ days = ["fri", "sat", "sun"], from = "20:00", to = "06:00" }]

[[constraints]]
label = "site"
at_most = { percent = 20 }
[[constraints]]
label = "region"
at_most = { percent = 50 }

[[rings]]
name = "canary"
reach = { percent = 1 }
soak_s = 3600
deadline_s = 7200
[[rings]]
name = "early"
reach = { percent = 10 }
soak_s = 3600
deadline_s = 7200
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 0
deadline_s = 86400
budget = { failed = { percent = 5 }, silent = { percent = 5 }, unreachable = { percent = 10 } }
"#;

#[derive(Parser)]
#[command(name = "planner", about = "The planner of rollouts over a large fleet")]
struct Args {
    /// Devices.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    devices: u32,
    /// Runs, of which the slowest counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match measure(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("the planner is slower than its limits");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("failed to measure the planner: because {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is measured, in the order of a rollout; whether all of it was within its limit.
fn measure(args: &Args) -> Result<bool, Box<dyn std::error::Error>> {
    let mut table = Table {
        runs: args.runs,
        within: true,
    };
    println!(
        "{} devices, one thread, the slowest of {} runs",
        args.devices, args.runs
    );
    println!("{:<52} {:>8} {:>8} {:>7}", "", "ms", "limit", "ratio");
    let mut inventory = fleet(args.devices)?;
    let policy = Policy::read(POLICY)?;
    let make = || Plan::make(RolloutId(7), policy.clone(), &inventory, NOW);
    let plan = table.row("a plan", PLAN_MS_MAX, make)?;
    let begun = Rollout::begin(&plan, NOW);
    let ticked = |rollout: &Rollout, inventory: &Inventory| {
        // The executor asks for both.
        let amended = plan.amended(rollout, inventory, NOW);
        (amended, tick(&plan, rollout, inventory, &[], NOW))
    };
    table.row("a tick: the first ring", TICK_MS_MAX, || {
        ticked(&begun, &inventory)
    });
    let open = last_ring(&begun, &plan);
    table.row("a tick: the last ring opens", TICK_MS_MAX, || {
        ticked(&open, &inventory)
    });
    inventory = midway(&inventory);
    let half = table.row("a tick: every state at once", TICK_MS_MAX, || {
        ticked(&open, &inventory)
    });
    let record = || {
        let situation = Situation::of(&plan, &open, &inventory, &[], NOW);
        serde_json::to_vec(&Record::of(&plan, situation)).map(|bytes| bytes.len())
    };
    let bytes = table.row("the same, with its record as JSON", TICK_MS_MAX, record)?;
    let device = inventory.devices()[0].device.clone();
    table.row("why one device is where it is", TICK_MS_MAX, || {
        let situation = Situation::of(&plan, &open, &inventory, &[], NOW);
        explain_device(&plan, &situation, &inventory, &device)
    });
    let back = going_back(&open);
    let all = table.row("a tick: everything goes back", TICK_MS_MAX, || {
        ticked(&back, &inventory)
    });
    println!(
        "{} told in the midst of it, {} brought back, a record of {bytes} bytes",
        half.1.dispatch.len(),
        all.1.roll_back.len()
    );
    Ok(table.within)
}

/// Prints each measurement against its limit.
struct Table {
    runs: u32,
    within: bool,
}

impl Table {
    fn row<T>(&mut self, name: &str, limit_ms: u128, run: impl Fn() -> T) -> T {
        let (mut slowest, mut last) = (Duration::ZERO, None);
        for _ in 0..self.runs {
            let start = Instant::now();
            let outcome = run();
            slowest = slowest.max(start.elapsed());
            last = Some(outcome);
        }
        let ms = slowest.as_millis();
        let percent = ms * 100 / limit_ms;
        self.within &= ms <= limit_ms;
        println!("{name:<52} {ms:>8} {limit_ms:>8} {percent:>5} %");
        last.expect("invariant: there is at least one run")
    }
}

fn fleet(devices: u32) -> Result<Inventory, Box<dyn std::error::Error>> {
    let mut random = Random(1);
    let sites = (devices as usize / DEVICES_PER_SITE).max(1) as u64;
    let mut all = Vec::new();
    for n in 0..devices {
        let site = random.below(sites);
        let labels = [
            ("on", "1".to_owned()),
            ("site", format!("site-{site}")),
            ("region", format!("region-{}", site % 20)),
            (
                "tz",
                format!("{}-0{}00", ["east", "west"][(site % 2) as usize], site % 4),
            ),
        ];
        all.push(DeviceFacts {
            labels: labels.map(|(key, value)| (key.to_owned(), value)).into(),
            hw: Some(format!("rev{}", random.below(8))),
            previous: Version::parse("1.0.0").ok(),
            ..DeviceFacts::new(DeviceId::parse(&format!("device-{n:06}"))?)
        });
    }
    Ok(Inventory::new(all))
}

/// The same rollout in its last ring.
fn last_ring(begun: &Rollout, plan: &Plan) -> Rollout {
    let mut rollout = begun.clone();
    if let State::Running { ring, .. } = &mut rollout.state {
        *ring = plan.rings_len() - 1;
    }
    rollout
}

fn going_back(open: &Rollout) -> Rollout {
    Rollout {
        state: State::RollingBack { ring: 2 },
        ..open.clone()
    }
}

/// The fleet when the last ring is open: devices in every state, changes by other rollouts.
fn midway(inventory: &Inventory) -> Inventory {
    let mut random = Random(2);
    let mut devices = inventory.devices().to_vec();
    for one in &mut devices {
        let at = UnixSeconds(NOW.0 - random.below(3_600));
        one.progress = match random.below(10) {
            0..=2 => Progress::NotDispatched,
            3 => Progress::Dispatched {
                at,
                first_contact: None,
            },
            4 => Progress::Dispatched {
                at,
                first_contact: Some(at),
            },
            _ => Progress::Committed,
        };
        if random.below(100) == 0 {
            one.other_change = Some(RolloutId(6));
        }
    }
    Inventory::new(devices)
}
