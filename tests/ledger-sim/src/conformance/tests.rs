use std::sync::Arc;

use super::*;
use crate::{Faults, SimTopic};

struct Simulated(SimTopic);

impl Harness for Simulated {
    fn open(&self, inbox: Arc<dyn Inbox>) -> Box<dyn EventLog> {
        Box::new(self.0.open(inbox))
    }

    fn work(&self) {
        assert!(self.0.step(), "a case waits for what will never come");
    }
}

#[test]
fn the_simulated_log_conforms() {
    for seed in 0..10 {
        run_all(|_| Simulated(SimTopic::new(2, seed, Faults::NONE)));
    }
}

#[test]
fn reports_and_tails_may_be_late() {
    let late = Faults { slow_tail: 60, ..Faults::NONE };
    for seed in 0..10 {
        run_all(|_| Simulated(SimTopic::new(2, seed, late)));
    }
}
