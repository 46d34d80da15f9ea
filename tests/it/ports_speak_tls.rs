//! Ports of ours with TLS and clients of ours: who is believed, who is let in, and what whoever is not is told.
//!
//! Needs no server.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use testkit::authority::{Authority, Signed};
use toolkit::tls::{ServerTls, ServerTlsConfig, TlsConfig, explained};

const OFTEN: Duration = Duration::from_millis(20);

fn port(files: &Signed, clients: Option<&Authority>) -> ServerTlsConfig {
    ServerTlsConfig {
        certificate_file: Some(files.certificate.clone()),
        key_file: Some(files.key.clone()),
        client_ca_file: clients.map(|it| it.file.clone()),
    }
}

fn client(ca: &Authority, shows: Option<&Signed>) -> TlsConfig {
    TlsConfig {
        ca_file: Some(ca.file.clone()),
        certificate_file: shows.map(|it| it.certificate.clone()),
        key_file: shows.map(|it| it.key.clone()),
    }
}

/// Serves echoes of one byte.
async fn serve(tls: &ServerTls) -> anyhow::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let acceptor = TlsAcceptor::from(Arc::new(tls.config(&[])?));
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let byte = stream.read_u8().await?;
                stream.write_u8(byte).await?;
                stream.shutdown().await
            });
        }
    });
    Ok(address)
}

/// Sends a byte and gets it back, or says why not, as a driver would.
async fn ask(config: &TlsConfig, name: Option<&str>, address: std::net::SocketAddr) -> Result<(), String> {
    let config = config.client(name).map_err(|error| error.to_string())?;
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let said = async {
        let host = ServerName::from(address.ip());
        let mut stream = TlsConnector::from(Arc::new(config)).connect(host, stream).await?;
        stream.write_u8(7).await?;
        stream.read_u8().await
    };
    said.await.map(|byte| assert_eq!(byte, 7)).map_err(|error| explained(error.to_string()))
}

#[tokio::test]
async fn whoever_is_signed_for_is_believed_and_others_are_told_what_to_do() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (ours, other) = (Authority::new(dir.path(), "ours")?, Authority::new(dir.path(), "other")?);
    let right = ServerTls::open(&port(&ours.signs("right", &["127.0.0.1"])?, None))?.context("TLS")?;
    let right = serve(&right).await?;
    ask(&client(&ours, None), None, right).await.unwrap();
    let error = ask(&client(&other, None), None, right).await.unwrap_err();
    assert!(error.contains("give the file of the authority that did"), "{error}");

    let named = ServerTls::open(&port(&ours.signs("named", &["db.example"])?, None))?.context("TLS")?;
    let named = serve(&named).await?;
    let error = ask(&client(&ours, None), None, named).await.unwrap_err();
    assert!(error.contains("is for another name"), "{error}");
    ask(&client(&ours, None), Some("db.example"), named).await.unwrap();
    let error = ask(&client(&ours, None), Some("other.example"), named).await.unwrap_err();
    assert!(error.contains("is for another name"), "{error}");

    let old = ServerTls::open(&port(&ours.signs_expired("old", &["127.0.0.1"])?, None))?.context("TLS")?;
    let error = ask(&client(&ours, None), None, serve(&old).await?).await.unwrap_err();
    assert!(error.contains("has expired") && error.contains("renew it at the server"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_port_with_authorities_lets_in_only_whom_they_signed() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (ours, other) = (Authority::new(dir.path(), "ours")?, Authority::new(dir.path(), "other")?);
    let server = ours.signs("server", &["127.0.0.1"])?;
    let tls = ServerTls::open(&port(&server, Some(&ours)))?.context("TLS")?;
    let address = serve(&tls).await?;
    ask(&client(&ours, Some(&ours.signs("client", &["client"])?)), None, address).await.unwrap();
    let error = ask(&client(&ours, None), None, address).await.unwrap_err();
    assert!(error.contains("give certificate_file and key_file"), "{error}");
    let error = ask(&client(&ours, Some(&ours.signs_expired("late", &["client"])?)), None, address)
        .await
        .unwrap_err();
    assert!(error.contains("our certificate because it has expired"), "{error}");
    let error = ask(&client(&ours, Some(&other.signs("foreign", &["client"])?)), None, address).await;
    let error = error.unwrap_err();
    assert!(error.contains("does not accept our certificate"), "{error}");
    Ok(())
}

#[tokio::test]
async fn files_that_change_are_read_again_and_bad_ones_change_nothing() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (ours, next) = (Authority::new(dir.path(), "ours")?, Authority::new(dir.path(), "next")?);
    let files = ours.signs("server", &["127.0.0.1"])?;
    let tls = ServerTls::open(&port(&files, None))?.context("TLS")?;
    let address = serve(&tls).await?;
    let stop = CancellationToken::new();
    let following = tokio::spawn(tls.follow("http.tls", OFTEN, stop.clone()));

    fs::write(&files.certificate, "nonsense")?;
    tokio::time::sleep(OFTEN * 5).await;
    ask(&client(&ours, None), None, address).await.unwrap();

    next.signs("server", &["127.0.0.1"])?;
    let until = tokio::time::Instant::now() + OFTEN * 1_000;
    while ask(&client(&next, None), None, address).await.is_err() {
        assert!(tokio::time::Instant::now() < until, "never read again");
        tokio::time::sleep(OFTEN).await;
    }
    let error = ask(&client(&ours, None), None, address).await.unwrap_err();
    assert!(error.contains("the authority that did"), "{error}");
    stop.cancel();
    following.await.unwrap();
    Ok(())
}

#[test]
fn files_that_cannot_serve_are_named_with_what_is_wrong() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ours = Authority::new(dir.path(), "ours")?;
    let (one, two) = (ours.signs("one", &["a"])?, ours.signs("two", &["a"])?);
    let nothing = dir.path().join("nothing.pem");
    fs::write(&nothing, "no certificate\n")?;
    let wrong = |config: &TlsConfig| config.check("kafka.tls").unwrap_err().problem;
    let cases = [
        (TlsConfig { ca_file: Some(dir.path().join("away")), ..TlsConfig::default() }, "cannot read"),
        (TlsConfig { ca_file: Some(nothing.clone()), ..TlsConfig::default() }, "no `BEGIN CERTIFICATE`"),
        (
            TlsConfig { certificate_file: Some(one.certificate.clone()), ..TlsConfig::default() },
            "without key_file",
        ),
        (TlsConfig { key_file: Some(one.key.clone()), ..TlsConfig::default() }, "without certificate_file"),
        (client(&ours, Some(&Signed { key: two.key, ..one.clone() })), "does not belong to the certificate"),
        (client(&ours, Some(&Signed { key: nothing, ..one.clone() })), "is no private key in PEM"),
    ];
    for (config, told) in cases {
        let problem = wrong(&config);
        assert!(problem.contains(told), "{problem:?} says nothing of {told:?}");
    }
    client(&ours, Some(&one)).check("kafka.tls").unwrap();
    let half = ServerTlsConfig { client_ca_file: Some(ours.file.clone()), ..ServerTlsConfig::default() };
    assert!(half.check("http.tls").unwrap_err().problem.contains("without certificate_file"));
    let url = client(&ours, None).check_url("search", "http://search:9200").unwrap_err();
    assert!(url.key == "search.tls" && url.remedy.contains("https://"), "{url:?}");
    Ok(())
}
