//! Requests to one server that give way to others.
//!
//! Promises: a request that gives way to nobody never waits for one that does; those that give way have as much room as the others
//! while there are no others; while there are, they have little of it, and leave it empty for as long as they used it: a server that
//! is slow because of them has half of its time for the others, and one that is quick is not held up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// After so long without a request that gives way to nobody the others take all of their room.
const QUIET: Duration = Duration::from_secs(1);
/// Room is left empty for no longer than this: who gave way may have become urgent.
const REST: Duration = Duration::from_millis(200);

/// Whether requests give way. By default they do not.
#[derive(Clone, Debug, Default)]
pub struct Lane(Option<Arc<AtomicBool>>);

/// The room that one server has for requests: so many in flight at once.
#[derive(Debug)]
pub struct Lanes {
    first: Semaphore,
    second: Semaphore,
    /// How much of the room one request takes that gives way, while others ask too.
    share: u32,
    /// When one last came that does not give way.
    last: Mutex<Option<Instant>>,
    quiet: Duration,
}

/// Room for one request, until it is dropped.
#[derive(Debug)]
pub struct Room<'a> {
    lanes: &'a Lanes,
    lane: &'a Lane,
    begun: Instant,
    _permit: SemaphorePermit<'a>,
}

impl Room<'_> {
    /// Gives it back after its request: by those who give way not before others had as much time.
    pub async fn leave(self) {
        if self.lanes.must_give_way(self.lane) {
            tokio::time::sleep(self.begun.elapsed().min(REST)).await;
        }
    }
}

impl Lane {
    /// Requests that give way until this says that they are urgent.
    pub fn until(is_urgent: Arc<AtomicBool>) -> Self {
        Self(Some(is_urgent))
    }

    fn gives_way(&self) -> bool {
        self.0.as_ref().is_some_and(|is_urgent| !is_urgent.load(Ordering::Acquire))
    }
}

impl Lanes {
    /// At most `room` requests at once that do not give way, and as many that do: of those `beside` while there are others.
    pub fn new(room: usize, beside: usize) -> Self {
        let (room, beside) = (room.max(1), beside.max(1));
        let share = u32::try_from(room / beside.min(room)).unwrap_or(1);
        let (first, second) = (Semaphore::new(room), Semaphore::new(room));
        Self { first, second, share, last: Mutex::default(), quiet: QUIET }
    }

    /// Waits for room for one more request; it is given back with what is returned. Nobody closes the room; if somebody did, nothing
    /// would be bounded.
    pub async fn enter<'a>(&'a self, lane: &'a Lane) -> Option<Room<'a>> {
        let (room, share) = self.room_in(lane);
        Some(self.entered(lane, room.acquire_many(share).await.ok()?))
    }

    /// Takes room for one more request if there is some now.
    pub fn enter_now<'a>(&'a self, lane: &'a Lane) -> Option<Room<'a>> {
        let (room, share) = self.room_in(lane);
        Some(self.entered(lane, room.try_acquire_many(share).ok()?))
    }

    fn entered<'a>(&'a self, lane: &'a Lane, permit: SemaphorePermit<'a>) -> Room<'a> {
        Room { lanes: self, lane, begun: Instant::now(), _permit: permit }
    }

    /// Whether requests give way, and there are others.
    pub fn must_give_way(&self, lane: &Lane) -> bool {
        lane.gives_way() && !self.is_quiet()
    }

    /// Where a request finds room, and how much it takes.
    fn room_in(&self, lane: &Lane) -> (&Semaphore, u32) {
        if lane.gives_way() {
            return (&self.second, if self.is_quiet() { 1 } else { self.share });
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        (&self.first, 1)
    }

    fn is_quiet(&self) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|at| at.elapsed() > self.quiet)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_gives_way_takes_little_room_beside_others_and_none_of_theirs() {
        let mut lanes = Lanes::new(8, 2);
        let is_urgent = Arc::new(AtomicBool::new(false));
        let (first, second) = (Lane::default(), Lane::until(Arc::clone(&is_urgent)));
        // Alone it has all of its room,
        let alone: Vec<_> = (0..8).map(|_| lanes.enter(&second).now_or_never()).collect();
        assert!(alone.iter().all(Option::is_some) && lanes.enter(&second).now_or_never().is_none());
        assert!(lanes.enter_now(&second).is_none());
        // and none of what others need.
        let others: Vec<_> = (0..8).map(|_| lanes.enter(&first).now_or_never()).collect();
        assert!(others.iter().all(Option::is_some) && lanes.enter(&first).now_or_never().is_none());
        assert!(lanes.enter_now(&first).is_none());
        drop((alone, others));
        let beside: Vec<_> = (0..2).map(|_| lanes.enter(&second).now_or_never()).collect();
        assert!(beside.iter().all(Option::is_some) && lanes.enter(&second).now_or_never().is_none());
        // It is the one that is read from now on.
        is_urgent.store(true, Ordering::Release);
        assert!(lanes.enter(&second).now_or_never().is_some() && lanes.enter_now(&second).is_some());
        is_urgent.store(false, Ordering::Release);
        drop(beside);
        lanes.quiet = Duration::ZERO;
        tokio::time::sleep(Duration::from_millis(2)).await;
        let alone: Vec<_> = (0..8).map(|_| lanes.enter(&second).now_or_never()).collect();
        assert!(alone.iter().all(Option::is_some));
    }

    #[tokio::test]
    async fn there_is_room_for_one_however_little_there_is() {
        for (room, beside) in [(0, 0), (1, 1), (1, 8), (2, 1), (3, 2)] {
            let lanes = Lanes::new(room, beside);
            assert!(lanes.enter(&Lane::default()).now_or_never().is_some());
            assert!(lanes.enter(&Lane::until(Arc::default())).now_or_never().is_some(), "{room} {beside}");
        }
    }

    #[tokio::test]
    async fn who_gives_way_rests_after_a_request_while_there_are_others() {
        let lanes = Lanes::new(8, 2);
        let is_urgent = Arc::new(AtomicBool::new(false));
        let (first, second) = (Lane::default(), Lane::until(Arc::clone(&is_urgent)));
        let rests = |lane: &Lane| {
            let room = lanes.enter(lane).now_or_never().flatten().unwrap();
            std::thread::sleep(Duration::from_millis(2));
            room.leave().now_or_never().is_none()
        };
        assert!(!rests(&second), "there is nobody else");
        assert!(!rests(&first) && rests(&second));
        is_urgent.store(true, Ordering::Release);
        assert!(!rests(&second));
    }
}
