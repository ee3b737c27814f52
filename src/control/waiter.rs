//! Waiting for what may still write: until all sessions are quiet, and all have seen that all are. Only then is
//! the state called `frozen`.

use super::{
    command::{DrainOptions, OnTimeout, RunningReads, Stragglers, ThawCall},
    drain::Latch,
    operator::{Operator, lock},
    status::HoldsUp,
};
use crate::{
    fleet::{Order, Wait},
    freeze::{Epoch, Standing},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};

/// A drain looks again after this even if nothing stirred.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// After a state that could not be kept, this passes before the next try.
const TRY_AGAIN: Duration = Duration::from_secs(1);

impl Operator {
    /// From now on that epoch's drain is waited for.
    pub(super) fn begin_drain(self: &Arc<Self>, options: DrainOptions, epoch: Epoch) {
        let mut held = lock(&self.drain);
        held.set(options);
        held.own(tokio::spawn(drain(Arc::clone(self), epoch)).abort_handle());
    }
}

/// Waits until that epoch's gate has nothing in front of it, or another epoch has come.
async fn drain(operator: Arc<Operator>, epoch: Epoch) {
    loop {
        let stirred = operator.switch.stirred();
        match operator.latch(epoch).await {
            Ok(Latch::Waiting) => {}
            Ok(Latch::Shut) => continue,
            Ok(Latch::Frozen | Latch::Overtaken) => return,
            Err(error) => {
                operator.tell("frozen_not_kept", json!({ "problem": error.to_string() }));
                sleep(TRY_AGAIN).await;
                continue;
            }
        }
        operator.ask_for_orphans().await;
        let deadline = { lock(&operator.drain).deadline.take() };
        let Some(deadline) = deadline else {
            tokio::select! {
                () = stirred => {}
                () = sleep(LOOK_AGAIN) => {}
            }
            continue;
        };
        // Both arms may be dropped and made anew without losing anything: the deadline is put back.
        tokio::select! {
            () = stirred => put_back(&operator, deadline),
            () = sleep(LOOK_AGAIN) => put_back(&operator, deadline),
            () = sleep_until(deadline) => on_deadline(&operator).await,
        }
    }
}

/// A second `freeze` may have set another one meanwhile.
fn put_back(operator: &Operator, deadline: Instant) {
    lock(&operator.drain).deadline.get_or_insert(deadline);
}

async fn on_deadline(operator: &Arc<Operator>) {
    let options = {
        let mut drain = lock(&operator.drain);
        drain.is_over = true;
        drain.options
    };
    let mut stragglers = operator.status().holding_up;
    stragglers.retain(HoldsUp::is_drained_for);
    operator.tell("drain_timeout", json!({ "stragglers": stragglers }));
    if options.on_timeout == OnTimeout::Thaw {
        let call = ThawCall {
            reason: Some("the drain was not over in time".into()),
            by: "frostgate".into(),
            // Nothing has been done that a smoke test could find.
            skip_smoke: true,
            ..ThawCall::default()
        };
        if let Err(error) = operator.thaw(call).await {
            operator.tell("thaw_refused", json!({ "problem": error.to_string() }));
        }
        return;
    }
    let gate = operator.switch.gate();
    for record in operator.switch.roster().all() {
        // Whom the freeze does not hold for is no straggler, whatever it writes.
        match record.waited_for(gate) {
            Some(Wait::Drain(Standing::Writing)) if options.stragglers == Stragglers::Rollback => {
                record.give(Order::RollBack);
            }
            Some(Wait::Drain(Standing::Unproven)) if options.running_reads == RunningReads::Cancel => {
                record.give(Order::CancelRead);
            }
            Some(Wait::Drain(_) | Wait::Thaw) | None => {}
        }
    }
    operator.switch.stir();
}
