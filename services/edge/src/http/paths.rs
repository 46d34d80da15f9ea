//! Which paths a service takes, and by which methods: so that several services can stand behind one port as they would
//! behind an API gateway.
//!
//! Promises: a request goes to the service that takes its path by its method; a path that is taken by other methods alone is
//! answered with all of them, whichever services take them; no path is taken without saying what it needs of its callers, and whoever
//! does not have it is answered before a handler or the body is looked at; nor is what a page of another site sends; a request is among its
//! caller's until its answer has been taken.

mod held;

use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{ResourceDef, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, Resource, guard, web};
use contract::code::Code;

use crate::auth::{Access, Auth, Entered, Peer};
use crate::problem::Problem;

/// A path as actix-web writes it, the methods by which a service takes it, and what it needs of its callers.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub path: &'static str,
    pub methods: &'static [&'static str],
    pub needs: Access,
}

impl Taken {
    /// The resource at the path. Requests of other methods are not its own. Its handlers find the caller, a
    /// [`crate::auth::Principal`], and its [`crate::limits::Account`] among the request's extensions.
    pub fn resource(
        &self,
        auth: &Auth,
    ) -> Resource<
        impl ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = Error,
            InitError = (),
        > + use<>,
    > {
        let (methods, needs, auth) = (self.methods, self.needs, auth.clone());
        let is_taken =
            move |request: &guard::GuardContext<'_>| methods.contains(&request.head().method.as_str());
        web::resource(self.path)
            .guard(guard::fn_guard(is_taken))
            .wrap(from_fn(move |request, next| admit(auth.clone(), needs, request, next)))
    }
}

/// A resource that takes what no [`Taken`] at its path does: it only says so, and needs nobody's name for that.
pub fn otherwise(path: &str) -> Resource {
    web::resource(path)
}

/// Lets a request in, or answers it.
async fn admit(
    auth: Auth,
    needs: Access,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let refused = auth.refuse_other_sites(request.method().as_str(), request.headers(), None);
    if let Err(problem) = refused {
        return Ok(answered(request, problem));
    }
    let peer = request.conn_data::<Peer>().cloned().unwrap_or_default();
    match auth.admit(needs, request.headers(), &peer).await {
        Ok(Entered { principal, account, place }) => {
            request.extensions_mut().insert(principal);
            request.extensions_mut().insert(account);
            Ok(held::until_taken(next.call(request).await?, place))
        }
        Err(problem) => {
            if problem.code == Code::TooManyRequests.name() {
                super::skip(request.take_payload()).await;
            }
            Ok(answered(request, problem))
        }
    }
}

/// `ServiceRequest::into_response` would lose the problem, which is still to be given the names of its request.
fn answered(request: ServiceRequest, problem: Problem) -> ServiceResponse<BoxBody> {
    ServiceResponse::new(request.into_parts().0, HttpResponse::from_error(problem))
}

/// The paths of all services behind a port. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Paths(Arc<[(ResourceDef, &'static [&'static str])]>);

impl Paths {
    /// Those of these services.
    pub fn of(services: &[&[Taken]]) -> Self {
        let taken = services.iter().copied().flatten();
        Self(taken.map(|taken| (ResourceDef::new(taken.path), taken.methods)).collect())
    }

    /// Answers what no service takes with the problem that `refuse` makes of it: given the methods by which the path is
    /// taken, as `Allow` then names them, or none if nothing is there.
    pub fn otherwise(
        self,
        refuse: fn(&HttpRequest, Option<&str>) -> Problem,
    ) -> impl Fn(&mut web::ServiceConfig) + Clone {
        move |app| {
            let paths = self.clone();
            app.default_service(web::to(move |request: HttpRequest| {
                let answer = paths.refused(&request, refuse);
                async move { answer }
            }));
        }
    }

    fn refused(
        &self,
        request: &HttpRequest,
        refuse: fn(&HttpRequest, Option<&str>) -> Problem,
    ) -> HttpResponse {
        let methods = self.methods(request.match_info().as_str());
        let mut answer = HttpResponse::from_error(refuse(request, methods.as_deref()));
        if let Some(Ok(methods)) = methods.as_deref().map(HeaderValue::from_str) {
            answer.headers_mut().insert(ALLOW, methods);
        }
        answer
    }

    /// The methods by which a path is taken; none if it is not.
    fn methods(&self, path: &str) -> Option<String> {
        let mut methods: Vec<&str> = Vec::new();
        for (_, its) in self.0.iter().filter(|(taken, _)| taken.is_match(path)) {
            for method in *its {
                if !methods.contains(method) {
                    methods.push(method);
                }
            }
        }
        (!methods.is_empty()).then(|| methods.join(", "))
    }
}
