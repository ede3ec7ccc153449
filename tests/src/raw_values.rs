//! Looks for values in bytes that must not hold them, in each form in which one may be written.
//!
//! Does not look into what is compressed or encrypted: give it what was there before.

/// Runs of a search of which one may find by chance what is not there.
const SEARCHES: f64 = 1e9;
/// A shorter text could be part of anything.
const TEXT_MIN: usize = 6;

/// A form of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Which form.
    pub form: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A value that was found, and in which form.
#[derive(Debug, Clone, PartialEq)]
pub struct Leak {
    /// The value, or the text.
    pub what: String,
    /// How it was written.
    pub form: &'static str,
}

/// How a value may look: binary in both orders of bytes, as item of CBOR, and as text. What other
/// formats write before a float does not matter: its bytes are looked for alone.
pub fn looks(value: f32) -> Vec<Look> {
    let wide = f64::from(value);
    let mut looks = vec![
        look("binary32, little end first", value.to_le_bytes()),
        look("binary32, big end first", value.to_be_bytes()),
        look("binary64, little end first", wide.to_le_bytes()),
        look("binary64, big end first", wide.to_be_bytes()),
        look("CBOR, single", cbor(0xfa, &value.to_be_bytes())),
        look("CBOR, double", cbor(0xfb, &wide.to_be_bytes())),
        look("hexadecimal", format!("{:08x}", value.to_bits())),
    ];
    let half = half(value).map(|half| look("CBOR, half", cbor(0xf9, &half.to_be_bytes())));
    looks.extend(half);
    let decimals = [
        ("decimal, of binary32", value.to_string()),
        ("decimal, of binary64", wide.to_string()),
        ("decimal, six places", format!("{value:.6}")),
        ("exponential, of binary32", format!("{value:e}")),
        ("exponential, of binary64", format!("{wide:e}")),
    ];
    // Without the zero in front, which not all write.
    let decimals = decimals.map(|(form, text)| look(form, text.trim_start_matches("0.")));
    looks.extend(
        decimals
            .into_iter()
            .filter(|look| look.bytes.len() >= TEXT_MIN),
    );
    looks
}

/// The values that are in `bytes`. A short form is there by chance now and then; what leaks, leaks
/// with each window, so it is found when it is there more often than that.
pub fn leaks(values: &[f32], bytes: &[u8]) -> Vec<Leak> {
    let of = |value: &f32| {
        let found = looks(*value).into_iter();
        let found = found.filter(|look| times(&look.bytes, bytes) >= times_min(look, bytes.len()));
        let leak = |look: Look| Leak {
            what: value.to_string(),
            form: look.form,
        };
        found.map(leak).collect::<Vec<_>>()
    };
    values.iter().flat_map(of).collect()
}

/// How often `look` is in `bytes`.
pub fn times(look: &[u8], bytes: &[u8]) -> usize {
    bytes.windows(look.len()).filter(|at| *at == look).count()
}

/// How often a look must be there to count among so many bytes: so many times it is among random
/// ones in less than one of `SEARCHES` (Poisson).
pub fn times_min(look: &Look, bytes: usize) -> usize {
    let places = 256_f64.powf(look.bytes.len() as f64);
    let mean = bytes as f64 / places;
    let (mut chance, mut times) = (1.0, 0);
    while chance >= 1.0 / SEARCHES {
        times += 1;
        chance *= mean / times as f64;
    }
    times
}

fn look(form: &'static str, bytes: impl AsRef<[u8]>) -> Look {
    let bytes = bytes.as_ref().to_vec();
    Look { form, bytes }
}

fn cbor(head: u8, float: &[u8]) -> Vec<u8> {
    [&[head], float].concat()
}

/// IEEE 754 half precision, ties to even; none where it would be subnormal or infinite.
fn half(value: f32) -> Option<u16> {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 0xff).checked_sub(127 - 15)?;
    let fraction = bits & 0x7f_ffff;
    let (kept, rest) = ((exponent << 10) | (fraction >> 13), fraction & 0x1fff);
    let up = rest > 0x1000 || (rest == 0x1000 && kept & 1 == 1);
    let rounded = kept + u32::from(up);
    let sign = ((bits >> 16) & 0x8000) as u16;
    let half = u16::try_from(rounded).ok()?;
    (exponent > 0 && half < 0x7c00).then_some(sign | half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const VALUES: [f32; 4] = [0.061_713_27, 0.437_512_9, -3.271e-4, 21.718_75];

    fn noise(seed: u64, bytes: usize) -> Vec<u8> {
        let mut random = Random(seed);
        (0..bytes).map(|_| random.draw() as u8).collect()
    }

    #[test]
    fn halves_are_those_of_the_standard() {
        let check = |value: f32, expect: Option<u16>| assert_eq!(half(value), expect, "{value}");
        check(1.0, Some(0x3c00));
        check(-2.0, Some(0xc000));
        check(0.1, Some(0x2e66));
        check(65_504.0, Some(0x7bff));
        check(65_520.0, None);
        check(1.0 + 1.0 / 2048.0, Some(0x3c00));
        check(1.0 + 3.0 / 2048.0, Some(0x3c02));
        check(1e-5, None);
        check(f32::NAN, None);
    }

    #[test]
    fn a_value_is_found_in_each_form_in_which_it_is_planted() {
        let bytes = noise(1, 100_000);
        assert_eq!(leaks(&VALUES, &bytes), []);
        for value in VALUES {
            let forms = looks(value);
            assert!(forms.len() >= 8, "{value}: {forms:?}");
            for look in forms {
                let planted = plant(&bytes, &look);
                let found = leaks(&VALUES, &planted);
                let is_it = |leak: &Leak| leak.form == look.form && leak.what == value.to_string();
                assert!(found.iter().any(is_it), "{value} {look:?}: {found:?}");
                let others = found.iter().filter(|leak| leak.what != value.to_string());
                assert_eq!(others.count(), 0, "{found:?}");
            }
        }
    }

    /// As often as it takes, between other bytes.
    fn plant(bytes: &[u8], look: &Look) -> Vec<u8> {
        let often = times_min(look, 2 * bytes.len());
        let mut planted = bytes.to_vec();
        (0..often).for_each(|_| planted.extend([b"-", &look.bytes[..]].concat()));
        planted
    }

    #[test]
    fn what_is_short_must_be_there_more_often_than_by_chance() {
        let check = |bytes: usize, len: usize, expect: usize| {
            let look = look("any", vec![0; len]);
            assert_eq!(times_min(&look, bytes), expect, "{len} of {bytes}");
        };
        check(1_000_000, 8, 1);
        check(1_000_000, 5, 2);
        check(1_000_000, 4, 3);
        check(1_000_000, 3, 6);
        check(1000, 4, 2);
    }
}
