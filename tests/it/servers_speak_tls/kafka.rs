//! A broker that speaks TLS, asks who is there, and allows nobody more than they need.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use adapter_kafka::{
    KafkaConfig, Mechanism, NewMessage, Profile, RecordProducer, SaslConfig, SecurityProtocol, Topics,
    describe_topic,
};
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::Headers;
use local_servers::Beyond;
use testkit::authority::{Authority, Signed};
use testkit::eventually;
use testkit::servers::{PrivateKafka, test_prefix};
use toolkit::tls::TlsConfig;

use super::{HERE, believes};

/// Of every user.
pub(super) const PASSWORD: &str = "plain-secret";
const DECLARED: &str = include_str!("../../../deploy/topics.yaml");

/// A broker with two listeners beside the plain one, on which everybody is a super-user.
pub(super) struct Secured {
    pub(super) broker: PrivateKafka,
    /// `host:port` of the listener that wants a certificate, and of the one that wants a user or a token.
    pub(super) mutual: String,
    pub(super) signed: String,
}

impl Secured {
    pub(super) fn start(dir: &Path, ca: &Authority, server: &Signed) -> anyhow::Result<Self> {
        let together = dir.join("broker.pem");
        std::fs::write(&together, server.together()?)?;
        let plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule";
        let token = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";
        let lines = format!(
            r#"
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,MUTUAL:SSL,SIGNED:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location={server}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/,DEFAULT
listener.name.mutual.ssl.client.auth=required
listener.name.signed.ssl.client.auth=none
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.signed.plain.sasl.jaas.config={plain} required user_folio="{PASSWORD}" user_nobody="{PASSWORD}";
listener.name.signed.scram-sha-256.sasl.jaas.config={scram} required;
listener.name.signed.scram-sha-512.sasl.jaas.config={scram} required;
listener.name.signed.oauthbearer.sasl.jaas.config={token} required unsecuredLoginStringClaim_sub="broker";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"#,
            server = together.display(),
            ca = ca.file.display(),
        );
        let users: Vec<String> = ["SCRAM-SHA-256", "SCRAM-SHA-512"]
            .into_iter()
            .flat_map(|mechanism| {
                ["folio", "commands", "projectors", "setup"]
                    .map(|name| format!("{mechanism}=[name={name},password={PASSWORD}]"))
            })
            .collect();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        let beyond = Beyond { listeners: &["MUTUAL", "SIGNED"], lines: &lines, scram: &users };
        let (broker, ports) = PrivateKafka::start_told(beyond)?;
        let at = |index: usize| ports.get(index).map(|port| format!("127.0.0.1:{port}"));
        let (mutual, signed) = at(0).zip(at(1)).context("two listeners")?;
        Ok(Self { broker, mutual, signed })
    }

    /// Allows a user what is named, on topics and groups that begin with `prefix`.
    pub(super) fn allow(
        &self,
        user: &str,
        kind: &str,
        prefix: &str,
        operations: &[&str],
    ) -> anyhow::Result<()> {
        self.acl("--add", user, kind, prefix, operations)
    }

    pub(super) fn forbid(
        &self,
        user: &str,
        kind: &str,
        prefix: &str,
        operations: &[&str],
    ) -> anyhow::Result<()> {
        self.acl("--remove", user, kind, prefix, operations)
    }

    fn acl(
        &self,
        what: &str,
        user: &str,
        kind: &str,
        prefix: &str,
        operations: &[&str],
    ) -> anyhow::Result<()> {
        let (servers, user) = (self.broker.bootstrap(), format!("User:{user}"));
        let mut arguments = vec![
            "--bootstrap-server",
            &servers,
            what,
            "--force",
            "--allow-principal",
            &user,
            kind,
            prefix,
            "--resource-pattern-type",
            "prefixed",
        ];
        arguments.extend(operations.iter().flat_map(|operation| ["--operation", operation]));
        self.broker.tool("org.apache.kafka.tools.AclCommand", &arguments)
    }

    /// A client that signs in with a password.
    pub(super) fn user(&self, mechanism: Mechanism, name: &str, ca: &Authority) -> KafkaConfig {
        let sasl = SaslConfig {
            mechanism: Some(mechanism),
            username: Some(name.to_owned()),
            password: Some(PASSWORD.into()),
            ..SaslConfig::default()
        };
        self.sasl(sasl, ca)
    }

    fn sasl(&self, sasl: SaslConfig, ca: &Authority) -> KafkaConfig {
        KafkaConfig {
            bootstrap_servers: self.signed.clone(),
            security_protocol: SecurityProtocol::SaslSsl,
            sasl,
            tls: believes(ca, None),
            ..KafkaConfig::default()
        }
    }

    /// A client that shows a certificate.
    fn shows(&self, tls: TlsConfig) -> KafkaConfig {
        KafkaConfig {
            bootstrap_servers: self.mutual.clone(),
            security_protocol: SecurityProtocol::Ssl,
            tls,
            ..KafkaConfig::default()
        }
    }
}

/// A token as a broker without an identity provider takes it: signed by nobody.
fn token(subject: &str, lives_for: u64) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = format!(r#"{{"sub":"{subject}","iat":{now},"exp":{}}}"#, now + lives_for);
    Ok(format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims)))
}

