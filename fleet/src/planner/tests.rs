//! The planner as a whole: stories as data, and random fleets under random events.

mod bench;
mod plans;
mod property;
mod standings;
mod stories;
mod world;
