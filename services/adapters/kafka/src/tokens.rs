//! Tokens of OAUTHBEARER: out of a file, or from an OAuth server.
//!
//! librdkafka asks for one before it connects and again when four fifths of its life are over, on the thread that polls the
//! client. A token that cannot be had is told like a broker that is away: librdkafka asks again after ten seconds.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use reqwest::{Certificate, Client, Url};
use serde::Deserialize;
use toolkit::causes;
use toolkit::config::Credential;
use toolkit::tls::explained;

use crate::config::KafkaConfig;
use crate::security::Mechanism;

/// How long the OAuth server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a client waits for a new token while the one it has is still good.
const BRIEFLY: Duration = Duration::from_millis(200);
/// No token is believed to live longer.
const AGES: Duration = Duration::from_hours(10 * 365 * 24);

/// Where tokens come from: the same for all clients of a process, so that they share what an OAuth server gives. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Tokens(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: Source,
    /// Of a server.
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Server(Server),
}

#[derive(Clone, Debug)]
struct Server {
    url: String,
    id: String,
    secret: Credential,
    scope: Option<String>,
    /// Authorities that count here beside the system's.
    ca_file: Option<PathBuf>,
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        let key = |it: &Self| (it.url.clone(), it.id.clone(), it.scope.clone(), it.ca_file.clone());
        key(self) == key(other) && self.secret.current().expose() == other.secret.current().expose()
    }
}

impl Eq for Server {}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    is_asking: bool,
    /// Answers so far, and why the last one was none.
    answers: u64,
    problem: String,
}

#[derive(Clone)]
struct Token {
    text: String,
    principal: String,
    /// Since the epoch.
    given: Duration,
    expires: Duration,
}

/// Without the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Token {
    /// Whether half of its life is still to come: Kafka's client asks anew when a fifth is left.
    fn is_fresh(&self) -> bool {
        now() < self.given + (self.expires.saturating_sub(self.given)) / 2
    }

    fn is_good(&self) -> bool {
        now() < self.expires
    }

    fn as_kafka_takes_it(&self) -> OAuthToken {
        OAuthToken {
            token: self.text.clone(),
            principal_name: self.principal.clone(),
            lifetime_ms: self.expires.as_millis() as i64,
        }
    }
}

/// What an OAuth server answers.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    /// Seconds; a number, or one in quotes.
    expires_in: Option<serde_json::Value>,
}

/// The claims of a token that Kafka's client has to know.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    sub: Option<String>,
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Tokens {
    /// `None` if clients sign in otherwise, or not at all.
    pub(crate) fn of(config: &KafkaConfig) -> Option<Self> {
        static ALL: Mutex<Vec<Arc<Shared>>> = Mutex::new(Vec::new());
        let sasl = &config.sasl;
        sasl.mechanism.filter(|it| *it == Mechanism::OauthBearer)?;
        let source = match &sasl.token_file {
            Some(path) => Source::File(path.clone()),
            None => Source::Server(Server {
                url: sasl.token_url.clone()?,
                id: sasl.client_id.clone()?,
                secret: sasl.client_secret().ok().flatten()?,
                scope: sasl.scope.clone(),
                ca_file: config.tls.ca_file.clone(),
            }),
        };
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.iter().find(|it| it.source == source) {
            return Some(Self(Arc::clone(known)));
        }
        let new = Self::from(source);
        all.push(Arc::clone(&new.0));
        Some(new)
    }

    fn from(source: Source) -> Self {
        Self(Arc::new(Shared { source, state: Mutex::default(), changed: Condvar::new() }))
    }

    /// A token to sign in with. Waits for an OAuth server, but only briefly while the last token is still good.
    pub(crate) fn next(&self) -> Result<OAuthToken, String> {
        match &self.0.source {
            Source::File(path) => {
                let text = read(path)?;
                let token =
                    known(text, None).map_err(|it| format!("the token in {} {it}", path.display()))?;
                Ok(token.as_kafka_takes_it())
            }
            Source::Server(server) => self.of_server(server),
        }
    }

    fn of_server(&self, server: &Server) -> Result<OAuthToken, String> {
        let shared = &self.0;
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = state.token.as_ref().filter(|it| it.is_fresh()) {
            return Ok(token.as_kafka_takes_it());
        }
        let answers = state.answers;
        if !state.is_asking {
            state.is_asking = true;
            let (asker, server) = (Arc::clone(shared), server.clone());
            let asking = std::thread::Builder::new().name("kafka-token".to_owned());
            asking
                .spawn(move || asker.answered(ask(&server)))
                .map_err(|error| format!("no thread to ask for a token: {error}"))?;
        }
        let good = state.token.clone().filter(Token::is_good);
        let wait = if good.is_some() { BRIEFLY } else { PATIENCE };
        let unanswered = |state: &mut State| state.answers == answers;
        let (state, _) = shared
            .changed
            .wait_timeout_while(state, wait, unanswered)
            .unwrap_or_else(PoisonError::into_inner);
        match state.token.as_ref().filter(|it| it.is_good()) {
            Some(token) => Ok(token.as_kafka_takes_it()),
            None if state.answers == answers => Err(format!("no token from {}: no answer yet", server.url)),
            None => Err(format!("no token from {}: {}", server.url, state.problem)),
        }
    }
}

