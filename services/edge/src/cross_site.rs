//! Requests that a page of another site has a browser send, in the name of whoever sits before it.
//!
//! Promises: nothing is written by one. A browser says where a write comes from (`Origin`, and `Sec-Fetch-Site`), and whatever comes from
//! elsewhere is refused; what a browser would send without asking first (a form, plain text) is no media type of any route; and nothing
//! that a browser adds by itself, such as cookies, lets anyone in ([`crate::auth`]).

use std::sync::Arc;

use contract::code::Code;
use toolkit::config::Unusable;

use crate::fields::{Fields, one};
use crate::problem::Problem;

const ORIGIN: &str = "origin";
const FETCH_SITE: &str = "sec-fetch-site";
const HOST: &str = "host";
/// Methods that change nothing, whoever has them sent.
const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// The origins whose pages may write beside the door's own. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(Arc<[String]>);

impl Origins {
    pub(crate) fn new(origins: &[String]) -> Self {
        Self(origins.iter().map(|origin| origin.to_ascii_lowercase()).collect())
    }

    /// Lets a request pass that no page of another site sent. `authority`: whom it is for, where the request itself says so (HTTP/2).
    ///
    /// # Errors
    /// 403.
    pub(crate) fn admit(
        &self,
        method: &str,
        fields: &impl Fields,
        authority: Option<&str>,
    ) -> Result<(), Problem> {
        if SAFE.contains(&method) {
            return Ok(());
        }
        let refused = |detail: String| Err(Problem::new(Code::CrossSiteRequest, detail));
        let shown = |name: &'static str| one(fields, name).map_err(|why| format!("{name} {why}"));
        let origin = match shown(ORIGIN) {
            Ok(origin) => origin,
            Err(why) => return refused(why),
        };
        if let Some(origin) = origin {
            let host = authority.or_else(|| shown(HOST).ok().flatten());
            let is_trusted = self.0.iter().any(|trusted| origin.eq_ignore_ascii_case(trusted));
            if is_trusted || host.is_some_and(|host| is_of(origin, host)) {
                return Ok(());
            }
            let origin: String = origin.chars().take(200).collect();
            return refused(format!(
                "it comes from a page of {origin}, which is not this service: pages write through a server of their own, or auth.origins names them"
            ));
        }
        match shown(FETCH_SITE) {
            Ok(None | Some("same-origin" | "none")) => Ok(()),
            Ok(Some(_)) => refused("a page of another site sent it (Sec-Fetch-Site)".to_owned()),
            Err(why) => refused(why),
        }
    }
}

/// Whether an origin is that of a host, each with its port.
fn is_of(origin: &str, host: &str) -> bool {
    let Some((scheme, own)) = origin.split_once("://") else { return false };
    let port = match () {
        () if scheme.eq_ignore_ascii_case("https") => "443",
        () if scheme.eq_ignore_ascii_case("http") => "80",
        () => return false,
    };
    let ((own, own_port), (host, host_port)) = (parts(own), parts(host));
    !own.is_empty() && own.eq_ignore_ascii_case(host) && own_port.unwrap_or(port) == host_port.unwrap_or(port)
}

/// A name or address, and the port after it.
fn parts(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // Not inside an address of IPv6.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => {
            (name, Some(port))
        }
        _ => (authority, None),
    }
}

/// Finds what is no origin.
pub(crate) fn check(origins: &[String]) -> Result<(), Unusable> {
    for origin in origins {
        let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let is_one = rest.is_some_and(|rest| {
            !rest.is_empty()
                && rest
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'*' | b'?' | b'#' | b'@'))
        });
        if !is_one {
            return Err(Unusable::new(
                "auth.origins",
                format!("{origin:?} is no origin"),
                "give a scheme, a host and, where it is not the usual one, a port: https://shop.example",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tonic::metadata::{AsciiMetadataValue, MetadataMap};

    use super::*;

    fn admitted(method: &str, fields: &[(&'static str, &str)], authority: Option<&str>) -> bool {
        let mut all = MetadataMap::new();
        for (name, value) in fields {
            all.append(*name, AsciiMetadataValue::try_from(value.as_bytes()).unwrap());
        }
        let trusted = Origins::new(&["https://Shop.example".to_owned()]);
        match trusted.admit(method, &all, authority) {
            Ok(()) => true,
            Err(problem) => {
                assert_eq!((problem.status, problem.code), (403, "cross-site-request"));
                false
            }
        }
    }

    #[test]
    fn a_write_is_taken_from_no_page_but_the_doors_own_and_those_that_are_configured() {
        let host = (HOST, "folio.example:8080");
        for origin in [
            "http://folio.example:8080",
            "https://FOLIO.example:8080",
            "https://shop.example",
            "HTTPS://SHOP.EXAMPLE",
        ] {
            assert!(admitted("POST", &[host, (ORIGIN, origin)], None), "{origin}");
        }
        for origin in [
            "https://evil.example",
            "http://folio.example",
            "http://folio.example:80",
            "http://folio.example:8080.evil.example",
            "http://evil.example/folio.example:8080",
            "http://shop.example",
            "https://shop.example:8443",
            "https://shop.example.evil.example",
            "folio.example:8080",
            "file://folio.example:8080",
            "chrome-extension://folio.example:8080",
            "null",
            "",
            "http://",
        ] {
            for method in ["POST", "PUT", "DELETE", "PATCH", "INVENTED"] {
                assert!(!admitted(method, &[host, (ORIGIN, origin)], None), "{method} {origin}");
            }
            assert!(admitted("GET", &[host, (ORIGIN, origin)], None), "a read changes nothing");
        }
        assert!(
            !admitted("POST", &[(ORIGIN, "https://a.example")], None),
            "without a host nothing is its own"
        );
        assert!(!admitted("POST", &[host, host, (ORIGIN, "http://folio.example:8080")], None));
        assert!(!admitted(
            "POST",
            &[host, (ORIGIN, "https://shop.example"), (ORIGIN, "https://shop.example")],
            None
        ));
    }

    #[test]
    fn a_usual_port_is_the_same_said_or_not_and_addresses_of_ipv6_are_hosts() {
        for (origin, host) in [
            ("https://folio.example", "folio.example:443"),
            ("https://folio.example:443", "folio.example"),
            ("http://folio.example", "folio.example"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("http://[::1]", "[::1]"),
        ] {
            assert!(is_of(origin, host), "{origin} {host}");
            // Over HTTP/2 the request itself says whom it is for, and a field that says otherwise is not looked at.
            assert!(admitted("POST", &[(ORIGIN, origin), (HOST, "evil.example")], Some(host)));
            assert!(!admitted(
                "POST",
                &[(ORIGIN, "http://evil.example"), (HOST, "evil.example")],
                Some(host)
            ));
        }
        assert!(!is_of("http://[::1]", "[::2]") && !is_of("https://folio.example", "folio.example:80"));
    }

    #[test]
    fn a_browser_that_says_no_origin_says_what_kind_of_site_it_is_at() {
        let host = (HOST, "folio.example");
        assert!(admitted("POST", &[host], None), "no browser");
        for (site, is_let_in) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("else", false),
        ] {
            assert_eq!(admitted("POST", &[host, (FETCH_SITE, site)], None), is_let_in, "{site}");
        }
    }

    #[test]
    fn what_is_no_origin_is_named() {
        check(&["https://shop.example".to_owned(), "http://localhost:3000".to_owned()]).unwrap();
        for wrong in ["*", "https://*.example", "shop.example", "https://", "https://a.example/path", "null"]
        {
            assert!(check(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
