//! What is saved is read back, and nothing else is read without an error.

use proptest::prelude::*;

use super::*;

#[expect(clippy::trivially_copy_pass_by_ref, clippy::unnecessary_wraps, reason = "a codec's signature")]
fn state(value: &u64, into: &mut Vec<u8>) -> Result<(), &'static str> {
    into.extend_from_slice(&value.to_be_bytes());
    Ok(())
}

fn read(bytes: &[u8]) -> Result<u64, &'static str> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| "no number")
}

fn subject() -> Subject {
    Subject::parse("p-1").unwrap()
}

fn command() -> impl Strategy<Value = Remembered> {
    let hash = prop::option::of(any::<[u8; 16]>());
    (any::<u128>(), hash, any::<u64>(), any::<u128>(), 0..Offset::MAX).prop_map(
        |(id, hash, version, event, offset)| Remembered {
            command_id: CommandId(Uuid::from_u128(id)),
            command_hash: hash.map(CommandHash),
            version,
            event_id: Uuid::from_u128(event),
            offset,
        },
    )
}

fn product() -> impl Strategy<Value = Saved<u64>> {
    let commands = prop::collection::vec_deque(command(), 0..=100);
    (any::<u64>(), prop::option::of(any::<u64>()), any::<bool>(), any::<bool>(), commands).prop_map(
        |(version, state, unreadable, quarantined, commands)| {
            let state = state.map(Arc::new);
            Saved(Product {
                subject: subject(),
                version,
                state,
                unreadable,
                quarantined,
                withheld: false,
                commands,
            })
        },
    )
}

proptest! {
    #[test]
    fn what_is_saved_is_read_back(saved in product()) {
        let bytes = saved.encode(state).unwrap();
        let Saved(back) = Saved::decode(subject(), &bytes, read).unwrap();
        let Saved(saved) = saved;
        prop_assert_eq!((back.version, &back.state), (saved.version, &saved.state));
        prop_assert_eq!((back.unreadable, back.quarantined), (saved.unreadable, saved.quarantined));
        prop_assert_eq!(&back.commands, &saved.commands);
    }

    #[test]
    fn a_shortened_one_is_an_error(saved in product(), cut in any::<prop::sample::Index>()) {
        let bytes = saved.encode(state).unwrap();
        prop_assert!(Saved::decode(subject(), &bytes[..cut.index(bytes.len())], read).is_err());
    }

    #[test]
    fn any_bytes_give_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(saved) = Saved::decode(subject(), &bytes, read) {
            prop_assert!(saved.0.commands.len() <= 200);
        }
        if let Ok(mark) = Mark::decode(&bytes) {
            prop_assert!(0 <= mark.last && mark.last < mark.next);
        }
    }

    #[test]
    fn a_mark_is_read_back(last in 0..Offset::MAX, gap in 0..9_i64, key in prop::collection::vec(any::<u8>(), 0..99)) {
        let mark = Mark { next: last.saturating_add(1 + gap), last, key: key.into() };
        prop_assert_eq!(Mark::decode(&mark.encode()).unwrap(), mark);
    }
}

#[test]
fn numbers_beyond_64_bits_are_an_error() {
    let mut most = Vec::new();
    put(&mut most, u64::MAX);
    assert_eq!(get(&mut &most[..]), Some(u64::MAX));
    most[9] = 2;
    assert_eq!(get(&mut &most[..]), None);
}

#[test]
fn as_many_commands_as_can_be_remembered_are_read_back_and_no_more() {
    let command = Remembered {
        command_id: CommandId(Uuid::nil()),
        command_hash: None,
        version: 1,
        event_id: Uuid::nil(),
        offset: 0,
    };
    let of = |count: usize| {
        let commands = std::iter::repeat_n(command, count).collect();
        let product = Product {
            subject: subject(),
            version: 1,
            state: None,
            unreadable: false,
            quarantined: false,
            withheld: false,
            commands,
        };
        Saved::<u64>(product).encode(state).unwrap()
    };
    let most = Limits::MAX_REMEMBERED;
    assert_eq!(Saved::decode(subject(), &of(most), read).unwrap().0.commands.len(), most);
    assert!(Saved::decode(subject(), &of(most + 1), read).is_err());
}
