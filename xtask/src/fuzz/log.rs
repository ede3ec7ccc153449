//! What libFuzzer prints, line by line, and the figures in it.
//! Never keeps more of it than the figures and the last lines.

use std::collections::VecDeque;

/// Lines kept to be shown when a target falls.
const LAST_LINES: usize = 60;

/// What one run reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reached {
    /// Inputs executed.
    pub(super) executions: u64,
    /// The same for each second, on average.
    pub(super) executions_per_s: u64,
    /// Edges of the control flow that some input took.
    pub(super) edges: u64,
    /// Features, as libFuzzer counts them: edges with how often they were taken, comparisons.
    pub(super) features: u64,
    /// Inputs that reach something of their own.
    pub(super) corpus: u64,
    /// Of those, found by this run.
    pub(super) new_inputs: u64,
    /// Files with inputs on which the target fell over, took too long or too much memory.
    pub(super) crashes: Vec<String>,
}

/// The figures so far.
#[derive(Default)]
pub(super) struct Log {
    reached: Reached,
    last: VecDeque<String>,
}

impl Log {
    /// Takes the next line.
    pub(super) fn line(&mut self, line: &str) {
        if line.starts_with('#') {
            self.status(line);
        }
        if let Some((name, value)) = statistic(line) {
            match name {
                "number_of_executed_units" => self.reached.executions = value,
                "average_exec_per_sec" => self.reached.executions_per_s = value,
                "new_units_added" => self.reached.new_inputs = value,
                _ => {}
            }
        }
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.reached.crashes.push(path.trim().to_owned());
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.to_owned());
    }

    /// The figures, and the last lines.
    pub(super) fn close(self) -> (Reached, Vec<String>) {
        (self.reached, self.last.into())
    }

    /// `#4096 pulse cov: 1751 ft: 2333 corp: 33/5360b …`
    fn status(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |label: &str| {
            let at = words.iter().position(|word| *word == label)?;
            words.get(at + 1)?.split('/').next()?.parse().ok()
        };
        let keep = |figure: &mut u64, new: Option<u64>| *figure = new.unwrap_or(*figure);
        let executions = words[0].trim_start_matches('#').parse().ok();
        keep(&mut self.reached.executions, executions);
        keep(&mut self.reached.edges, after("cov:"));
        keep(&mut self.reached.features, after("ft:"));
        keep(&mut self.reached.corpus, after("corp:"));
    }
}

/// `stat::name: value`
fn statistic(line: &str) -> Option<(&str, u64)> {
    let (name, value) = line.strip_prefix("stat::")?.split_once(':')?;
    Some((name, value.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "\
INFO: Seed: 1
#41\tINITED cov: 1751 ft: 2333 corp: 33/5360b exec/s: 0 rss: 28Mb
\tNEW_FUNC[1/7]: 0x55b1e744b721
#20000\tDONE   cov: 1973 ft: 2799 corp: 166/22Kb lim: 412 exec/s: 10000 rss: 28Mb
Done 20000 runs in 2 second(s)
stat::number_of_executed_units: 20001
stat::average_exec_per_sec:     10000
stat::new_units_added:          133
stat::peak_rss_mb:              28";

    fn read(lines: &str) -> Reached {
        let mut log = Log::default();
        lines.lines().for_each(|line| log.line(line));
        log.close().0
    }

    #[test]
    fn the_figures_are_those_of_the_end() {
        let expect = Reached {
            executions: 20001,
            executions_per_s: 10000,
            edges: 1973,
            features: 2799,
            corpus: 166,
            new_inputs: 133,
            crashes: Vec::new(),
        };
        assert_eq!(read(LINES), expect);
    }

    #[test]
    fn an_input_that_falls_is_named_and_the_figures_so_far_count() {
        let lines = "#7\tNEW    cov: 5 ft: 6 corp: 2/9b lim: 4 exec/s: 0\n\
                     thread panicked\n\
                     artifact_prefix='a/'; Test unit written to a/crash-1\n";
        let reached = read(lines);
        assert_eq!((reached.executions, reached.edges), (7, 5));
        assert_eq!(reached.crashes, ["a/crash-1"]);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut log = Log::default();
        (0..1000).for_each(|n| log.line(&n.to_string()));
        let (_, last) = log.close();
        assert_eq!((last.len(), last[0].as_str()), (LAST_LINES, "940"));
    }
}
