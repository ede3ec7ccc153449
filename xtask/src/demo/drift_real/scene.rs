//! One scene on its stage: a controller, real agents, a bundle for each case, and all rows through
//! the agents' inference servers, a window at a time. Waits only with a deadline.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};

use super::super::{
    agent::{Agent, Probation},
    controller::{Controller, Incident, Packed},
    folder::Folder,
    inference::{Form, Inference},
    interrupt::Interrupt,
    stage::Interrupted,
};
use super::case::{BROKEN, Case, Model, Scene};
use super::found::{Found, Said, found};
use super::recording::Recording;
use crate::clock;

const VERSION: &str = "1.0.0";
/// The shortest window: it ends soon after its rows were sent.
const WINDOW_S: u32 = 1;
const DOUBLING: &str = "tests/fixtures/models/good.onnx";
const SERVING_MAX: Duration = Duration::from_secs(180);
const WINDOW_MAX: Duration = Duration::from_secs(30);
/// How long the controller may take to store what devices have counted.
const STORED_MAX: Duration = Duration::from_secs(60);
/// How long it may take to judge what it has stored.
const JUDGED_WITHIN: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where everything is.
pub(super) struct Places<'p> {
    /// This project.
    pub(super) root: &'p Path,
    /// The shared data.
    pub(super) shared: &'p Path,
    /// The programs.
    pub(super) programs: &'p Path,
    /// Where everything stays, if it shall.
    pub(super) keep: Option<&'p Path>,
}

/// What was found in each case, and how many windows gave every alarm again.
pub(super) struct Played {
    pub(super) found: Vec<Vec<Found>>,
    pub(super) devices: Vec<String>,
    /// The sentences of all incidents.
    pub(super) said: Vec<String>,
    pub(super) windows: u64,
}

/// A scene while it is played.
struct Running {
    agents: Vec<Agent>,
    controller: Controller,
    interrupt: Interrupt,
}

/// A device of a case that is asked.
struct Tape<'c> {
    case: &'c Case,
    device: usize,
    inference: Inference,
    rows: Vec<Vec<f32>>,
    sent: usize,
}

/// Plays a scene from an empty folder to what was found.
///
/// # Errors
/// Ctrl-C, a program that ended or refused, or a deadline that passed.
pub(super) fn play<'r>(
    scene: &Scene,
    number: usize,
    places: &Places<'_>,
    recordings: impl Fn(&str) -> Option<&'r Recording>,
    interrupt: &Interrupt,
) -> anyhow::Result<Played> {
    let kept = places.keep.map(|keep| keep.join(number.to_string()));
    let folder = Folder::new(kept.as_deref())?;
    let controller = Controller::start(places.programs, &folder, interrupt)?;
    let mut running = Running {
        agents: Vec::new(),
        controller,
        interrupt: interrupt.clone(),
    };
    for number in 1..=scene.devices {
        let device = format!("press-{number:02}");
        let agent = Agent::start(
            places.programs,
            &folder,
            &running.controller,
            &device,
            Probation::Absent,
        )?;
        running.agents.push(agent);
    }
    for case in &scene.cases {
        running.undisturbed()?;
        let recording = recordings(case.source.file).context("a recording was not read")?;
        running.ship(case, places, &folder, recording)?;
    }
    running.serving(scene)?;
    let mut tapes = Vec::new();
    for case in &scene.cases {
        let replayed = recordings(case.replayed.file).context("a recording was not read")?;
        tapes.extend(running.tapes(case, replayed)?);
    }
    running.replay(&mut tapes)?;
    running.told(scene)
}

impl Running {
    /// Packs, signs and rolls out the bundle of a case.
    fn ship(
        &self,
        case: &Case,
        places: &Places<'_>,
        folder: &Folder,
        recording: &Recording,
    ) -> anyhow::Result<()> {
        println!("{}: {}", case.id, case.done);
        let reference = folder.join(format!("{}.csv", case.id));
        fs::write(&reference, recording.table(case.source, &case.reference))?;
        let model = match case.model {
            Model::Shared(file) => places.shared.join(file),
            Model::Doubling => places.root.join(DOUBLING),
        };
        let columns: Vec<String> = case
            .source
            .columns
            .iter()
            .map(|of| of.name.to_owned())
            .collect();
        let bundle = folder.join(format!("bundle-{}", case.id));
        self.controller.publish(
            &Packed {
                model: &case.id,
                version: VERSION,
                file: &model,
                reference: &reference,
                columns: &columns,
                golden: None,
                block_rows: case.block_rows,
            },
            &bundle,
        )?;
        self.controller
            .roll_out_watched(&case.id, VERSION, WINDOW_S)
    }

    /// Waits until every device serves every model.
    fn serving(&mut self, scene: &Scene) -> anyhow::Result<()> {
        let deadline = clock::now() + SERVING_MAX;
        let wanted = scene.cases.len();
        loop {
            self.undisturbed()?;
            let mut serving = 0;
            for agent in &mut self.agents {
                let status = agent.status()?;
                let committed = |of: &&super::super::agent::ModelStatus| {
                    of.active.as_ref().is_some_and(|slot| slot.committed)
                };
                serving += status.models.iter().filter(committed).count();
            }
            if serving == wanted * self.agents.len() {
                return Ok(());
            }
            if clock::now() >= deadline {
                bail!(
                    "only {serving} of {wanted} models on each device serve after {SERVING_MAX:?}"
                );
            }
            self.interrupt.rest(LOOK_EVERY * 10);
        }
    }

