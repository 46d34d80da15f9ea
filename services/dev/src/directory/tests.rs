use super::*;

fn take(dir: &Path) -> Result<Directory, Error> {
    Directory::take(Some(dir), 6)
}

#[test]
fn a_directory_serves_one_at_a_time_and_the_other_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("made/when/needed");
    let first = take(&dir).unwrap();
    assert!(!first.is_temporary() && first.log().starts_with(&dir));
    let refused = take(&dir).unwrap_err().to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    first.release().unwrap();
    take(&dir).unwrap().release().unwrap();
    assert!(dir.join("format").is_file());
}

#[test]
fn a_directory_keeps_the_partitions_it_was_made_with() {
    let dir = tempfile::tempdir().unwrap();
    drop(Directory::take(Some(dir.path()), 3).unwrap());
    assert_eq!(Directory::take(Some(dir.path()), 7).unwrap().partitions(), 3);
}

#[test]
fn what_is_somebody_elses_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let thesis = dir.path().join("thesis.tex");
    fs::write(&thesis, "years of work").unwrap();
    let refused = take(dir.path()).unwrap_err();
    assert!(matches!(&refused, Error::NotOurs { holds, .. } if holds == "thesis.tex"), "{refused}");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["thesis.tex"]);
    let refused = take(&thesis).unwrap_err().to_string();
    assert!(refused.contains("thesis.tex"), "{refused}");
}

#[test]
fn another_format_is_refused_and_damage_is_no_format() {
    for (text, told) in [
        ("data of folio dev, format 2\nsegments 9\n", "format 2"),
        ("data of folio dev, format 1\npartitions none\n", "says of no format"),
        ("data of folio dev, format 1\npartitions -1\n", "says of no format"),
        ("", "says of no format"),
        ("\u{0}\u{fffd}", "says of no format"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("format"), text).unwrap();
        let refused = take(dir.path()).unwrap_err();
        assert!(matches!(refused, Error::OtherFormat { .. }), "{text:?}: {refused}");
        assert!(
            refused.to_string().contains(told) && refused.to_string().contains("reads format 1"),
            "{refused}"
        );
        assert_eq!(fs::read_to_string(dir.path().join("format")).unwrap(), text);
    }
}

#[test]
fn a_start_that_was_broken_off_is_finished_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("lock"), "").unwrap();
    fs::write(dir.path().join("format.new"), "data of fol").unwrap();
    assert_eq!(take(dir.path()).unwrap().partitions(), 6);
}

#[test]
fn a_temporary_directory_is_gone_at_the_end() {
    let temporary = Directory::take(None, 6).unwrap();
    let path = temporary.path().to_owned();
    assert!(temporary.is_temporary());
    fs::create_dir_all(temporary.log()).unwrap();
    fs::write(temporary.log().join("segment"), "records").unwrap();
    temporary.release().unwrap();
    assert!(!path.exists());
}

#[test]
fn a_directory_without_data_is_not_taken_again_and_nothing_is_made_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Directory::again(dir.path()).unwrap_err();
    assert!(matches!(refused, Error::NoData { .. }), "{refused}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    drop(Directory::take(Some(dir.path()), 3).unwrap());
    assert_eq!(Directory::again(dir.path()).unwrap().partitions(), 3);
}
