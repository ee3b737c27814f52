//! What looks mean, told on rows as the server gives them.

use super::*;
use crate::{config::Expectation, freeze::Phase};
use jiff::Timestamp;
use std::collections::BTreeSet;

fn client(pid: u32) -> Backend {
    Backend {
        pid,
        kind: Some("client backend".into()),
        user: Some("app".into()),
        database: Some("shop".into()),
        state: Some("idle".into()),
        ..Backend::default()
    }
}

fn process(pid: u32, kind: &str) -> Backend {
    Backend { pid, kind: Some(kind.into()), ..Backend::default() }
}

fn look(backends: Vec<Backend>) -> Facts {
    Facts {
        monitor: 1,
        role: "mon".into(),
        sees_all: true,
        xmax: 700,
        wal: "0/1000".into(),
        backends,
        ..Facts::default()
    }
}

fn ours(ordinary: &[u32], exempt: &[u32]) -> Ours {
    Ours {
        phase: Phase::Frozen,
        ordinary: ordinary.iter().copied().collect(),
        exempt: exempt.iter().copied().collect(),
        orphans: BTreeSet::new(),
        is_behind_pooler: false,
        identifier: None,
        expected: Vec::new(),
    }
}

fn report(looks: &[Facts], ours: &Ours, stretch: &Stretch) -> CheckReport {
    CheckReport::of(looks, ours, stretch, (Timestamp::UNIX_EPOCH, 1000)).unwrap()
}

fn kinds(look: &Facts, ours: &Ours) -> Vec<(Kind, Weight)> {
    judge(look, ours).findings.iter().map(|finding| (finding.kind, finding.weight)).collect()
}

#[test]
fn a_session_whose_process_was_not_given_to_us_is_a_bypasser() {
    let seen = look(vec![client(10), client(11), client(12), client(1)]);
    let judged = judge(&seen, &ours(&[10], &[11]));
    assert_eq!(judged.expected, 1, "the maintenance listener's");
    let [bypasser] = judged.findings.as_slice() else { panic!("{judged:?}") };
    assert_eq!((bypasser.kind, bypasser.weight), (Kind::Bypasser, Weight::Violation));
    assert_eq!(bypasser.stop_with.as_deref(), Some("SELECT pg_terminate_backend(12);"));
    let who = bypasser.who.as_ref().unwrap();
    assert_eq!((who.pid, who.user.as_deref(), who.has_transaction_id), (12, Some("app"), false));
}

#[test]
fn who_was_told_of_beforehand_is_no_bypasser_but_a_session_of_ours_is_never_excused() {
    let expecting =
        Ours { expected: vec![Expectation::parse("user=app,database=shop").unwrap()], ..ours(&[10], &[]) };
    let writer = Backend { has_xid: true, ..client(10) };
    let judged = judge(&look(vec![client(12), writer]), &expecting);
    assert_eq!(judged.expected, 1);
    assert_eq!(judged.findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [Kind::OwnWriter]);
}

#[test]
fn the_servers_own_processes_are_told_apart() {
    let none = ours(&[], &[]);
    for harmless in ["checkpointer", "autovacuum launcher", "io worker", "logical replication launcher"] {
        assert_eq!(kinds(&look(vec![process(9, harmless)]), &none), [], "{harmless}");
    }
    let kind_of = |kind: &str| kinds(&look(vec![process(9, kind)]), &none);
    assert_eq!(kind_of("walsender"), [(Kind::WalSender, Weight::Note)]);
    assert_eq!(kind_of("autovacuum worker"), [(Kind::Autovacuum, Weight::Note)]);
    assert_eq!(kind_of("logical replication apply worker"), [(Kind::Subscription, Weight::Violation)]);
    assert_eq!(kind_of("logical replication worker"), [(Kind::Subscription, Weight::Violation)]);
    assert_eq!(kind_of("TimescaleDB Background Worker"), [(Kind::BackgroundWorker, Weight::Warning)]);
    let writing = Backend { has_xid: true, ..process(9, "TimescaleDB Background Worker") };
    assert_eq!(kinds(&look(vec![writing]), &none), [(Kind::BackgroundWorker, Weight::Violation)]);
    let parallel = Backend { leader_pid: Some(10), ..process(9, "parallel worker") };
    assert_eq!(kinds(&look(vec![parallel]), &none), []);
}

