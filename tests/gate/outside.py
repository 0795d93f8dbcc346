"""Which outside library reads our codes; it needs an older cbor2 than ours, so it has an environment of its own."""

LIBRARY = "cwt==3.3.0"
