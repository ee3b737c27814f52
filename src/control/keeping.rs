//! Writing a window down as it goes, and reading past ones back.

use super::{
    markdown::markdown,
    operator::{Operator, lock},
    record::{RefusedInWindow, WindowLine, WindowRecord},
    told::{HookTold, Occasion},
    window::{Current, WindowPlan, WindowsReply},
};
use crate::freeze::FreezeState;
use serde_json::json;
use std::sync::Arc;

/// Windows that the HTTP port tells: each is read from the disk.
const TOLD_LIMIT: usize = 50;

impl Operator {
    /// A window begins, or goes on after a restart of the process.
    pub(super) fn begin_record(&self, state: &FreezeState, hooks: Vec<HookTold>) {
        let Some(freeze) = &state.freeze else { return };
        let number = state.epoch.0;
        let kept = self.read_record(number).filter(|record| record.ended_at.is_none());
        let mut record = kept.unwrap_or_else(|| WindowRecord::begin(number, freeze));
        for hook in hooks {
            record.note_hook(hook);
        }
        let entries = self.audit().book().entries();
        let before = entries
            .into_iter()
            .map(RefusedInWindow::of)
            .map(|refused| (refused.kind(), refused.count))
            .collect();
        let earlier = record.earlier();
        *lock(&self.window.current) = Some(Current { record, before, earlier, saved: 0 });
    }

    /// Keeps who was refused since the record was saved last, so that a crash leaves it.
    pub fn save_refusals(&self) {
        let total = self.audit().book().total();
        let is_news = lock(&self.window.current).as_ref().is_some_and(|current| current.saved != total);
        if is_news {
            self.save_record();
        }
    }

    /// A second freeze has other words; who froze stays who froze.
    pub(super) fn renew_record(&self, state: &FreezeState) {
        let Some(freeze) = &state.freeze else { return };
        self.window.change(|record| (record.reason, record.until) = (freeze.reason.clone(), freeze.until));
    }

    /// The state is `frozen`. Tells whether it is for the first time in this window.
    pub(super) fn note_frozen(&self) -> bool {
        let now = self.now();
        let mut is_first = false;
        self.window.change(|record| {
            is_first = record.frozen_at.is_none();
            record.frozen_at.get_or_insert(now);
        });
        self.save_record();
        is_first
    }

    /// The window is over.
    pub(super) fn end_record(&self, by: &str, reason: Option<&str>) {
        let now = self.now();
        self.window.change(|record| {
            record.ended_at = Some(now);
            record.ended_by = Some(by.to_owned());
            record.end_reason = reason.map(str::to_owned);
        });
        self.save_record();
    }

    /// Keeps what is known so far. What can't be kept is told, and tried again the next time.
    pub(super) fn save_record(&self) {
        let (entries, total) = {
            let audit = self.audit();
            (audit.book().entries(), audit.book().total())
        };
        let rules = self.exceptions().exceptions;
        let record = {
            let mut current = lock(&self.window.current);
            let Some(current) = &mut *current else { return };
            let before =
                |refused: &RefusedInWindow| current.before.get(&refused.kind()).copied().unwrap_or(0);
            current.record.set_refusals(entries, before, &current.earlier);
            current.saved = total;
            // Those that hold after the thaw are not of this window, and the operator's ended with it.
            if !rules.is_empty() && current.record.ended_at.is_none() {
                current.record.exceptions = rules;
            }
            current.record.clone()
        };
        self.write_record(&record);
    }

    fn read_record(&self, number: u64) -> Option<WindowRecord> {
        serde_json::from_str(&self.window.records.read(number, "json")?).ok()
    }

    fn write_record(&self, record: &WindowRecord) {
        let Ok(json) = serde_json::to_vec_pretty(record) else { return };
        let kept = self.window.records.save(&self.store, record.number, &json, &markdown(record));
        if let Err(error) = kept {
            tracing::error!(%error, window = record.number, "the report could not be kept");
        }
    }

    /// Runs the commands of that occasion in the background, and keeps what they came to.
    pub(super) fn spawn_hooks(self: &Arc<Self>, occasion: Occasion) {
        let (operator, window) = (Arc::clone(self), self.window.number());
        let epoch = self.switch.state().epoch.0;
        // It ends within the hooks' time limits.
        drop(tokio::spawn(async move {
            let words = [("FROSTGATE_EPOCH", epoch.to_string())];
            let told = operator.run_hooks(occasion, &words, window).await;
            if let (Some(number), false) = (window, told.is_empty()) {
                operator.keep_hooks(number, &told);
            }
        }));
    }

    /// Those behind the thaw end when their window is closed, and when the next may have begun.
    fn keep_hooks(&self, number: u64, told: &[HookTold]) {
        let note = |record: &mut WindowRecord| told.iter().for_each(|hook| record.note_hook(hook.clone()));
        if self.window.change_of(number, note) {
            self.save_record();
        } else if let Some(mut record) = self.read_record(number) {
            note(&mut record);
            self.write_record(&record);
        }
    }

    /// What `window` must know.
    pub fn window_plan(&self) -> WindowPlan {
        WindowPlan {
            maintenance: self.window.maintenance.clone(),
            has_smoke: self.window.settings.smoke.is_some(),
            stages: lock(&self.window.stages).iter().map(|stage| stage.name.clone()).collect(),
        }
    }

    /// Past windows, and the one that is under way, the newest first.
    pub fn history(&self) -> Vec<WindowLine> {
        self.save_record();
        let read = |number| self.window.records.read(number, "json");
        let lines = self.window.records.numbers().into_iter().rev().filter_map(read);
        lines.filter_map(|text| Some(serde_json::from_str::<WindowRecord>(&text).ok()?.line())).collect()
    }

    /// The newest windows of those that are kept, the newest first. Only looks: nothing is written for it.
    pub fn windows(&self) -> WindowsReply {
        let current = lock(&self.window.current).as_ref().map(|current| current.record.line());
        let line = |number: u64| {
            if let Some(line) = current.clone().filter(|line| line.number == number) {
                return Some(line);
            }
            serde_json::from_str(&self.window.records.read(number, "json")?).ok()
        };
        let mut numbers = self.window.records.numbers();
        numbers.extend(current.as_ref().map(|line| line.number).filter(|number| !numbers.contains(number)));
        let windows = numbers.iter().rev().take(TOLD_LIMIT).filter_map(|number| line(*number)).collect();
        WindowsReply { total: numbers.len(), windows }
    }

    /// A window's report: the newest one if no number is given. As JSON and as Markdown.
    pub fn report_of(&self, number: Option<u64>) -> Option<serde_json::Value> {
        self.save_record();
        let number = number.or_else(|| self.window.records.numbers().last().copied())?;
        let record = self.window.records.read(number, "json")?;
        let record: serde_json::Value = serde_json::from_str(&record).ok()?;
        let markdown = self.window.records.read(number, "md")?;
        Some(json!({ "number": number, "record": record, "markdown": markdown }))
    }
}
