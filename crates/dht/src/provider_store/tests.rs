use peermark_probe::clock::MonotonicClock;

use super::*;

fn store(local: PeerId, max_keys: usize) -> ProviderStore {
    ProviderStore::new(local, max_keys, Arc::new(MonotonicClock::new()))
}

fn record(key: &[u8], provider: PeerId) -> ProviderRecord {
    ProviderRecord::new(RecordKey::new(&key), provider, Vec::new())
}

#[test]
fn the_oldest_key_makes_room() {
    let local = PeerId::random();
    let mut store = store(local, 2);
    for key in [b"a", b"b", b"c"] {
        store.add_provider(record(key, PeerId::random())).unwrap();
    }
    assert_eq!((store.len(), store.received()), (2, 3));
    assert!(store.known_providers(b"a").is_empty());
    assert_eq!(store.known_providers(b"c").len(), 1);
}

#[test]
fn a_provider_is_kept_once_and_withdrawn_alone() {
    let (local, other) = (PeerId::random(), PeerId::random());
    let mut store = store(local, 10);
    store.provide(b"k");
    for _ in 0..3 {
        store.add_provider(record(b"k", other)).unwrap();
    }
    assert_eq!(store.known_providers(b"k"), [local, other]);
    store.withdraw(b"k");
    assert_eq!(store.known_providers(b"k"), [other]);
    let mut expired = record(b"old", other);
    expired.expires = Some(now());
    store.add_provider(expired).unwrap();
    assert!(store.known_providers(b"old").is_empty());
}

#[test]
fn records_outlive_their_server() {
    let directory = tempfile::tempdir().unwrap();
    let (local, other) = (PeerId::random(), PeerId::random());
    let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
    let open = || ProviderStore::open(local, 10, Arc::clone(&clock), directory.path()).unwrap();
    let mut first = open();
    let address: Multiaddr = "/ip4/127.0.0.1/tcp/7".parse().unwrap();
    for key in [b"kept", b"gone"] {
        let record = ProviderRecord::new(RecordKey::new(key), other, vec![address.clone()]);
        first.add_provider(record).unwrap();
    }
    first.remove_provider(&RecordKey::new(b"gone"), &other);
    drop(first);
    // The writer ends when everything is written; another one reads only then.
    let until_ns = clock.now_ns() + 20_000_000_000;
    let again = loop {
        let again = open();
        if again.len() == 1 || clock.now_ns() > until_ns {
            break again;
        }
        std::thread::yield_now();
    };
    assert_eq!(again.known_providers(b"kept"), [other]);
    assert!(again.known_providers(b"gone").is_empty());
    let kept = again.providers(&RecordKey::new(b"kept"));
    assert_eq!(kept[0].addresses, [address]);
    assert!(kept[0].expires.is_some());
}

#[test]
fn providers_of_one_key_are_bounded() {
    let mut store = store(PeerId::random(), 10);
    for _ in 0..100 {
        store.add_provider(record(b"k", PeerId::random())).unwrap();
    }
    assert_eq!(store.known_providers(b"k").len(), MAX_PROVIDERS);
}

#[test]
fn what_a_stranger_sends_is_bounded() {
    let mut store = store(PeerId::random(), 10);
    let other = PeerId::random();
    assert!(store.add_provider(record(&[7; 81], other)).is_err());
    let long: Multiaddr = format!("/dns4/{}/tcp/1", "x".repeat(300)).parse().unwrap();
    let plain: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
    let addresses = [vec![long], vec![plain; 100]].concat();
    store.add_provider(ProviderRecord::new(RecordKey::new(b"k"), other, addresses)).unwrap();
    assert_eq!(store.providers(&RecordKey::new(b"k"))[0].addresses.len(), MAX_ADDRESSES);
    let mut value = Record::new(RecordKey::new(&[7; 81]), vec![]);
    assert!(store.put(value.clone()).is_err());
    value.key = RecordKey::new(b"v");
    assert!(store.put(value).is_ok());
}

#[test]
fn room_is_counted_in_bytes_too() {
    let mut store = store(PeerId::random(), 1 << 20);
    let address: Multiaddr = format!("/dns4/{}/tcp/1", "x".repeat(240)).parse().unwrap();
    for number in 0..80_000_u32 {
        let key = RecordKey::new(&number.to_be_bytes());
        store.add_provider(ProviderRecord::new(key, PeerId::random(), vec![address.clone(); 16])).unwrap();
    }
    let inner = store.inner.lock();
    let counted: usize = inner.providers.values().flatten().map(bytes_of).sum();
    assert_eq!(counted, inner.bytes);
    assert!(inner.bytes <= MAX_BYTES && inner.providers.len() < 80_000);
}
