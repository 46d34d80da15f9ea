//! On a real disk: what is kept, what is discarded, and what is refused.

use super::*;

struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("folio-embedded-{}", uuid::Uuid::new_v4())))
    }

    fn open(&self, identity: &str) -> (Store, Option<String>) {
        Store::open(&self.0, identity, 1 << 20).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn entries(n: u32) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    (0..n).map(|n| (n.to_be_bytes().to_vec(), vec![n as u8; 200]))
}

#[test]
fn what_is_written_is_there_after_a_restart() {
    let dir = Dir::new();
    let (store, discarded) = dir.open("a");
    assert_eq!(discarded, None);
    store.write(entries(1_000)).unwrap();
    store.remove(&500_u32.to_be_bytes(), &600_u32.to_be_bytes()).unwrap();
    drop(store);
    let (store, discarded) = dir.open("a");
    assert_eq!(discarded, None);
    for n in 0..1_001_u32 {
        let expected = (n < 1_000 && !(500..600).contains(&n)).then(|| vec![n as u8; 200]);
        assert_eq!(store.get(&n.to_be_bytes()).unwrap(), expected, "{n}");
    }
}

#[test]
fn a_store_of_something_else_or_a_half_made_one_is_discarded() {
    let dir = Dir::new();
    dir.open("a").0.write(entries(3)).unwrap();
    let (store, discarded) = dir.open("b");
    assert!(discarded.unwrap().contains("it is of \"a\", not of \"b\""));
    assert_eq!(store.get(&0_u32.to_be_bytes()).unwrap(), None);
    drop(store);
    fs::remove_file(dir.0.join(IDENTITY)).unwrap();
    assert!(dir.open("b").1.unwrap().contains("never finished"));
}

#[test]
fn one_process_has_it_at_a_time_and_foreign_files_are_left_alone() {
    let dir = Dir::new();
    let (store, _) = dir.open("a");
    let second = Store::open(&dir.0, "a", 1 << 20).unwrap_err();
    assert!(matches!(second, Error::InUse { .. }), "{second}");
    drop(store);
    fs::remove_file(dir.0.join(TAG.0)).unwrap();
    let foreign = Store::open(&dir.0, "b", 1 << 20).unwrap_err();
    assert!(matches!(foreign, Error::NotOurs { .. }), "{foreign}");
    assert!(dir.0.join(DATA).exists());
    let file = dir.0.join("file");
    fs::write(&file, "").unwrap();
    let unusable = Store::open(&file.join("below"), "a", 1 << 20).unwrap_err().to_string();
    assert!(unusable.contains("cannot make the directory"), "{unusable}");
}

#[test]
fn a_cache_of_another_program_is_not_ours_and_an_interrupted_one_is_finished() {
    let signature = TAG.1.lines().next().unwrap();
    for foreign in [format!("{signature}\n# A cache of another program.\n"), signature.to_owned()] {
        let dir = Dir::new();
        fs::create_dir_all(dir.0.join(DATA)).unwrap();
        fs::write(dir.0.join(TAG.0), &foreign).unwrap();
        fs::write(dir.0.join(DATA).join("theirs"), "kept").unwrap();
        let refused = Store::open(&dir.0, "a", 1 << 20).unwrap_err();
        assert!(matches!(refused, Error::NotOurs { .. }), "{refused}");
        assert_eq!(fs::read_to_string(dir.0.join(DATA).join("theirs")).unwrap(), "kept");
        // Without a word about whose it is, what lies beside it is not known to be ours.
        fs::write(dir.0.join(TAG.0), "").unwrap();
        let refused = Store::open(&dir.0, "a", 1 << 20).unwrap_err();
        assert!(matches!(refused, Error::NotOurs { .. }), "{refused}");
    }
    let dir = Dir::new();
    fs::create_dir_all(&dir.0).unwrap();
    fs::write(dir.0.join(TAG.0), "").unwrap();
    fs::write(dir.0.join(lock::FILE), "").unwrap();
    assert_eq!(dir.open("a").1, None);
    assert_eq!(fs::read_to_string(dir.0.join(TAG.0)).unwrap(), TAG.1);
}

