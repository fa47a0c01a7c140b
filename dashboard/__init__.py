"""Findings in, pages out: the reading half of Sundial, which never reads a log."""
