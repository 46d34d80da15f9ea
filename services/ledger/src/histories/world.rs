//! A history: clients, writers, the network and time take turns, as the dice say. Everything asked and answered is
//! written down with the end of the log at that moment.

use uuid::Uuid;

use super::disks::Disks;
use super::node::{Disk, Node, P};
use super::shop::{No, Order, Shop, hash_of};
use crate::laws::{Law, Laws};
use crate::sim::{Dice, Faults, SimTopic};
use crate::{
    Answer, CommandHash, CommandId, Expected, Limits, LogRecord, Offset, Output, Subject, Submission,
};

/// A command as a client saw it.
pub(super) struct Asked {
    pub(super) node: usize,
    pub(super) subject: Subject,
    pub(super) command_id: CommandId,
    pub(super) command_hash: CommandHash,
    pub(super) expected: Expected,
    pub(super) order: Order,
    /// The end of the log when it came.
    pub(super) arrived: Offset,
    pub(super) appends: Vec<Uuid>,
    /// And the end of the log when the answer came.
    pub(super) answer: Option<(Answer<No>, Offset)>,
    /// Its writer died first.
    pub(super) lost: bool,
}

pub(super) struct World {
    dice: Dice,
    now_ms: u64,
    pub(super) topic: SimTopic,
    pub(super) nodes: Vec<Node>,
    pub(super) subjects: Vec<Subject>,
    pub(super) asked: Vec<Asked>,
    /// What no correct writer causes.
    pub(super) alarms: Vec<String>,
    pub(super) disks: Disks,
    laws: Laws,
    pub(super) window: i64,
    limits: Limits,
    nonces: u64,
    steps: u64,
}

impl World {
    pub(super) fn new(seed: u64, broken: Option<Law>) -> Self {
        let mut dice = Dice::new(seed);
        let mut often = |percent: u64| if dice.percent(60) { dice.below(percent + 1) } else { 0 };
        let faults = Faults {
            lost: often(15),
            unknown: often(15),
            twice: often(10),
            late_copy: often(97),
            unanswered: often(30),
            delayed: often(20),
            reordered: often(60),
            slow_tail: often(90),
        };
        // Short, so that records fall out of it.
        let window = if dice.percent(50) { 12 } else { 3 + dice.below(8) as i64 };
        let writers = 1 + dice.below(4);
        let subjects =
            (0..=dice.below(8)).map(|n| Subject::parse(&format!("p{n}")).expect("a subject")).collect();
        let limits = Limits {
            max_waiting: if dice.percent(10) { 3 } else { 1000 },
            max_attempts: if dice.percent(30) { 2 } else { 8 },
            ..Limits::default()
        };
        let mut world = Self {
            topic: SimTopic::new(1, dice.next(), faults),
            nodes: Vec::new(),
            subjects,
            asked: Vec::new(),
            alarms: Vec::new(),
            disks: Disks::new(seed),
            laws: Laws::for_tests(window, broken),
            window,
            limits,
            nonces: seed << 8,
            steps: 20 + dice.below(180),
            now_ms: 0,
            dice,
        };
        for _ in 0..writers {
            let disk = world.disks.new_disk();
            let node = world.start_node(disk);
            world.nodes.push(node);
        }
        world
    }

    pub(super) fn play(&mut self) {
        for _ in 0..self.steps {
            let node = self.dice.index(self.nodes.len());
            match self.dice.below(100) {
                0..35 => self.ask(node),
                35..92 => {
                    for _ in 0..=self.dice.below(5) {
                        self.topic.step();
                    }
                }
                92..98 => {
                    self.now_ms += self.dice.below(60);
                    self.nodes[node].sequencer.tick(self.now_ms);
                }
                98 => self.nodes[node].start_again(),
                _ => self.restart(node),
            }
            self.disks.spin(&mut self.nodes[node]);
            // Now and then a writer is slow to look into its inbox.
            let is_slow = self.dice.percent(20).then(|| self.dice.index(self.nodes.len()));
            self.work(is_slow);
        }
    }

    /// The network recovers and the clients stop: then every command has its answer soon.
    pub(super) fn heal(&mut self) -> Result<(), String> {
        self.topic.set_faults(Faults::NONE);
        self.work(None);
        for _ in 0..400 {
            while self.topic.step() {
                self.work(None);
            }
            if self.nodes.iter().all(|node| node.sequencer.waiting() == 0) {
                return Ok(());
            }
            self.now_ms += 50;
            for node in &mut self.nodes {
                node.sequencer.tick(self.now_ms);
            }
            self.work(None);
        }
        Err("commands still wait long after everything has healed".into())
    }

