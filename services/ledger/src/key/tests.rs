use proptest::prelude::*;

use super::*;

const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

fn key(text: &str) -> Result<RecordKey, KeyError> {
    RecordKey::parse(text.as_bytes())
}

#[test]
fn only_the_canonical_text_is_a_key() {
    assert!(key(&format!("p-1/1/0/{ID}")).is_ok());
    assert!(key(&format!("p-1/18446744073709551615/9223372036854775807/{ID}")).is_ok());
    for (text, error) in [
        (String::new(), KeyError::Parts(1)),
        (format!("p/1/0/{ID}/"), KeyError::Parts(5)),
        ("p/1/0".into(), KeyError::Parts(3)),
        (format!("/1/0/{ID}"), KeyError::Subject(SubjectError::Length(0))),
        (format!("p q/1/0/{ID}"), KeyError::Subject(SubjectError::Character(1))),
        (format!("p/0/0/{ID}"), KeyError::Version),
        (format!("p/01/0/{ID}"), KeyError::Version),
        (format!("p/+1/0/{ID}"), KeyError::Version),
        (format!("p/-1/0/{ID}"), KeyError::Version),
        (format!("p/18446744073709551616/0/{ID}"), KeyError::Version),
        (format!("p//0/{ID}"), KeyError::Version),
        (format!("p/1/-1/{ID}"), KeyError::Basis),
        (format!("p/1/00/{ID}"), KeyError::Basis),
        (format!("p/1/9223372036854775808/{ID}"), KeyError::Basis),
        (format!("p/1/0/{}", ID.to_uppercase()), KeyError::EventId),
        (format!("p/1/0/{}", ID.replace('-', "")), KeyError::EventId),
        (format!("p/1/0/{{{ID}}}"), KeyError::EventId),
        (format!("p/1/0/{ID} "), KeyError::EventId),
    ] {
        assert_eq!(key(&text), Err(error), "{text}");
    }
    assert!(RecordKey::parse(b"\xff\xfe/1/0/x").is_err());
}

proptest! {
    #[test]
    fn what_is_written_parses_to_the_same_key(
        subject in "[A-Za-z0-9][A-Za-z0-9._-]{0,63}", version in 1_u64.., basis in 0_i64.., id in any::<u128>()
    ) {
        let written = RecordKey { subject: Subject::parse(&subject).unwrap(), version, basis, event_id: Uuid::from_u128(id) };
        prop_assert_eq!(key(&written.to_string()), Ok(written));
    }

    #[test]
    fn what_parses_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(parsed) = RecordKey::parse(&bytes) {
            prop_assert_eq!(parsed.to_string().into_bytes(), bytes);
        }
    }

    #[test]
    fn a_damaged_key_is_an_error_or_a_canonical_other_key(
        version in 1_u64..2000, basis in 0_i64..2000, at in 0_usize..50, with in any::<u8>()
    ) {
        let mut bytes = format!("p.1/{version}/{basis}/{ID}").into_bytes();
        let at = at % bytes.len();
        bytes[at] = with;
        if let Ok(parsed) = RecordKey::parse(&bytes) {
            prop_assert_eq!(parsed.to_string().into_bytes(), bytes);
        }
    }
}
