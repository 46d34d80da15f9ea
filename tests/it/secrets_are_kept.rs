//! P44 Secrets stay secret: no log, error, metric, answer, record, printed configuration or list of processes holds one; and one that is replaced in its file is taken up without a restart.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::ensure;
use cli::system::{Listens, Plan};
use edge::auth::hashed_key;
use read_models::ReadModel;
use reqwest::Method;
use serde_json::json;
use testkit::login::Login;
use testkit::password_front::PasswordFront;
use testkit::plain::kcat;
use testkit::{Client, OnServers, PATIENCE, Reply, Started, System, eventually, product};

use super::servers_may_be_away::says_missing;

/// What every secret of this test begins with.
const SECRET: &str = "kept5ecret";

/// A secret of this kind.
fn secret(kind: &str) -> String {
    format!("{SECRET}-{kind}-0123456789abcdef0123456789")
}

/// Keys of secrets that each service has, as the names of variables without `FOLIO__`.
fn of_service(service: &str) -> Vec<&'static str> {
    let kafka = [
        "KAFKA__PROPERTIES__SASL_PASSWORD",
        "KAFKA__PROPERTIES__SSL_KEY_PASSWORD",
        "REGISTRY__PASSWORD",
        "TELEMETRY__OTLP_HEADERS__API_KEY",
    ];
    let stores = ["CQL__PASSWORD", "SEARCH__PASSWORD", "SEARCH__API_KEY", "TELEMETRY__OTLP_HEADERS__API_KEY"];
    match service {
        "command-service" => kafka.to_vec(),
        "projector" => {
            let mut all = [&kafka[..], &stores].concat();
            all.sort_unstable();
            all.dedup();
            all
        }
        _ => stores.to_vec(),
    }
}

fn binary(service: &str) -> anyhow::Result<Command> {
    // Whatever it makes of its settings, it ends.
    let mut command = Command::new("timeout");
    command.arg("60").arg(cli::system::binaries()?.join(service));
    if service == "projector" {
        command.args(["--read-model", "products"]);
    }
    command.env("FOLIO__AUTH__ALLOW_ANONYMOUS", "true");
    Ok(command)
}

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn is_clean(what: &str, text: &str) -> anyhow::Result<()> {
    let at = text.find(SECRET).or_else(|| text.find("Bearer ey"));
    if let Some(at) = at {
        let from = text.floor_char_boundary(at.saturating_sub(200));
        let to = text.ceil_char_boundary((at + 100).min(text.len()));
        anyhow::bail!("{what} holds a secret: ..{}..", &text[from..to]);
    }
    Ok(())
}

