//! `muster-agent import`: brings what lies on a stick to the running agent, which judges it as if it
//! had come over the network.
//!
//! Never judges itself, and never touches the state folder. What was brought before an interruption
//! is not brought again.

use super::{Output, StateArgs};
use crate::error::Failure;
use crate::local::Local;
use crate::stick::folder::{self, Stick};
use crate::stick::{Ask, IMPORT_PATH, Letter, Refusal, Told, Weight, Wish};
use hyper::Method;
use muster_protocol::cbor;
use muster_protocol::id::DeviceId;
use muster_protocol::limits::LINUX_DOCUMENT_BYTES_MAX;
use muster_protocol::stick;
use muster_protocol::topic::Down;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::PathBuf;

/// Bytes that are handed over at once, about: below the smallest bound on a request.
const BYTES_AT_ONCE: usize = 512 * 1024;
/// Answers in a row, twenty seconds each, in which the agent neither wishes nor rests.
const IDLE_MAX: u32 = 90;

/// Arguments of `muster-agent import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// Folder that `muster export` has written, for example where a stick is mounted.
    #[arg(value_name = "FOLDER")]
    pub stick: PathBuf,
    /// Which agent.
    #[command(flatten)]
    pub state: StateArgs,
}

/// Brings everything that lies there for this device.
///
/// # Errors
/// No running agent, no stick, or something on it that the agent refused or that is not there.
pub async fn run(args: &ImportArgs) -> Result<(), Failure> {
    let stick = Stick::open(&args.stick)?;
    let mut courier = Courier::begin(stick, args.state.connect().await?).await?;
    let brought = courier.bring_all().await;
    // An agent that has gone needs no telling.
    let ended = courier.ask(&Ask::End).await;
    brought?;
    ended?;
    judge(&courier.refused, &courier.missing)?;
    let status = courier
        .local
        .ask(Method::GET, "/muster/status", None)
        .await?;
    print(args.state.output, &courier, &status);
    Ok(())
}

/// Goes between the stick and the agent.
struct Courier {
    stick: Stick,
    local: Local,
    device: DeviceId,
    wishes: VecDeque<Wish>,
    refused: Vec<Refusal>,
    /// Names of files that were wished for in vain.
    missing: Vec<String>,
    /// One of them was wished for again.
    in_vain: bool,
    brought: Brought,
}

/// What went over to the agent.
#[derive(Debug, Default, Clone, Copy)]
struct Brought {
    assignments: u64,
    acknowledgements: u64,
    /// Metadata, in parts.
    documents: u64,
    /// Of what the assignment reaches.
    pieces: u64,
    /// In both.
    bytes: u64,
}

impl Brought {
    const fn count(&mut self, wish: &Wish, bytes: usize) {
        match wish {
            Wish::Metadata { .. } => self.documents += 1,
            Wish::Blob { .. } => self.pieces += 1,
        }
        self.bytes += bytes as u64;
    }
}

impl Courier {
    async fn begin(stick: Stick, mut local: Local) -> Result<Self, Failure> {
        let told: Told = local.tell(IMPORT_PATH, cbor::to_vec(&Ask::Begin)).await?;
        let device = DeviceId::parse(&told.device)
            .map_err(|bad| Failure::Unavailable(format!("the agent has no name: {bad}")))?;
        let mut courier = Self {
            stick,
            local,
            device,
            wishes: VecDeque::new(),
            refused: Vec::new(),
            missing: Vec::new(),
            in_vain: false,
            brought: Brought::default(),
        };
        courier.note(told.wishes, told.refused);
        Ok(courier)
    }

    /// Metadata first: it says by which keys the rest is judged, and when.
    async fn bring_all(&mut self) -> Result<(), Failure> {
        self.serve_wishes(Vec::new()).await?;
        if self.lacks_metadata() {
            return Ok(());
        }
        let mut letters = self.small(&stick::time(&self.device), Down::Time)?;
        for name in self.stick.names(&stick::down(&self.device), stick::ACK) {
            let ack = self.small(&format!("{}/{name}", stick::down(&self.device)), Down::Ack)?;
            self.brought.acknowledgements += ack.len() as u64;
            letters.extend(ack);
        }
        self.serve_wishes(letters).await?;
        let assignment = self.small(&stick::assignment(&self.device), Down::Assignment)?;
        self.brought.assignments = assignment.len() as u64;
        self.serve_wishes(assignment).await
    }

    /// Hands letters over, and then what the agent wishes for, until it rests or refuses.
    async fn serve_wishes(&mut self, mut letters: Vec<Letter>) -> Result<(), Failure> {
        let mut idle = 0;
        while !self.is_refused() && !self.in_vain {
            let more = !self.wishes.is_empty();
            idle = if letters.is_empty() { idle + 1 } else { 0 };
            let told = self.ask(&Ask::Bring { letters, more }).await?;
            self.note(told.wishes, told.refused);
            if self.wishes.is_empty() && told.rests {
                break;
            }
            if idle > IDLE_MAX {
                return Err(Failure::Unavailable(busy()));
            }
            letters = self.letters()?;
        }
        Ok(())
    }

    /// Answers to the next wishes.
    fn letters(&mut self) -> Result<Vec<Letter>, Failure> {
        let (mut letters, mut bytes) = (Vec::new(), 0);
        while bytes < BYTES_AT_ONCE
            && let Some(wish) = self.wishes.pop_front()
        {
            let found = self.stick.part(&wish)?;
            match &found {
                Some((_, part)) => {
                    bytes += part.len();
                    self.brought.count(&wish, part.len());
                }
                None => self.miss(&wish),
            }
            letters.push(Letter::answering(&wish, found));
        }
        Ok(letters)
    }

