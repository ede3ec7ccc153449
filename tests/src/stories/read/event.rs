//! Reads one line of a timeline.
//!
//! Never looks at the lines around it.

use muster_fleet::gate::Share;
use muster_fleet::planner::Command;
use muster_protocol::id::Version;

use super::super::script::{Act, Asked, Does, Event, Fate, Given, Habit, Outcome, Traffic};
use super::words::{Words, Wrong, parsed};

const EVENTS: &str = "write one of: NAME applies POLICY; NAME approves|pauses|resumes|promotes|aborts|rolls-back|\
     retries [N]: REASON; explain rollout [N]; explain DEVICE; label|unlabel GROUP KEY[=VALUE]; \
     join DEVICES …; on VERSION GROUP commits|refuses|reverts|degrades|hangs|answers …; GROUP \
     dies|returns|leaves|reverts|degrades|counted …; broker swallows|delivers GROUP; controller \
     backed-up|restored; clock ahead|back SPAN";
const TRAFFIC: &str = "write `1000, 3 % errors, 2 % late, classes 50/30/20`; all but the number \
                       of requests may be left out";
const CODE: &str = "write the reason of the receipt, such as `wrong_output`";

/// Reads it.
pub(super) fn read(line: &str) -> Result<Event, Wrong> {
    let mut words = Words::of(line);
    match words.peek() {
        Some("explain") => explain(words.skip()),
        Some("label") => label(words.skip()),
        Some("unlabel") => {
            let group = words.skip().group()?;
            let key = words.next("write the name of the label")?.to_owned();
            words.end()?;
            Ok(Event::Unlabel(group, key))
        }
        Some("join") => Ok(Event::Join(super::devices(words.skip())?)),
        Some("on") => habit(words.skip()),
        Some("broker") => broker(words.skip()),
        Some("controller") => controller(words.skip()),
        Some("clock") => clock(words.skip()),
        _ => somebody(line, words),
    }
}

fn explain(words: &mut Words<'_>) -> Result<Event, Wrong> {
    let hint = "write `explain rollout`, `explain rollout 2` or `explain press-07`";
    let asked = match words.next(hint)? {
        "rollout" => {
            let number = words.peek().map(|number| parsed(number, hint));
            words.skip();
            Asked::Rollout(number.transpose()?)
        }
        device => Asked::Device(device.to_owned()),
    };
    words.end()?;
    Ok(Event::Explain(asked))
}

fn label(words: &mut Words<'_>) -> Result<Event, Wrong> {
    let group = words.group()?;
    let hint = "write a label such as `link=metered`";
    let written = words.next(hint)?.split_once('=');
    let (key, value) = written.ok_or_else(|| Wrong::new("it is no label", hint))?;
    words.end()?;
    Ok(Event::Label(group, key.to_owned(), value.to_owned()))
}

fn habit(words: &mut Words<'_>) -> Result<Event, Wrong> {
    let hint = "write `on 2.0.0 GROUP commits in 40 s`, or another end, or `answers 1000, …`";
    let version = parsed::<Version>(words.next(hint)?, hint)?;
    let group = words.group()?;
    let verb = words.next(hint)?;
    let does = if verb == "answers" {
        Does::Answers(traffic(words)?)
    } else {
        let outcome = outcome(verb, words)?;
        let after_s = match words.peek() {
            Some("in") => Some(words.skip().span()?),
            _ => None,
        };
        Does::Ends(outcome, after_s)
    };
    words.end()?;
    Ok(Event::Habit(Habit {
        version,
        group,
        does,
    }))
}

fn outcome(verb: &str, words: &mut Words<'_>) -> Result<Outcome, Wrong> {
    let mut code = || words.next(CODE).map(str::to_owned);
    Ok(match verb {
        "commits" => Outcome::Commits,
        "hangs" => Outcome::Hangs,
        "refuses" => Outcome::Refuses(code()?),
        "reverts" => Outcome::Reverts(code()?),
        "degrades" => Outcome::Degrades(code()?),
        _ => return Err(Wrong::new(format!("{verb:?} is not understood"), EVENTS)),
    })
}

