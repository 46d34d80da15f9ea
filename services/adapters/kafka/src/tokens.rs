//! Tokens of OAUTHBEARER: out of a file, or from an OAuth server.
//!
//! librdkafka asks for one before it connects and again when four fifths of its life are over, on the thread that polls the
//! client. A token that cannot be had is told like a broker that is away: librdkafka asks again after ten seconds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use reqwest::{Certificate, Client, Url};
use serde::Deserialize;
use toolkit::config::Secret;
use toolkit::tls::explained;

use crate::config::KafkaConfig;
use crate::security::Mechanism;

/// How long the OAuth server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where tokens come from. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Tokens(Arc<Source>);

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Server {
        url: String,
        id: String,
        secret: Secret,
        scope: Option<String>,
        /// Authorities that count here beside the system's.
        ca_file: Option<PathBuf>,
    },
}

/// What an OAuth server answers.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: Option<u64>,
}

/// The claims of a token that Kafka's client has to know.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    sub: Option<String>,
}

impl Tokens {
    /// `None` if clients sign in otherwise, or not at all.
    pub(crate) fn of(config: &KafkaConfig) -> Option<Self> {
        let sasl = &config.sasl;
        sasl.mechanism.filter(|it| *it == Mechanism::OauthBearer)?;
        let source = match &sasl.token_file {
            Some(path) => Source::File(path.clone()),
            None => Source::Server {
                url: sasl.token_url.clone()?,
                id: sasl.client_id.clone()?,
                secret: sasl.client_secret.clone()?,
                scope: sasl.scope.clone(),
                ca_file: config.tls.ca_file.clone(),
            },
        };
        Some(Self(Arc::new(source)))
    }

    /// A token to sign in with. Blocks, while an OAuth server is asked.
    pub(crate) fn next(&self) -> Result<OAuthToken, String> {
        match &*self.0 {
            Source::File(path) => {
                let token = read(path)?;
                known(token, None).map_err(|problem| format!("the token in {} {problem}", path.display()))
            }
            Source::Server { url, id, secret, scope, ca_file } => {
                let given = ask(url, id, secret, scope.as_deref(), ca_file.as_deref())
                    .map_err(|problem| format!("no token from {url}: {}", explained(problem)))?;
                known(given.access_token, given.expires_in)
                    .map_err(|problem| format!("the token from {url} {problem}"))
            }
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read kafka.sasl.token_file {}: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// On a thread and a runtime of its own: whoever calls may be on a runtime already, which must not block.
fn ask(
    url: &str,
    id: &str,
    secret: &Secret,
    scope: Option<&str>,
    ca_file: Option<&Path>,
) -> Result<Given, String> {
    let url = Url::parse(url).map_err(|error| causes(&error))?;
    // A form is written as a query is.
    let mut form = url.clone();
    form.query_pairs_mut().clear().append_pair("grant_type", "client_credentials");
    if let Some(scope) = scope {
        form.query_pairs_mut().append_pair("scope", scope);
    }
    let body = form.query().unwrap_or_default().to_owned();
    let mut client = Client::builder().timeout(PATIENCE);
    if let Some(file) = ca_file {
        let pem = toolkit::tls::authorities(file).map_err(|error| error.to_string())?;
        let certificates: Result<Vec<_>, _> = pem.iter().map(|it| Certificate::from_der(it)).collect();
        client = client.tls_certs_merge(certificates.map_err(|error| causes(&error))?);
    }
    let client = client.build().map_err(|error| causes(&error))?;
    let (id, secret) = (id.to_owned(), secret.clone());
    let asking = async move {
        let answer = client
            .post(url)
            .basic_auth(id, Some(secret.expose()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .map_err(|error| causes(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("it answers {status}; check kafka.sasl.client_id and client_secret"));
        }
        answer.json::<Given>().await.map_err(|error| causes(&error))
    };
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(asking)
    });
    asking.join().unwrap_or_else(|_| Err("asking for it panicked".to_owned()))
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A token, with what its claims say of it.
fn known(token: String, expires_in: Option<u64>) -> Result<OAuthToken, String> {
    let claims = claims(&token);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let expires = match (claims.as_ref().and_then(|it| it.exp), expires_in) {
        (Some(at), _) => Duration::from_secs_f64(at.max(0.0)),
        (None, Some(within)) => now + Duration::from_secs(within),
        (None, None) => return Err("does not say when it expires: give a JWT".to_owned()),
    };
    if expires <= now {
        return Err("has expired: see what renews it".to_owned());
    }
    Ok(OAuthToken {
        token,
        principal_name: claims.and_then(|it| it.sub).unwrap_or_default(),
        lifetime_ms: expires.as_millis() as i64,
    })
}

fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_in_a_file_is_read_each_time_and_says_who_it_is_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let tokens = Tokens(Arc::new(Source::File(path.clone())));
        assert!(tokens.next().err().unwrap().contains("cannot read kafka.sasl.token_file"));
        for exp in [4_000_000_000_u64, 4_000_000_001] {
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
}
