//! Where partitions end, asked of the log each time: never a remembered value.
//!
//! Promises: the answer is not smaller than the end when the question was asked.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use ledger::{Offset, Partition};
use tokio::sync::oneshot;

use super::{Error, LEADER};

/// Questions that may wait; a sequencer has at most one or two in flight per partition.
const QUESTIONS: usize = 4_096;

/// Asks for end offsets of one topic.
#[derive(Clone, Debug)]
pub struct EndOffsets {
    questions: Sender<EndQuestion>,
    topic: Arc<str>,
}

/// A question for the adapter's threads.
pub struct EndQuestion {
    pub partition: Partition,
    reply: Box<dyn FnOnce(Result<Offset, String>) + Send>,
}

impl std::fmt::Debug for EndQuestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EndQuestion").field(&self.partition).finish()
    }
}

impl EndQuestion {
    pub fn answer(self, outcome: Result<Offset, String>) {
        (self.reply)(outcome);
    }
}

impl EndOffsets {
    /// The handle, and the questions its adapter answers.
    pub fn channel(topic: &str) -> (Self, Receiver<EndQuestion>) {
        let (questions, asked) = bounded(QUESTIONS);
        (Self { questions, topic: topic.into() }, asked)
    }

    /// Asks where `partition` ends; `reply` gets the answer on another thread, exactly once. Never blocks.
    pub fn ask(&self, partition: Partition, reply: impl FnOnce(Result<Offset, String>) + Send + 'static) {
        let question = EndQuestion { partition, reply: Box::new(reply) };
        if let Err(TrySendError::Full(question) | TrySendError::Disconnected(question)) =
            self.questions.try_send(question)
        {
            // On a thread of its own: the caller may be the one who empties what `reply` fills.
            let refuse = move || question.answer(Err("too many questions wait for an end offset".to_owned()));
            if let Err(error) = std::thread::Builder::new().name("ends-refusal".to_owned()).spawn(refuse) {
                tracing::error!(%error, "cannot start a thread to refuse a question");
            }
        }
    }

    /// Where `partition` ends now: asked at once, not when it is awaited.
    pub fn of(&self, partition: Partition) -> impl Future<Output = Result<Offset, Error>> + Send + use<> {
        let (sender, answer) = oneshot::channel();
        self.ask(partition, move |outcome| drop(sender.send(outcome)));
        let tried = format!("ask for the end of partition {partition} of {}", self.topic);
        async move {
            let outcome = answer.await.unwrap_or_else(|_| Err("the client is closed".to_owned()));
            outcome.map_err(|problem| Error::Unreachable { tried, servers: LEADER.to_owned(), problem })
        }
    }

    /// Where the first `partitions` partitions end now.
    pub async fn of_all(&self, partitions: i32) -> Result<Vec<Offset>, Error> {
        // All are asked before the first is awaited, so that one answer serves them.
        let asked: Vec<_> = (0..partitions).map(|partition| self.of(Partition(partition))).collect();
        let mut ends = Vec::with_capacity(asked.len());
        for answer in asked {
            ends.push(answer.await?);
        }
        Ok(ends)
    }
}
