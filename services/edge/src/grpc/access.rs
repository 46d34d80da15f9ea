//! What calls need of their callers. Promises that no method is called without it being said, and that a call which is not let in is
//! answered before its message is read.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use prost_types::FileDescriptorSet;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;

use super::methods;
use crate::auth::{Access, Auth, Entered, Peer};

/// A method of a service, and what it needs of its callers.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub method: &'static str,
    pub needs: Access,
}

/// A service whose calls have a caller, a [`crate::auth::Principal`], and its [`crate::limits::Account`] among their requests' extensions.
/// A call is among its caller's until its last answer has been taken.
#[derive(Clone, Debug)]
pub(super) struct Guarded<S> {
    inner: S,
    auth: Auth,
    calls: &'static [Call],
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S, auth: Auth, calls: &'static [Call]) -> Self {
        Self { inner, auth, calls }
    }
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path().strip_prefix('/').and_then(|path| path.strip_prefix(S::NAME));
        let method = path.and_then(|path| path.strip_prefix('/'));
        let Some(call) = self.calls.iter().find(|call| Some(call.method) == method) else {
            return Box::pin(std::future::ready(Ok(Status::unimplemented("").into_http())));
        };
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        if let Err(problem) =
            self.auth.refuse_other_sites(request.method().as_str(), request.headers(), authority)
        {
            return Box::pin(std::future::ready(Ok(Status::from(problem).into_http())));
        }
        let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
        let admitted = self.auth.admit(call.needs, request.headers(), &peer);
        // The one that was found ready answers.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            match admitted.await {
                Ok(Entered { principal, account, place }) => {
                    request.extensions_mut().insert(principal);
                    request.extensions_mut().insert(account);
                    let answer = inner.call(request).await?;
                    Ok(answer.map(|body| {
                        Body::new(body.map_frame(move |frame| {
                            let _until_then = &place;
                            frame
                        }))
                    }))
                }
                Err(problem) => Ok(Status::from(problem).into_http()),
            }
        })
    }
}

/// Holds the methods that `files` describe of a service to those that it says something of.
pub(super) fn complete(
    service: &'static str,
    calls: &'static [Call],
    files: &FileDescriptorSet,
) -> anyhow::Result<()> {
    for method in methods(service, files) {
        let is_said = calls.iter().any(|call| call.method == method.name());
        anyhow::ensure!(
            is_said,
            "{service}/{} does not say what it needs of its callers: a defect",
            method.name()
        );
    }
    Ok(())
}
