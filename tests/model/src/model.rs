//! Every order in which a scene can happen, as a stateright model: what may happen next, and what it makes of the state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ledger::{AppendId, Output, WINDOW};
use stateright::{Model, Property};

use crate::check::{self, Promise};
use crate::product::Shelf;
use crate::scene::Scene;
use crate::state::{Fate, Flying, Heard, Landed, Name, Record, State, Ticket, Writer};
use crate::writer::listen;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A client asks for its request, the first time or again.
    Ask {
        request: usize,
        writer: usize,
    },
    /// A record lands, and its report is in flight.
    Land(Name),
    /// It lands and its report is in flight; a copy of it is still on its way, too.
    LandAndStay(Name),
    /// It lands, but the producer does not learn it and sends it again.
    LandUnheard(Name),
    /// The writer gives up waiting for a report. The record may still land.
    TimeOut(Name),
    /// A report reaches its writer.
    Report {
        writer: usize,
        append: AppendId,
    },
    /// The log's end, as it was when the writer asked, reaches it.
    End {
        writer: usize,
        request: u64,
    },
    /// The tail shows a writer what comes next.
    Tail {
        writer: usize,
    },
    /// A second passes for a writer.
    Second {
        writer: usize,
    },
    /// Every deadline passes for a writer.
    Deadline {
        writer: usize,
    },
    Crash {
        writer: usize,
    },
    Reset {
        writer: usize,
    },
    /// The log goes on by a whole window without our products.
    Jump,
}

