//! A registry that speaks Confluent's API (Apicurio does under `/apis/ccompat/v7`).
//!
//! Promises: every call is bounded in time, and signs in with the password as it is then; an error says whether trying again can help; nothing is registered except
//! by [`HttpRegistry::register`], which only `folio schemas register` calls.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use toolkit::causes;
use toolkit::config::{Credential, Secret};
use toolkit::tls::explained;

use crate::{Error, RegistryConfig, error};

/// The level of every subject: a reader of the newest version reads all older ones, which is what an event store needs.
pub const BACKWARD_TRANSITIVE: &str = "BACKWARD_TRANSITIVE";

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// Confluent's error codes under a 404.
const SUBJECT_NOT_FOUND: i64 = 40401;
const VERSION_NOT_FOUND: i64 = 40402;
const SCHEMA_NOT_FOUND: i64 = 40403;
const LEVEL_NOT_FOUND: i64 = 40408;

/// A client of a registry. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpRegistry {
    http: Client,
    base: Url,
    user: Option<(String, Option<Credential>)>,
}

/// Whether a schema may become the next version of its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compatibility {
    Compatible,
    /// With the registry's reasons.
    Incompatible(Vec<String>),
}

impl HttpRegistry {
    pub fn new(config: &RegistryConfig) -> Result<Self, Error> {
        let unusable = |problem: String| Error::Configuration { url: config.url.clone(), problem };
        let mut base = Url::parse(&config.url).map_err(|error| unusable(error.to_string()))?;
        // Without the slash, the last part of the path would be replaced instead of continued.
        base.path_segments_mut().map_err(|()| unusable("it cannot have a path".to_owned()))?.pop_if_empty();
        let timeout = Duration::from_millis(config.timeout_ms);
        let mut http = Client::builder().timeout(timeout).connect_timeout(timeout);
        if base.scheme() == "https" {
            let tls = config.tls.client(None).map_err(|error| unusable(format!("registry.tls: {error}")))?;
            http = http.tls_backend_preconfigured(tls);
        }
        let http = http.build().map_err(|error| unusable(error.to_string()))?;
        let password = config.credential().map_err(|it| unusable(format!("{}: {}", it.key, it.problem)))?;
        let user = config.username.clone().map(|name| (name, password));
        Ok(Self { http, base, user })
    }

    /// The id of `schema` under `subject`; [`Error::NotRegistered`] if it is not there.
    pub async fn id_of(&self, subject: &str, schema: &str) -> Result<u32, Error> {
        let tried = format!("look up the schema of subject {subject}");
        let found: Identified = self
            .call(Method::POST, &["subjects", subject], Some(json!({"schema": schema})), &tried)
            .await
            .map_err(|error| match error {
                Error::Refused { code: SUBJECT_NOT_FOUND | VERSION_NOT_FOUND | SCHEMA_NOT_FOUND, .. } => {
                    Error::NotRegistered { subjects: vec![subject.to_owned()] }
                }
                error => error,
            })?;
        Ok(found.id)
    }

    /// The text of the schema with this id, if there is one.
    pub async fn fetch(&self, id: u32) -> Result<Option<String>, Error> {
        let tried = format!("fetch schema {id}");
        let answer: Result<Registered, Error> =
            self.call(Method::GET, &["schemas", "ids", &id.to_string()], None, &tried).await;
        match answer {
            Ok(registered) => Ok(Some(registered.schema)),
            Err(Error::Refused { code: SCHEMA_NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Registers `schema` as the newest version of `subject`, or finds it there; its id.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, Error> {
        let tried = format!("register the schema of subject {subject}");
        let body = json!({"schema": schema, "schemaType": "AVRO"});
        let registered: Identified =
            self.call(Method::POST, &["subjects", subject, "versions"], Some(body), &tried).await?;
        Ok(registered.id)
    }

    /// Whether `schema` may become the next version of `subject`, judged against all versions there are. A subject that
    /// is not there takes any schema.
    pub async fn check_compatibility(&self, subject: &str, schema: &str) -> Result<Compatibility, Error> {
        let tried = format!("check a schema against subject {subject}");
        let body = json!({"schema": schema, "schemaType": "AVRO"});
        let path = ["compatibility", "subjects", subject, "versions"];
        let mut url = self.url(&path);
        url.set_query(Some("verbose=true"));
        let answer: Result<Judged, Error> = self.send(self.http.post(url).json(&body), &tried).await;
        match answer {
            Ok(Judged { is_compatible: true, .. }) => Ok(Compatibility::Compatible),
            Ok(Judged { messages, .. }) => Ok(Compatibility::Incompatible(messages.unwrap_or_default())),
            Err(Error::Refused { code: SUBJECT_NOT_FOUND | VERSION_NOT_FOUND, .. }) => {
                Ok(Compatibility::Compatible)
            }
            Err(error) => Err(error),
        }
    }

    /// The compatibility level set for `subject` itself, as the registry calls it; none: the registry's default.
    pub async fn compatibility(&self, subject: &str) -> Result<Option<String>, Error> {
        let tried = format!("read the compatibility level of subject {subject}");
        let answer: Result<Configured, Error> =
            self.call(Method::GET, &["config", subject], None, &tried).await;
        match answer {
            Ok(configured) => Ok(Some(configured.level)),
            Err(Error::Refused { code: SUBJECT_NOT_FOUND | LEVEL_NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets the level to [`BACKWARD_TRANSITIVE`].
    pub async fn set_compatibility(&self, subject: &str) -> Result<(), Error> {
        let tried = format!("set the compatibility level of subject {subject}");
        let body = json!({"compatibility": BACKWARD_TRANSITIVE});
        let _echo: Value = self.call(Method::PUT, &["config", subject], Some(body), &tried).await?;
        Ok(())
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        url
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Value>,
        tried: &str,
    ) -> Result<T, Error> {
        let mut request = self.http.request(method, self.url(path));
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.send(request, tried).await
    }

    async fn send<T: DeserializeOwned>(&self, mut request: RequestBuilder, tried: &str) -> Result<T, Error> {
        if let Some((name, password)) = &self.user {
            let password = password.as_ref().map(Credential::current);
            request = request.basic_auth(name, password.as_ref().map(Secret::expose));
        }
        let transient = |problem: String| Error::Transient {
            tried: tried.to_owned(),
            url: self.base.to_string(),
            problem,
        };
        let response = request
            .header(reqwest::header::ACCEPT, MEDIA_TYPE)
            .header(reqwest::header::CONTENT_TYPE, MEDIA_TYPE)
            .send()
            .await
            .map_err(|error| transient(explained(causes(&error))))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| transient(causes(&error)))?;
        if status.is_success() {
            return serde_json::from_str(&text).map_err(|error| Error::Nonsense {
                tried: tried.to_owned(),
                url: self.base.to_string(),
                problem: error.to_string(),
            });
        }
        if status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        {
            return Err(transient(format!("status {status}: {}", error::message(&text))));
        }
        Err(Error::refused(tried, self.base.as_str(), status.as_u16(), &text))
    }
}

#[derive(Deserialize)]
struct Identified {
    id: u32,
}

#[derive(Deserialize)]
struct Registered {
    schema: String,
}

#[derive(Deserialize)]
struct Judged {
    is_compatible: bool,
    messages: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Configured {
    #[serde(rename = "compatibilityLevel", alias = "compatibility")]
    level: String,
}
