//! Conditions of a read, by RFC 9110, section 13: `If-Match`, `If-Unmodified-Since`, `If-None-Match`, `If-Modified-Since`.
//!
//! Promises: none is passed over where an answer has something to compare with; one that cannot be read is an error; the tag
//! of a compressed answer differs from the tag of the plain one, and so do the tags of an answer of a build that was asked for, and of one
//! that says something of what is parked.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    self, AcceptEncoding, ContentEncoding, Encoding, Header, HeaderMap, HeaderName, HeaderValue,
    IfModifiedSince, IfUnmodifiedSince,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest};
use edge::entity_tags::{EntityTag, Tags};
use jiff::Timestamp;
use read_models::marks::Mark;
use read_models::{Generation, StoredProduct};

use super::headers::check_length;
use crate::ask::{ApiError, Fault};

/// What an answer can be compared by.
#[derive(Debug, Clone)]
pub(super) struct Validators {
    product: String,
    version: u64,
    /// What the tag says of it: the version, the build if one was asked for, which may show the same version otherwise, and what is said of
    /// later events that are parked.
    pub(super) state: String,
    /// None: not to be compared by. A build that was asked for may have been made after the product was changed last, and so may what is
    /// parked.
    pub(super) changed: Option<Timestamp>,
    /// The coding that an answer to this request has.
    coding: Option<&'static str>,
}

impl Validators {
    /// Those of a product, as this build shows it where one was asked for, and with what is said of it if it is parked.
    pub(super) fn of(
        found: &StoredProduct,
        stale: Option<Mark>,
        build: Option<Generation>,
        coding: Option<&'static str>,
    ) -> Self {
        let version = found.product.version.get();
        let mut shown = build.map_or_else(|| version.to_string(), |build| format!("{version}-{build}"));
        if let Some(Mark { since_ms, kind, is_discarded, .. }) = stale {
            let given_up = if is_discarded { "-discarded" } else { "" };
            shown = format!("{shown}-stale-{since_ms}-{kind}{given_up}");
        }
        Self {
            product: found.product.id.to_string(),
            version,
            state: shown,
            changed: (build.is_none() && stale.is_none()).then_some(found.updated_at),
            coding,
        }
    }

    /// Whether it was changed after these seconds since 1970; if it cannot be said, none.
    fn is_changed_after(&self, since: Option<i64>) -> Option<bool> {
        Some(self.changed?.as_second() > since?)
    }

    fn tag(&self) -> EntityTag {
        EntityTag::strong(&self.state, self.coding)
    }
}

/// The conditions of a request, read before anything is asked of a store.
#[derive(Debug)]
pub(super) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
    /// In seconds since 1970, as HTTP's dates count.
    unmodified_since: Option<i64>,
    modified_since: Option<i64>,
}

impl Conditions {
    pub(super) fn read(request: &HttpRequest) -> Result<Self, ApiError> {
        // A date that is none is passed over, as the standard wants: it only ever saves an answer.
        let seconds = |date: header::HttpDate| {
            let since = std::time::SystemTime::from(date).duration_since(std::time::UNIX_EPOCH);
            since.map_or(0, |since| since.as_secs() as i64)
        };
        let unmodified = IfUnmodifiedSince::parse(request).ok().map(|since| seconds(since.0));
        let modified = IfModifiedSince::parse(request).ok().map(|since| seconds(since.0));
        Ok(Self {
            if_match: tags(request.headers(), &header::IF_MATCH)?,
            if_none_match: tags(request.headers(), &header::IF_NONE_MATCH)?,
            unmodified_since: unmodified,
            modified_since: modified,
        })
    }

    /// The conditions of a read whose answer has no tag and no date: those that could only mean one are an error.
    pub(super) fn none_apply(request: &HttpRequest) -> Result<(), ApiError> {
        let Self { if_match, if_none_match, .. } = Self::read(request)?;
        let given = [(header::IF_MATCH, if_match), (header::IF_NONE_MATCH, if_none_match)];
        match given.into_iter().find(|(_, tags)| tags.is_some()) {
            None => Ok(()),
            Some((name, _)) => Err(ApiError::Header(Fault::new(
                name.as_str(),
                "means nothing here: this answer has no entity tag; leave it out",
            ))),
        }
    }

    /// The tag to answer 304 with, if the caller has the answer already; an error if a condition does not hold.
    pub(super) fn judge(&self, found: &Validators) -> Result<Option<EntityTag>, ApiError> {
        let failed = |name: HeaderName| ApiError::Precondition {
            header: name.to_string(),
            product: found.product.clone(),
            version: found.version,
        };
        if let Some(tags) = &self.if_match {
            let holds = match tags {
                Tags::Any => true,
                Tags::Of(tags) => tags.iter().any(|tag| !tag.is_weak && tag.state() == found.state),
            };
            if !holds {
                return Err(failed(header::IF_MATCH));
            }
        } else if found.is_changed_after(self.unmodified_since) == Some(true) {
            return Err(failed(header::IF_UNMODIFIED_SINCE));
        }
        Ok(match &self.if_none_match {
            Some(Tags::Any) => Some(found.tag()),
            Some(Tags::Of(tags)) => {
                let matched = tags.iter().find(|tag| tag.state() == found.state);
                matched.map(|tag| EntityTag { is_weak: false, opaque: tag.opaque.clone() })
            }
            None => (found.is_changed_after(self.modified_since) == Some(false)).then(|| found.tag()),
        })
    }
}

