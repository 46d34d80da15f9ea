//! A TCP proxy before each broker that understands Kafka's request header, so that one kind of request alone (Produce,
//! Fetch, ...), of one client alone, at one broker alone, can be delayed, held back, or lose its answer.
//!
//! Promises: what no rule meets passes unchanged and in order; a request that was held back reaches the broker later,
//! also when its client has given up, as a network would have it; what was done is counted.

mod connection;
mod frame;
mod rules;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

pub use frame::ApiKey;
use rules::Rules;
pub use rules::{Attack, Attacking, Counts, Whose};

/// Where a broker's clients are to connect, and where the broker listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The broker's node id.
    pub node: i32,
    /// The proxy's port.
    pub proxy: u16,
    /// The broker's port.
    pub broker: u16,
}

/// The proxies of one cluster, ruled together. Dropped, all their connections are closed.
#[derive(Debug)]
pub struct KafkaProxies {
    routes: Vec<Route>,
    rules: Arc<Rules>,
    listening: Vec<AbortHandle>,
}

impl KafkaProxies {
    /// Listens on every route's port, all on loopback.
    ///
    /// # Errors
    /// If a port is taken.
    pub async fn start(routes: &[Route]) -> anyhow::Result<Self> {
        let mut proxies =
            Self { routes: routes.to_vec(), rules: Arc::new(Rules::new()), listening: Vec::new() };
        for &route in routes {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, route.proxy))
                .await
                .with_context(|| format!("listening on port {} before broker {}", route.proxy, route.node))?;
            let task = tokio::spawn(listen(listener, route, Arc::clone(&proxies.rules)));
            proxies.listening.push(task.abort_handle());
        }
        Ok(proxies)
    }

    /// `host:port` of every proxy, with commas between.
    pub fn bootstrap(&self) -> String {
        let addresses = self.routes.iter().map(|it| format!("127.0.0.1:{}", it.proxy));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Does `attack` to all frames of `whose`, until the value is dropped.
    pub fn attack(&self, whose: Whose, attack: Attack) -> Attacking {
        Rules::add(&self.rules, whose, attack)
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.rules.counts()
    }
}

impl Drop for KafkaProxies {
    fn drop(&mut self) {
        for task in &self.listening {
            task.abort();
        }
        self.rules.close();
    }
}

async fn listen(listener: TcpListener, route: Route, rules: Arc<Rules>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        tokio::spawn(connect(client, route, Arc::clone(&rules)));
    }
}

async fn connect(client: TcpStream, route: Route, rules: Arc<Rules>) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, route.broker));
    // A broker that is away: the client's connection is closed at once.
    if let Ok(broker) = TcpStream::connect(address).await {
        connection::forward(client, broker, route.node, &rules).await;
    }
}
