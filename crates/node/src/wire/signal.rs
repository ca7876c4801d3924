//! Wakes the tasks of all connections of a peer.

use std::collections::HashMap;
use std::task::{Context, Waker};

use libp2p::swarm::ConnectionId;
use parking_lot::Mutex;

/// At most one waker per connection; connections remove theirs when they are released.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    wakers: Mutex<HashMap<ConnectionId, Waker>>,
}

impl Signal {
    /// Registers the task of a connection. Check the condition after this, not before, so that no wake-up is lost.
    pub(crate) fn register(&self, connection: ConnectionId, context: &Context<'_>) {
        let mut wakers = self.wakers.lock();
        match wakers.get_mut(&connection) {
            Some(waker) => waker.clone_from(context.waker()),
            None => drop(wakers.insert(connection, context.waker().clone())),
        }
    }

    /// Wakes every registered task.
    pub(crate) fn wake(&self) {
        self.wakers.lock().values().for_each(Waker::wake_by_ref);
    }

    /// Forgets a connection.
    pub(crate) fn forget(&self, connection: ConnectionId) {
        self.wakers.lock().remove(&connection);
    }
}
