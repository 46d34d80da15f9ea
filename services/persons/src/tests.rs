use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::FutureExt;
use proptest::prelude::*;

use super::*;

const RING: &str = "current: k2\nlookup: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nkeys:\n  k1: AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n  k2: AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n";

fn ring() -> KeyRing {
    KeyRing::parse(RING).unwrap()
}

fn older() -> KeyRing {
    KeyRing::parse(&RING.replace("current: k2", "current: k1")).unwrap()
}

/// A store in memory, which may be away. What it keeps is what the port allows, and nothing else.
#[derive(Debug, Default)]
struct InMemory {
    persons: Mutex<BTreeMap<Lookup, PersonKey>>,
    erasures: Mutex<Vec<Erasure>>,
    is_away: AtomicBool,
    asked: AtomicUsize,
}

impl InMemory {
    /// Asked when it is waited for, as a store is.
    fn answer<'a, T: Send + 'static>(
        &'a self,
        of: impl FnOnce(&mut BTreeMap<Lookup, PersonKey>) -> T + Send + 'a,
    ) -> Stored<'a, T> {
        async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.is_away.load(Ordering::SeqCst) {
                return Err(StoreError { problem: "away".to_owned(), transient: true });
            }
            Ok(of(&mut self.persons.lock().unwrap()))
        }
        .boxed()
    }
}

impl KeyStore for InMemory {
    fn by_lookup(&self, lookup: Lookup) -> Stored<'_, Option<PersonKey>> {
        self.answer(move |persons| persons.get(&lookup).cloned())
    }

    fn by_pseudonyms<'a>(&'a self, pseudonyms: &'a [Pseudonym]) -> Stored<'a, Vec<Option<PersonKey>>> {
        self.answer(|persons| {
            let find = |it: &Pseudonym| persons.values().find(|person| person.pseudonym == *it).cloned();
            pseudonyms.iter().map(find).collect()
        })
    }

    fn create<'a>(&'a self, person: &'a PersonKey) -> Stored<'a, PersonKey> {
        self.answer(|persons| persons.entry(person.lookup).or_insert_with(|| person.clone()).clone())
    }

    fn erase<'a>(&'a self, person: &'a PersonKey, erasure: &'a Erasure) -> Stored<'a, ()> {
        self.answer(|persons| {
            self.erasures.lock().unwrap().push(erasure.clone());
            persons.remove(&person.lookup);
        })
    }

    fn rewrap<'a>(&'a self, person: &'a PersonKey, wrapped: &'a Wrapped) -> Stored<'a, bool> {
        self.answer(|persons| match persons.get_mut(&person.lookup).filter(|it| **it == *person) {
            Some(it) => {
                it.wrapped = wrapped.clone();
                true
            }
            None => false,
        })
    }

    fn page(&self, after: Option<Lookup>, limit: usize) -> Stored<'_, Vec<PersonKey>> {
        self.answer(move |persons| {
            let behind = persons.values().filter(|it| after.is_none_or(|after| it.lookup > after));
            behind.take(limit).cloned().collect()
        })
    }

    fn erasures(&self) -> Stored<'_, Vec<Erasure>> {
        self.answer(|_| self.erasures.lock().unwrap().clone())
    }
}

fn persons_with(change: impl FnOnce(&mut PrivacyConfig)) -> (Arc<InMemory>, Persons) {
    let store = Arc::new(InMemory::default());
    let mut config = PrivacyConfig { enabled: true, keys: Some(RING.into()), ..PrivacyConfig::default() };
    change(&mut config);
    config.check().unwrap();
    (Arc::clone(&store), Persons::on(&config, store).unwrap())
}

#[tokio::test]
async fn a_name_is_sealed_shown_and_after_the_erasure_a_pseudonym() {
    let (store, writer) = persons_with(|config| config.cache_ms = 100);
    let held = writer.seal("ada@example.com").await.unwrap();
    assert!(!held.contains("ada"), "{held}");
    let sealed = Sealed::parse(&held).unwrap();
    let held = [&*held, "bob", "person:not-one"];
    let plain = [Shown::Name("bob".to_owned()), Shown::Name("person:not-one".to_owned())];
    let shown = writer.show(&held).await.unwrap();
    assert_eq!(shown[0], Shown::Name("ada@example.com".to_owned()));
    assert_eq!(shown[1..], plain);

    let desk = Desk::new(ring(), store);
    let person = desk.find("ada@example.com").await.unwrap().expect("she did something");
    assert_eq!(desk.find("ada@example.co").await.unwrap(), None);
    assert_eq!(desk.find_pseudonym(sealed.pseudonym).await.unwrap(), Some(person.clone()));
    desk.erase(&person, "privacy@example.com", "asked for it").await.unwrap();
    assert_eq!(desk.find("ada@example.com").await.unwrap(), None);
    assert_eq!(desk.erasures().await.unwrap()[0].pseudonym, sealed.pseudonym);
    tokio::time::sleep(Duration::from_millis(110)).await;
    let shown = writer.show(&held).await.unwrap();
    assert_eq!(shown[0], Shown::Erased(sealed.pseudonym));
    assert_eq!(shown[1..], plain);
    // Whoever comes back is somebody else.
    let again = Sealed::parse(&writer.seal("ada@example.com").await.unwrap()).unwrap();
    assert_ne!(again.pseudonym, sealed.pseudonym);
}

