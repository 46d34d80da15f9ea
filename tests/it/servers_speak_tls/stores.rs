//! Cassandra, Elasticsearch and the registry, each with TLS and with somebody asked for.

use std::path::Path;

use adapter_cql::{Cql, CqlConfig};
use adapter_registry::{HttpRegistry, RegistryConfig};
use adapter_search::{Search, SearchConfig};
use local_servers::{Kind, free_port};
use testkit::authority::{Authority, Signed};
use testkit::eventually;
use testkit::servers::{PrivateServer, servers};
use testkit::tls_front::TlsFront;

use super::{HERE, believes, serves};

/// A Cassandra that wants a certificate and a password. (It has one user, of which everybody knows the password.)
pub(super) fn cassandra(dir: &Path, ca: &Authority, server: &Signed) -> anyhow::Result<PrivateServer> {
    let together = dir.join("cassandra.pem");
    std::fs::write(&together, server.together()?)?;
    let lines = format!(
        "
authenticator: PasswordAuthenticator
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: true
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: {}
  truststore: {}
",
        together.display(),
        ca.file.display()
    );
    PrivateServer::start_told(Kind::Cassandra, &lines)
}

pub(super) fn cql(address: &str, ca: &Authority, shows: &Signed) -> CqlConfig {
    CqlConfig {
        contact_points: vec![address.to_owned()],
        username: Some("cassandra".to_owned()),
        password: Some("cassandra".into()),
        use_tls: true,
        tls: believes(ca, Some(shows)),
        ..CqlConfig::default()
    }
}

/// A registry that speaks TLS on a second port: the port.
pub(super) fn registry(server: &Signed) -> anyhow::Result<(PrivateServer, u16)> {
    let port = free_port()?;
    let lines = format!(
        "quarkus.http.ssl-port={port}\nquarkus.http.ssl.certificate.files={}\nquarkus.http.ssl.certificate.key-files={}\n",
        server.certificate.display(),
        server.key.display()
    );
    let registry = PrivateServer::start_told(Kind::Registry, &lines)?;
    Ok((registry, port))
}