    fn tapes<'c>(&self, case: &'c Case, replayed: &Recording) -> anyhow::Result<Vec<Tape<'c>>> {
        let mut tapes = Vec::new();
        for (device, chosen) in case.rows.iter().enumerate() {
            let agent = self.agents.get(device);
            let agent = agent.context("the case has more devices than its scene")?;
            let form = Form::ask(&agent.socket, &case.id)?;
            tapes.push(Tape {
                case,
                device,
                inference: Inference::connect(&agent.socket, &form)?,
                rows: rows(case, device, chosen, replayed),
                sent: 0,
            });
        }
        Ok(tapes)
    }

    /// Sends the rows of one window each, waits until all of those windows are closed, and goes on.
    fn replay(&mut self, tapes: &mut [Tape<'_>]) -> anyhow::Result<()> {
        while tapes.iter().any(|tape| tape.sent < tape.rows.len()) {
            let before = self.closed(tapes)?;
            let mut sent = vec![0; tapes.len()];
            for (tape, sent) in tapes.iter_mut().zip(&mut sent) {
                *sent = tape.send()?;
            }
            let deadline = clock::now() + WINDOW_MAX;
            loop {
                let closed = self.closed(tapes)?;
                let mut each = closed.iter().zip(&before).zip(&sent);
                if each.all(|((now, before), sent)| *sent == 0 || now > before) {
                    break;
                }
                ensure!(
                    clock::now() < deadline,
                    "a window did not end within {WINDOW_MAX:?}"
                );
                self.interrupt.rest(LOOK_EVERY);
            }
        }
        Ok(())
    }

    /// Windows that each tape's device has closed.
    fn closed(&mut self, tapes: &[Tape<'_>]) -> anyhow::Result<Vec<u64>> {
        self.undisturbed()?;
        let statuses: Vec<_> = self.agents.iter_mut().map(Agent::status).collect();
        let statuses = statuses.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let closed = |tape: &Tape<'_>| {
            let models = &statuses[tape.device].models;
            let own = models.iter().find(|model| model.model == tape.case.id);
            own.map_or(0, |model| model.closed_windows)
        };
        Ok(tapes.iter().map(closed).collect())
    }

    /// What the controller makes of it, once it has everything.
    fn told(&mut self, scene: &Scene) -> anyhow::Result<Played> {
        let deadline = clock::now() + STORED_MAX;
        loop {
            self.undisturbed()?;
            let mut waiting = 0;
            for agent in &mut self.agents {
                waiting += agent.status()?.unacknowledged();
            }
            if waiting == 0 {
                break;
            }
            ensure!(
                clock::now() < deadline,
                "{waiting} documents are not acknowledged after {STORED_MAX:?}"
            );
            self.interrupt.rest(LOOK_EVERY * 10);
        }
        self.interrupt.rest(JUDGED_WITHIN);
        let devices: Vec<String> = self
            .agents
            .iter()
            .map(|agent| agent.device.clone())
            .collect();
        let heard = Said {
            incidents: self.controller.all_incidents()?,
            alarms: self.controller.alarms()?,
            windows: self.controller.windows()?,
        };
        let incidents = &heard.incidents;
        if let Some(other) = incidents.iter().find(|incident| incident.model.is_none()) {
            bail!("the controller has an incident of its own: {}", other.kind);
        }
        Ok(Played {
            found: scene
                .cases
                .iter()
                .map(|case| found(case, &devices, &heard))
                .collect(),
            said: incidents.iter().map(said).collect(),
            windows: self.controller.recompute()?,
            devices,
        })
    }

    fn undisturbed(&self) -> Result<(), Interrupted> {
        if self.interrupt.is_raised() {
            return Err(Interrupted);
        }
        Ok(())
    }
}

fn said(incident: &Incident) -> String {
    let model = incident.model.as_deref().unwrap_or("no model");
    format!("{model}: {}: {}", incident.kind, incident.detail)
}

impl Tape<'_> {
    /// Sends the rows of the next window; how many there were.
    fn send(&mut self) -> anyhow::Result<usize> {
        let until = (self.sent + self.case.window_rows).min(self.rows.len());
        let rows = &self.rows[self.sent..until];
        if !rows.is_empty() {
            self.inference.predict_rows(rows)?;
        }
        let sent = until - self.sent;
        self.sent = until;
        Ok(sent)
    }
}

/// What a device is asked about, with its fault.
fn rows(case: &Case, device: usize, chosen: &[usize], replayed: &Recording) -> Vec<Vec<f32>> {
    let fault = case.fault.filter(|_| device == BROKEN);
    let chosen = chosen.iter().map(|row| replayed.rows[*row].clone());
    let each = chosen.enumerate().map(|(at, mut row)| {
        if let Some(fault) = fault.filter(|fault| at >= fault.from) {
            let value = &mut row[fault.column];
            *value = fault.change.apply(at, *value);
        }
        row
    });
    each.collect()
}
