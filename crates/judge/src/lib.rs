//! Pure functions from evidence to statements.
