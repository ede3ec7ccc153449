//! Reading rules, with errors that say where, because of what, and what to write instead.
//!
//! Never completes what is not written: a version says everything that it judges by.

use std::fmt;

use serde::Deserialize;

use super::{Features, Rules};
use crate::quality::ESTIMATED_MIN;

/// Routes of one version.
const ROUTES_MAX: usize = 64;
/// Tables `[[season]]` of one version.
const SEASONS_MAX: usize = 64;
/// Shortest span until an incident closes, seconds; and the longest, a quarter of a year.
const QUIET_S: (u64, u64) = (60, 92 * 86_400);
/// Days in a row that a retrain may wait for.
const DAYS_MAX: u32 = 30;
/// Days between two retrains of a model.
const COOLDOWN_DAYS_MAX: u32 = 366;
/// Most incidents by chance in a year, as charts take them.
const BUDGET_MAX: f64 = 1000.0;
/// Days from which it is learnt how quality varies: two have a variance, and windows are kept no longer.
const BASELINE_DAYS: (u32, u32) = (2, 92);
/// Labels of a class below which no interval is of use.
const LABELS_MIN: u64 = 20;

/// Rules that cannot be acted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the rules: {place}: because {because}: hint: {hint}")]
pub struct RulesError {
    /// Where.
    pub place: RulesPlace,
    /// What is wrong.
    pub because: String,
    /// What to write.
    pub hint: String,
}

/// Where rules are wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesPlace {
    /// A line, from 1.
    Line(usize),
    /// A field, as `retrain.psi_min`.
    Field(String),
}

impl fmt::Display for RulesPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Field(field) => write!(f, "{field}"),
        }
    }
}