impl Model for Scene {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let writer = Writer { heard: vec![Heard::CatchUp(0)], ..Writer::default() };
        vec![State { writers: vec![writer; self.writers], ..State::default() }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.wrong.is_some() {
            return;
        }
        let (spent, bounds) = (&state.spent, &self.bounds);
        for (request, wanted) in self.requests.iter().enumerate() {
            if Self::submissions(state, request) == 0 {
                actions.push(Action::Ask { request, writer: wanted.at });
            } else if spent.retries < bounds.retries {
                actions.extend((0..self.writers).map(|writer| Action::Ask { request, writer }));
            }
        }
        for (name, flying) in &state.flying {
            actions.push(Action::Land(*name));
            if flying.is_orphan {
                continue;
            }
            if spent.timeouts < bounds.timeouts {
                actions.push(Action::TimeOut(*name));
            }
            if spent.copies < bounds.copies {
                actions.extend([Action::LandAndStay(*name), Action::LandUnheard(*name)]);
            }
        }
        for (writer, it) in state.writers.iter().enumerate() {
            actions.extend(it.reports.keys().map(|append| Action::Report { writer, append: *append }));
            actions.extend(it.ends.keys().map(|request| Action::End { writer, request: *request }));
            let each = [
                (it.tail < state.end, Action::Tail { writer }),
                (it.is_backing_off, Action::Second { writer }),
                (spent.deadlines < bounds.deadlines, Action::Deadline { writer }),
                (spent.crashes < bounds.crashes, Action::Crash { writer }),
                (spent.resets < bounds.resets, Action::Reset { writer }),
            ];
            actions.extend(each.into_iter().filter_map(|(may, action)| may.then_some(action)));
        }
        if spent.jumps < bounds.jumps {
            actions.push(Action::Jump);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Ask { request, writer } => self.ask(&mut state, request, writer),
            Action::Land(name) => {
                let flying = state.flying.remove(&name)?;
                self.land(&mut state, name, &flying.record, !flying.is_orphan);
            }
            Action::LandAndStay(name) => {
                state.spent.copies += 1;
                let flying = state.flying.get_mut(&name)?;
                flying.is_orphan = true;
                let record = Arc::clone(&flying.record);
                self.land(&mut state, name, &record, true);
            }
            Action::LandUnheard(name) => {
                state.spent.copies += 1;
                let record = Arc::clone(&state.flying.get(&name)?.record);
                self.land(&mut state, name, &record, false);
            }
            Action::TimeOut(name) => {
                state.spent.timeouts += 1;
                state.flying.get_mut(&name)?.is_orphan = true;
                state.writers[name.writer].reports.insert(name.append, None);
            }
            Action::Report { writer, append } => {
                let offset = state.writers[writer].reports.remove(&append)?;
                state.writers[writer].is_backing_off |= offset.is_none();
                self.report(&mut state, writer, Heard::Report(append, offset));
            }
            Action::End { writer, request } => {
                let end = state.writers[writer].ends.remove(&request)?;
                self.report(&mut state, writer, Heard::End(request, end));
            }
            Action::Tail { writer } => self.show(&mut state, writer),
            Action::Second { writer } => {
                state.writers[writer].is_backing_off = false;
                self.report(&mut state, writer, Heard::Second);
            }
            Action::Deadline { writer } => {
                state.spent.deadlines += 1;
                self.report(&mut state, writer, Heard::Deadline);
            }
            Action::Crash { writer } => crash(&mut state, writer),
            Action::Reset { writer } => {
                state.spent.resets += 1;
                state.writers[writer].tail = 0;
                let end = state.end;
                self.report(&mut state, writer, Heard::Reset(end));
            }
            Action::Jump => {
                state.spent.jumps += 1;
                state.end += WINDOW;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn kept(state: &State, promise: Promise) -> bool {
            state.wrong.as_ref().is_none_or(|(broken, _)| *broken != promise)
        }
        let mut properties = vec![
            Property::always(Promise::Gapless.text(), |_, s| kept(s, Promise::Gapless)),
            Property::always(Promise::OneEffect.text(), |_, s| kept(s, Promise::OneEffect)),
            Property::always(Promise::DecidedOnTheStateBefore.text(), |_, s| {
                kept(s, Promise::DecidedOnTheStateBefore)
            }),
            Property::always(Promise::AcknowledgedIsEffective.text(), |_, s| {
                kept(s, Promise::AcknowledgedIsEffective)
            }),
            Property::always(Promise::AnswersAreTrue.text(), |_, s| kept(s, Promise::AnswersAreTrue)),
            Property::always(Promise::ReadersAgree.text(), |_, s| kept(s, Promise::ReadersAgree)),
            Property::always(Promise::NoAlarm.text(), |_, s| kept(s, Promise::NoAlarm)),
        ];
        properties.extend(self.sights.iter().map(|(name, seen)| Property::sometimes(name, *seen)));
        properties
    }
}

impl Scene {
    fn ask(&self, state: &mut State, request: usize, writer: usize) {
        let nth = Self::submissions(state, request);
        state.spent.retries += u8::from(nth > 0);
        let ticket = Self::ticket(request, nth);
        state.tickets.insert(ticket, Ticket { writer, arrived: state.end, fate: Fate::Waits });
        self.report(state, writer, Heard::Command(ticket));
    }

    fn land(&self, state: &mut State, name: Name, record: &Arc<Record>, is_reported: bool) {
        let offset = state.end;
        state.log.push(Landed { offset, record: Arc::clone(record) });
        state.end += 1;
        if is_reported {
            state.writers[name.writer].reports.insert(name.append, Some(offset));
        }
        if let Err(broken) = check::log(self, state) {
            state.wrong = Some(broken);
        }
    }

    /// The tail shows the next record; behind the last one, how far the log goes.
    fn show(&self, state: &mut State, writer: usize) {
        let tail = state.writers[writer].tail;
        let (heard, tail) = match state.log.iter().position(|landed| landed.offset >= tail) {
            Some(index) => (Heard::Record(index), state.log[index].offset + 1),
            None => (Heard::Position(state.end), state.end),
        };
        state.writers[writer].tail = tail;
        self.report(state, writer, heard);
    }

    /// A writer hears something and acts on it.
    fn report(&self, state: &mut State, writer: usize, heard: Heard) {
        state.writers[writer].heard.push(heard);
        // A broken law may trip an assertion: that is found, too.
        let heard = catch_unwind(AssertUnwindSafe(|| listen(self, state, writer)));
        let Ok((driver, outputs)) = heard else {
            state.wrong = Some((Promise::NoAlarm, format!("an assertion of writer {writer} failed")));
            return;
        };
        let carried_out = outputs
            .iter()
            .try_for_each(|(output, ticket)| self.carry_out(state, writer, output, *ticket))
            .and_then(|()| check::writer(state, writer, driver.sequencer()));
        if let Err(broken) = carried_out {
            state.wrong = Some(broken);
        }
    }

    fn carry_out(
        &self,
        state: &mut State,
        writer: usize,
        output: &Output<Shelf>,
        ticket: Option<u64>,
    ) -> Result<(), (Promise, String)> {
        match output {
            Output::Append(append) => {
                let ticket = ticket.ok_or_else(|| {
                    (Promise::AnswersAreTrue, "an append for a command that is answered".to_owned())
                })?;
                let name = Name { writer, life: state.writers[writer].life, append: append.append_id };
                let (key, event) = (append.key.to_string().into(), append.event);
                let record = Arc::new(Record { key, event, ticket });
                state.flying.insert(name, Flying { record, is_orphan: false });
                Ok(())
            }
            Output::AskEndOffset { request } => {
                // The log's end may be behind this one when the answer comes, so an early look is the hardest case.
                state.writers[writer].ends.insert(*request, state.end);
                Ok(())
            }
            Output::Answer { context: ticket, answer } => {
                let asked = state.tickets[ticket];
                if asked.fate != Fate::Waits {
                    return Err((Promise::AnswersAreTrue, format!("a second answer: {answer:?}")));
                }
                let fate = check::answer(self, state, *ticket, asked, answer)?;
                state.tickets.insert(*ticket, Ticket { writer: 0, arrived: 0, fate });
                Ok(())
            }
            other => check::alarm(other),
        }
    }
}

/// The process dies. What it sent may still land, but it hears of nothing any more.
fn crash(state: &mut State, writer: usize) {
    state.spent.crashes += 1;
    let dead = &mut state.writers[writer];
    *dead = Writer { life: dead.life + 1, heard: vec![Heard::CatchUp(state.end)], ..Writer::default() };
    for flying in state.flying.iter_mut().filter(|(name, _)| name.writer == writer).map(|(_, flying)| flying)
    {
        flying.is_orphan = true;
    }
    for ticket in state.tickets.values_mut().filter(|t| t.writer == writer && t.fate == Fate::Waits) {
        *ticket = Ticket { writer: 0, arrived: 0, fate: Fate::Lost };
    }
}
