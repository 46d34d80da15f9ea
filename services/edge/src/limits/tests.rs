//! Accounts with given limits and given time.

mod doors;

use std::net::IpAddr;
use std::time::Duration;

use toolkit::memory::Memory;

use super::*;

fn limits(change: impl FnOnce(&mut LimitsConfig)) -> (Limits, Telemetry) {
    let mut config = LimitsConfig::default();
    change(&mut config);
    config.check().unwrap();
    let telemetry = Telemetry::detached("test").unwrap();
    (Limits::new(&config, &telemetry), telemetry)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn accounts(limits: &Limits) -> &Accounts {
    &limits.shared.as_ref().unwrap().accounts
}

#[test]
fn a_caller_has_one_account_by_its_name_and_where_nobody_is_checked_by_its_address() {
    let (limits, _) = limits(|_| ());
    let now = Instant::now();
    let accounts = accounts(&limits);
    assert_eq!(accounts.of_name("ada", now).id(), accounts.of_name("ada", now).id());
    assert_ne!(accounts.of_name("ada", now).id(), accounts.of_name("grace", now).id());
    let of = |text| accounts.of_address(Some(address(text)), now).id();
    assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
    assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"), "a host has a network of IPv6");
    assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    let nobody = Principal::default();
    assert_eq!(limits.account(&nobody, Some(address("10.0.0.1"))).id(), of("10.0.0.1"));
    assert_eq!(limits.account(&nobody, None).id(), of("0.0.0.0"));
}

#[test]
fn who_goes_beyond_a_limit_is_told_which_and_when_to_come_back() {
    let (limits, telemetry) = limits(|it| (it.requests_per_second, it.burst, it.in_flight) = (2, 4, 3));
    let now = Instant::now();
    let ada = accounts(&limits).of_name("ada", now);
    let inside: Vec<_> = (0..3).map(|_| ada.enter(now).unwrap()).collect();
    let problem = ada.enter(now).unwrap_err();
    assert_eq!((problem.status, problem.code), (429, "too-many-requests"));
    assert_eq!((&problem.extensions["limit"], problem.retry_after_seconds()), (&"in-flight".into(), Some(1)));
    assert_eq!(ada.in_flight(), 3, "who was refused holds nothing");
    drop(inside);
    drop(ada.enter(now).unwrap());
    let problem = ada.enter(now).unwrap_err();
    assert_eq!((&problem.extensions["limit"], problem.retry_after_seconds()), (&"rate".into(), Some(1)));
    drop(ada.enter(now + Duration::from_millis(500)).unwrap());
    // Others are as they were.
    drop(accounts(&limits).of_name("grace", now).enter(now).unwrap());
    let told = telemetry.render_metrics().unwrap();
    for series in ["limit=\"rate\"} 1", "limit=\"in-flight\"} 1", "limit=\"bytes\"} 0"] {
        assert!(told.contains(&format!("folio_limited_total{{{series}")), "{series}: {told}");
    }
    assert!(!told.contains("\"ada\""), "{told}");
}

#[test]
fn zero_is_any_number() {
    let (limits, _) = limits(|it| {
        *it = LimitsConfig {
            requests_per_second: 0,
            burst: 0,
            upload_commands_per_second: 0,
            in_flight: 0,
            bytes_mib: 0,
            connections_per_peer: 0,
        };
    });
    let now = Instant::now();
    let ada = accounts(&limits).of_name("ada", now);
    let _inside: Vec<_> = (0..30_000).map(|_| ada.enter(now).unwrap()).collect();
    let mut load = ada.load(Memory::new(usize::MAX).empty());
    assert!(load.grow(1 << 40));
    let _visits: Vec<_> =
        (0..30_000).map(|_| limits.peers().connect(Some(address("::1"))).unwrap()).collect();
    assert!(LimitsConfig { burst: 0, ..LimitsConfig::default() }.check().is_err());
}

#[test]
fn a_callers_bytes_are_bounded_beside_those_of_the_door() {
    let (limits, _) = limits(|it| it.bytes_mib = 1);
    let (now, door) = (Instant::now(), Memory::new(3 << 20));
    let (ada, grace) = (accounts(&limits).of_name("ada", now), accounts(&limits).of_name("grace", now));
    let mut first = ada.load(door.empty());
    assert!(first.grow(700_000));
    let mut second = ada.load(door.empty());
    assert!(!second.grow(700_000));
    assert_eq!(second.refused_as(), contract::code::Code::TooManyRequests);
    assert_eq!(door.taken(), 700_000, "nothing of the door was taken for it");
    let mut hers = grace.load(door.empty());
    assert!(hers.grow(700_000));
    let other = door.take(3 << 20);
    assert!(other.is_none());
    // What has arrived is the caller's until it is answered.
    let own = first.arrived();
    assert_eq!(door.taken(), 700_000);
    assert!(!second.grow(700_000));
    drop(own);
    assert!(second.set(700_000));
    drop((second, hers));
    assert_eq!(door.taken(), 0);
    let full = door.take(3 << 20).unwrap();
    let mut late = grace.load(door.empty());
    assert!(!late.grow(1) && late.refused_as() == contract::code::Code::Overloaded);
    drop(full);
}

#[test]
fn no_address_has_more_connections_than_it_may_and_one_that_ends_makes_room() {
    let (limits, telemetry) = limits(|it| it.connections_per_peer = 2);
    let peers = limits.peers();
    let (first, _second) =
        (peers.connect(Some(address("::1"))).unwrap(), peers.connect(Some(address("::1"))).unwrap());
    assert!(peers.connect(Some(address("::1"))).is_none());
    let _other = peers.connect(Some(address("127.0.0.1"))).unwrap();
    drop(first);
    assert!(peers.connect(Some(address("::1"))).is_some());
    let told = telemetry.render_metrics().unwrap();
    assert!(told.contains("folio_limited_total{limit=\"connections\"} 1"), "{told}");
}

#[test]
fn callers_who_have_done_nothing_for_a_while_are_forgotten_and_no_others() {
    let (limits, _) = limits(|it| (it.requests_per_second, it.burst) = (10, 10));
    let (accounts, now) = (accounts(&limits), Instant::now());
    let staying = accounts.of_name("staying", now);
    let _place = staying.enter(now).unwrap();
    let from =
        |n: u32, at| drop(accounts.of_address(Some(IpAddr::from(n.to_be_bytes())), at).enter(at).unwrap());
    for n in 0..5_000 {
        from(n, now);
    }
    assert_eq!(accounts.count(), 5_001, "none is forgotten that has asked just now");
    let later = now + Duration::from_secs(10);
    for n in 5_000..10_000 {
        from(n, later);
    }
    assert!(accounts.count() < 8_193, "{}", accounts.count());
    assert_eq!(accounts.of_name("staying", later).id(), staying.id(), "whoever is inside is not forgotten");
}

#[tokio::test]
async fn uploads_are_slowed_down_and_not_refused() {
    let (limits, _) = limits(|it| it.upload_commands_per_second = 100);
    let ada = accounts(&limits).of_name("ada", Instant::now());
    let since = Instant::now();
    for _ in 0..120 {
        ada.pace().await;
    }
    assert!(since.elapsed() >= Duration::from_millis(190), "{:?}", since.elapsed());
}
