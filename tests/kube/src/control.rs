//! What the run and its client in the cluster tell each other: a line of JSON each, over one connection that the client opens.
//! Promises that the one learns of the other's end.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the client is told to do. It writes and reads from its start on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    Import,
    /// Nobody will be there: no commands and no reads until `Resume`.
    Pause,
    Resume,
    /// No more commands and reads; check everything.
    Finish,
}

/// What the client tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum News {
    Counts(Counts),
    Paused,
    Imported,
    Verdict(Box<Verdict>),
    /// It cannot go on.
    Failed(String),
}

/// What was done so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Commands answered for good.
    pub(crate) commands: u64,
    /// Lines of the import answered for good.
    pub(crate) imported: u64,
    /// Questions asked.
    pub(crate) reads: u64,
    /// Of these, with a consistency token.
    pub(crate) with_token: u64,
    /// Questions that failed at first, and were answered when asked again.
    pub(crate) cured: u64,
    /// The longest that took.
    pub(crate) longest_cure: Duration,
    /// Questions that asking again did not help.
    pub(crate) not_cured: u64,
    /// Answers that are not true, or that nobody should be given.
    pub(crate) wrong: u64,
    /// Products that were shown, by the release that made the rows that were read.
    pub(crate) of_this: u64,
    pub(crate) of_later: u64,
    /// Requests for questions that failed, by what happened.
    pub(crate) failures: BTreeMap<String, u64>,
}

/// What the check at the end came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) commands: u64,
    pub(crate) acknowledged: u64,
    /// Commands that were sent more than once, because an attempt came to nothing or to nobody knows what.
    pub(crate) retried: u64,
    pub(crate) requests: u64,
    pub(crate) answers: BTreeMap<String, u64>,
    pub(crate) imported: u64,
    pub(crate) records: u64,
    pub(crate) effective: u64,
    pub(crate) void: u64,
    /// Effective records that nobody was told of.
    pub(crate) unacknowledged: u64,
    pub(crate) rows: u64,
    /// Products read through the Service, each as new as the log.
    pub(crate) read_back: u64,
    /// Anything here fails the run.
    pub(crate) faults: Vec<String>,
}

/// The run's side.
pub(crate) struct Remote {
    orders: OwnedWriteHalf,
    state: watch::Receiver<State>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) counts: Counts,
    pub(crate) is_paused: bool,
    pub(crate) has_imported: bool,
    pub(crate) verdict: Option<Box<Verdict>>,
    ended: Option<String>,
}

/// Where the client will connect to.
pub(crate) async fn listen(host: Ipv4Addr) -> anyhow::Result<TcpListener> {
    TcpListener::bind((host, 0)).await.with_context(|| {
        format!("listening on {host} for the client in the cluster: is it an address of this machine?")
    })
}

impl Remote {
    pub(crate) async fn accept(listener: &TcpListener) -> anyhow::Result<Self> {
        const PATIENCE: Duration = Duration::from_mins(2);
        let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
        let (stream, _) = accepted.context(
            "the client in the cluster does not come: its pod does not start, or cannot reach this machine",
        )??;
        let (input, orders) = stream.into_split();
        let (sender, state) = watch::channel(State::default());
        tokio::spawn(async move {
            let mut lines = BufReader::new(input).lines();
            let ended = loop {
                match news(&mut lines).await {
                    Ok(Some(news)) => sender.send_modify(|state| state.told(news)),
                    Ok(None) => break "the client in the cluster has ended".to_owned(),
                    Err(error) => break format!("the client in the cluster: {error:#}"),
                }
            };
            sender.send_modify(|state| {
                state.ended.get_or_insert(ended);
            });
        });
        Ok(Self { orders, state })
    }

    pub(crate) async fn order(&mut self, order: Order) -> anyhow::Result<()> {
        send(&mut self.orders, &order).await
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state.borrow().counts.clone()
    }

    /// Waits until what the client told is so.
    ///
    /// # Errors
    /// If it is not so in time, or the client ends.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        within: Duration,
        is: impl Fn(&State) -> bool,
    ) -> anyhow::Result<State> {
        let until = tokio::time::Instant::now() + within;
        loop {
            let state = self.state.borrow_and_update().clone();
            if is(&state) {
                return Ok(state);
            }
            if let Some(ended) = state.ended {
                bail!("{what}: {ended}");
            }
            if tokio::time::timeout_at(until, self.state.changed()).await.is_err() {
                bail!("{what}: not after {within:?}; the client's counts: {:?}", state.counts);
            }
        }
    }
}

impl State {
    fn told(&mut self, news: News) {
        match news {
            News::Counts(counts) => self.counts = counts,
            News::Paused => self.is_paused = true,
            News::Imported => self.has_imported = true,
            News::Verdict(verdict) => self.verdict = Some(verdict),
            News::Failed(why) => self.ended = Some(why),
        }
    }
}

/// The client's side: where orders come from, and where news go.
pub(crate) async fn connect(
    address: &str,
) -> anyhow::Result<(Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf)> {
    let stream = TcpStream::connect(address).await;
    let (input, output) = stream.with_context(|| format!("connecting to the run at {address}"))?.into_split();
    Ok((BufReader::new(input).lines(), output))
}

/// The next order; none when the run is gone.
pub(crate) async fn order(lines: &mut Lines<BufReader<OwnedReadHalf>>) -> anyhow::Result<Option<Order>> {
    next(lines).await
}

pub(crate) async fn tell(output: &mut OwnedWriteHalf, news: &News) -> anyhow::Result<()> {
    send(output, news).await
}

async fn news(lines: &mut Lines<BufReader<OwnedReadHalf>>) -> anyhow::Result<Option<News>> {
    next(lines).await
}

/// Cancellation loses no line, as long as the lines are kept.
async fn next<T: for<'a> Deserialize<'a>>(
    lines: &mut Lines<BufReader<OwnedReadHalf>>,
) -> anyhow::Result<Option<T>> {
    let line = lines.next_line().await.context("reading from the other side")?;
    line.map(|line| serde_json::from_str(&line).with_context(|| format!("it said {line:?}"))).transpose()
}

async fn send(output: &mut OwnedWriteHalf, what: &impl Serialize) -> anyhow::Result<()> {
    let line = serde_json::to_string(what)? + "\n";
    output.write_all(line.as_bytes()).await.context("telling the other side")
}