/// Waits until `config` gets in.
pub(super) async fn cassandra_is_up(server: &PrivateServer, config: &CqlConfig) {
    let told = async || match Cql::connect(config).await {
        Ok(_) => "up".to_owned(),
        Err(error) => format!("{error}\n{}", server.last_words()),
    };
    eventually("Cassandra takes connections with TLS", told, |told| told == "up").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cassandra_is_reached_with_a_password_and_a_certificate() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (ca, other) = (Authority::new(dir.path(), "ca")?, Authority::new(dir.path(), "other")?);
    let folio = ca.signs("folio", &["folio"])?;
    let server =
        tokio::task::block_in_place(|| cassandra(dir.path(), &ca, &ca.signs("node", &["127.0.0.1"])?))?;
    let good = cql(&server.address(), &ca, &folio);
    cassandra_is_up(&server, &good).await;

    let named = CqlConfig { tls_server_name: Some("scylla.example".to_owned()), ..good.clone() };
    let expired = ca.signs_expired("late", &["late"])?;
    for (config, why) in [
        (CqlConfig { tls: believes(&other, Some(&folio)), ..good.clone() }, "no authority in ca_file signed"),
        (CqlConfig { tls: believes(&ca, None), ..good.clone() }, "certificate"),
        (CqlConfig { tls: believes(&ca, Some(&expired)), ..good.clone() }, "certificate"),
        (
            CqlConfig { password: Some("guessed".into()), ..good.clone() },
            "Provided username cassandra and/or password are incorrect",
        ),
        (named, "is for another name"),
        (
            CqlConfig { contact_points: vec![servers().addresses.cql_contact_point.clone()], ..good.clone() },
            "does not speak TLS",
        ),
    ] {
        let refused =
            async || Cql::connect(&config).await.err().map(|error| error.to_string()).unwrap_or_default();
        eventually(why, refused, |it| it.contains(why)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elasticsearch_is_reached_by_password_key_and_certificate() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (ca, other) = (Authority::new(dir.path(), "ca")?, Authority::new(dir.path(), "other")?);
    let stack = tokio::task::spawn_blocking(servers).await?;
    let target = stack.addresses.elasticsearch_url.trim_start_matches("http://").to_owned();
    let node = ca.signs("node", &HERE)?;
    let folio = ca.signs("folio", &["folio"])?;
    let mutual = TlsFront::before(&target, &serves(&node, Some(&ca)), Some("ApiKey dGhlOmtleQ==")).await?;
    let by_password = TlsFront::before(&target, &serves(&node, None), Some("Basic Zm9saW86c2VjcmV0")).await?;
    let expired = TlsFront::before(&target, &serves(&ca.signs_expired("late", &HERE)?, None), None).await?;
    let elsewhere =
        TlsFront::before(&target, &serves(&ca.signs("else", &["search.example"])?, None), None).await?;

    let at = |front: &TlsFront| format!("https://{}", front.address());
    let with_key = SearchConfig {
        url: at(&mutual),
        api_key: Some("dGhlOmtleQ==".into()),
        tls: believes(&ca, Some(&folio)),
        ..SearchConfig::default()
    };
    let with_password = SearchConfig {
        url: at(&by_password),
        username: Some("folio".to_owned()),
        password: Some("secret".into()),
        tls: believes(&ca, None),
        ..SearchConfig::default()
    };
    for config in [&with_key, &with_password] {
        let search = Search::connect(config).await?;
        // Both clients of the adapter.
        let missing = search.count("no-such-index").await.unwrap_err();
        assert!(missing.is_missing(), "{missing}");
        let bounded =
            search.search_bounded::<serde_json::Value>("no-such-index", "p", serde_json::json!({}), 1_000);
        assert!(bounded.await.unwrap_err().is_missing());
    }
    let open = |front: &TlsFront| SearchConfig {
        url: at(front),
        tls: believes(&ca, None),
        ..SearchConfig::default()
    };
    for (config, why) in [
        (
            SearchConfig { tls: believes(&other, Some(&folio)), ..with_key.clone() },
            "no authority in ca_file signed",
        ),
        (SearchConfig { tls: believes(&ca, None), ..with_key.clone() }, "give certificate_file and key_file"),
        (SearchConfig { api_key: Some("b3RoZXI=".into()), ..with_key.clone() }, "401"),
        (SearchConfig { password: Some("guessed".into()), ..with_password.clone() }, "401"),
        (open(&expired), "has expired"),
        (open(&elsewhere), "is for another name"),
        (SearchConfig { url: format!("https://{target}"), ..open(&mutual) }, "does not speak TLS"),
    ] {
        let refused =
            async || Search::connect(&config).await.err().map(|error| error.to_string()).unwrap_or_default();
        eventually(why, refused, |it| it.contains(why)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_is_reached_by_tls_and_its_certificate_may_be_replaced() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (ca, other) = (Authority::new(dir.path(), "ca")?, Authority::new(dir.path(), "other")?);
    let signed = ca.signs("registry", &HERE)?;
    let (server, port) = tokio::task::block_in_place(|| registry(&signed))?;
    let good = RegistryConfig {
        url: format!("https://127.0.0.1:{port}/apis/ccompat/v7"),
        tls: believes(&ca, None),
        ..RegistryConfig::default()
    };
    let told = async |config: &RegistryConfig| match HttpRegistry::new(config) {
        Err(error) => error.to_string(),
        Ok(registry) => registry.fetch(1).await.err().map(|error| error.to_string()).unwrap_or_default(),
    };
    let up = async || {
        format!(
            "{}{}",
            told(&good).await,
            if told(&good).await.is_empty() { String::new() } else { server.last_words() }
        )
    };
    eventually("the registry answers over TLS", up, String::is_empty).await;
    let refused = told(&RegistryConfig { tls: believes(&other, None), ..good.clone() }).await;
    assert!(refused.contains("no authority in ca_file signed"), "{refused}");
    let plain = RegistryConfig { url: format!("https://{}", server.address()), ..good.clone() };
    assert!(told(&plain).await.contains("does not speak TLS"), "{}", told(&plain).await);

    // A front whose certificate is replaced: by one of the same authority, then of another.
    let front = serves(&ca.signs("front", &HERE)?, Some(&ca));
    let client = believes(&ca, Some(&ca.signs("folio", &["folio"])?));
    for (authority, why) in [(&ca, ""), (&ca, ""), (&other, "no authority in ca_file signed")] {
        authority.signs("front", &HERE)?;
        let standing = TlsFront::before(&server.address(), &front, Some("Basic Zm9saW86c2VjcmV0")).await?;
        let config = RegistryConfig {
            url: format!("https://{}/apis/ccompat/v7", standing.address()),
            username: Some("folio".to_owned()),
            password: Some("secret".into()),
            tls: client.clone(),
            ..RegistryConfig::default()
        };
        let refused = told(&config).await;
        assert!(if why.is_empty() { refused.is_empty() } else { refused.contains(why) }, "{refused}");
    }
    Ok(())
}
