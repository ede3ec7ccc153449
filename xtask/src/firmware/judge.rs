//! Whether a run of an image went as its case says, and stayed within its budgets.
//! Pure: what the image said goes in, figures or a complaint come out.

use anyhow::{Context as _, bail, ensure};
use muster_protocol::digest::Digest;

use super::{
    cases::{Case, Image},
    image::Ended,
};

/// Most instructions that a task may take. Counts are the same in every run; these leave a
/// quarter for another compiler. A document costs one signature each, key sets and statements
/// two.
pub(super) const BUDGETS: [(&str, u64); 10] = [
    ("digest", 92_000),
    ("provision", 170_000),
    ("fleet-keys", 4_500_000),
    ("model-keys", 4_500_000),
    ("time", 2_200_000),
    ("assignment", 2_300_000),
    ("statement", 4_500_000),
    ("reference", 180_000),
    ("row", 750),
    ("window", 29_000),
];
/// Most bytes of stack.
pub(super) const STACK_BYTES_MAX: u64 = 76 * 1024;

/// What an image said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Figures {
    /// Instructions of each task, in order.
    pub(super) took: Vec<(String, u64)>,
    /// Bytes of stack that were ever in use.
    pub(super) stack_bytes: u64,
    /// Name of the verdict.
    pub(super) verdict: String,
    code: i32,
    lamp: Option<bool>,
    window: Option<String>,
}

/// Judges a run.
///
/// # Errors
/// What is not as it should be.
pub(super) fn judge(case: &Case, ended: &Ended, window: &Digest) -> anyhow::Result<Figures> {
    let figures = read(&ended.said)?;
    let (verdict, expect) = (&figures.verdict, &case.expect);
    ensure!(
        verdict == expect,
        "expected {expect}, the verdict is {verdict}"
    );
    let code = ended.code.context("it was ended by a signal")?;
    ensure!(
        code == figures.code,
        "it said {} and ended with {code}",
        figures.code
    );
    let well = expect == "Done";
    ensure!((code == 0) == well, "{verdict} ended with {code}");
    if case.image == Image::Broken {
        return Ok(figures);
    }
    ensure!(
        figures.lamp == Some(well),
        "the lamp is {:?} at {verdict}",
        figures.lamp
    );
    check_window(case, &figures, window)?;
    check_budgets(&figures)?;
    check_tasks(case, &figures)?;
    Ok(figures)
}

fn check_window(case: &Case, figures: &Figures, window: &Digest) -> anyhow::Result<()> {
    let counts = case.words.iter().any(|word| word.starts_with("samples="));
    match &figures.window {
        None if counts && case.expect == "Done" => bail!("it folded no window"),
        Some(folded) if *folded != window.to_string() => {
            bail!("its window is {folded}, that of Linux is {window}")
        }
        _ => Ok(()),
    }
}

/// Each word was taken up, in order, and what is refused is the last one: otherwise a case shows
/// something else than its name says.
fn check_tasks(case: &Case, figures: &Figures) -> anyhow::Result<()> {
    // A word that is no task, or without its file, is refused before it is taken up.
    if case.expect == "Usage" {
        return Ok(());
    }
    let rows: &[&str] = match case.expect.as_str() {
        "Done" => &["row", "window"],
        _ => &[],
    };
    let mut asked = Vec::new();
    for (task, _) in case.words.iter().filter_map(|word| word.split_once('=')) {
        match task {
            "samples" => asked.extend(rows),
            task => asked.push(task),
        }
    }
    let took: Vec<_> = figures.took.iter().map(|(task, _)| task.as_str()).collect();
    ensure!(took == asked, "asked for {asked:?}, it took up {took:?}");
    Ok(())
}

fn check_budgets(figures: &Figures) -> anyhow::Result<()> {
    for (task, instructions) in &figures.took {
        let budget = BUDGETS.iter().find(|(name, _)| name == task);
        let (_, most) = budget.with_context(|| format!("{task} has no budget"))?;
        ensure!(
            instructions <= most,
            "{task} took {instructions} instructions, at most {most}"
        );
    }
    let stack = figures.stack_bytes;
    ensure!(stack > 0, "it did not say how deep its stack was");
    ensure!(
        stack <= STACK_BYTES_MAX,
        "{stack} bytes of stack, at most {STACK_BYTES_MAX}"
    );
    Ok(())
}

