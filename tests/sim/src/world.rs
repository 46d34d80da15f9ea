//! A run: clients, writers, readers, the network and time take turns, as the dice say, until the faults stop and everything
//! must come to rest.

mod clients;
mod disks;
mod faults;
mod work;

use ledger::{Offset, Subject, partition_of};
use ledger_sim::{Faults, SeededRng, SimTopic};

use crate::Weakening;
use crate::counts::{Counts, What};
use crate::disk::{self, Disk};
use crate::node::{Node, P, PARTITIONS, Written};
use crate::oracle::Truth;
use crate::plan::{Act, Plan};
use crate::readers::Following;
use crate::requests::Requests;
use crate::trace::Trace;
use crate::violation::Checked;
use crate::violation::Invariant::{EveryCommandIsAnswered, OneAnswerInTime, WritersAgree};
use clients::Intent;

/// One line of the trace: step, time, who, what.
macro_rules! say {
    ($world:expr, $who:expr, $($what:tt)*) => {
        $world.trace.line(format_args!(
            "{:>5} {:>6} ms  {:<7} {}", $world.step, $world.now_ms, $who, format_args!($($what)*)
        ))
    };
}
use say;

/// How many turns everything has to come to rest once the faults stop, of 50 ms each.
const TURNS_TO_REST: u64 = 400;
/// And how many until every tail follows again: the longest rest of a failed one is five seconds.
const TURNS_TO_FOLLOW: u64 = 110;

pub(crate) struct World {
    dice: SeededRng,
    plan: Plan,
    weakened: Option<Weakening>,
    requests: Requests,
    step: u64,
    now_ms: u64,
    topic: SimTopic,
    nodes: Vec<Node>,
    /// How many writers there ever were.
    born: usize,
    nonces: u64,
    oracle: Truth,
    written: Written,
    intents: Vec<Intent>,
    readers: Vec<Following>,
    /// A copy of some writer's disk, from some time.
    backup: Option<Disk>,
    /// The step of the last compaction that took an effective record away.
    compacted_at: u64,
    has_holes: bool,
    /// How many tickets there were when the faults stopped.
    asked_under_faults: u64,
    counts: Counts,
    trace: Trace,
}

impl World {
    pub(crate) fn new(seed: u64, weakened: Option<Weakening>, trace: Trace) -> Self {
        disk::forget();
        let mut dice = SeededRng::new(seed);
        let plan = Plan::draw(&mut dice);
        let names = (0..).map(|n| Subject::parse(&format!("p{n}")).expect("a subject"));
        let here = names.filter(|subject| partition_of(subject.as_str(), PARTITIONS) == P);
        let subjects: Vec<_> = here.take(plan.products).collect();
        let mut world = Self {
            topic: SimTopic::new(PARTITIONS, dice.next(), plan.faults),
            oracle: Truth::new(subjects),
            dice,
            plan,
            weakened,
            requests: Requests::new(),
            step: 0,
            now_ms: 0,
            nodes: Vec::new(),
            born: 0,
            nonces: seed << 16,
            written: Written::default(),
            intents: Vec::new(),
            readers: Vec::new(),
            backup: None,
            compacted_at: 0,
            has_holes: false,
            asked_under_faults: u64::MAX,
            counts: Counts::default(),
            trace,
        };
        world.trace.line(format_args!("seed {seed}: {:?}", world.plan));
        world.readers.push(Following::start(0, world.plan.products, &mut world.counts));
        world
    }

    /// What the run leaves behind.
    pub(crate) fn end(self) -> (Counts, Trace) {
        (self.counts, self.trace)
    }

    pub(crate) fn play(&mut self) -> Checked {
        for number in 0..self.plan.writers {
            let disk = self.new_disk();
            let node = self.new_node(number, 1, disk);
            self.nodes.push(node);
            self.start(number)?;
        }
        for _ in 0..self.plan.steps {
            self.next_step();
            let act = self.plan.act(&mut self.dice);
            self.take_turn(act)?;
        }
        self.come_to_rest()?;
        self.check_at_rest()
    }

    fn next_step(&mut self) {
        self.step += 1;
        self.counts.count(What::Steps);
    }

    fn take_turn(&mut self, act: Act) -> Checked {
        let node = self.dice.index(self.nodes.len());
        match act {
            Act::Ask => return self.ask(node),
            Act::Network => return self.network().map(|_| ()),
            Act::Wake if self.is_awake(node) => return self.work(node),
            Act::Wake => {}
            Act::Tick => return self.tick(),
            Act::Crash => return self.crash(node),
            Act::Reset => return self.reset(node),
            Act::FailTail => self.fail_tail(node),
            Act::Registry => return self.registry(node, true),
            Act::Retail => self.follow_again(node),
            Act::Pause => self.pause(node),
            Act::Save => return self.spin(node),
            Act::Spawn => self.spawn_reader(),
            Act::Read => return self.read(),
            Act::PassOver => self.pass_over(),
            Act::Compact => return self.compact(),
            Act::Garbage => self.write_garbage(),
        }
        Ok(())
    }

