use serde_json::Value;

use crate::program::{Place, stderr, stdout};

/// The figures themselves are no matter for a test: it only sees that the benchmark measures and says what it promises.
#[test]
fn a_benchmark_prints_its_figures_with_reference_and_bar() {
    let place = Place::new();
    let output = place.run(&["bench", "exchange", "--format", "json"]);
    assert!(matches!(output.status.code(), Some(0 | 100)), "{}", stderr(&output));
    let figures: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = figures.iter().map(|figure| figure["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["exchange.ratio_tcp_hashed", "exchange.ratio_stream_hashed", "exchange.p50_idle_ms"]);
    for figure in &figures {
        assert_eq!(figure["schema"], "peermark.bench/1");
        assert!(figure["value"].as_f64().unwrap() > 0.0, "{figure}");
        assert!(figure["calibration"]["hash"]["bytes_per_second"].as_u64().unwrap() > 0, "{figure}");
        assert!(figure["ok"].is_boolean(), "{figure}");
    }
}

#[test]
fn the_doctor_prints_the_false_alarm_rate() {
    let place = Place::new();
    let output = place.run(&["doctor", "compare", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(document["rows"].as_array().unwrap().len(), 9);
}
