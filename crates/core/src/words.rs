//! Errors in words.

use std::error::Error;

/// An error and what caused it, in one line: each cause once, after a colon.
pub fn in_words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.ends_with(&cause_words) {
            words.push_str(": ");
            words.push_str(&cause_words);
        }
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Told {
        words: &'static str,
        source: Option<Box<Told>>,
    }

    #[test]
    fn each_cause_is_said_once() {
        let cause = Told { words: "no route", source: None };
        let middle = Told { words: "cannot connect: no route", source: Some(Box::new(cause)) };
        let error = Told { words: "cannot ask", source: Some(Box::new(middle)) };
        assert_eq!(in_words(&error), "cannot ask: cannot connect: no route");
    }
}
