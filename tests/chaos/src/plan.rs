//! Which faults come, in which order, for how long: all from one seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    KillService,
    FreezeService,
    KillProjector,
    FreezeProjector,
    KillBroker,
    StopBroker,
    FreezeBroker,
    LoseMinInSync,
    CutConnections,
    DelayProduce,
    HoldProduce,
    DropProduceAnswers,
    CutProduceAnswers,
    LostAnswerBesideTimeout,
    DelayFetch,
    DelayEndOffsets,
    KillCassandra,
    KillElasticsearch,
    StopElasticsearch,
}

use Kind::{
    CutConnections, CutProduceAnswers, DelayEndOffsets, DelayFetch, DelayProduce, DropProduceAnswers,
    FreezeBroker, FreezeProjector, FreezeService, HoldProduce, KillBroker, KillCassandra, KillElasticsearch,
    KillProjector, KillService, LoseMinInSync, LostAnswerBesideTimeout, StopBroker, StopElasticsearch,
};

impl Kind {
    pub(crate) const ALL: [Self; 19] = [
        KillService,
        FreezeService,
        KillProjector,
        FreezeProjector,
        KillBroker,
        StopBroker,
        FreezeBroker,
        LoseMinInSync,
        CutConnections,
        DelayProduce,
        HoldProduce,
        DropProduceAnswers,
        CutProduceAnswers,
        LostAnswerBesideTimeout,
        DelayFetch,
        DelayEndOffsets,
        KillCassandra,
        KillElasticsearch,
        StopElasticsearch,
    ];

    /// What is done, for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            KillService => "kill -9 of a command service",
            FreezeService => "SIGSTOP of a command service",
            KillProjector => "kill -9 of a projector",
            FreezeProjector => "SIGSTOP of a projector",
            KillBroker => "kill -9 of a broker",
            StopBroker => "SIGTERM of a broker",
            FreezeBroker => "SIGSTOP of a broker",
            LoseMinInSync => "SIGSTOP of two brokers at once",
            CutConnections => "connections to brokers cut",
            DelayProduce => "Produce delayed",
            HoldProduce => "Produce held back",
            DropProduceAnswers => "Produce answers dropped",
            CutProduceAnswers => "cut instead of Produce answers",
            LostAnswerBesideTimeout => "answer lost, other times out",
            DelayFetch => "Fetch answers delayed",
            DelayEndOffsets => "end offsets delayed",
            KillCassandra => "kill -9 of Cassandra",
            KillElasticsearch => "kill -9 of Elasticsearch",
            StopElasticsearch => "SIGTERM of Elasticsearch",
        }
    }

    /// What its effect is counted in.
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            KillService | KillProjector | KillCassandra | KillElasticsearch | StopElasticsearch => {
                "processes ended"
            }
            FreezeService | FreezeProjector => "processes stopped",
            KillBroker | StopBroker | FreezeBroker => "leader changes",
            LoseMinInSync => "partitions without an accepted command",
            CutConnections => "connections cut",
            DelayProduce => "requests delayed",
            HoldProduce => "requests held back",
            DropProduceAnswers | CutProduceAnswers => "answers lost",
            LostAnswerBesideTimeout => "answers lost beside requests held back",
            DelayFetch | DelayEndOffsets => "answers delayed",
        }
    }

    const fn is_of_brokers(self) -> bool {
        matches!(self, KillBroker | StopBroker | FreezeBroker | LoseMinInSync)
    }

    const fn loses_answers(self) -> bool {
        matches!(self, DropProduceAnswers | CutProduceAnswers | LostAnswerBesideTimeout)
    }

    /// How long it lasts, in milliseconds.
    const fn lasts_ms(self) -> std::ops::Range<u64> {
        match self {
            KillService | KillProjector => 100..1_500,
            KillBroker | StopBroker => 1_000..4_000,
            // Beside it the server takes its time to start.
            KillCassandra | KillElasticsearch | StopElasticsearch => 100..2_000,
            // Above the brokers' session timeout of three seconds, after which the controller takes them for dead. Where the frozen
            // one is the controller, another is elected first, which counts those three seconds anew.
            FreezeBroker => 8_000..11_000,
            LoseMinInSync => 3_000..6_000,
            FreezeService | FreezeProjector => 1_000..7_000,
            CutConnections => 200..1_500,
            DelayProduce | DelayFetch | DelayEndOffsets | DropProduceAnswers | CutProduceAnswers => {
                1_500..4_000
            }
            // Above the producer's message timeout of five seconds, and below.
            HoldProduce => 3_000..8_000,
            LostAnswerBesideTimeout => 6_000..8_000,
        }
    }
}

/// One fault to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// Which service, projector or broker, counted round from 0.
    pub(crate) victim: usize,
    /// How much later delayed things come.
    pub(crate) delay: Duration,
    pub(crate) lasts: Duration,
    /// Quiet time after it.
    pub(crate) rest: Duration,
}

/// Faults without end: every kind once, in another order each time, brokers' faults spread among the others, and answers
/// lost early on, so that short runs see each group.
#[derive(Debug)]
pub(crate) struct Plan {
    dice: StdRng,
    /// The next fault is the last.
    deck: Vec<Kind>,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        Self { dice: StdRng::seed_from_u64(seed), deck: Vec::new() }
    }

    fn shuffle(&mut self) {
        let pick =
            |of: &dyn Fn(Kind) -> bool| Kind::ALL.into_iter().filter(|kind| of(*kind)).collect::<Vec<_>>();
        let mut brokers = pick(&|it| it.is_of_brokers());
        let mut losing = pick(&|it| it.loses_answers());
        let mut others = pick(&|it| !it.is_of_brokers() && !it.loses_answers());
        for kinds in [&mut brokers, &mut losing, &mut others] {
            kinds.shuffle(&mut self.dice);
        }
        // Groups of one broker's fault and as many others each.
        let others_each = (losing.len() + others.len()).div_ceil(brokers.len());
        while let Some(broker) = brokers.pop() {
            let mut group: Vec<Kind> = losing.pop().into_iter().collect();
            while group.len() < others_each
                && let Some(other) = others.pop()
            {
                group.push(other);
            }
            group.push(broker);
            group.shuffle(&mut self.dice);
            self.deck.extend(group);
        }
        self.deck.reverse();
    }
}

impl Iterator for Plan {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        if self.deck.is_empty() {
            self.shuffle();
        }
        let kind = self.deck.pop()?;
        let mut ms = |range| Duration::from_millis(self.dice.random_range(range));
        let (lasts, rest, delay) = (ms(kind.lasts_ms()), ms(300..1_500), ms(100..1_000));
        Some(Fault { kind, victim: self.dice.random_range(0..6), delay, lasts, rest })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        let plan = |seed| Plan::new(seed).take(40).collect::<Vec<_>>();
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn every_kind_comes_once_in_each_round_and_each_group_early() {
        for seed in 0..50 {
            let faults: Vec<Fault> = Plan::new(seed).take(2 * Kind::ALL.len()).collect();
            for round in faults.chunks(Kind::ALL.len()) {
                let kinds: BTreeSet<Kind> = round.iter().map(|it| it.kind).collect();
                assert_eq!(kinds, Kind::ALL.into(), "seed {seed}");
            }
            assert!(faults[..5].iter().any(|it| it.kind.is_of_brokers()), "seed {seed}");
            assert!(faults[..5].iter().any(|it| it.kind.loses_answers()), "seed {seed}");
        }
    }
}
