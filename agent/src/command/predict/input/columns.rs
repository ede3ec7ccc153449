//! Which columns of a table feed which input: as told, by name, or by position.
//!
//! Never by position when some names fit: a table that has most of the columns is the wrong table.

use super::Wanted;
use crate::command::predict::form::{Form, Input};

/// Places of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    /// For each input of the model, its elements in order.
    pub(super) inputs: Vec<Vec<usize>>,
    /// What is carried through.
    pub(super) carried: Vec<usize>,
    pub(super) by: By,
}

/// How the columns were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The user has named them.
    Argument,
    /// The model's inputs or the features of its bundle are named so.
    Name,
    /// They are as many as the model takes.
    Position,
}

/// Chooses among the columns of a header.
pub(super) fn choose(header: &[String], form: &Form, wanted: &Wanted) -> Result<Chosen, String> {
    let carried = find_all(header, &wanted.carried)?;
    if !wanted.columns.is_empty() {
        let places = find_all(header, &wanted.columns)?;
        let inputs = share_out(&places, form)?;
        return Ok(Chosen {
            inputs,
            carried,
            by: By::Argument,
        });
    }
    if let Some(inputs) = by_name(header, form)? {
        return Ok(Chosen {
            inputs,
            carried,
            by: By::Name,
        });
    }
    let places: Vec<usize> = (0..header.len()).filter(|p| !carried.contains(p)).collect();
    Ok(Chosen {
        inputs: share_out(&places, form)?,
        carried,
        by: By::Position,
    })
}

/// Every name that an element of an input may stand under.
pub(in super::super) fn names_of(input: &Input, element: usize, elements: usize) -> Vec<String> {
    let own = match elements {
        1 => input.name.clone(),
        _ => format!("{}[{element}]", input.name),
    };
    input
        .columns
        .get(element)
        .cloned()
        .into_iter()
        .chain([own])
        .collect()
}

/// All columns by name, none, or a refusal when only some are there.
fn by_name(header: &[String], form: &Form) -> Result<Option<Vec<Vec<usize>>>, String> {
    let (mut inputs, mut absent) = (Vec::new(), Vec::new());
    for input in &form.inputs {
        let Some(elements) = input
            .elements()
            .filter(|&elements| elements <= header.len())
        else {
            return Ok(None);
        };
        let mut places = Vec::with_capacity(elements);
        for element in 0..elements {
            let names = names_of(input, element, elements);
            let mut found = names.iter().filter(|name| header.contains(name));
            match found.next() {
                Some(name) => places.push(find(header, name)?),
                None => absent.extend(names.into_iter().next()),
            }
        }
        inputs.push(places);
    }
    match (absent.is_empty(), inputs.iter().all(Vec::is_empty)) {
        (true, _) => Ok(Some(inputs)),
        (false, true) => Ok(None),
        (false, false) => Err(format!(
            "it has no column {}, only {}",
            quoted(&absent),
            quoted(header)
        )),
    }
}

/// Gives each input as many places as it has elements, in the model's order.
fn share_out(places: &[usize], form: &Form) -> Result<Vec<Vec<usize>>, String> {
    if let Some(input) = form.single() {
        let fits = input.shape_of(places.len()).is_some();
        return fits
            .then(|| vec![places.to_vec()])
            .ok_or_else(|| counts(places.len(), form));
    }
    let mut rest = places;
    let mut inputs = Vec::new();
    for input in &form.inputs {
        let cut = input.elements().and_then(|n| rest.split_at_checked(n));
        let (mine, others) = cut.ok_or_else(|| counts(places.len(), form))?;
        inputs.push(mine.to_vec());
        rest = others;
    }
    match rest {
        [] => Ok(inputs),
        _ => Err(counts(places.len(), form)),
    }
}

fn counts(got: usize, form: &Form) -> String {
    let takes = form.inputs.iter().map(|input| {
        let name = &input.name;
        match input.elements() {
            Some(elements) => format!("{elements} for {name:?}"),
            None => format!("lists of any length for {name:?}"),
        }
    });
    let takes = takes.collect::<Vec<_>>().join(", ");
    format!("{got} columns are taken, the model takes {takes}")
}

