//! Alarms in words. Never more than was seen: why it happened is not known here.

use super::device::Moved;
use muster_protocol::stats::critical::Kind;

use super::feature::Alarm;
use super::limited::Beyond;
use super::series::Excursion;
use super::signal::Signal;
use super::watches::What;

impl What {
    /// What alarmed in a word, for lists.
    #[must_use]
    pub const fn signal(&self) -> &'static str {
        match self {
            Self::Device(_, moved) => moved.signal(),
            Self::Cohort(..) => "location",
        }
    }

    /// The place of the feature in the reference; none where it is not one.
    #[must_use]
    pub const fn feature(&self) -> Option<usize> {
        match self {
            Self::Device(_, Moved::Feature(feature, _)) => Some(*feature),
            Self::Device(_, Moved::Errors | Moved::Latency) => None,
            Self::Cohort(_, moved) => Some(moved.feature),
        }
    }

    /// A sentence; `feature` is the name of its feature.
    #[must_use]
    pub fn because(&self, feature: &str) -> String {
        match self {
            Self::Device(device, moved) => format!("on {device}, {}", moved.because(feature)),
            Self::Cohort(cohort, moved) => format!(
                "over {} devices ({cohort}), the mean of {feature} lies {:+.3} of their own \
                 standard deviations from its normal, {}",
                moved.devices,
                moved.excursion.shift,
                looks(moved.excursion)
            ),
        }
    }
}

impl Moved {
    const fn signal(&self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::Feature(_, alarm) => match alarm {
                Alarm::Moved(Signal::Location, _) => "location",
                Alarm::Moved(Signal::Spread, _) => "spread",
                Alarm::Moved(Signal::Skew, _) => "skew",
                Alarm::Moved(Signal::Flanks, _) => "flanks",
                Alarm::Absent => "absent",
                Alarm::OutOfRange => "out_of_range",
                Alarm::Stuck => "stuck",
                Alarm::Beyond(beyond) => beyond.kind.as_str(),
            },
        }
    }

    fn because(&self, feature: &str) -> String {
        match self {
            Self::Errors => "more requests fail than is normal for it".to_owned(),
            Self::Latency => "more requests are late than is normal for it".to_owned(),
            Self::Feature(_, alarm) => alarm.because(feature),
        }
    }
}

impl Alarm {
    fn because(&self, feature: &str) -> String {
        match self {
            Self::Moved(signal, excursion) => {
                format!(
                    "{}, {}",
                    moved(*signal, excursion.shift, feature),
                    looks(*excursion)
                )
            }
            Self::Absent => {
                format!("values of {feature} are missing or no numbers more often than is normal")
            }
            Self::OutOfRange => {
                format!("values of {feature} are out of range more often than is normal")
            }
            Self::Stuck => format!("values of {feature} do not change any more"),
            Self::Beyond(beyond) => beyond.because(feature),
        }
    }
}

impl Beyond {
    fn because(&self, feature: &str) -> String {
        let Self { kind, value, limit } = self;
        let of_mean = "standard deviations of the reference";
        match kind {
            Kind::LocationLow => {
                format!("the mean of {feature} is {value:.2} {of_mean}, below {limit:.2}")
            }
            Kind::LocationHigh => {
                format!("the mean of {feature} is {value:.2} {of_mean}, above {limit:.2}")
            }
            Kind::SpreadLow => {
                format!("values of {feature} spread by {value:.2} {of_mean}, below {limit:.2}")
            }
            Kind::SpreadHigh => {
                format!("values of {feature} spread by {value:.2} {of_mean}, above {limit:.2}")
            }
            Kind::Absent => format!(
                "{:.1} % of the values of {feature} are missing or no numbers, above {:.1} %",
                100.0 * value,
                100.0 * limit
            ),
            Kind::OutOfRange => format!(
                "{:.1} % of the values of {feature} are out of range, above {:.1} %",
                100.0 * value,
                100.0 * limit
            ),
            Kind::Stuck => format!(
                "values of {feature} repeat the one before ({value:.2}), more than {limit:.2}"
            ),
        }
    }
}

fn moved(signal: Signal, shift: f64, feature: &str) -> String {
    let more = shift > 0.0;
    match signal {
        Signal::Location => format!(
            "the mean of {feature} lies {shift:+.2} standard deviations of the reference from its \
             normal"
        ),
        Signal::Spread if more => format!("values of {feature} spread more than is normal"),
        Signal::Spread => format!("values of {feature} spread less than is normal"),
        Signal::Skew => format!("values of {feature} lean to one side, unlike before"),
        Signal::Flanks if more => {
            format!("values of {feature} have left the middle for the flanks")
        }
        Signal::Flanks => format!("values of {feature} have left the flanks for the middle"),
    }
}

fn looks(excursion: Excursion) -> String {
    match excursion.looks {
        1 => "for one look".to_owned(),
        looks => format!("for {looks} looks"),
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::id::DeviceId;

    use super::super::slots::CohortMoved;
    use super::super::watches::Cohort;
    use super::*;

    fn check(what: &What, signal: &str, because: &str) {
        assert_eq!(
            (what.signal(), what.because("speed").as_str()),
            (signal, because)
        );
    }

    #[test]
    fn an_alarm_says_what_was_seen() {
        let device = || DeviceId::parse("press-1").expect("valid");
        let excursion = Excursion {
            shift: -0.5,
            looks: 7,
        };
        check(
            &What::Device(
                device(),
                Moved::Feature(0, Alarm::Moved(Signal::Location, excursion)),
            ),
            "location",
            "on press-1, the mean of speed lies -0.50 standard deviations of the reference from \
             its normal, for 7 looks",
        );
        check(
            &What::Device(device(), Moved::Feature(0, Alarm::Stuck)),
            "stuck",
            "on press-1, values of speed do not change any more",
        );
        check(
            &What::Device(device(), Moved::Errors),
            "errors",
            "on press-1, more requests fail than is normal for it",
        );
        let moved = CohortMoved {
            feature: 0,
            excursion: Excursion {
                shift: 0.0625,
                looks: 1,
            },
            devices: 40,
        };
        check(
            &What::Cohort(Cohort::All, moved),
            "location",
            "over 40 devices (all), the mean of speed lies +0.062 of their own standard deviations \
             from its normal, for one look",
        );
    }
}
