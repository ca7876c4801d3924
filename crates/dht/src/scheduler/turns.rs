//! Whose turn it is to publish.
//!
//! Least recently used by fleet, region and peer id: not by row, of which a restart makes a new one, and not by the order in which
//! a database returns them. A node that leaves keeps nobody from its turn, and gets its own when it is back. A newcomer queues up
//! behind all that are known, so that a node which restarts under new names again and again takes no turn of the others: over
//! any n rounds in which the same n nodes are ready, each publishes once, whoever else comes and goes.

use std::collections::HashMap;

use peermark_store::dht::LiveNode;

/// Nodes whose last turn is remembered. The ones whose turn is longest ago are forgotten first.
const MAX_REMEMBERED: usize = 10_000;

/// Who a node is, whatever row it has.
type Name = (String, String, String);

/// The order of turns.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// Turns taken and newcomers seen so far: a place in the queue.
    counter: u64,
    queue: HashMap<Name, u64>,
}

impl Turns {
    /// The one of `nodes` whose turn is longest ago; it takes this turn. `None` where there is none.
    pub fn take<'a>(&mut self, nodes: impl IntoIterator<Item = &'a LiveNode>) -> Option<&'a LiveNode> {
        let mut named: Vec<(Name, &LiveNode)> = nodes.into_iter().map(|node| (name(node), node)).collect();
        // By name, so that newcomers of one round queue up in an order that the rows have no part in.
        named.sort_by(|(a, left), (b, right)| a.cmp(b).then(left.id.cmp(&right.id)));
        for (name, _) in &named {
            if !self.queue.contains_key(name) {
                self.counter += 1;
                self.queue.insert(name.clone(), self.counter);
            }
        }
        let (name, node) = named.into_iter().min_by_key(|(name, _)| self.queue[name])?;
        self.counter += 1;
        self.queue.insert(name, self.counter);
        self.forget();
        Some(node)
    }

    fn forget(&mut self) {
        if self.queue.len() > MAX_REMEMBERED {
            let mut places: Vec<u64> = self.queue.values().copied().collect();
            places.sort_unstable();
            let oldest_kept = places[places.len() - MAX_REMEMBERED / 2];
            self.queue.retain(|_, place| *place >= oldest_kept);
        }
    }
}

fn name(node: &LiveNode) -> Name {
    (node.fleet.clone(), node.region.clone(), node.peer_id.clone())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use peermark_store::dht::NodeId;
    use proptest::prelude::*;

    use super::*;

    fn node(id: i32, peer_id: &str) -> LiveNode {
        LiveNode {
            id: NodeId(id),
            peer_id: peer_id.to_owned(),
            region: "eu".to_owned(),
            fleet: "default".to_owned(),
            ip_address: Ipv4Addr::LOCALHOST,
            server_port: 1,
        }
    }

    fn takes(turns: &mut Turns, peers: &[&str]) -> String {
        let nodes: Vec<LiveNode> = peers.iter().zip(1..).map(|(peer, id)| node(id, peer)).collect();
        turns.take(&nodes).map(|node| node.peer_id.clone()).unwrap_or_default()
    }

    #[test]
    fn the_order_of_rows_has_no_part_in_it() {
        let mut turns = Turns::default();
        let rotated = [["a", "b", "c"], ["b", "c", "a"], ["c", "b", "a"], ["b", "a", "c"]];
        let took: Vec<String> = rotated.iter().map(|peers| takes(&mut turns, peers)).collect();
        assert_eq!(took, ["a", "b", "c", "a"]);
        assert_eq!(takes(&mut turns, &[]), "");
    }

    #[test]
    fn who_leaves_skips_nobody_and_has_its_turn_when_it_is_back() {
        let mut turns = Turns::default();
        assert_eq!(takes(&mut turns, &["a", "b", "c", "d"]), "a");
        assert_eq!(takes(&mut turns, &["a", "c", "d"]), "c", "b has left");
        assert_eq!(takes(&mut turns, &["a", "c", "d"]), "d");
        assert_eq!(takes(&mut turns, &["a", "b", "c", "d"]), "b", "it waited longest");
        assert_eq!(takes(&mut turns, &["a", "b", "c", "d"]), "a");
    }

    #[test]
    fn a_restart_in_a_new_row_is_the_same_node() {
        let mut turns = Turns::default();
        let (a, b) = (node(1, "a"), node(2, "b"));
        assert_eq!(turns.take([&a, &b]), Some(&a));
        let restarted = node(9, "a");
        assert_eq!(turns.take([&b, &restarted]), Some(&b));
        assert_eq!(turns.take([&b, &restarted]), Some(&restarted));
    }

    proptest! {
        #[test]
        fn stable_nodes_publish_once_each_whoever_comes_and_goes(
            stable in 1usize..8,
            guests in proptest::collection::vec(proptest::collection::vec(0u8..20, 0..4), 1..40),
        ) {
            let mut turns = Turns::default();
            let names: Vec<String> = (0..stable).map(|n| format!("stable-{n}")).collect();
            let mut took: Vec<String> = Vec::new();
            for (round, guests) in guests.iter().enumerate() {
                let mut peers: Vec<String> = names.clone();
                // Guests that were never seen before and some that were.
                peers.extend(guests.iter().map(|guest| format!("guest-{guest}-{}", round / 3)));
                peers.rotate_left(round % stable);
                let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
                took.push(takes(&mut turns, &peers));
            }
            // Between two turns of a stable node every other one has exactly one.
            let order: Vec<&String> = took.iter().filter(|name| name.starts_with("stable")).collect();
            for window in order.windows(stable) {
                let distinct: std::collections::HashSet<_> = window.iter().collect();
                prop_assert_eq!(distinct.len(), stable);
            }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut turns = Turns::default();
        for number in 0..3 * MAX_REMEMBERED {
            takes(&mut turns, &[&number.to_string()]);
        }
        assert!(turns.queue.len() <= MAX_REMEMBERED);
    }
}
