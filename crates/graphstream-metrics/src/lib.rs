//! Counters, gauges and histograms of every graphstream promise.