    /// The chain of roots ends somewhere: that is no lack.
    fn miss(&mut self, wish: &Wish) {
        if matches!(wish, Wish::Metadata { role, .. } if role == "root") {
            return;
        }
        let name = folder::place(wish).map_or_else(|| format!("{wish:?}"), |place| place.0);
        if self.missing.contains(&name) {
            self.in_vain = true;
        } else {
            self.missing.push(name);
        }
    }

    fn small(&self, name: &str, channel: Down) -> Result<Vec<Letter>, Failure> {
        let found = self.stick.small(name, LINUX_DOCUMENT_BYTES_MAX)?;
        let letter = |bytes| Letter::new(channel, bytes);
        Ok(found.map(letter).into_iter().collect())
    }

    async fn ask(&mut self, ask: &Ask) -> Result<Told, Failure> {
        self.local.tell(IMPORT_PATH, cbor::to_vec(ask)).await
    }

    fn note(&mut self, wishes: Vec<Wish>, refused: Vec<Refusal>) {
        self.wishes.extend(wishes);
        for refusal in refused {
            if refusal.weight == Weight::Older {
                let Refusal { what, because, .. } = &refusal;
                eprintln!("the stick is older than what this device has: {what}: {because}");
            }
            self.refused.push(refusal);
        }
    }

    /// Something was refused that makes the rest useless.
    fn is_refused(&self) -> bool {
        self.refused
            .iter()
            .any(|refusal| refusal.weight != Weight::Older)
    }

    fn lacks_metadata(&self) -> bool {
        self.missing
            .iter()
            .any(|name| name.starts_with("metadata/"))
    }
}

/// The first thing that was refused or not there. What is older than what the device has is no
/// failure, unless it is what the stick was carried here for.
fn judge(refused: &[Refusal], missing: &[String]) -> Result<(), Failure> {
    let counts =
        |refusal: &&Refusal| refusal.weight != Weight::Older || refusal.what == "assignment";
    if let Some(refusal) = refused.iter().find(counts) {
        return Err(Failure::Stick {
            what: refusal.what.clone(),
            because: refusal.because.clone(),
            hint: hint(refusal.weight),
        });
    }
    match missing {
        [] => Ok(()),
        [name, others @ ..] => Err(Failure::Data {
            what: "the stick".to_owned(),
            because: format!("{name} is not on it, and {} more", others.len()),
            hint: "write it again with `muster export`; what was taken stays taken",
        }),
    }
}

const fn hint(weight: Weight) -> &'static str {
    match weight {
        Weight::Older => {
            "this device has newer already: write the stick again with `muster export`"
        }
        Weight::NoTime => {
            "let the stick go round once, to ask for the time: `muster-agent export` here, `muster import` and `muster export` at the fleet, and then this again"
        }
        Weight::Bad => {
            "nothing of it was taken; write the stick again with `muster export`, and ask who had it"
        }
    }
}

fn busy() -> String {
    "failed to import: because the agent is busy with what was brought for half an hour: hint: look \
     into its log; what was taken stays taken"
        .to_owned()
}

fn print(output: Output, courier: &Courier, status: &Value) {
    let Brought {
        assignments,
        acknowledgements,
        documents,
        pieces,
        bytes,
    } = courier.brought;
    let device = courier.device.as_str();
    if assignments == 0 {
        eprintln!("no assignment for {device} lies on the stick");
    }
    match output {
        Output::Json => {
            let data = json!({
                "device": device, "accepted": status["accepted"], "models": status["models"],
                "acknowledgements": acknowledgements, "metadata": documents,
                "pieces": pieces, "bytes": bytes,
            });
            crate::print::data(&format!("{data:#}\n"));
        }
        Output::Text => {
            let accepted = status["accepted"].as_str().unwrap_or("none");
            crate::print::data(&format!(
                "device      {device}\nassignment  {accepted}\nbrought     {documents} metadata, \
                 {pieces} pieces ({bytes} bytes), {acknowledgements} acknowledgements\n"
            ));
            let models = status["models"].as_array().into_iter().flatten();
            models.for_each(|model| crate::print::data(&super::models::line(model)));
            eprintln!(
                "the stick is not needed any more; `muster-agent status` shows how it goes on"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::exit;

    #[test]
    fn an_import_fails_for_what_it_was_carried_here_for() {
        let check = |refused: &[(&str, Weight)], missing: &[&str], expect: Result<(), u8>| {
            let refusal = |(what, weight): &(&str, Weight)| Refusal {
                what: (*what).to_owned(),
                because: "it is so".to_owned(),
                weight: *weight,
            };
            let refused: Vec<_> = refused.iter().map(refusal).collect();
            let missing: Vec<_> = missing.iter().map(|name| (*name).to_owned()).collect();
            let got = judge(&refused, &missing).map_err(|failure| failure.exit_code());
            assert_eq!(got, expect, "{refused:?} {missing:?}");
        };
        let refused = Err(exit::REFUSED);
        check(&[], &[], Ok(()));
        check(&[("timestamp.json", Weight::Older)], &[], Ok(()));
        check(&[("timestamp.json", Weight::Bad)], &[], refused);
        check(&[("assignment", Weight::NoTime)], &[], refused);
        check(&[("assignment", Weight::Older)], &["blobs/0"], refused);
        check(
            &[("signed time", Weight::Older)],
            &["blobs/0"],
            Err(exit::BAD_INPUT),
        );
    }
}