/// `1000, 3 % errors, 2 % late, classes 50/30/20`.
fn traffic(words: &mut Words<'_>) -> Result<Traffic, Wrong> {
    let requests = words.next(TRAFFIC)?.trim_end_matches(',');
    let mut traffic = Traffic {
        requests: parsed(requests, TRAFFIC)?,
        errors: Share::ZERO,
        late: Share::ZERO,
        classes: Vec::new(),
    };
    while let Some(word) = words.peek() {
        if word == "classes" {
            let parts = words.skip().next(TRAFFIC)?.trim_end_matches(',').split('/');
            let parts = parts.map(|part| parsed(part, TRAFFIC));
            traffic.classes = parts.collect::<Result<_, _>>()?;
            continue;
        }
        let share = words.percent()?;
        match words.next(TRAFFIC)?.trim_end_matches(',') {
            "errors" => traffic.errors = share,
            "late" => traffic.late = share,
            other => return Err(Wrong::new(format!("{other:?} is not counted"), TRAFFIC)),
        }
    }
    Ok(traffic)
}

fn broker(words: &mut Words<'_>) -> Result<Event, Wrong> {
    let hint = "write `broker swallows GROUP` or `broker delivers GROUP`";
    let act = match words.next(hint)? {
        "swallows" => Act::Swallowed,
        "delivers" => Act::Delivered,
        other => return Err(Wrong::new(format!("{other:?} is not understood"), hint)),
    };
    let group = words.group()?;
    words.end()?;
    Ok(Event::Devices(group, act))
}

fn controller(words: &mut Words<'_>) -> Result<Event, Wrong> {
    let hint = "write `controller backed-up` or `controller restored`";
    let fate = match words.next(hint)? {
        "backed-up" => Fate::BackedUp,
        "restored" => Fate::Restored,
        other => return Err(Wrong::new(format!("{other:?} is not understood"), hint)),
    };
    words.end()?;
    Ok(Event::Controller(fate))
}

fn clock(words: &mut Words<'_>) -> Result<Event, Wrong> {
    let hint = "write `clock ahead 2 h` or `clock back 2 h`";
    let sign = match words.next(hint)? {
        "ahead" => 1,
        "back" => -1,
        other => return Err(Wrong::new(format!("{other:?} is not understood"), hint)),
    };
    let span = i64::try_from(words.span()?).map_err(|_| Wrong::new("it is too long", hint))?;
    words.end()?;
    Ok(Event::Controller(Fate::Jumps(sign * span)))
}

/// A person by name, or devices: the second word tells them apart.
fn somebody(line: &str, mut words: Words<'_>) -> Result<Event, Wrong> {
    let (head, reason) = line.split_once(':').unwrap_or((line, ""));
    let mut people = Words::of(head);
    let operator = people.next(EVENTS)?.to_owned();
    let verb = people.next(EVENTS)?;
    if verb == "applies" {
        let policy = people.next("write the name of a policy")?.to_owned();
        people.end()?;
        return Ok(Event::Apply { policy });
    }
    let Some(command) = command(verb) else {
        let group = words.group()?;
        let verb = words.next(EVENTS)?;
        let act = act(verb, &mut words)?;
        words.end()?;
        return Ok(Event::Devices(group, act));
    };
    let hint = "write the number of a rollout, or none, and `: REASON`";
    let rollout = people.peek().map(|number| parsed(number, hint));
    people.skip().end()?;
    Ok(Event::Order(Given {
        command,
        rollout: rollout.transpose()?,
        operator,
        reason: reason.trim().to_owned(),
    }))
}

fn command(verb: &str) -> Option<Command> {
    Some(match verb {
        "approves" => Command::Approve,
        "pauses" => Command::Pause,
        "resumes" => Command::Resume,
        "promotes" => Command::Promote,
        "aborts" => Command::Abort,
        "rolls-back" => Command::Rollback,
        "retries" => Command::Retry,
        _ => return None,
    })
}

fn act(verb: &str, words: &mut Words<'_>) -> Result<Act, Wrong> {
    Ok(match verb {
        "dies" | "die" => Act::Die,
        "returns" | "return" => Act::Return,
        "leaves" | "leave" => Act::Leave,
        "counted" => Act::Counted(traffic(words)?),
        "reverts" | "revert" => Act::Ends(outcome("reverts", words)?),
        "degrades" | "degrade" => Act::Ends(outcome("degrades", words)?),
        "commits" | "commit" => Act::Ends(outcome("commits", words)?),
        _ => return Err(Wrong::new(format!("{verb:?} is not understood"), EVENTS)),
    })
}
