"""The dashboard: a small web page per run, pushed live, that shows what the street does; it changes nothing unasked."""