#[tokio::test]
async fn a_person_costs_one_question_and_two_services_agree() {
    let (store, one) = persons_with(|_| ());
    let config = PrivacyConfig { enabled: true, keys: Some(RING.into()), ..PrivacyConfig::default() };
    let other = Persons::on(&config, Arc::clone(&store) as Arc<dyn KeyStore>).unwrap();
    let first = one.seal("ada").await.unwrap();
    let asked = store.asked.load(Ordering::SeqCst);
    for _ in 0..100 {
        assert_eq!(one.seal("ada").await.unwrap(), first);
    }
    assert_eq!(store.asked.load(Ordering::SeqCst), asked);
    let second = other.seal("ada").await.unwrap();
    assert_ne!(first, second, "each has a nonce of its own");
    let pseudonym = |held: &str| Sealed::parse(held).unwrap().pseudonym;
    assert_eq!(pseudonym(&first), pseudonym(&second));
    assert_eq!(one.show(&[&*second]).await.unwrap(), [Shown::Name("ada".to_owned())]);
}

#[tokio::test]
async fn while_the_store_is_away_known_persons_go_on_and_nothing_is_plain() {
    let (store, persons) = persons_with(|config| (config.cache_ms, config.outage_ms) = (100, 60_000));
    let held = persons.seal("ada").await.unwrap();
    persons.show(&[&*held]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(110)).await;
    store.is_away.store(true, Ordering::SeqCst);
    assert_eq!(persons.seal("ada").await.unwrap(), held);
    assert!(matches!(persons.seal("bob").await, Err(Unavailable::Store(error)) if error.transient));
    assert!(persons.show(&[&*held]).await.is_err(), "a key is not believed for longer than was said");
    assert_eq!(persons.show(&["bob"]).await.unwrap(), [Shown::Name("bob".to_owned())]);
    // One that failed is left alone for a moment.
    let asked = store.asked.load(Ordering::SeqCst);
    for _ in 0..20 {
        persons.seal("ada").await.unwrap();
    }
    assert_eq!(store.asked.load(Ordering::SeqCst), asked);
    store.is_away.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_010)).await;
    persons.seal("bob").await.unwrap();
}

#[tokio::test]
async fn keys_leave_memory_though_nobody_asks() {
    let (_, persons) = persons_with(|config| config.cache_ms = 100);
    let held = persons.seal("ada").await.unwrap();
    persons.show(&[&*held]).await.unwrap();
    assert_eq!(persons.keys_in_memory(), 1);
    persons.forget(Instant::now() + Duration::from_millis(101));
    assert_eq!(persons.keys_in_memory(), 0);
}

#[tokio::test]
async fn off_leaves_names_as_they_are() {
    let persons = Persons::off();
    assert!(!persons.is_on());
    assert_eq!(&*persons.seal("ada").await.unwrap(), "ada");
    assert_eq!(persons.show(&["ada"]).await.unwrap(), [Shown::Name("ada".to_owned())]);
}

#[tokio::test]
async fn keys_are_wrapped_anew_and_the_old_master_key_may_go() {
    let store = Arc::new(InMemory::default());
    let mut config = PrivacyConfig { enabled: true, ..PrivacyConfig::default() };
    config.keys = Some(RING.replace("current: k2", "current: k1").as_str().into());
    let held = {
        let before = Persons::on(&config, Arc::clone(&store) as Arc<dyn KeyStore>).unwrap();
        let mut held = Vec::new();
        for n in 0..1_203 {
            held.push(before.seal(&format!("person {n}")).await.unwrap());
        }
        held
    };
    let desk = Desk::new(ring(), Arc::clone(&store) as Arc<dyn KeyStore>);
    assert_eq!(desk.rewrap(true).await.unwrap().changed, 1_203);
    assert_eq!(desk.rewrap(true).await.unwrap().changed, 1_203, "a dry run changes nothing");
    assert_eq!(desk.rewrap(false).await.unwrap(), Rewrapped { changed: 1_203, ..Rewrapped::default() });
    assert_eq!(desk.rewrap(false).await.unwrap(), Rewrapped { already: 1_203, ..Rewrapped::default() });
    let without: String =
        RING.lines().filter(|line| !line.contains("k1")).flat_map(|line| [line, "\n"]).collect();
    config.keys = Some(without.as_str().into());
    let after = Persons::on(&config, store).unwrap();
    let shown = after.show(&held.iter().map(|it| &**it).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(shown[1_202], Shown::Name("person 1202".to_owned()));
}

#[test]
fn a_ring_says_what_is_wrong_with_it_and_nothing_that_is_in_it() {
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    for (text, part) in [
        ("current: k", "YAML"),
        (key, "YAML"),
        (&RING.replace("current: k2", "current: k3"), "`current`"),
        (&RING.replace("k1:", "k 1:"), "an id has"),
        (&RING.replace("AQEB", "AQE"), "`keys.k1` is not 32 bytes"),
        (&RING.replace("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", key), "`lookup` is one of `keys`"),
        (&format!("{RING}more: {key}\n"), "YAML"),
    ] {
        let error = KeyRing::parse(text).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("AQEB"), "{text}: {error}");
    }
    assert!(!format!("{:?}", ring()).contains("AQEB"));
    let wrapped = ring().wrap(Pseudonym::random(), &DataKey::random().unwrap()).unwrap();
    let gone = Wrapped { master: "k0".to_owned(), ..wrapped.clone() };
    assert_eq!(
        ring().unwrap(Pseudonym::random(), &gone).unwrap_err(),
        RingError::NoMasterKey("k0".to_owned())
    );
    assert_eq!(
        ring().unwrap(Pseudonym::random(), &wrapped).unwrap_err(),
        RingError::Damaged("k2".to_owned())
    );
}

