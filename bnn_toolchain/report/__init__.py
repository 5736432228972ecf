"""One page about one network: what it is, how it learned, where it errs, what it costs and on what."""