/// The coding that an answer with a body will have, so that one without names the same representation.
pub(super) fn coding(request: &HttpRequest) -> Option<&'static str> {
    let accepted = AcceptEncoding::parse(request).ok()?;
    let known = [Encoding::identity(), Encoding::gzip(), Encoding::deflate()];
    match accepted.negotiate(known.iter())? {
        Encoding::Known(ContentEncoding::Gzip) => Some("gzip"),
        Encoding::Known(ContentEncoding::Deflate) => Some("deflate"),
        _ => None,
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, ApiError> {
    check_length(headers, name)?;
    Tags::of(headers, name.as_str()).map_err(|why| ApiError::Header(Fault::new(name.as_str(), why)))
}

/// Tells the tag of a compressed answer from the tag of the plain one, once the coding is chosen.
pub(super) async fn tag_coding(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut answer = next.call(request).await?;
    let headers = answer.headers();
    let coding = headers.get(header::CONTENT_ENCODING).and_then(|coding| coding.to_str().ok());
    let coding = coding.filter(|coding| *coding != ContentEncoding::Identity.as_str());
    let tag = headers.get(header::ETAG).and_then(|tag| Tags::parse([tag.as_bytes()]).ok());
    if let (Some(coding), Some(Tags::Of(tags))) = (coding, tag)
        && answer.status() != StatusCode::NOT_MODIFIED
    {
        let tag = EntityTag::strong(tags[0].state(), Some(coding)).to_string();
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            answer.headers_mut().insert(header::ETAG, tag);
        }
    }
    Ok(answer)
}

