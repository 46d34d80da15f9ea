//! P23 Every server is reached over TLS, by certificate, password or token, with no right too many; whoever is not let in hears why.
//!
//! TLS and credentials to every server: Kafka with certificates, passwords and tokens and with no right too many, Cassandra
//! with a password and a certificate, Elasticsearch and the registry behind TLS, traces to a collector with TLS.
//!
//! Elasticsearch's own security is not in what Maven Central has: there a front speaks TLS and asks who is there.

mod collector;
mod kafka;
mod stores;
mod whole;

use toolkit::tls::{ServerTlsConfig, TlsConfig};

use testkit::authority::{Authority, Signed};

/// Names of this machine.
const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

/// A client that believes `ca`, and shows `signed`.
fn believes(ca: &Authority, signed: Option<&Signed>) -> TlsConfig {
    TlsConfig {
        ca_file: Some(ca.file.clone()),
        certificate_file: signed.map(|it| it.certificate.clone()),
        key_file: signed.map(|it| it.key.clone()),
    }
}

/// A port with this certificate, which lets in whom `clients` signed.
fn serves(server: &Signed, clients: Option<&Authority>) -> ServerTlsConfig {
    ServerTlsConfig {
        certificate_file: Some(server.certificate.clone()),
        key_file: Some(server.key.clone()),
        client_ca_file: clients.map(|it| it.file.clone()),
    }
}
