//! The card of a bundle: what a model is, takes, gives and needs, before any of it is fetched.
//!
//! `docs/bundle-format.md` section 5. It holds no time and no place: the same inputs give the
//! same card. It never grants anything: a release statement does.

mod about;

pub use about::{About, METRICS_MAX, Metric, Part, TEXT_BYTES_MAX};

use crate::id::{ModelId, TargetClass, Version};
use crate::limits::{FEATURES_MAX, WHOLE_BYTES_MAX};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The format that this code writes and reads.
pub const FORMAT: u32 = 1;
/// Most inputs, and most outputs, of a model.
pub const TENSORS_MAX: usize = 64;
/// Longest objective of a latency that windows count against, microseconds: an hour.
pub const OBJECTIVE_US_MAX: u32 = 3_600_000_000;
/// Most dimensions of a tensor.
pub const RANK_MAX: usize = 16;

/// What is known about a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Version of this format, [`FORMAT`].
    pub format: u32,
    /// The model.
    #[serde(with = "text")]
    pub model: ModelId,
    /// Its version.
    #[serde(with = "text")]
    pub version: Version,
    /// What kind of machine it is for.
    #[serde(with = "text")]
    pub class: TargetClass,
    /// What runs it.
    pub runtime: Runtime,
    /// Operators that it uses, sorted, with their domain unless that is `ai.onnx`.
    pub operators: Vec<String>,
    /// What it takes, in its order.
    pub inputs: Vec<CardTensor>,
    /// What it gives, in its order.
    pub outputs: Vec<CardTensor>,
    /// Names of the features that the reference counts, in its order.
    pub features: Vec<String>,
    /// Where its golden vectors come from and how exactly they bind.
    pub golden: CardGolden,
    /// Memory that one worker needs at its peak, bytes, as measured by the builder.
    pub planned_peak_bytes: u64,
    /// Slowest answer that passes the trial, microseconds; without it the device's budget counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us_max: Option<u64>,
    /// What those who made it say about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// What built the bundle.
    pub created_by: String,
}

/// What runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// An ONNX runtime.
    Onnx,
}

/// One input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardTensor {
    /// Its name in the model.
    pub name: String,
    /// Its datatype as the Open Inference Protocol writes it, such as `FP32`.
    pub datatype: String,
    /// Its dimensions, -1 for any.
    pub shape: Vec<i64>,
}

/// The golden vectors, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardGolden {
    /// Which runtime gave the outputs.
    pub source: GoldenSource,
    /// How many vectors there are.
    pub vectors: u32,
    /// Relative tolerance.
    #[serde(deserialize_with = "exact")]
    pub rtol: f64,
    /// Absolute tolerance.
    #[serde(deserialize_with = "exact")]
    pub atol: f64,
}

/// Which runtime gave the golden outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GoldenSource {
    /// ONNX Runtime, as whoever built the bundle says.
    Onnxruntime,
    /// The device's own runtime without its optimiser: no second opinion.
    #[serde(rename = "self")]
    Own,
    /// Another runtime.
    Other,
}

/// Why bytes are not a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadCard {
    /// More than [`WHOLE_BYTES_MAX`] bytes.
    TooLarge,
    /// Not JSON, or a field is missing, of the wrong kind or outside its grammar.
    Malformed(String),
    /// Another format than [`FORMAT`].
    Format(u32),
    /// A list that is empty or longer than its limit.
    Count(&'static str),
    /// A tolerance that is negative or not finite, or no golden vector.
    Golden,
    /// Metrics that are not sorted, named twice or not finite.
    Metrics,
}

impl Card {
    /// Reads and checks a card.
    ///
    /// # Errors
    /// [`BadCard`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadCard> {
        if bytes.len() > WHOLE_BYTES_MAX as usize {
            return Err(BadCard::TooLarge);
        }
        let format = parse_as::<Format>(bytes)?.format;
        if format != FORMAT {
            return Err(BadCard::Format(format));
        }
        let card = parse_as::<Self>(bytes)?;
        card.check()?;
        Ok(card)
    }

    /// Writes the card; the same card gives the same bytes.
    ///
    /// # Errors
    /// [`BadCard`] if [`Card::parse`] would refuse the bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, BadCard> {
        self.check()?;
        let bytes = serde_json::to_vec(self).map_err(|e| BadCard::Malformed(e.to_string()))?;
        if bytes.len() > WHOLE_BYTES_MAX as usize {
            return Err(BadCard::TooLarge);
        }
        Ok(bytes)
    }

    /// The objective against which windows count latencies, microseconds; none above an hour,
    /// where latencies are no longer told apart.
    #[must_use]
    pub fn latency_objective_us(&self) -> Option<u32> {
        let objective = self.latency_us_max.and_then(|us| u32::try_from(us).ok());
        objective.filter(|us| *us <= OBJECTIVE_US_MAX)
    }

    fn check(&self) -> Result<(), BadCard> {
        check_tensors("inputs", &self.inputs)?;
        check_tensors("outputs", &self.outputs)?;
        if self.features.len() > FEATURES_MAX {
            return Err(BadCard::Count("features"));
        }
        if let Some(about) = &self.about {
            about.check()?;
        }
        let tolerable = |tolerance: f64| tolerance.is_finite() && tolerance >= 0.0;
        let golden = &self.golden;
        if golden.vectors > 0 && tolerable(golden.rtol) && tolerable(golden.atol) {
            return Ok(());
        }
        Err(BadCard::Golden)
    }
}

/// The one field that every format has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

