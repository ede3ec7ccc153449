//! Memory of a process, from `/proc` (Linux).
//!
//! Never fails: what cannot be read is unknown.

use std::fs;

/// A `VmHWM`-like field of `/proc/{pid}/status` in bytes.
pub(super) fn status_bytes(pid: u32, field: &str) -> Option<u64> {
    parse(
        &fs::read_to_string(format!("/proc/{pid}/status")).ok()?,
        field,
    )
}

fn parse(status: &str, field: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let status = "Name:\tx\nVmHWM:\t    2 kB\nVmRSS:\tx kB\n";
        assert_eq!(parse(status, "VmHWM"), Some(2048));
        assert_eq!(parse(status, "VmRSS"), None);
        assert_eq!(parse(status, "VmH"), None);
        assert!(status_bytes(std::process::id(), "VmHWM").is_some());
    }
}
