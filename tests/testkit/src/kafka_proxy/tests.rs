use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::frame::{self, RequestHeader};
use super::{ApiKey, Attack, KafkaProxies, Route, Whose};

const SOON: Duration = Duration::from_secs(10);
const A_WHILE: Duration = Duration::from_millis(150);

/// A broker that answers each request with its correlation id, and tells which it got.
async fn broker() -> (u16, mpsc::Receiver<RequestHeader>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (got, gets) = mpsc::channel(100);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let got = got.clone();
            tokio::spawn(async move {
                while let Ok(Some(request)) = frame::read(&mut stream).await {
                    let header = RequestHeader::parse(&request).unwrap();
                    let answer = [&8_i32.to_be_bytes()[..], &header.correlation_id.to_be_bytes(), b"body"];
                    got.send(header).await.unwrap();
                    if stream.write_all(&answer.concat()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, gets)
}

/// Proxies before as many brokers as there are ports.
async fn proxies(brokers: &[u16]) -> (KafkaProxies, Vec<Route>) {
    let route = |(node, &broker)| Route { node, proxy: local_servers::free_port().unwrap(), broker };
    let routes: Vec<Route> = (1..).zip(brokers).map(route).collect();
    (KafkaProxies::start(&routes).await.unwrap(), routes)
}

struct Client(TcpStream);

impl Client {
    async fn to(route: Route) -> Self {
        Self(TcpStream::connect(("127.0.0.1", route.proxy)).await.unwrap())
    }

    async fn ask(&mut self, api: ApiKey, correlation_id: i32, client: &str) {
        let mut request = Vec::new();
        request.extend(api.0.to_be_bytes());
        request.extend([0, 9]);
        request.extend(correlation_id.to_be_bytes());
        request.extend((client.len() as i16).to_be_bytes());
        request.extend(client.as_bytes());
        request.extend(b"the rest");
        self.0.write_all(&(request.len() as i32).to_be_bytes()).await.unwrap();
        self.0.write_all(&request).await.unwrap();
    }

    /// The next answer's correlation id; none if the connection ended.
    async fn hear(&mut self) -> Option<i32> {
        let answer =
            tokio::time::timeout(SOON, frame::read(&mut self.0)).await.expect("an answer, or the end");
        answer.ok().flatten().map(|it| frame::correlation_id(&it).unwrap())
    }

    async fn hears_nothing(&mut self) {
        tokio::time::timeout(A_WHILE, frame::read(&mut self.0)).await.expect_err("nothing comes");
    }
}

fn produce_of(client: &str) -> Whose {
    Whose { api: Some(ApiKey::PRODUCE), client: Some(client.to_owned()), node: None }
}

#[test]
fn a_request_tells_its_kind_its_number_and_its_client() {
    let parse = RequestHeader::parse;
    let with_client = [0, 1, 0, 16, 0, 0, 1, 0, 0, 2, b'm', b'e', 9, 9];
    let header = RequestHeader { api: ApiKey::FETCH, correlation_id: 256, client: "me".to_owned() };
    assert_eq!(parse(&with_client), Some(header));
    let without = parse(&[0, 3, 0, 1, 0, 0, 0, 7, 255, 255]).unwrap();
    assert_eq!((without.api, without.client), (ApiKey::METADATA, String::new()));
    for length in 0..12 {
        assert_eq!(parse(&with_client[..length]), None, "{length} bytes are no header");
    }
}

#[tokio::test]
async fn one_kind_of_request_of_one_client_loses_its_answers_and_nothing_else_does() {
    let (port, mut got) = broker().await;
    let (proxies, routes) = proxies(&[port]).await;
    let (mut one, mut other) = (Client::to(routes[0]).await, Client::to(routes[0]).await);
    let attack = proxies.attack(produce_of("one"), Attack::DropAnswer);
    one.ask(ApiKey::PRODUCE, 1, "one").await;
    one.ask(ApiKey::FETCH, 2, "one").await;
    assert_eq!(one.hear().await, Some(2), "the connection lives, only the answer is lost");
    other.ask(ApiKey::PRODUCE, 1, "other").await;
    assert_eq!(other.hear().await, Some(1));
    drop(attack);
    one.ask(ApiKey::PRODUCE, 3, "one").await;
    assert_eq!(one.hear().await, Some(3));
    for _ in 0..4 {
        got.recv().await.expect("the broker got every request");
    }
    let counts = proxies.counts();
    assert_eq!(counts[&(ApiKey::PRODUCE, "requests")], 3);
    assert_eq!(counts[&(ApiKey::PRODUCE, "answers dropped")], 1);
    assert_eq!(counts[&(ApiKey::FETCH, "requests")], 1);
}

#[tokio::test]
async fn a_request_that_was_held_back_arrives_although_its_client_has_gone() {
    let (port, mut got) = broker().await;
    let (proxies, routes) = proxies(&[port]).await;
    let mut client = Client::to(routes[0]).await;
    let attack = proxies.attack(produce_of("one"), Attack::HoldRequest);
    client.ask(ApiKey::PRODUCE, 1, "one").await;
    client.hears_nothing().await;
    drop(client);
    tokio::time::timeout(A_WHILE, got.recv()).await.expect_err("it is still held back");
    drop(attack);
    let late = tokio::time::timeout(SOON, got.recv()).await.unwrap().unwrap();
    assert_eq!((late.api, late.correlation_id), (ApiKey::PRODUCE, 1));
}

#[tokio::test]
async fn requests_and_answers_can_come_later_and_keep_their_order() {
    let (port, _got) = broker().await;
    let (proxies, routes) = proxies(&[port]).await;
    let mut client = Client::to(routes[0]).await;
    for attack in [Attack::DelayRequest(A_WHILE), Attack::DelayAnswer(A_WHILE)] {
        let _attack = proxies.attack(produce_of("one"), attack);
        let since = Instant::now();
        for number in 0..20 {
            client.ask(ApiKey::PRODUCE, number, "one").await;
        }
        for number in 0..20 {
            assert_eq!(client.hear().await, Some(number));
        }
        assert!(since.elapsed() >= A_WHILE, "{attack:?}");
        assert!(since.elapsed() < A_WHILE * 15, "each waits for its own delay, not for those before it");
    }
}

#[tokio::test]
async fn a_cut_ends_the_connection_before_or_after_the_broker_has_the_request() {
    let (port, mut got) = broker().await;
    let (proxies, routes) = proxies(&[port]).await;
    let mut client = Client::to(routes[0]).await;
    let attack = proxies.attack(produce_of("one"), Attack::CutAtAnswer);
    client.ask(ApiKey::PRODUCE, 1, "one").await;
    assert_eq!(client.hear().await, None);
    assert_eq!(got.recv().await.unwrap().correlation_id, 1, "carried out");
    drop(attack);
    let _attack = proxies.attack(Whose::default(), Attack::CutAtRequest);
    let mut client = Client::to(routes[0]).await;
    client.ask(ApiKey::API_VERSIONS, 2, "any").await;
    assert_eq!(client.hear().await, None);
    assert!(got.try_recv().is_err(), "the broker never saw it");
}

#[tokio::test]
async fn one_broker_alone_is_attacked_and_one_that_is_away_takes_no_connection() {
    let ((first, _first_got), (second, _second_got)) = (broker().await, broker().await);
    let (proxies, routes) = proxies(&[first, second, local_servers::free_port().unwrap()]).await;
    let _attack = proxies.attack(Whose { node: Some(1), ..Whose::default() }, Attack::DropAnswer);
    let (mut one, mut two) = (Client::to(routes[0]).await, Client::to(routes[1]).await);
    one.ask(ApiKey::PRODUCE, 1, "any").await;
    two.ask(ApiKey::PRODUCE, 1, "any").await;
    assert_eq!(two.hear().await, Some(1));
    one.hears_nothing().await;
    assert_eq!(Client::to(routes[2]).await.hear().await, None);
    drop(proxies);
    assert_eq!(two.hear().await, None, "with the proxies all connections end");
}
