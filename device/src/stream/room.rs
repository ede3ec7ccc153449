//! Which bodies without a number go next: one to be sent, two to be merged, two to be given up.
//!
//! Never gives up counts while anything can be sent or merged.

use super::{Asked, Handle, Output, Pending, Stream};

impl<const ROOM: usize> Stream<ROOM> {
    /// The oldest body that may be sent: one that waits for another to merge with stops no other.
    pub(super) fn freezable(&self) -> Option<Handle> {
        let oldest = || self.pending.iter().find(|body| body.is_ready());
        oldest()
            .filter(|_| !self.frozen.is_full())
            .map(|body| body.body)
    }

    /// Held bodies merge as soon as they can; others only when there is no room left.
    pub(super) fn make_room(&mut self) -> Option<Output> {
        let full = self.pending.len() + 1 >= ROOM && self.freezable().is_none();
        let pair = self.held_pair();
        if let Some((earlier, later)) = pair.or_else(|| self.smallest_pair().filter(|_| full)) {
            self.asked = Asked::Merge { earlier, later };
            return Some(Output::Merge { earlier, later });
        }
        let (earlier, later) = self.least_pair().filter(|_| full)?;
        self.asked = Asked::Overflow { earlier, later };
        Some(Output::Overflow { earlier, later })
    }

    fn held_pair(&self) -> Option<(Handle, Handle)> {
        let (held, later) = self.pairs().find(|(held, _)| !held.is_ready())?;
        Some((held.body, later.body))
    }

    fn smallest_pair(&self) -> Option<(Handle, Handle)> {
        let windows = |a: &Pending, b: &Pending| a.closed_windows.saturating_add(b.closed_windows);
        let (earlier, later) = self.pairs().min_by_key(|(a, b)| windows(a, b))?;
        Some((earlier.body, later.body))
    }

    /// Each body that can be merged, with the next one of its class.
    fn pairs(&self) -> impl Iterator<Item = (&Pending, &Pending)> {
        let bodies = || self.pending.iter();
        bodies().enumerate().filter_map(move |(n, body)| {
            let mut later = bodies().skip(n + 1);
            let next = later.find(|later| body.class.is_some() && later.class == body.class);
            next.map(|next| (body, next))
        })
    }

    /// The two oldest of those whose loss costs least: what never merges is a gap already, or
    /// carries no counts; then windows.
    fn least_pair(&self) -> Option<(Handle, Handle)> {
        let of = |counts: bool| {
            let bodies = self.pending.iter().enumerate();
            bodies.filter(move |(_, body)| body.class.is_some() == counts)
        };
        let mut oldest = of(false).chain(of(true));
        let (a, b) = (oldest.next()?, oldest.next()?);
        let (earlier, later) = if a.0 < b.0 { (a.1, b.1) } else { (b.1, a.1) };
        Some((earlier.body, later.body))
    }
}