#[test]
fn a_configuration_that_contradicts_itself_is_refused() {
    let refused = |change: fn(&mut PrivacyConfig), key: &str| {
        let mut config = PrivacyConfig::default();
        config.check().unwrap();
        change(&mut config);
        assert!(format!("{:?}", config.check().unwrap_err()).contains(key), "{key}");
    };
    refused(|it| it.enabled = true, "privacy.keys_file");
    refused(|it| (it.keys, it.keys_file) = (Some("k".into()), Some("k".into())), "privacy.keys");
    refused(|it| it.cache_ms = 0, "privacy.cache_ms");
    refused(|it| it.outage_ms = 1_000, "privacy.outage_ms");
}

proptest! {
    #[test]
    fn what_was_sealed_is_opened_by_its_key_only(name in ".{0,200}", other in ".{0,200}", flip in any::<prop::sample::Index>()) {
        let (key, pseudonym) = (DataKey::random().unwrap(), Pseudonym::random());
        let held = Sealed::seal(&name, pseudonym, &key).unwrap().to_string();
        prop_assert!(held.is_ascii() && held.len() <= 50 + 4 * (12 + 16 + 32 + 2 + name.len()).div_ceil(3));
        if name.len() > 3 {
            prop_assert!(!held.contains(&*name));
        }
        let sealed = Sealed::parse(&held).unwrap();
        prop_assert_eq!(sealed.open(&key), Some(name.clone()));
        prop_assert_eq!(sealed.open(&DataKey::random().unwrap()), None);
        let moved = Sealed { pseudonym: Pseudonym::random(), ..sealed.clone() };
        prop_assert_eq!(moved.open(&key), None);
        // Whatever is changed of it, no other name comes out.
        let mut bytes = held.into_bytes();
        let at = flip.index(bytes.len());
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        let opened = Sealed::parse(&changed).and_then(|sealed| sealed.open(&key));
        prop_assert!(opened.is_none() || opened.as_deref() == Some(&*name));
        prop_assert_eq!(Sealed::parse(&other), None);
    }

    #[test]
    fn names_of_about_the_same_length_look_alike(one in "[a-z]{1,30}", other in "[a-z]{1,30}") {
        let (key, pseudonym) = (DataKey::random().unwrap(), Pseudonym::random());
        let length = |name: &str| Sealed::seal(name, pseudonym, &key).unwrap().to_string().len();
        prop_assert_eq!(length(&one), length(&other));
        prop_assert_eq!(ring().lookup(&one) == ring().lookup(&other), one == other);
    }

    #[test]
    fn a_key_is_unwrapped_by_every_ring_that_has_its_master_key(_n in 0..8_u8) {
        let (key, pseudonym) = (DataKey::random().unwrap(), Pseudonym::random());
        let wrapped = older().wrap(pseudonym, &key).unwrap();
        prop_assert_eq!(&wrapped.master, "k1");
        prop_assert!(ring().unwrap(pseudonym, &wrapped).unwrap().bytes() == key.bytes());
        let again = ring().wrap(pseudonym, &key).unwrap();
        prop_assert_eq!(&again.master, "k2");
        prop_assert!(again.bytes != wrapped.bytes);
    }

    #[test]
    fn anything_is_read_without_a_panic(text in "(person:)?[0-9a-f:-]{0,60}[A-Za-z0-9_-]{0,40}") {
        if let Some(sealed) = Sealed::parse(&text) {
            prop_assert_eq!(sealed.open(&DataKey::random().unwrap()), None);
        }
        prop_assert!(Pseudonym::parse(&text).is_none_or(|it| it.to_string().starts_with("person:")));
    }
}