/// Why it failed, whole.
fn told<T>(outcome: Result<T, adapter_kafka::Error>) -> String {
    outcome.err().map(|error| error.to_string()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_is_reached_by_certificate_password_and_token_and_says_why_it_is_not() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (ca, other) = (Authority::new(dir.path(), "ca")?, Authority::new(dir.path(), "other")?);
    let server = ca.signs("broker", &["127.0.0.1"])?;
    let kafka = tokio::task::block_in_place(|| Secured::start(dir.path(), &ca, &server))?;
    let topic = format!("{}.events", test_prefix());
    let plain = KafkaConfig { bootstrap_servers: kafka.broker.bootstrap(), ..KafkaConfig::default() };
    let declared = Topics::parse(DECLARED, "deploy/topics.yaml")?.with_prefix(&format!("{topic}."));
    declared.apply(&plain, Profile::Local).await?;
    let topic = format!("{topic}.catalog.product.events.v1");
    tokio::task::block_in_place(|| {
        kafka.allow("folio", "--topic", &topic, &["Describe", "DescribeConfigs"])
    })?;

    // Whoever may come in, comes in.
    let folio = ca.signs("folio", &["folio"])?;
    let token_file = dir.path().join("token");
    std::fs::write(&token_file, token("folio", 600)?)?;
    let by_token = SaslConfig {
        mechanism: Some(Mechanism::OauthBearer),
        token_file: Some(token_file.clone()),
        ..SaslConfig::default()
    };
    let by_token = kafka.sasl(by_token, &ca);
    for config in [
        kafka.shows(believes(&ca, Some(&folio))),
        kafka.user(Mechanism::Plain, "folio", &ca),
        kafka.user(Mechanism::ScramSha256, "folio", &ca),
        kafka.user(Mechanism::ScramSha512, "folio", &ca),
        by_token.clone(),
    ] {
        let facts = describe_topic(&config, &topic).await.with_context(|| format!("{:?}", config.sasl))?;
        let by_token = config.sasl.mechanism == Some(Mechanism::OauthBearer);
        assert_eq!((facts.name.as_str(), facts.configs.is_none()), (topic.as_str(), by_token));
        // Producers and consumers have contexts of their own: they come in too, and may do nothing.
        let producer = RecordProducer::open(&config)?;
        let message = NewMessage { topic: topic.clone(), ..message() };
        let refused = told(producer.send(message).await);
        assert!(refused.to_lowercase().contains("authorization"), "{refused}");
    }

    // Whoever may not, hears why.
    let wrong_password = SaslConfig {
        password: Some("guessed".into()),
        ..kafka.user(Mechanism::ScramSha512, "folio", &ca).sasl
    };
    let expired = ca.signs_expired("late", &["late"])?;
    let foreign = other.signs("foreign", &["foreign"])?;
    for (config, why) in [
        (kafka.shows(believes(&other, Some(&folio))), "no authority in ca_file signed"),
        (kafka.shows(believes(&ca, None)), "or wants one"),
        (kafka.shows(believes(&ca, Some(&expired))), "our certificate"),
        (kafka.shows(believes(&ca, Some(&foreign))), "our certificate"),
        (kafka.sasl(wrong_password, &ca), "Authentication failed"),
        (
            KafkaConfig {
                bootstrap_servers: kafka.broker.bootstrap(),
                ..kafka.user(Mechanism::Plain, "folio", &ca)
            },
            "does not speak TLS",
        ),
    ] {
        let config = KafkaConfig { request_timeout_ms: 2_500, ..config };
        // A busy machine may hear of the reason late.
        let refused = async || told(describe_topic(&config, &topic).await);
        eventually(why, refused, |it| it.contains(why)).await;
    }
    // The broker's own certificate, for another name and expired.
    let elsewhere = kafka.signed.replace("127.0.0.1", "localhost");
    let late = ca.signs_expired("late-broker", &HERE)?;
    let late = tokio::task::block_in_place(|| Secured::start(dir.path(), &ca, &late))?;
    for (servers, why) in [(elsewhere, "it is for another name"), (late.signed.clone(), "it has expired")] {
        let config = KafkaConfig {
            bootstrap_servers: servers,
            request_timeout_ms: 2_500,
            ..kafka.user(Mechanism::ScramSha512, "folio", &ca)
        };
        // A busy machine may hear of the reason late.
        let refused = async || told(describe_topic(&config, &topic).await);
        eventually(why, refused, |it| it.contains(why)).await;
    }
    // Signed in, and allowed nothing: as if the topic were not there.
    let refused = told(describe_topic(&kafka.user(Mechanism::Plain, "nobody", &ca), &topic).await);
    assert!(refused.to_lowercase().contains("authorization"), "{refused}");

    // A token that is renewed is used; one that has expired is told.
    std::fs::write(&token_file, token("folio", 0)?)?;
    let late = KafkaConfig { request_timeout_ms: 2_500, ..by_token.clone() };
    let refused = async || told(describe_topic(&late, &topic).await);
    eventually("an expired token is told", refused, |it| it.contains("has expired: see what renews it"))
        .await;
    std::fs::write(&token_file, token("folio", 600)?)?;
    describe_topic(&by_token, &topic).await?;
    Ok(())
}

fn message() -> NewMessage {
    NewMessage {
        topic: String::new(),
        partition: Some(0),
        key: "k".into(),
        value: None,
        headers: Headers::default(),
    }
}