/// fjall deletes the tables that a changed list does not name, or ends the process.
#[test]
fn a_changed_byte_of_what_fjall_knows_of_its_tables_discards_the_store() {
    let made = Dir::new();
    made.open("a").0.write(entries(100)).unwrap();
    drop(made.open("a"));
    let data = made.0.join(DATA);
    for file in fjall_files::checked_files(&data) {
        let name = file.strip_prefix(&made.0).unwrap();
        let bytes = fs::read(&file).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x41;
            fs::write(&file, &changed).unwrap();
            assert!(is_whole(&made.0).is_err(), "byte {at} of {}", name.display());
            // Making a store anew takes its time.
            if at.is_multiple_of(100) {
                let dir = Dir::new();
                copy(&made.0, &dir.0);
                let (store, reason) = dir.open("a");
                assert!(reason.is_some(), "byte {at} of {}", name.display());
                assert_eq!(store.get(&0_u32.to_be_bytes()).unwrap(), None);
            }
        }
        fs::write(&file, bytes).unwrap();
    }
    let (store, reason) = made.open("a");
    assert_eq!((store.get(&99_u32.to_be_bytes()).unwrap(), reason), (Some(vec![99; 200]), None));
}

const ROUNDS: u32 = 60;
const EACH: u32 = 2_500;

/// As a cache of states is written: in each round new keys, old ones changed, and a mark that says which round it was.
fn round(round: u32) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let new = (0..EACH).map(move |n| entry(round * EACH + n, round));
    let old = (0..round).map(move |earlier| entry(earlier * EACH, round));
    new.chain(old).chain([(b"mark".to_vec(), round.to_be_bytes().to_vec())])
}

fn entry(key: u32, round: u32) -> (Vec<u8>, Vec<u8>) {
    (key.to_be_bytes().to_vec(), [round.to_be_bytes(); 60].concat())
}

/// Every file of the store, in turn, is damaged in one of several ways: then what is read is what the mark's round left,
/// or an error, or everything is discarded; never something older, newer or missing.
#[test]
fn damaged_files_are_an_error_or_discarded_and_never_wrong_values() {
    let made = Dir::new();
    let (store, _) = made.open("a");
    for number in 0..ROUNDS {
        store.write(round(number)).unwrap();
    }
    drop(store);
    let mut files = Vec::new();
    list(&made.0.join(DATA), &mut files);
    let mut seen = [0; 3];
    for file in &files {
        let name = file.strip_prefix(&made.0).unwrap();
        for (how, damage) in
            [("cut", cut as fn(&Path)), ("scrambled", scramble), ("scrambled in its middle", middle)]
        {
            let dir = Dir::new();
            copy(&made.0, &dir.0);
            damage(&dir.0.join(name));
            let found =
                after_damage(&dir).unwrap_or_else(|wrong| panic!("{} {how}: {wrong}", name.display()));
            println!("{} {how}: {}", name.display(), ["discarded", "errors", "kept"][found]);
            seen[found] += 1;
        }
    }
    println!("{} files: {seen:?} discarded, with errors, kept", files.len());
    assert!(seen[0] > 10 && seen[1] > 0, "the damage shows");
}

/// 0: discarded, 1: some errors, 2: all is as the mark says.
fn after_damage(dir: &Dir) -> Result<usize, String> {
    let (store, reason) = dir.open("a");
    let mark = match store.get(b"mark") {
        Err(_) => return Ok(1),
        Ok(None) => {
            let any = (0..ROUNDS * EACH)
                .step_by(EACH as usize)
                .find(|n| store.get(&n.to_be_bytes()).is_ok_and(|v| v.is_some()));
            return any.map_or(Ok(usize::from(reason.is_none()) * 2), |n| {
                Err(format!("no mark, but {n} is there"))
            });
        }
        Ok(Some(mark)) => u32::from_be_bytes(mark.try_into().unwrap()),
    };
    let mut found = 2;
    for n in (0..ROUNDS * EACH).step_by(10) {
        let last = if n % EACH == 0 { mark } else { n / EACH };
        let expected = (n / EACH <= mark).then(|| entry(n, last).1);
        match store.get(&n.to_be_bytes()) {
            Ok(value) if value == expected => {}
            Ok(value) => {
                let round = value.map(|value| value[..4].to_vec());
                return Err(format!("the mark says {mark}, and {n} is of round {round:?}"));
            }
            Err(_) => found = 1,
        }
    }
    Ok(found)
}

fn list(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { list(&path, into) } else { into.push(path) }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { assert!(fs::copy(&path, &target).is_ok()) }
    }
}

fn cut(file: &Path) {
    let length = fs::metadata(file).unwrap().len();
    File::options().write(true).open(file).unwrap().set_len(length / 2).unwrap();
}

fn scramble(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    for byte in bytes.iter_mut().step_by(1_000) {
        *byte ^= 0x55;
    }
    fs::write(file, bytes).unwrap();
}

fn middle(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let half = bytes.len() / 2;
    for byte in bytes.iter_mut().skip(half).take(8) {
        *byte ^= 0x55;
    }
    fs::write(file, bytes).unwrap();
}