fn read(said: &str) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    for line in said.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["took", task, instructions] => {
                figures.took.push((task.to_owned(), instructions.parse()?));
            }
            ["stack", bytes] => figures.stack_bytes = bytes.parse()?,
            ["lamp", bit] => figures.lamp = Some(bit == "1"),
            ["window", digest, ..] => figures.window = Some(digest.to_owned()),
            ["verdict", name, code] => {
                ensure!(figures.verdict.is_empty(), "it gave two verdicts");
                (figures.verdict, figures.code) = (name.to_owned(), code.parse()?);
            }
            _ => {}
        }
    }
    ensure!(
        !figures.verdict.is_empty(),
        "it gave no verdict; it said: {said}"
    );
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: &str = "took time 900\nlamp 1\nstack 900\nverdict Done 0\n";
    const BAD: &str = "took time 900\nlamp 0\nstack 900\nverdict Expired 38\n";

    fn check(image: Image, tasks: &str, expect: &str, said: &str, code: i32, complaint: &str) {
        let case = Case {
            name: "a case".into(),
            image,
            words: tasks.split_whitespace().map(str::to_owned).collect(),
            expect: expect.into(),
        };
        let ended = Ended {
            code: Some(code),
            said: said.into(),
        };
        let judged = judge(&case, &ended, &Digest([7; 32]));
        let seen = judged
            .err()
            .map_or(String::new(), |error| error.to_string());
        assert_eq!(seen, complaint, "{said}");
    }

    #[test]
    fn a_run_that_goes_as_expected_passes() {
        check(Image::Node, "time=a", "Done", WELL, 0, "");
        check(Image::Node, "time=a", "Expired", BAD, 38, "");
        check(
            Image::Broken,
            "panic",
            "Panicked",
            "verdict Panicked 101",
            101,
            "",
        );
    }

    #[test]
    fn a_wrong_expectation_fails() {
        let what = "expected Expired, the verdict is Done";
        check(Image::Node, "time=a", "Expired", WELL, 0, what);
        let what = "expected Done, the verdict is Expired";
        check(Image::Node, "time=a", "Done", BAD, 38, what);
    }

    #[test]
    fn what_an_image_says_and_does_must_agree() {
        let node = |said: &str, code, complaint: &str| {
            check(Image::Node, "time=a", "Done", said, code, complaint);
        };
        node(WELL, 1, "it said 0 and ended with 1");
        node("", 0, "it gave no verdict; it said: ");
        node(
            &WELL.replace("lamp 1", "lamp 0"),
            0,
            "the lamp is Some(false) at Done",
        );
        node(
            &WELL.replace("stack 900", ""),
            0,
            "it did not say how deep its stack was",
        );
        node(&format!("{WELL}{WELL}"), 0, "it gave two verdicts");
        let code = WELL.replace("Done 0", "Done 5");
        node(&code, 5, "Done ended with 5");
    }

    #[test]
    fn every_word_of_a_case_is_taken_up_and_the_last_one_refused() {
        let two = "time=a time=b";
        let what = r#"asked for ["time", "time"], it took up ["time"]"#;
        check(Image::Node, two, "Done", WELL, 0, what);
        check(Image::Node, two, "Expired", BAD, 38, what);
        let usage = BAD.replace("Expired 38", "Usage 2");
        check(Image::Node, two, "Usage", &usage, 2, "");
        let cut = BAD.replace("Expired 38", "BadSamples 61");
        check(Image::Node, "time=a samples=b", "BadSamples", &cut, 61, "");
    }

    #[test]
    fn budgets_hold() {
        let node = |from: &str, to: &str, complaint: &str| {
            check(
                Image::Node,
                "time=a",
                "Done",
                &WELL.replace(from, to),
                0,
                complaint,
            );
        };
        let what = "time took 2200001 instructions, at most 2200000";
        node("time 900", "time 2200001", what);
        node("took time", "took tea", "tea has no budget");
        node(
            "stack 900",
            "stack 77825",
            "77825 bytes of stack, at most 77824",
        );
    }

    #[test]
    fn a_window_must_be_that_of_linux() {
        let rows = WELL.replace("took time 900", "took row 9\ntook window 9");
        let samples = |said: &str, complaint: &str| {
            check(Image::Node, "samples=a", "Done", said, 0, complaint);
        };
        let (own, other) = (Digest([7; 32]), Digest([8; 32]));
        samples(&rows, "it folded no window");
        samples(&format!("{rows}window {own} of 9 rows"), "");
        let what = format!("its window is {other}, that of Linux is {own}");
        samples(&format!("{rows}window {other} of 9 rows"), &what);
    }
}
