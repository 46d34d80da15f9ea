//! Callers at real doors, with an issuer of tokens that a test can take away, change and make angry.

mod doors;
mod issuers;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::metadata::MetadataMap;

use super::testing::{AUDIENCE, Signer, key_set};
use super::*;

/// An issuer's server: it answers what it is told, at any path but the one of its description.
#[derive(Clone)]
struct Login {
    address: SocketAddr,
    /// All after the status; none: it closes the connection instead of answering.
    answer: Arc<Mutex<Option<String>>>,
    /// How often it was asked for keys.
    asked: Arc<AtomicUsize>,
}

impl Login {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let login = Self { address, answer: Arc::default(), asked: Arc::default() };
        let serving = login.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let login = serving.clone();
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let is_description = request.starts_with(b"GET /.well-known/openid-configuration ");
                    let answer = if is_description {
                        Some(ok(&login.description()))
                    } else {
                        login.asked.fetch_add(1, Ordering::SeqCst);
                        login.answer.lock().unwrap().clone()
                    };
                    if let Some(answer) = answer {
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        login
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn description(&self) -> String {
        json!({ "issuer": self.url(), "jwks_uri": format!("{}/keys", self.url()) }).to_string()
    }

    /// From now on it shows these keys.
    fn shows(&self, signers: &[&Signer]) {
        self.answers(Some(ok(&key_set(signers))));
    }

    fn answers(&self, answer: Option<String>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn config(&self) -> OidcConfig {
        OidcConfig { issuer: Some(self.url()), audiences: vec![AUDIENCE.to_owned()], ..OidcConfig::default() }
    }

    /// What a good token of it says.
    fn claims(&self, scopes: &str) -> serde_json::Value {
        let mut claims = testing::claims(scopes);
        claims["iss"] = self.url().into();
        claims
    }
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

struct Checked {
    auth: Auth,
    lifecycle: Lifecycle,
    telemetry: Telemetry,
}

impl Checked {
    fn open(config: &AuthConfig) -> Self {
        let (lifecycle, telemetry) =
            (Lifecycle::new().without_signals(), Telemetry::detached("test").unwrap());
        let auth = Auth::open(config, &lifecycle, &telemetry).unwrap();
        Self { auth, lifecycle, telemetry }
    }

    fn believing(login: &Login) -> Self {
        Self::open(&AuthConfig { oidc: login.config(), ..AuthConfig::default() })
    }

    /// Whether who shows this may read: the status, or the caller's name.
    async fn reads(&self, credential: &str) -> Result<String, u16> {
        let mut fields = MetadataMap::new();
        fields.insert("authorization", format!("Bearer {credential}").parse().unwrap());
        let admitted = self.auth.admit(Access::Needs(Scope::Read), &fields, &Peer::default()).await;
        admitted.map(|it| it.principal.name().to_owned()).map_err(|problem| problem.status)
    }
}

impl Drop for Checked {
    fn drop(&mut self) {
        self.lifecycle.drained().cancel();
    }
}

/// Waits until `state` holds.
async fn eventually(what: &str, mut state: impl AsyncFnMut() -> bool) {
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while !state().await {
        assert!(std::time::Instant::now() < until, "not in 30 seconds: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn where_nobody_is_checked_that_is_said_and_everybody_may_do_everything() {
    let checked = Checked::open(&AuthConfig::anonymous());
    let fields = MetadataMap::new();
    let entered =
        checked.auth.admit(Access::Needs(Scope::AdminRebuild), &fields, &Peer::default()).await.unwrap();
    assert!(!entered.principal.is_checked());
    let told = serde_json::to_string(&checked.lifecycle.readiness().status()).unwrap();
    assert!(told.contains("auth.allow_anonymous"), "{told}");
    let metrics = checked.telemetry.render_metrics().unwrap();
    assert!(
        metrics.lines().any(|line| line.starts_with("folio_auth_off") && line.ends_with(" 1")),
        "{metrics}"
    );
}

#[tokio::test]
async fn who_has_a_certificate_that_counts_needs_nothing_else_and_a_token_goes_before_it() {
    let shop = CertificateConfig {
        san: "shop.example".to_owned(),
        scopes: vec![Scope::Read],
        ..CertificateConfig::default()
    };
    let checked = Checked::open(&AuthConfig { certificates: vec![shop], ..AuthConfig::default() });
    let peer = |name: &str| Peer::named(&[name]);
    let admit = async |fields: &MetadataMap, peer: &Peer| {
        let admitted = checked.auth.admit(Access::Needs(Scope::Read), fields, peer).await;
        admitted.map(|it| it.principal.name().to_owned()).map_err(|problem| problem.status)
    };
    let mut fields = MetadataMap::new();
    assert_eq!(admit(&fields, &peer("shop.example")).await, Ok("cert:shop.example".to_owned()));
    assert_eq!(admit(&fields, &peer("evil.example")).await, Err(401));
    assert_eq!(admit(&fields, &Peer::default()).await, Err(401));
    // What is shown besides is not passed over.
    fields.insert("authorization", "Bearer wrong".parse().unwrap());
    assert_eq!(admit(&fields, &peer("shop.example")).await, Err(401));
    let metrics = checked.telemetry.render_metrics().unwrap();
    for series in ["reason=\"no-credentials\"} 2", "reason=\"invalid\"} 1", "reason=\"forbidden\"} 0"] {
        assert!(metrics.contains(series), "{series}: {metrics}");
    }
}
