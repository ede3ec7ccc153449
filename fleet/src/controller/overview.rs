//! One look at the fleet: counts over all devices, each model as it stands, one page of devices,
//! the newest incidents. What is shown as a page is put together here, from one state of the store.
//!
//! Changes nothing, and knows no HTML.

use std::collections::BTreeMap;

use muster_fleet::selector::{BadSelector, Selector};
use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;

use super::{Controller, Error};
use crate::standing::{Group, Standing};
use crate::store::{
    DeviceRow, Incident, ModelSummary, ModelSums, Presences, StandingCount, StoreError, Tx,
};

/// Devices of one page.
const DEVICES_MAX: usize = 100;
/// Windows of a device that its small chart shows, over all of its models.
const RECENT_WINDOWS_MAX: u32 = 48;
/// Models that are shown.
const MODELS_MAX: usize = 50;
/// Incidents that are shown.
const INCIDENTS_MAX: u32 = 20;
/// A device that was not heard for so long is stale, when it is not connected either.
pub(super) const STALE_AFTER_S: u64 = 3600;

/// The fleet as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FleetLook {
    /// Devices by connection.
    pub(crate) presences: Presences,
    /// Devices by group, over all models.
    pub(crate) groups: BTreeMap<Group, u64>,
    /// Models by name, the first of them.
    pub(crate) models: Vec<ModelLook>,
    /// All models.
    pub(crate) models_total: usize,
    /// All incidents ever raised.
    pub(crate) incidents_total: u64,
    /// The newest, the newest first.
    pub(crate) incidents: Vec<Incident>,
}

/// A model over the whole fleet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ModelLook {
    /// Its name.
    pub(crate) model: String,
    /// Devices by group.
    pub(crate) groups: BTreeMap<Group, u64>,
    /// Devices by what is wanted and what serves, most first.
    pub(crate) spread: Vec<Spread>,
    /// Rows predicted, errors and latency.
    pub(crate) sums: ModelSums,
}

/// Devices on which the same is wanted, the same serves, and stands the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spread {
    /// What is wanted.
    pub(crate) desired: Option<String>,
    /// What serves.
    pub(crate) active: Option<String>,
    /// How it stands.
    pub(crate) standing: Standing,
    /// How many.
    pub(crate) devices: u64,
}

/// Which devices are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WhichDevices {
    /// A selector, or part of an id or label; empty for all.
    pub(crate) query: String,
    /// Only those behind this id.
    pub(crate) after: Option<String>,
    /// Only the last ones before this id.
    pub(crate) before: Option<String>,
}

/// A page of devices.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct DevicesLook {
    /// Devices of the page.
    pub(crate) items: Vec<DeviceLook>,
    /// Devices that match.
    pub(crate) matching: usize,
    /// Those before this page.
    pub(crate) skipped: usize,
    /// Why nothing matches: the query is not understood.
    pub(crate) bad_query: Option<String>,
}

/// A device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeviceLook {
    /// As lists show it.
    pub(crate) device: DeviceRow,
    /// When anything that it signed came last, unix seconds.
    pub(crate) heard_at: Option<u64>,
    /// Whether that is long ago.
    pub(crate) is_stale: bool,
    /// Its models by name, with the predictions of the newest windows, the oldest first.
    pub(crate) models: Vec<(ModelSummary, Vec<u64>)>,
}

impl Controller {
    /// A number that is another one after each change.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn changes(&self) -> Result<i64, Error> {
        self.store.survey(|tx| Ok(tx.changes()?)).await
    }

    /// The fleet as a whole.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn look_at_fleet(&self, now: UnixSeconds) -> Result<FleetLook, Error> {
        self.store.survey(move |tx| Ok(fleet(tx, now)?)).await
    }

    /// A page of devices.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn look_at_devices(
        &self,
        which: WhichDevices,
        now: UnixSeconds,
    ) -> Result<DevicesLook, Error> {
        self.store
            .survey(move |tx| Ok(devices(tx, &which, now)?))
            .await
    }
}

fn fleet(tx: &Tx<'_>, now: UnixSeconds) -> Result<FleetLook, StoreError> {
    let heard_since = UnixSeconds(now.0.saturating_sub(STALE_AFTER_S));
    let (incidents_total, incidents) = tx.newest_incidents(INCIDENTS_MAX)?;
    Ok(FleetLook {
        presences: tx.presences(heard_since)?,
        incidents_total,
        incidents,
        ..of_models(models(tx.standings()?, tx.model_sums()?))
    })
}

