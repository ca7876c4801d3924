use super::link::PayLink;
use super::promise::{InvalidPromise, PromiseTerms, sign, verify};
use super::*;

fn terms(payer: &Keypair, payee: &Keypair, session: u64, cumulative: u64) -> PromiseTerms {
    let id = |key: &Keypair| key.public().to_peer_id().to_bytes();
    PromiseTerms { payer: id(payer), payee: id(payee), session, sequence: 1, cumulative }
}

#[test]
fn a_promise_is_worth_something_to_its_payee_in_its_session_only() {
    let [payer, payee, other] = [(); 3].map(|()| Keypair::generate_ed25519());
    let id = |key: &Keypair| key.public().to_peer_id();
    let good = sign(&payer, &terms(&payer, &payee, 7, 100)).unwrap();
    assert_eq!(verify(&good, id(&payer), id(&payee), 7).unwrap().cumulative, 100);
    assert_eq!(verify(&good, id(&payer), id(&payee), 8), Err(InvalidPromise::Elsewhere));
    assert_eq!(verify(&good, id(&payer), id(&other), 7), Err(InvalidPromise::Elsewhere));
    assert!(matches!(verify(&good, id(&other), id(&payee), 7), Err(InvalidPromise::WrongSigner { .. })));
    let foreign = sign(&other, &terms(&payer, &payee, 7, 100)).unwrap();
    assert!(matches!(verify(&foreign, id(&payer), id(&payee), 7), Err(InvalidPromise::WrongSigner { .. })));
    let mut raised = good.clone();
    raised.terms = prost::Message::encode_to_vec(&terms(&payer, &payee, 7, 1_000_000));
    assert_eq!(verify(&raised, id(&payer), id(&payee), 7), Err(InvalidPromise::Signature));
    let mut padded = good;
    padded.terms.extend([0x30, 0x01]);
    padded.signature = payer.sign(&[b"peermark/pay/1\0".as_slice(), &padded.terms].concat()).unwrap();
    assert_eq!(verify(&padded, id(&payer), id(&payee), 7), Err(InvalidPromise::Malformed));
}

#[tokio::test(start_paused = true)]
async fn without_a_promise_a_block_waits_and_is_refused() {
    let key = Keypair::generate_ed25519();
    let terms = Terms { key, price_per_byte: Some(1), pay_limit: 0 };
    let link = PayLink::new(PeerId::random(), Arc::new(terms));
    let before = tokio::time::Instant::now();
    assert!(!link.charge(10).await);
    assert!(before.elapsed() >= std::time::Duration::from_secs(2));
    wire::Link::stream_refused(&link, true);
    let before = tokio::time::Instant::now();
    assert!(!link.charge(10).await, "who does not speak the protocol is refused at once");
    assert_eq!(before.elapsed(), std::time::Duration::ZERO);
}
