//! An issuer of tokens for tests: it shows its keys over HTTP, and signs what it is told to.
//!
//! Promise: what it signs is what real issuers sign (ES256), and it can be taken away and brought back at the same address.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Whom its tokens are for.
pub const AUDIENCE: &str = "folio";

/// The issuer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Login {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    is_away: AtomicBool,
    /// How many keys it ever had.
    made: AtomicU32,
    /// The last one signs; all are shown.
    keys: Mutex<Vec<(String, EncodingKey)>>,
}

/// Without the keys.
impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Login {
    /// Begins to serve, with one key.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            is_away: AtomicBool::new(false),
            made: AtomicU32::new(0),
            keys: Mutex::default(),
        });
        let login = Self { address, shared };
        login.renew()?;
        let serving = login.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { drop(serving.serve(stream).await) });
            }
        });
        Ok(login)
    }

    /// What its tokens have as `iss`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it answers nobody, or does again.
    pub fn be_away(&self, is_away: bool) {
        self.shared.is_away.store(is_away, Ordering::SeqCst);
    }

    /// Makes a further key, which signs from now on.
    ///
    /// # Errors
    /// If none can be made.
    pub fn renew(&self) -> anyhow::Result<()> {
        let key = EncodingKey::from_ec_der(&rcgen::KeyPair::generate()?.serialize_der());
        let mut keys = self.keys();
        // Never the name of one that was withdrawn.
        let name = format!("k{}", self.shared.made.fetch_add(1, Ordering::SeqCst) + 1);
        keys.push((name, key));
        Ok(())
    }

    /// Forgets all keys but the one that signs.
    pub fn withdraw(&self) {
        let mut keys = self.keys();
        let old = keys.len().saturating_sub(1);
        keys.drain(..old);
    }

    /// A token for this caller, with these scopes, good for ten minutes.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn token(&self, name: &str, scopes: &[&str]) -> anyhow::Result<String> {
        self.signed(&json!({ "sub": name, "scope": scopes.join(" ") }))
    }

    /// A token that says this; what it does not say of issuer, audience and time is added.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn signed(&self, claims: &Value) -> anyhow::Result<String> {
        let mut all = json!({ "iss": self.url(), "aud": AUDIENCE, "exp": now() + 600 });
        for (name, value) in claims.as_object().context("claims are an object")? {
            all[name] = value.clone();
        }
        let keys = self.keys();
        let (name, key) = keys.last().context("it has a key")?;
        let header = Header { kid: Some(name.clone()), ..Header::new(Algorithm::ES256) };
        Ok(encode(&header, &all, key)?)
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, Vec<(String, EncodingKey)>> {
        self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, mut stream: TcpStream) -> anyhow::Result<()> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            anyhow::ensure!(stream.read_buf(&mut request).await? > 0, "it broke off");
        }
        if self.shared.is_away.load(Ordering::SeqCst) {
            return Ok(());
        }
        let body = if request.starts_with(b"GET /.well-known/openid-configuration ") {
            json!({ "issuer": self.url(), "jwks_uri": format!("{}/keys", self.url()) })
        } else {
            self.shown()?
        };
        let body = body.to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
        let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await?;
        Ok(())
    }

    fn shown(&self) -> anyhow::Result<Value> {
        let keys = self.keys();
        let shown = keys.iter().map(|(name, key)| {
            let mut jwk = Jwk::from_encoding_key(key, Algorithm::ES256)?;
            jwk.common.key_id = Some(name.clone());
            anyhow::Ok(serde_json::to_value(jwk)?)
        });
        Ok(json!({ "keys": shown.collect::<anyhow::Result<Vec<_>>>()? }))
    }
}

/// The time, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