/// Counts over all models, and the first of them.
fn of_models(mut models: Vec<ModelLook>) -> FleetLook {
    let mut groups = BTreeMap::new();
    for (group, devices) in models.iter().flat_map(|model| &model.groups) {
        *groups.entry(*group).or_default() += devices;
    }
    let models_total = models.len();
    models.truncate(MODELS_MAX);
    FleetLook {
        groups,
        models,
        models_total,
        ..FleetLook::default()
    }
}

/// Counts come in the order of their models.
fn models(counts: Vec<StandingCount>, mut sums: BTreeMap<String, ModelSums>) -> Vec<ModelLook> {
    let mut models: BTreeMap<String, ModelLook> = BTreeMap::new();
    for count in counts {
        let said = count.step_version.as_deref().zip(count.step.as_deref());
        let (desired, active) = (count.desired_version, count.active_version);
        let standing = Standing::of(desired.as_deref(), active.as_deref(), said);
        let model = models.entry(count.model).or_default();
        let Some(group) = standing.group() else {
            continue;
        };
        *model.groups.entry(group).or_default() += count.devices;
        add(
            &mut model.spread,
            Spread {
                desired,
                active,
                standing,
                devices: count.devices,
            },
        );
    }
    let whole = models.into_iter().map(|(name, mut model)| {
        model
            .spread
            .sort_by_key(|spread| std::cmp::Reverse(spread.devices));
        model.sums = sums.remove(&name).unwrap_or_default();
        model.model = name;
        model
    });
    whole.collect()
}

fn add(spread: &mut Vec<Spread>, more: Spread) {
    let same = |one: &&mut Spread| {
        (&one.desired, &one.active, one.standing) == (&more.desired, &more.active, more.standing)
    };
    match spread.iter_mut().find(same) {
        Some(one) => one.devices += more.devices,
        None => spread.push(more),
    }
}

fn devices(tx: &Tx<'_>, which: &WhichDevices, now: UnixSeconds) -> Result<DevicesLook, StoreError> {
    let matching = match names(tx, &which.query)? {
        Ok(names) => names,
        Err(bad) => {
            let bad_query = Some(bad.to_string());
            return Ok(DevicesLook {
                bad_query,
                ..DevicesLook::default()
            });
        }
    };
    let range = page(&matching, which);
    let skipped = range.start;
    let items = matching[range]
        .iter()
        .filter_map(|name| device(tx, name, now).transpose());
    Ok(DevicesLook {
        items: items.collect::<Result<_, _>>()?,
        matching: matching.len(),
        skipped,
        bad_query: None,
    })
}

/// The ids that match, in order.
fn names(tx: &Tx<'_>, query: &str) -> Result<Result<Vec<String>, BadSelector>, StoreError> {
    let query = query.trim();
    if query.is_empty() {
        return Ok(Ok(tx.device_names()?));
    }
    let matches = match matcher(query) {
        Ok(matches) => matches,
        Err(bad) => return Ok(Err(bad)),
    };
    let inventory = tx.inventory()?.into_iter();
    let matching = inventory.filter(|(device, labels)| matches(device, labels));
    Ok(Ok(matching.map(|(device, _)| device.to_string()).collect()))
}

type Labels = BTreeMap<String, String>;
type Matcher = Box<dyn Fn(&DeviceId, &Labels) -> bool>;

/// A query with a sign of a selector is one; another is looked for in ids and labels.
fn matcher(query: &str) -> Result<Matcher, BadSelector> {
    if query.contains(['=', '!', ',']) {
        let selector: Selector = query.parse()?;
        return Ok(Box::new(move |device, labels| {
            selector.matches(device, labels)
        }));
    }
    let part = query.to_owned();
    Ok(Box::new(move |device, labels| {
        let mut words = labels.iter().flat_map(|(key, value)| [key, value]);
        device.as_str().contains(&part) || words.any(|word| word.contains(&part))
    }))
}

/// Where the page lies among names that are in order.
fn page(names: &[String], which: &WhichDevices) -> std::ops::Range<usize> {
    if let Some(before) = &which.before {
        let end = names.partition_point(|name| name < before);
        return end.saturating_sub(DEVICES_MAX)..end;
    }
    let after = which.after.as_deref().unwrap_or_default();
    let start = names.partition_point(|name| name.as_str() <= after);
    start..names.len().min(start + DEVICES_MAX)
}

