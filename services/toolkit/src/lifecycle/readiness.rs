//! Readiness per dependency: what a service needs, and whether it is there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::Serialize;

/// What a service needs to serve. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    shared: Arc<Shared>,
    /// What the names of dependencies begin with.
    prefix: String,
}

#[derive(Debug, Default)]
struct Shared {
    dependencies: RwLock<BTreeMap<String, State>>,
    /// Whether everything was up once: start-up is over.
    started: AtomicBool,
    shutting_down: AtomicBool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct State {
    up: bool,
    /// Whether the service serves without it, but for what needs it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_part: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The answer to "are you ready", as `/readyz` gives it.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub ready: bool,
    pub started: bool,
    pub shutting_down: bool,
    dependencies: BTreeMap<String, State>,
}

impl Status {
    /// Every dependency, and whether it is up.
    pub fn dependencies(&self) -> impl Iterator<Item = (&str, bool)> {
        self.dependencies.iter().map(|(name, state)| (name.as_str(), state.up))
    }

    /// What is missing, readable: `kafka: cannot reach localhost:9092`.
    pub fn missing(&self) -> Vec<String> {
        let down = self.dependencies.iter().filter(|(_, state)| !state.up);
        down.map(|(name, state)| match &state.reason {
            Some(reason) => format!("{name}: {reason}"),
            None => name.clone(),
        })
        .collect()
    }
}

impl Readiness {
    /// The same readiness, for a part of the process: what it declares is named after it.
    pub(super) fn of_part(&self, part: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), prefix: format!("{}{part} ", self.prefix) }
    }

    /// Declares a dependency, down until it is told to be up. Asking for the same name again gets the same one.
    pub fn dependency(&self, name: impl Into<String>) -> Dependency {
        self.declare(&name.into(), false)
    }

    /// Declares something that only a part of the service needs: it is told like a dependency, and the service is ready
    /// without it.
    pub fn part(&self, name: impl Into<String>) -> Dependency {
        self.declare(&name.into(), true)
    }

    fn declare(&self, name: &str, is_part: bool) -> Dependency {
        let name = format!("{}{name}", self.prefix);
        let starting = State { up: false, is_part, reason: Some("starting".to_owned()) };
        self.write(|dependencies| {
            dependencies.entry(name.clone()).or_insert(starting);
        });
        Dependency { readiness: self.clone(), name, is_part, tells: None }
    }

    /// Ready: something was declared, all of it is up, and the process is not shutting down.
    pub fn status(&self) -> Status {
        let dependencies = self.shared.dependencies.read().unwrap_or_else(PoisonError::into_inner).clone();
        let shutting_down = self.shared.shutting_down.load(Ordering::Acquire);
        Status {
            ready: !shutting_down && all_up(&dependencies),
            started: self.shared.started.load(Ordering::Acquire),
            shutting_down,
            dependencies,
        }
    }

    pub fn is_ready(&self) -> bool {
        self.status().ready
    }

    /// Whether the process was told to end: new work should go elsewhere.
    pub fn is_shutting_down(&self) -> bool {
        self.shared.shutting_down.load(Ordering::Acquire)
    }

    pub(super) fn shutting_down(&self) {
        self.shared.shutting_down.store(true, Ordering::Release);
    }

    fn write(&self, change: impl FnOnce(&mut BTreeMap<String, State>)) {
        let mut dependencies = self.shared.dependencies.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut dependencies);
        if all_up(&dependencies) {
            self.shared.started.store(true, Ordering::Release);
        }
    }
}

fn all_up(dependencies: &BTreeMap<String, State>) -> bool {
    !dependencies.is_empty() && dependencies.values().all(|state| state.up || state.is_part)
}

/// One thing a service needs. Cheap to clone; telling the same again costs little and logs nothing.
#[derive(Clone, Debug)]
pub struct Dependency {
    readiness: Readiness,
    name: String,
    is_part: bool,
    /// Whether what it is told counts; `None`: always.
    tells: Option<Arc<Tells>>,
}

/// What one of several who use a dependency was told last, and whether it counts.
#[derive(Debug)]
struct Tells {
    flag: Arc<AtomicBool>,
    last: Mutex<Option<State>>,
}

impl Dependency {
    /// The same, for one of several who use it: what this one is told counts only while `flag` is set.
    #[must_use]
    pub fn told_while(&self, flag: &Arc<AtomicBool>) -> Self {
        let tells = Tells { flag: Arc::clone(flag), last: Mutex::default() };
        Self { tells: Some(Arc::new(tells)), ..self.clone() }
    }

    /// Tells again what it was told last: now it may count.
    pub fn again(&self) {
        let last =
            self.tells.as_ref().and_then(|it| it.last.lock().unwrap_or_else(PoisonError::into_inner).clone());
        if let Some(State { up, reason, .. }) = last {
            self.report(up, reason);
        }
    }

    pub fn up(&self) {
        self.report(true, None);
    }

    /// It is up, and there is something to say all the same.
    pub fn up_though(&self, remark: impl Into<String>) {
        self.report(true, Some(remark.into()));
    }

    pub fn down(&self, reason: impl Into<String>) {
        self.report(false, Some(reason.into()));
    }

    pub fn is_up(&self) -> bool {
        let dependencies = self.readiness.shared.dependencies.read().unwrap_or_else(PoisonError::into_inner);
        dependencies.get(&self.name).is_some_and(|state| state.up)
    }

    fn report(&self, up: bool, reason: Option<String>) {
        let state = State { up, is_part: self.is_part, reason };
        if let Some(Tells { flag, last }) = self.tells.as_deref() {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.clone());
            if !flag.load(Ordering::Acquire) {
                return;
            }
        }
        let known = {
            let dependencies =
                self.readiness.shared.dependencies.read().unwrap_or_else(PoisonError::into_inner);
            dependencies.get(&self.name).cloned()
        };
        if known.as_ref() == Some(&state) {
            return;
        }
        match (known.is_some_and(|state| state.up), &state.reason) {
            (true, _) if up => {
                tracing::debug!(dependency = self.name, remark = state.reason, "dependency is up");
            }
            (false, _) if up => tracing::info!(dependency = self.name, "dependency is up"),
            (_, None) => {}
            (true, Some(reason)) => tracing::warn!(dependency = self.name, reason, "dependency is down"),
            (false, Some(reason)) => {
                tracing::debug!(dependency = self.name, reason, "dependency is still down");
            }
        }
        self.readiness.write(|dependencies| {
            dependencies.insert(self.name.clone(), state);
        });
    }
}
