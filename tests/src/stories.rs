//! Stories of rollouts, played in virtual time against the real planner and the real gates, and
//! told as an operator would read them (docs/rollout-stories.md lists them).
//!
//! A story is a text file: a fleet, policies, and what happens when. The same story gives the same
//! transcript, byte for byte. No clock, no chance, no disk: a story comes in as text.

mod controller;
mod planted;
mod play;
mod read;
mod script;
mod tell;
#[cfg(test)]
mod tests;
mod unit;

pub use planted::Planted;
pub use script::BadStory;

/// Plays the story that `file` holds, and tells what happened.
///
/// # Errors
/// [`BadStory`]: a line that makes no sense, and what may stand there.
pub fn transcript(file: &str, text: &str, planted: Planted) -> Result<String, BadStory> {
    play::play(file, &read::read(file, text)?, planted)
}