fn device(tx: &Tx<'_>, name: &str, now: UnixSeconds) -> Result<Option<DeviceLook>, StoreError> {
    // Ids were parsed when they enrolled.
    let Ok(id) = DeviceId::parse(name) else {
        return Ok(None);
    };
    let Some(device) = tx.device(&id)? else {
        return Ok(None);
    };
    let mut windows = tx.recent_windows(&id, RECENT_WINDOWS_MAX)?;
    windows.reverse();
    let models = tx.models_of(name)?;
    let heard = windows.iter().map(|window| window.received_at);
    let heard = heard.chain(models.iter().filter_map(|model| model.step_at));
    let heard_at = heard.chain(device.last_seen).max();
    let with_recent = |model: ModelSummary| {
        let own = windows.iter().filter(|window| window.model == model.model);
        let calls = own.map(|window| window.calls).collect();
        (model, calls)
    };
    let models = models.into_iter().map(with_recent).collect();
    let is_stale = heard_at.is_some_and(|at| at.saturating_add(STALE_AFTER_S) < now.0);
    Ok(Some(DeviceLook {
        device,
        heard_at,
        is_stale,
        models,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count)
            .map(|number| format!("press-{number:04}"))
            .collect()
    }

    #[test]
    fn a_page_lies_behind_or_before_an_id_that_need_not_exist() {
        let all = names(250);
        let check = |after: Option<&str>, before: Option<&str>, expect| {
            let which = WhichDevices {
                query: String::new(),
                after: after.map(str::to_owned),
                before: before.map(str::to_owned),
            };
            assert_eq!(page(&all, &which), expect, "{which:?}");
        };
        check(None, None, 0..100);
        check(Some("press-0099"), None, 100..200);
        check(Some("press-0199"), None, 200..250);
        check(Some("z"), None, 250..250);
        check(None, Some("press-0200"), 100..200);
        check(None, Some("press-0050"), 0..50);
        check(None, Some("a"), 0..0);
    }

    #[test]
    fn a_query_is_a_selector_or_part_of_a_name() {
        let device = DeviceId::parse("press-07").expect("valid");
        let labels = BTreeMap::from([("site".to_owned(), "berlin".to_owned())]);
        let check = |query: &str, expect: Option<bool>| {
            let found = matcher(query).ok().map(|matches| matches(&device, &labels));
            assert_eq!(found, expect, "{query}");
        };
        check("07", Some(true));
        check("berl", Some(true));
        check("site", Some(true));
        check("paris", Some(false));
        check("site=berlin", Some(true));
        check("site=berlin,device=press-08", Some(false));
        check("!site", Some(false));
        check("site=<script>", None);
    }

    #[test]
    fn standings_are_counted_by_group_and_spread() {
        let count = |desired: &str, active: Option<&str>, said: Option<(&str, &str)>, devices| {
            StandingCount {
                model: "bearing".to_owned(),
                desired_version: Some(desired.to_owned()),
                active_version: active.map(str::to_owned),
                step_version: said.map(|(version, _)| version.to_owned()),
                step: said.map(|(_, step)| step.to_owned()),
                devices,
            }
        };
        let counts = vec![
            count("2.0.0", None, None, 1),
            count("2.0.0", Some("1.0.0"), Some(("1.0.0", "committed")), 2),
            count("2.0.0", Some("1.0.0"), Some(("1.0.0", "recovered")), 3),
            count("2.0.0", Some("2.0.0"), Some(("2.0.0", "committed")), 4),
            count("2.0.0", Some("1.0.0"), Some(("2.0.0", "reverted")), 5),
        ];
        let models = models(counts, BTreeMap::new());
        let [model] = models.as_slice() else {
            panic!("{models:?}");
        };
        let groups = [
            (Group::OnDesired, 4),
            (Group::Behind, 6),
            (Group::Failed, 5),
        ];
        assert_eq!(model.groups, BTreeMap::from(groups));
        let spread: Vec<_> = model
            .spread
            .iter()
            .map(|s| (s.standing, s.devices))
            .collect();
        // Two rows that say the same are one.
        let expect = [
            (Standing::Waiting, 5),
            (Standing::Reverted, 5),
            (Standing::OnDesired, 4),
            (Standing::Waiting, 1),
        ];
        assert_eq!(spread, expect);
    }
    #[test]
    fn models_that_are_not_shown_are_counted() {
        let model = |number: usize| ModelLook {
            model: format!("model-{number:02}"),
            groups: BTreeMap::from([(Group::OnDesired, 3), (Group::Failed, 1)]),
            ..ModelLook::default()
        };
        let total = MODELS_MAX + 2;
        let look = of_models((0..total).map(model).collect());
        assert_eq!((look.models.len(), look.models_total), (MODELS_MAX, total));
        let devices = total as u64;
        let groups = [(Group::OnDesired, 3 * devices), (Group::Failed, devices)];
        assert_eq!(look.groups, BTreeMap::from(groups));
    }
}
