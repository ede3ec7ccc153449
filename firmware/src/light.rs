//! The one lamp of a node, for the person who stands before it: on when all is well.
//!
//! Any pin of any board that speaks `embedded-hal`.

use crate::verdict::Verdict;
use embedded_hal::digital::{OutputPin, PinState};

/// A lamp at a pin.
#[derive(Debug)]
pub struct Light<P>(P);

impl<P: OutputPin> Light<P> {
    /// The lamp at this pin, off.
    ///
    /// # Errors
    /// Those of the pin.
    pub fn at(mut pin: P) -> Result<Self, P::Error> {
        pin.set_low()?;
        Ok(Self(pin))
    }

    /// Shows how it ended.
    ///
    /// # Errors
    /// Those of the pin.
    pub fn show(&mut self, verdict: Verdict) -> Result<(), P::Error> {
        self.0.set_state(PinState::from(verdict == Verdict::Done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::convert::Infallible;
    use embedded_hal::digital::ErrorType;

    struct Pin<'a>(&'a mut bool);

    impl ErrorType for Pin<'_> {
        type Error = Infallible;
    }

    impl OutputPin for Pin<'_> {
        fn set_low(&mut self) -> Result<(), Infallible> {
            *self.0 = false;
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            *self.0 = true;
            Ok(())
        }
    }

    fn check(verdict: Verdict, expect: bool) {
        let mut lit = true;
        let Ok(mut light) = Light::at(Pin(&mut lit));
        let Ok(()) = light.show(verdict);
        assert_eq!(lit, expect, "{verdict:?}");
    }

    #[test]
    fn it_shines_only_when_all_is_well() {
        check(Verdict::Done, true);
        check(Verdict::OldGeneration, false);
        check(Verdict::Panicked, false);
    }
}
