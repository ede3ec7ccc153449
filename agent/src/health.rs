//! How the machine does, as far as the system tells: hints for people, never evidence.
//!
//! What cannot be read is left out.

use muster_protocol::message::Health;
use std::path::Path;
use sysinfo::{Components, MemoryRefreshKind, RefreshKind, System};

/// Reads memory, load, temperature, uptime, and what is free on the disk of `folder`.
#[must_use]
pub fn read(folder: &Path) -> Health {
    let memory = MemoryRefreshKind::nothing().with_ram();
    let refresh = RefreshKind::nothing().with_memory(memory);
    let system = System::new_with_specifics(refresh).ok();
    let load = System::load_average().ok().map(|load| load.one.max(0.0));
    Health {
        memory_bytes: system
            .as_ref()
            .map(System::total_memory)
            .filter(|bytes| *bytes > 0),
        memory_available_bytes: system.as_ref().map(System::available_memory),
        disk_free_bytes: rustix::fs::statvfs(folder)
            .ok()
            .map(|s| s.f_bavail * s.f_frsize),
        load_milli: load.map(|load| (load * 1000.0) as u32),
        temperature_milli_celsius: hottest(),
        uptime_s: System::uptime().ok(),
    }
}

fn hottest() -> Option<i32> {
    let components = Components::new_with_refreshed_list().ok()?;
    let temperatures = components
        .iter()
        .filter_map(|component| component.temperature());
    temperatures
        .filter(|t| t.is_finite())
        .map(|t| (t * 1000.0) as i32)
        .max()
}