    fn end_offset(&self) -> Offset {
        self.topic.end(P)
    }

    fn is_awake(&self, node: usize) -> bool {
        self.nodes[node].paused_until_ms <= self.now_ms
    }

    /// Time passes, for those who are awake: a paused writer is told late.
    fn tick(&mut self) -> Checked {
        self.now_ms += 1 + self.dice.below(60);
        say!(self, "clock", "ticks");
        for node in 0..self.nodes.len() {
            if self.is_awake(node) {
                self.tick_node(node)?;
            }
        }
        Ok(())
    }

    fn tick_node(&mut self, node: usize) -> Checked {
        let clock = self.nodes[node].clock(self.now_ms);
        let life = self.nodes[node].life();
        self.nodes[node].driver.tick(clock);
        self.carry_out(node, usize::MAX)?;
        if self.nodes[node].life() != life {
            return Ok(());
        }
        self.save(node);
        let late =
            self.nodes[node].open.iter().find(|t| self.oracle.tickets[**t as usize].deadline_ms <= clock);
        OneAnswerInTime.holds(late.is_none(), || format!("ticket {late:?} has no answer at its deadline"))
    }

    fn spawn_reader(&mut self) {
        if self.readers.len() < 6 {
            let start = self.dice.below(self.end_offset() as u64 + 1) as Offset;
            say!(self, format_args!("r{}", self.readers.len()), "starts at {start} without state");
            self.readers.push(Following::start(start, self.plan.products, &mut self.counts));
        }
    }

    fn read(&mut self) -> Checked {
        let at = self.dice.index(self.readers.len());
        let most = 1 + self.dice.index(12);
        self.read_on(at, most)
    }

    fn read_on(&mut self, at: usize, most: usize) -> Checked {
        let reader = &mut self.readers[at];
        let from = reader.position();
        reader.read(&self.topic, most, &self.oracle, &mut self.dice, &mut self.counts)?;
        say!(
            self,
            format_args!("r{at}"),
            "from {} judges {from}..{}",
            reader.start_offset(),
            reader.position()
        );
        Ok(())
    }

    /// The faults stop, and clients ask until they have an answer: then each has one soon.
    fn come_to_rest(&mut self) -> Checked {
        self.next_step();
        say!(self, "faults", "stop");
        self.topic.set_faults(Faults::NONE);
        (self.plan.lazy, self.plan.refused, self.plan.hasty) = (0, 0, 0);
        (self.plan.newer, self.plan.full_disks) = (0, 0);
        for node in 0..self.nodes.len() {
            self.nodes[node].paused_until_ms = 0;
            self.work(node)?;
        }
        // Tails that failed are started again, and schemas are told.
        for _ in 0..TURNS_TO_FOLLOW {
            self.quieten()?;
            self.turn_at_rest()?;
        }
        self.asked_under_faults = self.oracle.tickets.len() as u64;
        for _ in 0..TURNS_TO_REST {
            self.quieten()?;
            if self.all_are_settled() {
                return self.ask_everyone();
            }
            self.ask_all_again()?;
            self.turn_at_rest()?;
        }
        let waiting = self.intents.iter().filter(|intent| !intent.is_settled || intent.open > 0).count();
        Err(EveryCommandIsAnswered
            .broken(format!("{waiting} commands still have no answer long after the faults")))
    }

    /// Everything that is on its way arrives.
    fn quieten(&mut self) -> Checked {
        while self.network()? {
            self.next_step();
        }
        Ok(())
    }

    fn turn_at_rest(&mut self) -> Checked {
        self.now_ms += 50;
        self.next_step();
        (0..self.nodes.len()).try_for_each(|node| {
            self.registry(node, false)?;
            self.tick_node(node)
        })
    }

    /// Everybody has read everything, and it is what was acknowledged.
    fn check_at_rest(&mut self) -> Checked {
        self.next_step();
        let end = self.end_offset();
        for node in &self.nodes {
            WritersAgree.holds(node.next() == end, || {
                format!("{node} stands at {} at rest, the log ends at {end}", node.next())
            })?;
            let withheld = node.driver.sequencer().withheld_products();
            WritersAgree.holds(withheld == 0, || {
                format!("{node} knows all schemas, and withholds {withheld} products")
            })?;
        }
        self.readers.push(Following::start(0, self.plan.products, &mut self.counts));
        for _ in 0..4 {
            let start = self.dice.below(end as u64 + 1) as Offset;
            self.readers.push(Following::start(start, self.plan.products, &mut self.counts));
        }
        for at in 0..self.readers.len() {
            while self.readers[at].position() < end {
                let most = 1 + self.dice.index(12);
                self.read_on(at, most)?;
            }
        }
        self.oracle.is_what_the_log_says(&self.topic.records(P))?;
        let commands = self.intents.len();
        say!(self, "end", "{commands} commands, all answered; the log ends at {end}; all agree");
        Ok(())
    }
}