#[test]
fn neither_what_is_printed_of_a_configuration_nor_what_is_wrong_with_one_shows_a_secret() -> anyhow::Result<()>
{
    let dir = tempfile::tempdir()?;
    for service in ["command-service", "projector", "query-gateway"] {
        let keys = of_service(service);
        let given = keys.iter().map(|key| (format!("FOLIO__{key}"), secret("given")));
        let out = binary(service)?.envs(given).arg("--print-config").output()?;
        let printed = said(&out);
        ensure!(out.status.success(), "{printed}");
        is_clean("--print-config", &printed)?;
        ensure!(printed.matches("'***'").count() == keys.len(), "{printed}");

        // Whatever is wrong beside a secret, or with it.
        let file = dir.path().join("config.yaml");
        let wrong = [
            format!("telemetry: {}\n", secret("section")),
            format!("telemetry: {{otlp_headers: {}}}\n", secret("section")),
            format!("telemetry: {{otlp_endpoint: 'http://folio:{}@127.0.0.1:1'}}\n", secret("address")),
            format!("telemetry: {{otlp_header: {}}}\n", secret("name")),
            format!("telemetry: {{otlp_headers: {{api-key: [{}]}}}}\n", secret("list")),
            format!("telemetry: {{otlp_headers: {{api-key: '{}}}}}\n", secret("quote")),
            format!("listen: {{http: 1, http: {}}}\n", secret("twice")),
        ];
        for text in wrong {
            std::fs::write(&file, &text)?;
            // Without variables: they would win over it, and what is wrong there would not be looked at.
            let out = binary(service)?.arg("--config").arg(&file).output()?;
            ensure!(out.status.code() == Some(64), "{text}: {}", said(&out));
            is_clean(&text.replace(SECRET, "SECRET"), &said(&out))?;
        }
        // Everybody on a machine can read a command line: nothing secret is taken from there.
        for key in &keys {
            let key = key.to_lowercase().replace("__", ".").replace("sasl_", "sasl.").replace("ssl_", "ssl.");
            let out = binary(service)?.arg("--set").arg(format!("{key}={}", secret("line"))).output()?;
            let told = said(&out);
            ensure!(out.status.code() == Some(64) && told.contains("list of processes"), "{key}: {told}");
            is_clean(&key, &told)?;
        }
    }
    // The ways of signing in that exclude what is above; a file and a value; a setting that librdkafka does not know.
    let kept = dir.path().join("secret");
    std::fs::write(&kept, secret("file"))?;
    let kept = kept.display().to_string();
    let sasl = [("KAFKA__SECURITY_PROTOCOL", "sasl_plaintext"), ("REGISTRY__USERNAME", "folio")];
    let given = secret("given");
    let scram = [("KAFKA__SASL__MECHANISM", "SCRAM-SHA-512"), ("KAFKA__SASL__USERNAME", "folio")]
        .into_iter()
        .chain(sasl);
    let oauth = [
        ("KAFKA__SASL__MECHANISM", "OAUTHBEARER"),
        ("KAFKA__SASL__TOKEN_URL", "https://127.0.0.1:1/token"),
        ("KAFKA__SASL__CLIENT_ID", "folio"),
    ];
    let oauth = oauth.into_iter().chain(sasl);
    let of = |pairs: &[(&str, &str)], arguments: &[&str]| {
        let mut command = binary("command-service")?;
        command.envs(pairs.iter().map(|(key, value)| (format!("FOLIO__{key}"), OsString::from(*value))));
        anyhow::Ok(command.args(arguments).output()?)
    };
    for (extra, is_good, shown) in [
        (vec![("KAFKA__SASL__PASSWORD", given.as_str())], true, "***"),
        (vec![("KAFKA__SASL__PASSWORD_FILE", kept.as_str())], true, "password_file"),
        (
            vec![("KAFKA__SASL__PASSWORD", &given), ("KAFKA__SASL__PASSWORD_FILE", &kept)],
            false,
            "give one of",
        ),
        (vec![("KAFKA__SASL__PASSWORD_FILE", "/nowhere/password")], false, "kafka.sasl.password_file"),
    ] {
        let out = of(&scram.clone().chain(extra).collect::<Vec<_>>(), &["--print-config"])?;
        ensure!(out.status.success() == is_good && said(&out).contains(shown), "{}", said(&out));
        is_clean("SCRAM", &said(&out))?;
    }
    for extra in [("KAFKA__SASL__CLIENT_SECRET", &given), ("KAFKA__SASL__CLIENT_SECRET_FILE", &kept)] {
        let pairs: Vec<_> = oauth.clone().chain([(extra.0, extra.1.as_str())]).collect();
        let out = of(&pairs, &["--print-config"])?;
        ensure!(out.status.success(), "{}", said(&out));
        is_clean("OAUTHBEARER", &said(&out))?;
    }
    let free = "127.0.0.1:0";
    let unknown = [
        ("KAFKA__PROPERTIES__SASL_PASSWORTH", given.as_str()),
        ("LISTEN__OPS", free),
        ("LISTEN__HTTP", free),
        ("LISTEN__GRPC", free),
    ];
    let out = of(&unknown, &[])?;
    ensure!(!out.status.success() && said(&out).contains("sasl.passworth"), "{}", said(&out));
    is_clean("what librdkafka refuses", &said(&out))
}

/// Files with secrets that are replaced, and the fronts that ask for them.
struct Kept {
    dir: tempfile::TempDir,
    registry: PasswordFront,
    search: PasswordFront,
}

impl Kept {
    async fn before(system: &OnServers) -> anyhow::Result<Self> {
        let host = |url: &str| {
            let rest = url.trim_start_matches("http://");
            rest.split('/').next().unwrap_or_default().to_owned()
        };
        let addresses = &system.planner.addresses;
        let registry =
            PasswordFront::before(&host(&addresses.registry_url), "folio", &secret("first")).await?;
        let search =
            PasswordFront::before(&host(&addresses.elasticsearch_url), "folio", &secret("first")).await?;
        Ok(Self { dir: tempfile::tempdir()?, registry, search })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// As Kubernetes replaces it: at once.
    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let (path, new) = (self.file(name), self.file("new"));
        std::fs::write(&new, text)?;
        std::fs::rename(&new, &path)?;
        Ok(path)
    }

