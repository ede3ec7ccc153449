//! Logs that grow, logs that were rewritten, and files that are none.

use super::super::sample::{enrolled, key, log};
use super::*;
use crate::error::Exit;
use crate::hostile::mutated;
use proptest::prelude::*;

fn written(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

#[test]
fn a_log_is_read_as_it_was_written() {
    let file = written(&log().to_text());
    assert_eq!(EnrolmentLog::read(file.path()).expect("whole"), log());
    let text = log().to_text();
    let last = text.lines().last().expect("three lines");
    let expect = format!(
        "{{\"entry\":3,\"device\":\"press-02\",\"document_key\":\"{}\",\"tls_key\":\"{}\",\
         \"serial\":\"a3\",\"enrolled_at\":300,\"retires\":\"{}\"}}",
        PublicKey::from(key(3).verifying_key()),
        Digest([3; 32]),
        PublicKey::from(key(2).verifying_key()),
    );
    assert_eq!(last, expect);
}

#[test]
fn another_document_key_retires_the_one_before_and_may_be_retired_itself() {
    let device = DeviceId::parse("press-02").expect("valid");
    let retired = |log: &EnrolmentLog| -> Vec<_> {
        let keys = log.keys(&device).expect("it enrolled").iter();
        keys.map(|known| known.retired_at.map(|at| at.0)).collect()
    };
    let mut log = log();
    assert_eq!(retired(&log), [Some(300), None]);
    // The same keys, a new certificate.
    assert_eq!(log.append(enrolled("press-02", 3, "a4", 400)).retires, None);
    assert_eq!(retired(&log), [Some(300), None]);
    let back = log.append(enrolled("press-02", 2, "a5", 500)).retires;
    assert_eq!(back, Some(key(3).verifying_key().into()));
    assert_eq!(retired(&log), [None, Some(500)]);
}

/// What an exporter that was given [`log`] says of a log that was made otherwise.
fn check(later: &[Enrolled], expect: Result<usize, &[&str]>) {
    let mut log = EnrolmentLog::default();
    for enrolled in later {
        log.append(enrolled.clone());
    }
    match (log.after(&self::log()), expect) {
        (Ok(new), Ok(expect)) => assert_eq!(new.len(), expect),
        (Err(conflicts), Err(expect)) => {
            let said: Vec<_> = conflicts.iter().map(ToString::to_string).collect();
            assert_eq!(said, expect);
        }
        (found, expect) => panic!("{found:?}, not {expect:?}"),
    }
}

#[test]
fn what_was_exported_before_is_the_beginning_of_what_is_exported_now() {
    let [first, second, third] = [
        enrolled("press-01", 1, "a1", 100),
        enrolled("press-02", 2, "a2", 200),
        enrolled("press-02", 3, "a3", 300),
    ];
    let next = enrolled("press-01", 9, "a4", 400);
    let all = [first.clone(), second.clone(), third.clone()];
    check(&all, Ok(0));
    check(&[&all[..], &[next]].concat(), Ok(1));
    check(
        &[first.clone(), second.clone()],
        Err(&["entry 3 of the earlier log, press-02, has vanished"]),
    );
    check(
        &[first.clone(), third.clone()],
        Err(&[
            "entry 2 of the earlier log, press-02, has vanished",
            "entry 3 of the earlier log, press-02, has another number now",
        ]),
    );
    let swap = |change: fn(&mut Enrolled)| {
        let mut first = first.clone();
        change(&mut first);
        [first, second.clone(), third.clone()]
    };
    check(
        &swap(|first| first.document_key = key(9).verifying_key().into()),
        Err(&["entry 1 of the earlier log, press-01, has another document key now"]),
    );
    check(
        &swap(|first| first.tls_key = Digest([9; 32])),
        Err(&["entry 1 of the earlier log, press-01, has another TLS key now"]),
    );
    check(
        &swap(|first| first.at = UnixSeconds(101)),
        Err(&["entry 1 of the earlier log, press-01, has another time now"]),
    );
    check(
        &swap(|first| first.device = DeviceId::parse("press-09").expect("valid")),
        Err(&["entry 1 of the earlier log, press-01, has another device now"]),
    );
}

fn check_file(text: &str, expect: &str) {
    let error = EnrolmentLog::read(written(text).path()).expect_err(expect);
    assert_eq!(error.exit, Exit::BadInput, "{error}");
    assert!(error.to_string().contains(expect), "{error}");
}

#[test]
fn a_file_that_is_no_whole_log_is_refused_by_its_line() {
    let text = log().to_text();
    let lines: Vec<_> = text.lines().collect();
    check_file(lines[1], "it is entry 2 where entry 1 should be");
    check_file(&format!("{}\n{}", lines[0], lines[2]), "line 2 of");
    let rewritten = text.replace("\"retires\":\"", "\"retires\":null,\"was\":\"");
    check_file(&rewritten, "retires another key");
    check_file(&text.replace("press-01", "Press-01"), "not a device id");
    check_file(&text.replace("sha256:", "md5:"), "not a digest");
    check_file("{}", "missing field");
    check_file("log", "line 1 of");
}

proptest! {
    #[test]
    fn hostile_logs_are_read_or_refused(bytes in mutated(log().to_text().into_bytes())) {
        let _log_or_reason = EnrolmentLog::read(written(&String::from_utf8_lossy(&bytes)).path());
    }
}
