//! The image for QEMU's mps2-an386 (Cortex-M4F): reads its tasks from the command line that the
//! debugger hands over, does them in order, and ends with a verdict as exit code.
//!
//! Everything that a board decides lies in this folder; nothing here judges.

#![no_std]
#![no_main]

mod counter;
mod handlers;
mod lamp;
mod semihosting;
mod stack;

use core::fmt::Write as _;
use counter::Counter;
use muster_firmware::counting::{Counting, ROW_BYTES_MAX};
use muster_firmware::light::Light;
use muster_firmware::node::Node;
use muster_firmware::task::Task;
use muster_firmware::verdict::Verdict;
use muster_protocol::digest::Digest;
use muster_protocol::limits::NODE_DOCUMENT_BYTES_MAX;
use semihosting::{Console, File};

/// Models of this node, far below what a node may have: each takes 7 KB of memory.
const MODELS: usize = 2;
/// Memory that is left for a model, and flash that is left for its bundle.
const MODEL_BYTES: (u64, u64) = (32 * 1024, 64 * 1024);
/// Largest file that is read at once: a document, and one byte more to see that it is too large.
const FILE_BYTES_MAX: usize = NODE_DOCUMENT_BYTES_MAX + 1;
/// Largest window that is written.
const WINDOW_BYTES_MAX: usize = 8 * 1024;
/// What the card of the model in the fixtures would allow, for each prediction.
const LATENCY_OBJECTIVE_US: u32 = 1000;
/// Longest command line.
const COMMAND_BYTES_MAX: usize = 1024;

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(peripherals) = cortex_m::Peripherals::take() else {
        semihosting::exit(Verdict::Faulted.code());
    };
    let mut counter = Counter::start(peripherals.SYST);
    let Ok(mut light) = Light::at(lamp::Lamp);
    // Not on the stack: what a node keeps is known when it is linked.
    let Some(session) = cortex_m::singleton!(: Session = Session::NEW) else {
        semihosting::exit(Verdict::Faulted.code());
    };
    let verdict = run(session, &mut counter).err().unwrap_or(Verdict::Done);
    let Ok(()) = light.show(verdict);
    let _ = writeln!(Console, "lamp {}", u8::from(lamp::Lamp.is_on()));
    let _ = writeln!(Console, "stack {}", stack::used_bytes());
    let _ = writeln!(Console, "verdict {verdict:?} {}", verdict.code());
    semihosting::exit(verdict.code())
}

/// Does the tasks of the command line, until one fails.
fn run(session: &mut Session, counter: &mut Counter) -> Result<(), Verdict> {
    let mut line = [0; COMMAND_BYTES_MAX];
    let line = semihosting::command_line(&mut line).ok_or(Verdict::Usage)?;
    for word in line.split_ascii_whitespace() {
        let (task, path) = Task::read(word).ok_or(Verdict::Usage)?;
        session.take(task, path, counter)?;
    }
    Ok(())
}

/// What the tasks so far have made.
struct Session {
    node: Option<Node<MODELS>>,
    counting: Option<Counting>,
    digest: Option<Digest>,
}

impl Session {
    const NEW: Self = Self {
        node: None,
        counting: None,
        digest: None,
    };

    fn take(&mut self, task: Task, path: &str, counter: &mut Counter) -> Result<(), Verdict> {
        if task == Task::Samples {
            return self.samples(path, counter);
        }
        let mut buffer = [0; FILE_BYTES_MAX];
        let bytes = read(path, &mut buffer)?;
        let (done, instructions) = counter.count(|now| self.once(task, bytes, now));
        let _ = writeln!(Console, "took {} {instructions}", task.name());
        if let Some(digest) = self.digest.take() {
            let _ = writeln!(Console, "digest {digest}");
        }
        done
    }

    fn once(&mut self, task: Task, bytes: &[u8], now: counter::Now) -> Result<(), Verdict> {
        if task == Task::Digest {
            self.digest = Some(Digest::of(bytes));
            return Ok(());
        }
        if task == Task::Provision {
            self.node = Some(Node::new(bytes, MODEL_BYTES.0, MODEL_BYTES.1)?);
            return Ok(());
        }
        let node = self.node.as_mut().ok_or(Verdict::Usage)?;
        match task {
            Task::FleetKeys => node.fleet_keys(bytes),
            Task::ModelKeys => node.model_keys(bytes, now),
            Task::Time => node.signed_time(bytes, now),
            Task::Assignment => node.assignment(bytes, now),
            Task::Statement => node.statement(bytes, now).map(drop),
            Task::Reference => {
                let subject = node
                    .subject(bytes, Some(LATENCY_OBJECTIVE_US))
                    .ok_or(Verdict::Usage)?;
                self.counting = Some(Counting::open(subject, bytes)?);
                Ok(())
            }
            Task::Provision | Task::Digest | Task::Samples => Err(Verdict::Usage),
        }
    }

    /// Row by row, as a sensor would give them.
    fn samples(&mut self, path: &str, counter: &mut Counter) -> Result<(), Verdict> {
        let counting = self.counting.as_mut().ok_or(Verdict::Usage)?;
        let file = File::open(path).ok_or(Verdict::Usage)?;
        let (mut row, mut instructions) = ([0; ROW_BYTES_MAX], 0);
        let row = row.get_mut(..counting.row_bytes()).ok_or(Verdict::Usage)?;
        loop {
            match file.read(row) {
                0 => break,
                len => {
                    let (done, took) = counter.count(|_| counting.row(&row[..len]));
                    done?;
                    instructions += took;
                }
            }
        }
        let (rows, mut window) = (counting.rows(), [0; WINDOW_BYTES_MAX]);
        let (len, took) = counter.count(|_| counting.close(None, &mut window));
        let digest = Digest::of(&window[..len?]);
        let _ = writeln!(Console, "took row {}", u64::from(instructions) / rows);
        let _ = writeln!(Console, "took window {took}");
        let _ = writeln!(Console, "window {digest} of {rows} rows");
        Ok(())
    }
}

fn read<'b>(path: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], Verdict> {
    let file = File::open(path).ok_or(Verdict::Usage)?;
    let len = file.read(buffer);
    Ok(&buffer[..len])
}