    /// What a service is told beside its addresses.
    fn settings(&self, service: &str, login: &Login) -> anyhow::Result<Vec<(String, String)>> {
        let keys = self.write(
            "keys.yaml",
            &format!(
                "keys: [{{name: all, sha256: \"{}\", scopes: [\"products:write\", \"products:read\", ops]}}]\n",
                hashed_key(&secret("key"))
            ),
        )?;
        let of_file = |name: &str| self.file(name).display().to_string();
        let mut settings = vec![
            ("AUTH__ALLOW_ANONYMOUS", "false".to_owned()),
            ("AUTH__KEYS_FILE", keys.display().to_string()),
            ("AUTH__OIDC__ISSUER", login.url()),
            ("AUTH__OIDC__AUDIENCES", testkit::login::AUDIENCE.to_owned()),
            ("TELEMETRY__LEVEL", "debug".to_owned()),
            // Nobody is there, so that every export fails, and is told.
            ("TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:1".to_owned()),
            ("TELEMETRY__OTLP_HEADERS__API_KEY", secret("otlp")),
        ];
        if service != "query-gateway" {
            settings.extend([
                ("KAFKA__PROPERTIES__SASL_PASSWORD", secret("sasl")),
                ("KAFKA__PROPERTIES__SSL_KEY_PASSWORD", secret("tls")),
                ("REGISTRY__USERNAME", "folio".to_owned()),
                ("REGISTRY__PASSWORD_FILE", of_file("registry")),
            ]);
        }
        if service != "command-service" {
            settings.extend([
                ("CQL__USERNAME", "folio".to_owned()),
                ("CQL__PASSWORD", secret("cql")),
                ("SEARCH__USERNAME", "folio".to_owned()),
                ("SEARCH__PASSWORD_FILE", of_file("search")),
            ]);
        }
        Ok(settings.into_iter().map(|(key, value)| (format!("FOLIO__{key}"), value)).collect())
    }
}

