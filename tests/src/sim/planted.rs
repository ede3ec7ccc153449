//! The classic mistakes, planted one at a time to prove that the world would notice.
//!
//! Each lives in the glue or in the controller of the simulation, never in the machines.

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Planted {
    /// The host says that a state is durable before it is.
    AcknowledgeBeforeDurable,
    /// The host renames a file before its contents are on the disk.
    RenameBeforeFsync,
    /// An assignment counts that has the place of the one before.
    AcceptEqualGeneration,
    /// A window that was sent is merged with a later one.
    MergeAfterSend,
    /// The controller acknowledges one document more than it has.
    AcknowledgeBeyondSent,
    /// A trial that failed is tried as if it were the first.
    RetryWithoutLimit,
    /// Bytes are staged without looking at their digests.
    WriteBeforeVerifying,
    /// The floor for fallbacks rises before anything at or above it has proved itself.
    CommitFloorTooEarly,
    /// Expiry is judged by the clock of the machine.
    TrustTheClock,
    /// What the controller cannot read is acknowledged and forgotten.
    DropTheRejected,
}

impl Planted {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::AcknowledgeBeforeDurable,
        Self::RenameBeforeFsync,
        Self::AcceptEqualGeneration,
        Self::MergeAfterSend,
        Self::AcknowledgeBeyondSent,
        Self::RetryWithoutLimit,
        Self::WriteBeforeVerifying,
        Self::CommitFloorTooEarly,
        Self::TrustTheClock,
        Self::DropTheRejected,
    ];

    /// The mistake in words, for tables.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeDurable => "acknowledge before durable",
            Self::RenameBeforeFsync => "rename before fsync",
            Self::AcceptEqualGeneration => "accept an equal generation",
            Self::MergeAfterSend => "merge after send",
            Self::AcknowledgeBeyondSent => "acknowledge beyond sent",
            Self::RetryWithoutLimit => "retry without limit",
            Self::WriteBeforeVerifying => "write to the slot before verifying",
            Self::CommitFloorTooEarly => "commit the floor too early",
            Self::TrustTheClock => "trust the clock",
            Self::DropTheRejected => "drop the rejected",
        }
    }
}
