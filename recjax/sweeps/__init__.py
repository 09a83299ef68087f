"""Sweeps: many trials of one config, those that differ in knobs and seeds alone as one program."""