/// When the answer was changed last, as HTTP writes times.
pub(super) fn last_modified(changed: Timestamp) -> header::HttpDate {
    std::time::SystemTime::try_from(changed).unwrap_or(std::time::UNIX_EPOCH).into()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use toolkit::dead_letters::Kind;

    use super::*;

    fn found() -> Validators {
        let changed = "2026-11-24T12:00:00.5Z".parse().ok();
        Validators { product: "p-1".to_owned(), version: 3, state: "3".to_owned(), changed, coding: None }
    }

    fn judged(headers: &[(&str, &str)]) -> Result<Option<String>, ApiError> {
        judged_of(&found(), headers)
    }

    fn judged_of(found: &Validators, headers: &[(&str, &str)]) -> Result<Option<String>, ApiError> {
        let mut request = TestRequest::default();
        for header in headers {
            request = request.append_header(*header);
        }
        let judged = Conditions::read(&request.to_http_request())?.judge(found)?;
        Ok(judged.map(|tag| tag.to_string()))
    }

    const NOON: &str = "Tue, 24 Nov 2026 12:00:00 GMT";
    const BEFORE: &str = "Tue, 24 Nov 2026 11:59:59 GMT";

    #[test]
    fn if_match_compares_strongly_and_comes_first() {
        for holds in ["*", "\"3\"", "\"2\", \"3\"", "\"3-gzip\""] {
            assert!(matches!(judged(&[("If-Match", holds)]), Ok(None)), "{holds}");
        }
        for fails in ["\"2\"", "W/\"3\"", "\"2\", \"4\"", "\"3-x\"", "\"03\""] {
            assert!(matches!(judged(&[("If-Match", fails)]), Err(ApiError::Precondition { .. })), "{fails}");
        }
        let both = [("If-Match", "\"2\""), ("If-None-Match", "\"3\"")];
        assert!(matches!(judged(&both), Err(ApiError::Precondition { .. })));
        // Where tags are given, dates do not count.
        assert!(matches!(judged(&[("If-Match", "\"3\""), ("If-Unmodified-Since", BEFORE)]), Ok(None)));
    }

    #[test]
    fn if_none_match_compares_weakly_and_answers_the_tag_that_was_given() {
        for (given, answered) in
            [("\"3\"", "\"3\""), ("W/\"3\"", "\"3\""), ("\"1\", \"3-gzip\"", "\"3-gzip\""), ("*", "\"3\"")]
        {
            assert_eq!(judged(&[("If-None-Match", given)]).unwrap().as_deref(), Some(answered), "{given}");
        }
        assert_eq!(judged(&[("If-None-Match", "\"4\""), ("If-Modified-Since", NOON)]).unwrap(), None);
    }

    #[test]
    fn dates_count_in_seconds_and_wrong_ones_not_at_all() {
        assert!(judged(&[("If-Modified-Since", NOON)]).unwrap().is_some());
        assert!(judged(&[("If-Modified-Since", BEFORE)]).unwrap().is_none());
        assert!(judged(&[("If-Unmodified-Since", NOON)]).unwrap().is_none());
        assert!(matches!(judged(&[("If-Unmodified-Since", BEFORE)]), Err(ApiError::Precondition { .. })));
        assert!(judged(&[("If-Unmodified-Since", "soon")]).unwrap().is_none());
    }

    #[test]
    fn what_a_build_answers_that_was_asked_for_is_told_by_its_tag_alone() {
        let of_build = Validators { state: "3-g2".to_owned(), changed: None, ..found() };
        let judged = |name, value| judged_of(&of_build, &[(name, value)]);
        for (given, answered) in [
            ("\"3-g2\"", Some("\"3-g2\"")),
            ("\"3-g2-gzip\"", Some("\"3-g2-gzip\"")),
            ("*", Some("\"3-g2\"")),
        ] {
            assert_eq!(judged("If-None-Match", given).unwrap().as_deref(), answered, "{given}");
            judged("If-Match", given).unwrap();
        }
        for other in ["\"3\"", "\"3-gzip\"", "\"3-g1\"", "\"2-g2\""] {
            assert_eq!(judged("If-None-Match", other).unwrap(), None, "{other}");
            assert!(matches!(judged("If-Match", other), Err(ApiError::Precondition { .. })), "{other}");
        }
        for name in ["If-Modified-Since", "If-Unmodified-Since"] {
            assert_eq!(judged(name, NOON).unwrap(), None, "{name}");
        }
        assert_eq!(judged("If-Unmodified-Since", BEFORE).unwrap(), None);
    }

    #[test]
    fn whatever_is_said_of_what_is_parked_has_a_tag_of_its_own_and_no_date() {
        let mark = Mark { first_offset: 9, since_ms: 5, kind: Kind::Undecodable, is_discarded: false };
        let stored = crate::tests::made::product("p-1", 3);
        let of = |stale, build| Validators::of(&stored, stale, build, None);
        let whole = of(None, None);
        assert!(whole.state == "3" && whole.changed.is_some());
        let mut states = std::collections::BTreeSet::from([whole.state]);
        for mark in [
            mark,
            Mark { since_ms: 6, ..mark },
            Mark { kind: Kind::Gap, ..mark },
            Mark { is_discarded: true, ..mark },
        ] {
            for build in [None, Some(Generation::FIRST)] {
                let found = of(Some(mark), build);
                assert_eq!(found.changed, None);
                let given = format!("\"{}-gzip\"", found.state);
                assert_eq!(judged_of(&found, &[("If-None-Match", &given)]).unwrap(), Some(given));
                assert_eq!(judged_of(&found, &[("If-None-Match", "\"3\"")]).unwrap(), None);
                assert!(states.insert(found.state));
            }
        }
    }

    #[test]
    fn tags_that_cannot_be_read_are_refused() {
        for (name, value) in [("If-Match", "3"), ("If-None-Match", "\"3"), ("If-Match", "*, \"3\"")] {
            assert!(matches!(judged(&[(name, value)]), Err(ApiError::Header(_))), "{name}: {value}");
        }
        let request = TestRequest::default().insert_header(("If-None-Match", "\"x\"")).to_http_request();
        assert!(matches!(Conditions::none_apply(&request), Err(ApiError::Header(_))));
        Conditions::none_apply(&TestRequest::default().to_http_request()).unwrap();
    }

    #[actix_web::test]
    async fn a_compressed_answer_has_a_strong_tag_of_its_own_that_is_taken_back() {
        use actix_web::middleware::{Compress, from_fn};
        use actix_web::test::{call_service, init_service};
        use actix_web::{App, HttpResponse, web};

        async fn large() -> HttpResponse {
            HttpResponse::Ok().insert_header((header::ETAG, "\"3\"")).body("a".repeat(10_000))
        }
        let app =
            App::new().wrap(Compress::default()).wrap(from_fn(tag_coding)).route("/", web::get().to(large));
        let service = init_service(app).await;
        for (coding, tag) in [("gzip", "\"3-gzip\""), ("identity", "\"3\"")] {
            let request = TestRequest::get().uri("/").insert_header(("Accept-Encoding", coding)).to_request();
            assert_eq!(
                super::coding(
                    &TestRequest::get().insert_header(("Accept-Encoding", coding)).to_http_request()
                ),
                (coding == "gzip").then_some("gzip")
            );
            let answer = call_service(&service, request).await;
            assert_eq!(answer.headers().get(header::ETAG).unwrap(), tag);
            assert_eq!(answer.headers().contains_key(header::CONTENT_ENCODING), coding == "gzip");
            assert_eq!(judged(&[("If-None-Match", tag)]).unwrap().as_deref(), Some(tag));
        }
    }
}