fn find_all(header: &[String], names: &[String]) -> Result<Vec<usize>, String> {
    names.iter().map(|name| find(header, name.trim())).collect()
}

fn find(header: &[String], name: &str) -> Result<usize, String> {
    let mut places = (0..header.len()).filter(|&place| header[place] == name);
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(place),
        (Some(_), Some(_)) => Err(format!("two columns are named {name:?}")),
        (None, _) => Err(format!(
            "it has no column {name:?}, only {}",
            quoted(header)
        )),
    }
}

/// Names in quotes, the first ones if they are many.
pub(in super::super) fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<_> = names.iter().take(SHOWN).map(|n| format!("{n:?}")).collect();
    let more = match names.len() > SHOWN {
        true => format!(" and {} more", names.len() - SHOWN),
        false => String::new(),
    };
    shown.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::predict::form::tests::form;

    fn words(text: &str) -> Vec<String> {
        text.split(' ')
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn check(
        form: &Form,
        header: &str,
        [columns, carried]: [&str; 2],
        expect: Result<(&[&[usize]], By), &str>,
    ) {
        let wanted = Wanted {
            columns: words(columns),
            carried: words(carried),
        };
        let got = choose(&words(header), form, &wanted);
        match (&got, expect) {
            (Ok(chosen), Ok((inputs, by))) => {
                assert_eq!(
                    (chosen.inputs.as_slice(), chosen.by),
                    (
                        inputs
                            .iter()
                            .map(|i| i.to_vec())
                            .collect::<Vec<_>>()
                            .as_slice(),
                        by
                    )
                );
            }
            (Err(because), Err(part)) => assert!(because.contains(part), "{because}"),
            (got, expect) => panic!("{header:?}: {got:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn one_input_takes_its_features_wherever_they_stand() {
        let named = form(&[("x", "FP32", &[-1, 2], &["a", "b"])]);
        check(&named, "b id a", ["", "id"], Ok((&[&[2, 0]], By::Name)));
        check(
            &named,
            "id x[1] x[0]",
            ["", "id"],
            Ok((&[&[2, 1]], By::Name)),
        );
        check(&named, "p q", ["", ""], Ok((&[&[0, 1]], By::Position)));
        check(&named, "p id q", ["", "id"], Ok((&[&[0, 2]], By::Position)));
        check(&named, "p id q", ["q,", ""], Err("no column \"q,\""));
        check(
            &named,
            "p id q",
            ["q p", "id"],
            Ok((&[&[2, 0]], By::Argument)),
        );
        check(
            &named,
            "p q r",
            ["", ""],
            Err("3 columns are taken, the model takes 2 for \"x\""),
        );
        check(
            &named,
            "a q",
            ["", ""],
            Err("no column \"b\", only \"a\", \"q\""),
        );
        check(
            &named,
            "a b a",
            ["", ""],
            Err("two columns are named \"a\""),
        );
        check(&named, "a b", ["", "id"], Err("no column \"id\""));
        check(&named, "a b", ["a", ""], Err("1 columns are taken"));
    }

    #[test]
    fn several_inputs_and_open_ones_take_what_fits() {
        let two = form(&[("u", "FP32", &[-1, 1], &[]), ("v", "INT64", &[-1, 2], &[])]);
        check(
            &two,
            "v[0] u v[1]",
            ["", ""],
            Ok((&[&[1], &[0, 2]], By::Name)),
        );
        check(
            &two,
            "a b c",
            ["", ""],
            Ok((&[&[0], &[1, 2]], By::Position)),
        );
        check(&two, "a b c d", ["", ""], Err("1 for \"u\", 2 for \"v\""));
        let open = form(&[("x", "FP32", &[-1, -1], &[])]);
        check(&open, "a b c", ["", "b"], Ok((&[&[0, 2]], By::Position)));
        let image = form(&[("x", "FP32", &[-1, -1, -1], &[])]);
        check(&image, "a b", ["", ""], Err("lists of any length"));
    }
}
