//! Page tokens of questions that name a build.
//!
//! A search goes on behind a score, and builds score alike words differently: each has its own statistics of its documents.
//! So a token of a search that named a build carries it (`g2.TOKEN`) and goes on there alone, or searches would skip products
//! or show them twice. Lists go on behind a product and histories behind a version, which every build has alike: their tokens
//! are of no build.

use read_models::{Generation, PageRequest};

use super::ApiError;

/// Stands in no token that a read model makes: these are base64url.
const BETWEEN: char = '.';

/// The token as it is given out by a build that was asked for.
pub(super) fn bound(token: &str, build: Generation) -> String {
    format!("{build}{BETWEEN}{token}")
}

/// Takes the build off the token, if it carries one.
pub(super) fn unbound(page: &mut PageRequest) -> Option<Generation> {
    let (build, token) = page.token.as_ref()?.split_once(BETWEEN)?;
    // In one spelling: any other is no token that was given out.
    let build = build.parse().ok().filter(|it: &Generation| it.to_string() == build)?;
    page.token = Some(token.to_owned());
    Some(build)
}

/// Whether a page that came from the build `from`, or from the one that is read, goes on in `build`.
pub(super) fn goes_on(
    page: &PageRequest,
    from: Option<Generation>,
    build: Option<Generation>,
) -> Result<(), ApiError> {
    if page.token.is_none() || from == build {
        return Ok(());
    }
    let told = |build: Option<Generation>| {
        build.map_or_else(|| "a question without generation".to_owned(), |build| format!("build {build}"))
    };
    Err(ApiError::BadPageToken(format!(
        "the page token is of {}, and this is {}: repeat the question it came from, or start without a token",
        told(from),
        told(build)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_a_build_goes_on_there_alone() {
        let [first, second] = [1, 2].map(|n| Generation::try_from(n).unwrap());
        let mut page = PageRequest::new(10, Some(bound("dG9rZW4", second)));
        assert_eq!(page.token.as_deref(), Some("g2.dG9rZW4"));
        assert_eq!(unbound(&mut page), Some(second));
        assert_eq!(page.token.as_deref(), Some("dG9rZW4"));
        goes_on(&page, Some(second), Some(second)).unwrap();
        goes_on(&page, None, None).unwrap();
        goes_on(&PageRequest::default(), None, Some(second)).unwrap();
        for (from, build) in [(Some(second), Some(first)), (Some(second), None), (None, Some(second))] {
            let Err(ApiError::BadPageToken(_)) = goes_on(&page, from, build) else {
                panic!("{from:?} {build:?}")
            };
        }
    }

    #[test]
    fn what_no_build_gave_out_stays_as_it_is() {
        for token in ["", ".", "dG9rZW4", "g0.x", "2.x", "g02.x", "g+2.x", "g99999999999.x", "black-friday.x"]
        {
            let mut page = PageRequest::new(10, Some(token.to_owned()));
            assert_eq!(unbound(&mut page), None, "{token}");
            assert_eq!(page.token.as_deref(), Some(token));
        }
        assert_eq!(unbound(&mut PageRequest::default()), None);
    }
}