impl Rules {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`RulesError`], with the line or the field.
    pub fn read(text: &str) -> Result<Self, RulesError> {
        let misread = |error: toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = text.get(..at).unwrap_or_default();
            RulesError {
                place: RulesPlace::Line(before.matches('\n').count() + 1),
                because: error.message().trim().replace('\n', " "),
                hint: "docs/incidents.md shows whole rules, with every field; start from \
                       `muster drift rules show`"
                    .to_owned(),
            }
        };
        let reader = toml::Deserializer::parse(text).map_err(misread)?;
        let rules = Self::deserialize(reader).map_err(misread)?;
        rules.check()?;
        Ok(rules)
    }

    /// What no type says.
    fn check(&self) -> Result<(), RulesError> {
        let (least, most) = QUIET_S;
        let because = "an incident would close at once, or practically never";
        let hint = format!("write {least} to {most} seconds");
        refuse(
            !(least..=most).contains(&self.quiet_s),
            "quiet_s",
            because,
            &hint,
        )?;
        let hint = "write 1 or more";
        let nobody = self.storm_per_hour == 0;
        refuse(nobody, "storm_per_hour", "nobody would ever be told", hint)?;
        self.check_budget()?;
        self.check_quality()?;
        self.check_alerts()?;
        self.check_seasons()?;
        self.check_retrain()
    }

    fn check_budget(&self) -> Result<(), RulesError> {
        let budgets = [
            ("budget.per_device_year", self.budget.per_device_year),
            ("budget.per_cohort_year", self.budget.per_cohort_year),
        ];
        for (field, budget) in budgets {
            let off = !(budget > 0.0 && budget <= BUDGET_MAX);
            let because = "no chart keeps such a budget";
            let hint = format!("write a number above 0, up to {BUDGET_MAX}; 0.1 is usual");
            refuse(off, field, because, &hint)?;
        }
        Ok(())
    }

    fn check_quality(&self) -> Result<(), RulesError> {
        let Some(rule) = &self.quality else {
            return Ok(());
        };
        let (least, most) = BASELINE_DAYS;
        let share = |x: f64| x > 0.0 && x < 1.0;
        let wrong = [
            (!share(rule.drop_min), "drop_min", "above 0, below 1"),
            (
                !(rule.deviations_min >= 0.0 && rule.deviations_min.is_finite()),
                "deviations_min",
                "0 or more; 3.0 is usual",
            ),
            (
                rule.predictions_min < ESTIMATED_MIN,
                "predictions_min",
                "200 or more",
            ),
            (
                !(least..=most).contains(&rule.baseline_days),
                "baseline_days",
                "2 to 92 days; 14 is usual",
            ),
            (rule.labels_min < LABELS_MIN, "labels_min", "20 or more"),
            (
                !(rule.per_cohort_year > 0.0 && rule.per_cohort_year <= BUDGET_MAX),
                "per_cohort_year",
                "a number above 0, up to 1000; 0.1 is usual",
            ),
        ];
        for (is_wrong, field, hint) in wrong {
            let field = format!("quality.{field}");
            let because = "a fall would be found always or never, or rest on too little";
            refuse(is_wrong, &field, because, &format!("write {hint}"))?;
        }
        Ok(())
    }

    fn check_alerts(&self) -> Result<(), RulesError> {
        let because = format!("there are {}", self.alerts.len());
        let hint = format!("write at most {ROUTES_MAX}");
        refuse(self.alerts.len() > ROUTES_MAX, "alerts", &because, &hint)?;
        for (at, route) in self.alerts.iter().enumerate() {
            let hint = "name one cause at least, or leave the route out";
            let field = format!("alerts[{at}].causes");
            refuse(route.causes.is_empty(), &field, "there is none", hint)?;
        }
        Ok(())
    }

    fn check_seasons(&self) -> Result<(), RulesError> {
        let because = format!("there are {}", self.season.len());
        let hint = format!("write at most {SEASONS_MAX}");
        refuse(self.season.len() > SEASONS_MAX, "season", &because, &hint)?;
        for (at, season) in self.season.iter().enumerate() {
            let none = matches!(&season.features, Features::Named(names) if names.is_empty());
            let field = format!("season[{at}].features");
            let hint = "name one feature at least, or write \"all\"";
            refuse(none, &field, "there is none", hint)?;
        }
        Ok(())
    }

    fn check_retrain(&self) -> Result<(), RulesError> {
        let rule = &self.retrain;
        let share = |x: f64| x > 0.0 && x <= 1.0;
        let wrong = [
            (
                !(rule.psi_min > 0.0 && rule.psi_min.is_finite()),
                "psi_min",
                "above 0; 0.2 is usual",
            ),
            (!share(rule.p_max), "p_max", "above 0, up to 1"),
            (
                !share(rule.device_share_min),
                "device_share_min",
                "above 0, up to 1",
            ),
            (rule.samples_min < 200, "samples_min", "200 or more"),
            (
                !(1..=DAYS_MAX).contains(&rule.days),
                "days",
                "1 to 30 whole days",
            ),
            (
                rule.cooldown_days > COOLDOWN_DAYS_MAX,
                "cooldown_days",
                "at most 366",
            ),
            (
                rule.causes.is_empty(),
                "causes",
                "one cause at least, as [\"real_drift\"]",
            ),
        ];
        let drops = [
            (rule.estimated_auc_drop, "estimated_auc_drop"),
            (rule.estimated_accuracy_drop, "estimated_accuracy_drop"),
            (rule.measured_auc_drop, "measured_auc_drop"),
            (rule.measured_accuracy_drop, "measured_accuracy_drop"),
        ];
        let drops = drops.map(|(drop, field)| {
            let is_wrong = drop.is_some_and(|drop| !(drop > 0.0 && drop < 1.0));
            (is_wrong, field, "above 0, below 1; 0.03 is usual")
        });
        for (is_wrong, field, hint) in wrong.into_iter().chain(drops) {
            let field = format!("retrain.{field}");
            let because = "a retrain would be asked for always or never";
            refuse(is_wrong, &field, because, &format!("write {hint}"))?;
        }
        Ok(())
    }
}

