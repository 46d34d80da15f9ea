//! Certificates made in a test: authorities, and what they sign.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// An authority that keeps what it makes in a folder: `<name>.pem` is its own certificate.
#[derive(Debug)]
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub file: PathBuf,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Signed {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Signed {
    /// Both one after the other, the key first: what Java servers take as a key store.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn together(&self) -> std::io::Result<String> {
        Ok(format!("{}{}", fs::read_to_string(&self.key)?, fs::read_to_string(&self.certificate)?))
    }
}

impl Authority {
    /// Makes an authority.
    ///
    /// # Errors
    /// If its file cannot be written.
    pub fn new(dir: &Path, name: &str) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key)?;
        let file = dir.join(format!("{name}.pem"));
        fs::write(&file, certificate.pem())?;
        Ok(Self { dir: dir.to_owned(), issuer: Issuer::new(params, key), file })
    }

    /// Signs a certificate for `hosts`, whose subject is `CN=<name>`; anew, if there is one of this name.
    ///
    /// # Errors
    /// If its files cannot be written.
    pub fn signs(&self, name: &str, hosts: &[&str]) -> anyhow::Result<Signed> {
        self.sign(name, hosts, |_| ())
    }

    /// The same, long expired.
    ///
    /// # Errors
    /// If its files cannot be written.
    pub fn signs_expired(&self, name: &str, hosts: &[&str]) -> anyhow::Result<Signed> {
        self.sign(name, hosts, |params| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        })
    }

    fn sign(
        &self,
        name: &str,
        hosts: &[&str],
        with: impl Fn(&mut CertificateParams),
    ) -> anyhow::Result<Signed> {
        let key = KeyPair::generate()?;
        let hosts: Vec<String> = hosts.iter().map(|it| (*it).to_owned()).collect();
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        with(&mut params);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let signed = Signed {
            certificate: self.dir.join(format!("{name}.crt")),
            key: self.dir.join(format!("{name}.key")),
        };
        fs::write(&signed.certificate, certificate.pem())?;
        fs::write(&signed.key, key.serialize_pem())?;
        Ok(signed)
    }
}