fn parse_as<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, BadCard> {
    serde_json::from_slice(bytes).map_err(|error| BadCard::Malformed(error.to_string()))
}

/// A number from its digits as written: the reader of JSON may miss its last bit, and a tolerance
/// is compared with that of the golden vectors.
fn exact<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let digits = Box::<RawValue>::deserialize(from)?;
    digits.get().parse().map_err(D::Error::custom)
}

fn check_tensors(field: &'static str, tensors: &[CardTensor]) -> Result<(), BadCard> {
    let few = (1..=TENSORS_MAX).contains(&tensors.len());
    let flat = tensors.iter().all(|tensor| tensor.shape.len() <= RANK_MAX);
    if few && flat {
        Ok(())
    } else {
        Err(BadCard::Count(field))
    }
}

/// Ids as the text that they are.
mod text {
    use super::{String, ToString};
    use core::fmt::Display;
    use core::str::FromStr;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T: Display, S: Serializer>(id: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&id.to_string())
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for BadCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the card has more than {WHOLE_BYTES_MAX} bytes"),
            Self::Malformed(what) => write!(f, "the card is malformed: {what}"),
            Self::Format(found) => write!(f, "the card has format {found}, known is {FORMAT}"),
            Self::Count(field) => write!(f, "the card has none or too many in {field}"),
            Self::Golden => f.write_str("the card has no golden vector or a wrong tolerance"),
            Self::Metrics => {
                f.write_str("the card has metrics that are not sorted, or no finite numbers")
            }
        }
    }
}

impl core::error::Error for BadCard {}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Card {
        let tensor = |name: &str, shape: &[i64]| CardTensor {
            name: name.into(),
            datatype: "FP32".into(),
            shape: shape.into(),
        };
        let metric = |name: &str, value| Metric {
            name: name.into(),
            value,
        };
        Card {
            format: FORMAT,
            model: ModelId::parse("bearing").expect("valid"),
            version: Version::parse("1.2.0").expect("valid"),
            class: TargetClass::parse("any").expect("valid"),
            runtime: Runtime::Onnx,
            operators: Vec::from(["Gemm".into(), "Relu".into()]),
            inputs: Vec::from([tensor("features", &[-1, 4])]),
            outputs: Vec::from([tensor("score", &[-1])]),
            features: Vec::from(["b1".into()]),
            golden: CardGolden {
                source: GoldenSource::Own,
                vectors: 3,
                rtol: 1e-3,
                atol: 1e-4,
            },
            planned_peak_bytes: 4 << 20,
            latency_us_max: None,
            about: Some(About {
                licence: Some("MIT".into()),
                metrics: Vec::from([metric("auc", 0.97), metric("f1", 1.0 / 3.0)]),
                ..About::default()
            }),
            created_by: "muster 0.1.0".into(),
        }
    }

    fn written() -> String {
        String::from_utf8(sample().to_json().expect("valid")).expect("JSON")
    }

    #[test]
    fn a_card_is_read_as_it_was_written() {
        assert_eq!(Card::parse(written().as_bytes()), Ok(sample()));
    }

    #[test]
    fn an_objective_is_one_that_windows_can_count() {
        for (max, expect) in [
            (None, None),
            (Some(0), Some(0)),
            (Some(20_000), Some(20_000)),
            (Some(u64::from(OBJECTIVE_US_MAX)), Some(OBJECTIVE_US_MAX)),
            (Some(u64::from(OBJECTIVE_US_MAX) + 1), None),
            (Some(u64::MAX), None),
        ] {
            let card = Card {
                latency_us_max: max,
                ..sample()
            };
            assert_eq!(card.latency_objective_us(), expect, "{max:?}");
        }
    }

    #[test]
    fn a_tolerance_is_read_to_its_last_bit() {
        for tolerance in [0.000_111_111_111_111_111_01, 1e-3, 5e-324, f64::MAX] {
            let mut card = sample();
            (card.golden.rtol, card.golden.atol) = (tolerance, tolerance / 3.0);
            let written = card.to_json().expect("valid");
            assert_eq!(Card::parse(&written), Ok(card));
        }
    }

    fn check(from: &str, to: &str, expect: &str) {
        assert!(written().contains(from), "{from} is not in {}", written());
        let refused = Card::parse(written().replacen(from, to, 1).as_bytes());
        let said = refused.expect_err(to).to_string();
        assert!(said.contains(expect), "{to}: {said}");
    }

    #[test]
    fn a_defect_is_named() {
        check("\"format\":1", "\"format\":2", "format 2");
        check("\"bearing\"", "\"Bearing\"", "not a model id");
        check("\"1.2.0\"", "\"1.2\"", "not a version");
        check("\"onnx\"", "\"tflite\"", "tflite");
        check("\"self\"", "\"guess\"", "guess");
        check("\"vectors\":3", "\"vectors\":0", "golden");
        check("\"rtol\":0.001", "\"rtol\":-1", "golden");
        check("\"rtol\":0.001", "\"rtol\":1e999", "golden");
        check("\"rtol\":0.001", "\"rtol\":\"0.001\"", "malformed");
        check("\"planned_peak_bytes\"", "\"peak\"", "planned_peak_bytes");
        check("\"auc\"", "\"g\"", "not sorted");
        check("\"auc\"", "\"f1\"", "not sorted");
        check("0.97", "1e999", "no finite numbers");
        check("0.97", "\"high\"", "malformed");
        check("MIT", &"x".repeat(TEXT_BYTES_MAX + 1), "a text");
        check("[-1,4]", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "inputs");
    }
}