#[test]
fn without_rights_whoever_has_a_role_and_a_database_counts_and_the_grant_is_told() {
    let hidden = Backend { kind: None, state: None, ..client(12) };
    let seen = Facts { sees_all: false, ..look(vec![hidden, Backend { pid: 13, ..Backend::default() }]) };
    let judged = judge(&seen, &ours(&[], &[]));
    assert_eq!(
        judged.findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(),
        [Kind::Bypasser, Kind::Rights]
    );
    assert_eq!(judged.findings[1].stop_with.as_deref(), Some("GRANT pg_monitor TO \"mon\";"));
}

#[test]
fn what_the_database_does_by_itself_is_named_with_the_sql_that_stops_it() {
    let seen = Facts {
        prepared: vec![Prepared { gid: "it's".into(), database: "shop".into(), ..Prepared::default() }],
        subscriptions: vec![
            Subscription { name: "s\"1".into(), database: "shop".into(), is_enabled: true },
            Subscription { name: "off".into(), database: "shop".into(), is_enabled: false },
        ],
        cron_jobs: Some(vec![CronJob { id: 3, ..CronJob::default() }]),
        slots: vec![Slot { name: "old".into(), kind: "logical".into(), is_active: false }],
        ..look(vec![process(9, "pg_cron launcher")])
    };
    let judged = judge(&seen, &ours(&[], &[]));
    let stops: Vec<&str> =
        judged.findings.iter().filter_map(|finding| finding.stop_with.as_deref()).collect();
    assert_eq!(
        stops,
        [
            "ROLLBACK PREPARED 'it''s'; -- in database shop; or COMMIT PREPARED",
            "ALTER SUBSCRIPTION \"s\"\"1\" DISABLE; -- in database shop",
            "SELECT cron.alter_job(job_id := 3, active := false);",
            "SELECT pg_drop_replication_slot('old');",
        ]
    );
}

#[test]
fn pg_cron_whose_jobs_can_not_be_read_is_a_violation_unless_it_launches_none() {
    let none = ours(&[], &[]);
    let seen = look(vec![process(9, "pg_cron launcher")]);
    assert_eq!(kinds(&seen, &none), [(Kind::CronJob, Weight::Violation)]);
    assert_eq!(kinds(&Facts { cron_launches: Some(false), ..seen.clone() }, &none), []);
    assert_eq!(kinds(&Facts { cron_jobs: Some(Vec::new()), ..seen }, &none), []);
}

#[test]
fn a_lock_that_a_migration_would_wait_for_is_a_warning_unless_its_holder_gives_way() {
    let lock = |pid| HeldLock {
        pid: Some(pid),
        mode: "ExclusiveLock".into(),
        relation: "t".into(),
        count: 3,
        ..HeldLock::default()
    };
    let seen =
        Facts { locks: vec![lock(10), lock(11), lock(9)], ..look(vec![process(9, "autovacuum worker")]) };
    let judged = judge(&seen, &ours(&[10], &[11]));
    let locks: Vec<_> = judged.findings.iter().filter(|finding| finding.kind == Kind::Lock).collect();
    assert_eq!(locks.len(), 1, "{locks:?}");
    assert!(locks[0].what.contains("process 10 holds ExclusiveLock on t and 2 more"), "{locks:?}");
}

#[test]
fn no_transaction_id_in_between_and_nobody_about_is_the_proof() {
    let told = report(&[look(vec![]), look(vec![])], &ours(&[], &[]), &Stretch::default());
    assert_eq!((told.quiet, told.proof, told.transaction_ids), (Quiet::Verified, Proof::Unchanged, 0));
    assert_eq!(report(&[look(vec![])], &ours(&[], &[]), &Stretch::default()).proof, Proof::OneLook);
}

#[test]
fn what_moved_is_explained_before_anybody_is_alarmed() {
    let none = ours(&[], &[]);
    let moved = |by: u64, facts: Facts| Facts { xmax: 700 + by, ..facts };
    let unexplained = report(&[look(vec![]), moved(2, look(vec![]))], &none, &Stretch::default());
    assert_eq!((unexplained.quiet, unexplained.proof), (Quiet::Violated, Proof::Moved));
    let task = Some("autovacuum: ANALYZE public.t".to_owned());
    let worker = Backend { task, ..process(9, "autovacuum worker") };
    let explained = |looks: &[Facts], stretch| {
        let told = report(looks, &none, &stretch);
        assert_eq!((told.quiet, told.proof), (Quiet::Verified, Proof::Explained), "{told:?}");
        told.findings.last().unwrap().what.clone()
    };
    let analyzed = [look(vec![]), look(vec![worker]), moved(2, look(vec![]))];
    assert!(explained(&analyzed, Stretch::default()).contains("ANALYZE public.t"));
    let ran = [look(vec![]), moved(2, Facts { autovacuum_runs: 1, ..look(vec![]) })];
    assert!(explained(&ran, Stretch::default()).contains("autovacuum was at 1 table"));
    let plain = [look(vec![]), moved(2, look(vec![]))];
    let exempt = Stretch { exempt_statements: 4, ended_sessions: 0, wal: None };
    assert!(explained(&plain, exempt).contains("maintenance listener ran 4"));
    let ended = Stretch { exempt_statements: 0, ended_sessions: 2, wal: None };
    assert!(explained(&plain, ended).contains("2 session(s) of the proxy ended"));
    let too_few = Stretch { exempt_statements: 0, ended_sessions: 1, wal: None };
    assert_eq!(
        report(&plain, &none, &too_few).proof,
        Proof::Moved,
        "one session drops its tables with one id"
    );
}