impl Shared {
    fn answered(&self, answer: Result<Token, String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.is_asking, state.answers) = (false, state.answers + 1);
        match answer {
            Ok(token) => state.token = Some(token),
            Err(problem) => state.problem = explained(problem),
        }
        self.changed.notify_all();
    }
}

fn read(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read kafka.sasl.token_file {}: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// On a runtime of its own: blocks for as long as it takes, at most [`PATIENCE`] and the time to find the host.
fn ask(server: &Server) -> Result<Token, String> {
    let url = Url::parse(&server.url).map_err(|error| causes(&error))?;
    // A form is written as a query is.
    let mut form = url.clone();
    form.query_pairs_mut().clear().append_pair("grant_type", "client_credentials");
    if let Some(scope) = &server.scope {
        form.query_pairs_mut().append_pair("scope", scope);
    }
    let body = form.query().unwrap_or_default().to_owned();
    let mut client = Client::builder().timeout(PATIENCE);
    if let Some(file) = &server.ca_file {
        let authorities = toolkit::tls::authorities(file).map_err(|error| error.to_string())?;
        let certificates: Result<Vec<_>, _> =
            authorities.iter().map(|it| Certificate::from_der(it)).collect();
        client = client.tls_certs_merge(certificates.map_err(|error| causes(&error))?);
    }
    let client = client.build().map_err(|error| causes(&error))?;
    let asking = async {
        let answer = client
            .post(url)
            .basic_auth(&server.id, Some(server.secret.current().expose()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .map_err(|error| causes(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("it answers {status}; check kafka.sasl.client_id and client_secret"));
        }
        let given: Given = answer.json().await.map_err(|error| causes(&error))?;
        let within = given.expires_in.and_then(|it| it.as_f64().or_else(|| it.as_str()?.parse().ok()));
        known(given.access_token, within).map_err(|problem| format!("the token it gives {problem}"))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(asking)
}

/// A token, with what its claims say of it.
fn known(text: String, expires_in: Option<f64>) -> Result<Token, String> {
    let claims = claims(&text);
    let now = now();
    let seconds = |it: f64| Duration::try_from_secs_f64(it.max(0.0)).unwrap_or(Duration::MAX);
    let expires = match (claims.as_ref().and_then(|it| it.exp), expires_in) {
        (Some(at), _) => seconds(at),
        (None, Some(within)) => now + seconds(within).min(AGES),
        (None, None) => return Err("does not say when it expires: give a JWT".to_owned()),
    };
    if expires <= now {
        return Err("has expired: see what renews it".to_owned());
    }
    let principal = claims.and_then(|it| it.sub).unwrap_or_default();
    Ok(Token { text, principal, given: now, expires: expires.min(now + AGES) })
}

fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    fn jwt(claims: &str) -> String {
        format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_in_a_file_is_read_each_time_and_says_who_it_is_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let tokens = Tokens::from(Source::File(path.clone()));
        assert!(tokens.next().err().unwrap().contains("cannot read kafka.sasl.token_file"));
        let in_an_hour = now().as_secs() + 3_600;
        for exp in [in_an_hour, in_an_hour + 1] {
            std::fs::write(&path, format!("{}\n", jwt(&format!(r#"{{"sub":"folio","exp":{exp}}}"#))))
                .unwrap();
            let token = tokens.next().unwrap();
            assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("folio", exp as i64 * 1_000));
        }
        std::fs::write(&path, jwt(r#"{"sub":"folio","exp":1000}"#)).unwrap();
        assert!(tokens.next().err().unwrap().contains("has expired"));
        std::fs::write(&path, "opaque").unwrap();
        assert!(tokens.next().err().unwrap().contains("does not say when it expires"));
    }

    #[test]
    fn a_token_that_claims_nonsense_ends_nobody() {
        assert!(known(jwt(r#"{"exp":1e300}"#), None).unwrap().expires <= now() + AGES);
        assert!(known(jwt(r#"{"exp":-1}"#), None).is_err());
        assert!(known("opaque".to_owned(), Some(1e300)).unwrap().is_fresh());
    }

    /// Answers as often as there are answers, then never.
    fn server(answers: Vec<(u16, String)>) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&requests);
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            let mut answers = answers.into_iter();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                while !String::from_utf8_lossy(&request).contains("grant_type=") {
                    let mut part = [0; 4_096];
                    let read = stream.read(&mut part).unwrap();
                    request.extend_from_slice(&part[..read]);
                }
                noted.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                let Some((status, body)) = answers.next() else {
                    silent.push(stream);
                    continue;
                };
                let top = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(format!("{top}{body}").as_bytes()).unwrap();
            }
        });
        (url, requests)
    }

    fn of(url: &str) -> Tokens {
        Tokens::from(Source::Server(Server {
            url: url.to_owned(),
            id: "folio".to_owned(),
            secret: toolkit::config::Secret::from("secret").into(),
            scope: Some("kafka all".to_owned()),
            ca_file: None,
        }))
    }

    #[test]
    fn a_servers_token_is_shared_and_renewed_and_one_that_hangs_holds_up_nobody_who_has_one() {
        let short = |name: &str, seconds: u64| {
            (200, format!(r#"{{"access_token":"{name}","token_type":"bearer","expires_in":"{seconds}"}}"#))
        };
        let (url, requests) = server(vec![(401, "{}".to_owned()), short("one", 8), short("two", 12)]);
        let tokens = of(&url);
        let refused = tokens.next().err().unwrap();
        assert!(refused.contains("401") && refused.contains("client_secret"), "{refused}");
        assert_eq!(tokens.next().unwrap().token, "one");
        assert_eq!(tokens.clone().next().unwrap().token, "one", "it is fresh: nobody is asked");
        assert_eq!(requests.lock().unwrap().len(), 2);
        let said = requests.lock().unwrap()[1].to_lowercase();
        assert!(said.contains("authorization: basic zm9saw86c2vjcmv0"), "{said}");
        assert!(said.contains("grant_type=client_credentials&scope=kafka+all"), "{said}");
        std::thread::sleep(Duration::from_millis(4_200));
        assert_eq!(tokens.next().unwrap().token, "two");
        // From now on the server says nothing.
        std::thread::sleep(Duration::from_millis(6_200));
        let began = std::time::Instant::now();
        assert_eq!(tokens.next().unwrap().token, "two");
        assert!(began.elapsed() < Duration::from_secs(4), "held up for {:?}", began.elapsed());
    }
}