    pub(super) fn records(&self) -> Vec<LogRecord> {
        self.topic.records(P)
    }

    pub(super) fn dice(&self) -> Dice {
        self.dice.clone()
    }

    fn start_node(&mut self, disk: Option<Disk>) -> Node {
        self.nonces += 1;
        Node::start(&self.topic, self.nonces, self.laws, self.limits, disk)
    }

    fn restart(&mut self, node: usize) {
        self.nodes[node].kill();
        for asked in &mut self.asked {
            asked.lost |= asked.node == node && asked.answer.is_none();
        }
        let disk = self.disks.after_a_crash(node, &self.nodes);
        self.nodes[node] = self.start_node(disk);
    }

    fn ask(&mut self, node: usize) {
        let submission = self.submission();
        self.asked.push(Asked {
            node,
            subject: submission.subject.clone(),
            command_id: submission.command_id,
            command_hash: submission.command_hash.expect("every command here has one"),
            expected: submission.expected.clone(),
            order: submission.command,
            arrived: self.topic.end(P),
            appends: Vec::new(),
            answer: None,
            lost: false,
        });
        self.nodes[node].submit(self.now_ms, submission);
    }

    /// A new command, or a retry of an earlier one wherever the client turns to; rarely its key for another command.
    fn submission(&mut self) -> Submission<Order> {
        let ticket = self.asked.len() as u64;
        let deadline_ms = self.now_ms + if self.dice.percent(10) { 20 } else { 3_000 };
        if !self.asked.is_empty() && self.dice.percent(25) {
            let earlier = &self.asked[self.dice.index(self.asked.len())];
            let order = if self.dice.percent(15) { Order::Set(99) } else { earlier.order };
            return Submission {
                ticket,
                subject: earlier.subject.clone(),
                command_id: earlier.command_id,
                command_hash: Some(hash_of(&order)),
                expected: earlier.expected.clone(),
                command: order,
                deadline_ms,
            };
        }
        let subject = self.subjects[self.dice.index(self.subjects.len())].clone();
        let is_new = self.nodes.iter().all(|node| node.sequencer.version(&subject) == 0);
        let order = match self.dice.below(10) {
            0..5 if is_new => Order::Open,
            0..1 => Order::Open,
            1..3 => Order::Set(self.dice.below(3)),
            3..8 => Order::Add(1 + self.dice.below(2)),
            _ => Order::Take(1),
        };
        let expected = self.dice.percent(25).then(|| {
            // What some instance shows, and now and then anything.
            let shown = self.nodes[self.dice.index(self.nodes.len())].sequencer.version(&subject);
            let version = if self.dice.percent(80) { shown } else { self.dice.below(6) };
            match self.dice.below(8) {
                0 => Expected::existing(),
                1 => Expected::one_of([version, version + 1]),
                2 => Expected::none_of([version]),
                _ => Expected::version(version),
            }
        });
        let command_id = CommandId(Uuid::from_u128(u128::from(ticket) + 1));
        Submission {
            ticket,
            subject,
            command_id,
            command_hash: Some(hash_of(&order)),
            expected: expected.unwrap_or_default(),
            command: order,
            deadline_ms,
        }
    }

    fn work(&mut self, except: Option<usize>) {
        let end = self.topic.end(P);
        let (asked, alarms) = (&mut self.asked, &mut self.alarms);
        for (n, node) in self.nodes.iter_mut().enumerate() {
            if Some(n) == except {
                continue;
            }
            node.work(self.now_ms, |output| write_down(output, end, asked, alarms));
        }
    }
}

fn write_down(output: &Output<Shop>, end: Offset, asked: &mut [Asked], alarms: &mut Vec<String>) {
    match output {
        Output::Append(append) => asked[append.ticket as usize].appends.push(append.key.event_id),
        Output::Answer { ticket, answer } => {
            let slot = &mut asked[*ticket as usize].answer;
            if slot.is_some() {
                alarms.push(format!("ticket {ticket} has two answers"));
            }
            *slot = Some((answer.clone(), end));
        }
        Output::Discard { .. } | Output::Violation { .. } | Output::UnreadableRecord { .. } => {
            alarms.push(format!("{output:?}"));
        }
        Output::AskEndOffset { .. } | Output::VoidRecord { .. } => {}
    }
}