#[test]
fn the_log_convicts_whom_autovacuum_would_have_hidden_and_clears_what_nothing_explains() {
    let none = ours(&[], &[]);
    let busy = Facts { xmax: 702, autovacuum_runs: 1, ..look(vec![]) };
    let with = |wal, exempt_statements| {
        let stretch = Stretch { exempt_statements, wal: Some(wal), ..Stretch::default() };
        let told = report(&[look(vec![]), busy.clone()], &none, &stretch);
        (told.quiet, told.proof, told.findings[0].what.clone())
    };
    let write = WalWrite { xid: 701, record: "Heap/INSERT".into(), relation: Some("t".into()) };
    let written = WalRead { upkeep: 1, writes: 1, examples: vec![write], ..WalRead::default() };
    let (quiet, proof, what) = with(written.clone(), 0);
    assert_eq!((quiet, proof), (Quiet::Violated, Proof::Moved));
    assert!(what.contains("701 (Heap/INSERT in t)"), "{what}");
    assert_eq!(with(written, 3).0, Quiet::Verified, "the maintenance listener may have been it");
    let idle = Facts { xmax: 702, autovacuum: true, temporary_relations: 1, ..look(vec![]) };
    let clear = Stretch {
        wal: Some(WalRead { upkeep: 1, temporary: 1, ..WalRead::default() }),
        ..Stretch::default()
    };
    let told = report(&[Facts { temporary_relations: 2, ..look(vec![]) }, idle.clone()], &none, &clear);
    assert_eq!((told.quiet, told.proof), (Quiet::Verified, Proof::Explained));
    assert_eq!(
        report(&[look(vec![]), idle.clone()], &none, &clear).quiet,
        Quiet::Violated,
        "none were dropped"
    );
    let off = Facts { autovacuum: false, temporary_relations: 0, ..idle.clone() };
    let only = Stretch { wal: Some(WalRead { upkeep: 2, ..WalRead::default() }), ..Stretch::default() };
    assert_eq!(
        report(&[look(vec![]), off], &none, &only).quiet,
        Quiet::Violated,
        "somebody analyzes by hand"
    );
    let part = Stretch { wal: Some(WalRead { upkeep: 1, ..WalRead::default() }), ..Stretch::default() };
    assert_eq!(
        report(&[look(vec![]), idle], &none, &part).quiet,
        Quiet::Violated,
        "one is not accounted for"
    );
}

#[test]
fn an_open_gate_explains_nothing_away() {
    let open = Ours { phase: Phase::Open, ..ours(&[], &[]) };
    let looks = [look(vec![]), Facts { xmax: 701, autovacuum_runs: 1, ..look(vec![]) }];
    assert_eq!(report(&looks, &open, &Stretch::default()).quiet, Quiet::Violated);
}

#[test]
fn who_was_there_only_in_between_is_found_and_told_once() {
    let looks = [look(vec![client(12)]), look(vec![client(12), client(13)]), look(vec![])];
    let told = report(&looks, &ours(&[], &[]), &Stretch::default());
    assert_eq!((told.quiet, told.bypassers()), (Quiet::Violated, 2));
}

#[test]
fn a_standby_and_another_server_prove_nothing() {
    let standby = Facts { is_standby: true, ..look(vec![]) };
    assert_eq!(report(&[standby], &ours(&[], &[]), &Stretch::default()).quiet, Quiet::NotChecked);
    let own = Ours { identifier: Some("1".into()), ..ours(&[], &[]) };
    let other = Facts { identifier: Some("2".into()), ..look(vec![]) };
    let told = report(&[other.clone(), other], &own, &Stretch::default());
    assert_eq!((told.quiet, told.findings[0].kind), (Quiet::NotChecked, Kind::WrongServer));
}