fn refuse(wrong: bool, field: &str, because: &str, hint: &str) -> Result<(), RulesError> {
    if !wrong {
        return Ok(());
    }
    Err(RulesError {
        place: RulesPlace::Field(field.to_owned()),
        because: because.to_owned(),
        hint: hint.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{AppliedRules, Webhooks};
    use super::*;

    #[test]
    fn the_rules_that_come_with_the_program_are_read() {
        let rules = Rules::read(Rules::default_text()).expect("understood");
        assert_eq!(rules, Rules::default());
        assert_eq!(rules.alerts[0].webhooks, Webhooks::All);
        assert_eq!((rules.retrain.days, rules.retrain.cooldown_days), (3, 7));
        let applied = AppliedRules::read(0, Rules::default_text()).expect("understood");
        assert_eq!(applied, AppliedRules::default());
    }

    #[test]
    fn the_rules_in_the_documentation_are_those() {
        let text = include_str!("../../../../docs/incidents.md");
        let (_, rest) = text
            .split_once("```toml\n# The rules")
            .expect("it shows rules");
        let (shown, _) = rest.split_once("```").expect("it ends");
        assert_eq!(format!("# The rules{shown}"), Rules::default_text());
    }

    #[test]
    fn rules_from_before_quality_was_judged_are_read_and_judge_none() {
        let text = Rules::default_text();
        let (before, rest) = text.split_once("[quality]").expect("there");
        let (_, after) = rest.split_once("\n\n").expect("it ends");
        let rules = Rules::read(&format!("{before}\n{after}")).expect("understood");
        assert_eq!(rules.quality, None);
        let usual = Rules::default().quality;
        assert_eq!(usual, Some(crate::watch::QualityRule::default()));
    }

    const CAUSES: &str = "[\"real_drift\", \"estimated_quality_drop\", \"measured_quality_drop\"]";

    fn check_refused(line: &str, instead: &str, says: &[&str]) {
        let text = Rules::default_text();
        assert!(text.contains(line), "{line}");
        let error = Rules::read(&text.replacen(line, instead, 1)).expect_err(instead);
        let error = error.to_string();
        assert!(error.starts_with("failed to read the rules: "), "{error}");
        assert!(error.contains(": hint: "), "{error}");
        for says in says {
            assert!(error.contains(says), "{error}: {says}");
        }
    }

    /// The rules that come with the program, and this below them.
    fn with_season(text: &str) -> Result<Vec<super::super::Season>, RulesError> {
        let text = format!("{}\n[[season]]\n{text}", Rules::default_text());
        Rules::read(&text).map(|rules| rules.season)
    }

    #[test]
    fn seasons_are_read_and_may_be_left_out() {
        assert_eq!(Rules::default().season, []);
        let check = |text: &str, model: Option<&str>, features: &[&str]| {
            let seasons = with_season(text).expect(text);
            let rule = seasons[0].rule(7);
            assert_eq!(rule.model.as_ref().map(|of| of.as_str()), model, "{text}");
            assert_eq!(
                (rule.features, rule.hold_s),
                (features.iter().map(ToString::to_string).collect(), 7)
            );
        };
        let by = "by = \"hour_of_week\"";
        check(&format!("features = \"all\"\n{by}"), None, &[]);
        check(
            &format!("model = \"room\"\nfeatures = [\"co2\"]\n{by}"),
            Some("room"),
            &["co2"],
        );
        for (text, says) in [
            ("features = \"all\"\nby = \"moon\"", "moon"),
            ("features = \"all\"", "by"),
            (by, "features"),
            ("features = []\nby = \"hour_of_week\"", "season[0].features"),
            ("features = \"co2\"\nby = \"hour_of_week\"", "neither"),
            (
                "model = \"a b\"\nfeatures = \"all\"\nby = \"hour_of_week\"",
                "line ",
            ),
        ] {
            let error = with_season(text).expect_err(text).to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn errors_name_the_place_and_what_to_write() {
        check_refused("quiet_s = 86400", "", &["line ", "quiet_s"]);
        check_refused("quiet_s = 86400", "quiet_s = 1", &["quiet_s", "60 to"]);
        check_refused("quiet_s = ", "quite_s = ", &["line 5", "quite_s"]);
        check_refused("drop_min = 0.03", "drop_min = 0.0", &["quality.drop_min"]);
        check_refused("drop_min = 0.03", "", &["line ", "drop_min"]);
        check_refused("s_min = 3.0", "s_min = nan", &["quality.deviations_min"]);
        check_refused("s_min = 200", "s_min = 199", &["200 or more"]);
        check_refused("_days = 14", "_days = 1", &["quality.baseline_days"]);
        check_refused("labels_min = 100", "labels_min = 5", &["20 or more"]);
        check_refused("per_hour = 20", "per_hour = 0", &["storm_per_hour"]);
        check_refused("year = 0.1", "year = 0.0", &["budget.per_device_year"]);
        check_refused("year = 0.1", "year = nan", &["budget.per_device_year"]);
        check_refused("year = 0.1", "year = \"a\"", &["line 14"]);
        check_refused("\"stuck\"", "\"stock\"", &["line ", "stock", "real_drift"]);
        check_refused("webhooks = \"all\"", "webhooks = \"ops\"", &["\"all\""]);
        check_refused("webhooks = \"all\"", "webhooks = 5", &["\"all\""]);
        check_refused(CAUSES, "[]", &["retrain.causes"]);
        check_refused("psi_min = 0.2", "psi_min = -1.0", &["retrain.psi_min"]);
        check_refused("samples_min = 1000", "samples_min = 0", &["200 or more"]);
        check_refused(
            "auc_drop = 0.03",
            "auc_drop = 1.0",
            &["retrain.estimated_auc_drop"],
        );
        check_refused("days = 3", "days = 0", &["retrain.days"]);
        check_refused("p_max = 1e-6", "p_max = 2.0", &["retrain.p_max"]);
    }
}