/// A request with what the caller shows.
async fn ask(
    started: &Started,
    (method, path): (Method, &str),
    shown: &str,
    body: &str,
) -> anyhow::Result<Reply> {
    let bearer = format!("Bearer {shown}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    Ok(Client::new(&started.url()).send(method, path, &headers, body.to_owned()).await?)
}

/// What a service shows of itself: logs, command line, readiness, metrics.
async fn shows(started: &Started) -> anyhow::Result<()> {
    let name = &started.service.plan.name;
    is_clean(&format!("the log of {name}"), &started.log())?;
    // As `ps` shows it to everybody; what a process was given as variables only its user can read.
    let line = std::fs::read(Path::new("/proc").join(started.service.pid.to_string()).join("cmdline"))?;
    is_clean(&format!("the command line of {name}"), &String::from_utf8_lossy(&line))?;
    let ops = Client::new(&started.ops());
    let bearer = format!("Bearer {}", secret("key"));
    for path in ["/readyz", "/livez", "/startupz", "/metrics"] {
        let reply = ops.send(Method::GET, path, &[("authorization", &bearer)], "").await?;
        ensure!(path != "/metrics" || reply.status == 200, "{path} of {name}: {}", reply.body);
        is_clean(&format!("{path} of {name}"), &format!("{:?} {}", reply.headers, reply.body))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_services_keep_them_whatever_goes_wrong_and_take_up_new_ones() -> anyhow::Result<()> {
    let login = Login::start().await?;
    let mut system = OnServers::prepare().await?;
    let kept = Kept::before(&system).await?;
    system.planner.addresses.registry_url = format!("http://{}/apis/ccompat/v7", kept.registry.address());
    system.planner.addresses.elasticsearch_url = format!("http://{}", kept.search.address());
    // Both files hold a password that is wrong.
    kept.write("registry", &secret("wrong"))?;
    kept.write("search", &secret("wrong"))?;

    let with = |service: &str, (mut plan, listens): (Plan, Listens)| {
        plan.environment.extend(kept.settings(service, &login)?);
        anyhow::Ok((plan, listens))
    };
    let plan = with("command-service", system.planner.command_service(1)?)?;
    let commands = system.start(plan)?;
    let mut projectors = Vec::new();
    for read_model in ReadModel::ALL {
        let plan = with("projector", system.planner.projector(*read_model, 1)?)?;
        projectors.push(system.start(plan)?);
    }
    let plan = with("query-gateway", system.planner.query_gateway(1)?)?;
    let queries = system.start(plan)?;

    says_missing(&commands, "registry").await?;
    says_missing(&queries, "search").await?;
    for started in projectors.iter().chain([&commands, &queries]) {
        says_missing(started, "").await?;
        shows(started).await?;
    }
    // The right ones, in the same files: taken up by the same processes.
    kept.write("registry", &format!("{}\n", secret("first")))?;
    kept.write("search", &format!("{}\n", secret("first")))?;
    for started in projectors.iter().chain([&commands, &queries]) {
        started.service.wait_ready(PATIENCE).await?;
    }
    let key = secret("key");
    let body = product("p-1").to_string();
    let created = ask(&commands, (Method::PUT, "/v1/products/p-1"), &key, &body).await?;
    ensure!(created.status == 201, "{}", created.body);
    system.caught_up().await?;
    let found = async || {
        let reply = ask(&queries, (Method::GET, "/v1/search?q=lamp"), &key, "").await;
        reply.map(|it| it.status.as_u16()).unwrap_or_default()
    };
    eventually("the search is answered", found, |status| *status == 200).await;

    // They are replaced while everything runs: at the servers first, so that everybody is refused for a while.
    let (_, refused) = kept.search.counts();
    kept.registry.wants(&secret("second"));
    kept.search.wants(&secret("second"));
    let second = ask(&commands, (Method::PUT, "/v1/products/p-2"), &key, &product("p-2").to_string()).await?;
    ensure!(second.status == 201, "{}", second.body);
    eventually("the old password is refused", async || kept.search.counts().1, |now| *now > refused).await;
    let problem = ask(&queries, (Method::GET, "/v1/search?q=lamp"), &key, "").await?;
    is_clean("an answer", &problem.body.to_string())?;
    kept.write("registry", &secret("second"))?;
    kept.write("search", &secret("second"))?;
    system.caught_up().await?;
    eventually("the search is answered again", found, |status| *status == 200).await;

    wrong_callers_are_answered(&commands, &queries, &login).await?;
    for started in projectors.iter().chain([&commands, &queries]) {
        ensure!(started.service.is_running(), "{} was never started anew", started.service.plan.name);
        shows(started).await?;
    }
    let records = kcat(&system.config.kafka.bootstrap_servers, system.topic()).await?;
    let records = String::from_utf8_lossy(&records);
    ensure!(records.contains("p-2"), "{records}");
    is_clean("the topic of events", &records)
}

/// Callers that show what does not count, and what they are told.
async fn wrong_callers_are_answered(
    commands: &Started,
    queries: &Started,
    login: &Login,
) -> anyhow::Result<()> {
    let scopes = json!({ "sub": "ada", "scope": "products:read", "note": secret("claim") });
    let token = login.signed(&scopes)?;
    let damaged = format!("{}{SECRET}", &token[..token.len() - SECRET.len()]);
    let asked = (Method::GET, "/v1/products/p-1");
    for (shown, status) in [
        (token.as_str(), 200),
        (&damaged, 401),
        (&secret("unknown"), 401),
        (&format!("{SECRET}.{SECRET}.{SECRET}"), 401),
        (&SECRET.repeat(900), 401),
    ] {
        let reply = ask(queries, asked.clone(), shown, "").await?;
        ensure!(reply.status == status, "{} and not {status}: {}", reply.status, reply.body);
        is_clean("an answer", &format!("{:?} {}", reply.headers, reply.body))?;
    }
    let forbidden = ask(commands, (Method::PUT, "/v1/products/p-3"), &token, "{}").await?;
    ensure!(forbidden.status == 403, "{}", forbidden.body);
    is_clean("an answer", &format!("{:?} {}", forbidden.headers, forbidden.body))
}
