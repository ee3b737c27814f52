//! Keys are derived from passwords on threads of their own, a few at a time: a worker's thread relays for others too,
//! and thousands of hashes would hold all of them up.

use crate::auth::{Derivation, Keys};
use std::{io, sync::Arc};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Derivations at a time; who comes next waits, as long as a login may take.
pub const DERIVATIONS_LIMIT: usize = 2;

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Deriver(Arc<Semaphore>);

impl Default for Deriver {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(DERIVATIONS_LIMIT)))
    }
}

impl Deriver {
    /// The keys.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub async fn derive(&self, derivation: Derivation) -> io::Result<Keys> {
        self.run(move || derivation.run()).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(io::Error::other)?;
        // Who has gone meanwhile leaves its work behind, and with it its turn until that is done.
        let worked = spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        worked.await.map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{Mutex, mpsc},
        thread,
    };
    use tokio::task::{JoinSet, yield_now};

    #[tokio::test]
    async fn nothing_is_derived_on_the_thread_that_asks() {
        let elsewhere = Deriver::default().run(|| thread::current().id()).await.unwrap();
        assert_ne!(elsewhere, thread::current().id());
    }

    #[tokio::test]
    async fn no_more_are_derived_at_a_time_than_the_limit_and_all_are_in_the_end() {
        let deriver = Deriver::default();
        let (tell, begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let mut all = JoinSet::new();
        for number in 0..=DERIVATIONS_LIMIT {
            let (deriver, tell, released) = (deriver.clone(), tell.clone(), Arc::clone(&released));
            all.spawn(async move {
                let work = move || {
                    tell.send(number).unwrap();
                    released.lock().unwrap().recv().unwrap();
                };
                deriver.run(work).await.unwrap();
            });
        }
        while deriver.0.available_permits() > 0 {
            yield_now().await;
        }
        for _ in 0..DERIVATIONS_LIMIT {
            begun.recv().unwrap();
        }
        assert!(begun.try_recv().is_err(), "one waits");
        release.send(()).unwrap();
        while all.len() > DERIVATIONS_LIMIT {
            all.join_next().await.unwrap().unwrap();
        }
        for _ in 0..DERIVATIONS_LIMIT {
            release.send(()).unwrap();
        }
        while let Some(ended) = all.join_next().await {
            ended.unwrap();
        }
        begun.recv().unwrap();
    }
}
