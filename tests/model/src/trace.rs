//! Runs as a person reads them: one line for each thing that happened, and what came of it.

use std::fmt::Write as _;

use stateright::Path;

use crate::model::Action;
use crate::scene::Scene;
use crate::state::{Fate, Name, State};

/// The run as numbered lines; the last says which promise does not hold, if one does not.
pub fn trace(scene: &Scene, path: Path<State, Action>) -> String {
    let mut text = String::new();
    let steps = path.into_vec();
    for (n, (before, action)) in steps.iter().enumerate() {
        let Some(action) = action else { break };
        let after = &steps[n + 1].0;
        writeln!(
            text,
            "{:>3}. {}{}",
            n + 1,
            says(scene, before, *action),
            consequences(scene, before, after)
        )
        .expect("a string takes any text");
    }
    if let Some((promise, problem)) = steps.last().and_then(|(state, _)| state.wrong.as_ref()) {
        writeln!(text, "     It is not so that {}: {problem}", promise.text())
            .expect("a string takes any text");
    }
    text
}

fn says(scene: &Scene, state: &State, action: Action) -> String {
    let record = |name: &Name| {
        state.flying.get(name).map_or_else(String::new, |flying| {
            format!("writer {}'s record {}", name.writer, short(&flying.record.key))
        })
    };
    match action {
        Action::Ask { request, writer } => {
            let again = if Scene::submissions(state, request) > 0 { " again" } else { "" };
            format!("writer {writer} is asked{again}: {}", wanted(scene, Scene::ticket(request, 0)))
        }
        Action::Land(name) => format!("{} lands at offset {}", record(&name), state.end),
        Action::LandAndStay(name) => {
            format!("{} lands at offset {}, and a copy of it is in flight", record(&name), state.end)
        }
        Action::LandUnheard(name) => {
            format!("{} lands at offset {}, and is sent again", record(&name), state.end)
        }
        Action::TimeOut(name) => format!("{} times out, still in flight", record(&name)),
        Action::Report { writer, append } => {
            match state.writers[writer].reports.get(&append).copied().flatten() {
                Some(offset) => format!("writer {writer} hears that its record stands at offset {offset}"),
                None => format!("writer {writer} hears that its record's outcome is unknown"),
            }
        }
        Action::End { writer, request } => {
            let end = state.writers[writer].ends.get(&request).copied().unwrap_or_default();
            format!("writer {writer} hears that the log ended at {end} when it asked")
        }
        Action::Tail { writer } => {
            let tail = state.writers[writer].tail;
            match state.log.iter().find(|landed| landed.offset >= tail) {
                Some(landed) => format!(
                    "the tail shows writer {writer} the record {} at offset {}",
                    short(&landed.record.key),
                    landed.offset
                ),
                None => {
                    format!("the tail shows writer {writer} that there is nothing more below {}", state.end)
                }
            }
        }
        Action::Second { writer } => format!("a second passes for writer {writer}"),
        Action::Deadline { writer } => format!("every deadline passes for writer {writer}"),
        Action::Crash { writer } => format!("writer {writer} dies and starts anew"),
        Action::Reset { writer } => format!("writer {writer} throws its state away"),
        Action::Jump => format!("the log goes on to {} without our products", state.end + ledger::WINDOW),
    }
}

/// Answers and appends that the step led to.
fn consequences(scene: &Scene, before: &State, after: &State) -> String {
    let mut text = String::new();
    for (ticket, now) in &after.tickets {
        if now.fate != Fate::Waits && before.tickets.get(ticket).is_none_or(|was| was.fate != now.fate) {
            let fate = format!("{:?}", now.fate).to_lowercase();
            write!(text, " -> \"{}\": {fate}", wanted(scene, *ticket)).expect("a string takes any text");
        }
    }
    for (name, flying) in after.flying.iter().filter(|(name, _)| !before.flying.contains_key(name)) {
        write!(text, " -> writer {} appends {}", name.writer, short(&flying.record.key))
            .expect("a string takes any text");
    }
    text
}

fn wanted(scene: &Scene, ticket: u64) -> String {
    let request = scene.request(ticket);
    let expecting = request.expected.map_or_else(String::new, |version| format!(" at version {version}"));
    format!("{:?} {}{expecting}", request.order, request.product).to_lowercase()
}

/// A key without its event id: product, version and basis tell what matters.
fn short(key: &[u8]) -> &str {
    let key = std::str::from_utf8(key).unwrap_or("not text");
    key.rsplit_once('/').map_or(key, |(short, _)| short)
}
